/**
 * Choosing, dropping and repeating rows, for regrouping what belongs to a lane: tokens, feature maps, caches.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { words } from "../device/cpu_device.ts";
import { requireDistinct, requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import wgsl from "./gather.wgsl" with { type: "text" };

/** Arguments of {@linkcode gatherRows}. */
export interface GatherRowsArguments {
  /** Where rows come from, [inputRows, stride] words of any kind. */
  input: DeviceArray;
  /** Where they go, [count, stride]; an array other than `input`. */
  output: DeviceArray;
  /** Which input row each output row is, u32 [count]. */
  rows: DeviceArray;
  /** Number of output rows. */
  count: number;
  /** Words of one row. */
  stride: number;
  /** Number of input rows. */
  inputRows: number;
}

const ACTION = "gather rows";

/** Threads of a workgroup, as in the shader. */
const LANES = 64;
/** Rows from this length on have workgroups of their own. */
const LONG_ROW = 256;
/** Words of a long row that a thread copies, unless that takes more workgroups than there may be. */
const THREAD_WORDS = 8;

function longRows(count: number, stride: number): [x: number, y: number, z: number] {
  const [y, z] = spread(count);
  return [Math.min(65535, Math.ceil(stride / (LANES * THREAD_WORDS))), y, z];
}

/**
 * Copies input row `rows[i]` to output row `i`. An index that is not below `inputRows` gives a row of zeros.
 * Words are copied, so the result is exact.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 * @throws {TypeError} From `plan`, if input and output are the same array.
 *
 * @example
 * ```ts
 * import { gatherRows } from "./gather.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using input = device.upload(new Float32Array([1, 2, 3, 4]));
 * using rows = device.upload(new Uint32Array([1, 1, 0]));
 * using output = device.allocate(6);
 * device.run(gatherRows, { input, output, rows, count: 3, stride: 2, inputRows: 2 });
 * assertEquals([...await readFloats(output)], [3, 4, 3, 4, 1, 2]);
 * ```
 */
export const gatherRows: Kernel<GatherRowsArguments> = {
  name: "gather",
  wgsl,
  plan({ input, output, rows, count, stride, inputRows }) {
    requireInteger(count, "count", ACTION, { min: 0 });
    requireInteger(stride, "stride", ACTION, { min: 1 });
    requireInteger(inputRows, "inputRows", ACTION, { min: 0 });
    requireDistinct({ input, output }, ACTION);
    requireLength(input, inputRows * stride, ACTION);
    requireLength(rows, count, ACTION);
    requireLength(output, count * stride, ACTION);
    const shift = Math.min(3, Math.ceil(Math.log2(stride)));
    const long = stride >= LONG_ROW;
    return {
      arrays: [input, rows, output],
      parameters: [
        ["u32", count],
        ["u32", stride],
        ["u32", inputRows],
        ["u32", long ? 1 : 0],
        ["u32", shift],
      ],
      workgroups: long ? longRows(count, stride) : spread(Math.ceil(count * 2 ** shift / LANES)),
    };
  },
  twin({ input, output, rows, count, stride, inputRows }) {
    const from = words(input);
    const to = words(output);
    const chosen = words(rows);
    for (let i = 0; i < count; i++) {
      const row = chosen[i]!;
      if (row < inputRows) to.set(from.subarray(row * stride, (row + 1) * stride), i * stride);
      else to.fill(0, i * stride, (i + 1) * stride);
    }
  },
};
