/**
 * A GPU whose kernels take as long as a test says, with a clock of its own, and a host clock beside it: what
 * is measured on it can be computed by hand.
 *
 * @module
 */

import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type {
  Device,
  DeviceArray,
  DeviceCounters,
  Kernel,
  Timeline,
} from "../../../kernels/device/device.ts";
import type { HostClock } from "../../../kernels/profile/gpu_clock.ts";

/** How the fake behaves. Times are in milliseconds. */
export interface FakeGpuOptions {
  /** What a kernel takes on the GPU, by its name; others take nothing. */
  readonly costs: Readonly<Record<string, number>>;
  /** What recording a kernel takes on the host. Default: 0. */
  readonly recording?: number;
  /** Bytes that a kernel occupies until it has been handed over. Default: 0. */
  readonly scratch?: number;
  /** What a readback takes besides the work. Default: 10. */
  readonly wait?: number;
  /**
   * A mark's ticks at a time on the GPU's clock; `submitted` is when the host handed it over. Default:
   * nanoseconds.
   */
  readonly ticks?: (time: number, submitted: number) => bigint;
  /** Without timestamps, timelines are on the host's clock. Default: true. */
  readonly timestamps?: boolean;
}

/** The fake: arrays are on the host, kernels do nothing but take time. */
export class FakeGpu implements Device {
  readonly kind = "webgpu";
  readonly name = "fake";
  /** Milliseconds that have passed on the host. */
  time = 0;
  /** Kernels run, by name, in order. */
  readonly log: string[] = [];
  /** Kernels in the largest submission so far. */
  largestSubmission = 0;
  readonly #memory = new CpuDevice();
  readonly #options: Required<FakeGpuOptions>;
  #recorded: (number | { mark: (ticks: bigint) => void })[] = [];
  #free = 0;
  #dispatches = 0;

  constructor(options: FakeGpuOptions) {
    const ticks = (time: number) => BigInt(Math.round(time * 1e6));
    this.#options = { recording: 0, scratch: 0, wait: 10, timestamps: true, ticks, ...options };
  }

  /** The host's clock, which moves only when something takes time. */
  get host(): HostClock {
    return {
      now: () => this.time,
      pause: (milliseconds) => {
        this.time += milliseconds;
        return Promise.resolve();
      },
    };
  }

  get counters(): DeviceCounters {
    const counters = this.#memory.counters;
    const kernels = this.#recorded.filter((command) => typeof command === "number").length;
    const liveBytes = counters.liveBytes + kernels * this.#options.scratch;
    return { ...counters, dispatches: this.#dispatches, liveBytes };
  }

  allocate(length: number): DeviceArray {
    // The roof's arrays would be 64 MiB of real memory each.
    return this.#memory.allocate(Math.min(length, 4096));
  }

  upload(data: Float32Array | Uint32Array): DeviceArray {
    return this.#memory.upload(data);
  }

  view(array: DeviceArray, offset: number, length?: number): DeviceArray {
    return this.#memory.view(array, offset, length);
  }

  write(target: DeviceArray, data: Float32Array | Uint32Array, offset?: number): void {
    this.#memory.write(target, data, offset);
  }

  copy(): void {}

  run<Arguments>(kernel: Kernel<Arguments>): void {
    this.time += this.#options.recording;
    this.#recorded.push(this.#options.costs[kernel.name] ?? 0);
    this.#dispatches++;
    this.log.push(kernel.name);
  }

  flush(): void {
    this.#free = Math.max(this.#free, this.time);
    let kernels = 0;
    for (const command of this.#recorded.splice(0)) {
      if (typeof command === "number") {
        this.#free += command;
        kernels++;
      } else command.mark(this.#options.ticks(this.#free, this.time));
    }
    this.largestSubmission = Math.max(this.largestSubmission, kernels);
  }

  async read(arrays: readonly DeviceArray[]): Promise<Uint32Array<ArrayBuffer>[]> {
    this.flush();
    this.time = Math.max(this.time, this.#free) + this.#options.wait;
    return await this.#memory.read(arrays);
  }

  timeline(capacity: number): Timeline {
    if (!this.#options.timestamps) return this.#memory.timeline(capacity);
    const array = this.#memory.allocate(2 * capacity);
    let marks = 0;
    return {
      clock: "webgpu",
      mark: () => {
        const place = 2 * marks++;
        const mark = (ticks: bigint) => {
          const words = new Uint32Array(new BigUint64Array([ticks]).buffer);
          this.#memory.write(array, words, place);
        };
        this.#recorded.push({ mark });
      },
      finish: () => array,
      durations: () => [],
      [Symbol.dispose]: () => array[Symbol.dispose](),
    };
  }

  [Symbol.dispose](): void {}
}
