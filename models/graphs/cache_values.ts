/**
 * Attention to tokens of the scales before, whose keys and values are inputs of a transformer's graph, as
 * those of the scale at hand are its outputs, in the type in which they are kept between two scales. Who
 * keeps them is left to `key_value_caches.ts`.
 *
 * @module
 */

import type { Device } from "../../kernels/device/device.ts";
import { WebGpuDevice } from "../../kernels/device/webgpu_device.ts";
import { ELEMENT_TYPES, type GraphBuilder, MICROSOFT } from "./graph_builder.ts";

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

/** Attention of one block to the tokens of its scale and of those before. */
export interface CachedAttention {
  /** Queries, keys and values of the scale at hand, [rows, length, heads * headWidth] each. */
  readonly tokens: readonly [query: string, key: string, value: string];
  /** Index of the block. */
  readonly block: number;
  /** Attention heads. */
  readonly heads: number;
  /** Width of a head. */
  readonly headWidth: number;
  /** What scores are multiplied by. */
  readonly scale: number;
  /** Type in which keys and values are kept; `"f32"` by default. */
  readonly dtype?: CacheDtype;
}

/** Names of the keys and values of the scales before, as a graph is fed them. */
export const pastNames = (block: number): readonly [key: string, value: string] => {
  return [`past_key.${block}`, `past_value.${block}`];
};
/** Names of the keys and values of the scale at hand, which a graph gives. */
export const newNames = (block: number): readonly [key: string, value: string] => {
  return [`new_key.${block}`, `new_value.${block}`];
};

/**
 * Adds the attention of one block. The graph is fed the keys and values of the scales before,
 * [past, rows, heads, headWidth], and gives those of the scale at hand in the same order, token by token, so
 * that they can be kept behind the others. All of them together exist for one block at a time only.
 *
 * @returns What was attended to, [rows, length, heads * headWidth].
 */
export function cachedAttention(graph: GraphBuilder, attention: CachedAttention): string {
  const { tokens, block, heads, headWidth, scale, dtype = "f32" } = attention;
  const type = dtype === "f16" ? "float16" : "float32";
  const kept = pastNames(block).map((name) => {
    const past = graph.input({ name, type, shape: ["past", "rows", heads, headWidth] });
    // Halves are cast before anything is computed: WebGPU sums products of halves in halves.
    const byHead = graph.addFirst("Transpose", past, { perm: [1, 2, 0, 3] });
    return dtype === "f16" ? graph.addFirst("Cast", byHead, { to: ELEMENT_TYPES.float32 }) : byHead;
  });
  for (const [i, name] of newNames(block).entries()) {
    graph.soon(() => {
      // Zeros keep a dimension.
      const byRow = graph.reshape(tokens[i + 1]!, [0, 0, heads, headWidth]);
      const byToken = graph.add("Transpose", [byRow], { perm: [1, 0, 2, 3] });
      const given = dtype === "f16" ? graph.add("Cast", [byToken], { to: ELEMENT_TYPES.float16 }) : byToken;
      graph.output({ name, type, shape: ["length", "rows", heads, headWidth] }, given);
    });
  }
  // Without its two other results the operator would not look at what was kept.
  const [attended] = graph.addMany(
    `${MICROSOFT}.MultiHeadAttention`,
    [...tokens, "", "", "", ...kept],
    3,
    { num_heads: heads, scale: { float: scale } },
  );
  return attended!;
}
