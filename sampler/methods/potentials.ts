/**
 * From the scores of lanes to the lanes that go on: what a lane's scores so far promise (its potential), the
 * weights that follow, and three ways to draw by them. Who scores, and when, is left to `tts_var.ts`.
 *
 * @module
 */

import {
  mustBe,
  requireChoice,
  requireInteger,
  requireList,
  requireNumber,
} from "../../kernels/arguments.ts";
import { PURPOSE, type Seed, streamKey, threefry } from "../../kernels/exact/threefry.ts";

/**
 * What {@linkcode potentialOf} makes of a lane's scores: the last one (`"value"`), what it is above the one
 * before (`"diff"`), the largest (`"max"`), all together (`"sum"`), or the largest k together (`"topk_2"`).
 */
export type Potential = "value" | "diff" | "max" | "sum" | `topk_${number}`;

/** Options of {@linkcode weightsOf}. */
export interface WeightsOptions {
  /** By how much a potential that is higher by 1 weighs more, as a logarithm: λ, from 0; 10 by default. */
  lambda?: number;
  /**
   * What weighs what where there are no finite weights: `"limits"` (default) or as `"published"`; see
   * {@linkcode weightsOf}.
   */
  repair?: "limits" | "published";
}

/** Whose random numbers {@linkcode resamplingUniforms} gives. */
export interface UniformsKey {
  /** The seed; see `seedWords`. */
  readonly seed: Seed;
  /** Index of the image in its request, of which the lanes are attempts. */
  readonly image: number;
  /** Index of the scale, 0-based. */
  readonly scale: number;
}

const ACTION = "resample lanes";

/**
 * Checks the name of a potential.
 *
 * @throws {TypeError} If there is none of that name.
 *
 * @example
 * ```ts
 * import { requirePotential } from "./potentials.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const message = '"topk_K" with K from 1: current value is "topk_0"';
 * assertEquals(requirePotential("topk_3"), "topk_3");
 * assertThrows(() => requirePotential("topk_0"), TypeError, message);
 * ```
 */
export function requirePotential(value: string, action: string = ACTION): Potential {
  if (typeof value === "string" && /^(value|diff|max|sum|topk_[1-9]\d{0,8})$/.test(value)) {
    return value as Potential;
  }
  const wanted = 'one of "value", "diff", "max", "sum", "topk_K" with K from 1';
  throw new TypeError(mustBe(wanted, value, "potential", action));
}

/**
 * What the scores of a lane promise.
 *
 * A last score of NaN counts as -infinity; an earlier one, as if it had not been asked for. With no score
 * before the last, `"diff"` is the last one; with fewer than k, `"topk_K"` is the sum of all.
 *
 * @param scores The scores of the lane and of those that it was copied from, in the order of scales; at least
 * one.
 * @throws {TypeError} If there is no such potential.
 * @throws {RangeError} If there is no score.
 *
 * @example
 * ```ts
 * import { potentialOf } from "./potentials.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const scores = [3, 1, 2];
 * assertEquals(potentialOf(scores, "value"), 2);
 * assertEquals(potentialOf(scores, "diff"), 1);
 * assertEquals(potentialOf(scores, "max"), 3);
 * assertEquals(potentialOf(scores, "sum"), 6);
 * assertEquals(potentialOf(scores, "topk_2"), 5);
 * ```
 */
export function potentialOf(scores: readonly number[], potential: Potential): number {
  requirePotential(potential);
  requireList(scores, "scores", ACTION, "a list of numbers");
  requireInteger(scores.length, "the number of scores", ACTION, { min: 1 });
  const known = scores.filter((score, i) => !Number.isNaN(score) || i === scores.length - 1);
  const last = known.at(-1)!;
  const found = Number.isNaN(last) ? -Infinity : combined(known, potential);
  return Number.isNaN(found) ? -Infinity : found;
}

function combined(scores: readonly number[], potential: Potential): number {
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  switch (potential) {
    case "value":
      return scores.at(-1)!;
    case "diff":
      return scores.at(-1)! - (scores.at(-2) ?? 0);
    case "max":
      return Math.max(...scores);
    case "sum":
      return sum(scores);
    default:
      return sum(scores.toSorted((a, b) => b - a).slice(0, Number(potential.slice("topk_".length))));
  }
}

/**
 * The weights of lanes, which sum to 1: in the ratios of `exp(λ · potential)`.
 *
 * `"limits"`: no λ and no potential is too large. NaN is -infinity, which weighs nothing; lanes of +infinity
 * share everything evenly; where all are -infinity, all weigh the same.
 *
 * `"published"`: exponentials in float32, which are infinite from `λ · potential` = 88.73 on and 0 below
 * -103.97, and then, one after the other: if they sum to 0, those above 0 become 1; if one is NaN, it becomes
 * 0 and all others 1; if one is infinite, it becomes 1 and all others 0; if they sum to 0, all become 1.
 *
 * @param potentials One of each lane.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If there is no lane or λ is negative or not finite.
 *
 * @example
 * ```ts
 * import { weightsOf } from "./potentials.ts";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 *
 * const [less, more] = weightsOf([0.3, 0.5]);
 * assertAlmostEquals(more! / less!, Math.exp(10 * 0.2));
 * assertEquals([...weightsOf([1, Infinity, NaN, Infinity])], [0, 0.5, 0, 0.5]);
 * ```
 */
export function weightsOf(potentials: ArrayLike<number>, options: WeightsOptions = {}): Float64Array {
  const { lambda = 10, repair = "limits" } = options;
  requireInteger(potentials.length, "the number of potentials", ACTION, { min: 1 });
  requireNumber(lambda, "lambda", ACTION, { min: 0 });
  requireChoice(repair, ["limits", "published"], "repair", ACTION);
  const weights = repair === "limits" ? limits(potentials, lambda) : published(potentials, lambda);
  const total = sumOf(weights);
  return weights.map((weight) => weight / total);
}

function limits(potentials: ArrayLike<number>, lambda: number): Float64Array {
  const known = Float64Array.from(potentials, (value) => Number.isNaN(value) ? -Infinity : value);
  const largest = known.reduce((a, b) => Math.max(a, b));
  return known.map((value) => {
    if (value === largest) return 1;
    return Math.abs(largest) === Infinity || value === -Infinity ? 0 : Math.exp(lambda * (value - largest));
  });
}

function published(potentials: ArrayLike<number>, lambda: number): Float64Array {
  const { fround } = Math;
  let weights = Float64Array.from(potentials, (value) => fround(Math.exp(fround(lambda * fround(value)))));
  const replace = (value: (weight: number) => number): void => {
    weights = weights.map(value);
  };
  if (sumOf(weights) <= 0) replace((weight) => weight > 0 ? 1 : 0);
  if (weights.some(Number.isNaN)) replace((weight) => Number.isNaN(weight) ? 0 : 1);
  if (weights.includes(Infinity)) replace((weight) => weight === Infinity ? 1 : 0);
  if (sumOf(weights) <= 0) replace(() => 1);
  return weights;
}

/**
 * Draws lanes with replacement, each on its own, with probabilities in the ratio of their weights.
 *
 * @param weights Finite numbers from 0, not all 0; they need not sum to 1.
 * @param uniforms One number from 0 to below 1 for each lane that is drawn.
 * @returns The lanes in the order in which they were drawn.
 * @throws {RangeError} If a weight or a uniform is out of range.
 *
 * @example
 * ```ts
 * import { drawMultinomial } from "./potentials.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(drawMultinomial([0.5, 0, 0.5], [0.7, 0.1, 0.5]), [2, 0, 2]);
 * ```
 */
export function drawMultinomial(weights: ArrayLike<number>, uniforms: readonly number[]): number[] {
  const find = finder(weights);
  for (const uniform of uniforms) requireUniform(uniform);
  return uniforms.map(find);
}

/**
 * Draws lanes with replacement by evenly spaced points: a lane of weight w among `count` is drawn
 * `floor(count · w)` or `ceil(count · w)` times, and `count · w` times on average.
 *
 * @param weights Finite numbers from 0, not all 0; they need not sum to 1.
 * @param options How many are drawn, and the one random number that it takes, from 0 to below 1.
 * @returns The lanes in ascending order.
 * @throws {RangeError} If a weight, the count or the uniform is out of range.
 *
 * @example
 * ```ts
 * import { drawSystematic } from "./potentials.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(drawSystematic([0.5, 0.25, 0.25], { count: 4, uniform: 0.3 }), [0, 0, 1, 2]);
 * ```
 */
export function drawSystematic(
  weights: ArrayLike<number>,
  options: { readonly count: number; readonly uniform: number },
): number[] {
  const { count, uniform } = options;
  const find = finder(weights);
  requireInteger(count, "count", ACTION, { min: 1 });
  requireUniform(uniform);
  return Array.from({ length: count }, (_, i) => find((i + uniform) / count));
}

/**
 * The lanes of the highest potentials, the best first; of equal ones that of the lowest index. NaN is
 * -infinity.
 *
 * @throws {RangeError} If `count` is not from 1 to the number of lanes.
 *
 * @example
 * ```ts
 * import { bestOf } from "./potentials.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(bestOf([1, 3, NaN, 3, 2], 3), [1, 3, 4]);
 * ```
 */
export function bestOf(potentials: ArrayLike<number>, count: number): number[] {
  requireInteger(count, "count", ACTION, { min: 1, max: potentials.length });
  const known = Array.from(potentials, (value) => Number.isNaN(value) ? -Infinity : value);
  const better = (a: number, b: number): number => known[a] === known[b] ? a - b : known[b]! - known[a]!;
  return [...known.keys()].sort(better).slice(0, count);
}

/**
 * Random numbers from 0 to below 1, multiples of 2^-53, for the lanes of one image after one scale. They
 * depend on nothing else, and are those of no other purpose.
 *
 * @throws {RangeError} If `count` is no integer from 0 on.
 *
 * @example
 * ```ts
 * import { resamplingUniforms } from "./potentials.ts";
 * import { seedWords } from "../../kernels/exact/threefry.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const key = { seed: seedWords(7), image: 0, scale: 5 };
 * assertEquals(resamplingUniforms(key, 4).slice(0, 2), resamplingUniforms(key, 2));
 * ```
 */
export function resamplingUniforms({ seed, image, scale }: UniformsKey, count: number): number[] {
  requireInteger(count, "count", ACTION, { min: 0 });
  const key = streamKey(seed, image, scale, PURPOSE.resampling);
  return Array.from({ length: count }, (_, draw) => {
    const [high, low] = threefry(key, [0, draw]);
    return ((high >>> 5) * 2 ** 26 + (low >>> 6)) * 2 ** -53;
  });
}

/** A function from a share of the whole weight, from 0 to below 1, to the lane that it falls on. */
function finder(weights: ArrayLike<number>): (share: number) => number {
  let total = 0;
  const ends = Array.from(weights, (weight) => {
    return total += requireNumber(weight, "each weight", ACTION, { min: 0 });
  });
  if (!(total > 0 && total < Infinity)) {
    throw new RangeError(mustBe("finite and above 0", total, "the sum of all weights", ACTION));
  }
  // Rounding may carry the last shares to the very end, which is the end of the last lane of any weight.
  return (share) => {
    const found = ends.findIndex((end) => end > share * total);
    return found < 0 ? ends.indexOf(total) : found;
  };
}

function requireUniform(value: number): void {
  if (value >= 0 && value < 1) return;
  throw new RangeError(mustBe("from 0 to below 1", value, "each uniform", ACTION));
}

function sumOf(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
