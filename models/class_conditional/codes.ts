/**
 * Whether a transformer and a tokenizer speak of the same codes.
 *
 * @module
 */

import { ModelFileError } from "../model_file_error.ts";
import type { WeightSet } from "../weights/weight_set.ts";

/** How many codes there are, of how many channels, and how wide the transformer is that reads them. */
export interface CodeSizes {
  readonly vocabulary: number;
  readonly channels: number;
  readonly width: number;
}

/**
 * Checks that a transformer tells tokens of the tokenizer's codebook and reads codes of its channels.
 *
 * @param transformer Its tensors.
 * @param tokenizer Tensors of the tokenizer.
 * @param sizes The tokenizer's codes, and the transformer's width.
 * @throws {ModelFileError} Saying what either has.
 */
export function requireSameCodes(
  transformer: WeightSet,
  tokenizer: WeightSet,
  sizes: CodeSizes,
): void {
  const lastSize = (name: string, shape: readonly number[]): number => {
    return transformer.take(name, transformer.has(name) ? shape.with(-1, -1) : shape).at(-1)!;
  };
  const vocabulary = lastSize("head.bias", [sizes.vocabulary]);
  const channels = lastSize("word_embed.weight", [sizes.width, sizes.channels]);
  for (
    const [what, wanted, found] of [
      ["codes", vocabulary, sizes.vocabulary],
      ["channels in a code", channels, sizes.channels],
    ] as const
  ) {
    if (wanted === found) continue;
    throw new ModelFileError(
      `Cannot make a model of these parts as the tokenizer has ${found} ${what}, the transformer ${wanted}`,
      {
        file: tokenizer.file,
        expected: `${wanted} ${what}, as the transformer in ${transformer.file} has`,
        found: `${found}`,
      },
    );
  }
}
