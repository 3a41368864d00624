/**
 * Rows of numbers, one for each picture: what networks say of pictures and what metrics are made of. Which
 * network said them is left to `networks/`, what they are worth to the metrics.
 *
 * @module
 */

import { mustBe, requireInteger, requireObject } from "../../kernels/arguments.ts";

/** A row of numbers for each picture, as a network gives them: features, logits, probabilities. */
export interface Rows {
  /** f32 [count, dimensions], row after row. */
  readonly values: Float32Array;
  /** Rows: pictures. */
  readonly count: number;
  /** Numbers of a row. */
  readonly dimensions: number;
}

/**
 * Checks that rows are what they say, and that all their numbers are finite: one NaN would make a NaN of
 * every metric and say nothing of the picture that it came from.
 *
 * @param bounds Fewest rows, 1 by default, and the numbers that a row must have, if that is known.
 * @returns The rows.
 * @throws {TypeError} If they are no rows.
 * @throws {RangeError} If they are too few, of other sizes than they say, or not finite: the first place.
 *
 * @example
 * ```ts
 * import { requireRows } from "./rows.ts";
 * import { assertThrows } from "@std/assert";
 *
 * const rows = { values: Float32Array.of(1, 2, 3, NaN), count: 2, dimensions: 2 };
 * assertThrows(
 *   () => requireRows(rows, "features", "measure"),
 *   RangeError,
 *   "Cannot measure as features must be finite: current value is NaN in row 1, column 1",
 * );
 * ```
 */
export function requireRows(
  rows: Rows,
  name: string,
  action: string,
  bounds: { readonly min?: number; readonly dimensions?: number } = {},
): Rows {
  const { values, count, dimensions } = requireObject(rows, name, action, "rows of numbers");
  if (!(values instanceof Float32Array)) {
    throw new TypeError(mustBe("a Float32Array", values, `the values of ${name}`, action));
  }
  requireInteger(dimensions, `dimensions of ${name}`, action, { min: 1 });
  requireInteger(count, `count of ${name}`, action, { min: bounds.min ?? 1 });
  if (bounds.dimensions !== undefined && bounds.dimensions !== dimensions) {
    throw new RangeError(mustBe(`${bounds.dimensions}`, dimensions, `dimensions of ${name}`, action));
  }
  if (values.length !== count * dimensions) {
    const wanted = `${count} × ${dimensions} = ${count * dimensions}`;
    throw new RangeError(mustBe(wanted, values.length, `the number of values of ${name}`, action));
  }
  // x - x is 0 for finite numbers only, and the sum of zeros needs no branch for each.
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! - values[i]!;
  if (sum === 0) return rows;
  const at = values.findIndex((value) => !Number.isFinite(value));
  const place = `${values[at]} in row ${Math.floor(at / dimensions)}, column ${at % dimensions}`;
  throw new RangeError(`Cannot ${action} as ${name} must be finite: current value is ${place}`);
}

/**
 * Some of the rows, copied: a part, an order of them, or a draw with repeats, as `jackknifeInterval` and
 * `bootstrapStatistic` ask for them.
 *
 * @param places Which rows, each from 0 to `count - 1`.
 * @throws {RangeError} If there is no such row.
 *
 * @example
 * ```ts
 * import { rowsAt } from "./rows.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const rows = { values: Float32Array.of(1, 2, 3, 4), count: 2, dimensions: 2 };
 * assertEquals([...rowsAt(rows, [1, 1, 0]).values], [3, 4, 3, 4, 1, 2]);
 * ```
 */
export function rowsAt({ values, count, dimensions }: Rows, places: ArrayLike<number>): Rows {
  const taken = new Float32Array(places.length * dimensions);
  for (let i = 0; i < places.length; i++) {
    const place = requireInteger(places[i]!, "each place", "take rows", { min: 0, max: count - 1 });
    taken.set(values.subarray(place * dimensions, (place + 1) * dimensions), i * dimensions);
  }
  return { values: taken, count: places.length, dimensions };
}
