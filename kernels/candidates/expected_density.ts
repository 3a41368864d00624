/**
 * The density that a candidate of bits has on average among N that are drawn as it was: as bits are drawn
 * apart from each other, that is a product over bits, and no other candidate needs to be there. The density
 * among candidates that were drawn is in `hamming_density.ts`.
 *
 * @module
 */

import { requireInteger, requireNumber } from "../arguments.ts";
import { requireLength } from "../device/array_checks.ts";
import { words } from "../device/cpu_device.ts";
import { type Device, type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { exp2Negative, product, reciprocal, squareRoot } from "../exact/exact.ts";
import exactSumsWgsl from "../exact/exact_sums.wgsl" with { type: "text" };
import { exponentFactor, MAX_DRAWS, MAX_TERMS, truncate } from "../exact/exact_sums.ts";
import {
  BIT_CHANCE_WGSL,
  type BitTruncation,
  certainFrom,
  otherWeight,
  requireTruncation,
  sharpness,
} from "../sampling/bit_chance.ts";
import { guideRow, keyRow, type LogitArguments, requireLogits, rowScratch } from "../sampling/logit.ts";
import { silvermanFactor } from "./bandwidth.ts";
import { DistinctRows } from "./distinct_rows.ts";
import wgsl from "./expected_density.wgsl" with { type: "text" };
import { MAX_BITS } from "./hamming_bandwidth.ts";
import { imagesAtOnce, type ScratchOptions, sumDensities } from "./sum_densities.ts";

/** Arguments of {@linkcode expectedDensity}. */
export interface ExpectedDensityArguments extends Omit<LogitArguments, "vocabulary">, BitTruncation {
  /**
   * The logits of the values 0 and 1 of each bit: f32 [images of the batch, positions, bits, 2]; when
   * `guided`, followed by the unconditional ones of the same shape.
   */
  logits: DeviceArray;
  /** Candidates as bits, u32 [images, draws, positions, ceil(bits / 32)], wherever they come from. */
  tokens: DeviceArray;
  /**
   * The density of each candidate at each position, u32 [images, positions, draws, 2]: integers in units of
   * 2^-30, low word first.
   */
  sums: DeviceArray;
  /** Candidates of one image, 1 to 8192; `draws * positions` may be 2^23 at most. */
  draws: number;
  /** Bits of one token, 1 to 512. */
  bits: number;
  /** The number N of candidates that the density stands for, 1 to 8192; as for `draws`, times positions. */
  nominal: number;
  /** Positions that do not count, 1 or 0 each, u32 [positions]; none by default. */
  kept?: DeviceArray;
  /** Added to each bandwidth; 1e-6 by default. */
  epsilon?: number;
  /** Images of the batch that `logits` is of; `images` by default. */
  batch?: number;
  /** Which of them the first of these images is; 0 by default. */
  first?: number;
}

/** Arguments of {@linkcode runExpectedDensity}. */
export interface ExpectedScoresArguments extends Omit<ExpectedDensityArguments, "sums" | "batch" | "first"> {
  /** The densities, f32 [images, draws]. */
  scores: DeviceArray;
}

const ACTION = "expect densities of bits";

/** Products below this count as 0, as in the shader. */
const LEAST_PRODUCT = 2 ** -40;

const { fround } = Math;

/**
 * Writes, for each candidate x at each position, `1 + (N - 1) * product over bits c of p_c + (1 - p_c) q`,
 * where p_c is the probability, after guidance, temperature and truncation, with which `sampleBits` draws x's
 * own value of bit c, `q = exp(-1 / (2 h^2))`, and h Silverman's bandwidth for N candidates whose bits have
 * the deviations `sqrt(p (1 - p))`, plus epsilon. It is the mean of what `hammingDensity` measures with that
 * bandwidth (that of drawn candidates varies a little) over all draws of the other N - 1. The density of a
 * candidate is the sum over positions; {@linkcode runExpectedDensity} does both.
 *
 * The same integers come out on every device. A product is within a relative `bits * 2^-21` of the true one
 * for the same q, and 0 below 2^-40.
 *
 * @throws {TypeError} From `plan`, if an argument has the wrong type.
 * @throws {RangeError} From `plan`, if an argument is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { runExpectedDensity } from "./expected_density.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * // The first bit is surely 1, the second is 1 with a probability of 1/4.
 * using logits = device.upload(new Float32Array([0, 90, Math.log(3), 0]));
 * using tokens = device.upload(new Uint32Array([0b01, 0b11]));
 * using scores = device.allocate(2);
 * const sizes = { images: 1, draws: 2, positions: 1, bits: 2, nominal: 101 };
 * runExpectedDensity(device, { logits, tokens, scores, ...sizes, topP: 0.97 });
 * const [often, seldom] = await readFloats(scores);
 * // In so narrow a kernel only equal tokens count: 75 and 25 of the 100 others.
 * assertAlmostEquals(often!, 76, 0.02);
 * assertAlmostEquals(seldom!, 26, 0.02);
 * ```
 */
export const expectedDensity: Kernel<ExpectedDensityArguments> = {
  name: "expected_density",
  wgsl: BIT_CHANCE_WGSL + exactSumsWgsl + wgsl,
  plan(args) {
    const { logits, tokens, sums, kept, images, draws, positions, bits, nominal } = args;
    const { epsilon = 1e-6, batch = images, first = 0 } = args;
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(draws, "draws", ACTION, { min: 1, max: MAX_DRAWS });
    requireInteger(positions, "positions", ACTION, { min: 1 });
    requireInteger(bits, "bits", ACTION, { min: 1, max: MAX_BITS });
    requireInteger(nominal, "nominal", ACTION, { min: 1, max: MAX_DRAWS });
    requireInteger(draws * positions, "draws * positions", ACTION, { min: 1, max: MAX_TERMS });
    requireInteger(nominal * positions, "nominal * positions", ACTION, { min: 1, max: MAX_TERMS });
    requireNumber(epsilon, "epsilon", ACTION, { min: 0 });
    requireInteger(batch, "batch", ACTION, { min: images });
    requireInteger(first, "first", ACTION, { min: 0, max: batch - images });
    requireTruncation(args, ACTION);
    const weight = requireLogits(rows(args), ACTION);
    requireLength(tokens, images * draws * positions * Math.ceil(bits / 32), ACTION);
    requireLength(sums, images * positions * draws * 2, ACTION);
    if (kept !== undefined) requireLength(kept, positions, ACTION);
    return {
      arrays: [logits, tokens, kept ?? tokens, sums],
      parameters: [
        ["u32", images * positions],
        ["u32", draws],
        ["u32", positions],
        ["u32", bits],
        ["u32", first * positions],
        ["u32", batch * positions],
        ["u32", nominal - 1],
        ["u32", kept === undefined ? 0 : 1],
        ["f32", weight],
        ["f32", sharpness(args)],
        ["u32", certainFrom(args)],
        ["f32", scale(args)],
        ["f32", epsilon],
      ],
      workgroups: spread(images * positions),
    };
  },
  twin(args) {
    const { images, draws, positions, bits, nominal, epsilon = 1e-6, batch = images, first = 0 } = args;
    const weight = requireLogits(rows(args), ACTION);
    const factor = sharpness(args);
    const certain = certainFrom(args);
    const logits = words(args.logits);
    const tokens = words(args.tokens);
    const kept = args.kept && words(args.kept);
    const out = words(args.sums);
    const size = Math.ceil(bits / 32);
    const row = rowScratch(2 * bits);
    const keys = new Uint32Array(2 * bits);
    const ones = new Uint8Array(bits);
    const likelier = new Float32Array(bits);
    const other = new Float32Array(bits);
    const patterns = new DistinctRows(draws, { size, lastWord: 0xffffffff >>> (32 * size - bits) });
    // What candidates of a pattern get, by its number.
    const sums = new Float64Array(draws);
    for (let place = 0; place < images * positions; place++) {
      const at = (first * positions + place) * 2 * bits;
      guideRow(logits, row, { at, unconditionalAt: batch * positions * 2 * bits + at, weight });
      keyRow(row.u32, keys);
      let deviations = 0;
      for (let bit = 0; bit < bits; bit++) {
        const zero = keys[2 * bit]!;
        const one = keys[2 * bit + 1]!;
        const odds = truncate(otherWeight(Math.max(zero, one), Math.min(zero, one), factor, certain)) *
          2 ** -30;
        ones[bit] = Number(one > zero);
        likelier[bit] = reciprocal(fround(1 + odds));
        other[bit] = product(odds, likelier[bit]!);
        deviations = fround(deviations + squareRoot(product(likelier[bit]!, other[bit]!)));
      }
      const h = fround(product(deviations, scale(args)) + fround(epsilon));
      const oneDifferent = truncate(exp2Negative(exponentFactor(h))) * 2 ** -30;
      for (let bit = 0; bit < bits; bit++) {
        const likely = likelier[bit]!;
        likelier[bit] = likely + product(other[bit]!, oneDifferent);
        other[bit] = other[bit]! + product(likely, oneDifferent);
      }
      patterns.clear();
      const start = Math.floor(place / positions) * draws * positions + place % positions;
      const counts = kept === undefined || kept[place % positions] === 0;
      for (let draw = 0; draw < draws; draw++) {
        const before = patterns.count;
        const number = patterns.add(tokens, (start + draw * positions) * size);
        if (patterns.count > before) {
          const share = counts ? agreement(patterns.words, number * size, { ones, likelier, other }) : 0;
          sums[number] = counts ? 2 ** 30 + (nominal - 1) * Math.floor(share * 2 ** 30) : 0;
        }
        const sum = sums[number]!;
        const high = Math.floor(sum / 2 ** 32);
        out[(place * draws + draw) * 2] = sum - high * 2 ** 32;
        out[(place * draws + draw) * 2 + 1] = high;
      }
    }
  },
};

/**
 * Runs `expectedDensity` and `sumDensities`: for each candidate the sum over positions of its expected
 * densities there, f32 [images, draws], the same bits on every device. What is needed in between is allocated
 * and freed here; images take turns where it would be too much.
 *
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If an argument is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { runExpectedDensity } from "./expected_density.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * // Two positions of a bit that is surely 1: nine agree with the first candidate, one with the second.
 * using logits = device.upload(new Float32Array([0, 90, 0, 90]));
 * using tokens = device.upload(new Uint32Array([1, 1, 0, 0]));
 * using scores = device.allocate(2);
 * const sizes = { images: 1, draws: 2, positions: 2, bits: 1, nominal: 9 };
 * runExpectedDensity(device, { logits, tokens, scores, ...sizes });
 * assertEquals([...await readFloats(scores)], [18, 2]);
 * ```
 */
export function runExpectedDensity(
  device: Device,
  args: ExpectedScoresArguments,
  options: ScratchOptions = {},
): void {
  const { tokens, scores, images, draws, positions, bits } = args;
  // Checked before anything is allocated.
  requireInteger(images, "images", ACTION, { min: 0 });
  expectedDensity.plan({ ...args, images: 0, batch: images, sums: scores });
  const size = draws * positions * Math.ceil(bits / 32);
  requireLength(tokens, images * size, ACTION);
  requireLength(scores, images * draws, ACTION);
  const together = Math.max(1, imagesAtOnce(images, positions * draws * 2, options));
  using sums = device.allocate(together * positions * draws * 2, "densities of positions");
  for (let first = 0; first < images; first += together) {
    const count = Math.min(together, images - first);
    const part = {
      ...args,
      ...{ sums, images: count, batch: images, first },
      tokens: device.view(tokens, first * size, count * size),
      scores: device.view(scores, first * draws, count * draws),
    };
    device.run(expectedDensity, part);
    device.run(sumDensities, part);
  }
}

/** The product of a pattern's factors, in the order of the bits. */
function agreement(
  words: Uint32Array,
  start: number,
  { ones, likelier, other }: {
    readonly ones: Uint8Array;
    readonly likelier: Float32Array;
    readonly other: Float32Array;
  },
): number {
  let share = 1;
  for (let bit = 0; bit < ones.length; bit++) {
    const value = words[start + (bit >> 5)]! >>> (bit & 31) & 1;
    share = product(share, value === ones[bit] ? likelier[bit]! : other[bit]!);
    if (share < LEAST_PRODUCT) return 0;
  }
  return share;
}

/** The logits of all images of the batch as rows of two. */
function rows({ batch, ...args }: ExpectedDensityArguments): LogitArguments {
  return { ...args, images: batch ?? args.images, positions: args.positions * args.bits, vocabulary: 2 };
}

/** Rounded once, so that both devices multiply by the same number. */
function scale({ nominal, bits }: ExpectedDensityArguments): number {
  return fround(silvermanFactor(nominal, bits) / bits);
}
