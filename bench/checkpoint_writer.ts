/**
 * Writes made-up checkpoints where they are wanted, in little memory: files of PyTorch's, and folders of
 * shards as Hugging Face's libraries save them. What is written appears when it is whole.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "../models/checkpoint/safetensors.ts";
import { planWeightFiles } from "../models/weights/weight_files.ts";
import { concat, type PyTorchTensor, type StateDict, writePyTorch } from "./pytorch_file.ts";

/** A file to be written. */
export interface SyntheticFile {
  /** Its name. */
  readonly name: string;
  /** What is in it. */
  readonly state: StateDict;
}

/** A folder to be written. */
export interface SyntheticFolder {
  /** Its name. */
  readonly name: string;
  /** What its shards hold. */
  readonly tensors: readonly PyTorchTensor[];
  /** Files beside them, by name. */
  readonly beside: Readonly<Record<string, Uint8Array>>;
}

/** How something is written. */
export interface WriteSyntheticOptions {
  /** Whether to replace what is there. */
  readonly overwrite?: boolean;
  /** Bytes of the tensors of a shard; 4 GiB by default. */
  readonly limit?: number;
}

/** Bytes of a shard. Hugging Face's libraries divide at 5 GB and at 10 GB. */
const SHARD_BYTES = 2 ** 32;

/**
 * Writes a file of PyTorch's.
 *
 * @throws {Deno.errors.AlreadyExists} If there is such a file and it is not to be overwritten.
 */
export async function writeSynthetic(
  path: string,
  state: StateDict,
  options: WriteSyntheticOptions = {},
): Promise<void> {
  await writeWhole(path, options, async (temporary) => {
    using file = await Deno.open(temporary, { create: true, truncate: true, write: true });
    writePyTorch(file, state);
  });
}

/**
 * Writes a folder: shards in safetensors, one tensor in memory at a time, and their index if there are
 * several.
 *
 * @throws {Deno.errors.AlreadyExists} If there is such a folder and it is not to be overwritten.
 */
export async function writeSyntheticFolder(
  path: string,
  { tensors, beside }: Omit<SyntheticFolder, "name">,
  options: WriteSyntheticOptions = {},
): Promise<void> {
  await writeWhole(path, options, async (temporary) => {
    await Deno.mkdir(temporary);
    for (const [name, bytes] of Object.entries(beside)) await Deno.writeFile(join(temporary, name), bytes);
    const entries = tensors.map(({ name, dtype, shape, bytes }) => ({
      ...{ name, dtype, shape },
      bytes: () => concat(...Array.from(bytes(), (piece) => piece.slice())),
    }));
    const shards = planWeightFiles("model", entries, options.limit ?? SHARD_BYTES);
    const weightMap: Record<string, string> = {};
    for (const { name, layout } of shards) {
      const held = layout.places.map(({ entry }) => entry);
      await writeSafetensors(join(temporary, name), held, { metadata: { format: "pt" } });
      for (const tensor of held) weightMap[tensor.name] = name;
    }
    if (shards.length === 1) return;
    const total = shards.reduce((sum, { layout }) => sum + layout.size - layout.header.length, 0);
    const index = JSON.stringify({ metadata: { total_size: total }, weight_map: weightMap });
    await Deno.writeTextFile(join(temporary, "model.safetensors.index.json"), index);
  });
}

/** Writes beside a place, and moves there what is whole. */
async function writeWhole(
  path: string,
  { overwrite = false }: WriteSyntheticOptions,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  if (!overwrite && existsSync(path)) {
    throw new Deno.errors.AlreadyExists(`Cannot write ${path} as it exists: give --overwrite to replace it`);
  }
  const temporary = `${path}.tmp`;
  const remove = (place: string): Promise<void> => {
    return Deno.remove(place, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  };
  try {
    await remove(temporary);
    await write(temporary);
    await remove(path);
    await Deno.rename(temporary, path);
  } catch (error) {
    await remove(temporary);
    throw error;
  }
}
