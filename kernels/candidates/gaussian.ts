/**
 * What the densities of candidates share: the check of their epsilon, and for the twins of `density.ts` and
 * `group_density.ts` the bandwidth of a place and the sums of the Gaussian kernel over vectors.
 *
 * @module
 */

import { exp2Negative, product } from "../exact/exact.ts";
import { addSquaredDistance } from "../exact/exact_sums.ts";

/** The bandwidth of a place, averaged over the images if asked for, with epsilon. */
export function widthOf(
  widths: Float32Array,
  at: {
    images: number;
    image: number;
    place: number;
    places: number;
    epsilon: number;
    batchBandwidth: boolean;
  },
): number {
  const { images, image, place, places, epsilon, batchBandwidth } = at;
  let h = widths[image * places + place]!;
  if (batchBandwidth) {
    let sum = 0;
    for (let i = 0; i < images; i++) sum = Math.fround(sum + widths[i * places + place]!);
    h = product(sum, Math.fround(1 / images));
  }
  return Math.fround(h + Math.fround(epsilon));
}

/**
 * For each vector, the sum of the kernel with all vectors, each as often as it was drawn, in units of 2^-30.
 */
export function kernelSums(
  vectors: Float32Array,
  counts: readonly number[],
  size: number,
  factor: number,
): Float64Array {
  const sums = Float64Array.from(counts, (count) => count * 2 ** 30);
  // From a product of 31 on the kernel is 0. Plain arithmetic tells most of those pairs; the margins cover
  // what it and the exact sum round.
  const limit = 31.001 / factor;
  const far = limit * Math.exp((5 * size + 64) * 2 ** -24);
  for (let a = 1; a < counts.length; a++) {
    for (let b = 0; b < a; b++) {
      if (distanceBeyond(far, vectors, a * size, b * size, size)) continue;
      const distance = addSquaredDistance(0, vectors, a * size, vectors, b * size, size, limit);
      if (distance > limit) continue;
      const kernel = exp2Negative(product(distance, factor));
      sums[a]! += counts[b]! * kernel;
      sums[b]! += counts[a]! * kernel;
    }
  }
  return sums;
}

/** Whether the squared distance of two vectors, summed in float64, is greater than a limit. */
function distanceBeyond(limit: number, vectors: Float32Array, a: number, b: number, size: number): boolean {
  let sum = 0;
  for (let c = 0; c < size; c++) {
    const d = vectors[a + c]! - vectors[b + c]!;
    sum += d * d;
    if (sum > limit) return true;
  }
  return false;
}
