/**
 * The sizes in which VAR has been published.
 *
 * @module
 */

import { publishedModel, publishedNetworks, publishedTransformer } from "../class_conditional/published.ts";
import type { PublishedModel } from "../published_model.ts";
import { VAR_LAYOUT, type VarConfig, varSizes } from "./config.ts";
import { PUBLISHED_PATCH_NUMBERS } from "./patch_numbers.ts";

/** The depth whose model paints 512 by 512 pixels, with one adaptive norm for all blocks. */
const LARGE_DEPTH = 36;

/** The published models, from the smallest on. */
export function publishedVarModels(): readonly PublishedModel[] {
  const tokenizer = { vocabulary: 4096, channels: 32, residuals: 4, ...publishedNetworks(160) };
  return [16, 20, 24, 30, LARGE_DEPTH].map((depth) => {
    const large = depth === LARGE_DEPTH;
    const patchNumbers = PUBLISHED_PATCH_NUMBERS[large ? 2240 : 680]!;
    const config = { ...publishedTransformer(depth, large), patchNumbers, tokenizer };
    return { ...varNeeds(`VAR-d${depth}`, config), size: depth };
  });
}

/** What a model of given sizes takes. */
export function varNeeds(name: string, config: VarConfig): PublishedModel {
  return publishedModel(name, varSizes(config), { ...config.tokenizer, layout: VAR_LAYOUT });
}
