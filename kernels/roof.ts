/**
 * What the adapter can do at most: the bandwidth of a plain copy and the rate of plain multiply-adds, measured with the same clock as
 * everything else. Datasheets promise more; no kernel in the same runtime gets more.
 *
 * @module
 */

import type { WebGpuDevice } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { Subject, timeCalls } from "./clock.ts";
import copyWgsl from "./copy.wgsl" with { type: "text" };
import fmaWgsl from "./fma.wgsl" with { type: "text" };

/** The two limits. */
export interface Roof {
  /** Bytes read and written per second, in units of 10^9. */
  readonly gigabytes: number;
  /** Floating-point operations per second, in units of 10^9; a multiply-add is two. */
  readonly gigaflops: number;
}

/** Words that are copied: 64 MiB, beyond most caches. */
const WORDS = 2 ** 24;
const THREADS = 2 ** 18;
const TURNS = 64;
/** Per thread and turn: 32 steps of 8 multiply-adds. */
const OPERATIONS = 32 * 8 * 2;

const copy: BenchCase = {
  kernel: "copy",
  size: "64 MiB",
  calls: 1,
  cost: { bytes: 2 * 4 * WORDS },
  allowed: { webgpu: 0, naive: 0 },
  setUp: (bench) => {
    const input = bench.allocate(WORDS);
    const output = bench.allocate(WORDS);
    const kernel = naive("copy", copyWgsl, () => ({
      arrays: [input, output],
      parameters: [["u32", WORDS / 4]],
      workgroups: WORDS / 4 / 256,
    }));
    const call = () => bench.device.run(kernel, undefined);
    return { kernel: call, naive: call, outputs: [] };
  },
};

const fma: BenchCase = {
  kernel: "fma",
  size: `${THREADS} threads`,
  calls: 1,
  cost: { operations: THREADS * TURNS * OPERATIONS },
  allowed: { webgpu: 0, naive: 0 },
  setUp: (bench) => {
    const output = bench.allocate(THREADS);
    const kernel = naive("fma", fmaWgsl, () => ({
      arrays: [output],
      parameters: [["u32", THREADS], ["u32", TURNS]],
      threads: THREADS,
    }));
    const call = () => bench.device.run(kernel, undefined);
    return { kernel: call, naive: call, outputs: [] };
  },
};

/** Measures both. */
export async function measureRoof(
  gpu: WebGpuDevice,
  options: { rounds: number; span: number },
): Promise<Roof> {
  using copying = new Subject(copy, "webgpu", gpu);
  using computing = new Subject(fma, "webgpu", gpu);
  const [copyTime, fmaTime] = await timeCalls([copying, computing], options);
  return {
    gigabytes: copy.cost.bytes! / copyTime! / 1e6,
    gigaflops: fma.cost.operations! / fmaTime! / 1e6,
  };
}
