/**
 * Whether a device computes what the kernels promise: each of them is run there with small hard inputs and
 * held against its twin. That is what tells a driver that nobody has met from those that the tests know; how
 * fast it is tells `profile/`.
 *
 * @module
 */

import { requireFunction, requireOptions } from "../arguments.ts";
import { CpuDevice } from "../device/cpu_device.ts";
import type { Device } from "../device/device.ts";
import { DeviceLostError } from "../device/errors.ts";
import type { KernelCase } from "./kernel_case.ts";

/** What came of a kernel. */
export interface KernelCheck {
  /** The kernel, or those that always run together, and what is special about the call. */
  readonly kernel: string;
  /** `"bits"`, or how far results may be from the twin's in units of the twin's largest value. */
  readonly promise: "bits" | number;
  /** Values that were compared. */
  readonly values: number;
  /**
   * How far they are: for `"bits"` the share of words that differ, else the largest difference in units of
   * the twin's largest value, `NaN` if one of the two is not finite and the other is something else.
   */
  readonly off: number;
  /** Whether the promise is kept. */
  readonly passed: boolean;
  /** Why the kernel did not run, if it did not. */
  readonly error?: string;
}

/** Options of {@linkcode checkKernels}. */
export interface CheckKernelsOptions {
  /** Ends the check between two kernels. */
  signal?: AbortSignal | undefined;
  /** Called after each kernel. */
  onResult?: (result: KernelCheck) => void;
}

/**
 * Runs every kernel on a device and compares with its twin. It takes a second or two, most of it compilation
 * and the twins; nothing is left on the device.
 *
 * @returns A result for each case; a kernel that throws is one that did not pass.
 * @throws {DeviceLostError} If the device is lost.
 * @throws {TypeError} If an option is unknown or of another type.
 *
 * @example
 * ```ts
 * import { checkKernels } from "./check.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { assert } from "@std/assert";
 *
 * using device = new CpuDevice(); // or: await WebGpuDevice.open()
 * const results = await checkKernels(device);
 * assert(results.every(({ passed }) => passed));
 * ```
 */
export async function checkKernels(
  device: Device,
  options: CheckKernelsOptions = {},
): Promise<KernelCheck[]> {
  const action = "check kernels";
  requireOptions(options, ["signal", "onResult"], action);
  const { signal, onResult } = options;
  if (onResult !== undefined) requireFunction(onResult, "onResult", action);
  // Whoever checks nothing need not load them.
  const { CASES } = await import("./cases.ts");
  const results: KernelCheck[] = [];
  for (const item of CASES) {
    signal?.throwIfAborted();
    const result = await checkKernel(item, device);
    results.push(result);
    onResult?.(result);
  }
  return results;
}

/** Runs one case; exported for the tests. */
export async function checkKernel(
  { name, promise, setUp }: KernelCase,
  device: Device,
): Promise<KernelCheck> {
  using cpu = new CpuDevice();
  const wanted = await resultsOf(cpu, setUp);
  try {
    const found = await resultsOf(device, setUp);
    const values = wanted.reduce((sum, { length }) => sum + length, 0);
    const off = promise === "bits" ? shareOfOthers(wanted, found) : largestDifference(wanted, found);
    return { kernel: name, promise, values, off, passed: promise === "bits" ? off === 0 : off <= promise };
  } catch (error) {
    if (error instanceof DeviceLostError) throw error;
    return { kernel: name, promise, values: 0, off: NaN, passed: false, error: (error as Error).message };
  }
}

async function resultsOf(device: Device, setUp: KernelCase["setUp"]): Promise<Uint32Array<ArrayBuffer>[]> {
  const { Workbench } = await import("./workbench.ts");
  using bench = new Workbench(device);
  const { run, outputs } = setUp(bench);
  run();
  return await device.read(outputs);
}

function shareOfOthers(wanted: readonly Uint32Array[], found: readonly Uint32Array[]): number {
  let [others, all] = [0, 0];
  for (const [i, words] of wanted.entries()) {
    all += words.length;
    for (let at = 0; at < words.length; at++) others += Number(words[at] !== found[i]![at]);
  }
  return others / all;
}

function largestDifference(
  wanted: readonly Uint32Array<ArrayBuffer>[],
  found: readonly Uint32Array<ArrayBuffer>[],
): number {
  let [difference, greatest] = [0, 0];
  for (const [i, words] of wanted.entries()) {
    const expected = new Float32Array(words.buffer, words.byteOffset, words.length);
    const actual = new Float32Array(found[i]!.buffer, found[i]!.byteOffset, found[i]!.length);
    for (const [at, value] of expected.entries()) {
      if (Number.isFinite(value)) greatest = Math.max(greatest, Math.abs(value));
      if (Object.is(value, actual[at])) continue;
      const off = value === actual[at] ? 0 : Math.abs(value - actual[at]!);
      // A NaN stays: Math.max hands it on.
      difference = Number.isFinite(off) ? Math.max(difference, off) : NaN;
      if (Number.isNaN(difference)) return NaN;
    }
  }
  return difference / (greatest || 1);
}
