/**
 * Resizing feature maps between the scales: up to full resolution (bicubic), down to the next scale's input
 * (area), masks (bilinear), and pictures for networks that take no rounded ones. Each method is a table of
 * weights, computed once on the host in float64; one kernel applies any of them.
 *
 * @module
 */

import { mustBe, requireChoice, requireInteger } from "../arguments.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type Device, type DeviceArray, type Kernel, spread } from "../device/device.ts";
import type { FeatureLayout } from "../codebook/lookup.ts";
import wgsl from "./resample.wgsl" with { type: "text" };

/**
 * A way of resizing, the first three as PyTorch's `interpolate(size=…)` defines them:
 *
 * - `bicubic`: Keys' cubic with a = -0.75, half-pixel centres, taps beyond the border fall on the border.
 * - `area`: the mean of source indices floor(k·from/to) to ceil((k+1)·from/to) - 1 (adaptive average pooling;
 *   bins may overlap).
 * - `bilinear`: half-pixel centres, taps beyond the border fall on the border, no antialiasing.
 * - `asymmetric`: bilinear as TensorFlow 1 has it by default: output k lies at k·from/to, so that all but the
 *   first are moved towards the end by half of what half-pixel centres would give. Positions are rounded to
 *   float32 as there.
 * - `antialiased`: Pillow's bicubic in floats: a = -0.5, half-pixel centres, widened by from/to where that is
 *   above 1, taps beyond the border left out.
 */
export type ResampleMethod = "bicubic" | "area" | "bilinear" | "asymmetric" | "antialiased";

/**
 * The weights of one resizing along one side: output index k is the sum of
 * `weights[k * taps + i] * input[first[k] + i]`.
 */
export interface ResampleWeights {
  /** First source index of each output index. */
  readonly first: Uint32Array<ArrayBuffer>;
  /** Number of source indices of each output index. */
  readonly count: Uint32Array<ArrayBuffer>;
  /** Weights, [to, taps]; those at and after `count` are 0. */
  readonly weights: Float64Array<ArrayBuffer>;
  /** The largest count. */
  readonly taps: number;
}

/**
 * {@linkcode ResampleWeights} of one side on a device, ready for {@linkcode resample}. Disposing it frees its
 * arrays.
 */
export interface ResampleTable extends Disposable {
  /** Length of the input's side. */
  readonly from: number;
  /** Length of the output's side. */
  readonly to: number;
  /** Row length of `weights`. */
  readonly taps: number;
  /** First source index, u32 [to]. */
  readonly first: DeviceArray;
  /** Number of source indices, u32 [to]. */
  readonly count: DeviceArray;
  /** Weights, f32 [to, taps]. */
  readonly weights: DeviceArray;
}

const METHODS: readonly ResampleMethod[] = ["bicubic", "area", "bilinear", "asymmetric", "antialiased"];

/** Keys' cubic convolution kernel; the parameter is PyTorch's -0.75, or the -0.5 of most image libraries. */
function cubic(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

/** Weights of all source indices for output index `k`. */
function dense(method: ResampleMethod, from: number, to: number, k: number): Float64Array {
  const row = new Float64Array(from);
  if (method === "area") {
    const begin = Math.floor(k * from / to);
    const end = Math.ceil((k + 1) * from / to);
    return row.fill(1 / (end - begin), begin, end);
  }
  if (method === "antialiased") return antialiased(row, (k + 0.5) * from / to, Math.max(from / to, 1));
  const position = method === "asymmetric"
    ? Math.fround(k * Math.fround(from / to))
    : ((2 * k + 1) * from - to) / (2 * to);
  const reach = method === "bicubic" ? 2 : 1;
  const base = Math.floor(position);
  for (let tap = base - reach + 1; tap <= base + reach; tap++) {
    const weight = method === "bicubic" ? cubic(position - tap, -0.75) : 1 - Math.abs(position - tap);
    row[Math.min(Math.max(tap, 0), from - 1)]! += weight;
  }
  return row;
}

/** Fills a row with the weights of a cubic around a place, which together are 1. */
function antialiased(row: Float64Array, center: number, stretch: number): Float64Array {
  const begin = Math.max(Math.trunc(center - 2 * stretch + 0.5), 0);
  const end = Math.min(Math.trunc(center + 2 * stretch + 0.5), row.length);
  let sum = 0;
  for (let i = begin; i < end; i++) sum += row[i] = cubic((i - center + 0.5) / stretch, -0.5);
  return row.map((weight) => weight / sum);
}

/**
 * The weights of a resizing from `from` to `to` values. Equal sides give the identity.
 *
 * @throws {TypeError} If the method is unknown.
 * @throws {RangeError} If a side is no integer >= 1.
 *
 * @example
 * ```ts
 * import { resampleWeights } from "./resample.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { first, count, weights } = resampleWeights("area", 4, 3);
 * assertEquals([...first], [0, 1, 2]);
 * assertEquals([...count], [2, 2, 2]);
 * assertEquals([...weights], [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]);
 * ```
 */
export function resampleWeights(method: ResampleMethod, from: number, to: number): ResampleWeights {
  const action = "compute resampling weights";
  requireChoice(method, METHODS, "method", action);
  requireInteger(from, "from", action, { min: 1 });
  requireInteger(to, "to", action, { min: 1 });
  const first = new Uint32Array(to);
  const count = new Uint32Array(to);
  const bands = Array.from({ length: to }, (_, k) => {
    const row = dense(method, from, to, k);
    first[k] = row.findIndex((weight) => weight !== 0);
    count[k] = row.findLastIndex((weight) => weight !== 0) + 1 - first[k]!;
    return row.subarray(first[k]!, first[k]! + count[k]!);
  });
  const taps = Math.max(...count);
  const weights = new Float64Array(to * taps);
  for (const [k, band] of bands.entries()) weights.set(band, k * taps);
  return { first, count, weights, taps };
}

/**
 * Puts the weights of a resizing on a device.
 *
 * @throws {TypeError} If the method is unknown.
 * @throws {RangeError} If a side is no integer >= 1.
 *
 * @example
 * ```ts
 * import { createResampleTable, resample } from "./resample.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using table = createResampleTable(device, "area", 2, 1);
 * using input = device.upload(new Float32Array([1, 2, 3, 6]));
 * using output = device.allocate(1);
 * device.run(resample, { input, output, table, images: 1, channels: 1, layout: "planes" });
 * assertEquals([...await readFloats(output)], [3]);
 * ```
 */
export function createResampleTable(
  device: Device,
  method: ResampleMethod,
  from: number,
  to: number,
): ResampleTable {
  const { taps, ...host } = resampleWeights(method, from, to);
  const label = `${method} ${from} to ${to}`;
  const first = device.upload(host.first, `${label}, first`);
  const count = device.upload(host.count, `${label}, count`);
  const weights = device.upload(new Float32Array(host.weights), `${label}, weights`);
  return {
    from,
    to,
    taps,
    first,
    count,
    weights,
    [Symbol.dispose]: () => {
      for (const array of [first, count, weights]) array[Symbol.dispose]();
    },
  };
}

/** Tables on a device, each made when it is first asked for. Disposing frees them. */
export class ResampleTables implements Disposable {
  readonly #device: Device;
  readonly #tables = new Map<string, ResampleTable>();

  /** @param device Where the tables are. */
  constructor(device: Device) {
    this.#device = device;
  }

  /** The table of a resizing from `from` to `to` values, which stays these tables'. */
  get(method: ResampleMethod, from: number, to: number): ResampleTable {
    const key = `${method} ${from} ${to}`;
    const known = this.#tables.get(key);
    if (known !== undefined) return known;
    const table = createResampleTable(this.#device, method, from, to);
    this.#tables.set(key, table);
    return table;
  }

  /** Frees the tables. */
  [Symbol.dispose](): void {
    for (const table of this.#tables.values()) table[Symbol.dispose]();
    this.#tables.clear();
  }
}

/** Arguments of {@linkcode resample}. */
export interface ResampleArguments {
  /** The maps, f32 [images, channels, table.from, across.from]. */
  input: DeviceArray;
  /**
   * The resized maps, f32 [images, channels, table.to, across.to] or [images, table.to·across.to, channels].
   */
  output: DeviceArray;
  /** What becomes of the rows, and of the columns too unless `across` is given: then the maps are square. */
  table: ResampleTable;
  /** What becomes of the columns. Default: `table`. */
  across?: ResampleTable | undefined;
  /** Number of images. */
  images: number;
  /** Number of maps of an image. */
  channels: number;
  /** Layout of `output`. */
  layout: FeatureLayout;
  /** 1 to add to what `output` holds, -1 to take from it; 0 (default) to take its place. */
  sign?: 1 | 0 | -1;
}

const ACTION = "resample feature maps";

/** Threads of a workgroup and channels it writes, as in the shader. */
const LANES = 64;
const GROUP_CHANNELS = 8;

/** A table's arrays as the twin reads them. */
function hosted({ first, count, weights }: ResampleTable) {
  return { first: words(first), count: words(count), weights: floats(weights) };
}

/**
 * Resizes maps: square ones by one table, others by one for rows and one for columns. With t taps for rows
 * and u for columns, a value is off by at most (t + u + 3)·2^-24 of the sum of |weight · input|.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 * @throws {TypeError} From `plan`, if the layout is unknown.
 *
 * @example
 * ```ts
 * import { createResampleTable, resample } from "./resample.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using table = createResampleTable(device, "area", 2, 1);
 * using input = device.upload(new Float32Array([1, 2, 3, 6]));
 * using output = device.allocate(1);
 * device.run(resample, { input, output, table, images: 1, channels: 1, layout: "planes" });
 * assertEquals([...await readFloats(output)], [3]);
 *
 * using across = createResampleTable(device, "area", 4, 2);
 * using wide = device.allocate(2);
 * using row = device.upload(new Float32Array([1, 3, 5, 7, 1, 3, 5, 7]));
 * device.run(resample, {
 *   input: row,
 *   output: wide,
 *   table,
 *   across,
 *   images: 1,
 *   channels: 1,
 *   layout: "planes",
 * });
 * assertEquals([...await readFloats(wide)], [2, 6]);
 * ```
 */
export const resample: Kernel<ResampleArguments> = {
  name: "resample",
  wgsl,
  plan({ input, output, table, across = table, images, channels, layout, sign = 0 }) {
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(channels, "channels", ACTION, { min: 1 });
    requireChoice(layout, ["rows", "planes"], "layout", ACTION);
    if (sign !== 1 && sign !== 0 && sign !== -1) {
      throw new RangeError(mustBe("1, 0 or -1", sign, "sign", ACTION));
    }
    requireLength(input, images * channels * table.from * across.from, ACTION);
    requireLength(output, images * channels * table.to * across.to, ACTION);
    const [x, z] = spread(Math.ceil(images * table.to * across.to / LANES));
    return {
      arrays: [
        input,
        ...[table, across].flatMap(({ first, count, weights }) => [first, count, weights]),
        output,
      ],
      parameters: [
        ["u32", images],
        ["u32", channels],
        ["u32", table.from],
        ["u32", across.from],
        ["u32", table.to],
        ["u32", across.to],
        ["u32", table.taps],
        ["u32", across.taps],
        ["u32", layout === "rows" ? 1 : 0],
        ["f32", sign],
      ],
      workgroups: [x, Math.ceil(channels / GROUP_CHANNELS), z],
    };
  },
  twin({ input, output, table, across = table, images, channels, layout, sign = 0 }) {
    const [height, width] = [table.to, across.to];
    const rows = hosted(table);
    const columns = hosted(across);
    const source = floats(input);
    const out = floats(output);
    const narrow = new Float64Array(table.from * width);
    const step = layout === "rows" ? channels : 1;
    for (let plane = 0; plane < images * channels; plane++) {
      for (let y = 0; y < table.from; y++) {
        const line = (plane * table.from + y) * across.from;
        for (let x = 0; x < width; x++) {
          let sum = 0;
          for (let i = 0; i < columns.count[x]!; i++) {
            sum += columns.weights[x * across.taps + i]! * source[line + columns.first[x]! + i]!;
          }
          narrow[y * width + x] = sum;
        }
      }
      const image = Math.floor(plane / channels);
      const begin = layout === "rows"
        ? image * channels * height * width + plane % channels
        : plane * height * width;
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          let sum = 0;
          for (let i = 0; i < rows.count[y]!; i++) {
            sum += rows.weights[y * table.taps + i]! * narrow[(rows.first[y]! + i) * width + x]!;
          }
          const place = begin + (y * width + x) * step;
          out[place] = sign === 0 ? sum : out[place]! + sign * sum;
        }
      }
    }
  },
};

/** Width and height of a map. */
interface MapSides {
  readonly width: number;
  readonly height: number;
}

/**
 * Means of maps over equal areas, f32 [images, channels, height, width] or [images, positions, channels].
 *
 * @param input The maps, f32 [images, channels, height, width].
 * @param how How many there are, their size and that of the means, and how these are laid out.
 * @returns An array that is the caller's.
 *
 * @example
 * ```ts
 * import { areaMeans } from "./resample.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using input = device.upload(new Float32Array([1, 2, 3, 4, 5, 6, 7, 8]));
 * const [from, to] = [{ width: 4, height: 2 }, { width: 2, height: 1 }];
 * using means = areaMeans(input, { images: 1, channels: 1, from, to, layout: "planes" });
 * assertEquals([...await readFloats(means)], [3.5, 5.5]);
 * ```
 */
export function areaMeans(
  input: DeviceArray,
  { images, channels, from, to, layout }: Pick<ResampleArguments, "images" | "channels" | "layout"> & {
    readonly from: MapSides;
    readonly to: MapSides;
  },
): DeviceArray {
  const { device } = input;
  const output = device.allocate(images * channels * to.width * to.height, "means of maps");
  using table = createResampleTable(device, "area", from.height, to.height);
  using across = createResampleTable(device, "area", from.width, to.width);
  device.run(resample, { input, output, table, across, images, channels, layout });
  return output;
}
