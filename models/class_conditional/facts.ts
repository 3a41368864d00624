/**
 * Sizes of transformers in words, as `varscale inspect` shows them.
 *
 * @module
 */

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
