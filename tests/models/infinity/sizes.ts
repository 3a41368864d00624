/**
 * Sizes of the published Infinity models, and of one that is small enough for any test.
 *
 * @module
 */

import type { AutoencoderConfig } from "../../../models/autoencoder/config.ts";
import type { InfinityTransformerConfig } from "../../../models/infinity/config.ts";

const COMMON = { textChannels: 2048, poolHeads: 16, unconditionalRows: 512, levels: 15 } as const;

/** The published transformers by name. */
export const PUBLISHED: Readonly<Record<string, InfinityTransformerConfig>> = {
  "125M": { ...COMMON, depth: 12, chunks: 4, width: 768, heads: 8, hidden: 3072, bits: 16 },
  "2B": { ...COMMON, depth: 32, chunks: 8, width: 2048, heads: 16, hidden: 8192, bits: 32 },
  "8B": { ...COMMON, depth: 40, chunks: 8, width: 3584, heads: 28, hidden: 14336, bits: 56 },
};

/** The tokenizer that belongs to a published transformer. */
export function publishedTokenizer(name: string): AutoencoderConfig {
  const levels = (blocks: number): { channels: number; blocks: number; attention: boolean }[] => {
    return [128, 256, 512, 512, 512].slice(0, name === "8B" ? 4 : 5)
      .map((channels) => ({ channels, blocks, attention: false }));
  };
  const channels = { "125M": 16, "2B": 32, "8B": 14 }[name]!;
  return { channels, decoder: levels(3), encoder: levels(2) };
}

/** A small transformer. */
export const SMALL: InfinityTransformerConfig = {
  ...{ depth: 4, chunks: 2, width: 16, heads: 2, hidden: 24, bits: 8 },
  ...{ textChannels: 16, poolHeads: 2, unconditionalRows: 12, levels: 15 },
};

/** The tokenizer of the small transformer, of two pixels a token. */
export const SMALL_NETWORKS: AutoencoderConfig = {
  channels: 8,
  decoder: [32, 32].map((channels) => ({ channels, blocks: 1, attention: false })),
  encoder: [32, 32].map((channels) => ({ channels, blocks: 1, attention: false })),
};
