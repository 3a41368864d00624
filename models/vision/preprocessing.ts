/**
 * From pixels as they are saved to what a network takes: resized to the byte as Pillow does it, cut, and laid
 * out as planes around a mean; or resized in floats, for networks whose numbers are known so.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { createResampleTable, resample, type ResampleMethod } from "../../kernels/maps/resample.ts";
import { createPixelTable, type PixelFilter, resizePixels } from "../../kernels/maps/resize_pixels.ts";
import { unpackPixels } from "../../kernels/maps/unpack.ts";
import type { PictureSize } from "../schedule.ts";
import type { Pictures } from "./verifier.ts";

/** How a network wants its pictures. */
export interface Preprocessing {
  /** Size of its input. */
  readonly size: PictureSize;
  /** Pillow's filter; with `"none"` pictures must have the size. */
  readonly resize: "bilinear" | "bicubic" | "lanczos" | "none";
  /**
   * `"squash"`: both edges become the input's, whatever the shape; `"crop"`: the shorter edge does, and the
   * middle is cut out.
   */
  readonly fit: "squash" | "crop";
  /** Taken from red, green and blue, which go from 0 to 1. */
  readonly mean: readonly [red: number, green: number, blue: number];
  /** What is left is divided by it. */
  readonly std: readonly [red: number, green: number, blue: number];
}

/** How a network wants its pictures that are resized without being rounded; both edges become its input's. */
export interface FloatPreprocessing {
  /** Size of its input. */
  readonly size: PictureSize;
  /** How they are resized. What `"antialiased"` puts beyond the darkest and lightest level stays there. */
  readonly method: Extract<ResampleMethod, "bilinear" | "asymmetric" | "antialiased">;
  /** What the network takes for a level from 0 to 255. */
  level(value: number): number;
}

/** A part of a resized picture, of which this is the size without what is cut off. */
export interface Crop extends PictureSize {
  /** Columns that are cut off on the left. */
  readonly left: number;
  /** Rows that are cut off at the top. */
  readonly top: number;
}

/**
 * How a picture is resized so that it covers a size, of which the middle is cut out: as torchvision's
 * `Resize` of the shorter edge and `CenterCrop` do it, which truncate the longer edge and round halves to
 * even.
 *
 * @param margin How much larger than the size it becomes first.
 *
 * @example
 * ```ts
 * import { coverOf } from "./preprocessing.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const crop = coverOf({ width: 333, height: 250 }, { width: 224, height: 224 });
 * assertEquals(crop, { width: 298, height: 224, left: 37, top: 0 });
 * ```
 */
export function coverOf({ width, height }: PictureSize, wanted: PictureSize, margin: number = 1): Crop {
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

/**
 * Resizes pictures and cuts a part out, to the byte as Pillow does. Only what is kept is computed.
 *
 * @param crop What the pictures become, and where the part begins.
 * @param size The part's size.
 * @returns u32 [count, height, width], the caller's.
 */
export function resizePictures(
  device: Device,
  { array, count, width, height }: Pictures,
  { filter, crop, size }: { readonly filter: PixelFilter; readonly crop: Crop; readonly size: PictureSize },
): DeviceArray {
  using across = createPixelTable(device, filter, width, crop.width, { first: crop.left, count: size.width });
  using down = createPixelTable(device, filter, height, crop.height, { first: crop.top, count: size.height });
  using rows = device.allocate(count * height * size.width, "resized rows");
  device.run(resizePixels, { input: array, output: rows, table: across, lines: count * height });
  using owned = new DisposableStack();
  const output = owned.use(device.allocate(count * size.height * size.width, "resized pictures"));
  device.run(resizePixels, { input: rows, output, table: down, lines: count, step: size.width });
  owned.move();
  return output;
}

/**
 * Makes a network's input of pictures, the same bits on every device: those of Pillow and PyTorch.
 *
 * @param pictures The pictures, which stay the caller's.
 * @returns f32 [count, 3, height, width], the caller's.
 * @throws {RangeError} If the pictures must have the network's size and have another one.
 *
 * @example
 * ```ts
 * import { preprocess } from "./preprocessing.ts";
 * import { CpuDevice } from "../../kernels/device/cpu_device.ts";
 * import { readFloats } from "../../kernels/device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using array = device.upload(new Uint32Array([0xff0000ff, 0xff0000ff]));
 * using input = preprocess(device, { array, count: 1, width: 2, height: 1 }, {
 *   size: { width: 1, height: 1 },
 *   resize: "bicubic",
 *   fit: "squash",
 *   mean: [0.5, 0.5, 0.5],
 *   std: [0.5, 0.5, 0.5],
 * });
 * assertEquals([...await readFloats(input)], [1, -1, -1]);
 * ```
 */
export function preprocess(device: Device, pictures: Pictures, preprocessing: Preprocessing): DeviceArray {
  const { size, resize, fit, mean, std } = preprocessing;
  const { count, width, height } = pictures;
  using stack = new DisposableStack();
  let pixels = pictures.array;
  if (width !== size.width || height !== size.height) {
    if (resize === "none") {
      throw new RangeError(
        mustBe(
          `${size.width}×${size.height} pixels`,
          `${width}×${height}`,
          "the pictures' size",
          "prepare pictures for a network that resizes none",
        ),
      );
    }
    const crop = fit === "crop" ? coverOf(pictures, size) : { ...size, left: 0, top: 0 };
    pixels = stack.use(resizePictures(device, pictures, { filter: resize, crop, size }));
  }
  const area = size.width * size.height;
  return unpacked(device, pixels, levelsOf(mean, std), { count, area });
}

/** Planes of packed pixels, in which a table says what stands for a level. */
function unpacked(
  device: Device,
  pixels: DeviceArray,
  table: Float32Array<ArrayBuffer>,
  { count, area }: { readonly count: number; readonly area: number },
): DeviceArray {
  using levels = device.upload(table, "levels");
  using owned = new DisposableStack();
  const planes = owned.use(device.allocate(count * 3 * area, "network input"));
  device.run(unpackPixels, { pixels, levels, planes, images: count, area });
  owned.move();
  return planes;
}

/**
 * Makes a network's input of pictures in floats: levels become what the network takes for them, and these are
 * resized.
 *
 * @param pictures The pictures, which stay the caller's.
 * @returns f32 [count, 3, height, width], the caller's.
 *
 * @example
 * ```ts
 * import { preprocessInFloats } from "./preprocessing.ts";
 * import { CpuDevice } from "../../kernels/device/cpu_device.ts";
 * import { readFloats } from "../../kernels/device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using array = device.upload(new Uint32Array([0xff000000, 0xff000008]));
 * using input = preprocessInFloats(device, { array, count: 1, width: 2, height: 1 }, {
 *   size: { width: 4, height: 1 },
 *   method: "asymmetric",
 *   level: (value) => value,
 * });
 * assertEquals((await readFloats(input)).slice(0, 4), new Float32Array([0, 4, 8, 8]));
 * ```
 */
export function preprocessInFloats(
  device: Device,
  { array, count, width, height }: Pictures,
  { size, method, level }: FloatPreprocessing,
): DeviceArray {
  const table = Float32Array.from({ length: 3 * 256 }, (_, i) => level(i % 256));
  const unresized = unpacked(device, array, table, { count, area: width * height });
  if (width === size.width && height === size.height) return unresized;
  using planes = unresized;
  using rows = createResampleTable(device, method, height, size.height);
  using across = createResampleTable(device, method, width, size.width);
  using owned = new DisposableStack();
  const output = owned.use(device.allocate(count * 3 * size.width * size.height, "network input"));
  const maps = { images: count, channels: 3, layout: "planes" } as const;
  device.run(resample, { input: planes, output, table: rows, across, ...maps });
  owned.move();
  return output;
}

/** What stands for each level of each colour, every step in float32 as in PyTorch. */
function levelsOf(mean: Preprocessing["mean"], std: Preprocessing["std"]): Float32Array<ArrayBuffer> {
  const { fround } = Math;
  return Float32Array.from({ length: 3 * 256 }, (_, i) => {
    const colour = Math.floor(i / 256);
    const centred = fround(fround(i % 256 / 255) - fround(mean[colour]!));
    return centred / fround(std[colour]!);
  });
}
