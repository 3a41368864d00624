/**
 * How sure an average over prompts is: percentile intervals of the bootstrap, of one method and of the
 * difference between two on the same prompts. What is averaged is left to others.
 *
 * @module
 */

import { mustBe, requireInteger } from "../../kernels/arguments.ts";
import { seedWords, threefry2x32 } from "../../kernels/exact/threefry.ts";

/** Scores, one for each prompt, in groups of one kind of prompt; every group has the same weight. */
export type Groups = readonly (readonly number[])[];

/** An average and where it would lie with other prompts of the same kinds. */
export interface Interval {
  /** Mean of the groups' means. */
  readonly mean: number;
  /** Lower end. */
  readonly low: number;
  /** Upper end. */
  readonly high: number;
}

/** Options of an interval. */
export interface IntervalOptions {
  /** Share of the resampled means that lie in the interval; 0.95 by default. */
  readonly confidence?: number;
  /** How often the prompts are drawn anew; 10 000 by default: ends vary by 3 % of the standard error. */
  readonly resamples?: number;
  /** Seed of the draws; 0 by default. The same seed draws the same prompts for every method. */
  readonly seed?: number | bigint;
}

const ACTION = "make an interval";

/**
 * The mean of the groups' means with its percentile interval: in each group as many prompts as it has are
 * drawn from it, with replacement.
 *
 * @throws {RangeError} If there is no group or an empty one, or an option is out of range.
 * @throws {TypeError} If a score is no finite number.
 *
 * @example
 * ```ts
 * import { bootstrapInterval } from "./intervals.ts";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const { mean, low, high } = bootstrapInterval([[1, 0, 1, 1], [1, 1]]);
 * assertEquals(mean, 0.875);
 * assert(low < mean && mean < high);
 * ```
 */
export function bootstrapInterval(groups: Groups, options: IntervalOptions = {}): Interval {
  const { confidence = 0.95, resamples = 10_000, seed = 0 } = options;
  if (groups.length === 0 || groups.some((group) => group.length === 0)) {
    throw new RangeError(mustBe("groups of at least one score", groups, "groups", ACTION));
  }
  for (const score of groups.flat()) {
    if (!Number.isFinite(score)) throw new TypeError(mustBe("a finite number", score, "each score", ACTION));
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw new RangeError(mustBe("between 0 and 1", confidence, "confidence", ACTION));
  }
  requireInteger(resamples, "resamples", ACTION, { min: 1, max: 2 ** 24 });
  const [key0, key1] = seedWords(seed);
  const words = new Uint32Array(2);
  const means = Float64Array.from({ length: resamples }, (_, resample) => {
    let draw = 0;
    const drawn = groups.map((group) => {
      let sum = 0;
      for (let i = 0; i < group.length; i++) {
        threefry2x32(key0, key1, resample, draw++, words);
        sum += group[Math.floor(words[0]! / 2 ** 32 * group.length)]!;
      }
      return sum / group.length;
    });
    return average(drawn);
  }).sort();
  return {
    mean: average(groups.map(average)),
    low: quantile(means, (1 - confidence) / 2),
    high: quantile(means, (1 + confidence) / 2),
  };
}

/**
 * How much better the first method is than the second: the interval of the differences of their scores for
 * the same prompts, which is narrower than what the two intervals alone would allow. One without 0 in it says
 * that they differ.
 *
 * @throws {RangeError} If the two are not of the same prompts, and as {@linkcode bootstrapInterval} does.
 *
 * @example
 * ```ts
 * import { bootstrapDifference } from "./intervals.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const better = bootstrapDifference([[0.9, 0.4, 0.7]], [[0.8, 0.3, 0.6]]);
 * assertEquals([better.low, better.high].map((end) => end.toFixed(6)), ["0.100000", "0.100000"]);
 * ```
 */
export function bootstrapDifference(first: Groups, second: Groups, options: IntervalOptions = {}): Interval {
  const sizes = first.map((group) => group.length);
  const others = second.map((group) => group.length);
  if (`${sizes}` !== `${others}`) {
    const wanted = `scores for the same prompts, ${sizes.join(" + ")}`;
    throw new RangeError(mustBe(wanted, others.join(" + "), "second", ACTION));
  }
  const differences = first.map((group, g) => group.map((score, i) => score - second[g]![i]!));
  return bootstrapInterval(differences, options);
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The quantile of sorted values, between two of them by straight lines, as NumPy takes it. */
function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (place - below) * (high - low);
}
