/**
 * Rows moved and turned so that their covariance becomes the unit matrix, or scaled only, and filled up to
 * whole vectors of four words: what `kernel_density.ts` reads. Mean and matrix come from the caller.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { floats } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { addWideProducts, centeredRows, centerRows } from "../pairs/pairs.ts";
import wgsl from "./whiten.wgsl" with { type: "text" };

/** Arguments of {@linkcode whitenRows}. */
export interface WhitenRowsArguments {
  /** The rows, f32 [batch, count, dimensions]. */
  input: DeviceArray;
  /** What is subtracted first, f32 [batch, dimensions, 2]: a value, and what that leaves of a finer one. */
  mean: DeviceArray;
  /**
   * The matrices, f32 [batch, dimensions, dimensions], of which the lower triangle is used; or their
   * diagonals, [batch, dimensions].
   */
  matrix: DeviceArray;
  /**
   * The results, f32 [batch, count, dimensions rounded up to a multiple of 4]; an array other than `input`.
   */
  output: DeviceArray;
  /** Number of mean values and matrices. */
  batch: number;
  /** Rows of each. */
  count: number;
  /** Words of one row. */
  dimensions: number;
  /** Only the diagonals of the matrices are given; off by default. */
  diagonal?: boolean;
}

const ACTION = "whiten rows";

/** Threads of a workgroup, as in the shader. */
const LANES = 64;

/**
 * Writes `matrix (x - mean)` for each row x, followed by zeros up to a multiple of 4 words.
 *
 * Value i is within `(i + 5) 2^-24 sum over k of |matrix[i][k]| |x[k] - mean[k]|` of the true one; a diagonal
 * of powers of two and a mean of 0 is exact. With a NaN among the values it is made of it is NaN, else with
 * an infinite one it is +infinity.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 *
 * @example
 * ```ts
 * import { whitenRows } from "./whiten.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using input = device.upload(new Float32Array([3, 5]));
 * using mean = device.upload(new Float32Array([1, 0, 1, 0]));
 * using matrix = device.upload(new Float32Array([2, 0, -1, 1]));
 * using output = device.allocate(4);
 * device.run(whitenRows, { input, mean, matrix, output, batch: 1, count: 1, dimensions: 2 });
 * assertEquals([...await readFloats(output)], [4, 2, 0, 0]);
 * ```
 */
export const whitenRows: Kernel<WhitenRowsArguments> = {
  name: "whiten",
  wgsl,
  plan({ input, mean, matrix, output, batch, count, dimensions, diagonal = false }) {
    requireInteger(batch, "batch", ACTION, { min: 0 });
    requireInteger(count, "count", ACTION, { min: 0 });
    requireInteger(dimensions, "dimensions", ACTION, { min: 1, max: 32768 });
    const stride = Math.ceil(dimensions / 4) * 4;
    requireLength(input, batch * count * dimensions, ACTION);
    requireLength(mean, 2 * batch * dimensions, ACTION);
    requireLength(matrix, batch * dimensions * (diagonal ? 1 : dimensions), ACTION);
    requireLength(output, batch * count * stride, ACTION);
    return {
      arrays: [input, mean, matrix, output],
      parameters: [
        ["u32", batch],
        ["u32", count],
        ["u32", dimensions],
        ["u32", stride],
        ["u32", diagonal ? 1 : 0],
      ],
      workgroups: batch * count === 0 ? [0, 1, 1] : spread(Math.ceil(batch * count * stride / LANES)),
    };
  },
  twin({ input, mean, matrix, output, batch, count, dimensions, diagonal = false }) {
    const size = dimensions * (diagonal ? 1 : dimensions);
    const centers = Float64Array.from({ length: batch * dimensions });
    for (let i = 0; i < centers.length; i++) centers[i] = floats(mean)[2 * i]! + floats(mean)[2 * i + 1]!;
    const rows = count * dimensions;
    const stride = Math.ceil(dimensions / 4) * 4;
    for (let element = 0; element < batch; element++) {
      whiten(floats(input).subarray(element * rows, (element + 1) * rows), {
        mean: centers.subarray(element * dimensions, (element + 1) * dimensions),
        matrix: floats(matrix).subarray(element * size, (element + 1) * size),
        output: floats(output).subarray(element * count * stride, (element + 1) * count * stride),
        diagonal,
      });
    }
  },
};

/**
 * {@linkcode whitenRows} of one batch element on the host, where mean and matrix may have float64's digits;
 * the result is rounded once.
 */
export function whiten(
  input: Float32Array,
  options: {
    /** [dimensions]. */
    mean: Float64Array;
    /** [dimensions, dimensions], of which the lower triangle is used, or [dimensions]. */
    matrix: Float32Array | Float64Array;
    /** [rows, dimensions rounded up to a multiple of 4]. */
    output: Float32Array;
    /** Only the diagonal of the matrix is given. */
    diagonal: boolean;
  },
): void {
  const { mean, matrix, output, diagonal } = options;
  const dimensions = mean.length;
  const stride = Math.ceil(dimensions / 4) * 4;
  const count = input.length / dimensions;
  const step = centeredRows(dimensions);
  const centered = new Float64Array(Math.min(step, count) * dimensions);
  const sums = new Float64Array(centered.length);
  for (let first = 0; first < count; first += step) {
    const rows = Math.min(step, count - first);
    const values = input.subarray(first * dimensions, (first + rows) * dimensions);
    centerRows({ values, mean, shares: new Float64Array(rows).fill(1), output: centered });
    if (diagonal) {
      for (let row = 0, i = 0; row < rows; row++) {
        for (let k = 0; k < dimensions; k++, i++) sums[i] = matrix[k]! * centered[i]!;
      }
    } else {
      sums.fill(0);
      const shape = { rows, columns: dimensions, dimensions };
      addWideProducts({ left: centered, right: matrix, ...shape, lower: true, output: sums });
    }
    if (!values.every(Number.isFinite)) {
      for (let i = 0; i < values.length; i++) {
        if (Number.isFinite(sums[i])) continue;
        const k = i % dimensions;
        const from = diagonal ? k : 0;
        const factors = matrix.subarray(diagonal ? k : k * dimensions);
        sums[i] = unbounded(values.subarray(i - k + from, i + 1), factors, mean.subarray(from));
      }
    }
    if (stride === dimensions) output.set(sums.subarray(0, rows * dimensions), first * stride);
    for (let row = 0; row < rows && stride > dimensions; row++) {
      const to = (first + row) * stride;
      output.set(sums.subarray(row * dimensions, (row + 1) * dimensions), to);
      output.fill(0, to + dimensions, to + stride);
    }
  }
}

/**
 * A sum that is not finite: NaN if one of its values is, else Infinity if one is infinite. Else it met a
 * value of another sum, times 0.
 */
function unbounded(values: Float32Array, factors: Float32Array | Float64Array, mean: Float64Array): number {
  if (values.some(Number.isNaN)) return NaN;
  if (!values.every(Number.isFinite)) return Infinity;
  return values.reduce((sum, value, k) => sum + factors[k]! * (value - mean[k]!), 0);
}
