/**
 * From decoded pictures to pixels: packed to RGBA on the device, and read from there. When to decode is left
 * to `current.ts`.
 *
 * @module
 */

import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { packPixels, type PixelRule } from "../../kernels/maps/pack.ts";
import type { PictureArray } from "../../models/model.ts";
import type { PictureSize } from "../../models/schedule.ts";
import { RgbaImage } from "./image.ts";

/** Pictures as RGBA pixels on a device. Disposing them frees the array. */
export interface PackedPictures extends PictureSize, Disposable {
  /** u32 [images, height, width]. */
  readonly array: DeviceArray;
}

/** Packs decoded pictures as RGBA, which belong to the caller. */
export function pack(
  device: Device,
  pictures: PictureArray,
  { images, rule }: { readonly images: number; readonly rule: PixelRule | undefined },
): PackedPictures {
  const { array: image, width, height } = pictures;
  const array = device.allocate(images * width * height, "pixels");
  device.run(packPixels, { image, pixels: array, images, width, height, ...(rule && { rule }) });
  return { array, width, height, [Symbol.dispose]: () => array[Symbol.dispose]() };
}

/** Packed pictures on the host. Costs a readback. */
export async function readPictures(packed: PackedPictures, images: number): Promise<RgbaImage[]> {
  const { array, width, height } = packed;
  const [words] = await array.device.read([array]);
  return Array.from({ length: images }, (_, i) => new RgbaImage(width, height, pixelsOf(packed, words!, i)));
}

/** The RGBA bytes of picture `index` of packed ones. */
export function pixelsOf(
  { width, height }: PictureSize,
  words: Uint32Array<ArrayBuffer>,
  index: number,
): Uint8ClampedArray<ArrayBuffer> {
  const bytes = width * height * 4;
  return new Uint8ClampedArray(words.buffer, index * bytes, bytes);
}
