/**
 * Patches and positions: tokens that each hold a patch of 2×2 positions (Infinity-8B) to maps of those
 * positions, and back. Bits become such maps without a detour by `bitCodes` of `codebook/bits.ts`.
 *
 * @module
 */

import { requireChoice, requireInteger } from "../arguments.ts";
import type { FeatureLayout } from "../codebook/lookup.ts";
import { requireDistinct, requireLength } from "../device/array_checks.ts";
import { words } from "../device/cpu_device.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import wgsl from "./shuffle.wgsl" with { type: "text" };

/** Arguments of {@linkcode shufflePixels} and {@linkcode unshufflePixels}. */
export interface ShuffleArguments {
  /** What is read: of `shufflePixels` the tokens' words, of `unshufflePixels` the maps. */
  input: DeviceArray;
  /** What is written; an array other than `input`. */
  output: DeviceArray;
  /** Number of maps. */
  images: number;
  /** Channels of a position; a token has four times as many words. */
  channels: number;
  /** Tokens in a row; a map has twice as many positions there. */
  width: number;
  /** Rows of tokens. */
  height: number;
  /** Layout of the tokens: `"rows"`, [images, tokens, 4 channels] (default), or `"planes"`. */
  layout?: FeatureLayout;
}

/** Threads of a workgroup, as in the shader. */
const LANES = 64;

/**
 * Spreads the words of tokens over the positions of their patches: word 4c + 2·dy + dx of a token becomes
 * channel c of the position dy below and dx to the right of its patch's first, in maps [images, channels,
 * 2 height, 2 width]. Words are copied, so the result is exact.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 * @throws {TypeError} From `plan`, if the layout is unknown, or input and output are the same array.
 *
 * @example
 * ```ts
 * import { shufflePixels } from "./shuffle.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * // Two tokens side by side, each a patch of one channel.
 * using input = device.upload(new Float32Array([1, 2, 3, 4, 5, 6, 7, 8]));
 * using output = device.allocate(8);
 * device.run(shufflePixels, { input, output, images: 1, channels: 1, width: 2, height: 1 });
 * assertEquals([...await readFloats(output)], [1, 2, 5, 6, 3, 4, 7, 8]);
 * ```
 */
export const shufflePixels: Kernel<ShuffleArguments> = shuffling("shuffle", false);

/**
 * Gathers the positions of each patch to the words of a token, the way back of {@linkcode shufflePixels}:
 * maps [images, channels, 2 height, 2 width] to rows [images, height · width, 4 channels], or planes of
 * those.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 * @throws {TypeError} From `plan`, if the layout is unknown, or input and output are the same array.
 *
 * @example
 * ```ts
 * import { unshufflePixels } from "./shuffle.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using input = device.upload(new Float32Array([1, 2, 5, 6, 3, 4, 7, 8]));
 * using output = device.allocate(8);
 * device.run(unshufflePixels, { input, output, images: 1, channels: 1, width: 2, height: 1 });
 * assertEquals([...await readFloats(output)], [1, 2, 3, 4, 5, 6, 7, 8]);
 * ```
 */
export const unshufflePixels: Kernel<ShuffleArguments> = shuffling("unshuffle", true);

function shuffling(name: "shuffle" | "unshuffle", back: boolean): Kernel<ShuffleArguments> {
  const action = `${name} pixels`;
  return {
    name: `${name}_pixels`,
    wgsl,
    plan({ input, output, images, channels, width, height, layout = "rows" }) {
      requireInteger(images, "images", action, { min: 0 });
      requireInteger(channels, "channels", action, { min: 1 });
      requireInteger(width, "width", action, { min: 1 });
      requireInteger(height, "height", action, { min: 1 });
      requireChoice(layout, ["rows", "planes"], "layout", action);
      requireDistinct({ input, output }, action);
      const count = images * channels * 4 * width * height;
      requireLength(input, count, action);
      requireLength(output, count, action);
      return {
        arrays: [input, output],
        parameters: [
          ["u32", count],
          ["u32", channels],
          ["u32", width],
          ["u32", height],
          ["u32", layout === "rows" ? 1 : 0],
          ["u32", back ? 1 : 0],
        ],
        workgroups: spread(Math.ceil(count / LANES)),
      };
    },
    twin({ input, output, images, channels, width, height, layout = "rows" }) {
      const from = words(input);
      const to = words(output);
      const tokens = width * height;
      // From a token, and from a word of it, to the next.
      const [tokenStep, wordStep] = layout === "rows" ? [4 * channels, 1] : [1, tokens];
      let place = 0;
      for (let image = 0; image < images; image++) {
        for (let channel = 0; channel < channels; channel++) {
          for (let y = 0; y < 2 * height; y++) {
            const line = image * 4 * channels * tokens + (y >> 1) * width * tokenStep +
              (4 * channel + 2 * (y & 1)) * wordStep;
            for (let x = 0; x < 2 * width; x++, place++) {
              const ofToken = line + (x >> 1) * tokenStep + (x & 1) * wordStep;
              if (back) to[ofToken] = from[place]!;
              else to[place] = from[ofToken]!;
            }
          }
        }
      }
    },
  };
}
