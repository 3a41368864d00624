/**
 * Rows that tests and `fixtures/evaluation/metrics/metrics.py` both make, bit for bit, so that none are
 * stored.
 *
 * @module
 */

import type { Rows } from "../../evaluation/metrics/rows.ts";

/** Seed, count, dimensions, scale and shift, as `metrics.py` records them. */
export type Recipe = readonly number[];

/** Integers of 32 bits, one for each place: murmur3's last step. */
export function hashed(seed: number, count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => {
    let x = (Math.imul(i, 0x9e3779b1) + Math.imul(seed, 0x85ebca6b)) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b) >>> 0;
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) >>> 0;
    return x ^ (x >>> 16);
  });
}

/** Rows of sums of four uniform numbers, each column with something of the one after it. */
export function madeRows([seed, count, dimensions, scale = 1, shift = 0]: Recipe): Rows {
  const words = hashed(seed!, 4 * count! * dimensions!);
  const noise = Float64Array.from({ length: count! * dimensions! }, (_, i) => {
    return (words[4 * i]! + words[4 * i + 1]! + words[4 * i + 2]! + words[4 * i + 3]!) / 2 ** 32 - 2;
  });
  const values = Float32Array.from(noise, (value, i) => {
    const next = i % dimensions! === dimensions! - 1 ? i + 1 - dimensions! : i + 1;
    return (value + 0.5 * noise[next]!) * scale + shift;
  });
  return { values, count: count!, dimensions: dimensions! };
}

/** Rows of multiples of 1/64 from -2 to 2, whose products any order of additions sums exactly in f32. */
export function coarseRows(seed: number, count: number, dimensions: number, scale = 1): Rows {
  const words = hashed(seed, count * dimensions);
  const values = Float32Array.from(words, (word) => (Math.floor(word / 2 ** 32 * 256) / 64 - 2) * scale);
  return { values, count, dimensions };
}

/** Rows of these numbers. */
export function rowsOf(rows: readonly (readonly number[])[]): Rows {
  return { values: Float32Array.from(rows.flat()), count: rows.length, dimensions: rows[0]?.length ?? 1 };
}
