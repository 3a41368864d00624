/**
 * Sizes of the class-conditional transformer that VAR and FlexVAR share, read from the names and shapes of
 * its tensors. Which positions it knows, and what its tokens are, is left to the families.
 *
 * @module
 */

import { ModelFileError } from "../../model_file_error.ts";
import { isFlag, isSize, type SizeCheck } from "../../folder/sizes.ts";
import type { WeightSet } from "../../weights/weight_set.ts";

/** A class-conditional transformer. */
export interface TransformerConfig {
  /** Transformer blocks. */
  readonly depth: number;
  /** Width C. */
  readonly width: number;
  /** Attention heads. */
  readonly heads: number;
  /** Classes, the null class of guidance not counted. */
  readonly classes: number;
  /** Whether one adaLN projection serves all blocks (VAR's 512 px model). */
  readonly sharedAdaptiveNorm: boolean;
  /** Whether queries and keys are normalised to unit length. */
  readonly normalizedAttention: boolean;
}

/** The transformer between the codes that it reads and the tokens that it tells. */
export interface TransformerSizes extends TransformerConfig {
  /** Codebook entries V. */
  readonly vocabulary: number;
  /** Channels of a code, Cvae. */
  readonly channels: number;
}

/** Checks of what a description gives as {@linkcode TransformerConfig}. */
export const TRANSFORMER_CHECKS: Readonly<Record<keyof TransformerConfig, SizeCheck>> = {
  depth: isSize,
  width: isSize,
  heads: isSize,
  classes: isSize,
  sharedAdaptiveNorm: isFlag,
  normalizedAttention: isFlag,
};

/** Width of one attention head where the file does not tell the number of heads. */
const HEAD_WIDTH = 64;

/**
 * Reads the sizes of a transformer from its tensors.
 *
 * @throws {ModelFileError} If a tensor is missing or has an unexpected shape.
 *
 * @example
 * ```ts
 * import { inferTransformer } from "./config.ts";
 * import { WeightSet } from "../../weights/weight_set.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const shapes: Record<string, number[]> = {
 *   "pos_start": [1, 1, 128],
 *   "class_emb.weight": [1001, 128],
 *   "blocks.0.attn.scale_mul_1H11": [1, 2, 1, 1],
 * };
 * const tensors = new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: "F32" }]));
 * const { depth, heads, classes } = inferTransformer(new WeightSet("transformer.pth", tensors));
 * assertEquals({ depth, heads, classes }, { depth: 1, heads: 2, classes: 1000 });
 * ```
 */
export function inferTransformer(transformer: WeightSet): TransformerConfig {
  const [, , width] = transformer.take("pos_start", [1, 1, -1]) as [number, number, number];
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
    sharedAdaptiveNorm: transformer.has("shared_ada_lin.1.weight"),
    normalizedAttention,
  };
}
