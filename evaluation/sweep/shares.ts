/**
 * How sure shares of right pictures are, also where all are right or there are few of them: a bootstrap would
 * be certain of four right ones of four. Which pictures count together is left to `summary.ts`.
 *
 * @module
 */

import { type Groups, type Interval, wilsonInterval } from "../statistics/intervals.ts";

/**
 * The interval of a mean of shares, each of which has the same weight: Wilson's of each, of which the ends'
 * distances are added in squares (Zou and Donner, "Construction of confidence limits about effect measures",
 * 2008).
 *
 * @param groups From 0 to 1 for each unit: whether a picture is right, or the share of some that are.
 *
 * @example
 * ```ts
 * import { shareInterval } from "./shares.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { mean, low, high } = shareInterval([[1, 1, 1, 1]]);
 * assertEquals([mean, low.toFixed(3), high], [1, "0.510", 1]);
 * ```
 */
export function shareInterval(groups: Groups): Interval {
  const shares = groups.map((units) => {
    const sum = units.reduce((sum, unit) => sum + unit, 0);
    const { mean, low, high } = wilsonInterval(Math.round(sum), units.length);
    return { mean: sum / units.length, below: mean - low, above: high - mean };
  });
  const mean = shares.reduce((sum, { mean }) => sum + mean, 0) / shares.length;
  const reach = (side: "below" | "above"): number => {
    return Math.hypot(...shares.map((share) => share[side])) / shares.length;
  };
  return { mean, low: Math.max(0, mean - reach("below")), high: Math.min(1, mean + reach("above")) };
}

/**
 * The interval of the difference of two such means, as if the pictures had nothing to do with each other
 * (Newcombe, "Interval estimation for the difference between independent proportions", 1998): too wide for
 * pairs, and the only honest one where next to none of them differ.
 *
 * @example
 * ```ts
 * import { shareDifference } from "./shares.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { mean, low, high } = shareDifference([[1, 1, 1, 1]], [[1, 1, 1, 1]]);
 * assertEquals([mean, low.toFixed(3), high.toFixed(3)], [0, "-0.490", "0.490"]);
 * ```
 */
export function shareDifference(first: Groups, second: Groups): Interval {
  const [a, b] = [shareInterval(first), shareInterval(second)];
  const mean = a.mean - b.mean;
  return {
    mean,
    low: mean - Math.hypot(a.mean - a.low, b.high - b.mean),
    high: mean + Math.hypot(a.high - a.mean, b.mean - b.low),
  };
}
