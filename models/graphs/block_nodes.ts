/**
 * Nodes that the transformer blocks of the VAR line have in common, whatever else is between them:
 * modulations of adaptive norms, and queries and keys of length 1 with a learnt scale.
 *
 * @module
 */

import type { GraphBuilder } from "./graph_builder.ts";

/** Layer norms add this to the variance. */
export const NORM_EPSILON = 1e-6;
/**
 * Added to the mean square of a query or key: keeps a zero vector at zero and is far below the rounding of
 * any other.
 */
const UNIT_EPSILON = 1e-30;
/** Upper bound of the learnt logarithm of the attention scale. */
const MAX_LOG_SCALE = Math.log(100);
/**
 * Parts of a block's modulation in their order: gate, gate, scale, scale, shift, shift. What is added: a
 * scale enters as 1 + s.
 */
export const BLOCK_ONES: readonly number[] = [0, 0, 1, 1, 0, 0];
/** Parts of the head's modulation: scale, shift. */
export const HEAD_ONES: readonly number[] = [1, 0];

/** Modulation [rows, parts * C] as [rows, parts, C], with ones added to some parts. */
export function modulate(
  graph: GraphBuilder,
  modulation: string,
  ones: readonly number[],
  width: number,
): string {
  const parts = ones.length;
  return graph.add("Add", [
    graph.reshape(modulation, [-1, parts, width]),
    graph.constant("float32", ones, [1, parts, 1]),
  ]);
}

/** What makes vectors of a width from those of mean square 1 ones of length 1. */
export function unitGain(graph: GraphBuilder, width: number): string {
  return graph.constant("float32", new Array(width).fill(1 / Math.sqrt(width)));
}

/** Vectors [rows, heads, width of a head] of length 1. */
export function unitHeads(
  graph: GraphBuilder,
  value: string,
  gain: string,
  [heads, width]: readonly [heads: number, width: number],
): string {
  return graph.add("SimplifiedLayerNormalization", [graph.reshape(value, [-1, heads, width]), gain], {
    axis: -1,
    epsilon: { float: UNIT_EPSILON },
  });
}

/** What scores are multiplied by, from its learnt logarithm. */
export function attentionScale(graph: GraphBuilder, logarithm: string): string {
  return graph.add("Exp", [graph.add("Min", [logarithm, graph.constant("float32", [MAX_LOG_SCALE])])]);
}
