/**
 * Whether a transformer and a tokenizer speak of the same codes.
 *
 * @module
 */

import { ModelFileError } from "../model_file_error.ts";
import type { WeightSet } from "../weights/weight_set.ts";

/**
 * Checks that a transformer tells tokens of the tokenizer's codebook and reads codes of its channels.
 *
 * @param transformer Its tensors.
 * @param tokenizer Tensors of the tokenizer.
 * @param codes How many codes it has, and of how many channels.
 * @throws {ModelFileError} Saying what either has.
 */
export function requireSameCodes(
  transformer: WeightSet,
  tokenizer: WeightSet,
  codes: { readonly vocabulary: number; readonly channels: number },
): void {
  const [vocabulary] = transformer.take("head.bias", [-1]) as [number];
  const [, channels] = transformer.take("word_embed.weight", [-1, -1]) as [number, number];
  for (
    const [what, wanted, found] of [
      ["codes", vocabulary, codes.vocabulary],
      ["channels in a code", channels, codes.channels],
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
