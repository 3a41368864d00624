/**
 * Checkpoints on disk as they are published and as trainers save them, of tensors whose values are at hand.
 *
 * @module
 */

import { type StateDict, writePyTorch } from "../../bench/pytorch_file.ts";
import { type FilledTensor, safetensors } from "./flexvar/checkpoints.ts";

/** The tensors with something in front of their names. */
export function prefixed(prefix: string, tensors: readonly FilledTensor[]): FilledTensor[] {
  return tensors.map((tensor) => ({ ...tensor, name: prefix + tensor.name }));
}

/**
 * Writes a checkpoint, of PyTorch if its name ends in `.pth` or `.bin`, else of safetensors.
 *
 * @param keys Keys of dictionaries that a file of PyTorch has around the tensors.
 */
export async function writeCheckpoint(
  path: string,
  tensors: readonly FilledTensor[],
  keys: readonly string[] = [],
): Promise<void> {
  if (!/\.(pth|bin)$/.test(path)) return await Deno.writeFile(path, await safetensors(tensors));
  using file = await Deno.create(path);
  const state: StateDict = tensors.map(({ name, shape, values }) => {
    return { name, shape, dtype: "F32", bytes: () => [new Uint8Array(values.buffer)] };
  });
  writePyTorch(file, keys.reduceRight<StateDict>((inner, key) => ({ [key]: inner }), state));
}

/** Writes a checkpoint as Hugging Face's libraries do a large one, and gives the path of its index. */
export async function writeShards(
  folder: string,
  tensors: readonly FilledTensor[],
  { shards, index }: { readonly shards: readonly string[]; readonly index: string },
): Promise<string> {
  const holder = (i: number): string => shards[i % shards.length]!;
  for (const shard of shards) {
    await writeCheckpoint(`${folder}/${shard}`, tensors.filter((_, i) => holder(i) === shard));
  }
  const map = Object.fromEntries(tensors.map(({ name }, i) => [name, holder(i)]));
  await Deno.writeTextFile(
    `${folder}/${index}`,
    JSON.stringify({ metadata: { total_size: 1 }, weight_map: map }),
  );
  return `${folder}/${index}`;
}
