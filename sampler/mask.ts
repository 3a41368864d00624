/**
 * Where an edited picture keeps its tokens: from a box or a painted mask to a map of zeros and ones for each scale, as in VAR's zero-shot
 * editing. Which picture is edited, and what becomes of the map, is left to `edit.ts`.
 *
 * @module
 */

import { requireChoice } from "../kernels/arguments.ts";
import { cropOf, roundHalfEven } from "./fit.ts";
import { RgbaImage } from "./image.ts";

/** A box: top, left, bottom and right edge, each from 0 to 1, in parts of the fitted picture. */
export type Box = readonly [y0: number, x0: number, y1: number, x1: number];

/** A mask: a picture of which white is marked, or rows of numbers from 0 to 1 of which 1 is marked. */
export type Mask = RgbaImage | readonly (readonly number[])[];

/** What happens to the region that is marked: `"inpaint"` generates it, `"outpaint"` keeps it and generates the rest. */
export type EditMode = "inpaint" | "outpaint";

/** What a region is given by: one of the two. */
export interface Region {
  /** The marked box, in whole tokens of the last scale: edges are rounded to them. */
  readonly box?: Box;
  /**
   * The marked area, of any shape. A mask of the picture's own size is resized and cropped with it; a square one of any size covers the
   * fitted picture. A pixel counts as the mean of its red, green and blue, as far as it is opaque, and a token as the mean of its pixels.
   */
  readonly mask?: Mask;
  /** What happens to the marked region; `"inpaint"` by default. */
  readonly mode?: EditMode;
}

const ACTION = "edit";

/** Values from 0 to 1 in rows. */
interface Field {
  readonly width: number;
  readonly height: number;
  readonly values: Float64Array;
}

/** What a region lies on. */
export interface Frame {
  /** Tokens along an edge of the last scale. */
  readonly side: number;
  /** Width and height of a fitted picture in pixels. */
  readonly size: number;
  /** Sizes of the pictures before fitting. */
  readonly pictures: readonly { readonly width: number; readonly height: number }[];
}

/**
 * The shares that are kept of each token of the last scale, f32 [side, side].
 *
 * @throws {TypeError} If neither or both of box and mask are given, or one is of the wrong type.
 * @throws {RangeError} If a value is out of range, the box rounds to nothing, or the mask has neither the size of the pictures nor equal sides.
 */
export function keptShares(region: Region, frame: Frame): Float32Array<ArrayBuffer> {
  const { box, mask, mode = "inpaint" } = region;
  requireChoice(mode, ["inpaint", "outpaint"], "mode", ACTION);
  if ((box === undefined) === (mask === undefined)) {
    throw new TypeError(
      `Cannot ${ACTION} as ${
        box === undefined ? "a box or a mask" : "either box or mask, not both,"
      } must be given`,
    );
  }
  const marked = box === undefined ? averaged(fieldOf(mask!), frame) : boxed(box, frame.side);
  return mode === "outpaint" ? marked : marked.map((share) => 1 - share);
}

/**
 * Where a scale keeps the source's tokens, 1 or 0 per position: the bilinear resize of the shares, as PyTorch's `interpolate` does it in
 * float32, strictly above one half. The 1×1 map is always kept.
 */
export function keptPositions(shares: Float32Array, side: number): Uint32Array<ArrayBuffer> {
  const kept = new Uint32Array(side * side);
  if (side * side <= 3) return kept.fill(1);
  const finest = Math.sqrt(shares.length);
  const { fround } = Math;
  const scale = fround(finest / side);
  const places = Array.from({ length: side }, (_, i) => {
    // Product and sum are rounded once, as processors with fused multiply-adds do: from 16 to 13 tokens it decides ties.
    const place = fround(scale * (i + 0.5) - 0.5);
    const low = Math.min(Math.floor(place), finest - 1);
    const weight = fround(place - low);
    return { low, high: Math.min(low + 1, finest - 1), weight, rest: fround(1 - weight) };
  });
  for (const [y, down] of places.entries()) {
    const row = (index: number, { low, high, weight, rest }: typeof down): number => {
      const begin = index * finest;
      return fround(fround(rest * shares[begin + low]!) + fround(weight * shares[begin + high]!));
    };
    for (const [x, across] of places.entries()) {
      const value = fround(
        fround(down.rest * row(down.low, across)) + fround(down.weight * row(down.high, across)),
      );
      kept[y * side + x] = value > 0.5 ? 1 : 0;
    }
  }
  return kept;
}

function boxed(box: Box, side: number): Float32Array<ArrayBuffer> {
  const valid = Array.isArray(box) && box.length === 4 && box.every((edge) => edge >= 0 && edge <= 1) &&
    box[0] < box[2] && box[1] < box[3];
  if (!valid) {
    throw new RangeError(
      `Cannot ${ACTION} as box must be [top, left, bottom, right] with 0 <= top < bottom <= 1 and 0 <= left < right <= 1: current value is ${
        Deno.inspect(box)
      }`,
    );
  }
  const [y0, x0, y1, x1] = box.map((edge) => roundHalfEven(edge * side)) as [number, number, number, number];
  if (y0 === y1 || x0 === x1) {
    throw new RangeError(
      `Cannot ${ACTION} as the box must be about as large as a token, 1/${side} of the picture, at least: current value is ${
        Deno.inspect(box)
      }`,
    );
  }
  const marked = new Float32Array(side * side);
  for (let y = y0; y < y1; y++) marked.fill(1, y * side + x0, y * side + x1);
  return marked;
}

function fieldOf(mask: Mask): Field {
  if (mask instanceof RgbaImage) {
    const { width, height, data } = mask;
    const values = Float64Array.from({ length: width * height }, (_, i) => {
      const at = 4 * i;
      return (data[at]! + data[at + 1]! + data[at + 2]!) * data[at + 3]! / (3 * 255 * 255);
    });
    return { width, height, values };
  }
  const height = Array.isArray(mask) ? mask.length : 0;
  const width = height > 0 && Array.isArray(mask[0]) ? mask[0].length : 0;
  if (width === 0 || mask.some((row) => !Array.isArray(row) || row.length !== width)) {
    throw new TypeError(
      `Cannot ${ACTION} as mask must be an RgbaImage or rows of numbers, all of one length: current value is ${
        Deno.inspect(mask, { depth: 0 })
      }`,
    );
  }
  const wrong = mask.flat().find((value) => !(value >= 0 && value <= 1));
  if (wrong !== undefined) {
    throw new RangeError(
      `Cannot ${ACTION} as values of the mask must be from 0 to 1: current value is ${Deno.inspect(wrong)}`,
    );
  }
  return { width, height, values: Float64Array.from(mask.flat()) };
}

/** The mean of each token's part of the mask. */
function averaged(
  { width, height, values }: Field,
  { side, size, pictures }: Frame,
): Float32Array<ArrayBuffer> {
  const own = pictures.every((picture) => picture.width === width && picture.height === height);
  if (!own && width !== height) {
    throw new RangeError(
      `Cannot ${ACTION} as the mask must have the size of the picture, ${pictures[0]!.width}×${
        pictures[0]!.height
      }, or equal sides: it has ${width}×${height}`,
    );
  }
  // A mask of the picture's own size is cut as the picture is.
  const cut = own && (width !== size || height !== size) ? cropOf(width, height, size) : undefined;
  const part = (length: number, resized: number, begin: number): Map<number, number>[] => {
    const scale = length / resized;
    return coverage(begin * scale, (begin + size) * scale, side);
  };
  const across = cut === undefined ? coverage(0, width, side) : part(width, cut.width, cut.left);
  const down = cut === undefined ? coverage(0, height, side) : part(height, cut.height, cut.top);
  const marked = new Float32Array(side * side);
  for (const [y, rows] of down.entries()) {
    for (const [x, columns] of across.entries()) {
      let sum = 0;
      let area = 0;
      for (const [row, tall] of rows) {
        for (const [column, wide] of columns) {
          sum += tall * wide * values[row * width + column]!;
          area += tall * wide;
        }
      }
      marked[y * side + x] = sum / area;
    }
  }
  return marked;
}

/** Divides the pixels from `begin` to `end` into equal parts: for each, how much of which pixel belongs to it. */
function coverage(begin: number, end: number, parts: number): Map<number, number>[] {
  const edge = (part: number): number => begin + (end - begin) * part / parts;
  return Array.from({ length: parts }, (_, part) => {
    const [from, to] = [edge(part), edge(part + 1)];
    const pixels = new Map<number, number>();
    for (let pixel = Math.floor(from); pixel < to; pixel++) {
      pixels.set(pixel, Math.min(pixel + 1, to) - Math.max(pixel, from));
    }
    return pixels;
  });
}
