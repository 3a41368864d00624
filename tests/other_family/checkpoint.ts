/**
 * Checkpoints of the other family: one matrix each, of numbers that a formula gives.
 *
 * @module
 */

import { writeSafetensors } from "../../models/checkpoint/mod.ts";

/** A safetensors file of one matrix. */
export async function checkpoint(
  name: string,
  shape: readonly [number, number],
  seed: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const values = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.sin((i + 1) * seed));
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const file = new Response(readable).bytes();
  const bytes = (): Promise<Uint8Array> => Promise.resolve(new Uint8Array(values.buffer));
  await writeSafetensors(writable, [{ name, dtype: "F32", shape, bytes }]);
  return await file;
}
