/**
 * How much pictures of one prompt differ from each other. Which network gives the rows is left to
 * `networks/`.
 *
 * @module
 */

import { visitPairs } from "../../kernels/pairs/pairs.ts";
import { requireRows, type Rows } from "./rows.ts";

/** Rows that are compared with all later ones in one go. */
const STRIP = 256;

/**
 * The mean Euclidean distance between two different rows; 0 of a single one. Squares are summed in f32, up to
 * `dimensions / 4 + 2` roundings of 2^-24 each.
 *
 * @throws {TypeError} If they are no rows.
 * @throws {RangeError} If a value is not finite.
 *
 * @example
 * ```ts
 * import { meanDistance } from "./diversity.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const rows = { values: Float32Array.of(0, 0, 3, 4, 0, 0), count: 3, dimensions: 2 };
 * assertEquals(meanDistance(rows), 10 / 3);
 * ```
 */
export function meanDistance(rows: Rows): number {
  const { values, count, dimensions } = requireRows(rows, "rows", "measure diversity");
  let sum = 0;
  for (let first = 0; first < count; first += STRIP) {
    const left = values.subarray(first * dimensions, (first + STRIP) * dimensions);
    const right = values.subarray(first * dimensions);
    const sets = { left, right, rows: left.length / dimensions, columns: count - first, dimensions };
    visitPairs({ ...sets, sum: "squares" }, ({ row, rows, column, columns, pitch, values }) => {
      for (let i = 0; i < rows; i++) {
        for (let j = Math.max(0, row + i + 1 - column); j < columns; j++) {
          sum += Math.sqrt(values[i * pitch + j]!);
        }
      }
    });
  }
  return sum / Math.max(1, count * (count - 1) / 2);
}
