/**
 * What a transformer with key and value caches takes where it runs: bytes of its activations, as estimates of
 * the peak held against what loaded models really took; and operations, counted. Weights are the families'
 * matter, whether the sum fits that of `graphs/fit.ts`, what a decoder takes that of `autoencoder/`.
 *
 * @module
 */

import type { CacheDtype } from "./graphs/cache_values.ts";
import { cacheBytes } from "./graphs/peak.ts";
import type { Provider } from "./graphs/room.ts";
import type { MapSize } from "./schedule.ts";

/** A transformer, as far as its activations depend on it. */
export interface TransformerShape {
  /** Blocks. */
  readonly depth: number;
  /** Width C. */
  readonly width: number;
  /** Attention heads. */
  readonly heads: number;
  /** Logits of a position. */
  readonly logits: number;
  /** Width of the feed-forward part's hidden layer; four times the width by default. */
  readonly hidden?: number;
}

/**
 * Activations of a block that are alive at once, in units of its width: residual, hidden layer before and
 * after its activation, rest.
 */
const LIVE_WIDTHS = 12;
/** With guidance an image has two rows. */
export const GUIDED_ROWS = 2;

/** Tokens of a map. */
export function positionsOf({ width, height }: MapSize): number {
  return width * height;
}

/**
 * Bytes of a guided image at the scale that takes most.
 *
 * @param dtype Type in which keys and values are kept.
 */
export function scalesBytes(
  { depth, width, heads, logits, hidden = 4 * width }: TransformerShape,
  maps: readonly MapSize[],
  provider: Provider,
  dtype: CacheDtype = "f32",
): number {
  let most = 0;
  let past = 0;
  const live = (LIVE_WIDTHS - 8) * width + 2 * hidden;
  for (const [scale, map] of maps.entries()) {
    const length = positionsOf(map);
    const caches = cacheBytes({ depth, width, dtype }, { past, length, last: scale === maps.length - 1 });
    const activations = length * (live + 2 * logits);
    past += length;
    const scores = provider === "webgpu" ? 0 : heads * length * past;
    most = Math.max(most, caches + 4 * (activations + scores));
  }
  return GUIDED_ROWS * most;
}

/** A transformer, as far as its operations depend on it. */
export interface TransformerWork extends TransformerShape {
  /** Features of a position, which are embedded. */
  readonly features: number;
  /** Tokens of a text that each block attends to, too, by queries of its own. */
  readonly text?: number;
}

/**
 * Operations of one row at each scale, two for each product that is added: those of the layers and of
 * attention to all tokens so far. Norms, activations and what makes the keys and values of a text are left
 * out, and so are rows that a batch is filled up with.
 *
 * @example VAR of depth 16, in units of 10⁹, with and without guidance
 * ```ts
 * import { rowFlops } from "./costs.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const transformer = { depth: 16, width: 1024, heads: 16, logits: 4096, features: 32 };
 * const maps = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16].map((side) => ({ width: side, height: side }));
 * const row = rowFlops(transformer, maps).reduce((sum, flops) => sum + flops) / 1e9;
 * assertEquals([Math.round(row), Math.round(2 * row)], [298, 597]);
 * ```
 */
export function rowFlops(
  { depth, width, logits, hidden = 4 * width, features, text }: TransformerWork,
  maps: readonly MapSize[],
): number[] {
  // Queries, keys, values and projection; of the attention to a text, queries and projection.
  const matrices = width * (4 * width + (text === undefined ? 0 : 2 * width) + 2 * hidden);
  let total = 0;
  return maps.map((map) => {
    const length = positionsOf(map);
    total += length;
    const attention = 2 * width * (total + (text ?? 0));
    return 2 * length * (features * width + depth * (matrices + attention) + width * logits);
  });
}
