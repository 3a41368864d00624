/**
 * The graph of one stage of a decoder that is run strip by strip: some rows of a map go in with the row above
 * and the one below, and rows of the next map come out.
 *
 * @module
 */

import { GraphWeights } from "../graphs/graph_weights.ts";
import type { WeightPlaces } from "../weights/weight_places.ts";
import type { WeightSet } from "../weights/weight_set.ts";
import type { DecoderStage } from "./decoder_stages.ts";
import { enlargingConvolution } from "./enlarging.ts";
import { GROUPS } from "./graph.ts";
import { groupMoments, mergedNorm } from "./group_norm.ts";

/** A place beyond the end of every map. */
const END = 2 ** 31 - 1;

/**
 * Builds the graph of a stage. Its inputs are, for a strip of h rows of a map of width w that has n strips:
 *
 * - `rows` [1, inputs, h, w]: the strip.
 * - `above` and `below` [1, inputs, 1, w]: the rows beside it, any where there are none; `has_above` and
 *   `has_below` [1] are 1, or 0 where there are none.
 * - `moments` [n, 2 · groups] and `shares` [1, n] of all strips, if the stage has a norm.
 * - `begin` and `end` [1], integers, if it has none: the stretch of strip and neighbours that is used.
 * - `kept` [1, outputs, h, w]: what is added, if the stage adds.
 *
 * Its outputs:
 *
 * - `result` [1, outputs, …]: the rows of the next map; `first` and `last` are its outermost rows.
 * - `result_moments` [2 · groups], if a norm follows.
 * - `shortcut` [1, outputs, h, w], if the stage keeps the map by a convolution.
 */
export function stageGraph(
  stage: DecoderStage,
  set: WeightSet,
  places: WeightPlaces,
): Uint8Array<ArrayBuffer> {
  const { convolution, norm, inputs, outputs, enlarges, keeps, adds, measures } = stage;
  const weights = new GraphWeights(convolution, set, places);
  const { graph } = weights;
  const input = (name: string, shape: readonly (number | string)[]): string => {
    return graph.input({ name, type: "float32", shape });
  };
  const slice = (x: string, begin: string, end: string): string => {
    return graph.add("Slice", [x, begin, end, graph.constant("int64", [2])]);
  };
  const from = (x: string, begin: number, end: number): string => {
    return slice(x, graph.constant("int64", [begin]), graph.constant("int64", [end]));
  };

  const rows = input("rows", [1, inputs, "rows", "columns"]);
  const beside = ["above", "below"].map((name) => ({
    row: input(name, [1, inputs, 1, "columns"]),
    exists: input(`has_${name}`, [1]),
  }));
  let framed: string;
  if (norm === undefined) {
    const [above, below] = beside.map(({ row, exists }) => graph.add("Mul", [row, exists]));
    const begin = graph.input({ name: "begin", type: "int64", shape: [1] });
    const end = graph.input({ name: "end", type: "int64", shape: [1] });
    framed = slice(graph.add("Concat", [above!, rows, below!], { axis: 2 }), begin, end);
  } else {
    const stretches = {
      moments: input("moments", ["strips", 2 * GROUPS]),
      shares: input("shares", [1, "strips"]),
    };
    const normal = mergedNorm(weights, stretches, { name: norm, channels: inputs, groups: GROUPS });
    const active = (x: string): string => weights.silu(normal(x));
    // There are zeros beyond the map, not what a norm makes of them.
    const [above, below] = beside.map(({ row, exists }) => graph.add("Mul", [active(row), exists]));
    framed = graph.add("Concat", [above!, active(rows), below!], { axis: 2 });
  }
  let result = enlarges
    ? enlargingConvolution(weights, framed, {
      name: convolution,
      inputs,
      outputs,
      rows: [from(framed, 0, -1), from(framed, 1, END)],
    })
    : graph.add("Conv", [
      framed,
      weights.tensor(`${convolution}.weight`, [outputs, inputs, 3, 3]),
      weights.tensor(`${convolution}.bias`, [outputs]),
    ], { kernel_shape: [3, 3], strides: [1, 1], pads: [0, 1, 0, 1] });
  if (adds) result = graph.add("Add", [input("kept", [1, outputs, "rows", "columns"]), result]);

  const output = (name: string, height: string | number, value: string): void => {
    graph.output({ name, type: "float32", shape: [1, outputs, height, "width"] }, value);
  };
  output("result", "height", result);
  output("first", 1, from(result, 0, 1));
  output("last", 1, from(result, -1, END));
  if (measures) {
    const moments = groupMoments(graph, result, { channels: outputs, groups: GROUPS });
    graph.output({ name: "result_moments", type: "float32", shape: [2 * GROUPS] }, moments);
  }
  if (typeof keeps === "string") {
    const shortcut = graph.add("Conv", [
      rows,
      weights.tensor(`${keeps}.weight`, [outputs, inputs, 1, 1]),
      weights.tensor(`${keeps}.bias`, [outputs]),
    ], { kernel_shape: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0] });
    output("shortcut", "height", shortcut);
  }
  return graph.bytes();
}
