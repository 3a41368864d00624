/**
 * The keys and values of a transformer as inputs and outputs of its graph, in the type in which they are kept
 * between two scales. Who keeps them is left to `key_value_caches.ts`.
 *
 * @module
 */

import type { Device } from "../../kernels/device/device.ts";
import { WebGpuDevice } from "../../kernels/device/webgpu_device.ts";
import { ELEMENT_TYPES, type GraphBuilder, type GraphValue } from "./graph_builder.ts";

/**
 * Type in which keys and values are kept between two scales: `"f16"` takes half the memory of `"f32"` and
 * rounds each to 11 bits. What is computed with them is f32 in any case.
 */
export type CacheDtype = "f32" | "f16";

/** Types in which keys and values can be kept, the most precise first. */
export const CACHE_DTYPES: readonly CacheDtype[] = ["f32", "f16"];

/**
 * Checks that a device can keep caches of a type: halves need a GPU with `shader-f16`.
 *
 * @param action What cannot be done otherwise, for the message.
 * @throws {RangeError} If it cannot.
 */
export function requireCacheDtype(device: Device, dtype: CacheDtype, action: string): void {
  if (dtype === "f32" || !(device instanceof WebGpuDevice) || device.gpu.features.has("shader-f16")) return;
  throw new RangeError(
    `Cannot ${action} with caches of f16 as "${device.name}" has no shader-f16; use cacheDtype: "f32"`,
  );
}

/** The keys or values of one block as an input or output of a graph. */
export interface CacheValue extends Pick<GraphValue, "name" | "shape"> {
  /** Type in which they are kept. */
  readonly dtype: CacheDtype;
}

/**
 * Declares keys or values of the scales before as an input of a graph.
 *
 * @returns They as float32.
 */
export function cacheInput(graph: GraphBuilder, { name, shape, dtype }: CacheValue): string {
  if (dtype === "f32") return graph.input({ name, type: "float32", shape });
  const halves = graph.input({ name, type: "float16", shape });
  return graph.add("Cast", [halves], { to: ELEMENT_TYPES.float32 });
}

/**
 * Declares that `result`, float32, are the keys or values up to this scale. Those of the scales before, which
 * were halves, become the same halves again.
 */
export function cacheOutput(graph: GraphBuilder, { name, shape, dtype }: CacheValue, result: string): void {
  if (dtype === "f32") return graph.output({ name, type: "float32", shape }, result);
  const halves = graph.add("Cast", [result], { to: ELEMENT_TYPES.float16 });
  graph.output({ name, type: "float16", shape }, halves);
}
