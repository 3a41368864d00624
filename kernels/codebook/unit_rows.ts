/**
 * Vectors scaled to length 1. Kernels that compare vectors by Euclidean distance compare them by angle once
 * they are given these: the squared distance of two unit vectors is twice their cosine distance. It is how
 * VAR-Scaling's cosine option is measured.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { floats } from "../device/cpu_device.ts";
import { requireDistinct, requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { addSquare, EXACT_WGSL, product, reciprocal, squareRoot } from "../exact/exact.ts";
import wgsl from "./unit_rows.wgsl" with { type: "text" };

/** Arguments of {@linkcode unitRows}. */
export interface UnitRowsArguments {
  /** The rows, f32 [count, channels]; finite, below 2^60 in magnitude. */
  input: DeviceArray;
  /** The rows at length 1, f32 [count, channels]; an array other than `input`. */
  output: DeviceArray;
  /** Number of rows. */
  count: number;
  /** Words of one row. */
  channels: number;
}

const ACTION = "scale rows to length 1";

/** Threads of a workgroup, as in the shader. */
const LANES = 64;

/**
 * Scales each row to length 1, with the same bits on every device. A row shorter than 2^-50 has no direction
 * and becomes zeros.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 * @throws {TypeError} From `plan`, if input and output are the same array.
 *
 * @example
 * ```ts
 * import { unitRows } from "./unit_rows.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using input = device.upload(new Float32Array([3, 4]));
 * using output = device.allocate(2);
 * device.run(unitRows, { input, output, count: 1, channels: 2 });
 * const [x, y] = await readFloats(output);
 * assertAlmostEquals(x!, 0.6, 1e-6);
 * assertAlmostEquals(y!, 0.8, 1e-6);
 * ```
 */
export const unitRows: Kernel<UnitRowsArguments> = {
  name: "unit_rows",
  wgsl: EXACT_WGSL + wgsl,
  plan({ input, output, count, channels }) {
    requireInteger(count, "count", ACTION, { min: 0 });
    requireInteger(channels, "channels", ACTION, { min: 1 });
    requireDistinct({ input, output }, ACTION);
    requireLength(input, count * channels, ACTION);
    requireLength(output, count * channels, ACTION);
    return {
      arrays: [input, output],
      parameters: [["u32", count], ["u32", channels]],
      workgroups: spread(Math.ceil(count / LANES)),
    };
  },
  twin({ input, output, count, channels }) {
    const from = floats(input);
    const to = floats(output);
    for (let start = 0; start < count * channels; start += channels) {
      let sum = 0;
      for (let i = start; i < start + channels; i++) sum = addSquare(sum, from[i]!);
      const norm = squareRoot(sum);
      const inverse = norm === 0 ? 0 : reciprocal(norm);
      for (let i = start; i < start + channels; i++) {
        to[i] = norm === 0 ? 0 : product(from[i]!, inverse);
      }
    }
  },
};
