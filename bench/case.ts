/**
 * What is measured: a kernel at a stated size, beside a naive version of it in WGSL and its CPU twin. The
 * arrays are the same on every device, and {@linkcode verify} makes sure that what is timed computes the
 * right thing. The cases themselves are in the `*_bench.ts` files, the timing in
 * `../kernels/profile/profile.ts`.
 *
 * @module
 */

import { Workbench } from "../kernels/check/workbench.ts";
import type { Device, DeviceArray, Kernel, Parameter } from "../kernels/mod.ts";
import { CpuDevice, spread } from "../kernels/mod.ts";

/** The ways to compute a case. */
export type Variant = "webgpu" | "naive" | "twin";

/** The least that any implementation has to do for one call, from which GB/s and Gop/s are computed. */
export interface Cost {
  /** Bytes of all inputs and outputs, each counted once. */
  readonly bytes?: number;
  /** Operations of 32 bits; a fused multiply-add is two. */
  readonly operations?: number;
}

/** A kernel at one size. */
export interface BenchCase {
  /** Name of the kernel, or of the kernels that always run together. */
  readonly kernel: string;
  /** The size, as tables show it. */
  readonly size: string;
  /** Calls between two waits under `deno bench`; the report finds its own number. */
  readonly calls: number;
  /** What one call costs at least; empty where neither memory nor arithmetic is the limit. */
  readonly cost: Cost;
  /** The size in numbers, by name, for implementations of others. */
  readonly shape?: Readonly<Record<string, number>>;
  /**
   * How far the results may be from the twin's: 0 asks for the same bits; else, for f32, the largest
   * difference in units of the twin's largest value, and for u32 the share of the words that may be others.
   */
  readonly allowed: { readonly webgpu: number; readonly naive: number };
  /** Puts the arrays on a device. */
  setUp(bench: Workbench): Setup;
}

/** A case on a device. */
export interface Setup {
  /** One call of the kernel. */
  kernel(): void;
  /** One call of the naive version, into the same outputs. */
  naive(): void;
  /** What both read, by name, for implementations of others. */
  readonly inputs?: Readonly<Record<string, DeviceArray>>;
  /** What both write. */
  readonly outputs: readonly { readonly array: DeviceArray; readonly type: "f32" | "u32" }[];
}

/** A naive version of a kernel: WGSL without a twin, one thread per item unless workgroups are given. */
export function naive<Arguments>(
  name: string,
  wgsl: string,
  plan: (args: Arguments) => {
    arrays: readonly DeviceArray[];
    parameters: readonly Parameter[];
    constants?: Readonly<Record<string, number>>;
    threads?: number;
    workgroups?: number;
  },
): Kernel<Arguments> {
  return {
    name: `naive ${name}`,
    wgsl,
    plan: (args) => {
      const { threads = 0, workgroups = Math.ceil(threads / 64), ...rest } = plan(args);
      return { ...rest, workgroups: spread(workgroups) };
    },
    twin: () => {
      throw new TypeError(`Cannot run "naive ${name}" on the CPU as it exists in WGSL only`);
    },
  };
}

/** A case set up on a device, ready to be called any number of times. */
export class Subject implements Disposable {
  /** Where it runs. */
  readonly device: Device;
  /** One call. */
  readonly call: () => void;
  readonly #bench: Workbench;

  /**
   * @param item The case. @param variant The way to compute it. @param device A CPU device for a twin, else a
   * GPU.
   */
  constructor(item: BenchCase, variant: Variant, device: Device) {
    this.device = device;
    this.#bench = new Workbench(device);
    const setup = item.setUp(this.#bench);
    this.call = variant === "naive" ? setup.naive : setup.kernel;
  }

  [Symbol.dispose](): void {
    this.#bench[Symbol.dispose]();
  }
}

/**
 * Runs one variant once on a device and compares its outputs with the twin's.
 *
 * @throws {Error} If they are further apart than the case allows.
 */
export async function verify(item: BenchCase, variant: "webgpu" | "naive", device: Device): Promise<void> {
  using cpu = new CpuDevice();
  using wantedBench = new Workbench(cpu);
  using foundBench = new Workbench(device);
  const wanted = item.setUp(wantedBench);
  const found = item.setUp(foundBench);
  wanted.kernel();
  if (variant === "naive") found.naive();
  else found.kernel();
  const wantedWords = await cpu.read(wanted.outputs.map(({ array }) => array));
  const foundWords = await device.read(found.outputs.map(({ array }) => array));
  for (const [i, { type }] of wanted.outputs.entries()) {
    const off = deviation(wantedWords[i]!, foundWords[i]!, type);
    if (!(off <= item.allowed[variant])) {
      throw new Error(
        `The ${variant} version of "${item.kernel}" (${item.size}) is wrong: output ${i} is off by ${off}, ` +
          `allowed are ${item.allowed[variant]}`,
      );
    }
  }
}

/**
 * How far results are from what they should be: for f32 the largest difference in units of the largest value
 * wanted, for u32 the share of other words.
 */
export function deviation(wanted: Uint32Array, found: Uint32Array, type: "f32" | "u32"): number {
  if (type === "u32") {
    return wanted.reduce((count, word, i) => count + Number(word !== found[i]), 0) / wanted.length;
  }
  const expected = new Float32Array(wanted.buffer, wanted.byteOffset, wanted.length);
  const actual = new Float32Array(found.buffer, found.byteOffset, found.length);
  const greatest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  // Not Math.max, which a NaN would have to reach through a comparison.
  return expected.reduce((most, value, i) => {
    const off = value === actual[i] ? 0 : Math.abs(value - actual[i]!) / greatest;
    return off <= most ? most : off;
  }, 0);
}
