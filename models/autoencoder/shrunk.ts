/**
 * Features of smaller pictures: maps whose squares of positions have become their means, so that a decoder
 * paints the same picture with fewer pixels, and in proportion less work. Which pictures may be small is left
 * to those who look at them.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import { areaMeans } from "../../kernels/maps/resample.ts";
import type { MapSize } from "../schedule.ts";
import type { DecodedPictures } from "../model.ts";
import type { FeatureMaps } from "./networks.ts";

/**
 * The powers of two by which both edges of a map can be divided, 1 first.
 *
 * @example
 * ```ts
 * import { shrinksOf } from "./shrunk.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(shrinksOf({ width: 16, height: 12 }), [1, 2, 4]);
 * ```
 */
export function shrinksOf({ width, height }: MapSize): readonly number[] {
  const shrinks = [1];
  while (width % (2 * shrinks.at(-1)!) === 0 && height % (2 * shrinks.at(-1)!) === 0) {
    shrinks.push(2 * shrinks.at(-1)!);
  }
  return shrinks;
}

/**
 * The same features on maps that are `shrink` times as narrow and low.
 *
 * @param features The features, which stay the caller's.
 * @param channels Numbers of a position.
 * @param shrink One of {@linkcode shrinksOf} the map.
 * @returns Features whose array is the caller's.
 * @throws {RangeError} If the map cannot be divided so.
 */
export function shrunk(features: FeatureMaps, channels: number, shrink: number): FeatureMaps {
  const { images, width, height } = features;
  const known = shrinksOf(features);
  if (!known.includes(shrink)) throw new RangeError(mustBe(known.join(" or "), shrink, "shrink", "decode"));
  const size = { width: width / shrink, height: height / shrink };
  return {
    array: areaMeans(features.array, { images, channels, from: features, to: size, layout: "planes" }),
    images,
    ...size,
  };
}

/**
 * Decodes features, `shrink` times as narrow and low.
 *
 * @param features The features, which stay the caller's.
 */
export async function decodeShrunk(
  features: FeatureMaps,
  { channels, shrink, decode }: {
    readonly channels: number;
    readonly shrink: number;
    readonly decode: (features: FeatureMaps) => Promise<DecodedPictures>;
  },
): Promise<DecodedPictures> {
  if (shrink === 1) return await decode(features);
  const small = shrunk(features, channels, shrink);
  using _array = small.array;
  return await decode(small);
}
