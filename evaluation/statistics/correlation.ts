/**
 * Whether two numbers of the same things go together: by their ranks, so that no scale matters, or by
 * themselves.
 *
 * @module
 */

import { mustBe, requireInteger, requireList } from "../../kernels/arguments.ts";

const ACTION = "correlate";

/**
 * Pearson's correlation of values, from -1 to 1.
 *
 * @throws {TypeError} If an argument is no list of finite numbers.
 * @throws {RangeError} If there are fewer than two, the two are not as many, or all of one are the same.
 *
 * @example
 * ```ts
 * import { pearson } from "./correlation.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * assertAlmostEquals(pearson([1, 2, 3], [2, 4, 6]), 1);
 * ```
 */
export function pearson(x: readonly number[], y: readonly number[]): number {
  requirePairs(x, y);
  const [left, right] = [direction(x), direction(y)];
  return Math.max(-1, Math.min(1, left.reduce((sum, value, i) => sum + value * right[i]!, 0)));
}

/**
 * Spearman's rank correlation ρ; equal values share the mean of their ranks, as in SciPy.
 *
 * @throws {TypeError} If an argument is no list of finite numbers.
 * @throws {RangeError} If there are fewer than two, the two are not as many, or all of one are the same.
 *
 * @example
 * ```ts
 * import { spearman } from "./correlation.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * assertAlmostEquals(spearman([1, 2, 3, 4], [1, 8, 9, 100]), 1);
 * ```
 */
export function spearman(x: readonly number[], y: readonly number[]): number {
  requirePairs(x, y);
  return pearson(ranks(x), ranks(y));
}

/**
 * Kendall's rank correlation τ-b, which counts ties, as SciPy's default does. Its time grows with the square
 * of the number of values: 10 000 take half a second.
 *
 * @throws {TypeError} If an argument is no list of finite numbers.
 * @throws {RangeError} If there are fewer than two, the two are not as many, or all of one are the same.
 *
 * @example
 * ```ts
 * import { kendall } from "./correlation.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * assertAlmostEquals(kendall([1, 2, 3, 4], [1, 3, 2, 4]), 4 / 6);
 * ```
 */
export function kendall(x: readonly number[], y: readonly number[]): number {
  requirePairs(x, y);
  const [left, right] = [Float64Array.from(x), Float64Array.from(y)];
  let [agree, leftPairs, rightPairs] = [0, 0, 0];
  for (let i = 1; i < left.length; i++) {
    for (let j = 0; j < i; j++) {
      const a = Math.sign(left[i]! - left[j]!);
      const b = Math.sign(right[i]! - right[j]!);
      agree += a * b;
      leftPairs += a * a;
      rightPairs += b * b;
    }
  }
  // One root of a square is exact, where two may make a little more than 1 of what is 1.
  return agree / Math.sqrt(leftPairs * rightPairs);
}

/** The rank of each value from 1 on. */
function ranks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const found = new Array<number>(values.length);
  for (let from = 0, to = 0; from < order.length; from = to) {
    while (to < order.length && values[order[to]!] === values[order[from]!]) to++;
    for (let i = from; i < to; i++) found[order[i]!] = (from + to + 1) / 2;
  }
  return found;
}

/**
 * Values less their mean, as a vector of length 1. They are divided by the power of two at the largest first,
 * so that no square overflows, and counted from the first one, so that values far from 0 keep their digits.
 */
function direction(values: readonly number[]): number[] {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scale = 2 ** Math.max(-1022, Math.min(1023, Math.floor(Math.log2(largest))));
  const scaled = values.map((value) => value / scale - values[0]! / scale);
  const mean = scaled.reduce((sum, value) => sum + value, 0) / values.length;
  const length = Math.sqrt(scaled.reduce((sum, value) => sum + (value - mean) ** 2, 0));
  return scaled.map((value) => (value - mean) / length);
}

function requirePairs(x: readonly number[], y: readonly number[]): void {
  requireList(x, "x", ACTION, "a list of numbers");
  requireList(y, "y", ACTION, "a list of numbers");
  requireInteger(x.length, "the number of values", ACTION, { min: 2 });
  if (x.length !== y.length) {
    throw new RangeError(mustBe(`${x.length}, as in x`, y.length, "the number of values in y", ACTION));
  }
  for (const [name, values] of [["x", x], ["y", y]] as const) {
    for (const value of values) {
      if (!Number.isFinite(value)) {
        throw new TypeError(mustBe("a finite number", value, `each value of ${name}`, ACTION));
      }
    }
    if (values.some((value) => value !== values[0])) continue;
    throw new RangeError(mustBe("of at least two different values", values, name, ACTION));
  }
}
