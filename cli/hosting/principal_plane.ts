/**
 * Many vectors as points of the plane in which they spread most: their first two principal components, by
 * orthogonal iteration. It is for looking; what is decided by distances is decided elsewhere.
 *
 * @module
 */

/** Turns after which the plane is taken as it is: two axes that are about as long are told apart slowly. */
const MOST_TURNS = 30;
/** Share of the variance by which a turn must change what the plane explains: a plot shows no more. */
const TOLERANCE = 1e-5;

/**
 * The first two principal components of vectors.
 *
 * @param vectors The numbers of all vectors, one after the other.
 * @param count Number of vectors.
 * @param length Numbers of each.
 * @returns Two numbers of each vector, in units of the vectors' own. The entry of an axis that is largest in
 * size is positive, so that the same vectors give the same points. Where there is no second direction, the
 * second numbers are 0.
 *
 * @example
 * ```ts
 * import { principalPlane } from "./principal_plane.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * // Along (3, 4), at -5, 0 and 5.
 * const points = principalPlane(Float32Array.of(-3, -4, 0, 0, 3, 4), 3, 2);
 * for (const [i, value] of [-5, 0, 0, 0, 5, 0].entries()) assertAlmostEquals(points[i]!, value, 1e-5);
 * ```
 */
export function principalPlane(
  vectors: Float32Array,
  count: number,
  length: number,
): Float32Array<ArrayBuffer> {
  const rows = centered(vectors, count, length);
  const axes = [0, 1].map((which) => Float64Array.from({ length }, (_, i) => start(i, which)));
  let explained = -1;
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    const images = axes.map((axis) => transposedTimes(rows, times(rows, axis, length), length));
    for (const [i, image] of images.entries()) {
      for (const before of axes.slice(0, i)) add(image, before, -dot(image, before));
      const size = Math.sqrt(dot(image, image));
      // Nothing is left in this direction, or it is rounding of what the first axis has.
      axes[i] = image.map((value) => size > 1e-12 * Math.max(explained, 0) && size > 0 ? value / size : 0);
    }
    const now = images.reduce((sum, image, i) => sum + dot(image, axes[i]!), 0);
    if (Math.abs(now - explained) <= TOLERANCE * now) break;
    explained = now;
  }
  const scores = axes.map((axis) => times(rows, signed(axis), length));
  const points = new Float32Array(2 * count);
  for (let row = 0; row < count; row++) {
    points[2 * row] = scores[0]![row]!;
    points[2 * row + 1] = scores[1]![row]!;
  }
  return points;
}

/** Numbers without a pattern that vectors would have, too, and always the same. */
function start(i: number, which: number): number {
  return Math.sin((i + 1) * (which === 0 ? 12.9898 : 78.233)) + 0.01;
}

// Loops by hand: 3000 candidates of 576 numbers, Infinity's, are gone through in milliseconds, not a second.

function centered(vectors: Float32Array, count: number, length: number): Float64Array {
  const mean = new Float64Array(length);
  const rows = new Float64Array(count * length);
  for (let row = 0, at = 0; row < count; row++) {
    for (let i = 0; i < length; i++, at++) mean[i]! += vectors[at]! / count;
  }
  for (let row = 0, at = 0; row < count; row++) {
    for (let i = 0; i < length; i++, at++) rows[at] = vectors[at]! - mean[i]!;
  }
  return rows;
}

/** How far each row lies along an axis. */
function times(rows: Float64Array, axis: Float64Array, length: number): Float64Array {
  const places = new Float64Array(rows.length / length);
  for (let row = 0, at = 0; row < places.length; row++) {
    let sum = 0;
    for (let i = 0; i < length; i++, at++) sum += rows[at]! * axis[i]!;
    places[row] = sum;
  }
  return places;
}

function transposedTimes(rows: Float64Array, weights: Float64Array, length: number): Float64Array {
  const sum = new Float64Array(length);
  for (let row = 0, at = 0; row < weights.length; row++) {
    const weight = weights[row]!;
    for (let i = 0; i < length; i++, at++) sum[i]! += weight * rows[at]!;
  }
  return sum;
}

function signed(axis: Float64Array): Float64Array {
  const largest = axis.reduce((most, value) => Math.abs(value) > Math.abs(most) ? value : most, 0);
  return largest < 0 ? axis.map((value) => -value) : axis;
}

function add(target: Float64Array, vector: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i]! += factor * vector[i]!;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
