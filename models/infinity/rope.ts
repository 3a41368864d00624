/**
 * Rotary positions in two dimensions (RoFormer, arXiv 2104.09864, along rows and columns): where a token of a
 * scale lies on the finest grid of its ratio, and the rotations that follow.
 *
 * @module
 */

import type { MapSize } from "../schedule.ts";

/** Base of the wavelengths. */
const BASE = 10000;

/** Cosines and sines of a scale's positions, f32 [positions, half the width of a head] each. */
export interface Rotations {
  /** Cosines. */
  readonly cos: Float32Array<ArrayBuffer>;
  /** Sines. */
  readonly sin: Float32Array<ArrayBuffer>;
}

/**
 * Place of a row or column of a scale on the finest grid: `i · finest / side`, halves to the even number.
 * Over the table's ratios 516 places are exact halves, so how they are rounded matters.
 *
 * @example
 * ```ts
 * import { finestPlace } from "./rope.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([0, 1, 2, 3, 4, 5].map((i) => finestPlace(i, 6, 64)), [0, 11, 21, 32, 43, 53]);
 * assertEquals([1, 3].map((i) => finestPlace(i, 4, 2)), [0, 2]);
 * ```
 */
export function finestPlace(i: number, side: number, finest: number): number {
  const whole = Math.floor(i * finest / side);
  const twice = 2 * (i * finest - whole * side);
  if (twice === side) return whole + whole % 2;
  return twice < side ? whole : whole + 1;
}

/**
 * Rotations of a scale's tokens, row by row. The first half of a head's pairs of channels turns by the row,
 * the second by the column; pair j of n turns by `place · 10000^(-j / n)`.
 *
 * @param map The scale's grid.
 * @param finest The finest grid of its ratio, in which places are told.
 * @param headWidth Width of a head, a multiple of 4.
 */
export function rotations(map: MapSize, finest: MapSize, headWidth: number): Rotations {
  const half = headWidth / 2;
  const pairs = half / 2;
  // Wavelengths and angles are float32 in the released code.
  const speeds = Float32Array.from({ length: pairs }, (_, j) => BASE ** (-j / pairs));
  const angles = new Float32Array(map.width * map.height * half);
  for (let y = 0; y < map.height; y++) {
    const row = finestPlace(y, map.height, finest.height);
    for (let x = 0; x < map.width; x++) {
      const column = finestPlace(x, map.width, finest.width);
      const at = (y * map.width + x) * half;
      for (let j = 0; j < pairs; j++) {
        angles[at + j] = row * speeds[j]!;
        angles[at + pairs + j] = column * speeds[j]!;
      }
    }
  }
  return { cos: angles.map(Math.cos), sin: angles.map(Math.sin) };
}
