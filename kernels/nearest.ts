/**
 * Vector quantization: from feature vectors to the ids of the nearest codebook vectors. The way back is `lookup.ts`.
 *
 * @module
 */

import { floats, words } from "./cpu_device.ts";
import { type DeviceArray, type Kernel, requireInteger, requireLength, spread } from "./device.ts";
import { addSquaredDistance, EXACT_SUMS_WGSL } from "./exact_sums.ts";
import wgsl from "./nearest.wgsl" with { type: "text" };

/** Arguments of {@linkcode nearestCodes}. */
export interface NearestCodesArguments {
  /** Feature vectors, f32 [count, channels]. */
  features: DeviceArray;
  /** The codebook, f32 [vocabulary, channels]. */
  codebook: DeviceArray;
  /** The nearest code of each feature vector, u32 [count]. */
  tokens: DeviceArray;
  /** Number of feature vectors. */
  count: number;
  /** Number of codebook vectors. */
  vocabulary: number;
  /** Words of one vector. */
  channels: number;
}

const ACTION = "find nearest codes";

/**
 * Writes, for each feature vector, the id of the codebook vector at the least Euclidean distance; among equals, the lower id. The same
 * ids come out on every device. A vector that is at no finite distance from any code, one with a NaN say, gets id 0.
 *
 * For the code at the least angle, as FlexVAR and other tokenizers with l2-normalized codes want, pass features and codes through
 * `unitRows` first.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 *
 * @example
 * ```ts
 * import { nearestCodes } from "./nearest.ts";
 * import { CpuDevice } from "./cpu_device.ts";
 * import { readWords } from "./device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using features = device.upload(new Float32Array([0.9, 0.5, 0.1]));
 * using codebook = device.upload(new Float32Array([0, 1]));
 * using tokens = device.allocate(3);
 * device.run(nearestCodes, { features, codebook, tokens, count: 3, vocabulary: 2, channels: 1 });
 * assertEquals([...await readWords(tokens)], [1, 0, 0]);
 * ```
 */
export const nearestCodes: Kernel<NearestCodesArguments> = {
  name: "nearest",
  wgsl: EXACT_SUMS_WGSL + wgsl,
  plan({ features, codebook, tokens, count, vocabulary, channels }) {
    requireInteger(count, "count", ACTION, { min: 0 });
    requireInteger(vocabulary, "vocabulary", ACTION, { min: 1 });
    requireInteger(channels, "channels", ACTION, { min: 1 });
    requireLength(features, count * channels, ACTION);
    requireLength(codebook, vocabulary * channels, ACTION);
    requireLength(tokens, count, ACTION);
    return {
      arrays: [features, codebook, tokens],
      parameters: [["u32", count], ["u32", vocabulary], ["u32", channels]],
      workgroups: spread(count),
    };
  },
  twin({ features, codebook, tokens, count, vocabulary, channels }) {
    const rows = floats(features);
    const codes = floats(codebook);
    const out = words(tokens);
    for (let row = 0; row < count; row++) {
      let best = Infinity;
      let nearest = 0;
      for (let code = 0; code < vocabulary; code++) {
        const sum = addSquaredDistance(0, rows, row * channels, codes, code * channels, channels, best);
        if (sum < best) {
          best = sum;
          nearest = code;
        }
      }
      out[row] = nearest;
    }
  },
};
