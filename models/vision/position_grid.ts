/**
 * Learnt positions of patches for another number of patches, as PyTorch resizes them: by a cubic kernel along
 * each axis. It is done once, when a network is loaded.
 *
 * @module
 */

/** How a grid is resized. */
export interface ResizeGridOptions {
  /** Rows and columns that there are. */
  readonly from: number;
  /** Rows and columns that are wanted. */
  readonly to: number;
  /** Numbers of a position. */
  readonly channels: number;
  /**
   * Whether the kernel is widened where the grid becomes smaller, and what would lie beyond the border is
   * left out: `antialias` of PyTorch, whose kernel has a slope of -0.5 instead of -0.75.
   */
  readonly antialias: boolean;
  /** What is added to `to` for the scale only, as the first DINOv2 does with 0.1; 0 by default. */
  readonly offset?: number;
}

/** What an output takes from the inputs along an axis. */
interface Taps {
  readonly from: readonly number[];
  readonly weights: readonly number[];
}

/**
 * Resizes a square grid of positions.
 *
 * @param values [from, from, channels].
 * @returns [to, to, channels].
 *
 * @example
 * ```ts
 * import { resizeGrid } from "./position_grid.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const flat = new Float32Array(5 * 5 * 2).fill(3);
 * const smaller = resizeGrid(flat, { from: 5, to: 2, channels: 2, antialias: true });
 * assertEquals(smaller, new Float32Array(2 * 2 * 2).fill(3));
 * ```
 */
export function resizeGrid(values: Float32Array, options: ResizeGridOptions): Float32Array<ArrayBuffer> {
  const { from, to, channels, antialias, offset = 0 } = options;
  const scale = from / (to + offset);
  const taps = Array.from(
    { length: to },
    (_, i) => antialias ? wideTaps(i, scale, from) : fourTaps(i, scale, from),
  );
  const narrow = new Float32Array(from * to * channels);
  for (let row = 0; row < from; row++) {
    mix(taps, values.subarray(row * from * channels), narrow.subarray(row * to * channels), channels);
  }
  const result = new Float32Array(to * to * channels);
  mix(taps, narrow, result, to * channels);
  return result;
}

/** Sums rows of `width` numbers by the taps of each output. */
function mix(taps: readonly Taps[], input: Float32Array, output: Float32Array, width: number): void {
  for (const [i, { from, weights }] of taps.entries()) {
    for (let c = 0; c < width; c++) {
      output[i * width + c] = from.reduce((sum, at, j) => sum + weights[j]! * input[at * width + c]!, 0);
    }
  }
}

function wideTaps(i: number, scale: number, from: number): Taps {
  const stretch = Math.max(scale, 1);
  const center = (i + 0.5) * scale;
  const first = Math.max(0, Math.floor(center - 2 * stretch + 0.5));
  const end = Math.min(from, Math.floor(center + 2 * stretch + 0.5));
  const places = Array.from({ length: end - first }, (_, j) => first + j);
  const weights = places.map((at) => cubic((at - center + 0.5) / stretch, -0.5));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return { from: places, weights: weights.map((weight) => weight / total) };
}

function fourTaps(i: number, scale: number, from: number): Taps {
  const center = (i + 0.5) * scale - 0.5;
  const places = [-1, 0, 1, 2].map((step) => Math.floor(center) + step);
  return {
    from: places.map((at) => Math.min(Math.max(at, 0), from - 1)),
    weights: places.map((at) => cubic(at - center, -0.75)),
  };
}

/** Keys' cubic kernel (IEEE ASSP 29-6, 1981) of a slope at 1. */
function cubic(x: number, slope: number): number {
  const t = Math.abs(x);
  if (t < 1) return ((slope + 2) * t - (slope + 3)) * t * t + 1;
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * slope;
  return 0;
}
