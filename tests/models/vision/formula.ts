/**
 * Numbers by the formula of `tests/fixtures/vision/formula.py`, so that references and tests have the same
 * weights without a file of them, and files with such weights.
 *
 * @module
 */

import type { PyTorchTensor } from "../../../bench/pytorch_file.ts";
import { writePyTorch } from "../../../bench/pytorch_file.ts";
import type { Device } from "../../../kernels/device/device.ts";
import { elementCount } from "../../../models/checkpoint/tensor.ts";
import type { Pictures } from "../../../models/vision/verifier.ts";
import { openWeightEntries } from "../../../models/vision/network_weights.ts";
import type { ModelTensor } from "../../../models/weights/model_tensor.ts";
import type { WeightFiles } from "../../../models/weights/weight_files.ts";

/** 32 well-mixed bits for each place of a tensor. */
function words(name: string, count: number): Uint32Array<ArrayBuffer> {
  let seed = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) seed = Math.imul(seed ^ byte, 0x01000193);
  const result = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    let bits = (Math.imul(i, 0x9e3779b9) + seed) >>> 0;
    bits = Math.imul(bits ^ (bits >>> 16), 0x21f0aaad);
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
    result[i] = bits ^ (bits >>> 15);
  }
  return result;
}

/** Numbers from -0.5 to 0.5, with 24 bits. */
export function uniform(name: string, shape: readonly number[]): Float32Array<ArrayBuffer> {
  return Float32Array.from(words(name, elementCount(shape)), (bits) => (bits >>> 8) / 2 ** 24 - 0.5);
}

/** A tensor that keeps activations near 1: gains and variances around 1, the rest around 0. */
export function weight({ name, shape }: ModelTensor): Float32Array<ArrayBuffer> {
  const values = uniform(name, shape);
  if (shape.length === 1) {
    const middle = /(running_var|weight)$/.test(name) ? 1 : 0;
    return values.map((value) => value * 0.5 + middle);
  }
  const spread = Math.fround(2 * Math.sqrt((shape.length === 4 ? 6 : 3) / elementCount(shape.slice(1))));
  return values.map((value) => value * spread);
}

/** Random pictures on a device. */
export function pictures(
  device: Device,
  name: string,
  { count, width, height }: Omit<Pictures, "array">,
): Pictures & Disposable {
  const colours = words(name, count * width * height * 3).map((bits) => bits >>> 24);
  const packed = Uint32Array.from({ length: count * width * height }, (_, i) => {
    return (colours[3 * i]! | colours[3 * i + 1]! << 8 | colours[3 * i + 2]! << 16 | 0xff << 24) >>> 0;
  });
  const array = device.upload(packed, name);
  return { array, count, width, height, [Symbol.dispose]: () => array[Symbol.dispose]() };
}

/** Tensors as files that a graph session reads. */
export async function weightFiles(tensors: readonly ModelTensor[]): Promise<WeightFiles> {
  return await openWeightEntries(
    "formula.pth",
    tensors.map((tensor) => ({
      ...{ name: tensor.name, shape: tensor.shape, dtype: "F32" },
      bytes: () => new Uint8Array(weight(tensor).buffer),
    })),
  );
}

/** Tensors as PyTorch writes them. */
export function stored(tensors: readonly ModelTensor[]): PyTorchTensor[] {
  return tensors.map((tensor) => ({
    ...{ name: tensor.name, shape: tensor.shape, dtype: "F32" },
    bytes: () => [new Uint8Array(weight(tensor).buffer)],
  }));
}

/** A file of PyTorch's in a folder of its own, until it is disposed. */
export async function pytorchFile(
  tensors: readonly PyTorchTensor[],
): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await Deno.makeTempFile({ suffix: ".pth" });
  using file = await Deno.create(path);
  writePyTorch(file, tensors);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path) };
}
