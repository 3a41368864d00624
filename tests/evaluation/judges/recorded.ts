/**
 * Recorded pictures, and what the judges said of them.
 *
 * @module
 */

import { RgbaImage } from "../../../sampler/pictures/image.ts";

/** Products of the same numbers in another order, of values up to 1; 1e-6 between two runtimes on the CPU. */
export const TOLERANCE = 2e-5;

/** Pictures of 64 by 64 from their red, green and blue. */
export function picturesOf(values: Float32Array): RgbaImage[] {
  const area = 64 * 64;
  return Array.from({ length: values.length / (3 * area) }, (_, i) => {
    const image = new RgbaImage(64, 64);
    for (let p = 0; p < area; p++) {
      image.data.set([...values.subarray(3 * (i * area + p), 3 * (i * area + p + 1)), 255], 4 * p);
    }
    return image;
  });
}
