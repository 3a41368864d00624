/**
 * Checkpoints in several files, as Hugging Face's libraries save large ones: `NAME.index.json` says which
 * tensor is in which file beside it. What the files hold is left to the readers of their formats.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { shown } from "../../kernels/arguments.ts";
import { ModelFileError } from "../model_file_error.ts";
import { openSource, type OpenSourceOptions, placeBeside } from "./source.ts";
import type { Checkpoint, TensorInfo } from "./tensor.ts";

/** What names an index. */
type IndexPlace = string | URL;

/** Names of a million tensors take less. */
const MAX_INDEX_BYTES = 1 << 26;

/** Whether a place is an index of shards, by its name: `model.safetensors.index.json`. */
export function isShardIndex(place: unknown): place is IndexPlace {
  if (typeof place !== "string" && !(place instanceof URL)) return false;
  const url = place instanceof URL ? place : /^(https?|file):\/\//i.test(place) ? URL.parse(place) : null;
  return (url?.pathname ?? String(place)).endsWith(".index.json");
}

/**
 * Places of the shards that an index names, each once, in its order.
 *
 * @throws {ModelFileError} If it is no index.
 */
export async function shardPlaces(index: IndexPlace, options: OpenSourceOptions = {}): Promise<IndexPlace[]> {
  const { weights } = await readIndex(index, options);
  return [...new Set(weights.values())].map((shard) => placeBeside(index, shard));
}

/** SHA-256 that tells an index and its shards, of which those in their order are given, from others. */
export function shardsSha256(hashes: readonly string[]): string {
  return createHash("sha256").update(hashes.join("\n")).digest("hex");
}

/**
 * Opens all shards of an index as one checkpoint.
 *
 * @param index Path or address of the index.
 * @param open Opens a shard.
 * @throws {ModelFileError} If it is no index, a shard cannot be opened, or one is without a tensor that the
 * index says is there.
 */
export async function openShards(
  index: IndexPlace,
  open: (place: IndexPlace) => Promise<Checkpoint>,
  options: OpenSourceOptions = {},
): Promise<Checkpoint> {
  const { file, weights } = await readIndex(index, options);
  using stack = new DisposableStack();
  const shards = new Map<string, Checkpoint>();
  for (const shard of new Set(weights.values())) {
    shards.set(shard, stack.use(await open(placeBeside(index, shard))));
  }
  const holders = new Map<string, Checkpoint>();
  const tensors = new Map<string, TensorInfo>();
  for (const [name, shard] of weights) {
    const holder = shards.get(shard)!;
    const tensor = holder.tensors.get(name);
    if (tensor === undefined) {
      throw new ModelFileError(`Cannot find a tensor where ${file} says it is`, {
        file: holder.file,
        tensor: name,
      });
    }
    holders.set(name, holder);
    tensors.set(name, tensor);
  }
  const holderOf = (name: string): Checkpoint => {
    const holder = holders.get(name);
    if (holder !== undefined) return holder;
    throw new ModelFileError("Cannot find the tensor", { file, tensor: name });
  };
  const owned = stack.move();
  return {
    file,
    format: shards.values().toArray()[0]!.format,
    metadata: Object.assign({}, ...Array.from(shards.values(), ({ metadata }) => metadata)),
    tensors,
    read: async (name) => await holderOf(name).read(name),
    readFloat32: async (name) => await holderOf(name).readFloat32(name),
    stored: (name) => holderOf(name).stored(name),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

async function readIndex(
  index: IndexPlace,
  options: OpenSourceOptions,
): Promise<{ file: string; weights: ReadonlyMap<string, string> }> {
  using source = await openSource(index, options);
  const { file, size } = source;
  const refuse = (expected: string, found: string, cause?: unknown): never => {
    throw new ModelFileError("Cannot read the index of shards", { file, expected, found, cause });
  };
  if (size > MAX_INDEX_BYTES) return refuse(`at most ${MAX_INDEX_BYTES} bytes`, `${size}`);
  let content: { weight_map?: unknown } | null;
  try {
    content = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(await source.read(0, size)));
  } catch (cause) {
    if (cause instanceof ModelFileError || options.signal?.aborted) throw cause;
    return refuse("JSON", (cause as Error).message, cause);
  }
  const map = content?.weight_map;
  if (typeof map !== "object" || map === null || Object.keys(map).length === 0) {
    return refuse('a "weight_map" of tensors and their files', shown(map));
  }
  const weights = new Map<string, string>();
  for (const [name, shard] of Object.entries(map)) {
    // A name is joined to the index's folder, so it must not lead out of it, nor to another index.
    if (typeof shard !== "string" || !/^[^./\\:][^/\\:]*$/.test(shard) || isShardIndex(shard)) {
      return refuse("names of files beside it", shown(shard));
    }
    weights.set(name, shard);
  }
  return { file, weights };
}
