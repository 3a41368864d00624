/**
 * What is tried of a kernel: a call with numbers that drivers get wrong if they get anything wrong, and what
 * the kernel promises of its results. The cases themselves are beside this, a file for each room.
 *
 * @module
 */

import type { DeviceArray } from "../device/device.ts";
import type { Workbench } from "./workbench.ts";

/** A kernel with arguments. */
export interface KernelCase {
  /** Name of the kernel, or of those that always run together, and what is special about the call. */
  readonly name: string;
  /**
   * How far results may be from the twin's: `"bits"` where they are the same on every device, else the
   * largest difference in units of the twin's largest value, from the bound in the kernel's header.
   */
  readonly promise: "bits" | number;
  /** Puts the arguments on a device. */
  setUp(bench: Workbench): KernelSetup;
}

/** A case on a device. */
export interface KernelSetup {
  /** The call. */
  run(): void;
  /** What it writes. */
  readonly outputs: readonly DeviceArray[];
}

/**
 * Rows of logits as models do not make them: likely and unlikely tokens, equal ones, some that are forbidden
 * (-Infinity), and in the last row all of them equal.
 */
export function hardLogits(bench: Workbench, rows: number, vocabulary: number): Float32Array<ArrayBuffer> {
  const logits = bench.normalValues(rows * vocabulary, 2.5);
  for (let i = 0; i < logits.length; i += 7) logits[i] = Math.round(logits[i]!);
  for (let i = 3; i < logits.length; i += 11) logits[i] = -Infinity;
  return logits.fill(1, (rows - 1) * vocabulary);
}
