/**
 * From a picture of any size to one that a model takes: what is transparent laid on white, then the preprocessing of VAR's validation set
 * (shorter edge to 1.125 times the size, the middle cut out), to the byte as torchvision and Pillow do it.
 *
 * @module
 */

import { requireChoice, requireInteger } from "../kernels/arguments.ts";
import type { Device, DeviceArray } from "../kernels/device.ts";
import { RgbaImage } from "./image.ts";

/**
 * What happens to a picture that is not of the model's size: it is resized and the middle `"crop"`ped, or it must be of `"exact"`ly that
 * size.
 */
export type Fit = "crop" | "exact";

/** The part of a picture that {@linkcode fitImage} leaves, in pixels of the resized picture. */
export interface Crop {
  /** Width and height of the whole picture after resizing. */
  readonly width: number;
  readonly height: number;
  /** Place of the part's upper left corner. */
  readonly left: number;
  readonly top: number;
}

const ACTION = "fit the picture";

/** Resizing comes before cropping by this factor, as in VAR's training. */
const MARGIN = 1.125;

/** Bits behind the point of Pillow's weights. */
const PRECISION = 22;

/** Reach of the Lanczos filter. */
const LANCZOS = 3;

/**
 * Fits a picture to `size`×`size` opaque pixels. One that has that size already stays as it is; any other has its shorter edge resized to
 * 1.125 · `size` by Lanczos' filter, and `size`×`size` pixels are cut out of the middle. What is transparent is laid on white first.
 *
 * @throws {RangeError} If `size` is no integer >= 1, or `fit` is `"exact"` and the picture has another size.
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
 * assertEquals([...fitImage(photo, 64).data.subarray(0, 4)], [0, 0, 0, 255]);
 * ```
 */
export function fitImage(image: RgbaImage, size: number, fit: Fit = "crop"): RgbaImage {
  if (!(image instanceof RgbaImage)) {
    throw new TypeError(
      `Cannot ${ACTION} as it must be an RgbaImage, such as RgbaImage.decode() makes of a PNG file: current value is ${
        Deno.inspect(image, { depth: 0 })
      }`,
    );
  }
  requireInteger(size, "size", ACTION, { min: 1 });
  requireChoice(fit, ["crop", "exact"], "fit", ACTION);
  const { width, height } = image;
  if (width === size && height === size) return opaque(onWhite(image), size);
  if (fit === "exact") {
    throw new RangeError(
      `Cannot ${ACTION} as it must have ${size}×${size} pixels: it has ${width}×${height}; fit "crop" would resize it`,
    );
  }
  const crop = cropOf(width, height, size);
  const across = lanczos(width, crop.width, { first: crop.left, count: size });
  const down = lanczos(height, crop.height, { first: crop.top, count: size });
  const columns = resampleRows(onWhite(image), width, height, across);
  return opaque(resampleRows(columns, height, size, down), size);
}

/** Puts pictures of one size on a device as a model's encoder takes them: f32 [pictures, 3, height, width] from -1 to 1, without alpha. */
export function uploadPictures(device: Device, pictures: readonly RgbaImage[]): DeviceArray {
  const values = Float32Array.from({ length: 256 }, (_, byte) => 2 * Math.fround(byte / 255) - 1);
  const area = pictures[0]!.width * pictures[0]!.height;
  const planes = new Float32Array(pictures.length * 3 * area);
  for (const [i, { data }] of pictures.entries()) {
    for (let c = 0; c < 3; c++) {
      const begin = (3 * i + c) * area;
      for (let p = 0; p < area; p++) planes[begin + p] = values[data[4 * p + c]!]!;
    }
  }
  return device.upload(planes, "pictures");
}

/** How a picture of this size is resized and cut. Torchvision truncates the longer edge; Python rounds halves to even. */
export function cropOf(width: number, height: number, size: number): Crop {
  const shorter = roundHalfEven(MARGIN * size);
  const longer = Math.floor(shorter * Math.max(width, height) / Math.min(width, height));
  const [newWidth, newHeight] = width <= height ? [shorter, longer] : [longer, shorter];
  return {
    width: newWidth,
    height: newHeight,
    left: roundHalfEven((newWidth - size) / 2),
    top: roundHalfEven((newHeight - size) / 2),
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

function opaque(rgb: Uint8Array, size: number): RgbaImage {
  const image = new RgbaImage(size, size);
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
 * Weights of output pixels `first` to `first + count - 1` where `from` pixels become `to`: those of `precompute_coeffs` and
 * `normalize_coeffs_8bpc` in Pillow's Resample.c, step by step, so that the rounding is the same.
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
