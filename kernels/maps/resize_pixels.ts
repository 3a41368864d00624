/**
 * Resizing pictures to the byte as Pillow does it, on packed pixels: integer weights, one pass along each
 * axis, clipped to 8 bits after each. A float filter is up to 12 levels off at edges, which networks that
 * were trained with Pillow's pictures see.
 *
 * @module
 */

import { requireChoice, requireInteger } from "../arguments.ts";
import { words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type Device, type DeviceArray, type Kernel, spread } from "../device/device.ts";
import wgsl from "./resize_pixels.wgsl" with { type: "text" };

/** Pillow's filters that reach over several pixels; its bicubic is Keys' cubic with a = -0.5. */
export type PixelFilter = "bilinear" | "bicubic" | "lanczos";

/** Pixels `first` to `first + count - 1` of a row or column. */
export interface PixelRange {
  /** The first one. */
  readonly first: number;
  /** How many. */
  readonly count: number;
}

/** Which pixels make up each pixel of a resized row or column, and with which weights. */
export interface PixelWeights {
  /** The first of them. */
  readonly first: Uint32Array<ArrayBuffer>;
  /** Their number. */
  readonly count: Uint32Array<ArrayBuffer>;
  /** Weights in units of 2^-22, [pixels, taps]; those at and after `count` are 0. */
  readonly weights: Int32Array<ArrayBuffer>;
  /** The largest count. */
  readonly taps: number;
}

/** {@linkcode PixelWeights} on a device. Disposing it frees its array. */
export interface PixelTable extends Disposable {
  /** Pixels of the row or column that is resized. */
  readonly from: number;
  /** Pixels that are made. */
  readonly to: number;
  /** The largest number of pixels that make up one. */
  readonly taps: number;
  /** For each pixel its first source, their number, then the weights' bits, u32 [to, 2 + taps]. */
  readonly array: DeviceArray;
}

/** What a filter has as a function, and how far it reaches to each side. */
interface Filter {
  readonly reach: number;
  weight(distance: number): number;
}

const FILTERS: Readonly<Record<PixelFilter, Filter>> = {
  bilinear: { reach: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { reach: 2, weight: cubic },
  lanczos: { reach: 3, weight: (x) => x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0 },
};

/** Bits behind the point of a weight. */
const PRECISION = 22;

function cubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

/**
 * The weights with which `from` pixels become `to`, each step rounded as Pillow 12 rounds it.
 *
 * @param part Which of the new pixels are wanted; all by default.
 * @throws {TypeError} If the filter is unknown.
 * @throws {RangeError} If a size is no integer >= 1, or the part does not lie within the new pixels.
 *
 * @example
 * ```ts
 * import { pixelWeights } from "./resize_pixels.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { first, weights, taps } = pixelWeights("bilinear", 4, 2);
 * assertEquals([...first], [0, 1]);
 * assertEquals(taps, 3);
 * assertEquals([...weights].map((weight) => Math.round(weight / 2 ** 22 * 7)), [3, 3, 1, 1, 3, 3]);
 * ```
 */
export function pixelWeights(
  filter: PixelFilter,
  from: number,
  to: number,
  part: PixelRange = { first: 0, count: to },
): PixelWeights {
  const action = "compute the weights of pixels";
  requireChoice(filter, Object.keys(FILTERS) as PixelFilter[], "filter", action);
  requireInteger(from, "from", action, { min: 1 });
  requireInteger(to, "to", action, { min: 1 });
  requireInteger(part.first, "first", action, { min: 0, max: to - 1 });
  requireInteger(part.count, "count", action, { min: 1, max: to - part.first });
  const { reach, weight } = FILTERS[filter];
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = reach * stretch;
  const first = new Uint32Array(part.count);
  const bands = Array.from({ length: part.count }, (_, k) => {
    const center = (part.first + k + 0.5) * scale;
    const begin = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), from);
    first[k] = begin;
    const values = Array.from({ length: end - begin }, (_, i) => {
      return weight((i + begin - center + 0.5) * (1 / stretch));
    });
    const sum = values.reduce((a, b) => a + b, 0);
    return Int32Array.from(values, (value) => {
      const fixed = value / sum * 2 ** PRECISION;
      return Math.trunc(fixed + (fixed < 0 ? -0.5 : 0.5));
    });
  });
  const count = Uint32Array.from(bands, ({ length }) => length);
  const taps = Math.max(...count);
  const weights = new Int32Array(part.count * taps);
  for (const [k, band] of bands.entries()) weights.set(band, k * taps);
  return { first, count, weights, taps };
}

/**
 * Puts the weights of a resizing on a device.
 *
 * @param part Which of the new pixels are wanted; all by default.
 * @throws {TypeError} If the filter is unknown.
 * @throws {RangeError} If a size is no integer >= 1, or the part does not lie within the new pixels.
 *
 * @example
 * ```ts
 * import { createPixelTable, resizePixels } from "./resize_pixels.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using table = createPixelTable(device, "bilinear", 2, 1);
 * using input = device.upload(new Uint32Array([0xff000000, 0xff0040ff]));
 * using output = device.allocate(1);
 * device.run(resizePixels, { input, output, table, lines: 1 });
 * assertEquals([...await readWords(output)], [0xff002080]);
 * ```
 */
export function createPixelTable(
  device: Device,
  filter: PixelFilter,
  from: number,
  to: number,
  part?: PixelRange,
): PixelTable {
  const { first, count, weights, taps } = pixelWeights(filter, from, to, part);
  const bits = new Uint32Array(weights.buffer);
  const rows = new Uint32Array(first.length * (2 + taps));
  for (let k = 0; k < first.length; k++) {
    rows.set([first[k]!, count[k]!], k * (2 + taps));
    rows.set(bits.subarray(k * taps, (k + 1) * taps), k * (2 + taps) + 2);
  }
  const array = device.upload(rows, `${filter} ${from} to ${to}`);
  return { from, to: first.length, taps, array, [Symbol.dispose]: () => array[Symbol.dispose]() };
}

/** Arguments of {@linkcode resizePixels}. */
export interface ResizePixelsArguments {
  /** Packed pixels, u32 [lines, table.from, step]: red in the lowest byte. */
  input: DeviceArray;
  /** The resized ones, u32 [lines, table.to, step], whose alpha is 255. */
  output: DeviceArray;
  /** What becomes of the axis. */
  table: PixelTable;
  /** Rows of all pictures where their widths change; pictures where their heights do. */
  lines: number;
  /** Pixels from one to the next along the axis: 1 (default) within a row, the width within a column. */
  step?: number;
}

const ACTION = "resize pixels";

/** Threads of a workgroup, as in the shader. */
const LANES = 64;

/**
 * Resizes packed pixels along one axis as one of Pillow's two passes does it, horizontally first; Pillow
 * leaves out a pass that changes no size. Every device gives the same bytes, and they are Pillow's.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 *
 * @example
 * ```ts
 * import { createPixelTable, resizePixels } from "./resize_pixels.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using table = createPixelTable(device, "bicubic", 1, 2);
 * using input = device.upload(new Uint32Array([0xff0000ff, 0xffff0000]));
 * using output = device.allocate(4);
 * // One picture, two pixels wide and one high, becomes two high.
 * device.run(resizePixels, { input, output, table, lines: 1, step: 2 });
 * assertEquals([...await readWords(output)], [0xff0000ff, 0xffff0000, 0xff0000ff, 0xffff0000]);
 * ```
 */
export const resizePixels: Kernel<ResizePixelsArguments> = {
  name: "resize_pixels",
  wgsl,
  plan({ input, output, table, lines, step = 1 }) {
    requireInteger(lines, "lines", ACTION, { min: 0 });
    requireInteger(step, "step", ACTION, { min: 1 });
    requireLength(input, lines * table.from * step, ACTION);
    const total = lines * table.to * step;
    requireLength(output, total, ACTION);
    return {
      arrays: [input, table.array, output],
      parameters: [["u32", total], ["u32", table.from], ["u32", table.to], ["u32", table.taps], [
        "u32",
        step,
      ]],
      workgroups: spread(Math.ceil(total / LANES)),
    };
  },
  twin({ input, output, table: { from, to, taps, array }, lines, step = 1 }) {
    const [source, table, out] = [words(input), words(array), words(output)];
    const weights = new Int32Array(table.buffer, table.byteOffset, table.length);
    const half = 1 << (PRECISION - 1);
    for (let line = 0; line < lines; line++) {
      for (let k = 0; k < to; k++) {
        const row = k * (2 + taps);
        const begin = (line * from + table[row]!) * step;
        const end = row + 2 + table[row + 1]!;
        for (let place = 0; place < step; place++) {
          let [red, green, blue] = [half, half, half];
          for (let i = row + 2, at = begin + place; i < end; i++, at += step) {
            const weight = weights[i]!;
            const pixel = source[at]!;
            red += weight * (pixel & 255);
            green += weight * (pixel >> 8 & 255);
            blue += weight * (pixel >> 16 & 255);
          }
          out[(line * to + k) * step + place] = level(red) | level(green) << 8 | level(blue) << 16 |
            0xff000000;
        }
      }
    }
  },
};

function level(sum: number): number {
  return Math.min(Math.max(sum >> PRECISION, 0), 255);
}
