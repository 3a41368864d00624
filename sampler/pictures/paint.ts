/**
 * From what a generation or an encoding shows to pixels: decode, and pack to RGBA on the device.
 *
 * @module
 */

import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { packPixels, type PixelRule } from "../../kernels/maps/pack.ts";
import type { Generation, PictureArray } from "../../models/model.ts";
import type { PictureSize, Schedule } from "../../models/schedule.ts";
import { RgbaImage } from "./image.ts";

/** Pictures as RGBA pixels on a device. Disposing them frees the array. */
export interface PackedPictures extends PictureSize, Disposable {
  /** u32 [images, height, width]. */
  readonly array: DeviceArray;
}

/** Paints what there is so far, one picture per lane, which belong to the caller. */
export async function paint(
  device: Device,
  generation: Generation,
  { pixelRule }: Pick<Schedule, "pixelRule">,
): Promise<PackedPictures> {
  using decoded = await generation.decode();
  return pack(device, decoded, { images: generation.images, rule: pixelRule });
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

/** The same as {@linkcode paint}, as pictures on the host. Costs a readback. */
export async function pictures(
  device: Device,
  generation: Generation,
  schedule: Pick<Schedule, "pixelRule">,
): Promise<RgbaImage[]> {
  using packed = await paint(device, generation, schedule);
  const [words] = await device.read([packed.array]);
  const { width, height } = packed;
  return Array.from(
    { length: generation.images },
    (_, i) => new RgbaImage(width, height, pixelsOf(packed, words!, i)),
  );
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
