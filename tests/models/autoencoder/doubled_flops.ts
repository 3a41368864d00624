/**
 * What a decoder takes more where doubled maps are stored and each of their values is multiplied, as PyTorch
 * counts it.
 *
 * @module
 */

import type { DecoderWork } from "../../../models/autoencoder/flops.ts";
import type { MapSize } from "../../../models/schedule.ts";

/** Five of nine products of each convolution behind a doubled map, two operations each. */
export function doubled({ decoder }: Pick<DecoderWork, "decoder">, { width, height }: MapSize): number {
  const enlarged = (decoder ?? []).slice(1);
  return enlarged.reduce((sum, { channels }, level) => {
    const factor = 2 ** (enlarged.length - level);
    return sum + 2 * 5 * channels ** 2 * width * height * factor ** 2;
  }, 0);
}
