/**
 * From how unlikely single tokens are to the logarithm of the probability of all of them. The tokens' own are
 * made in `token_evidence.ts`, spread over the device; this is the pass that brings them together.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { requireLength } from "../device/array_checks.ts";
import { floats, words } from "../device/cpu_device.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { EXACT_SUMS_WGSL, truncate } from "../exact/exact_sums.ts";
import wgsl from "./sum_evidence.wgsl" with { type: "text" };

/** Arguments of {@linkcode sumEvidence}. */
export interface SumEvidenceArguments {
  /**
   * Minus the logarithms of probabilities, u32 [rows, items, 2]: integers in units of 2^-22, low word first.
   * Those of a row must sum to less than 2^53.
   */
  sums: DeviceArray;
  /** Their sums, with the sign of a logarithm: f32 [rows]. */
  evidence: DeviceArray;
  /** Number of sums. */
  rows: number;
  /** What is added up for one of them. */
  items: number;
}

const ACTION = "sum evidence";

/**
 * Writes, for each row, minus the sum of its integers over 2^22, rounded towards 0 to f32.
 *
 * @throws {TypeError} From `plan`, if an argument has the wrong type.
 * @throws {RangeError} From `plan`, if a count is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { sumEvidence } from "./sum_evidence.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using sums = device.upload(new Uint32Array([2 ** 22, 0, 2 ** 21, 0]));
 * using evidence = device.allocate(1);
 * device.run(sumEvidence, { sums, evidence, rows: 1, items: 2 });
 * assertEquals([...await readFloats(evidence)], [-1.5]);
 * ```
 */
export const sumEvidence: Kernel<SumEvidenceArguments> = {
  name: "sum_evidence",
  wgsl: EXACT_SUMS_WGSL + wgsl,
  plan({ sums, evidence, rows, items }) {
    requireInteger(rows, "rows", ACTION, { min: 0 });
    requireInteger(items, "items", ACTION, { min: 1, max: 2 ** 22 });
    requireLength(sums, 2 * rows * items, ACTION);
    requireLength(evidence, rows, ACTION);
    return {
      arrays: [sums, evidence],
      parameters: [["u32", rows], ["u32", items]],
      workgroups: spread(rows),
    };
  },
  twin({ sums, evidence, rows, items }) {
    const from = words(sums);
    const to = floats(evidence);
    for (let row = 0; row < rows; row++) {
      let total = 0;
      for (let i = 2 * row * items; i < 2 * (row + 1) * items; i += 2) {
        total += from[i]! + from[i + 1]! * 2 ** 32;
      }
      // Not a negative zero.
      to[row] = 0 - truncate(total) * 2 ** -22;
    }
  },
};
