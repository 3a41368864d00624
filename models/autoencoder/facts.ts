/**
 * Sizes of a tokenizer's networks in words, as `varscale inspect` shows them.
 *
 * @module
 */

import type { Fact } from "../family.ts";
import type { AutoencoderConfig, TokenizerLevel } from "./config.ts";

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
