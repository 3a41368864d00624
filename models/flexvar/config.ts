/**
 * What a FlexVAR model looks like: its sizes, read from the names and shapes of its tensors. Nothing is
 * assumed about depth, width, vocabulary, positions or tokenizer levels.
 *
 * @module
 */

import {
  type AutoencoderConfig,
  type AutoencoderLayout,
  isLevels,
  readLevels,
} from "../autoencoder/config.ts";
import { autoencoderTensors } from "../autoencoder/tensors.ts";
import { requireSameCodes } from "../class_conditional/codes.ts";
import type { ModelSizes } from "../class_conditional/memory.ts";
import type { ModelWeights } from "../family.ts";
import { isSize, requireSizes, type SizeCheck } from "../folder/sizes.ts";
import {
  inferTransformer,
  TRANSFORMER_CHECKS,
  type TransformerConfig,
} from "../class_conditional/transformer/config.ts";
import { transformerTensors } from "../class_conditional/transformer/tensors.ts";
import type { WeightSet } from "../weights/weight_set.ts";
import { PATCH_NUMBERS } from "./schedule.ts";

/** The tokenizer of a FlexVAR model, whose token maps are all pictures by themselves. */
export interface FlexVarTokenizerConfig extends AutoencoderConfig {
  /** Codebook entries V. */
  readonly vocabulary: number;
  /** Channels between a network and the convolution beside it. */
  readonly latentChannels: number;
}

/** Kernel of the convolutions between the networks and the codes. */
const QUANT_SIDE = 1;

/** The layout of FlexVAR's tokenizer. */
export const FLEXVAR_LAYOUT: AutoencoderLayout = {
  levels: { decoder: "decoder.conv_blocks", encoder: "encoder.conv_blocks" },
  passed: true,
  residual: "res",
  middle: ["mid.0", "mid.1", "mid.2"],
  fused: false,
  quantSide: QUANT_SIDE,
  square: false,
};

/** A FlexVAR model: class-conditional transformer and tokenizer. */
export interface FlexVarConfig extends TransformerConfig {
  /** Side of the learnt map of positions, which is resized for each token map. */
  readonly positionSide: number;
  /** The tokenizer. */
  readonly tokenizer: FlexVarTokenizerConfig;
}

const isObject: SizeCheck = (value) => typeof value === "object" && value !== null;

const CONFIG_CHECKS: Readonly<Record<keyof FlexVarConfig, SizeCheck>> = {
  ...TRANSFORMER_CHECKS,
  positionSide: isSize,
  tokenizer: isObject,
};
const TOKENIZER_CHECKS: Readonly<Record<keyof FlexVarTokenizerConfig, SizeCheck>> = {
  vocabulary: isSize,
  channels: isSize,
  latentChannels: isSize,
  decoder: isLevels,
  encoder: isLevels,
};

/**
 * Checks the sizes that a model folder's description gives.
 *
 * @param config What stands under `config`.
 * @param file The description's path or URL, for messages.
 * @throws {ModelFileError} Naming the first size that is missing or none.
 */
export function requireFlexVarConfig(config: unknown, file: string): FlexVarConfig {
  const place = { file, model: "a FlexVAR model" };
  const sizes = requireSizes<FlexVarConfig>(config, CONFIG_CHECKS, { ...place, path: "config" });
  requireSizes<FlexVarTokenizerConfig>(sizes.tokenizer, TOKENIZER_CHECKS, {
    ...place,
    path: "config.tokenizer",
  });
  return sizes;
}

/**
 * Reads the sizes of a FlexVAR model from the parts that are there.
 *
 * @throws {ModelFileError} If a tensor is missing or has an unexpected shape, or the parts do not fit.
 */
export function inferFlexVarConfig({ transformer, tokenizer }: ModelWeights): Partial<FlexVarConfig> {
  const config: Partial<FlexVarConfig> = {
    ...(transformer && inferFlexVarTransformer(transformer.set)),
    ...(tokenizer && { tokenizer: inferFlexVarTokenizer(tokenizer.set) }),
  };
  if (transformer && tokenizer) {
    const { width, tokenizer: codes } = config as FlexVarConfig;
    requireSameCodes(transformer.set, tokenizer.set, { ...codes, width });
  }
  return config;
}

/**
 * Reads the sizes of a transformer from its tensors.
 *
 * @throws {ModelFileError} If a tensor is missing or has an unexpected shape.
 */
export function inferFlexVarTransformer(set: WeightSet): Omit<FlexVarConfig, "tokenizer"> {
  const sizes = inferTransformer(set);
  const positionSide = set.take("pos_1LC", [1, sizes.width, -1, -1])[2]!;
  set.take("pos_1LC", [1, sizes.width, positionSide, positionSide]);
  return { ...sizes, positionSide };
}

/**
 * Reads the sizes of a tokenizer from its tensors.
 *
 * @throws {ModelFileError} If a tensor is missing or has an unexpected shape.
 */
export function inferFlexVarTokenizer(set: WeightSet): FlexVarTokenizerConfig {
  const [vocabulary, channels] = set.take("quantize.embedding.weight", [-1, -1]) as [number, number];
  const latentChannels = set.has("post_quant_conv.weight")
    ? set.take("post_quant_conv.weight", [-1, channels, QUANT_SIDE, QUANT_SIDE])[0]!
    : set.has("quant_conv.weight")
    ? set.take("quant_conv.weight", [channels, -1, QUANT_SIDE, QUANT_SIDE])[1]!
    : channels;
  return {
    vocabulary,
    channels,
    latentChannels,
    decoder: readLevels("decoder", set, FLEXVAR_LAYOUT),
    encoder: readLevels("encoder", set, FLEXVAR_LAYOUT),
  };
}

/**
 * What a model's memory depends on.
 *
 * @example The tensors of the published models
 * ```ts
 * import { flexVarSizes } from "./config.ts";
 * import { elementsOf } from "../weights/model_tensor.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const levels = (blocks: number) => {
 *   return [128, 128, 256, 256, 512].map((channels, i) => ({ channels, blocks, attention: i === 4 }));
 * };
 * const { tensors } = flexVarSizes({
 *   depth: 16,
 *   width: 1024,
 *   heads: 16,
 *   classes: 1000,
 *   sharedAdaptiveNorm: false,
 *   normalizedAttention: true,
 *   positionSide: 32,
 *   tokenizer: {
 *     vocabulary: 8912,
 *     channels: 32,
 *     latentChannels: 256,
 *     decoder: levels(3),
 *     encoder: levels(2),
 *   },
 * });
 * assertEquals(elementsOf(tensors.transformer), 315_561_936);
 * assertEquals(elementsOf(tensors.tokenizer), 72_049_827);
 * ```
 */
export function flexVarSizes(config: FlexVarConfig): ModelSizes {
  const { tokenizer, positionSide, ...transformer } = config;
  const { vocabulary, channels, decoder } = tokenizer;
  const positions = { name: "pos_1LC", shape: [1, transformer.width, positionSide, positionSide] };
  return {
    transformer,
    vocabulary,
    maps: PATCH_NUMBERS.map((side) => ({ width: side, height: side })),
    decoder,
    tensors: {
      transformer: transformerTensors({ ...transformer, vocabulary, channels }, [positions]),
      tokenizer: [
        { name: "quantize.embedding.weight", shape: [vocabulary, channels] },
        ...autoencoderTensors({ ...tokenizer, layout: FLEXVAR_LAYOUT }),
      ],
    },
  };
}
