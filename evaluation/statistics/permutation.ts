/**
 * Whether two methods differ on the same prompts or seeds, by permutations: what an interval of
 * `intervals.ts` leaves open is how likely a difference is where there is none.
 *
 * @module
 */

import { mustBe, requireInteger, requireList, requireOptions } from "../../kernels/arguments.ts";
import { seedWords, threefry2x32 } from "../../kernels/exact/threefry.ts";

/** Options of {@linkcode pairedTest}. */
export interface PairedTestOptions {
  /** Random assignments where there are too many for all; 10 000 by default. */
  readonly resamples?: number;
  /** Seed of these; 0 by default. */
  readonly seed?: number | bigint;
}

/** What a paired test says. */
export interface PairedTest {
  /** Mean of first - second. */
  readonly difference: number;
  /** Probability of one at least as large, of either sign, if it were chance which of a pair is first. */
  readonly p: number;
}

const ACTION = "test pairs";
/** Differences whose signs are tried in all ways. */
const EXACT = 16;

/**
 * The two-sided paired permutation test: each pair keeps its values and may change their sides (Fisher, "The
 * design of experiments", 1935). Pairs without a difference have no say. Up to 16 others are tried in all
 * ways, which gives what SciPy's `permutation_test` of samples gives; beyond that p is (larger + 1) /
 * (resamples + 1) of random ones, so that it is never 0.
 *
 * @throws {TypeError} If an argument has the wrong type, a value is not finite, or an option is unknown.
 * @throws {RangeError} If there is no pair, the two are not as many, their differences are more than a number
 * can be, or an option is out of range.
 *
 * @example
 * ```ts
 * import { pairedTest } from "./permutation.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(pairedTest([2, 3, 4, 5], [1, 1, 1, 1]), { difference: 2.5, p: 2 / 2 ** 4 });
 * ```
 */
export function pairedTest(
  first: readonly number[],
  second: readonly number[],
  options: PairedTestOptions = {},
): PairedTest {
  requireOptions(options, ["resamples", "seed"], ACTION);
  const resamples = requireInteger(options.resamples ?? 10_000, "resamples", ACTION, {
    min: 1,
    max: 2 ** 24,
  });
  const [key0, key1] = seedWords(options.seed ?? 0);
  const count = requireList(first, "first", ACTION, "a list of numbers").length;
  requireInteger(count, "the number of pairs", ACTION, { min: 1 });
  if (requireList(second, "second", ACTION, "a list of numbers").length !== count) {
    throw new RangeError(mustBe(`${count}, as in first`, second.length, "the number in second", ACTION));
  }
  for (const value of [...first, ...second]) {
    if (!Number.isFinite(value)) throw new TypeError(mustBe("a finite number", value, "each value", ACTION));
  }
  const all = first.map((value, i) => value - second[i]!);
  const sum = all.reduce((total, difference) => total + difference, 0);
  const differences = Float64Array.from(all.filter((difference) => difference !== 0));
  const size = differences.reduce((total, difference) => total + Math.abs(difference), 0);
  if (!Number.isFinite(size)) {
    throw new RangeError(mustBe("a finite number", size, "the sum of all differences", ACTION));
  }
  // Sums that are equal in exact arithmetic differ by roundings of what they are made of.
  const least = Math.abs(sum) - 1e-12 * size;
  const words = new Uint32Array(2);
  const exact = differences.length <= EXACT;
  const tries = exact ? 2 ** differences.length : resamples;
  let larger = 0;
  for (let turn = 0; turn < tries; turn++) {
    let total = 0;
    for (let i = 0; i < differences.length; i++) {
      if (!exact && i % 64 === 0) threefry2x32(key0, key1, turn, i / 64, words);
      const bits = exact ? turn : words[i >> 5 & 1]!;
      total += (bits >>> (i & 31) & 1) === 1 ? differences[i]! : -differences[i]!;
    }
    if (Math.abs(total) >= least) larger++;
  }
  return { difference: sum / count, p: exact ? larger / tries : (larger + 1) / (tries + 1) };
}
