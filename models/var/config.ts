/**
 * What a VAR model looks like: its sizes, read from the names and shapes of its tensors. Nothing is assumed
 * about depth, width, vocabulary, patch numbers or tokenizer levels.
 *
 * @module
 */

import { shown } from "../../kernels/arguments.ts";
import {
  type AutoencoderConfig,
  type AutoencoderLayout,
  isLevels,
  pixelsPerToken,
  readLevels,
} from "../autoencoder/config.ts";
import { autoencoderTensors } from "../autoencoder/tensors.ts";
import type { ModelWeights, PartWeights } from "../family.ts";
import type { ModelSizes } from "../class_conditional/memory.ts";
import type { MapSize } from "../schedule.ts";
import { ModelFileError } from "../model_file_error.ts";
import { layerTensors } from "../weights/model_tensor.ts";
import { isSize, isSizes, requireSizes, type SizeCheck } from "../folder/sizes.ts";
import {
  inferTransformer,
  TRANSFORMER_CHECKS,
  type TransformerConfig,
} from "../class_conditional/transformer/config.ts";
import { transformerTensors } from "../class_conditional/transformer/tensors.ts";
import { requireSameCodes } from "../class_conditional/codes.ts";
import type { WeightSet } from "../weights/weight_set.ts";
import { areInOrder, readPatchNumbers, tokensOf } from "./patch_numbers.ts";

/** The multi-scale VQVAE of a VAR model. */
export interface TokenizerConfig extends AutoencoderConfig {
  /** Codebook entries V. */
  readonly vocabulary: number;
  /** Number of shared φ convolutions. */
  readonly residuals: number;
}

/** The layout of VAR's tokenizer. */
export const VAR_LAYOUT: AutoencoderLayout = {
  levels: { decoder: "decoder.up", encoder: "encoder.down" },
  passed: false,
  residual: "block",
  middle: ["mid.block_1", "mid.attn_1", "mid.block_2"],
  fused: true,
  quantSide: 3,
  square: true,
};

/** A VAR model: class-conditional transformer and tokenizer. */
export interface VarConfig extends TransformerConfig {
  /** Sides of the token maps, coarse to fine. */
  readonly patchNumbers: readonly number[];
  /** The tokenizer. */
  readonly tokenizer: TokenizerConfig;
}

const CONFIG_CHECKS: Readonly<Record<keyof VarConfig, SizeCheck>> = {
  ...TRANSFORMER_CHECKS,
  patchNumbers: isSizes,
  tokenizer: (value) => typeof value === "object" && value !== null,
};
const TOKENIZER_CHECKS: Readonly<Record<Exclude<keyof TokenizerConfig, "latentChannels">, SizeCheck>> = {
  vocabulary: isSize,
  channels: isSize,
  residuals: isSize,
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
export function requireVarConfig(config: unknown, file: string): VarConfig {
  const place = { file, model: "a VAR model" };
  const sizes = requireSizes<VarConfig>(config, CONFIG_CHECKS, { ...place, path: "config" });
  if (!areInOrder(sizes.patchNumbers)) {
    throw new ModelFileError("Cannot use the sizes of the model", {
      file,
      expected: `"config.patchNumbers" that begin with 1 and never decrease`,
      found: shown(sizes.patchNumbers),
    });
  }
  requireSizes<Omit<TokenizerConfig, "latentChannels">>(sizes.tokenizer, TOKENIZER_CHECKS, {
    ...place,
    path: "config.tokenizer",
  });
  return sizes;
}

/** Token maps of square sides. */
export function squareMaps(patchNumbers: readonly number[]): MapSize[] {
  return patchNumbers.map((side) => ({ width: side, height: side }));
}

/** Side of the pictures in pixels; 0 for a model that can neither decode nor encode any. */
export function pictureSide(
  { patchNumbers, tokenizer }: Pick<VarConfig, "patchNumbers" | "tokenizer">,
): number {
  return patchNumbers.at(-1)! * pixelsPerToken(tokenizer);
}

/**
 * Reads the sizes of a VAR model from the parts that are there.
 *
 * @param weights Tensors of the transformer and of the VQVAE.
 * @param patchNumbers Sides of the token maps, where they are known; else the tensors tell them.
 * @throws {ModelFileError} If a tensor is missing or has an unexpected shape, or the parts do not fit.
 */
export async function inferVarConfig(
  { transformer, tokenizer }: ModelWeights,
  patchNumbers?: readonly number[],
): Promise<Partial<VarConfig>> {
  const config = {
    ...(transformer === undefined ? {} : await inferVarTransformer(transformer, patchNumbers)),
    ...(tokenizer === undefined ? {} : { tokenizer: inferTokenizer(tokenizer.set) }),
  };
  if (transformer !== undefined && tokenizer !== undefined) {
    const { width, tokenizer: codes } = config as VarConfig;
    requireSameCodes(transformer.set, tokenizer.set, { ...codes, width });
  }
  return config;
}

async function inferVarTransformer(
  transformer: PartWeights,
  known: readonly number[] | undefined,
): Promise<Omit<VarConfig, "tokenizer">> {
  const { set } = transformer;
  const { depth, width, heads, classes, ...flags } = inferTransformer(set);
  const [, tokens] = set.take("pos_1LC", [1, -1, width]) as [number, number];
  const [scales] = set.take("lvl_embed.weight", [-1, width]) as [number];
  const patchNumbers = known ?? await readPatchNumbers(transformer, { tokens, scales });
  const numbers = `the patch numbers ${shown(patchNumbers)}`;
  const require = (tensor: string, expected: readonly number[], found: readonly number[]): void => {
    if (`${expected}` === `${found}`) return;
    throw new ModelFileError(`Cannot use ${numbers} as they are not those of the transformer`, {
      file: set.file,
      tensor: set.fullName(tensor),
      expected: `[${expected.join(", ")}]`,
      found: `[${found.join(", ")}]`,
    });
  };
  require("pos_1LC", [1, tokensOf(patchNumbers), width], [1, tokens, width]);
  require("lvl_embed.weight", [patchNumbers.length, width], [scales, width]);
  return { depth, width, heads, classes, patchNumbers, ...flags };
}

function inferTokenizer(weights: WeightSet): TokenizerConfig {
  const [vocabulary, channels] = weights.take("quantize.embedding.weight", [-1, -1]) as [number, number];
  return {
    vocabulary,
    channels,
    residuals: weights.count((i) => `quantize.quant_resi.qresi_ls.${i}.`),
    decoder: readLevels("decoder", weights, VAR_LAYOUT),
    encoder: readLevels("encoder", weights, VAR_LAYOUT),
  };
}

/**
 * What the memory of a VAR model depends on, its tensors among it.
 *
 * @example The tokenizer of the published models
 * ```ts
 * import { varSizes } from "./config.ts";
 * import { elementsOf } from "../weights/model_tensor.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const levels = (blocks: number) => {
 *   return [160, 160, 320, 320, 640].map((channels, i) => ({ channels, blocks, attention: i === 4 }));
 * };
 * const { tensors } = varSizes({
 *   depth: 16,
 *   width: 1024,
 *   heads: 16,
 *   classes: 1000,
 *   patchNumbers: [1, 2, 3, 4, 5, 6, 8, 10, 13, 16],
 *   sharedAdaptiveNorm: false,
 *   normalizedAttention: true,
 *   tokenizer: { vocabulary: 4096, channels: 32, residuals: 4, decoder: levels(3), encoder: levels(2) },
 * });
 * assertEquals(elementsOf(tensors.tokenizer), 108_948_355);
 * ```
 */
export function varSizes(config: VarConfig): ModelSizes {
  const { width, patchNumbers, tokenizer } = config;
  const { vocabulary, channels, residuals, decoder } = tokenizer;
  return {
    transformer: config,
    vocabulary,
    maps: squareMaps(patchNumbers),
    decoder,
    tensors: {
      transformer: transformerTensors({ ...config, vocabulary, channels }, [
        { name: "pos_1LC", shape: [1, tokensOf(patchNumbers), width] },
        { name: "lvl_embed.weight", shape: [patchNumbers.length, width] },
      ]),
      tokenizer: [
        ...autoencoderTensors({ ...tokenizer, layout: VAR_LAYOUT }),
        ...Array.from({ length: residuals }, (_, i) => {
          return layerTensors(`quantize.quant_resi.qresi_ls.${i}`, [channels, channels, 3, 3]);
        }).flat(),
        { name: "quantize.embedding.weight", shape: [vocabulary, channels] },
      ],
    },
  };
}

/**
 * Which φ convolution serves which scale: the one whose tick is nearest to the scale's place between first
 * and last. Two scales of the published models lie exactly between two ticks, where the rounding of the
 * original decides; the same operations in the same order give the same choice here.
 *
 * @example The published table
 * ```ts
 * import { residualOfScale } from "./config.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const table = Array.from({ length: 10 }, (_, scale) => residualOfScale(scale, 10, 4));
 * assertEquals(table, [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]);
 * ```
 */
export function residualOfScale(scale: number, scales: number, residuals: number): number {
  if (residuals === 1) return 0;
  const first = residuals === 4 ? 1 / 3 / residuals : 1 / 2 / residuals;
  const step = (1 - first - first) / (residuals - 1);
  const place = scales === 1 ? 0 : scale / (scales - 1);
  let nearest = 0;
  let smallest = Infinity;
  for (let i = 0; i < residuals; i++) {
    const tick = i === residuals - 1 ? 1 - first : i * step + first;
    const distance = Math.abs(tick - place);
    if (distance < smallest) [nearest, smallest] = [i, distance];
  }
  return nearest;
}
