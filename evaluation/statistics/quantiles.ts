/**
 * Quantiles: of values that are there, of the normal distribution and of Student's. What is made of them is
 * left to the intervals beside this file.
 *
 * @module
 */

import { mustBe, requireInteger } from "../../kernels/arguments.ts";

const ACTION = "find a quantile";

/**
 * The quantile of sorted values, between two of them by straight lines, as NumPy takes it.
 *
 * @param sorted At least one value, ascending.
 * @param share From 0 to 1.
 *
 * @example
 * ```ts
 * import { quantile } from "./quantiles.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(quantile(Float64Array.of(1, 2, 4), 0.75), 3);
 * ```
 */
export function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (place - below) * (high - low);
}

/**
 * How many standard deviations on both sides of the mean hold a share of the normal distribution.
 *
 * @throws {RangeError} If the share is not between 0 and 1.
 *
 * @example
 * ```ts
 * import { normalReach } from "./quantiles.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * assertAlmostEquals(normalReach(0.95), 1.959963984540054, 1e-14);
 * ```
 */
export function normalReach(confidence: number): number {
  requireShare(confidence);
  // 2 φ(z) (z + z³/3 + z⁵/15 + …); 9 deviations hold all but 2^-62.
  return bisect(9, confidence, (z) => {
    let [term, sum] = [z, z];
    for (let n = 3; term > sum * 2 ** -54; n += 2) {
      term *= z * z / n;
      sum += term;
    }
    return Math.sqrt(2 / Math.PI) * Math.exp(-z * z / 2) * sum;
  });
}

/**
 * The same of Student's distribution.
 *
 * @param freedom Its degrees of freedom, an integer.
 * @throws {TypeError} If they are no number.
 * @throws {RangeError} If an argument is out of range.
 *
 * @example
 * ```ts
 * import { studentReach } from "./quantiles.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * assertAlmostEquals(studentReach(0.95, 9), 2.2621571627982053, 1e-13);
 * ```
 */
export function studentReach(confidence: number, freedom: number): number {
  requireShare(confidence);
  requireInteger(freedom, "freedom", ACTION, { min: 1, max: 2 ** 20 });
  // Finite sums of the angle's cosine (Abramowitz and Stegun, 26.7.3 and 26.7.4).
  const angle = bisect(Math.PI / 2, confidence, (theta) => {
    const square = Math.cos(theta) ** 2;
    const odd = freedom % 2;
    let term = odd === 1 ? Math.cos(theta) : 1;
    let sum = 0;
    for (let power = odd; power <= freedom - 2; power += 2) {
      sum += term;
      term *= square * (power + 1) / (power + 2);
    }
    sum *= Math.sin(theta);
    return odd === 1 ? (theta + sum) * 2 / Math.PI : sum;
  });
  return Math.sqrt(freedom) * Math.tan(angle);
}

/** Where a rising function of 0 to `high` has a value. */
function bisect(high: number, value: number, rising: (x: number) => number): number {
  let low = 0;
  // 60 halvings of less than 10 leave no more than a rounding.
  for (let turn = 0; turn < 60; turn++) {
    const middle = (low + high) / 2;
    if (rising(middle) < value) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function requireShare(confidence: number): void {
  if (confidence > 0 && confidence < 1) return;
  throw new RangeError(mustBe("between 0 and 1", confidence, "confidence", ACTION));
}
