/**
 * What the graphs of a VAR model have of their own: where the position of the first token comes from; and the
 * tensors that its kernels read beside the graphs.
 *
 * @module
 */

import { TOKENIZER } from "../class_conditional/model.ts";
import { classConditionalGraphs } from "../class_conditional/graphs.ts";
import type { ModelWeights } from "../family.ts";
import type { GraphWeights } from "../graphs/graph_weights.ts";
import type { WeightPlaces } from "../weights/weight_places.ts";
import { VAR_LAYOUT, type VarConfig } from "./config.ts";
import { tokensOf } from "./patch_numbers.ts";

/** Builds the graphs by file name, and takes all tensors that they and the kernels use. */
export function varGraphs(
  config: VarConfig,
  weights: ModelWeights,
  places: Readonly<Record<string, WeightPlaces>>,
): Map<string, Uint8Array<ArrayBuffer>> {
  const { channels, residuals } = config.tokenizer;
  const tokenizer = weights[TOKENIZER]!.set;
  for (let i = 0; i < residuals; i++) {
    tokenizer.take(`quantize.quant_resi.qresi_ls.${i}.weight`, [channels, channels, 3, 3]);
    tokenizer.take(`quantize.quant_resi.qresi_ls.${i}.bias`, [channels]);
  }
  return classConditionalGraphs(config, weights, {
    places,
    layout: VAR_LAYOUT,
    firstPosition: (graphWeights) => firstPosition(config, graphWeights),
  });
}

/** The first of all positions, and the embedding of the first scale. */
function firstPosition({ width, patchNumbers }: VarConfig, weights: GraphWeights): string {
  const { graph } = weights;
  return graph.add("Add", [
    graph.add("Slice", [
      weights.tensor("pos_1LC", [1, tokensOf(patchNumbers), width]),
      graph.constant("int64", [0]),
      graph.constant("int64", [1]),
      graph.constant("int64", [1]),
    ]),
    graph.add("Slice", [
      weights.tensor("lvl_embed.weight", [patchNumbers.length, width]),
      graph.constant("int64", [0]),
      graph.constant("int64", [1]),
      graph.constant("int64", [0]),
    ]),
  ]);
}
