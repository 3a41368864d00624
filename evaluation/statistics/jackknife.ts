/**
 * How sure any number is that is made of many rows, such as a Fréchet distance, by leaving out groups of
 * rows. It takes as few computations as there are groups; the bootstrap of `intervals.ts` takes thousands.
 *
 * @module
 */

import { mustBe, requireFunction, requireInteger, requireOptions } from "../../kernels/arguments.ts";
import { shuffled } from "./draws.ts";
import type { Interval } from "./intervals.ts";
import { studentReach } from "./quantiles.ts";

/** Options of {@linkcode jackknifeInterval}. */
export interface JackknifeOptions {
  /** Groups, one of which is left out at a time: 20 by default, or one for each row where there are fewer. */
  readonly groups?: number;
  /** Share of such intervals that hold the true value; 0.95 by default. */
  readonly confidence?: number;
  /** Seed of the grouping, which is random, so that no group is a class of pictures; 0 by default. */
  readonly seed?: number | bigint;
}

const ACTION = "make an interval by a jackknife";

/**
 * The interval of a statistic by the delete-a-group jackknife: the standard error is
 * √((G - 1) / G · Σ (θ₍g₎ - θ̄)²) of the values without each of G groups, and the interval reaches so many of
 * them to both sides as Student's distribution with G - 1 degrees of freedom says (Kott, "The delete-a-group
 * jackknife", 2001). A bias that all groups share, such as that of the Fréchet distance, moves no end.
 *
 * @param count Rows.
 * @param statistic Makes the number of some rows: their places, ascending.
 * @returns The statistic of all rows as `mean`, and the ends.
 * @throws {TypeError} If an argument has the wrong type, an option is unknown, or a result is not finite.
 * @throws {RangeError} If there are fewer than two rows or an option is out of range.
 *
 * @example
 * ```ts
 * import { jackknifeInterval } from "./jackknife.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const values = [3, 5, 4, 8];
 * const mean = (kept: Uint32Array) => kept.reduce((sum, i) => sum + values[i]!, 0) / kept.length;
 * const { low, high } = jackknifeInterval(values.length, mean);
 * // Of a mean it is Student's interval: ± 3.182 · √(14 / 3 / 4).
 * assertAlmostEquals(high - low, 2 * 3.182446 * Math.sqrt(14 / 3 / 4), 1e-5);
 * ```
 */
export function jackknifeInterval(
  count: number,
  statistic: (kept: Uint32Array) => number,
  options: JackknifeOptions = {},
): Interval {
  requireOptions(options, ["groups", "confidence", "seed"], ACTION);
  requireInteger(count, "count", ACTION, { min: 2 });
  requireFunction(statistic, "statistic", ACTION);
  const { groups = Math.min(20, count), confidence = 0.95, seed = 0 } = options;
  requireInteger(groups, "groups", ACTION, { min: 2, max: count });
  const reach = studentReach(confidence, groups - 1);
  const groupOf = new Uint32Array(count);
  for (const [place, row] of shuffled(count, seed, 0).entries()) groupOf[row] = place % groups;
  const all = Uint32Array.from({ length: count }, (_, i) => i);
  const value = (kept: Uint32Array) => {
    const found = statistic(kept);
    if (Number.isFinite(found)) return found;
    throw new TypeError(mustBe("a finite number", found, "what statistic returns", ACTION));
  };
  const mean = value(all);
  const without = Array.from(
    { length: groups },
    (_, group) => value(all.filter((i) => groupOf[i] !== group)),
  );
  const middle = without.reduce((sum, found) => sum + found, 0) / groups;
  const squares = without.reduce((sum, found) => sum + (found - middle) ** 2, 0);
  const error = Math.sqrt((groups - 1) / groups * squares);
  return { mean, low: mean - reach * error, high: mean + reach * error };
}
