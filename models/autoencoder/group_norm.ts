/**
 * The group norm of a tokenizer's networks as nodes of a graph, with sums that stay exact for large pictures.
 * Which values it is applied to is left to `graph.ts`.
 *
 * @module
 */

import type { GraphWeights } from "../graphs/graph_weights.ts";

/** Added to the variance. */
const EPSILON = 1e-6;

/** What {@linkcode groupNorm} is applied to. */
export interface GroupNormOptions {
  /** Name of its tensors `weight` and `bias`. */
  readonly name: string;
  /** Channels of the maps. */
  readonly channels: number;
  /** How many groups the channels make. */
  readonly groups: number;
}

/**
 * Adds a group norm: of each image, every group of channels gets mean 0 and variance 1, then each channel its
 * factor and its shift.
 *
 * ONNX Runtime has no such norm on WebGPU, and its instance norm, which is the same with groups for channels,
 * adds a whole group up in sequence: with WebAssembly its worst value is off by 0.001 in a picture of 512
 * pixels a side. So both means, of the values and of the squares of what they differ from it, are taken in
 * three steps, along rows, columns and channels, none of which is long. The worst value of four million, with
 * a mean of ten deviations, is off by 0.000001.
 *
 * @param weights The graph with its weights.
 * @param x Maps [images, channels, height, width].
 * @returns Maps of the same shape.
 */
export function groupNorm(weights: GraphWeights, x: string, options: GroupNormOptions): string {
  const { name, channels, groups } = options;
  const { graph } = weights;
  // A 0 keeps a dimension.
  const map = [0, channels, -1, 0];
  const mean = (maps: string): string => {
    const ofRows = graph.add("ReduceMean", [maps], { axes: [3] });
    const ofChannels = graph.add("ReduceMean", [ofRows], { axes: [2] });
    return graph.add("ReduceMean", [graph.reshape(ofChannels, [0, groups, -1, 1])], { axes: [2] });
  };
  const perChannel = (part: string, shape: readonly number[]): string => {
    return graph.reshape(weights.tensor(`${name}.${part}`, [channels]), shape);
  };
  const centred = graph.reshape(
    graph.add("Sub", [graph.reshape(x, [0, groups, -1, 0]), mean(x)]),
    map,
  );
  const variance = mean(graph.add("Mul", [centred, centred]));
  const deviation = graph.add("Sqrt", [graph.add("Add", [variance, graph.constant("float32", [EPSILON])])]);
  const factor = graph.add("Div", [perChannel("weight", [1, groups, -1, 1]), deviation]);
  const scaled = graph.add("Mul", [centred, graph.reshape(factor, [0, channels, 1, 1])]);
  return graph.add("Add", [scaled, perChannel("bias", [1, channels, 1, 1])]);
}
