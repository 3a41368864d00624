/**
 * Factors of covariances in f64. What is made of them is left to the metrics.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import { addWideProducts } from "../../kernels/pairs/pairs.ts";
import { norm, requireMatrix } from "./eigenvalues.ts";

/** A factor of a symmetric matrix that is positive where it is not zero. */
export interface Factor {
  /** f64 [rank, size]: its transpose times itself is the matrix. */
  readonly values: Float64Array;
  /** Rows: directions in which the matrix is more than the rounding of what it was stored in. */
  readonly rank: number;
}

const ACTION = "factor a covariance";
/** Columns that are found before the rest of the matrix hears of them. */
const PANEL = 64;

/**
 * A factor F with FᵀF = matrix, by Cholesky's method with pivots: the next row is always that of the largest
 * remaining diagonal value, and it ends where none is more than what rounding makes of zeros, whose square
 * roots a distance would add up: 2^-51 √size of the largest one at the start, or, where all values are those
 * of an f32, as in statistics that were stored so, 2^-22 of the matrix' Frobenius norm over √size, about four
 * times what such a rounding is in any direction.
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
  const narrow = matrix.every((value) => Math.fround(value) === value);
  const noise = narrow ? 4 * 2 ** -24 * norm(matrix, 0, matrix.length) / Math.sqrt(size) : 0;
  const least = Math.max(2 * Math.sqrt(size) * 2 ** -52 * largest, noise);
  const order = Uint32Array.from({ length: size }, (_, i) => i);
  const values = new Float64Array(size * size);
  const rest = matrix.slice();
  let rank = 0;
  // A panel of columns looks back at itself only, and is then taken off the rest at once, by fast products:
  // 2048 × 2048 take 1 s where columns one by one take 4 s.
  for (;;) {
    const panel = new Float64Array(size * PANEL);
    let found = 0;
    for (; found < PANEL && rank < size; found++, rank++) {
      let best = rank;
      for (let i = rank + 1; i < size; i++) if (left[order[i]!]! > left[order[best]!]!) best = i;
      const pivot = order[best]!;
      if (!(left[pivot]! > least)) break;
      [order[best], order[rank]] = [order[rank]!, pivot];
      const root = Math.sqrt(left[pivot]!);
      values[rank * size + pivot] = panel[pivot * PANEL + found] = root;
      for (let i = rank + 1; i < size; i++) {
        const other = order[i]!;
        let value = rest[pivot * size + other]!;
        for (let k = 0; k < found; k++) value -= panel[pivot * PANEL + k]! * panel[other * PANEL + k]!;
        value /= root;
        values[rank * size + other] = panel[other * PANEL + found] = value;
        left[other]! -= value * value;
      }
    }
    if (found < PANEL || rank === size) break;
    takeOff(panel, order.subarray(rank), rest, size);
  }
  for (const i of order.subarray(rank)) {
    if (left[i]! >= -1e-3 * largest) continue;
    throw new RangeError(`Cannot ${ACTION} as it has clearly negative eigenvalues: no rows have such a one`);
  }
  return { values: values.subarray(0, rank * size), rank };
}

/** Takes a panel's products off the part of the matrix that is left. */
function takeOff(panel: Float64Array, left: Uint32Array, rest: Float64Array, size: number): void {
  const count = left.length;
  const rows = new Float64Array(count * PANEL);
  for (const [i, row] of left.entries()) {
    rows.set(panel.subarray(row * PANEL, (row + 1) * PANEL), i * PANEL);
  }
  const output = new Float64Array(count * count);
  addWideProducts({ left: rows, right: rows, rows: count, columns: count, dimensions: PANEL, output });
  for (let i = 0; i < count; i++) {
    const row = left[i]! * size;
    for (let j = 0; j < count; j++) rest[row + left[j]!]! -= output[i * count + j]!;
  }
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
