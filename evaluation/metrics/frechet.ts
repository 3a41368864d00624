/**
 * The Fréchet distance between two sets of pictures: FID of Inception's features, sFID of its spatial ones,
 * FD of any others. Which network gives the rows is left to `networks/`, the linear algebra to `numbers/`.
 *
 * @module
 */

import { mustBe, requireInteger, requireObject, requireOptions } from "../../kernels/arguments.ts";
import { addWideProducts } from "../../kernels/pairs/pairs.ts";
import { type Factor, factor } from "../numbers/cholesky.ts";
import { symmetricEigenvalues } from "../numbers/eigenvalues.ts";
import { Moments, type MomentStatistics } from "../numbers/moments.ts";
import { singularValues } from "../numbers/singular_values.ts";
import { shuffled } from "../statistics/draws.ts";
import { requireRows, type Rows, rowsAt } from "./rows.ts";

const ACTION = "take a Fréchet distance";
/** Factors of covariances, so that one of a reference is found once, however often it is compared with. */
const FACTORS = new WeakMap<Float64Array, Factor>();

/**
 * The squared Fréchet distance between the normal distributions of two sets, |m₁ - m₂|² + tr Σ₁ + tr Σ₂ -
 * 2 tr (Σ₁Σ₂)^½ (Heusel et al., "GANs trained by a two time-scale update rule", 2017), covariances divided by
 * count - 1 as all tools of the field do. FID is that of the 2048 features of Inception, sFID that of its
 * spatial ones.
 *
 * Everything is f64, and no set is too small: each covariance is FᵀF, and tr (Σ₁Σ₂)^½ is the sum of the
 * singular values of F₁F₂ᵀ, exactly. What F is depends on what there is:
 *
 * - rows, no more of them than dimensions: the centred rows themselves, so that a few hundred pictures cost
 *   less than a second;
 * - more rows, or statistics: Cholesky's factor with pivots ({@linkcode factor}), which ends where the rest
 *   is rounding;
 * - where both are covariances of full rank, the same sum is that of the roots of the eigenvalues of F₁Σ₂F₁ᵀ,
 *   which are found several times as fast.
 *
 * The factor of statistics is kept beside them, which must therefore stay as they are.
 *
 * No epsilon is added. Tools that take SciPy's `sqrtm` or the eigenvalues of Σ₁Σ₂ take the roots of what
 * rounding makes of zeros, too: for two sets of 100 rows of 512 numbers whose distance is 281.702832 they say
 * 281.702816, those that add 1e-6 to the diagonals 281.6984, and 281.39 where all of it is f32.
 *
 * The distance is biased: the fewer pictures, the larger it is. Compare only what has the same count, or see
 * {@linkcode extrapolatedFrechetDistance}.
 *
 * @param first Rows or their statistics; the order of the two does not matter.
 * @throws {TypeError} If one is neither.
 * @throws {RangeError} If dimensions differ, there are fewer than two rows, a value is not finite, or a
 * matrix is no covariance.
 *
 * @example
 * ```ts
 * import { frechetDistance } from "./frechet.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const first = { values: Float32Array.of(0, 0, 2, 0, 0, 2, 2, 2), count: 4, dimensions: 2 };
 * const second = { ...first, values: first.values.map((value) => value + 3) };
 * assertAlmostEquals(frechetDistance(first, second), 18);
 * ```
 */
export function frechetDistance(first: Rows | MomentStatistics, second: Rows | MomentStatistics): number {
  requireBoth(first, second);
  return distance(sideOf(first), sideOf(second));
}

/** Options of {@linkcode extrapolatedFrechetDistance}. */
export interface ExtrapolationOptions {
  /** Numbers of rows at which the distance is taken, in equal steps; 15 by default. */
  readonly points?: number;
  /** The smallest of them; by default a tenth of the rows. */
  readonly smallest?: number;
  /** Seed of the draws; 0 by default. */
  readonly seed?: number | bigint;
}

/** A distance as it would be of infinitely many rows. */
export interface ExtrapolatedDistance {
  /** The distance at 1/N = 0. */
  readonly value: number;
  /** Numbers of rows, ascending. */
  readonly counts: readonly number[];
  /** The distance of each of them. */
  readonly distances: readonly number[];
}

/**
 * FID∞: the Fréchet distance as it would be of infinitely many pictures, by a straight line through the
 * distances of random parts over 1/N (Chong and Forsyth, "Effectively unbiased FID and Inception Score", CVPR
 * 2020). Only the first set is made smaller; the second, the reference, keeps its own bias. It is not the
 * FID of tables: say which one is meant.
 *
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} As {@linkcode frechetDistance} does, and if an option is out of range.
 *
 * @example
 * ```ts
 * import { extrapolatedFrechetDistance } from "./frechet.ts";
 * import { assert } from "@std/assert";
 *
 * const values = Float32Array.from({ length: 800 }, (_, i) => Math.sin(i * i));
 * const rows = { values, count: 200, dimensions: 4 };
 * const { value, distances } = extrapolatedFrechetDistance(rows, rows, { points: 5 });
 * assert(value < 0.01 && distances[0]! > distances[4]!);
 * ```
 */
export function extrapolatedFrechetDistance(
  first: Rows,
  second: Rows | MomentStatistics,
  options: ExtrapolationOptions = {},
): ExtrapolatedDistance {
  requireOptions(options, ["points", "smallest", "seed"], ACTION);
  requireBoth(first, second);
  if ("covariance" in first) {
    throw new TypeError(mustBe("rows, of which parts can be taken", first, "first", ACTION));
  }
  const { points = 15, seed = 0 } = options;
  requireInteger(points, "points", ACTION, { min: 2, max: first.count - 1 });
  const smallest = options.smallest ?? Math.max(2, Math.ceil(first.count / 10));
  requireInteger(smallest, "smallest", ACTION, { min: 2, max: first.count - points + 1 });
  const other = sideOf(second);
  const counts = Array.from(
    { length: points },
    (_, i) => Math.floor(smallest + (first.count - smallest) * i / (points - 1)),
  );
  const distances = counts.map((count, i) => {
    const drawn = shuffled(first.count, seed, i).subarray(0, count);
    return distance(sideOf(rowsAt(first, drawn)), other);
  });
  return { value: lineAtZero(counts.map((count) => 1 / count), distances), counts, distances };
}

/** One of the sets, with what has been found out about it. */
interface Side {
  readonly dimensions: number;
  readonly mean: Float64Array;
  readonly trace: number;
  /** [rank, dimensions], made when it is first asked for. */
  factor(): Factor;
  /** Where there is one of perhaps full rank. */
  readonly covariance?: Float64Array;
}

function sideOf(set: Rows | MomentStatistics): Side {
  if ("covariance" in set) return ofStatistics(set);
  const { count, dimensions, values } = set;
  if (count > dimensions) {
    const moments = new Moments(dimensions);
    moments.update(set);
    return ofStatistics(moments.compute());
  }
  const mean = new Float64Array(dimensions);
  for (let i = 0; i < values.length; i++) mean[i % dimensions]! += values[i]!;
  for (let i = 0; i < dimensions; i++) mean[i]! /= count;
  const share = 1 / Math.sqrt(count - 1);
  const centred = Float64Array.from(values, (value, i) => (value - mean[i % dimensions]!) * share);
  const trace = centred.reduce((sum, value) => sum + value * value, 0);
  return { dimensions, mean, trace, factor: () => ({ values: centred, rank: count }) };
}

function ofStatistics({ dimensions, mean, covariance }: MomentStatistics): Side {
  let trace = 0;
  for (let i = 0; i < dimensions; i++) trace += covariance[i * (dimensions + 1)]!;
  const find = () => {
    const found = FACTORS.get(covariance) ?? factor(covariance, dimensions);
    FACTORS.set(covariance, found);
    return found;
  };
  return { dimensions, mean, trace, covariance, factor: find };
}

function distance(first: Side, second: Side): number {
  let squares = 0;
  for (let i = 0; i < first.dimensions; i++) squares += (first.mean[i]! - second.mean[i]!) ** 2;
  // Of two equal sets the rest is rounding, of either sign.
  return Math.max(0, squares + first.trace + second.trace - 2 * traceOfRoot(first, second));
}

/** tr (Σ₁Σ₂)^½. */
function traceOfRoot(first: Side, second: Side): number {
  const { dimensions } = first;
  const [left, right] = [first.factor(), second.factor()];
  if (left.rank === 0 || right.rank === 0) return 0;
  if (first.covariance && second.covariance && Math.min(left.rank, right.rank) === dimensions) {
    // F₁Σ₂, and that times F₁ᵀ.
    const once = products(left.values, second.covariance, dimensions);
    // Eigenvalues are of the lower triangle.
    const all = symmetricEigenvalues(products(once, left.values, dimensions, true), dimensions);
    return all.reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
  }
  const all = singularValues(products(left.values, right.values, dimensions), left.rank, right.rank);
  return all.reduce((sum, value) => sum + value, 0);
}

/** All inner products of the rows of two matrices, or the lower half of them. */
function products(left: Float64Array, right: Float64Array, dimensions: number, half = false): Float64Array {
  const [rows, columns] = [left.length / dimensions, right.length / dimensions];
  const output = new Float64Array(rows * columns);
  addWideProducts({ left, right, rows, columns, dimensions, half, output });
  return output;
}

/** Where the straight line of least squares is at 0. */
function lineAtZero(x: readonly number[], y: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [middle, level] = [mean(x), mean(y)];
  const slope = mean(x.map((value, i) => (value - middle) * (y[i]! - level))) /
    mean(x.map((value) => (value - middle) ** 2));
  return level - slope * middle;
}

function requireBoth(first: Rows | MomentStatistics, second: Rows | MomentStatistics): void {
  requireSet(first, "first");
  requireSet(second, "second");
  if (first.dimensions === second.dimensions) return;
  throw new RangeError(
    mustBe(`${first.dimensions}, as those of first`, second.dimensions, "dimensions of second", ACTION),
  );
}

function requireSet(set: Rows | MomentStatistics, name: string): void {
  requireObject(set, name, ACTION, "rows or statistics");
  if (!("covariance" in set)) {
    requireRows(set, name, ACTION, { min: 2 });
    return;
  }
  const { count, dimensions, mean, covariance } = set;
  requireInteger(dimensions, `dimensions of ${name}`, ACTION, { min: 1 });
  requireInteger(count, `count of ${name}`, ACTION, { min: 2 });
  for (
    const [part, values, length] of [
      ["mean", mean, dimensions],
      ["covariance", covariance, dimensions ** 2],
    ] as const
  ) {
    if (!(values instanceof Float64Array)) {
      throw new TypeError(mustBe("a Float64Array", values, `the ${part} of ${name}`, ACTION));
    }
    if (values.length !== length) {
      throw new RangeError(
        mustBe(`of ${length} values`, values.length, `the ${part} of ${name}`, ACTION),
      );
    }
    const at = values.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) {
      const place = `${values[at]} at ${at}`;
      throw new RangeError(
        `Cannot ${ACTION} as the ${part} of ${name} must be finite: current value is ${place}`,
      );
    }
  }
}
