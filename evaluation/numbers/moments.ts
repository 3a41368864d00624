/**
 * Mean and covariance of rows that come in any portions, in f64: what a distribution of features is for the
 * Fréchet distance. What is made of them is left to `metrics/`, how they are stored to `files/`.
 *
 * @module
 */

import { requireInteger } from "../../kernels/arguments.ts";
import { addWideProducts } from "../../kernels/pairs/pairs.ts";
import { requireRows, type Rows } from "../metrics/rows.ts";

/** Mean and covariance of rows. */
export interface MomentStatistics {
  /** Rows that they were taken of. */
  readonly count: number;
  /** Numbers of a row. */
  readonly dimensions: number;
  /** f64 [dimensions]. */
  readonly mean: Float64Array;
  /** f64 [dimensions, dimensions], symmetric, divided by count - 1. */
  readonly covariance: Float64Array;
}

/** Rows that are centred and multiplied in one go. */
const BLOCK_ROWS = 256;
/** Rows of the covariance that lie together, of which only the columns up to the diagonal are kept. */
const STRIP = 128;

/**
 * Gathers the moments of rows without keeping them: for 2048 dimensions 17 MiB, whatever the number of rows.
 *
 * Every block of rows is centred at its own mean before its products are added, and blocks are put together
 * by Chan, Golub and LeVeque's update ("Updating formulae and a pairwise algorithm for computing sample
 * variances", 1979), as {@linkcode Moments.merge} puts together what several workers gathered: a mean that is
 * large beside the deviation costs no digits.
 *
 * @example
 * ```ts
 * import { Moments } from "./moments.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const moments = new Moments(2);
 * moments.update({ values: Float32Array.of(1, 0, 3, 0), count: 2, dimensions: 2 });
 * moments.update({ values: Float32Array.of(5, 6), count: 1, dimensions: 2 });
 * const { count, mean, covariance } = moments.compute();
 * assertEquals([count, ...mean], [3, 3, 2]);
 * assertEquals([...covariance], [4, 6, 6, 12]);
 * ```
 */
export class Moments {
  /** Numbers of a row. */
  readonly dimensions: number;
  #count = 0;
  readonly #mean: Float64Array;
  /** Sums of products of deviations, in strips: rows from `STRIP * i` on, columns up to the last of them. */
  readonly #strips: Float64Array[];

  /**
   * No rows yet.
   *
   * @throws {TypeError} If the dimensions are not a number.
   * @throws {RangeError} If they are no integer from 1 on.
   */
  constructor(dimensions: number) {
    this.dimensions = requireInteger(dimensions, "dimensions", "gather moments", { min: 1, max: 2 ** 15 });
    this.#mean = new Float64Array(dimensions);
    this.#strips = Array.from({ length: Math.ceil(dimensions / STRIP) }, (_, i) => {
      const { height, columns } = this.#strip(i);
      return new Float64Array(height * columns);
    });
  }

  /** Rows that were gathered. */
  get count(): number {
    return this.#count;
  }

  /**
   * Adds rows.
   *
   * @throws {TypeError} If they are no rows.
   * @throws {RangeError} If they have other dimensions or are not finite; nothing is added then.
   */
  update(rows: Rows): void {
    const { dimensions } = this;
    const { values, count } = requireRows(rows, "rows", "gather moments", { min: 0, dimensions });
    const mean = new Float64Array(dimensions);
    const centred = new Float64Array(dimensions * Math.min(count, BLOCK_ROWS));
    for (let first = 0; first < count; first += BLOCK_ROWS) {
      const length = Math.min(BLOCK_ROWS, count - first);
      mean.fill(0);
      for (let row = 0; row < length; row++) {
        const at = (first + row) * dimensions;
        for (let i = 0; i < dimensions; i++) mean[i]! += values[at + i]!;
      }
      for (let i = 0; i < dimensions; i++) mean[i]! /= length;
      for (let row = 0; row < length; row++) {
        const at = (first + row) * dimensions;
        for (let i = 0; i < dimensions; i++) centred[i * length + row] = values[at + i]! - mean[i]!;
      }
      for (const [i, output] of this.#strips.entries()) {
        const { height, columns } = this.#strip(i);
        addWideProducts({
          left: centred.subarray(STRIP * i * length, columns * length),
          right: centred.subarray(0, columns * length),
          ...{ rows: height, columns, dimensions: length, output },
        });
      }
      this.#shift(length, mean);
    }
  }

  /**
   * Adds all rows of another.
   *
   * @throws {RangeError} If it has other dimensions.
   */
  merge(other: Moments): void {
    requireInteger(other.dimensions, "dimensions of the other", "merge moments", {
      min: this.dimensions,
      max: this.dimensions,
    });
    for (const [i, strip] of this.#strips.entries()) {
      const added = other.#strips[i]!;
      for (let k = 0; k < strip.length; k++) strip[k]! += added[k]!;
    }
    this.#shift(other.#count, other.#mean.slice());
  }

  /**
   * The moments so far.
   *
   * @throws {RangeError} If there are fewer than two rows, which have no covariance.
   */
  compute(): MomentStatistics {
    const { dimensions } = this;
    const count = requireInteger(this.#count, "the number of rows", "compute a covariance", { min: 2 });
    const covariance = new Float64Array(dimensions * dimensions);
    for (const [i, strip] of this.#strips.entries()) {
      const { height, columns } = this.#strip(i);
      for (let row = 0; row < height; row++) {
        const at = STRIP * i + row;
        for (let column = 0; column <= at; column++) {
          const value = strip[row * columns + column]! / (count - 1);
          covariance[at * dimensions + column] = covariance[column * dimensions + at] = value;
        }
      }
    }
    return { count, dimensions, mean: this.#mean.slice(), covariance };
  }

  /** Rows and columns of a strip. */
  #strip(i: number): { height: number; columns: number } {
    const height = Math.min(STRIP, this.dimensions - STRIP * i);
    return { height, columns: STRIP * i + height };
  }

  /** Joins `count` rows of a mean, whose products have been added, to those before. */
  #shift(count: number, mean: Float64Array): void {
    if (count === 0) return;
    const before = this.#count;
    this.#count += count;
    const share = count / this.#count;
    // From here on `mean` holds how far it lies from the one before.
    for (let i = 0; i < mean.length; i++) {
      mean[i]! -= this.#mean[i]!;
      this.#mean[i]! += mean[i]! * share;
    }
    if (before === 0) return;
    for (const [i, strip] of this.#strips.entries()) {
      const { height, columns } = this.#strip(i);
      for (let row = 0; row < height; row++) {
        const factor = before * share * mean[STRIP * i + row]!;
        const at = row * columns;
        for (let column = 0; column < columns; column++) strip[at + column]! += factor * mean[column]!;
      }
    }
  }
}
