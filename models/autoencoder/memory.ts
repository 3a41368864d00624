/**
 * How much memory a decoder takes that holds its maps whole, from its sizes alone. What it takes by strips is
 * in `decoder_stages.ts`.
 *
 * @module
 */

import type { MapSize } from "../schedule.ts";

/**
 * Arrays of the decoder's largest size that are alive at once: the published decoder took 299 MB for 256 px.
 */
const LIVE_MAPS = 7;

/**
 * Words of the largest map of a decoder.
 *
 * @param decoder Its levels from the finest to the coarsest, or `null` where there is none.
 * @param map Size of the token map.
 */
export function largestMapWords(
  decoder: readonly { readonly channels: number }[] | null,
  { width, height }: MapSize,
): number {
  const levels = decoder ?? [];
  let positions = width * height;
  let before = levels.at(-1)?.channels ?? 0;
  let most = 0;
  for (const { channels } of levels.toReversed()) {
    // A level begins with what the one before it has been enlarged to.
    most = Math.max(most, Math.max(before, channels) * positions);
    before = channels;
    positions *= 4;
  }
  return most;
}

/** A convolution behind a doubled map. */
const ENLARGING = /^decoder\..*\.upsample\.conv\.weight$/;

/**
 * What a tensor takes while a decoder is loaded, in units of its own size: where a map is doubled, four
 * kernels of 2 by 2 take the place of one of 3 by 3, see `enlarging.ts`.
 */
export function keptShare(name: string): number {
  return ENLARGING.test(name) ? 16 / 9 : 1;
}

/** Bytes of all maps that are alive at once, for an image. */
export function liveDecoderBytes(
  decoder: readonly { readonly channels: number }[] | null,
  map: MapSize,
): number {
  return LIVE_MAPS * 4 * largestMapWords(decoder, map);
}
