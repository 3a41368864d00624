/**
 * What a VAR model looks like: its sizes, read from the names and shapes of its tensors. Nothing is assumed about depth, width,
 * vocabulary, patch numbers or tokenizer levels.
 *
 * @module
 */

import { ModelFileError } from "../model_file_error.ts";
import type { WeightSet } from "../weights.ts";

/** One resolution of the tokenizer's convolutional networks. */
export interface TokenizerLevel {
  /** Channels inside the level. */
  readonly channels: number;
  /** Residual blocks. */
  readonly blocks: number;
  /** Whether an attention block follows each residual block. */
  readonly attention: boolean;
}

/** The multi-scale VQVAE of a VAR model. */
export interface TokenizerConfig {
  /** Codebook entries V. */
  readonly vocabulary: number;
  /** Channels of a code, Cvae. */
  readonly channels: number;
  /** Number of shared φ convolutions. */
  readonly residuals: number;
  /** Decoder levels from the finest to the coarsest, or `null` where the file has none. */
  readonly decoder: readonly TokenizerLevel[] | null;
  /** Encoder levels from the finest to the coarsest, or `null` where the file has none. */
  readonly encoder: readonly TokenizerLevel[] | null;
}

/** A VAR model: class-conditional transformer and tokenizer. */
export interface VarConfig {
  /** Transformer blocks. */
  readonly depth: number;
  /** Width C. */
  readonly width: number;
  /** Attention heads. */
  readonly heads: number;
  /** Classes, the null class of guidance not counted. */
  readonly classes: number;
  /** Sides of the token maps, coarse to fine. */
  readonly patchNumbers: readonly number[];
  /** Whether one adaLN projection serves all blocks (the 512 px model). */
  readonly sharedAdaptiveNorm: boolean;
  /** Whether queries and keys are normalised to unit length. */
  readonly normalizedAttention: boolean;
  /** The tokenizer. */
  readonly tokenizer: TokenizerConfig;
}

type Check = (value: unknown) => boolean;

const isSize: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 1;
const isFlag: Check = (value) => typeof value === "boolean";
const isObject: Check = (value) => typeof value === "object" && value !== null;
const isSizes: Check = (value) => Array.isArray(value) && value.length > 0 && value.every(isSize);
const isLevel: Check = (value) => {
  const { channels, blocks, attention } = (value ?? {}) as Partial<TokenizerLevel>;
  return isSize(channels) && isSize(blocks) && isFlag(attention);
};
const isLevels: Check = (value) => {
  return value === null || (Array.isArray(value) && value.length > 0 && value.every(isLevel));
};

const CONFIG_CHECKS: Readonly<Record<keyof VarConfig, Check>> = {
  depth: isSize,
  width: isSize,
  heads: isSize,
  classes: isSize,
  patchNumbers: isSizes,
  sharedAdaptiveNorm: isFlag,
  normalizedAttention: isFlag,
  tokenizer: isObject,
};
const TOKENIZER_CHECKS: Readonly<Record<keyof TokenizerConfig, Check>> = {
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
  const demand = (value: unknown, name: string, check: Check): void => {
    if (check(value)) return;
    throw new ModelFileError("Cannot use the sizes of the model", {
      file,
      expected: `a VAR model's "${name}"`,
      found: JSON.stringify(value)?.slice(0, 80) ?? "nothing",
    });
  };
  demand(config, "config", isObject);
  const sizes = config as VarConfig;
  for (const [name, check] of Object.entries(CONFIG_CHECKS)) {
    demand(sizes[name as keyof VarConfig], `config.${name}`, check);
  }
  for (const [name, check] of Object.entries(TOKENIZER_CHECKS)) {
    demand(sizes.tokenizer[name as keyof TokenizerConfig], `config.tokenizer.${name}`, check);
  }
  return sizes;
}

/**
 * Checks that a model has the depth that was asked for.
 *
 * @param model What it is called, and its depth.
 * @param depth The depth that it must have; any by default.
 * @param action What cannot be done otherwise, for the message.
 * @throws {RangeError} If it has another one.
 */
export function requireDepth(
  model: { readonly name: string; readonly depth: number },
  depth: number | undefined,
  action: string,
): void {
  if (depth === undefined || depth === model.depth) return;
  throw new RangeError(
    `Cannot ${action} the model "${model.name}" as depth must be its own, ${model.depth}: current value is ${depth}`,
  );
}

/** Width of one attention head where the file does not tell the number of heads. */
const HEAD_WIDTH = 64;

/** Patch numbers of the published models by number of tokens. */
export const PUBLISHED_PATCH_NUMBERS: Readonly<Record<number, readonly number[]>> = {
  680: [1, 2, 3, 4, 5, 6, 8, 10, 13, 16],
  2240: [1, 2, 3, 4, 6, 9, 13, 18, 24, 32],
};

/**
 * Sides of the token maps from the scale of each token (the buffer `lvl_1L`).
 *
 * @throws {ModelFileError} If the numbers do not describe square maps.
 */
export function patchNumbersOf(scales: ArrayLike<number>, file: string): number[] {
  const counts: number[] = [];
  for (let i = 0; i < scales.length; i++) counts[scales[i]!] = (counts[scales[i]!] ?? 0) + 1;
  const sides = Array.from(counts, (count) => Math.sqrt(count ?? 0));
  if (sides.length === 0 || sides.some((side) => side < 1 || !Number.isInteger(side))) {
    throw new ModelFileError("Cannot read the patch numbers", {
      file,
      tensor: "lvl_1L",
      expected: "a square number of tokens on every scale",
      found: Array.from(counts, (count) => count ?? 0).join(", "),
    });
  }
  return sides;
}

/**
 * Reads the sizes of a VAR model from its two sets of tensors.
 *
 * @param transformer Tensors of the transformer.
 * @param tokenizer Tensors of the VQVAE.
 * @param options What the shapes alone do not tell.
 * @throws {ModelFileError} If a tensor is missing or has an unexpected shape.
 */
export function inferVarConfig(
  transformer: WeightSet,
  tokenizer: WeightSet,
  options: { scales?: ArrayLike<number> } = {},
): VarConfig {
  return {
    ...inferTransformerConfig(transformer, options),
    tokenizer: inferTokenizerConfig(tokenizer),
  };
}

/** Reads the sizes of a transformer; see {@linkcode inferVarConfig}. */
export function inferTransformerConfig(
  transformer: WeightSet,
  options: { scales?: ArrayLike<number> } = {},
): Omit<VarConfig, "tokenizer"> {
  const [, , width] = transformer.take("pos_start", [1, 1, -1]) as [number, number, number];
  const [, length] = transformer.take("pos_1LC", [1, -1, width]) as [number, number];
  const patchNumbers = options.scales === undefined
    ? PUBLISHED_PATCH_NUMBERS[length]
    : patchNumbersOf(options.scales, transformer.file);
  if (patchNumbers === undefined) {
    throw new ModelFileError("Cannot tell the patch numbers", {
      file: transformer.file,
      tensor: transformer.fullName("lvl_1L"),
      expected: `the scale of each of the ${length} tokens`,
    });
  }
  const tokens = patchNumbers.reduce((sum, side) => sum + side * side, 0);
  transformer.take("pos_1LC", [1, tokens, width]);
  transformer.take("lvl_embed.weight", [patchNumbers.length, width]);
  const [classRows] = transformer.take("class_emb.weight", [-1, width]) as [number];
  const normalizedAttention = transformer.has("blocks.0.attn.scale_mul_1H11");
  const heads = normalizedAttention
    ? transformer.take("blocks.0.attn.scale_mul_1H11", [1, -1, 1, 1])[1]!
    : width / HEAD_WIDTH;
  if (!Number.isInteger(heads) || width % heads !== 0) {
    throw new ModelFileError("Cannot tell the number of attention heads", {
      file: transformer.file,
      expected: `a divisor of the width ${width}`,
      found: String(heads),
    });
  }
  return {
    depth: transformer.count((i) => `blocks.${i}.`),
    width,
    heads,
    classes: classRows - 1,
    patchNumbers,
    sharedAdaptiveNorm: transformer.has("shared_ada_lin.1.weight"),
    normalizedAttention,
  };
}

/** Reads the sizes of a VQVAE; see {@linkcode inferVarConfig}. */
export function inferTokenizerConfig(weights: WeightSet): TokenizerConfig {
  const [vocabulary, channels] = weights.take("quantize.embedding.weight", [-1, -1]) as [number, number];
  const residuals = weights.count((i) => `quantize.quant_resi.qresi_ls.${i}.`);
  const levels = (network: string, list: string): TokenizerLevel[] | null => {
    const count = weights.count((i) => `${network}.${list}.${i}.`);
    if (count === 0) return null;
    return Array.from({ length: count }, (_, i) => {
      const level = `${network}.${list}.${i}`;
      return {
        channels: weights.take(`${level}.block.0.conv2.weight`, [-1, -1, 3, 3])[0]!,
        blocks: weights.count((j) => `${level}.block.${j}.`),
        attention: weights.hasAny(`${level}.attn.`),
      };
    });
  };
  return {
    vocabulary,
    channels,
    residuals,
    decoder: levels("decoder", "up"),
    encoder: levels("encoder", "down"),
  };
}

/**
 * Which φ convolution serves which scale: the one whose tick is nearest to the scale's place between first and last. Two scales of
 * the published models lie exactly between two ticks, where the rounding of the original decides; the same operations in the same
 * order give the same choice here.
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
