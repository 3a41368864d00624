/**
 * From the many rows of numbers that describe a picture to one vector by which pictures are compared: how far
 * each row lies along the rows' first principal axis, or the mean of all rows. Comparing the vectors is left
 * to `clusters.ts`.
 *
 * @module
 */

import { mustBe, requireChoice, requireInteger } from "../../kernels/arguments.ts";
import { MersenneTwister } from "./mersenne.ts";

/** Rows of numbers that describe pictures. */
export interface FeatureRows {
  /** The numbers, [pictures, tokens, channels]. */
  readonly data: Float32Array | Float64Array;
  /** Number of pictures. */
  readonly pictures: number;
  /** Rows of a picture. */
  readonly tokens: number;
  /** Numbers of a row. */
  readonly channels: number;
}

/**
 * What {@linkcode reduceFeatures} makes of the rows of a picture:
 *
 * - `"pca"`: how far each row lies along the picture's own first principal axis, of which it is a map: the
 *   foreground, say. The sign of the entry that is largest in size is positive.
 * - `"pca-raw"`: the same with whatever sign comes out, as published: here the sign of the axis' product with
 *   fixed random numbers. It means nothing, and may make opposites of two pictures that hardly differ. (The
 *   released code also rounds to bfloat16 on the way, which is left out.)
 * - `"pca-all"`: the same along one axis of all pictures' rows.
 * - `"pool"`: the mean of the rows.
 */
export type Reduction = "pca" | "pca-raw" | "pca-all" | "pool";

/** All values of {@linkcode Reduction}. */
export const REDUCTIONS: readonly Reduction[] = ["pca", "pca-raw", "pca-all", "pool"];

/** Rows with their mean taken away. */
interface Matrix {
  readonly data: Float64Array;
  readonly rows: number;
  readonly columns: number;
}

const ACTION = "reduce features";

/** Beyond the largest float32 squares might no longer add up. */
const LARGEST = 2 ** 128;

/**
 * Share of the squared length of all rows below which what is left of them without their mean is rounding.
 */
const ROUNDING = 1e-28;

/** Entries whose sizes differ by less than this share are as large as each other. */
const TIE = 1e-9;

/**
 * One vector for each picture: as many numbers as it has rows, or channels if they are pooled.
 *
 * Rows without any direction (a single one, or all the same) give zeros. Where the two largest singular
 * values differ by a relative g, the axis is right to within 1e-8 + 1e-12 / g: as long as float32 tells them
 * apart, and where it does not, no axis is the first.
 *
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If a size is no integer from 1 on or not that of the data, or a number is not finite.
 *
 * @example
 * ```ts
 * import { reduceFeatures } from "./principal.ts";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 *
 * // Two pictures of three rows that lie along (3, 4) and along (0, -1).
 * const data = new Float32Array([3, 4, 0, 0, 9, 12, 5, 1, 5, 2, 5, 9]);
 * const rows = { data, pictures: 2, tokens: 3, channels: 2 };
 * assertEquals(reduceFeatures(rows, "pool").map((vector) => [...vector]), [[4, 16 / 3], [5, 4]]);
 * const [first, second] = reduceFeatures(rows, "pca");
 * for (const [i, score] of [-5 / 3, -20 / 3, 25 / 3].entries()) assertAlmostEquals(first![i]!, score);
 * for (const [i, score] of [-3, -2, 5].entries()) assertAlmostEquals(second![i]!, score);
 * ```
 */
export function reduceFeatures(features: FeatureRows, reduction: Reduction): Float64Array[] {
  requireFeatures(features);
  requireChoice(reduction, REDUCTIONS, "reduction", ACTION);
  const { pictures, tokens, channels } = features;
  const all = Array.from({ length: pictures }, (_, picture) => picture * tokens);
  if (reduction === "pool") return all.map((first) => meanOf(features.data, first, { tokens, channels }));
  if (reduction !== "pca-all") {
    return all.map((first) => scoresOf(centered(features, first, tokens), reduction === "pca-raw"));
  }
  const scores = scoresOf(centered(features, 0, pictures * tokens), false);
  return all.map((first) => scores.slice(first, first + tokens));
}

/** How far each row lies along the first principal axis. */
function scoresOf(matrix: Matrix, raw: boolean): Float64Array {
  if (matrix.data.every((value) => value === 0)) return new Float64Array(matrix.rows);
  const scores = times(matrix, principalAxis(matrix));
  if (raw) return scores;
  const largest = scores.reduce((size, score) => Math.max(size, Math.abs(score)), 0);
  const decides = scores.find((score) => Math.abs(score) >= largest * (1 - TIE))!;
  return decides < 0 ? scores.map((score) => -score) : scores;
}

/**
 * The first right singular vector of a matrix other than zero. Lanczos' iteration for the smaller of the two
 * products of the matrix with itself, every vector made orthogonal to all before, twice. It ends when the
 * residual is below 1e-8 of the distance to the second value and 1e-12 of the first, or when there is no
 * further direction. The random start decides over the sign.
 */
function principalAxis(matrix: Matrix): Float64Array {
  const { rows, columns } = matrix;
  const wide = rows < columns;
  const size = Math.min(rows, columns);
  const apply = (vector: Float64Array): Float64Array =>
    wide ? times(matrix, transposedTimes(matrix, vector)) : transposedTimes(matrix, times(matrix, vector));
  const random = new MersenneTwister(0);
  const start = Float64Array.from({ length: size }, () => random.double() - 0.5);
  const basis: Float64Array[] = [];
  const diagonal: number[] = [];
  const beside: number[] = [];
  let weights: readonly number[] = [1];
  let next = scaled(start, 1 / length(start));
  while (true) {
    const image = apply(next);
    basis.push(next);
    diagonal.push(dot(next, image));
    for (let pass = 0; pass < 2; pass++) {
      for (const vector of basis) add(image, vector, -dot(image, vector));
    }
    const rest = length(image);
    const { first, second, vector } = largestOfTridiagonal(diagonal, beside);
    weights = vector;
    const residual = rest * Math.abs(weights.at(-1)!);
    if (basis.length === size || rest <= 1e-15 * first) break;
    if (residual <= Math.min(1e-8 * (first - second), 1e-12 * first)) break;
    beside.push(rest);
    next = scaled(image, 1 / rest);
  }
  const found = new Float64Array(size);
  for (const [i, vector] of basis.entries()) add(found, vector, weights[i]!);
  const oriented = dot(found, start) < 0 ? scaled(found, -1) : found;
  const axis = wide ? transposedTimes(matrix, oriented) : oriented;
  return scaled(axis, 1 / length(axis));
}

/**
 * The two largest eigenvalues of a symmetric tridiagonal matrix of which none is negative, by bisection, and
 * the eigenvector of the first, by inverse iteration. Of a single number the second is 0.
 */
function largestOfTridiagonal(
  diagonal: readonly number[],
  beside: readonly number[],
): { first: number; second: number; vector: number[] } {
  const bound = Math.max(...diagonal.map((value, i) => value + (beside[i - 1] ?? 0) + (beside[i] ?? 0)));
  const first = bisect(diagonal, beside, { above: 1, bound });
  const second = diagonal.length < 2 ? 0 : bisect(diagonal, beside, { above: 2, bound });
  let vector = diagonal.map(() => 1);
  for (let pass = 0; pass < 3; pass++) {
    vector = solveShifted(diagonal, beside, { shift: first, right: vector });
  }
  return { first, second, vector };
}

/** The value that is exceeded by fewer than `above` eigenvalues, and every smaller one by as many or more. */
function bisect(
  diagonal: readonly number[],
  beside: readonly number[],
  { above, bound }: { readonly above: number; readonly bound: number },
): number {
  let [low, high] = [0, bound];
  for (let middle = bound / 2; low < middle && middle < high; middle = (low + high) / 2) {
    // By Sylvester's law as many pivots are positive as eigenvalues lie above.
    let count = 0;
    let pivot = 1;
    for (const [i, value] of diagonal.entries()) {
      pivot = value - middle - (i === 0 ? 0 : beside[i - 1]! ** 2 / pivot);
      if (pivot === 0) pivot = -Number.MIN_VALUE;
      if (pivot > 0) count++;
    }
    if (count >= above) low = middle;
    else high = middle;
  }
  return low;
}

/** Solves a shifted symmetric tridiagonal system with rows exchanged for pivots; the result has length 1. */
function solveShifted(
  diagonal: readonly number[],
  beside: readonly number[],
  { shift, right }: { readonly shift: number; readonly right: readonly number[] },
): number[] {
  const last = diagonal.length - 1;
  const least = Number.EPSILON * shift;
  const rows: [number, number, number][] = [];
  const values: number[] = [];
  let row: [number, number, number] = [diagonal[0]! - shift, beside[0] ?? 0, 0];
  let value = right[0]!;
  for (let i = 0; i < last; i++) {
    let below: [number, number, number] = [beside[i]!, diagonal[i + 1]! - shift, beside[i + 1] ?? 0];
    let valueBelow = right[i + 1]!;
    if (Math.abs(below[0]) > Math.abs(row[0])) {
      [row, below] = [below, row];
      [value, valueBelow] = [valueBelow, value];
    }
    const factor = below[0] / row[0];
    rows.push(row);
    values.push(value);
    row = [below[1] - factor * row[1], below[2] - factor * row[2], 0];
    value = valueBelow - factor * value;
  }
  rows.push(row);
  values.push(value);
  const solved = values;
  for (let i = last; i >= 0; i--) {
    const [pivot, one, two] = rows[i]!;
    const rest = values[i]! - one * (solved[i + 1] ?? 0) - two * (solved[i + 2] ?? 0);
    // The shift is an eigenvalue, so that a pivot may vanish.
    solved[i] = rest / (Math.abs(pivot) < least ? least : pivot);
  }
  const norm = Math.hypot(...solved);
  return solved.map((value) => value / norm);
}

/** The rows from one on, without their mean. */
function centered({ data, channels }: FeatureRows, first: number, rows: number): Matrix {
  const mean = meanOf(data, first, { tokens: rows, channels });
  const found = new Float64Array(rows * channels);
  let [before, after] = [0, 0];
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < channels; i++) {
      const value = data[(first + row) * channels + i]!;
      const rest = value - mean[i]!;
      found[row * channels + i] = rest;
      before += value * value;
      after += rest * rest;
    }
  }
  if (after <= ROUNDING * before) found.fill(0);
  return { data: found, rows, columns: channels };
}

function meanOf(
  data: Float32Array | Float64Array,
  first: number,
  { tokens, channels }: Pick<FeatureRows, "tokens" | "channels">,
): Float64Array {
  const mean = new Float64Array(channels);
  for (let row = first; row < first + tokens; row++) {
    for (let i = 0; i < channels; i++) mean[i]! += data[row * channels + i]!;
  }
  return mean.map((sum) => sum / tokens);
}

function times({ data, rows, columns }: Matrix, vector: Float64Array): Float64Array {
  return Float64Array.from({ length: rows }, (_, row) => {
    return dot(data.subarray(row * columns, (row + 1) * columns), vector);
  });
}

function transposedTimes({ data, rows, columns }: Matrix, vector: Float64Array): Float64Array {
  const found = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    add(found, data.subarray(row * columns, (row + 1) * columns), vector[row]!);
  }
  return found;
}

/** In four sums, which a processor can add side by side. */
function dot(a: Float64Array, b: Float64Array): number {
  let [s, t, u, v] = [0, 0, 0, 0];
  const even = a.length - a.length % 4;
  for (let i = 0; i < even; i += 4) {
    s += a[i]! * b[i]!;
    t += a[i + 1]! * b[i + 1]!;
    u += a[i + 2]! * b[i + 2]!;
    v += a[i + 3]! * b[i + 3]!;
  }
  for (let i = even; i < a.length; i++) s += a[i]! * b[i]!;
  return s + t + u + v;
}

function add(target: Float64Array, vector: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i]! += factor * vector[i]!;
}

function scaled(vector: Float64Array, factor: number): Float64Array {
  return vector.map((value) => value * factor);
}

function length(vector: Float64Array): number {
  return Math.sqrt(dot(vector, vector));
}

function requireFeatures({ data, pictures, tokens, channels }: FeatureRows): void {
  for (const [name, size] of Object.entries({ pictures, tokens, channels })) {
    requireInteger(size, name, ACTION, { min: 1 });
  }
  const size = pictures * tokens * channels;
  requireInteger(data.length, "the length of the data", ACTION, { min: size, max: size });
  for (let i = 0; i < size; i++) {
    if (Math.abs(data[i]!) < LARGEST) continue;
    const picture = Math.floor(i / (tokens * channels));
    throw new RangeError(mustBe("finite in float32", data[i], `each number of picture ${picture}`, ACTION));
  }
}
