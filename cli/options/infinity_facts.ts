/**
 * What a command line of Infinity's released scripts says about files, checked against the files: the scripts
 * believe it, and paint noise where it is wrong.
 *
 * @module
 */

import { describeCheckpoint, ModelFileError, openCheckpoint } from "../../mod.ts";
import { UsageError } from "../io.ts";
import { list } from "../output/words.ts";
import { type InfinityValues, MODEL_TYPES } from "./infinity_flags.ts";
import { optionName } from "./options.ts";

/** What is read of a checkpoint's sizes, as far as it is there. */
interface Sizes {
  readonly depth?: number;
  readonly width?: number;
  readonly bits?: number;
  readonly textChannels?: number;
  readonly tokenizer?: { readonly channels?: number };
}

/** How the released checkpoints were trained, which no tensor tells. */
const TRAINED = {
  useBitLabel: "1",
  rope2dEachSaLayer: "1",
  rope2dNormalizedByHw: "2",
  addLvlEmbedingOnlyFirstBlock: "1",
} as const;

/**
 * Refuses what the files say otherwise, and what no released model is like.
 *
 * @throws {UsageError} Naming the flag, what it must be and what it is; or the flags that are needed.
 */
export async function requireFacts(
  values: InfinityValues & { readonly textFeatures: string | undefined },
  signal: AbortSignal,
): Promise<void> {
  const encoder = values.textFeatures === undefined ? ["textEncoderCkpt"] as const : [];
  const needed = (["pn", "modelPath", "vaePath", ...encoder] as const)
    .filter((name) => values[name] === undefined);
  if (needed.length > 0) {
    const [noun, verb] = needed.length === 1 ? ["Option", "is"] : ["Options", "are"];
    throw new UsageError(`${noun} ${list(needed.map(optionName), "and")} ${verb} needed`);
  }
  for (const [name, wanted] of Object.entries(TRAINED)) {
    const given = values[name as keyof typeof TRAINED];
    if (given === undefined || given === wanted) continue;
    throw new UsageError(
      `Option ${
        optionName(name)
      } must be ${wanted}, as the released models were trained: current value is ${given}`,
    );
  }
  const modelPath = values.modelPath!;
  await requireCheckpointType(modelPath, values.checkpointType);
  const transformer = await sizesOf(modelPath, signal);
  const tokenizer = await sizesOf(values.vaePath!, signal);
  requireModelType(transformer, values);
  requireSize("textChannels", values.textChannels, transformer.textChannels, modelPath);
  const channels = tokenizer.tokenizer?.channels;
  requireSize("vaeType", values.vaeType, channels, values.vaePath!);
  if (channels === undefined || transformer.bits === undefined) return;
  const patchify = transformer.bits === 4 * channels ? 1 : 0;
  const given = values.applySpatialPatchify;
  requireSize(
    "applySpatialPatchify",
    given === undefined ? undefined : Number(given),
    patchify,
    `${modelPath} with ${values.vaePath}`,
  );
}

/** The sizes that a checkpoint tells; of what cannot be read, the loading of the model says why. */
async function sizesOf(place: string, signal: AbortSignal): Promise<Sizes> {
  try {
    using checkpoint = await openCheckpoint(place, { signal });
    return (await describeCheckpoint(checkpoint)).config;
  } catch (error) {
    if (error instanceof ModelFileError) return {};
    throw error;
  }
}

function requireModelType({ depth, width }: Sizes, { modelType, modelPath }: InfinityValues): void {
  if (modelType === undefined || depth === undefined || width === undefined) return;
  const wanted = MODEL_TYPES[modelType];
  if (wanted.depth === depth && wanted.width === width) return;
  const own = Object.entries(MODEL_TYPES).find(([, type]) => type.depth === depth && type.width === width)
    ?.[0];
  throw new UsageError(
    `Option --model-type must be ${
      own ?? "left out"
    }, as ${modelPath} has ${depth} blocks of width ${width}: current value is ${modelType}`,
  );
}

function requireSize(
  name: string,
  given: number | undefined,
  found: number | undefined,
  place: string,
): void {
  if (given === undefined || found === undefined || given === found) return;
  throw new UsageError(
    `Option ${optionName(name)} must be ${found}, as ${place} tells: current value is ${given}`,
  );
}

/** A file or a folder of several; what is not there, the loading tells. */
async function requireCheckpointType(
  path: string,
  given: InfinityValues["checkpointType"],
): Promise<void> {
  if (given === undefined) return;
  const there = await Deno.stat(path).catch((error) => {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return undefined;
  });
  if (there === undefined) return;
  const wanted = there.isDirectory ? "torch_shard" : "torch";
  if (given === wanted) return;
  throw new UsageError(
    `Option --checkpoint-type must be ${wanted}, as ${path} is a ${
      there.isDirectory ? "folder" : "file"
    }: current value is ${given}`,
  );
}
