/**
 * What is measured: a kernel at a stated size, beside a naive version of it in WGSL and its CPU twin. The
 * arrays are the same on every device, and {@linkcode verify} makes sure that what is timed computes the
 * right thing. The cases themselves are in the `*_bench.ts` files, the timing in
 * `../kernels/profile/profile.ts`.
 *
 * @module
 */

import type { Device, DeviceArray, Kernel, Parameter } from "../kernels/mod.ts";
import { CpuDevice, spread, threefry } from "../kernels/mod.ts";

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

/** Makes a case's arrays, the same numbers on every device, and frees them together. */
export class Workbench implements Disposable {
  readonly #device: Device;
  readonly #arrays = new DisposableStack();
  readonly #integers = new WeakSet<DeviceArray>();
  #streams = 0;

  /** @param device Where the arrays go. */
  constructor(device: Device) {
    this.#device = device;
  }

  /** Where the arrays are. */
  get device(): Device {
    return this.#device;
  }

  /** Zeros. */
  allocate(length: number): DeviceArray {
    return this.#arrays.use(this.#device.allocate(length));
  }

  /** Given words. */
  upload(data: Float32Array | Uint32Array): DeviceArray {
    const array = this.#arrays.use(this.#device.upload(data));
    if (data instanceof Uint32Array) this.#integers.add(array);
    return array;
  }

  /** What an array that was uploaded here holds. */
  typeOf(array: DeviceArray): "f32" | "u32" {
    return this.#integers.has(array) ? "u32" : "f32";
  }

  /** Anything else that belongs to the case. */
  use<Thing extends Disposable>(thing: Thing): Thing {
    return this.#arrays.use(thing);
  }

  /** Normally distributed values of standard deviation 1, or the given one. */
  normal(length: number, deviation: number = 1): DeviceArray {
    return this.upload(this.#normal(length).map((value) => value * deviation));
  }

  /**
   * Code vectors, [count, channels], that vary in four directions only: some of them are neighbours, which
   * independent vectors of many channels hardly ever are.
   */
  codes(count: number, channels: number): DeviceArray {
    const places = this.#normal(4 * count);
    const directions = this.#normal(4 * channels);
    const codes = Float32Array.from({ length: count * channels }, (_, i) => {
      const place = Math.floor(i / channels) * 4;
      const direction = i % channels * 4;
      let value = 0;
      for (let d = 0; d < 4; d++) value += places[place + d]! * directions[direction + d]!;
      return value / 2;
    });
    return this.upload(codes);
  }

  /** Integers from 0 to `below - 1`. */
  integers(length: number, below: number): DeviceArray {
    return this.upload(this.#random(length).subarray(0, length).map((word) => word % below));
  }

  [Symbol.dispose](): void {
    this.#arrays.dispose();
  }

  #normal(length: number): Float32Array {
    const words = this.#random(length);
    const values = new Float32Array(words.length);
    for (let i = 0; i < length; i += 2) {
      // Box-Muller.
      const radius = Math.sqrt(-2 * Math.log((words[i]! + 1) / 2 ** 32));
      const angle = 2 * Math.PI * (words[i + 1]! / 2 ** 32);
      values[i] = radius * Math.cos(angle);
      values[i + 1] = radius * Math.sin(angle);
    }
    return values.subarray(0, length);
  }

  /** `length` words or one more, an even number; each call has a stream of its own. */
  #random(length: number): Uint32Array {
    const words = new Uint32Array(length + 1);
    const stream = this.#streams++;
    for (let i = 0; i < length; i += 2) words.set(threefry([stream, 0], [0, i]), i);
    return words.subarray(0, length + length % 2);
  }
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
