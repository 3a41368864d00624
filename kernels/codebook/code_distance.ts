/**
 * How far vectors are from the codes they were given: the error of a quantization, of `nearest.ts` or anybody
 * else's.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { addSquaredDistance, EXACT_SUMS_WGSL } from "../exact/exact_sums.ts";
import wgsl from "./code_distance.wgsl" with { type: "text" };

/** Arguments of {@linkcode codeDistances}. */
export interface CodeDistancesArguments {
  /** Feature vectors, f32 [count, channels]. */
  features: DeviceArray;
  /** The codebook, f32 [vocabulary, channels]. */
  codebook: DeviceArray;
  /** The code of each feature vector, u32 [count]. */
  tokens: DeviceArray;
  /** The squared distances, f32 [count]. */
  distances: DeviceArray;
  /** Number of feature vectors. */
  count: number;
  /** Number of codebook vectors. */
  vocabulary: number;
  /** Words of one vector. */
  channels: number;
}

const ACTION = "measure distances to codes";

/** Threads of a workgroup, as in the shader. */
const LANES = 64;

/**
 * Writes the squared Euclidean distance between each feature vector and the codebook vector its token names,
 * with the same bits on every device: it is by these that `nearestCodes` decides. Infinity stands for a
 * distance that is not finite, and for one to no code at all.
 *
 * With n channels, a distance is off by at most (3n + 2)·2^-24 of itself; differences below 2^-50 count as 0.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 *
 * @example
 * ```ts
 * import { codeDistances } from "./code_distance.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using features = device.upload(new Float32Array([3, 4, 1, 1]));
 * using codebook = device.upload(new Float32Array([0, 0]));
 * using tokens = device.upload(new Uint32Array([0, 7]));
 * using distances = device.allocate(2);
 * device.run(codeDistances, { features, codebook, tokens, distances, count: 2, vocabulary: 1, channels: 2 });
 * assertEquals([...await readFloats(distances)], [25, Infinity]);
 * ```
 */
export const codeDistances: Kernel<CodeDistancesArguments> = {
  name: "code_distance",
  wgsl: EXACT_SUMS_WGSL + wgsl,
  plan({ features, codebook, tokens, distances, count, vocabulary, channels }) {
    requireInteger(count, "count", ACTION, { min: 0 });
    requireInteger(vocabulary, "vocabulary", ACTION, { min: 1 });
    // Beyond, Mesa's software Vulkan would end the loop early.
    requireInteger(channels, "channels", ACTION, { min: 1, max: 65535 });
    requireLength(features, count * channels, ACTION);
    requireLength(codebook, vocabulary * channels, ACTION);
    requireLength(tokens, count, ACTION);
    requireLength(distances, count, ACTION);
    return {
      arrays: [features, codebook, tokens, distances],
      parameters: [["u32", count], ["u32", vocabulary], ["u32", channels]],
      workgroups: spread(Math.ceil(count / LANES)),
    };
  },
  twin({ features, codebook, tokens, distances, count, vocabulary, channels }) {
    const rows = floats(features);
    const codes = floats(codebook);
    const ids = words(tokens);
    const out = floats(distances);
    for (let row = 0; row < count; row++) {
      const token = ids[row]!;
      const sum = token < vocabulary
        ? addSquaredDistance(0, rows, row * channels, codes, token * channels, channels, Infinity)
        : Infinity;
      out[row] = sum < Infinity ? sum : Infinity;
    }
  },
};
