/**
 * From a picture of any size to one that a model takes: what is transparent laid on white, then the
 * preprocessing of VAR's validation set (shorter edge to 1.125 times the size, the middle cut out), to the
 * byte as torchvision and Pillow do it; or a picture laid in the middle of a larger one, to be continued.
 *
 * @module
 */

import { mustBe, requireChoice, requireInteger } from "../../kernels/arguments.ts";
import type { Device } from "../../kernels/device/device.ts";
import type { PictureArray } from "../../models/model.ts";
import type { PictureSize } from "../../models/schedule.ts";
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

/**
 * The part of a picture that {@linkcode fitImage} leaves, in pixels of the resized picture, of which this is
 * the size.
 */
export interface Crop extends PictureSize, Place {}

const ACTION = "fit the picture";

/** Resizing comes before cropping by this factor, as in VAR's training. */
const MARGIN = 1.125;

/** Bits behind the point of Pillow's weights. */
const PRECISION = 22;

/** Reach of the Lanczos filter. */
const LANCZOS = 3;

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
  if (width === wanted.width && height === wanted.height) return opaque(onWhite(image), wanted);
  if (fit === "exact") {
    throw new RangeError(
      `Cannot ${ACTION} as it must have ${wanted.width}×${wanted.height} pixels: it has ${width}×${height}; fit "crop" or "cover" would resize it`,
    );
  }
  const crop = cropOf(image, wanted, fit);
  const across = lanczos(width, crop.width, { first: crop.left, count: wanted.width });
  const down = lanczos(height, crop.height, { first: crop.top, count: wanted.height });
  const columns = resampleRows(onWhite(image), width, height, across);
  return opaque(resampleRows(columns, height, wanted.width, down), wanted);
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
  const source = opaque(onWhite(image), image);
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
 * How a picture of one size is resized and cut to another. Torchvision truncates the longer edge; Python
 * rounds halves to even.
 */
export function cropOf({ width, height }: PictureSize, wanted: PictureSize, fit: Fit): Crop {
  const margin = fit === "cover" ? 1 : MARGIN;
  const leastWidth = roundHalfEven(margin * wanted.width);
  const leastHeight = roundHalfEven(margin * wanted.height);
  const [newWidth, newHeight] = width * leastHeight <= height * leastWidth
    ? [leastWidth, Math.floor(leastWidth * height / width)]
    : [Math.floor(leastHeight * width / height), leastHeight];
  return {
    width: newWidth,
    height: newHeight,
    left: roundHalfEven((newWidth - wanted.width) / 2),
    top: roundHalfEven((newHeight - wanted.height) / 2),
  };
}

/** Rounds to the nearest integer, halves to the even one, as Python does. */
export function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return below + (rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? 1 : 0);
}

/** The picture's red, green and blue, with white behind them. */
function onWhite({ data }: RgbaImage): Uint8Array {
  const rgb = new Uint8Array(data.length / 4 * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    const alpha = data[from + 3]!;
    for (let c = 0; c < 3; c++) {
      rgb[to + c] = Math.round((data[from + c]! * alpha + 255 * (255 - alpha)) / 255);
    }
  }
  return rgb;
}

function opaque(rgb: Uint8Array, { width, height }: PictureSize): RgbaImage {
  const image = new RgbaImage(width, height);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    image.data.set(rgb.subarray(from, from + 3), to);
  }
  return image;
}

/** Which input pixels make up each output pixel, and with which weights, in units of 2^-22. */
interface Taps {
  readonly begins: readonly number[];
  readonly weights: readonly Int32Array[];
}

/**
 * Weights of output pixels `first` to `first + count - 1` where `from` pixels become `to`: those of
 * `precompute_coeffs` and `normalize_coeffs_8bpc` in Pillow's Resample.c, step by step, so that the rounding
 * is the same.
 */
function lanczos(from: number, to: number, part: { readonly first: number; readonly count: number }): Taps {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = LANCZOS * stretch;
  const begins: number[] = [];
  const weights: Int32Array[] = [];
  for (let i = part.first; i < part.first + part.count; i++) {
    const center = (i + 0.5) * scale;
    const begin = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), from);
    const values = Array.from({ length: end - begin }, (_, j) => {
      const x = (j + begin - center + 0.5) * (1 / stretch);
      return x >= -LANCZOS && x < LANCZOS ? sinc(x) * sinc(x / LANCZOS) : 0;
    });
    const sum = values.reduce((a, b) => a + b, 0);
    begins.push(begin);
    weights.push(Int32Array.from(values, (value) => {
      const fixed = value / sum * 2 ** PRECISION;
      return Math.trunc(fixed + (fixed < 0 ? -0.5 : 0.5));
    }));
  }
  return { begins, weights };
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

/** Resamples every row of a picture and turns it on its side, so that doing it twice does both directions. */
function resampleRows(rgb: Uint8Array, width: number, height: number, { begins, weights }: Taps): Uint8Array {
  const output = new Uint8ClampedArray(begins.length * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < begins.length; x++) {
      const taps = weights[x]!;
      let red = 1 << (PRECISION - 1);
      let green = red;
      let blue = red;
      for (let i = 0, at = (y * width + begins[x]!) * 3; i < taps.length; i++, at += 3) {
        const weight = taps[i]!;
        red += rgb[at]! * weight;
        green += rgb[at + 1]! * weight;
        blue += rgb[at + 2]! * weight;
      }
      const place = (x * height + y) * 3;
      output[place] = red >> PRECISION;
      output[place + 1] = green >> PRECISION;
      output[place + 2] = blue >> PRECISION;
    }
  }
  return new Uint8Array(output.buffer);
}
