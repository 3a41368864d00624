/**
 * A linear layer as a product of integers: 8 bits with a scale for each output on one side, 8 bits with a
 * scale for each row on the other. Sums are exact, so a row's result is the same bits in any batch. Which
 * layers are computed so is told by how their weights are stored; who may ask for it, by `integer_speed.ts`.
 *
 * @module
 */

import { type GraphBuilder, MICROSOFT } from "./graph_builder.ts";

/** What stands for zero: processors multiply unsigned integers by signed ones. */
const ZERO = 128;
/** The largest integer beside it. */
const LARGEST = 127;
/** Added to a row's largest magnitude, so that a row of zeros is not divided by zero. */
const SMALLEST = 1e-30;

/** The weights of a linear layer, as names in a graph. */
export interface IntegerWeights {
  /** Integers, int8 [inputs, outputs]. */
  readonly weight: string;
  /** Scales, f32 [outputs]. */
  readonly scales: string;
  /** f32 [outputs]; none by default. */
  readonly bias?: string | undefined;
}

/**
 * Adds x[rows, inputs] times the weights to a graph, plus the bias.
 *
 * One scale for all rows, as `DynamicQuantizeMatMul` has, would make a picture depend on its batch, and the
 * largest value of one row would cost all others their bits. A scale for each row is taken out of the sums
 * instead: rounding by a vector of scales is one pass over `x`, and putting them back one over the result.
 */
export function integerProduct(
  graph: GraphBuilder,
  x: string,
  { weight, scales, bias }: IntegerWeights,
): string {
  const extent = { axes: [1], keepdims: 1 };
  const largest = graph.add("Max", [
    graph.add("ReduceMax", [x], extent),
    graph.add("Neg", [graph.add("ReduceMin", [x], extent)]),
    graph.constant("float32", [SMALLEST], []),
  ]);
  const steps = graph.add("Mul", [largest, graph.constant("float32", [1 / LARGEST], [])]);
  const stepOfRow = graph.reshape(steps, [-1]);
  const zeroOfRow = graph.add("Expand", [
    graph.constant("uint8", [ZERO]),
    graph.add("Shape", [stepOfRow]),
  ]);
  const rounded = graph.add("QuantizeLinear", [x, stepOfRow, zeroOfRow], { axis: 0 });
  const product = graph.add(`${MICROSOFT}.MatMulIntegerToFloat`, [
    rounded,
    weight,
    graph.constant("float32", [1], []),
    scales,
    graph.constant("uint8", [ZERO], []),
  ]);
  const scaled = graph.add("Mul", [product, steps]);
  return bias === undefined ? scaled : graph.add("Add", [scaled, bias]);
}
