/**
 * How many operations a decoder takes, from its sizes alone: those of convolutions and of attention, two for
 * each product that is added. Norms, activations and sums of maps are a hundredth of them and left out.
 *
 * @module
 */

import type { MapSize } from "../schedule.ts";
import type { Autoencoder } from "./config.ts";

/** Networks, as far as operations depend on them. */
export interface DecoderWork extends Autoencoder {
  /** Whether the middle attends to all positions, which sizes do not tell. */
  readonly middleAttention: boolean;
}

/** What the operations of a decoder with these tensors depend on. */
export function decoderWork(
  autoencoder: Autoencoder,
  { tensors }: { readonly tensors: ReadonlyMap<string, unknown> },
): DecoderWork {
  const attention = `decoder.${autoencoder.layout.middle[1]}.`;
  return { ...autoencoder, middleAttention: tensors.keys().some((name) => name.startsWith(attention)) };
}

/**
 * Operations for one picture. A map that is doubled within the convolution behind it takes 4/9 of that
 * convolution's; see `enlarging.ts`. What is saved on the CPU beyond that, see `winograd.ts`, is not counted,
 * so that a cost does not depend on who computes.
 *
 * @param work The networks; without a decoder it is 0.
 * @param map Size of the map that is decoded.
 *
 * @example FlexVAR's decoder at 256 by 256 pixels, in units of 10⁹
 * ```ts
 * import { decoderFlops } from "./flops.ts";
 * import { FLEXVAR_LAYOUT } from "../flexvar/config.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const decoder = [128, 128, 256, 256, 512].map((channels, i) => {
 *   return { channels, blocks: 3, attention: i === 4 };
 * });
 * const sizes = { channels: 32, latentChannels: 256, decoder, encoder: null };
 * const networks = { ...sizes, layout: FLEXVAR_LAYOUT, middleAttention: true };
 * assertEquals(decoderFlops(networks, { width: 16, height: 16 }) / 1e9, 225.875853312);
 * ```
 */
export function decoderFlops(
  { layout, channels, latentChannels = channels, decoder, middleAttention }: DecoderWork,
  { width, height }: MapSize,
): number {
  if (decoder === null) return 0;
  let positions = width * height;
  let products = 0;
  const convolve = (inputs: number, outputs: number, taps = 9): void => {
    products += positions * inputs * outputs * taps;
  };
  const residual = (inputs: number, outputs: number): void => {
    convolve(inputs, outputs);
    convolve(outputs, outputs);
    if (inputs !== outputs) convolve(inputs, outputs, 1);
  };
  const attend = (width: number): void => {
    convolve(width, 4 * width, 1);
    products += 2 * positions ** 2 * width;
  };
  const coarsest = decoder.at(-1)!.channels;
  if (layout.quantSide !== null) convolve(channels, latentChannels, layout.quantSide ** 2);
  convolve(latentChannels, coarsest);
  residual(coarsest, coarsest);
  if (middleAttention) attend(coarsest);
  residual(coarsest, coarsest);
  let inputs = coarsest;
  for (const [level, { channels, blocks, attention }] of [...decoder.entries()].reverse()) {
    for (let block = 0; block < blocks; block++) {
      residual(inputs, channels);
      if (attention) attend(channels);
      inputs = channels;
    }
    if (level === 0) break;
    positions *= 4;
    convolve(inputs, inputs, 4);
  }
  convolve(inputs, 3);
  return 2 * products;
}
