/**
 * From what a generation has accumulated to pixels: decode, and pack to RGBA on the device.
 *
 * @module
 */

import type { DeviceArray } from "../kernels/device.ts";
import { packPixels } from "../kernels/pack.ts";
import type { Generation, Model } from "../models/model.ts";
import { RgbaImage } from "./image.ts";

/** Paints what there is so far: RGBA pixels on the device, u32 [images, size * size], which belong to the caller. */
export async function paint(model: Model, generation: Generation): Promise<DeviceArray> {
  using decoded = await generation.decode();
  return pack(model, decoded, generation.images);
}

/** Packs decoded pixels, f32 [images, 3, size, size] from -1 to 1, as RGBA, u32 [images, size * size], which belong to the caller. */
export function pack(model: Model, image: DeviceArray, images: number): DeviceArray {
  const { device, imageSize: size } = model;
  const pixels = device.allocate(images * size * size, "pixels");
  device.run(packPixels, { image, pixels, images, width: size, height: size });
  return pixels;
}

/** The same as pictures, one per lane. Costs a readback. */
export async function pictures(model: Model, generation: Generation): Promise<RgbaImage[]> {
  using pixels = await paint(model, generation);
  const [words] = await model.device.read([pixels]);
  const { imageSize: size } = model;
  return Array.from(
    { length: generation.images },
    (_, i) => new RgbaImage(size, size, pixelsOf(model, words!, i)),
  );
}

/** The RGBA bytes of picture `index` of packed pixels. */
export function pixelsOf(
  model: Model,
  words: Uint32Array<ArrayBuffer>,
  index: number,
): Uint8ClampedArray<ArrayBuffer> {
  const bytes = model.imageSize ** 2 * 4;
  return new Uint8ClampedArray(words.buffer, index * bytes, bytes);
}
