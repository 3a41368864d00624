/**
 * Whether a driver keeps something for good each time a kernel of ours runs. Loaded in front of the kernels'
 * tests, it runs what they run again and again, with their numbers, on arrays of its own, and prints a line
 * for each: by how much the process grew.
 *
 *     deno test -A --preload bench/kernel_memory.ts tests/kernels/maps tests/kernels/points | grep KiB
 *
 * Each call gets a pipeline of its own, as what a driver makes of one may depend on its first call. Linux
 * only. Tests that count dispatches or arrays fail meanwhile.
 *
 * @module
 */

import type { DeviceArray, Kernel, Plan } from "../kernels/device/device.ts";
import { WebGpuDevice } from "../kernels/device/webgpu_device.ts";
import { anonymousBytes } from "./process_memory.ts";

/** Other numbers that a pipeline's constants are tried with at most. */
const MOST_CALLS = 4;
/** Dispatches before, and those that are watched. */
const WARM = 10;
const WATCHED = 60;
/** What a dispatch takes of a driver that compiles it anew is several times this. */
const GROWTH = 60 * 1024;
/** Larger calls are left out, as they would take minutes. */
const MOST_WORKGROUPS = 4000;
const MOST_WORDS = 8e6;

interface Call {
  readonly device: WebGpuDevice;
  readonly name: string;
  readonly arrays: readonly DeviceArray[];
  run(): void;
}

const waiting: Call[] = [];
const tried = new Map<string, Set<string>>();
let pipelines = 0;

const run = WebGpuDevice.prototype.run;
const read = WebGpuDevice.prototype.read;

WebGpuDevice.prototype.run = function <Arguments>(kernel: Kernel<Arguments>, args: Arguments): void {
  // Before the kernel, which may write over what it reads.
  const call = callOf(this, kernel, () => kernel.plan(args));
  run.call(this, kernel as Kernel<unknown>, args);
  if (call !== undefined) waiting.push(call);
};

WebGpuDevice.prototype.read = async function (arrays) {
  const result = await read.call(this, arrays);
  for (const call of waiting.splice(0)) if (call.device.lost === undefined) await watch(call);
  return result;
};

/** The same call on copies of its arrays, unless there were enough such calls. */
function callOf<Arguments>(
  device: WebGpuDevice,
  kernel: Kernel<Arguments>,
  planOf: () => Plan,
): Call | undefined {
  let plan: Plan;
  try {
    plan = planOf();
  } catch {
    return undefined; // A bad call, which a test makes on purpose.
  }
  const { workgroups, constants = {}, parameters } = plan;
  const pipeline = `${kernel.name} ${JSON.stringify(constants)}`;
  const numbers = JSON.stringify(parameters);
  const calls = tried.getOrInsertComputed(pipeline, () => new Set());
  const threads = workgroups.reduce((product, side) => product * side, 1);
  const words = plan.arrays.reduce((sum, { length }) => sum + length, 0);
  if (calls.size === MOST_CALLS || calls.has(numbers)) return undefined;
  if (threads === 0 || threads > MOST_WORKGROUPS || words > MOST_WORDS) return undefined;
  calls.add(numbers);
  const arrays = plan.arrays.map((array) => {
    const copy = device.allocate(array.length, array.label);
    device.copy(array, copy);
    return copy;
  });
  const again: Kernel<undefined> = {
    ...{ name: kernel.name, wgsl: `${kernel.wgsl}\n// ${pipelines++}\n` },
    plan: () => ({ ...plan, arrays }),
    twin: () => {},
  };
  return {
    device,
    name: `${pipeline} ${numbers}`,
    arrays,
    run: () => run.call(device, again as Kernel<unknown>, undefined),
  };
}

async function watch(call: Call): Promise<void> {
  const times = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      call.run();
      call.device.flush();
    }
    await call.device.gpu.queue.onSubmittedWorkDone();
  };
  const growth = async (): Promise<number> => {
    const before = anonymousBytes();
    await times(WATCHED);
    return (anonymousBytes() - before) / WATCHED;
  };
  await times(WARM);
  let bytes = await growth();
  // A heap that became larger meanwhile does so once.
  if (bytes > GROWTH) bytes = Math.min(bytes, await growth());
  console.log(`${bytes > GROWTH ? "GROWS" : "flat"} ${(bytes / 1024).toFixed(0)} KiB ${call.name}`);
  for (const array of call.arrays) array[Symbol.dispose]();
}
