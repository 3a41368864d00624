/**
 * The matrix of distances between two sets of vectors, for clustering and for looking at candidates. Densities do not need it: they
 * sum over distances without storing them (`density.ts`).
 *
 * @module
 */

import { floats } from "./cpu_device.ts";
import {
  type DeviceArray,
  type Kernel,
  requireChoice,
  requireInteger,
  requireLength,
  spread,
} from "./device.ts";
import { EXACT_WGSL } from "./exact.ts";
import wgsl from "./distance.wgsl" with { type: "text" };

/** How far apart two vectors are: `|a - b|^2`, or `1 - cos(a, b)`. */
export type DistanceMetric = "squared-euclidean" | "cosine";

/** Arguments of {@linkcode distanceMatrix}. */
export interface DistanceMatrixArguments {
  /** One set, f32 [rows, dimensions]. */
  a: DeviceArray;
  /** The other set, f32 [columns, dimensions]; may be the same array. */
  b: DeviceArray;
  /** The distances, f32 [rows, columns]. */
  output: DeviceArray;
  /** Vectors in `a`. */
  rows: number;
  /** Vectors in `b`. */
  columns: number;
  /** Words of one vector. */
  dimensions: number;
  /** Which distance. */
  metric: DistanceMetric;
}

const ACTION = "measure distances";

/**
 * Writes the distance of every row of `a` to every row of `b`, as a sum over exact differences. Identical rows are at exactly 0, with
 * both metrics.
 *
 * A squared distance D over n dimensions is within (n + 4) 2^-24 D of the true one. A cosine distance is half the squared distance of
 * the vectors scaled to length 1, within (2n + 16) 2^-24 D + 2^-22 sqrt(D) + (n + 10)^2 2^-48.
 *
 * A vector shorter than 2^-50 has no direction: as in scikit-learn, its cosine distance to any other vector is 1 (SciPy says NaN); two of
 * them are at 0, since identical rows always are. Vectors must be finite and shorter than 2^60.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 * @throws {TypeError} From `plan`, if the metric is unknown.
 *
 * @example
 * ```ts
 * import { distanceMatrix } from "./distance.ts";
 * import { CpuDevice } from "./cpu_device.ts";
 * import { readFloats } from "./device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using a = device.upload(new Float32Array([0, 0, 3, 4]));
 * using output = device.allocate(4);
 * const shape = { rows: 2, columns: 2, dimensions: 2 };
 * device.run(distanceMatrix, { a, b: a, output, ...shape, metric: "squared-euclidean" });
 * assertEquals([...await readFloats(output)], [0, 25, 25, 0]);
 * ```
 */
export const distanceMatrix: Kernel<DistanceMatrixArguments> = {
  name: "distance",
  wgsl: EXACT_WGSL + wgsl,
  plan({ a, b, output, rows, columns, dimensions, metric }) {
    requireInteger(rows, "rows", ACTION, { min: 0 });
    requireInteger(columns, "columns", ACTION, { min: 0 });
    requireInteger(dimensions, "dimensions", ACTION, { min: 1 });
    requireChoice(metric, ["squared-euclidean", "cosine"], "metric", ACTION);
    requireLength(a, rows * dimensions, ACTION);
    requireLength(b, columns * dimensions, ACTION);
    requireLength(output, rows * columns, ACTION);
    return {
      arrays: [a, b, output],
      parameters: [
        ["u32", rows],
        ["u32", columns],
        ["u32", dimensions],
        ["u32", metric === "cosine" ? 1 : 0],
      ],
      workgroups: spread(Math.ceil(rows / 32) * Math.ceil(columns / 32)),
    };
  },
  twin({ a, b, output, rows, columns, dimensions, metric }) {
    const cosine = metric === "cosine";
    const left = cosine ? directions(floats(a), rows, dimensions) : floats(a);
    const right = cosine ? directions(floats(b), columns, dimensions) : floats(b);
    const out = floats(output);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let sum = 0;
        for (let d = 0; d < dimensions; d++) {
          const difference = left[row * dimensions + d]! - right[column * dimensions + d]!;
          sum += difference * difference;
        }
        out[row * columns + column] = cosine ? sum / 2 : sum;
      }
    }
    if (!cosine) return;
    const leftZero = withoutDirection(left, rows, dimensions);
    const rightZero = withoutDirection(right, columns, dimensions);
    for (let i = 0; i < rows * columns; i++) {
      if (leftZero[Math.floor(i / columns)] !== rightZero[i % columns]) out[i] = 1;
    }
  },
};

/** The rows at length 1, or zeros where a row is too short to have a direction. */
function directions(rows: Float32Array, count: number, dimensions: number): Float64Array {
  const units = new Float64Array(count * dimensions);
  for (let start = 0; start < units.length; start += dimensions) {
    let sum = 0;
    for (let i = start; i < start + dimensions; i++) sum += rows[i]! * rows[i]!;
    if (sum < 2 ** -100) continue;
    const norm = Math.sqrt(sum);
    for (let i = start; i < start + dimensions; i++) units[i] = rows[i]! / norm;
  }
  return units;
}

/** 1 for each row of zeros. */
function withoutDirection(units: ArrayLike<number>, count: number, dimensions: number): Uint8Array {
  const zero = new Uint8Array(count).fill(1);
  for (let i = 0; i < count * dimensions; i++) {
    if (units[i] !== 0) zero[Math.floor(i / dimensions)] = 0;
  }
  return zero;
}
