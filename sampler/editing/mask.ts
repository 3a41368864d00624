/**
 * Where an edited picture keeps its tokens: from a box or a painted mask to a map of zeros and ones for each
 * scale, as in VAR's zero-shot editing. Which picture is edited, and what becomes of the map, is left to
 * `edit.ts`.
 *
 * The rule by which a coarse token is kept is that of VAR's released code, for all families: FlexVAR's paper
 * (arXiv 2502.20313) edits in the same way but does not give one, and its code cannot edit.
 *
 * @module
 */

import { mustBe, requireChoice } from "../../kernels/arguments.ts";
import type { MapSize, PictureSize } from "../../models/schedule.ts";
import { roundHalfEven } from "../../models/vision/preprocessing.ts";
import { cropOf, type Fit, middleOf } from "../pictures/fit.ts";
import { RgbaImage } from "../pictures/image.ts";

/** A box: top, left, bottom and right edge, each from 0 to 1, in parts of the fitted picture. */
export type Box = readonly [y0: number, x0: number, y1: number, x1: number];

/** A mask: a picture of which white is marked, or rows of numbers from 0 to 1 of which 1 is marked. */
export type Mask = RgbaImage | readonly (readonly number[])[];

/**
 * What happens to the region that is marked: `"inpaint"` generates it, `"outpaint"` keeps it and generates
 * the rest.
 */
export type EditMode = "inpaint" | "outpaint";

/** What a region is given by: one of the two. */
export interface Region {
  /** The marked box, in whole tokens of the last scale: edges are rounded to them. */
  readonly box?: Box;
  /**
   * The marked area, of any shape. A mask of the picture's own size is resized and cropped with it; a square
   * one of any size, one of the fitted picture's proportions, or one with a value for each token of the last
   * scale covers that. A pixel counts as the mean of its red, green and blue, as far as it is opaque, and a
   * token as the mean of its pixels.
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

/** How much of each token of a map is kept. */
export interface Shares extends MapSize {
  /** From 0 to 1, f32 [height, width]. */
  readonly values: Float32Array<ArrayBuffer>;
}

/** What a region lies on. */
export interface Frame {
  /** Map of the last scale. */
  readonly map: MapSize;
  /** Size of a fitted picture in pixels. */
  readonly size: PictureSize;
  /** Sizes of the pictures before fitting. */
  readonly pictures: readonly PictureSize[];
  /** How they are fitted. */
  readonly fit: Fit;
}

/**
 * The shares that are kept of each token of the last scale.
 *
 * @throws {TypeError} If neither or both of box and mask are given, or one is of the wrong type.
 * @throws {RangeError} If a value is out of range, the box rounds to nothing, or the mask has neither the
 * size of the pictures nor equal sides.
 */
export function keptShares(region: Region, frame: Frame): Shares {
  const { box, mask, mode = "inpaint" } = region;
  requireChoice(mode, ["inpaint", "outpaint"], "mode", ACTION);
  if ((box === undefined) === (mask === undefined)) {
    throw new TypeError(
      `Cannot ${ACTION} as ${
        box === undefined ? "a box or a mask" : "either box or mask, not both,"
      } must be given`,
    );
  }
  const marked = box === undefined ? averaged(fieldOf(mask!), frame) : boxed(box, frame.map);
  return { ...frame.map, values: mode === "outpaint" ? marked : marked.map((share) => 1 - share) };
}

/** The shares of a picture that is kept as a whole. */
export function wholeShares({ width, height }: MapSize): Shares {
  return { width, height, values: new Float32Array(width * height).fill(1) };
}

/** The shares where a picture is kept that lies in the middle of a larger one. */
export function middleShares(picture: PictureSize, { map, size }: Pick<Frame, "map" | "size">): Shares {
  const { left, top } = middleOf(picture, size);
  const values = new Float64Array(size.width * size.height);
  for (let y = top; y < top + picture.height; y++) {
    values.fill(1, y * size.width + left, y * size.width + left + picture.width);
  }
  return { ...map, values: averaged({ ...size, values }, { map, size, pictures: [size], fit: "exact" }) };
}

/**
 * Where a scale keeps the source's tokens, 1 or 0 per position: the bilinear resize of the shares, as
 * PyTorch's `interpolate` does it in float32, strictly above one half. The 1×1 map is always kept.
 */
export function keptPositions(shares: Shares, { width, height }: MapSize): Uint32Array<ArrayBuffer> {
  const kept = new Uint32Array(width * height);
  if (kept.length === 1) return kept.fill(1);
  const { fround } = Math;
  const { values, width: stride } = shares;
  const across = places(stride, width);
  for (const [y, down] of places(shares.height, height).entries()) {
    const row = (index: number, { low, high, weight, rest }: TwoTaps): number => {
      const begin = index * stride;
      return fround(fround(rest * values[begin + low]!) + fround(weight * values[begin + high]!));
    };
    for (const [x, column] of across.entries()) {
      const value = fround(
        fround(down.rest * row(down.low, column)) + fround(down.weight * row(down.high, column)),
      );
      kept[y * width + x] = value > 0.5 ? 1 : 0;
    }
  }
  return kept;
}

/** The two input places of an output place, and their weights. */
interface TwoTaps {
  readonly low: number;
  readonly high: number;
  /** Weight of `high`. */
  readonly weight: number;
  /** Weight of `low`. */
  readonly rest: number;
}

/** The places of a bilinear resize of `from` values to `to` of them. */
function places(from: number, to: number): TwoTaps[] {
  const { fround } = Math;
  const scale = fround(from / to);
  return Array.from({ length: to }, (_, i) => {
    // Product and sum are rounded once, as processors with fused multiply-adds do: from 16 to 13 tokens it
    // decides ties.
    const place = Math.max(fround(scale * (i + 0.5) - 0.5), 0);
    const low = Math.min(Math.floor(place), from - 1);
    const weight = fround(place - low);
    return { low, high: Math.min(low + 1, from - 1), weight, rest: fround(1 - weight) };
  });
}

function boxed(box: Box, { width, height }: MapSize): Float32Array<ArrayBuffer> {
  const valid = Array.isArray(box) && box.length === 4 && box.every((edge) => edge >= 0 && edge <= 1) &&
    box[0] < box[2] && box[1] < box[3];
  if (!valid) {
    throw new RangeError(mustBe(
      "[top, left, bottom, right] with 0 <= top < bottom <= 1 and 0 <= left < right <= 1",
      box,
      "box",
      ACTION,
    ));
  }
  const [y0, x0, y1, x1] = box.map((edge, i) => roundHalfEven(edge * (i % 2 === 0 ? height : width))) as [
    number,
    number,
    number,
    number,
  ];
  if (y0 === y1 || x0 === x1) {
    const token = width === height
      ? `1/${width} of the picture`
      : `1/${height} of the height and 1/${width} of the width`;
    throw new RangeError(mustBe(`about as large as a token, ${token}, at least`, box, "the box", ACTION));
  }
  const marked = new Float32Array(width * height);
  for (let y = y0; y < y1; y++) marked.fill(1, y * width + x0, y * width + x1);
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
    throw new TypeError(mustBe("an RgbaImage or rows of numbers, all of one length", mask, "mask", ACTION));
  }
  const wrong = mask.flat().find((value) => !(value >= 0 && value <= 1));
  if (wrong !== undefined) {
    throw new RangeError(mustBe("from 0 to 1", wrong, "values of the mask", ACTION));
  }
  return { width, height, values: Float64Array.from(mask.flat()) };
}

/** The mean of each token's part of the mask. */
function averaged(
  { width, height, values }: Field,
  { map, size, pictures, fit }: Frame,
): Float32Array<ArrayBuffer> {
  const own = pictures.every((picture) => picture.width === width && picture.height === height);
  const perToken = width === map.width && height === map.height;
  if (!own && !perToken && width !== height && width * size.height !== height * size.width) {
    const [{ width: columns, height: rows }] = pictures as [PictureSize];
    throw new RangeError(
      `Cannot ${ACTION} as the mask must have the size of the picture, ${columns}×${rows}, ${
        size.width === size.height ? "" : `or the proportions of ${size.width}×${size.height}, `
      }or equal sides: it has ${width}×${height}`,
    );
  }
  // A mask of the picture's own size is cut as the picture is.
  const cut = own && (width !== size.width || height !== size.height)
    ? cropOf({ width, height }, size, fit)
    : undefined;
  const part = (
    length: number,
    resized: { readonly length: number; readonly begin: number; readonly kept: number },
    parts: number,
  ): Map<number, number>[] => {
    const scale = length / resized.length;
    return coverage(resized.begin * scale, (resized.begin + resized.kept) * scale, parts);
  };
  const across = cut === undefined
    ? coverage(0, width, map.width)
    : part(width, { length: cut.width, begin: cut.left, kept: size.width }, map.width);
  const down = cut === undefined
    ? coverage(0, height, map.height)
    : part(height, { length: cut.height, begin: cut.top, kept: size.height }, map.height);
  const marked = new Float32Array(map.width * map.height);
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
      marked[y * map.width + x] = sum / area;
    }
  }
  return marked;
}

/**
 * Divides the pixels from `begin` to `end` into equal parts: for each, how much of which pixel belongs to it.
 */
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
