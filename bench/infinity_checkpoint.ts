/**
 * Checkpoints of Infinity's published sizes with random values: which files there are, and what the command
 * line of `synthetic_checkpoint.ts` may ask for.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { requireChoice, requireInteger } from "../kernels/arguments.ts";
import type { SyntheticFile, SyntheticFolder } from "./checkpoint_writer.ts";
import {
  INFINITY_SIZES,
  infinityTensors,
  infinityVaeTensors,
  TEXT_ENCODER_SIZES,
  textEncoderConfig,
  textEncoderTensors,
} from "./infinity_tensors.ts";
import type { TensorListOptions } from "./random_tensors.ts";

/** A published size. */
export type InfinitySizeName = keyof typeof INFINITY_SIZES;

/** Names of the published sizes. */
export const INFINITY_SIZE_NAMES = Object.keys(INFINITY_SIZES) as InfinitySizeName[];

/** The checkpoints that make a model. */
const PARTS = ["infinity", "vae", "t5"] as const;

/** What the command line asks for. */
export interface InfinityRequest extends TensorListOptions {
  /** Which model. */
  readonly size: InfinitySizeName;
  /** Whether the transformer is a folder of shards; the largest one always is. */
  readonly sharded: boolean;
  /** Layers of the text encoder. */
  readonly textLayers: number;
  /** Path of a `tokenizer.json`, which is put beside the text encoder. */
  readonly textTokenizer: string | undefined;
  /** Which parts to write. */
  readonly parts: readonly (typeof PARTS[number])[];
  /** Folder of the files. */
  readonly output: string;
  /** Whether to replace files. */
  readonly overwrite: boolean;
}

/**
 * Reads the command line.
 *
 * @throws {TypeError} If it has unknown options or words, or no folder, or a text encoder without its
 * tokenizer.
 * @throws {RangeError} If a number is out of bounds.
 */
export function parseInfinityRequest(args: readonly string[]): InfinityRequest {
  const { values } = parseArgs({
    args: [...args],
    options: {
      family: { type: "string" },
      size: { type: "string", default: "125M" },
      dtype: { type: "string", default: "f32" },
      sharded: { type: "boolean", default: false },
      "text-layers": { type: "string", default: `${TEXT_ENCODER_SIZES.layers}` },
      "text-tokenizer": { type: "string" },
      seed: { type: "string", default: "0" },
      output: { type: "string" },
      infinity: { type: "boolean", default: false },
      vae: { type: "boolean", default: false },
      t5: { type: "boolean", default: false },
      overwrite: { type: "boolean", default: false },
    },
  });
  const action = "write a synthetic checkpoint";
  const { output, overwrite, size, dtype, sharded, "text-tokenizer": textTokenizer } = values;
  if (!output) throw new TypeError(`Cannot ${action} as --output must name a folder`);
  requireChoice(size, INFINITY_SIZE_NAMES, "--size", action);
  requireChoice(dtype, ["f32", "f16"], "--dtype", action);
  const [seed, textLayers] = [Number(values.seed), Number(values["text-layers"])];
  requireInteger(seed, "--seed", action, { min: 0, max: 2 ** 32 - 1 });
  requireInteger(textLayers, "--text-layers", action, { min: 1, max: 100 });
  const asked = PARTS.filter((part) => values[part]);
  if (asked.includes("t5") && textTokenizer === undefined) {
    throw new TypeError(`Cannot ${action} with --t5 as --text-tokenizer must name its tokenizer.json`);
  }
  const usual = PARTS.filter((part) => part !== "t5" || textTokenizer !== undefined);
  return {
    size: size as InfinitySizeName,
    dtype: dtype === "f16" ? "F16" : "F32",
    parts: asked.length > 0 ? asked : usual,
    ...{ sharded: sharded || size === "8B", textLayers, textTokenizer, seed, output, overwrite },
  };
}

/** The files and folders of a model. */
export async function infinityFiles(
  { size, sharded, textLayers, textTokenizer, parts, ...options }: Omit<
    InfinityRequest,
    "output" | "overwrite"
  >,
): Promise<readonly (SyntheticFile | SyntheticFolder)[]> {
  const { transformer, vae, transformerName, vaeName } = INFINITY_SIZES[size];
  const files: (SyntheticFile | SyntheticFolder)[] = [];
  if (parts.includes("infinity")) {
    const tensors = infinityTensors(transformer, options);
    files.push(
      sharded
        ? { name: transformerName.replace(/\.pth$/, "_weights"), tensors, beside: {} }
        : { name: transformerName, state: tensors },
    );
  }
  if (parts.includes("vae")) files.push({ name: vaeName, state: { vae: infinityVaeTensors(vae, options) } });
  if (parts.includes("t5")) {
    const sizes = { ...TEXT_ENCODER_SIZES, layers: textLayers };
    files.push({
      name: textEncoderName(textLayers),
      tensors: textEncoderTensors(sizes, options),
      beside: {
        "config.json": new TextEncoder().encode(JSON.stringify(textEncoderConfig(sizes), undefined, 2)),
        "tokenizer.json": await Deno.readFile(textTokenizer!),
      },
    });
  }
  return files;
}

/** Name of a text encoder's folder: the published one has 24 layers. */
function textEncoderName(layers: number): string {
  return layers === TEXT_ENCODER_SIZES.layers ? "flan-t5-xl" : `flan-t5-xl-${layers}-layers`;
}
