/**
 * What the graphs of a FlexVAR model have of their own: where the position of the first token comes from.
 *
 * @module
 */

import { classConditionalGraphs } from "../class_conditional/graphs.ts";
import type { ModelWeights } from "../family.ts";
import type { WeightPlaces } from "../weights/weight_places.ts";
import { FLEXVAR_LAYOUT, type FlexVarConfig } from "./config.ts";

/** Builds the graphs by file name, and takes all tensors that they and the kernels use. */
export function flexVarGraphs(
  config: FlexVarConfig,
  weights: ModelWeights,
  places: Readonly<Record<string, WeightPlaces>>,
): Map<string, Uint8Array<ArrayBuffer>> {
  const { width, positionSide } = config;
  return classConditionalGraphs(config, weights, {
    places,
    layout: FLEXVAR_LAYOUT,
    // The map of positions at the size of one token.
    firstPosition: (graphWeights) => {
      const map = graphWeights.tensor("pos_1LC", [1, width, positionSide, positionSide]);
      return graphWeights.graph.add("ReduceMean", [map], { axes: [2, 3], keepdims: 0 });
    },
  });
}
