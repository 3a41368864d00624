/**
 * What activations of a transformer with key and value caches take where they run: estimates of the peak,
 * held against what loaded models really took. Weights are the families' matter, whether the sum fits that of
 * `graphs/fit.ts`.
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
