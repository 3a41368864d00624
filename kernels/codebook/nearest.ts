/**
 * Vector quantization: from feature vectors to the ids of the nearest codebook vectors. The way back is
 * `lookup.ts`; how far the vectors were from the codes they got is `code_distance.ts`.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { addSquaredDistance, EXACT_SUMS_WGSL } from "../exact/exact_sums.ts";
import { visitPairs } from "../pairs/pairs.ts";
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

/** Rows of one workgroup and threads of it, as in the shader. */
const ROWS = 8;
const LANES = 128;
/** The largest float32: a plain distance beyond it is infinite. */
const GREATEST = (2 - 2 ** -23) * 2 ** 127;
/** Mesa's software Vulkan ends a thread's loops after 65535 turns without a word. */
const MAX_TURNS = 65000;

/**
 * What a plain distance is multiplied by, and what is added, so that the result is below the plain distance
 * of no code that may be nearest by the exact rule.
 *
 * With n channels and u = 2^-24, a plain sum of squares has relative errors of 2u (differences), u (squares)
 * and (n - 1)u (sums, in any order), an exact one 2u and 3n u. So each lies between exp(-(4n + 6)u) and
 * exp((4n + 6)u) times the other; the square of that is below 1 + (9n + 20)u for n <= 2^18, and the bound's
 * own arithmetic takes 3u more. Besides, the exact rule takes differences below 2^-50 for 0, and a device may
 * do so with squares below 2^-126: together less than n 2^-99.
 */
function band(channels: number): { slope: number; slack: number } {
  return { slope: 1 + (9 * channels + 32) * 2 ** -24, slack: channels * 2 ** -97 };
}

/** Turns of the loops of one thread, where all codes are equally near to all rows. */
function turns(vocabulary: number, channels: number): number {
  const steps = channels % 4 === 0 ? channels / 4 : channels;
  const scan = Math.ceil(vocabulary / (4 * LANES)) * (1 + steps);
  const settling = ROWS * (1 + Math.ceil(vocabulary / LANES) * (1 + Math.ceil(channels / 8)));
  return scan + settling + 64;
}

/**
 * Writes, for each feature vector, the id of the codebook vector at the least Euclidean distance; among
 * equals, the lower id. The same ids come out on every device. A vector that is at no finite distance from
 * any code, one with a NaN say, gets id 0.
 *
 * For the code at the least angle, as FlexVAR and other tokenizers with l2-normalized codes want, pass
 * features and codes through `unitRows` first. For the largest inner product, give all codes the same length
 * by one more channel: sqrt(max |c|² - |c|²) for a code c, and 0 for the features.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range, an array is too short, or the codebook
 * is too large for one thread's loops: some 7 million words, say 65536 codes of more than 96 channels.
 *
 * @example
 * ```ts
 * import { nearestCodes } from "./nearest.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
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
    const needed = turns(vocabulary, channels);
    if (needed > MAX_TURNS) {
      throw new RangeError(
        `Cannot ${ACTION} as ${vocabulary} codes of ${channels} channels take up to ${needed} turns of one thread's loops: ` +
          `the most that all adapters do are ${MAX_TURNS}`,
      );
    }
    requireLength(features, count * channels, ACTION);
    requireLength(codebook, vocabulary * channels, ACTION);
    requireLength(tokens, count, ACTION);
    const { slope, slack } = band(channels);
    return {
      arrays: [features, features, codebook, codebook, tokens],
      parameters: [
        ["u32", count],
        ["u32", vocabulary],
        ["u32", channels],
        ["u32", channels % 4 === 0 ? channels / 4 : 0],
        ["f32", slope],
        ["f32", slack],
      ],
      workgroups: spread(Math.ceil(count / ROWS)),
    };
  },
  twin({ features, codebook, tokens, count, vocabulary, channels }) {
    const rows = floats(features);
    const codes = floats(codebook);
    const out = words(tokens);
    const { slope, slack } = band(channels);
    // Of each row, the least exact distance so far, and the plain one up to which another may be less.
    const least = new Float64Array(count).fill(Infinity);
    const limits = new Float64Array(count).fill(Infinity);
    out.fill(0, 0, count);
    const sets = { left: rows, right: codes, rows: count, columns: vocabulary, dimensions: channels };
    visitPairs(
      { ...sets, sum: "squares" },
      ({ row: first, rows: height, column, columns, pitch, values }) => {
        for (let i = 0; i < height; i++) {
          const row = first + i;
          let limit = limits[row]!;
          for (let j = 0; j < columns; j++) {
            // Not `<=`, as an exact distance may be finite where the plain one overflows.
            if (values[i * pitch + j]! > limit) continue;
            const code = column + j;
            const [start, at] = [row * channels, code * channels];
            const exact = addSquaredDistance(0, rows, start, codes, at, channels, least[row]!);
            if (exact < least[row]!) {
              least[row] = exact;
              limit = exact * slope + slack;
              if (limit > GREATEST) limit = Infinity;
              out[row] = code;
            }
          }
          limits[row] = limit;
        }
      },
    );
  },
};
