/**
 * From a picture of any size to one that a model takes: what is transparent laid on white, then the
 * preprocessing of VAR's validation set (shorter edge to 1.125 times the size, the middle cut out), to the
 * byte as torchvision and Pillow do it; or a picture laid in the middle of a larger one, to be continued.
 *
 * @module
 */

import { mustBe, requireChoice, requireInteger } from "../../kernels/arguments.ts";
import { CpuDevice, words } from "../../kernels/device/cpu_device.ts";
import type { Device } from "../../kernels/device/device.ts";
import type { PictureArray } from "../../models/model.ts";
import type { PictureSize } from "../../models/schedule.ts";
import { coverOf, type Crop, resizePictures } from "../../models/vision/preprocessing.ts";
import { RgbaImage } from "./image.ts";

/**
 * What happens to a picture that is not of the wanted size: it is resized to a little more and the middle
 * `"crop"`ped, as for VAR's validation set; resized so that it just `"cover"`s the size, and only what sticks
 * out cut off; or it must be of `"exact"`ly that size.
 */
export type Fit = "crop" | "cover" | "exact";

/** What can happen to a picture of another size. */
export const FITS: readonly Fit[] = ["crop", "cover", "exact"];

/** Where the upper left corner of a part lies. */
export interface Place {
  /** Pixels to the left of it. */
  readonly left: number;
  /** Rows above it. */
  readonly top: number;
}

const ACTION = "fit the picture";

/** Resizing comes before cropping by this factor, as in VAR's training. */
const MARGIN = 1.125;

/**
 * Fits a picture to opaque pixels of a size. One that has that size already stays as it is; any other is
 * resized by Lanczos' filter until it is 1.125 times as wide and as high as wanted, or with `"cover"` just as
 * wide or as high, and more in one direction; the middle is cut out. What is transparent is laid on white
 * first.
 *
 * @param image The picture.
 * @param size Pixels of a row and number of rows, or the edge of a square.
 * @param fit What happens to a picture of another size.
 * @throws {RangeError} If a size is no integer >= 1, or `fit` is `"exact"` and the picture has another size.
 * @throws {TypeError} If the image is no {@linkcode RgbaImage} or `fit` is unknown.
 *
 * @example
 * ```ts
 * import { fitImage } from "./fit.ts";
 * import { RgbaImage } from "./image.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const photo = new RgbaImage(400, 300);
 * assertEquals(fitImage(photo, 64).width, 64);
 * assertEquals(fitImage(photo, { width: 96, height: 48 }).height, 48);
 * assertEquals([...fitImage(photo, 64).data.subarray(0, 4)], [0, 0, 0, 255]);
 * ```
 */
export function fitImage(image: RgbaImage, size: number | PictureSize, fit: Fit = "crop"): RgbaImage {
  requireImage(image);
  const wanted = typeof size === "number" ? { width: size, height: size } : size;
  requireInteger(wanted?.width, typeof size === "number" ? "size" : "width", ACTION, { min: 1 });
  requireInteger(wanted.height, "height", ACTION, { min: 1 });
  requireChoice(fit, FITS, "fit", ACTION);
  const { width, height } = image;
  if (width === wanted.width && height === wanted.height) return onWhite(image);
  if (fit === "exact") {
    throw new RangeError(
      `Cannot ${ACTION} as it must have ${wanted.width}×${wanted.height} pixels: it has ${width}×${height}; fit "crop" or "cover" would resize it`,
    );
  }
  const crop = cropOf(image, wanted, fit);
  using device = new CpuDevice();
  using array = device.upload(new Uint32Array(onWhite(image).data.buffer));
  using pixels = resizePictures(device, { array, count: 1, width, height }, {
    filter: "lanczos",
    crop,
    size: wanted,
  });
  const fitted = new RgbaImage(wanted.width, wanted.height);
  new Uint32Array(fitted.data.buffer).set(words(pixels));
  return fitted;
}

/** A picture that is larger than an edge, resized to it in its proportions. */
export function atMost(image: RgbaImage, edge: number): RgbaImage {
  const part = edge / Math.max(image.width, image.height);
  if (part >= 1) return image;
  const [width, height] = [image.width, image.height].map((size) => Math.max(1, Math.round(size * part)));
  return fitImage(image, { width: width!, height: height! }, "cover");
}

/** A picture's place in the middle of a larger one. */
export function middleOf(image: PictureSize, { width, height }: PictureSize): Place {
  return { left: Math.floor((width - image.width) / 2), top: Math.floor((height - image.height) / 2) };
}

/**
 * Lays a picture in the middle of a larger one, which its border pixels fill. What is transparent is laid on
 * white first.
 */
export function extendImage(image: RgbaImage, size: PictureSize): RgbaImage {
  const source = onWhite(image);
  const { left, top } = middleOf(image, size);
  const extended = new RgbaImage(size.width, size.height);
  for (let y = 0; y < size.height; y++) {
    const row = Math.min(Math.max(y - top, 0), image.height - 1) * image.width;
    for (let x = 0; x < size.width; x++) {
      const from = 4 * (row + Math.min(Math.max(x - left, 0), image.width - 1));
      extended.data.set(source.data.subarray(from, from + 4), 4 * (y * size.width + x));
    }
  }
  return extended;
}

/** Refuses what is no picture. */
export function requireImage(image: RgbaImage): void {
  if (image instanceof RgbaImage) return;
  throw new TypeError(
    mustBe("an RgbaImage, such as decodeImage() makes of a file", image, "it", ACTION),
  );
}

/**
 * Puts pictures of one size on a device as a model's encoder takes them, without alpha. They belong to the
 * caller.
 *
 * @param device Where they go.
 * @param pictures The pictures, at least one.
 */
export function uploadPictures(
  device: Device,
  pictures: readonly RgbaImage[],
): PictureArray & Disposable {
  const values = Float32Array.from({ length: 256 }, (_, byte) => 2 * Math.fround(byte / 255) - 1);
  const { width, height } = pictures[0]!;
  const area = width * height;
  const planes = new Float32Array(pictures.length * 3 * area);
  for (const [i, { data }] of pictures.entries()) {
    for (let c = 0; c < 3; c++) {
      const begin = (3 * i + c) * area;
      for (let p = 0; p < area; p++) planes[begin + p] = values[data[4 * p + c]!]!;
    }
  }
  const array = device.upload(planes, "pictures");
  return { array, width, height, [Symbol.dispose]: () => array[Symbol.dispose]() };
}

/**
 * How a picture of one size is resized and cut to another: what {@linkcode fitImage} leaves of it, in pixels
 * of the resized picture.
 */
export function cropOf(size: PictureSize, wanted: PictureSize, fit: Fit): Crop {
  return coverOf(size, wanted, fit === "cover" ? 1 : MARGIN);
}

/** The picture with white behind it. */
function onWhite({ width, height, data }: RgbaImage): RgbaImage {
  const opaque = new RgbaImage(width, height);
  for (let at = 0; at < data.length; at += 4) {
    const alpha = data[at + 3]!;
    for (let c = 0; c < 3; c++) {
      opaque.data[at + c] = Math.round((data[at + c]! * alpha + 255 * (255 - alpha)) / 255);
    }
    opaque.data[at + 3] = 255;
  }
  return opaque;
}
