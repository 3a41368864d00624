/**
 * Name and shape of a tensor that a model of given sizes has, whether or not a file is there.
 *
 * @module
 */

import type { KeptDtype } from "./dtype.ts";
import { BLOCK } from "./quantize.ts";

/** A tensor of a checkpoint. */
export interface ModelTensor {
  /** Name in the published checkpoints. */
  readonly name: string;
  /** Shape there. */
  readonly shape: readonly number[];
}

/** A linear layer, convolution or norm: `weight` and `bias` of as many rows. */
export function layerTensors(name: string, weight: readonly number[]): ModelTensor[] {
  return [{ name: `${name}.weight`, shape: weight }, { name: `${name}.bias`, shape: weight.slice(0, 1) }];
}

/** Number of elements. */
export function elementsOf(tensors: readonly ModelTensor[]): number {
  return tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/**
 * Bytes of a tensor as a type, its scales included; integers are for matrices only.
 *
 * @example
 * ```ts
 * import { bytesAs } from "./model_tensor.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = (["f32", "f16", "q8", "q4", "int8"] as const).map((dtype) => bytesAs([2, 64], dtype));
 * assertEquals(bytes, [512, 256, 144, 80, 136]);
 * ```
 */
export function bytesAs(shape: readonly number[], dtype: KeptDtype): number {
  if (dtype === "f32") return 4 * sizeOf(shape);
  if (dtype === "f16") return 2 * sizeOf(shape);
  const [rows = 0, columns = 0] = shape;
  if (dtype === "int8") return rows * (columns + 4);
  return rows * Math.ceil(columns / BLOCK) * (BLOCK * (dtype === "q8" ? 8 : 4) / 8 + 4);
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
