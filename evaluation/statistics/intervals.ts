/**
 * How sure a number is: percentile intervals of the bootstrap, of one method, of the difference between two
 * on the same prompts and of any statistic, and Wilson's of a share. What is averaged is left to the judges
 * and metrics.
 *
 * @module
 */

import { mustBe, requireFunction, requireInteger, requireOptions } from "../../kernels/arguments.ts";
import { seedWords, threefry2x32 } from "../../kernels/exact/threefry.ts";
import { draws } from "./draws.ts";
import { normalReach, quantile } from "./quantiles.ts";

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

/**
 * The percentile interval of any statistic of rows: as many rows as there are, are drawn with replacement. A
 * statistic that compares rows, such as a Fréchet distance, sees every row several times and is moved by it:
 * `jackknifeInterval` is for those.
 *
 * @param count Rows.
 * @param statistic Makes the number of some rows, of which some are there several times: their places.
 * @returns The statistic of all rows as `mean`, and the ends.
 * @throws {TypeError} If an argument has the wrong type, an option is unknown, or a result is not finite.
 * @throws {RangeError} If there is no row or an option is out of range.
 *
 * @example
 * ```ts
 * import { bootstrapStatistic } from "./intervals.ts";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const values = [3, 5, 4, 8, 6];
 * const median = (rows: Uint32Array) => [...rows].map((i) => values[i]!).sort()[2]!;
 * const { mean, low, high } = bootstrapStatistic(5, median, { resamples: 1000 });
 * assertEquals(mean, 5);
 * assert(low < 5 && high > 5);
 * ```
 */
export function bootstrapStatistic(
  count: number,
  statistic: (rows: Uint32Array) => number,
  options: IntervalOptions = {},
): Interval {
  requireOptions(options, ["confidence", "resamples", "seed"], ACTION);
  const { confidence = 0.95, resamples = 10_000, seed = 0 } = options;
  requireInteger(count, "count", ACTION, { min: 1 });
  requireFunction(statistic, "statistic", ACTION);
  if (!(confidence > 0 && confidence < 1)) {
    throw new RangeError(mustBe("between 0 and 1", confidence, "confidence", ACTION));
  }
  requireInteger(resamples, "resamples", ACTION, { min: 1, max: 2 ** 24 });
  const value = (rows: Uint32Array) => {
    const found = statistic(rows);
    if (Number.isFinite(found)) return found;
    throw new TypeError(mustBe("a finite number", found, "what statistic returns", ACTION));
  };
  const mean = value(Uint32Array.from({ length: count }, (_, i) => i));
  const values = Float64Array.from({ length: resamples }, (_, resample) => {
    const draw = draws(seed, resample);
    return value(Uint32Array.from({ length: count }, () => draw(count)));
  }).sort();
  return {
    mean,
    low: quantile(values, (1 - confidence) / 2),
    high: quantile(values, (1 + confidence) / 2),
  };
}

/**
 * Wilson's interval of a share, which stays within 0 and 1 and is right where few or all are ("Probable
 * inference, the law of succession, and statistical inference", 1927), without continuity correction.
 *
 * @param right How many are right.
 * @param count Of how many.
 * @returns The share as `mean`, and the ends.
 * @throws {TypeError} If an argument is no number or an option unknown.
 * @throws {RangeError} If there are none or more right than there are, or an option is out of range.
 *
 * @example
 * ```ts
 * import { wilsonInterval } from "./intervals.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { mean, low, high } = wilsonInterval(9, 10);
 * assertEquals([mean, low.toFixed(4), high.toFixed(4)], [0.9, "0.5958", "0.9821"]);
 * ```
 */
export function wilsonInterval(
  right: number,
  count: number,
  options: Pick<IntervalOptions, "confidence"> = {},
): Interval {
  requireOptions(options, ["confidence"], ACTION);
  requireInteger(count, "count", ACTION, { min: 1 });
  requireInteger(right, "right", ACTION, { min: 0, max: count });
  const square = normalReach(options.confidence ?? 0.95) ** 2;
  const mean = right / count;
  const middle = (mean + square / count / 2) / (1 + square / count);
  const half = Math.sqrt(square * (mean * (1 - mean) / count + square / count ** 2 / 4)) /
    (1 + square / count);
  return {
    mean,
    low: right === 0 ? 0 : Math.max(0, middle - half),
    high: right === count ? 1 : Math.min(1, middle + half),
  };
}

/** The mean of some values. */
export function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
