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
 * - `"winograd throughout"`: so on maps of tokens, too.
 */
export type Convolutions = "plain" | "phases" | "winograd" | "winograd throughout";

/** All of them. */
export const CONVOLUTIONS: readonly Convolutions[] = ["plain", "phases", "winograd", "winograd throughout"];

/** The fast way of who computes. */
export function fastConvolutions(provider: Provider): Convolutions {
  return ({ wasm: "winograd throughout", native: "winograd", webgpu: "phases" } as const)[provider];
}

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
 * Whether Winograd's algorithm pays for a convolution, which channels on both sides decide, and how many
 * tiles the transformed kernels serve. Of the time of a direct one it takes, kernels not counted:
 *
 * | map, channels                      | WebAssembly | native |
 * | ---------------------------------- | ----------: | -----: |
 * | 256 by 256, 160                    |        0.35 |   0.70 |
 * | 128 by 128, 160                    |        0.35 |   0.65 |
 * | 64 by 64, 320                      |        0.35 |   0.51 |
 * | 64 by 64, 128                      |             |   0.77 |
 * | 64 by 64, 64                       |             |   1.00 |
 * | 32 by 32, 320                      |        0.42 |   0.54 |
 * | 32 by 32, 128                      |             |   0.81 |
 * | 16 by 16, 640                      |        0.63 |   0.75 |
 * | 16 by 16, 128                      |        0.83 |   1.00 |
 *
 * Of 16 by 16 the kernels cost the native library more than that.
 */
export function winogradPays(
  { inputs, outputs, factor }: ConvolutionSizes,
  convolutions: Convolutions,
): boolean {
  return Math.min(inputs, outputs) >= leastChannels(factor, convolutions);
}

function leastChannels(factor: number, convolutions: Convolutions): number {
  if (!convolutions.startsWith("winograd")) return Infinity;
  if (factor === 1) return convolutions === "winograd throughout" ? 512 : Infinity;
  return factor === 2 ? 256 : 128;
}

/** Whether most convolutions of a decoder are by Winograd's algorithm: those behind its last enlargement. */
export function savesProducts(
  { decoder }: { readonly decoder: readonly { readonly channels: number }[] | null },
  convolutions: Convolutions,
): boolean {
  const [finest] = decoder ?? [];
  if (finest === undefined) return false;
  const { channels } = finest;
  return winogradPays(
    { inputs: channels, outputs: channels, factor: 2 ** (decoder!.length - 1) },
    convolutions,
  );
}
