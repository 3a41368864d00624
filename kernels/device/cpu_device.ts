/**
 * The device without a GPU: arrays are host memory and a kernel call is a call of its twin.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { copyRange, requireDisjoint, requireRange, requireWords } from "./array_checks.ts";
import type { Device, DeviceArray, DeviceCounters, Kernel, Timeline } from "./device.ts";
import { hostTimeline } from "./host_timeline.ts";

/** A page is not told its processor's. */
const ARCHITECTURE = typeof Deno === "undefined" ? "" : `${Deno.build.arch}, `;

/**
 * A device array in host memory, with a view for each way to read its words.
 *
 * @example
 * ```ts
 * import { CpuDevice } from "./cpu_device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using array = device.upload(new Float32Array([1, 2]));
 * array.f32[1] = 0.5; // no copy, no readback
 * assertEquals(array.u32[1], 0x3f000000);
 * ```
 */
export class HostArray implements DeviceArray {
  readonly device: CpuDevice;
  readonly label: string;
  /** The words as floats. */
  readonly f32: Float32Array<ArrayBuffer>;
  /** The words as unsigned integers. */
  readonly u32: Uint32Array<ArrayBuffer>;
  #release: ((array: HostArray) => void) | undefined;
  #owner: HostArray | undefined;

  /**
   * Arrays are made by {@linkcode CpuDevice.allocate}, {@linkcode CpuDevice.adopt} or
   * {@linkcode CpuDevice.view}; the last names the array whose memory it shares.
   */
  constructor(
    device: CpuDevice,
    data: Float32Array<ArrayBuffer>,
    label: string,
    release: (array: HostArray) => void,
    owner?: HostArray,
  ) {
    this.device = device;
    this.label = label;
    this.f32 = data;
    this.u32 = new Uint32Array(data.buffer, data.byteOffset, data.length);
    this.#release = release;
    this.#owner = owner;
  }

  get length(): number {
    return this.f32.length;
  }

  /** Whether it has been disposed, or the array it is a view of. */
  get disposed(): boolean {
    return this.#release === undefined || this.#owner?.disposed === true;
  }

  /** Frees it; harmless when done twice. */
  [Symbol.dispose](): void {
    this.#release?.(this);
    this.#release = undefined;
  }
}

/**
 * The floats of an array on the CPU device, for twins.
 *
 * @example
 * ```ts
 * import { CpuDevice, floats } from "./cpu_device.ts";
 * import type { Device } from "./device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device: Device = new CpuDevice();
 * using array = device.upload(new Float32Array([1, 2]));
 * floats(array)[0] = 3;
 * assertEquals([...floats(array)], [3, 2]);
 * ```
 */
export function floats(array: DeviceArray): Float32Array<ArrayBuffer> {
  return hosted(array).f32;
}

/**
 * The words of an array on the CPU device, for twins.
 *
 * @example
 * ```ts
 * import { CpuDevice, words } from "./cpu_device.ts";
 * import type { Device } from "./device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device: Device = new CpuDevice();
 * using array = device.upload(new Float32Array([1, -0]));
 * assertEquals([...words(array)], [0x3f800000, 0x80000000]);
 * ```
 */
export function words(array: DeviceArray): Uint32Array<ArrayBuffer> {
  return hosted(array).u32;
}

function hosted(array: DeviceArray): HostArray {
  if (!(array instanceof HostArray)) {
    throw new TypeError(
      `Cannot use "${array.label}" on the CPU as it belongs to a ${array.device.kind} device`,
    );
  }
  if (array.disposed) throw new TypeError(`Cannot use "${array.label}" as it has been disposed`);
  return array;
}

/**
 * The CPU as a device.
 *
 * @example Running a kernel's twin
 * ```ts
 * import { CpuDevice } from "./cpu_device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * {
 *   using array = device.upload(new Uint32Array([1, 2, 3]));
 *   assertEquals((await device.read([array]))[0], new Uint32Array([1, 2, 3]));
 *   assertEquals(device.counters.liveBytes, 12);
 * }
 * assertEquals(device.counters.liveBytes, 0);
 * ```
 */
export class CpuDevice implements Device {
  readonly kind = "cpu";
  readonly name = `CPU (${ARCHITECTURE}${navigator.hardwareConcurrency} threads)`;
  #counters = { readbacks: 0, bytesRead: 0, dispatches: 0, liveArrays: 0, liveBytes: 0 };

  get counters(): DeviceCounters {
    return { ...this.#counters };
  }

  allocate(length: number, label: string = "array"): HostArray {
    requireInteger(length, "length", `allocate "${label}"`, { min: 0 });
    return this.adopt(new Float32Array(length), label);
  }

  /** Makes existing memory an array of this device, without a copy. */
  adopt(data: Float32Array<ArrayBuffer>, label: string = "array"): HostArray {
    const array = new HostArray(this, data, label, (released) => {
      this.#counters.liveArrays--;
      this.#counters.liveBytes -= released.f32.byteLength;
    });
    this.#counters.liveArrays++;
    this.#counters.liveBytes += array.f32.byteLength;
    return array;
  }

  upload(data: Float32Array | Uint32Array, label: string = "array"): HostArray {
    requireWords(data, "upload words");
    const array = this.allocate(data.length, label);
    this.write(array, data);
    return array;
  }

  view(array: DeviceArray, offset: number, length: number = array.length - offset): HostArray {
    const owner = this.#own(array);
    requireRange(array, offset, length, "view words");
    return new HostArray(this, owner.f32.subarray(offset, offset + length), array.label, () => {}, owner);
  }

  write(target: DeviceArray, data: Float32Array | Uint32Array, offset: number = 0): void {
    const { f32, u32 } = this.#own(target);
    requireWords(data, "write words");
    requireRange(target, offset, data.length, "write words");
    if (data instanceof Float32Array) f32.set(data, offset);
    else u32.set(data, offset);
  }

  copy(
    source: DeviceArray,
    target: DeviceArray,
    range: { sourceOffset?: number; targetOffset?: number; length?: number } = {},
  ): void {
    const from = this.#own(source).u32;
    const to = this.#own(target).u32;
    const { sourceOffset, targetOffset, length } = copyRange(source, target, range);
    to.set(from.subarray(sourceOffset, sourceOffset + length), targetOffset);
  }

  run<Arguments>(kernel: Kernel<Arguments>, args: Arguments): void {
    const { arrays, workgroups } = kernel.plan(args);
    const stretches = arrays.map((array) => {
      const { f32 } = this.#own(array);
      return { memory: f32.buffer, start: f32.byteOffset, end: f32.byteOffset + f32.byteLength };
    });
    requireDisjoint(kernel, arrays, stretches);
    if (workgroups.includes(0)) return;
    kernel.twin(args);
    this.#counters.dispatches++;
  }

  flush(): void {}

  read(arrays: readonly DeviceArray[]): Promise<Uint32Array<ArrayBuffer>[]> {
    return Promise.try(() => {
      const copies = arrays.map((array) => this.#own(array).u32.slice());
      this.#counters.readbacks++;
      for (const copy of copies) this.#counters.bytesRead += copy.byteLength;
      return copies;
    });
  }

  timeline(capacity: number): Timeline {
    return hostTimeline(capacity);
  }

  /** Nothing is held that memory management does not free. */
  [Symbol.dispose](): void {}

  #own(array: DeviceArray): HostArray {
    if (array.device !== this) {
      throw new TypeError(`Cannot use "${array.label}" here as it belongs to another device`);
    }
    return hosted(array);
  }
}
