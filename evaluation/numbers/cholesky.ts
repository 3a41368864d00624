/**
 * Factors of covariances in f64. What is made of them is left to the metrics.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import { requireMatrix } from "./eigenvalues.ts";

/** A factor of a symmetric matrix that is positive where it is not zero. */
export interface Factor {
  /** f64 [rank, size]: its transpose times itself is the matrix. */
  readonly values: Float64Array;
  /** Rows: directions in which the matrix is more than the rounding of what it was stored in. */
  readonly rank: number;
}

const ACTION = "factor a covariance";

/**
 * A factor F with FᵀF = matrix, by Cholesky's method with pivots: the next row is always that of the largest
 * remaining diagonal value, and it ends where none is more than 2 √size roundings of the largest one at the
 * start. A rounding is 2^-52, or 2^-23 where all values are those of an f32, as in statistics that were
 * stored so: past it everything is noise, whose square roots a distance would add up.
 *
 * @param matrix f64 [size, size], symmetric.
 * @throws {RangeError} If it is not of that size, not finite, not symmetric to 1e-5 of its largest value, or
 * clearly no covariance: a diagonal value that is negative, or becomes so by a thousandth of the largest.
 *
 * @example
 * ```ts
 * import { factor } from "./cholesky.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { rank, values } = factor(Float64Array.of(4, 2, 2, 1), 2);
 * assertEquals([rank, ...values], [1, 2, 1]);
 * ```
 */
export function factor(matrix: Float64Array, size: number): Factor {
  requireCovariance(matrix, size);
  const left = Float64Array.from({ length: size }, (_, i) => matrix[i * size + i]!);
  const largest = left.reduce((most, value) => Math.max(most, value), 0);
  const rounding = matrix.every((value) => Math.fround(value) === value) ? 2 ** -23 : 2 ** -52;
  const least = 2 * Math.sqrt(size) * rounding * largest;
  // Row i holds what column i of the factor has so far, so that its products run along memory.
  const columns = new Float64Array(size * size);
  const order = Uint32Array.from({ length: size }, (_, i) => i);
  let rank = 0;
  for (; rank < size; rank++) {
    let best = rank;
    for (let i = rank + 1; i < size; i++) if (left[order[i]!]! > left[order[best]!]!) best = i;
    const pivot = order[best]!;
    if (!(left[pivot]! > least)) break;
    [order[best], order[rank]] = [order[rank]!, pivot];
    const root = Math.sqrt(left[pivot]!);
    columns[pivot * size + rank] = root;
    for (let i = rank + 1; i < size; i++) {
      const other = order[i]!;
      const rest = matrix[pivot * size + other]! - product(columns, pivot * size, other * size, rank);
      columns[other * size + rank] = rest / root;
      left[other]! -= (rest / root) ** 2;
    }
  }
  for (const i of order.subarray(rank)) {
    if (left[i]! >= -1e-3 * largest) continue;
    throw new RangeError(`Cannot ${ACTION} as it has clearly negative eigenvalues: no rows have such a one`);
  }
  const values = new Float64Array(rank * size);
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j < size; j++) values[i * size + j] = columns[j * size + i]!;
  }
  return { values, rank };
}

/** The inner product of the first values of two rows. Four sums keep the additions from waiting. */
function product(values: Float64Array, first: number, second: number, count: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 3 < count; i += 4) {
    a += values[first + i]! * values[second + i]!;
    b += values[first + i + 1]! * values[second + i + 1]!;
    c += values[first + i + 2]! * values[second + i + 2]!;
    d += values[first + i + 3]! * values[second + i + 3]!;
  }
  for (; i < count; i++) a += values[first + i]! * values[second + i]!;
  return a + b + (c + d);
}

function requireCovariance(matrix: Float64Array, size: number): void {
  requireMatrix(matrix, size, size, ACTION);
  const largest = matrix.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (let i = 0; i < size; i++) {
    if (matrix[i * size + i]! < 0) {
      throw new RangeError(mustBe("at least 0", matrix[i * size + i], `the variance of column ${i}`, ACTION));
    }
    for (let j = 0; j < i; j++) {
      if (Math.abs(matrix[i * size + j]! - matrix[j * size + i]!) <= 1e-5 * largest) continue;
      const pair = `${matrix[i * size + j]} and ${matrix[j * size + i]}`;
      throw new RangeError(
        `Cannot ${ACTION} as it must be symmetric: current values of columns ${j} and ${i} are ${pair}`,
      );
    }
  }
}
