/**
 * What a model of a published size takes where it runs, told from its sizes alone, so that nothing has to be
 * downloaded to know whether it fits and about how long a picture lasts. What a device can do is left to
 * `device_check.ts`.
 *
 * @module
 */

import type { ModelSize } from "./folder/sizes.ts";
import type { Provider } from "./graphs/room.ts";
import type { PictureSize } from "./schedule.ts";
import type { KeptDtype } from "./weights/dtype.ts";

/** What a model takes, of a published size or of any other. */
export interface PublishedModel {
  /** Name of the model. */
  readonly name: string;
  /** Its size, by which one of a repository with several is asked for. */
  readonly size?: ModelSize;
  /** Size of the picture that the numbers are of. */
  readonly picture: PictureSize;
  /** Operations of the transformer for one guided picture, scale by scale; two for each multiply-add. */
  readonly scales: readonly number[];
  /** Operations of the decoder. */
  readonly decoder: number;
  /** Bytes of the weights as a type, all of which each scale reads. */
  weights(dtype: KeptDtype, provider: Provider): number;
  /** Bytes that the weights and one guided picture take together. */
  bytes(dtype: KeptDtype, provider: Provider): number;
  /** Bytes of the largest array. */
  largestArray(dtype: KeptDtype): number;
}

/**
 * Seconds that a picture takes at the least, by what a device can do: every scale reads all weights, and its
 * products take their time; whichever is longer counts. What lies between products, and what is recorded for
 * a GPU, is not in it.
 *
 * @param model The model.
 * @param weights Bytes of its weights.
 * @param rates 10⁹ operations per second of products with such weights and of convolutions, and 10⁹ bytes per
 * second.
 *
 * @example
 * ```ts
 * import { leastSeconds } from "./published_model.ts";
 * import { assertEquals } from "@std/assert";
 *
 * // The first scale waits for 4 GB, the second for 10 Tflop.
 * const rates = { products: 1000, convolutions: 500, gigabytesPerSecond: 100 };
 * assertEquals(leastSeconds({ scales: [1e9, 1e13], decoder: 1e12 }, 4e9, rates), 0.04 + 10 + 2);
 * ```
 */
export function leastSeconds(
  { scales, decoder }: Pick<PublishedModel, "scales" | "decoder">,
  weights: number,
  rates: {
    readonly products: number;
    readonly convolutions: number;
    readonly gigabytesPerSecond: number;
  },
): number {
  const reading = weights / rates.gigabytesPerSecond;
  const nanoseconds = scales.reduce((sum, flops) => sum + Math.max(reading, flops / rates.products), 0);
  return (nanoseconds + decoder / rates.convolutions) / 1e9;
}
