/**
 * The sizes in which FlexVAR has been published.
 *
 * @module
 */

import { publishedModel, publishedNetworks, publishedTransformer } from "../class_conditional/published.ts";
import type { PublishedModel } from "../published_model.ts";
import { FLEXVAR_LAYOUT, type FlexVarConfig, flexVarSizes } from "./config.ts";

/** The published models, from the smallest on, at 256 by 256 pixels. */
export function publishedFlexVarModels(): readonly PublishedModel[] {
  const tokenizer = { vocabulary: 8912, channels: 32, latentChannels: 256, ...publishedNetworks(128) };
  return [16, 20, 24].map((depth) => {
    const config = { ...publishedTransformer(depth, false), positionSide: 32, tokenizer };
    return { ...flexVarNeeds(`FlexVAR-d${depth}`, config), size: depth };
  });
}

/** What a model of given sizes takes. */
export function flexVarNeeds(name: string, config: FlexVarConfig): PublishedModel {
  return publishedModel(name, flexVarSizes(config), { ...config.tokenizer, layout: FLEXVAR_LAYOUT });
}
