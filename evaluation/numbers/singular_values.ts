/**
 * Singular values of any matrix in f64, without vectors. Those of symmetric ones are in `eigenvalues.ts`.
 *
 * @module
 */

import { norm, requireMatrix, tridiagonalEigenvalues } from "./eigenvalues.ts";

/**
 * The singular values, descending. The matrix becomes one of two diagonals, by Householder's reflections from
 * both sides, and these, in turns, beside a diagonal of zeros, have the singular values and their negatives
 * as eigenvalues (Golub and Kahan, 1965). So an error is a few roundings of the largest one, where the roots
 * of the eigenvalues of a product lose half of the digits.
 *
 * @param matrix f64 [rows, columns]; it is overwritten.
 * @returns f64 [min(rows, columns)].
 * @throws {RangeError} If the matrix is not of that size or not finite.
 *
 * @example
 * ```ts
 * import { singularValues } from "./singular_values.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const [first, second] = singularValues(Float64Array.of(3, 0, 0, 0, 0, -4), 2, 3);
 * assertAlmostEquals(first!, 4);
 * assertAlmostEquals(second!, 3);
 * ```
 */
export function singularValues(matrix: Float64Array, rows: number, columns: number): Float64Array {
  requireMatrix(matrix, rows, columns, "find singular values");
  if (rows > columns) return singularValues(transposed(matrix, rows, columns), columns, rows);
  const beside = new Float64Array(2 * rows - 1);
  for (let k = 0; k < rows; k++) {
    const row = k * columns;
    const along = reflector(matrix, row + k, columns - k);
    beside[2 * k] = along.value;
    const rest = rows - k - 1;
    if (rest === 0) break;
    for (let i = k + 1; i < rows; i++) reflect(matrix, i * columns + k, along.vector);
    const down = reflector(matrix, row + columns + k, rest, columns);
    beside[2 * k + 1] = down.value;
    reflectColumns(matrix, { at: row + columns + k + 1, width: columns - k - 1, step: columns }, down.vector);
  }
  const values = tridiagonalEigenvalues(new Float64Array(2 * rows), beside);
  return values.subarray(rows).map((value) => Math.max(0, value)).reverse();
}

/** The vector v of length √2, or 0, for which (1 - v vᵀ) turns values to their first place. */
function reflector(
  values: Float64Array,
  at: number,
  count: number,
  step = 1,
): { vector: Float64Array; value: number } {
  const vector = Float64Array.from({ length: count }, (_, i) => values[at + i * step]!);
  const length = norm(vector, 0, count);
  const first = vector[0]!;
  const value = first > 0 ? -length : length;
  if (length === 0) return { vector, value };
  // The longest are as long as the largest f64, so that their square would be infinite.
  const scale = 1 / Math.sqrt(1 + Math.abs(first) / length);
  for (let i = 0; i < count; i++) vector[i] = vector[i]! / length * scale;
  vector[0] = (first / length - value / length) * scale;
  return { vector, value };
}

/** Reflects a part of a row. */
function reflect(values: Float64Array, at: number, vector: Float64Array): void {
  let [sum, other] = [0, 0];
  const { length } = vector;
  let i = 0;
  for (; i + 1 < length; i += 2) {
    sum += values[at + i]! * vector[i]!;
    other += values[at + i + 1]! * vector[i + 1]!;
  }
  if (i < length) sum += values[at + i]! * vector[i]!;
  sum += other;
  for (i = 0; i < length; i++) values[at + i]! -= sum * vector[i]!;
}

/** Reflects all columns of some rows, row by row along memory. */
function reflectColumns(
  values: Float64Array,
  { at, width, step }: { at: number; width: number; step: number },
  vector: Float64Array,
): void {
  const sums = new Float64Array(width);
  for (let row = 0; row < vector.length; row++) {
    const [from, factor] = [at + row * step, vector[row]!];
    for (let i = 0; i < width; i++) sums[i]! += factor * values[from + i]!;
  }
  for (let row = 0; row < vector.length; row++) {
    const [from, factor] = [at + row * step, vector[row]!];
    for (let i = 0; i < width; i++) values[from + i]! -= factor * sums[i]!;
  }
}

function transposed(matrix: Float64Array, rows: number, columns: number): Float64Array {
  const turned = new Float64Array(matrix.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) turned[j * rows + i] = matrix[i * columns + j]!;
  }
  return turned;
}
