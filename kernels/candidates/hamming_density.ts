/**
 * How densely candidates lie around each other when their tokens are bits, as Infinity's are: the Gaussian
 * density of `density.ts` with the Hamming distance, which is the squared distance of vectors of 0 and 1. The
 * bandwidth comes from `hamming_bandwidth.ts`.
 *
 * @module
 */

import { requireInteger, requireNumber } from "../arguments.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type Device, type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { exp2Negative, product } from "../exact/exact.ts";
import { EXACT_SUMS_WGSL, exponentFactor, MAX_DRAWS, MAX_TERMS } from "../exact/exact_sums.ts";
import { countOnes } from "./count_ones.ts";
import { DistinctRows } from "./distinct_rows.ts";
import { widthOf } from "./gaussian.ts";
import { MAX_BITS } from "./hamming_bandwidth.ts";
import wgsl from "./hamming_density.wgsl" with { type: "text" };
import { imagesAtOnce, type ScratchOptions, sumDensities } from "./sum_densities.ts";

/** Arguments of {@linkcode hammingDensity}. */
export interface HammingDensityArguments {
  /**
   * Candidates as bits, u32 [images, draws, positions, ceil(bits / 32)]: bit c of a token is bit c % 32,
   * counted from the lowest, of word c / 32. What the last word holds beyond the last bit does not matter.
   */
  tokens: DeviceArray;
  /**
   * What `hammingBandwidth` wrote, f32 [images, positions]; with `averaged`, of as many images as that says.
   */
  bandwidth: DeviceArray;
  /**
   * The density of each candidate at each position, u32 [images, positions, draws, 2]: integers in units of
   * 2^-30, low word first.
   */
  sums: DeviceArray;
  /** Number of images. */
  images: number;
  /** Candidates of one image, 1 to 8192. */
  draws: number;
  /** Tokens of one candidate; `draws * positions` may be 2^23 at most. */
  positions: number;
  /** Bits of one token, 1 to 512. */
  bits: number;
  /** Added to each bandwidth; 1e-6 by default. */
  epsilon?: number;
  /**
   * Take the average of each position's bandwidth over so many images, all of a batch of which these may be a
   * part; 0 (default) leaves each image its own.
   */
  averaged?: number;
}

/** Arguments of {@linkcode runHammingDensity}. */
export interface HammingScoresArguments extends Omit<HammingDensityArguments, "sums" | "averaged"> {
  /** Average each position's bandwidth over all images first; off by default. */
  batchBandwidth?: boolean;
  /** The densities, f32 [images, draws]. */
  scores: DeviceArray;
  /** Leave out the candidate's own term, which is 1 per position; off by default. */
  leaveOneOut?: boolean;
}

const ACTION = "estimate densities of bits";

/** Threads of a workgroup and candidates it compares with all, as in the shader. */
const LANES = 64;
const OWN = 2 * LANES;

/**
 * Writes, for each candidate a at each position, `s[a] = sum over candidates c of exp(-h(a, c) / (2 b^2))`,
 * where h is the number of bits in which the two tokens differ and b that position's bandwidth plus epsilon
 * (VAR-Scaling, arXiv 2601.07293, as its code for Infinity computes it). The density of a candidate is the
 * sum over positions, which `sumDensities` computes; {@linkcode runHammingDensity} does both.
 *
 * The sums are the same integers on every device, and permuting candidates permutes them. A kernel value e^-t
 * is within 2^-30 plus a relative 20 * 2^-24 t + 5e-7 of the true one for the same bandwidth; each candidate
 * counts itself, and those that agree with it, with exactly 1. Bandwidths are held between 2^-40 and 2^40.
 *
 * @throws {RangeError} From `plan`, if a count or epsilon is out of range or an array is too short.
 *
 * @example
 * ```ts
 * import { hammingDensity } from "./hamming_density.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using tokens = device.upload(new Uint32Array([0b00, 0b00, 0b11]));
 * using bandwidth = device.upload(new Float32Array([1]));
 * using sums = device.allocate(6);
 * device.run(hammingDensity, {
 *   tokens,
 *   bandwidth,
 *   sums,
 *   images: 1,
 *   draws: 3,
 *   positions: 1,
 *   bits: 2,
 *   epsilon: 0,
 * });
 * const words = await readWords(sums);
 * const at = (row: number): number => words[2 * row]! * 2 ** -30 + words[2 * row + 1]! * 4;
 * assertAlmostEquals(at(0), 2 + Math.exp(-1), 1e-6);
 * assertAlmostEquals(at(2), 1 + 2 * Math.exp(-1), 1e-6);
 * ```
 */
export const hammingDensity: Kernel<HammingDensityArguments> = {
  name: "hamming_density",
  wgsl: EXACT_SUMS_WGSL + wgsl,
  overrides: { words: [...Array(MAX_BITS / 32).keys()].map((i) => i + 1) },
  plan(args) {
    const { tokens, bandwidth, sums, images, draws, positions, bits, epsilon = 1e-6, averaged = 0 } = args;
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(draws, "draws", ACTION, { min: 1, max: MAX_DRAWS });
    requireInteger(positions, "positions", ACTION, { min: 1 });
    requireInteger(bits, "bits", ACTION, { min: 1, max: MAX_BITS });
    requireInteger(draws * positions, "draws * positions", ACTION, { min: 1, max: MAX_TERMS });
    requireNumber(epsilon, "epsilon", ACTION, { min: 0 });
    requireInteger(averaged, "averaged", ACTION, { min: 0 });
    requireLength(tokens, images * draws * positions * Math.ceil(bits / 32), ACTION);
    requireLength(bandwidth, (averaged || images) * positions, ACTION);
    requireLength(sums, images * positions * draws * 2, ACTION);
    return {
      arrays: [tokens, bandwidth, sums],
      parameters: [
        ["u32", images],
        ["u32", draws],
        ["u32", positions],
        ["u32", bits],
        ["f32", epsilon],
        ["u32", averaged],
        ["f32", averaged === 0 ? 0 : Math.fround(1 / averaged)],
      ],
      constants: { words: Math.ceil(bits / 32) },
      workgroups: spread(images * positions * Math.ceil(draws / OWN)),
    };
  },
  twin(args) {
    const { images, draws, positions, bits, epsilon = 1e-6, averaged = 0 } = args;
    const tokens = words(args.tokens);
    const widths = floats(args.bandwidth);
    const out = words(args.sums);
    const size = Math.ceil(bits / 32);
    const last = 0xffffffff >>> (32 * size - bits);
    const kernel = new Float64Array(bits + 1);
    // Candidates that agree at a position share one pattern and one sum.
    const patterns = new DistinctRows(draws, { size, lastWord: last });
    const members = new Uint32Array(draws);
    for (let place = 0; place < images * positions; place++) {
      const h = widthOf(widths, {
        ...{ images: averaged, image: Math.floor(place / positions), place: place % positions },
        ...{ places: positions, epsilon, batchBandwidth: averaged > 0 },
      });
      const factor = exponentFactor(h);
      for (let bit = 0; bit <= bits; bit++) kernel[bit] = exp2Negative(product(bit, factor));
      const first = (Math.floor(place / positions) * draws * positions + place % positions) * size;
      patterns.clear();
      for (let draw = 0; draw < draws; draw++) {
        members[draw] = patterns.add(tokens, first + draw * positions * size);
      }
      const sums = patternSums(patterns, size, kernel);
      const upper = sums.map((sum) => Math.floor(sum / 2 ** 32));
      const lower = sums.map((sum, i) => sum - upper[i]! * 2 ** 32);
      for (let draw = 0; draw < draws; draw++) {
        out[(place * draws + draw) * 2] = lower[members[draw]!]!;
        out[(place * draws + draw) * 2 + 1] = upper[members[draw]!]!;
      }
    }
  },
};

/**
 * Runs `hammingDensity` and `sumDensities`: for each candidate the sum over positions of its densities there,
 * f32 [images, draws], the same bits on every device. What is needed in between is allocated and freed here;
 * images take turns where it would be too much.
 *
 * @throws {RangeError} If a count or epsilon is out of range or an array is too short.
 *
 * @example
 * ```ts
 * import { runHammingDensity } from "./hamming_density.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * // Three candidates of two tokens; the third differs in one bit of the second.
 * using tokens = device.upload(new Uint32Array([1, 2, 1, 2, 1, 3]));
 * using bandwidth = device.upload(new Float32Array([1, 1]));
 * using scores = device.allocate(3);
 * runHammingDensity(device, {
 *   tokens,
 *   bandwidth,
 *   scores,
 *   images: 1,
 *   draws: 3,
 *   positions: 2,
 *   bits: 2,
 *   epsilon: 0,
 * });
 * const [often, , once] = await readFloats(scores);
 * assertAlmostEquals(often!, 3 + 2 + Math.exp(-0.5), 1e-6);
 * assertAlmostEquals(once!, 3 + 1 + 2 * Math.exp(-0.5), 1e-6);
 * ```
 */
export function runHammingDensity(
  device: Device,
  args: HammingScoresArguments,
  options: ScratchOptions = {},
): void {
  const { tokens, bandwidth, scores, images, draws, positions, bits, batchBandwidth = false } = args;
  // Checked before anything is allocated.
  requireInteger(images, "images", ACTION, { min: 0 });
  hammingDensity.plan({ ...args, images: 0, sums: scores });
  requireLength(tokens, images * draws * positions * Math.ceil(bits / 32), ACTION);
  requireLength(bandwidth, images * positions, ACTION);
  requireLength(scores, images * draws, ACTION);
  const together = Math.max(1, imagesAtOnce(images, positions * draws * 2, options));
  using sums = device.allocate(together * positions * draws * 2, "densities of positions");
  for (let first = 0; first < images; first += together) {
    const count = Math.min(together, images - first);
    const size = draws * positions * Math.ceil(bits / 32);
    const part = {
      ...args,
      sums,
      tokens: device.view(tokens, first * size, count * size),
      ...(batchBandwidth
        ? { averaged: images }
        : { bandwidth: device.view(bandwidth, first * positions, count * positions) }),
      scores: device.view(scores, first * draws, count * draws),
      images: count,
    };
    device.run(hammingDensity, part);
    device.run(sumDensities, part);
  }
}

/**
 * For each pattern, the sum of the kernel with all patterns, each as often as it was drawn, in units of
 * 2^-30.
 */
function patternSums(distinct: DistinctRows, size: number, kernel: Float64Array): Float64Array {
  const patterns = distinct.words;
  const often = Float64Array.from(distinct.counts.subarray(0, distinct.count));
  const sums = often.map((count) => count * 2 ** 30);
  for (let a = 1; a < often.length; a++) {
    let sum = 0;
    const own = patterns[a * size]!;
    for (let b = 0; b < a; b++) {
      let h = countOnes(own ^ patterns[b * size]!);
      for (let word = 1; word < size; word++) {
        h += countOnes(patterns[a * size + word]! ^ patterns[b * size + word]!);
      }
      const value = kernel[h]!;
      if (value === 0) continue;
      sum += often[b]! * value;
      sums[b]! += often[a]! * value;
    }
    sums[a]! += sum;
  }
  return sums;
}
