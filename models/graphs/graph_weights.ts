/**
 * A graph together with the weights that it takes: what the builders of every family's graphs share. What a
 * graph computes is theirs.
 *
 * @module
 */

import { GraphBuilder, MICROSOFT } from "./graph_builder.ts";
import { integerProduct } from "./integer_product.ts";
import type { WeightPlaces } from "../weights/weight_places.ts";
import { BLOCK, SCALES } from "../weights/quantize.ts";
import type { WeightSet } from "../weights/weight_set.ts";

/** A graph builder that takes its weights from a set and asserts their shapes. */
export class GraphWeights {
  /** The graph. */
  readonly graph: GraphBuilder;
  readonly #set: WeightSet;
  readonly #places: WeightPlaces;

  /**
   * Begins a graph.
   *
   * @param name Its name.
   * @param set The tensors that are there.
   * @param places Where the bytes of each lie.
   */
  constructor(name: string, set: WeightSet, places: WeightPlaces) {
    this.graph = new GraphBuilder(name);
    this.#set = set;
    this.#places = places;
  }

  /** Whether there is a tensor whose name begins so. */
  hasAny(prefix: string): boolean {
    return this.#set.hasAny(prefix);
  }

  /** Shape of a tensor that the graph does not read itself; -1 in `expected` is any size. */
  shape(name: string, expected: readonly number[]): readonly number[] {
    return this.#set.take(name, expected);
  }

  /** A tensor of exactly this shape. */
  tensor(name: string, shape: readonly number[]): string {
    this.#set.take(name, shape);
    return this.graph.weight(name, this.#places(name));
  }

  /**
   * x[rows, inputs] times the transposed weight of a linear layer, plus its bias, with sums in f32 however
   * the weight is stored. A layer without a bias is given `null` for it.
   *
   * Halves are cast before a product of floats. A product of halves needs no cast, but ONNX Runtime's WebGPU
   * provider then sums in halves, too: with 1024 inputs the result is off by 0.0024 of its size instead of
   * the 0.0002 that the rounded weights make. Integers are multiplied by their scales inside the product;
   * `accuracy_level` 4 would round activations to 8 bits where the provider can, which makes an error of
   * 0.0054, as large as that of 8-bit weights. Integers with a scale for each output are what is stored where
   * activations are rounded, too.
   */
  linear(
    x: string,
    name: string,
    inputs: number,
    outputs: number,
    bias: string | null = this.tensor(`${name}.bias`, [outputs]),
  ): string {
    const weight = this.tensor(`${name}.weight`, [outputs, inputs]);
    const { type, shape } = this.#places(`${name}.weight`);
    const added = bias === null ? [] : [bias];
    if (type !== "uint8" && type !== "int8") {
      return this.graph.add("Gemm", [x, weight, ...added], { transB: 1 });
    }
    const scalesName = `${name}.weight${SCALES}`;
    const scales = this.graph.weight(scalesName, this.#places(scalesName));
    if (type === "int8") return integerProduct(this.graph, x, { weight, scales, bias: added[0] });
    return this.graph.add(`${MICROSOFT}.MatMulNBits`, [x, weight, scales, "", "", ...added], {
      K: inputs,
      N: outputs,
      bits: shape[2]! * 8 / BLOCK,
      block_size: BLOCK,
    });
  }

  /** x · sigmoid(x). */
  silu(x: string): string {
    return this.graph.add(`${MICROSOFT}.QuickGelu`, [x], { alpha: { float: 1 } });
  }
}
