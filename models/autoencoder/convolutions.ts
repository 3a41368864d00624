/**
 * Which way of computing a decoder's convolutions is fast, by who computes.
 *
 * @module
 */

import type { Provider } from "../graphs/room.ts";

/**
 * How the convolutions of a decoder are computed, which is the same up to the order of sums:
 *
 * - `"plain"`: as the networks are published; maps are doubled, then convolved.
 * - `"phases"`: a doubled map is never stored, see `enlarging.ts`.
 * - `"winograd"`: so, and where there are channels enough for it, by fewer products, see `winograd.ts`.
 */
export type Convolutions = "plain" | "phases" | "winograd";

/** The fast way of who computes. */
export function fastConvolutions(provider: Provider): Convolutions {
  return provider === "wasm" ? "winograd" : "phases";
}

/** Channels on both sides from which on Winograd's algorithm pays. */
const WINOGRAD_CHANNELS = 128;
/** The same on maps of tokens that are not enlarged yet, where transformed kernels serve few tiles. */
const WINOGRAD_CHANNELS_OF_TOKENS = 512;

/** A convolution of 3 by 3 within a decoder. */
export interface ConvolutionSizes {
  /** Channels of its map. */
  readonly inputs: number;
  /** Channels of its result. */
  readonly outputs: number;
  /** By how much the sides of its result are longer than those of the map of tokens. */
  readonly factor: number;
}

/**
 * Whether Winograd's algorithm pays for a convolution with WebAssembly. Of the time of a direct one it took
 * 0.34 to 0.42 with 160 to 320 channels of 32 by 32 to 256 by 256, and 0.63 with 640 of 16 by 16. Fewer
 * channels gain less, 0.83 with 128 of 16 by 16 and 0.97 with 32 of 64 by 64, and small decoders as a whole
 * nothing: there are twenty nodes and more for one. The native library, whose direct convolutions use the
 * widest vectors, loses by it.
 */
export function winogradPays({ inputs, outputs, factor }: ConvolutionSizes): boolean {
  return Math.min(inputs, outputs) >= (factor === 1 ? WINOGRAD_CHANNELS_OF_TOKENS : WINOGRAD_CHANNELS);
}
