/**
 * What models of published sizes take, as far as VAR and FlexVAR add it up alike.
 *
 * @module
 */

import { type Autoencoder, pixelsPerToken, type TokenizerLevel } from "../autoencoder/config.ts";
import { decoderFlops } from "../autoencoder/flops.ts";
import { GUIDED_ROWS, rowFlops } from "../costs.ts";
import { neededBytes } from "../loading.ts";
import type { PublishedModel } from "../published_model.ts";
import { costsOf, type ModelSizes } from "./memory.ts";
import type { TransformerConfig } from "./transformer/config.ts";

/** The published transformer of a depth; 1000 classes, and 64 numbers a head. */
export function publishedTransformer(depth: number, sharedAdaptiveNorm: boolean): TransformerConfig {
  return {
    depth,
    width: 64 * depth,
    heads: depth,
    classes: 1000,
    sharedAdaptiveNorm,
    normalizedAttention: true,
  };
}

/** The levels of a published tokenizer's networks, by the channels of the finest. */
export function publishedNetworks(channels: number): Record<"decoder" | "encoder", TokenizerLevel[]> {
  const levels = (blocks: number): TokenizerLevel[] => {
    return [1, 1, 2, 2, 4].map((factor, level) => ({
      channels: factor * channels,
      blocks,
      attention: level === 4,
    }));
  };
  return { decoder: levels(3), encoder: levels(2) };
}

/** What a model of given sizes takes. */
export function publishedModel(name: string, sizes: ModelSizes, autoencoder: Autoencoder): PublishedModel {
  const { transformer, vocabulary, maps } = sizes;
  const costs = costsOf(sizes);
  const last = maps.at(-1)!;
  const factor = pixelsPerToken(autoencoder);
  const work = { ...transformer, logits: vocabulary, features: autoencoder.channels };
  return {
    name,
    picture: { width: factor * last.width, height: factor * last.height },
    scales: rowFlops(work, maps).map((flops) => GUIDED_ROWS * flops),
    decoder: decoderFlops({ ...autoencoder, middleAttention: true }, last),
    weights: costs.weights,
    bytes: (dtype, provider) => neededBytes(costs, provider)(dtype),
    largestArray: (dtype) => costs.largestArray(dtype),
  };
}
