/**
 * Which of several candidates differ: k-means with the same seeds and labels as scikit-learn's `KMeans(k,
 * random_state=0)`, and the member of each cluster that goes on. What the vectors of candidates are is left
 * to `principal.ts`, when to thin candidates out to `tts_var.ts`.
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
import { MersenneTwister } from "./mersenne.ts";

/** Options of {@linkcode kMeans}. */
export interface KMeansOptions {
  /** Seed of the random numbers that choose the first centers, 0 to 2^32 - 1; 0 by default. */
  seed?: number;
  /** Points to begin with as centers, k of them, in place of those that are chosen by `seed`. */
  seeds?: readonly number[];
  /** Steps at most; 300 by default. */
  steps?: number;
  /**
   * Stops as soon as the squared shifts of all centers sum to no more than this share of the mean variance of
   * a coordinate; 1e-4 by default.
   */
  tolerance?: number;
}

/** What {@linkcode kMeans} finds. */
export interface Clusters {
  /** The cluster of each point; a cluster may be empty where there are too few different points. */
  readonly labels: Uint32Array;
  /** The mean of each cluster. */
  readonly centers: readonly Float64Array[];
  /** The points that the centers began with, in the order in which they were chosen. */
  readonly seeds: readonly number[];
  /** Squared distances of all points from their centers, summed. */
  readonly inertia: number;
  /** Steps that were taken. */
  readonly steps: number;
}

/** Options of {@linkcode survivorsOf}. */
export interface SurvivorsOptions extends KMeansOptions {
  /**
   * Survivors by the number of their `"cluster"` (default), as published, or by their own (`"candidate"`).
   */
  order?: "cluster" | "candidate";
}

/** What {@linkcode survivorsOf} finds. */
export interface Survivors {
  /** The points that go on, all different. */
  readonly survivors: readonly number[];
  /** The cluster of each point. */
  readonly labels: Uint32Array;
  /** How many of them stand in for an empty cluster. */
  readonly substitutes: number;
}

/** Vectors of equal length. */
type Points = readonly Float64Array[];

const ACTION = "cluster points";

/** Beyond the largest float32 squares might no longer add up. */
const LARGEST = 2 ** 128;

/**
 * Distances that differ by less than this share of the longest vector are one and the same: above what
 * float64 rounds in vectors of a million numbers, and below what float32, in which features come, resolves.
 */
const ROUNDING = 1e-10;

/**
 * k-means as scikit-learn's `KMeans(n_clusters=k, random_state=seed)` computes it since 1.4: one start by
 * greedy k-means++ with `2 + floor(ln k)` trials for each center, then Lloyd's steps until labels repeat or
 * centers hardly move; an empty cluster takes the point that is farthest from its center.
 *
 * Everything is float64, and ties go to the first: a point as far from two centers, trials worth the same but
 * for rounding. Of 540 random sets labels are scikit-learn's in 535, the others having such trials; of the
 * same sets in float32, in which scikit-learn then computes, in 537, the others being settled by its
 * rounding.
 *
 * @param points Vectors of finite numbers, all of the same length.
 * @param k Number of clusters, from 1 to the number of points.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `k` or an option is out of range, there is no point, vectors differ in length, or a
 * number is not finite.
 *
 * @example
 * ```ts
 * import { kMeans } from "./clusters.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { labels, inertia } = kMeans([[0, 0], [9, 0], [0, 1], [9, 1]], 2);
 * assertEquals(labels[0], labels[2]);
 * assertEquals(labels[1], labels[3]);
 * assertEquals(inertia, 1);
 * ```
 */
export function kMeans(
  points: readonly ArrayLike<number>[],
  k: number,
  options: KMeansOptions = {},
): Clusters {
  const { seed = 0, steps = 300, tolerance = 1e-4 } = options;
  requirePoints(points);
  requireInteger(k, "k", ACTION, { min: 1, max: points.length });
  requireInteger(steps, "steps", ACTION, { min: 1 });
  requireNumber(tolerance, "tolerance", ACTION, { min: 0 });
  requireInteger(options.seeds?.length ?? k, "the number of seeds", ACTION, { min: k, max: k });
  for (const point of options.seeds ?? []) {
    requireInteger(point, "each of seeds", ACTION, { min: 0, max: points.length - 1 });
  }
  const middle = meanOf(points);
  const centered = points.map((point) => middle.map((mean, i) => point[i]! - mean));
  const still = tolerance * sum(centered.map(squaredLength)) /
    (points.length * middle.length);
  const seeds = options.seeds ?? seedsOf(centered, k, new MersenneTwister(seed));
  const { labels, centers, taken } = lloyd(centered, seeds.map((seed) => centered[seed]!), { steps, still });
  return {
    labels,
    centers: centers.map((center) => center.map((value, i) => value + middle[i]!)),
    seeds,
    inertia: sum(centered.map((point, i) => squaredDistance(point, centers[labels[i]!]!))),
    steps: taken,
  };
}

/**
 * The points that go on when there may be only k of them: of each cluster the one nearest to its mean.
 *
 * - The two of a pair are as far from their mean as each other, as are all others whose distances differ by
 *   rounding only: then the one of the lowest index goes on. (The released code of TTS-VAR leaves that to
 *   float32, which picks the other one of a pair in every second case or so.)
 * - An empty cluster, as there is where fewer than k points differ, is filled by the point of the lowest
 *   index that does not go on yet. (The released code fails there.)
 *
 * Which points go on depends on their vectors and the seed alone.
 *
 * @param points Vectors of finite numbers, all of the same length.
 * @param k How many go on, from 1 to the number of points.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} As {@linkcode kMeans} does.
 *
 * @example
 * ```ts
 * import { survivorsOf } from "./clusters.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const candidates = [[9, 9], [0, 0], [9, 8], [0, 1], [0, 2]];
 * assertEquals(survivorsOf(candidates, 2, { order: "candidate" }).survivors, [0, 3]);
 * // Three times the same picture, of which two may go on.
 * assertEquals(survivorsOf([[1], [1], [1]], 2).survivors, [0, 1]);
 * ```
 */
export function survivorsOf(
  points: readonly ArrayLike<number>[],
  k: number,
  options: SurvivorsOptions = {},
): Survivors {
  const { order = "cluster", ...rest } = options;
  requireChoice(order, ["cluster", "candidate"], "order", ACTION);
  const { labels, centers } = kMeans(points, k, rest);
  const middle = meanOf(points);
  const slack = ROUNDING * Math.sqrt(Math.max(...points.map((point) => squaredDistance(point, middle))));
  const members = centers.map((_, cluster) => [...labels.keys()].filter((i) => labels[i] === cluster));
  const nearest = members.map((indices, cluster) => {
    // A pair needs no arithmetic.
    if (indices.length <= 2) return indices[0];
    const distances = indices.map((i) => Math.sqrt(squaredDistance(points[i]!, centers[cluster]!)));
    const least = Math.min(...distances) + slack;
    return indices[distances.findIndex((distance) => distance <= least)];
  });
  const unused = [...labels.keys()].filter((i) => !nearest.includes(i));
  const substitutes = nearest.filter((survivor) => survivor === undefined).length;
  const survivors = nearest.map((survivor) => survivor ?? unused.shift()!);
  if (order === "candidate") survivors.sort((a, b) => a - b);
  return { survivors, labels, substitutes };
}

/** Greedy k-means++: of points drawn by their squared distances the one that leaves the least of them. */
function seedsOf(points: Points, k: number, random: MersenneTwister): number[] {
  const trials = 2 + Math.floor(Math.log(k));
  const shares = cumulated(points.map(() => 1 / points.length));
  const total = shares.at(-1)!;
  const first = random.double();
  const seeds = [shares.findIndex((share) => share / total > first)];
  let closest = points.map((point) => squaredDistance(point, points[seeds[0]!]!));
  while (seeds.length < k) {
    const potential = sum(closest);
    const sums = cumulated(closest);
    const drawn = Array.from({ length: trials }, () => {
      const level = random.double() * potential;
      const found = sums.findIndex((sum) => sum >= level);
      return found < 0 ? points.length - 1 : found;
    });
    const left = drawn.map((trial) =>
      points.map((point, i) => Math.min(closest[i]!, squaredDistance(point, points[trial]!)))
    );
    const potentials = left.map(sum);
    const least = Math.min(...potentials) * (1 + ROUNDING);
    const best = potentials.findIndex((potential) => potential <= least);
    seeds.push(drawn[best]!);
    closest = left[best]!;
  }
  return seeds;
}

/** Points to their nearest centers, centers to the means of their points, until both stay. */
function lloyd(
  points: Points,
  seeds: Points,
  { steps, still }: { readonly steps: number; readonly still: number },
): { labels: Uint32Array; centers: Points; taken: number } {
  let centers = seeds;
  let before: Uint32Array | undefined;
  for (let taken = 1; taken <= steps; taken++) {
    const labels = assign(points, centers);
    const moved = meansOf(points, labels, centers);
    const shift = sum(moved.map((center, cluster) => squaredDistance(center, centers[cluster]!)));
    centers = moved;
    if (before?.every((label, i) => label === labels[i])) return { labels, centers, taken };
    if (shift <= still) return { labels: assign(points, centers), centers, taken };
    before = labels;
  }
  return { labels: assign(points, centers), centers, taken: steps };
}

function assign(points: Points, centers: Points): Uint32Array {
  return Uint32Array.from(points, (point) => {
    const distances = centers.map((center) => squaredDistance(point, center));
    return distances.indexOf(Math.min(...distances));
  });
}

/**
 * The means of clusters. An empty one takes the point that is farthest from its center away from its cluster,
 * unless all points are where their centers are, but for rounding; what is empty even so goes where the
 * largest cluster is.
 */
function meansOf(points: Points, labels: Uint32Array, centers: Points): Points {
  const sums = centers.map((center) => new Float64Array(center.length));
  const counts = centers.map(() => 0);
  const move = (point: Float64Array, cluster: number, sign: 1 | -1): void => {
    counts[cluster]! += sign;
    for (const [i, value] of point.entries()) sums[cluster]![i]! += sign * value;
  };
  for (const [i, point] of points.entries()) move(point, labels[i]!, 1);
  const distances = points.map((point, i) => squaredDistance(point, centers[labels[i]!]!));
  const farthest = [...points.keys()].sort((a, b) => distances[b]! - distances[a]! || a - b);
  const empty = [...centers.keys()].filter((cluster) => counts[cluster] === 0);
  const noise = ROUNDING ** 2 * Math.max(...points.map(squaredLength));
  for (const [i, cluster] of distances[farthest[0]!]! <= noise ? [] : empty.entries()) {
    const point = points[farthest[i]!]!;
    move(point, labels[farthest[i]!]!, -1);
    move(point, cluster, 1);
  }
  const means = sums.map((sum, cluster) => sum.map((value) => value / Math.max(1, counts[cluster]!)));
  const largest = means[counts.indexOf(Math.max(...counts))]!;
  return means.map((mean, cluster) => counts[cluster] === 0 ? largest.slice() : mean);
}

function meanOf(points: readonly ArrayLike<number>[]): Float64Array {
  const mean = new Float64Array(points[0]!.length);
  for (const point of points) {
    for (let i = 0; i < mean.length; i++) mean[i]! += point[i]!;
  }
  return mean.map((sum) => sum / points.length);
}

function squaredDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum;
}

function squaredLength(vector: Float64Array): number {
  return vector.reduce((sum, value) => sum + value * value, 0);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function cumulated(values: readonly number[]): number[] {
  let total = 0;
  return values.map((value) => total += value);
}

function requirePoints(points: readonly ArrayLike<number>[]): void {
  requireList(points, "points", ACTION, "a list of vectors");
  requireInteger(points.length, "the number of points", ACTION, { min: 1 });
  const { length } = points[0]!;
  requireInteger(length, "the length of point 0", ACTION, { min: 1 });
  for (const [i, point] of points.entries()) {
    requireInteger(point.length, `the length of point ${i}`, ACTION, { min: length, max: length });
    for (let j = 0; j < length; j++) {
      if (Math.abs(point[j]!) < LARGEST) continue;
      throw new RangeError(mustBe("finite in float32", point[j], `number ${j} of point ${i}`, ACTION));
    }
  }
}
