/**
 * Sizes of transformers and tokenizers in words, as `varscale inspect` shows them.
 *
 * @module
 */

import type { AutoencoderConfig, TokenizerLevel } from "../autoencoder/config.ts";
import type { Fact } from "../family.ts";
import type { TransformerConfig } from "./transformer/config.ts";

/** The sizes of a transformer. */
export function transformerFact(config: TransformerConfig): Fact {
  const { depth, width, heads, classes, sharedAdaptiveNorm, normalizedAttention } = config;
  return [
    "transformer",
    [
      `depth ${depth}`,
      `width ${width}`,
      `${heads} head${heads === 1 ? "" : "s"}`,
      `${classes} class${classes === 1 ? "" : "es"}`,
      ...(sharedAdaptiveNorm ? ["shared adaLN"] : []),
      ...(normalizedAttention ? ["normalised attention"] : []),
    ].join(", "),
  ];
}

/** The levels of a tokenizer's networks. */
export function networkFacts({ decoder, encoder }: AutoencoderConfig): Fact[] {
  return [["decoder", levelsInWords(decoder)], ["encoder", levelsInWords(encoder)]];
}

function levelsInWords(levels: readonly TokenizerLevel[] | null): string {
  if (levels === null) return "none";
  const shown = levels.map(({ channels, blocks, attention }) => {
    return `${channels}×${blocks}${attention ? " with attention" : ""}`;
  });
  const count = `${levels.length} level${levels.length === 1 ? "" : "s"}`;
  return `${count}, channels × blocks from fine to coarse: ${shown.join(", ")}`;
}
