/**
 * The group norm of a tokenizer's networks as nodes of a graph, with sums that stay exact for large pictures.
 * Which values it is applied to is left to `graph.ts`.
 *
 * @module
 */

import type { GraphBuilder } from "../graphs/graph_builder.ts";
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
  /** Names of the maps' sides, to tell the runtime how large they are. */
  readonly sides?: readonly [height: string, width: string] | undefined;
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
  const { centred, variance } = momentsOf(graph, x, options);
  const deviation = deviationOf(graph, variance);
  const factor = graph.add("Div", [
    perChannel(weights, `${name}.weight`, channels, [1, groups, -1, 1]),
    deviation,
  ]);
  const scaled = graph.add("Mul", [centred, graph.reshape(factor, [0, channels, 1, 1])]);
  return graph.add("Add", [scaled, perChannel(weights, `${name}.bias`, channels, [1, channels, 1, 1])]);
}

/**
 * Adds what {@linkcode mergedNorm} has to know of a stretch of an image's rows.
 *
 * @param x Maps [1, channels, rows, width].
 * @returns Means of the groups, then their variances, [2 · groups].
 */
export function groupMoments(
  graph: GraphBuilder,
  x: string,
  options: Omit<GroupNormOptions, "name">,
): string {
  const { mean, variance } = momentsOf(graph, x, options);
  return graph.reshape(graph.add("Concat", [mean, variance], { axis: 1 }), [-1]);
}

/** An image in stretches of rows, as {@linkcode mergedNorm} sees it. */
export interface Stretches {
  /** Moments of all of them, [stretches, 2 · groups]. */
  readonly moments: string;
  /** Which part of the rows each of them has, [1, stretches]. */
  readonly shares: string;
}

/**
 * Adds the group norm of an image of which one stretch is there, and the moments of all.
 *
 * The variance about the mean of all is what the stretches' variances about their own means and the
 * distances of these add up to, so the sums are over the whole image, in the order of the stretches, and as
 * exact as where it is in one piece.
 *
 * @returns A function that adds the norm of rows of the image.
 */
export function mergedNorm(
  weights: GraphWeights,
  { moments, shares }: Stretches,
  { name, channels, groups }: GroupNormOptions,
): (x: string) => string {
  const { graph } = weights;
  const [means, variances] = graph.split(moments, 2, 1) as [string, string];
  const mean = graph.add("MatMul", [shares, means]);
  const apart = graph.add("Sub", [means, mean]);
  const variance = graph.add("MatMul", [
    shares,
    graph.add("Add", [variances, graph.add("Mul", [apart, apart])]),
  ]);
  const grouped = [1, groups, -1, 1];
  const factor = graph.add("Div", [
    perChannel(weights, `${name}.weight`, channels, grouped),
    graph.reshape(deviationOf(graph, variance), grouped),
  ]);
  const shift = graph.add("Sub", [
    perChannel(weights, `${name}.bias`, channels, grouped),
    graph.add("Mul", [graph.reshape(mean, grouped), factor]),
  ]);
  const factors = graph.reshape(factor, [1, channels, 1, 1]);
  const shifts = graph.reshape(shift, [1, channels, 1, 1]);
  return (x) => graph.add("Add", [graph.add("Mul", [x, factors]), shifts]);
}

/** Values without the mean of their group, mean and variance. */
function momentsOf(
  graph: GraphBuilder,
  x: string,
  { channels, groups, sides }: Omit<GroupNormOptions, "name">,
): { centred: string; mean: string; variance: string } {
  const meanOf = (maps: string): string => {
    const ofRows = graph.add("ReduceMean", [maps], { axes: [3] });
    const ofChannels = graph.add("ReduceMean", [ofRows], { axes: [2] });
    return graph.add("ReduceMean", [graph.reshape(ofChannels, [0, groups, -1, 1])], { axes: [2] });
  };
  // A 0 keeps a dimension.
  const divided = graph.sized(
    graph.reshape(x, [0, groups, -1, 0]),
    sides && ["images", groups, `${channels / groups} × ${sides[0]}`, sides[1]],
  );
  const mean = meanOf(x);
  const centred = graph.sized(
    graph.reshape(graph.add("Sub", [divided, mean]), [0, channels, -1, 0]),
    sides && ["images", channels, ...sides],
  );
  return { centred, mean, variance: meanOf(graph.add("Mul", [centred, centred])) };
}

function deviationOf(graph: GraphBuilder, variance: string): string {
  return graph.add("Sqrt", [graph.add("Add", [variance, graph.constant("float32", [EPSILON])])]);
}

function perChannel(weights: GraphWeights, name: string, channels: number, shape: readonly number[]): string {
  return weights.graph.reshape(weights.tensor(name, [channels]), shape);
}
