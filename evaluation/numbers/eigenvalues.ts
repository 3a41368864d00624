/**
 * Eigenvalues of symmetric matrices in f64, without vectors: a Householder reduction to three diagonals that
 * reads the matrix once a step, and implicit QL. Singular values of others are in `singular_values.ts`, which
 * ends in the same QL.
 *
 * @module
 */

import { mustBe, requireInteger } from "../../kernels/arguments.ts";

const ACTION = "find eigenvalues";

/**
 * The eigenvalues of a symmetric matrix, ascending. An error is a few roundings of the largest one's size.
 *
 * @param matrix f64 [size, size], of which the lower triangle is read; it is overwritten.
 * @throws {RangeError} If the matrix is not of that size or not finite.
 *
 * @example
 * ```ts
 * import { symmetricEigenvalues } from "./eigenvalues.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const [low, high] = symmetricEigenvalues(Float64Array.of(2, 1, 1, 2), 2);
 * assertAlmostEquals(low!, 1);
 * assertAlmostEquals(high!, 3);
 * ```
 */
export function symmetricEigenvalues(matrix: Float64Array, size: number): Float64Array {
  requireMatrix(matrix, size, size, ACTION);
  const { diagonal, beside } = tridiagonal(matrix, size);
  return tridiagonalEigenvalues(diagonal, beside);
}

/**
 * Checks the size of a matrix and that all of it is finite.
 *
 * @throws {RangeError} If it is not.
 *
 * @example
 * ```ts
 * import { requireMatrix } from "./eigenvalues.ts";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => requireMatrix(Float64Array.of(1, NaN), 1, 2, "test"), RangeError, "finite");
 * ```
 */
export function requireMatrix(matrix: Float64Array, rows: number, columns: number, action: string): void {
  requireInteger(rows, "rows", action, { min: 1 });
  requireInteger(columns, "columns", action, { min: 1 });
  if (matrix.length !== rows * columns) {
    throw new RangeError(mustBe(`${rows} × ${columns}`, matrix.length, "the number of values", action));
  }
  const at = matrix.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  const place = `${matrix[at]} in row ${Math.floor(at / columns)}, column ${at % columns}`;
  throw new RangeError(`Cannot ${action} as the matrix must be finite: current value is ${place}`);
}

/**
 * Three diagonals with the eigenvalues of the matrix. Rows are taken from the last one upwards. The rank-two
 * change that a reflection makes is put off until the next one needs the matrix for its own product, so that
 * n³/6 values are loaded once instead of twice: 2048 × 2048 take 4 s.
 */
function tridiagonal(a: Float64Array, n: number): { diagonal: Float64Array; beside: Float64Array } {
  const diagonal = new Float64Array(n);
  const beside = new Float64Array(n);
  // The change that is due: a -= v wᵀ + w vᵀ.
  let [v, w] = [new Float64Array(n), new Float64Array(n)];
  let [next, product] = [new Float64Array(n), new Float64Array(n)];
  for (let k = n - 1; k >= 1; k--) {
    const row = k * n;
    for (let j = 0; j <= k; j++) a[row + j]! -= v[k]! * w[j]! + w[k]! * v[j]!;
    diagonal[k] = a[row + k]!;
    const length = norm(a, row, k);
    const last = a[row + k - 1]!;
    const towards = last > 0 ? -length : length;
    beside[k] = towards;
    if (k === 1) {
      // What is left is 1 × 1, with the last change due.
      diagonal[0] = a[0]! - 2 * v[0]! * w[0]!;
      beside[1] = last;
      break;
    }
    next.fill(0, k);
    // The vector has length √2, so that the reflection is 1 - v vᵀ.
    const unit = length === 0 ? 1 : length;
    const scale = length === 0 ? 0 : 1 / Math.sqrt(1 + Math.abs(last) / unit);
    for (let j = 0; j < k; j++) next[j] = a[row + j]! / unit * scale;
    next[k - 1] = (last / unit - towards / unit) * scale;
    changeAndMultiply(a, n, k, v, w, next, product);
    let dot = 0;
    for (let j = 0; j < k; j++) dot += product[j]! * next[j]!;
    for (let j = 0; j < k; j++) product[j]! -= dot / 2 * next[j]!;
    [v, next] = [next, v];
    [w, product] = [product, w];
  }
  if (n === 1) diagonal[0] = a[0]!;
  return { diagonal, beside: beside.subarray(1) };
}

/** Makes the change that is due in the first k rows, `a -= v wᵀ + w vᵀ`, and multiplies: `a x`. */
function changeAndMultiply(
  a: Float64Array,
  n: number,
  k: number,
  v: Float64Array,
  w: Float64Array,
  x: Float64Array,
  product: Float64Array,
): void {
  product.fill(0, 0, k);
  let i = 0;
  // Two rows at a time share the loads of v, w, x and the sums.
  for (; i + 1 < k; i += 2) {
    const [first, second] = [i * n, i * n + n];
    const [v0, w0, x0, v1, w1, x1] = [v[i]!, w[i]!, x[i]!, v[i + 1]!, w[i + 1]!, x[i + 1]!];
    let [sum0, sum1] = [0, 0];
    for (let j = 0; j < i; j++) {
      const [vj, wj, xj] = [v[j]!, w[j]!, x[j]!];
      const a0 = a[first + j]! - v0 * wj - w0 * vj;
      const a1 = a[second + j]! - v1 * wj - w1 * vj;
      a[first + j] = a0;
      a[second + j] = a1;
      sum0 += a0 * xj;
      sum1 += a1 * xj;
      product[j]! += a0 * x0 + a1 * x1;
    }
    const a00 = a[first + i]! -= 2 * v0 * w0;
    const a10 = a[second + i]! -= v1 * w0 + w1 * v0;
    const a11 = a[second + i + 1]! -= 2 * v1 * w1;
    product[i]! += sum0 + a00 * x0 + a10 * x1;
    product[i + 1]! += sum1 + a10 * x0 + a11 * x1;
  }
  if (i === k) return;
  let sum = 0;
  for (let j = 0; j < i; j++) {
    const value = a[i * n + j]! -= v[i]! * w[j]! + w[i]! * v[j]!;
    sum += value * x[j]!;
    product[j]! += value * x[i]!;
  }
  product[i]! += sum + (a[i * n + i]! -= 2 * v[i]! * w[i]!) * x[i]!;
}

/** Length of `count` values, without overflow: by the largest. */
export function norm(values: Float64Array, at: number, count: number, step = 1): number {
  let largest = 0;
  for (let i = 0; i < count; i++) largest = Math.max(largest, Math.abs(values[at + i * step]!));
  if (largest === 0) return 0;
  let sum = 0;
  for (let i = 0; i < count; i++) sum += (values[at + i * step]! / largest) ** 2;
  return largest * Math.sqrt(sum);
}

/**
 * The eigenvalues of a symmetric matrix of three diagonals, ascending, by implicit QL with Wilkinson's shift
 * (Bowdler, Martin, Reinsch and Wilkinson, "The QR and QL algorithms for symmetric matrices", 1968).
 *
 * @param diagonal f64 [n]; it is overwritten with the result.
 * @param beside f64 [n - 1] beside the diagonal; it is overwritten.
 * @throws {RangeError} If it does not come to an end, which no finite matrix has been seen to do.
 *
 * @example
 * ```ts
 * import { tridiagonalEigenvalues } from "./eigenvalues.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const [low, , high] = tridiagonalEigenvalues(new Float64Array(3), Float64Array.of(1, 1));
 * assertAlmostEquals(low!, -Math.SQRT2);
 * assertAlmostEquals(high!, Math.SQRT2);
 * ```
 */
export function tridiagonalEigenvalues(diagonal: Float64Array, beside: Float64Array): Float64Array {
  const n = diagonal.length;
  const e = new Float64Array(n);
  e.set(beside);
  // What the reduction has rounded off the largest value is more than this. Beside small diagonal values, of
  // a matrix that goes from large to small, nothing would ever be small enough.
  const least = diagonal.reduce((most, value, i) => Math.max(most, Math.abs(value) + Math.abs(e[i]!)), 0) /
    2 ** 53;
  for (let low = 0; low < n; low++) {
    for (let turn = 0;; turn++) {
      let high = low;
      while (high < n - 1 && Math.abs(e[high]!) > least) high++;
      if (high === low) break;
      if (turn === 60) throw new RangeError(`Cannot ${ACTION} as the iteration does not come to an end`);
      turnThrough(diagonal, e, low, high);
    }
  }
  return diagonal.sort();
}

/** One sweep of rotations from `high` up to `low`. */
function turnThrough(d: Float64Array, e: Float64Array, low: number, high: number): void {
  const slope = (d[low + 1]! - d[low]!) / (2 * e[low]!);
  const root = Math.hypot(slope, 1);
  let g = d[high]! - d[low]! + e[low]! / (slope + (slope < 0 ? -root : root));
  let [sine, cosine, change] = [1, 1, 0];
  for (let i = high - 1; i >= low; i--) {
    const f = sine * e[i]!;
    const b = cosine * e[i]!;
    const length = Math.hypot(f, g);
    e[i + 1] = length;
    if (length === 0) {
      d[i + 1]! -= change;
      e[high] = 0;
      return;
    }
    sine = f / length;
    cosine = g / length;
    const moved = d[i + 1]! - change;
    const r = (d[i]! - moved) * sine + 2 * cosine * b;
    change = sine * r;
    d[i + 1] = moved + change;
    g = cosine * r - b;
  }
  d[low]! -= change;
  e[low] = g;
  e[high] = 0;
}
