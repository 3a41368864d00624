/**
 * What Infinity takes in the sizes in which it has been published.
 *
 * @module
 */

import { pixelsPerToken, type TokenizerLevel } from "../autoencoder/config.ts";
import { decoderFlops } from "../autoencoder/flops.ts";
import { GUIDED_ROWS, rowFlops } from "../costs.ts";
import { neededBytes } from "../loading.ts";
import type { PublishedModel } from "../published_model.ts";
import { featureMap, type InfinityConfig, PUBLISHED_SIZES } from "./config.ts";
import { INFINITY_LAYOUT } from "./layout.ts";
import { infinityCosts, infinityWork } from "./memory.ts";
import { usualMaps } from "./schedule.ts";

/** What the published transformers have beside depth and width, by name. */
const REST: Readonly<Record<string, { chunks: number; heads: number; bits: number }>> = {
  "125M": { chunks: 4, heads: 8, bits: 16 },
  "2B": { chunks: 8, heads: 16, bits: 32 },
  "8B": { chunks: 8, heads: 28, bits: 56 },
};

/** The published models, from the smallest on, in their usual sizes and without a text encoder. */
export function publishedInfinityModels(): readonly PublishedModel[] {
  return PUBLISHED_SIZES.map(({ name, depth, width, scales }) => {
    const { bits, ...rest } = REST[name]!;
    const patchify = bits === 56;
    // With a patch of two by two positions to a token there is a level less.
    const levels = [128, 256, 512, 512, 512].slice(0, patchify ? 4 : 5);
    const networks = (blocks: number): TokenizerLevel[] => {
      return levels.map((channels) => ({ channels, blocks, attention: false }));
    };
    const tokenizer = {
      channels: patchify ? bits / 4 : bits,
      decoder: networks(3),
      encoder: networks(2),
    };
    const config: InfinityConfig = {
      ...{ depth, width, hidden: 4 * width, ...rest, bits, scales, patchify, tokenizer },
      ...{ textChannels: 2048, poolHeads: 16, unconditionalRows: 512, levels: 15 },
    };
    return { ...infinityNeeds(`Infinity-${name}`, config), size: name };
  });
}

/** What a model of given sizes takes, with the text encoder that stands among them, or without. */
export function infinityNeeds(name: string, config: InfinityConfig): PublishedModel {
  const { scales, patchify, tokenizer } = config;
  const maps = usualMaps(scales);
  const decoded = featureMap(maps.at(-1)!, patchify);
  const factor = pixelsPerToken(tokenizer);
  const costs = infinityCosts(config);
  const work = { ...tokenizer, layout: INFINITY_LAYOUT, middleAttention: false };
  return {
    name,
    picture: { width: factor * decoded.width, height: factor * decoded.height },
    scales: rowFlops(infinityWork(config).transformer, maps).map((flops) => GUIDED_ROWS * flops),
    decoder: decoderFlops(work, decoded),
    weights: costs.weights,
    bytes: (dtype, provider) => neededBytes(costs, provider, maps)(dtype),
    largestArray: (dtype) => costs.largestArray(dtype, maps),
  };
}
