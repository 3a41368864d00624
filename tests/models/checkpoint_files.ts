/**
 * Checkpoints on disk as they are published and as trainers save them, of tensors whose values are at hand.
 *
 * @module
 */

import { type PyTorchTensor, writePyTorch } from "../../bench/pytorch_file.ts";
import { type FilledTensor, safetensors } from "./flexvar/checkpoints.ts";

/** The tensors with something in front of their names. */
export function prefixed(prefix: string, tensors: readonly FilledTensor[]): FilledTensor[] {
  return tensors.map((tensor) => ({ ...tensor, name: prefix + tensor.name }));
}

/** Writes a checkpoint, of PyTorch if its name ends in `.pth`, else of safetensors. */
export async function writeCheckpoint(path: string, tensors: readonly FilledTensor[]): Promise<void> {
  if (!path.endsWith(".pth")) return await Deno.writeFile(path, await safetensors(tensors));
  using file = await Deno.create(path);
  writePyTorch(
    file,
    tensors.map(({ name, shape, values }): PyTorchTensor => {
      return { name, shape, dtype: "F32", bytes: () => [new Uint8Array(values.buffer)] };
    }),
  );
}
