/**
 * A graph with weights outside, in two types, for tests of what writes, reads and runs graphs.
 *
 * @module
 */

import { encodeFloat16 } from "../../../models/checkpoint/mod.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import type { ExternalWeight } from "../../../models/weights/weight_places.ts";

/** The first of the weights, one after the other: 2×3 in float32, then 3 in float16. */
export const MATRIX = new Float32Array([1, 2, 3, -4, 5, -6]);
/** The second of them. */
export const HALVES = new Float32Array([0.5, -1, 2]);
/** Both as a file. */
export const WEIGHTS = new Uint8Array([...new Uint8Array(MATRIX.buffer), ...encodeFloat16(HALVES)]);
/** Where they lie. */
export const PLACES: Record<string, ExternalWeight> = {
  matrix: { file: "w.bin", offset: 0, length: 24, type: "float32", shape: [2, 3] },
  halves: { file: "w.bin", offset: 24, length: 6, type: "float16", shape: [3] },
};

/** y = quick gelu of (left half of x) Mᵀ + h, and z = 10 · right half of x, reshaped to [-1]. */
export function example(): Uint8Array<ArrayBuffer> {
  const graph = new GraphBuilder("example");
  const x = graph.input({ name: "x", type: "float32", shape: ["rows", 4] });
  const [left, right] = graph.split(x, 2, 1) as [string, string];
  const weights = [graph.weight("matrix", PLACES.matrix!), graph.weight("halves", PLACES.halves!)];
  const linear = graph.add("Gemm", [left, ...weights]);
  const y = graph.add("com.microsoft.QuickGelu", [linear], { alpha: { float: 1.5 } });
  const scaled = graph.add("Mul", [right, graph.constant("float32", [10])]);
  graph.output({ name: "y", type: "float32", shape: ["rows", 3] }, y);
  graph.output({ name: "z", type: "float32", shape: ["twice_rows"] }, graph.reshape(scaled, [-1]));
  return graph.bytes();
}
