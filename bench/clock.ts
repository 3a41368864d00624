/**
 * Timing kernels in Deno, where waiting for the GPU costs about 11 ms however little it has to do: many calls share one wait, and the
 * cost of a wait with nothing to wait for is measured beside them.
 *
 * @module
 */

import { CpuDevice, type Device, NoAdapterError, WebGpuDevice } from "../kernels/mod.ts";
import { type BenchCase, type Variant, Workbench } from "./case.ts";

/** The devices of a run. */
export interface Devices {
  /** Runs the twins. */
  readonly cpu: CpuDevice;
  /** Runs the kernels, if there is an adapter. */
  readonly gpu: WebGpuDevice | undefined;
}

let opened: Promise<Devices> | undefined;

/** Opens the devices once. */
export function openDevices(): Promise<Devices> {
  return opened ??= open();
}

async function open(): Promise<Devices> {
  const cpu = new CpuDevice();
  try {
    return { cpu, gpu: await WebGpuDevice.open() };
  } catch (error) {
    if (!(error instanceof NoAdapterError)) throw error;
    return { cpu, gpu: undefined };
  }
}

/** Waits until a device has done its work. */
export async function finish(device: Device): Promise<void> {
  device.flush();
  if (device instanceof WebGpuDevice) await device.gpu.queue.onSubmittedWorkDone();
}

/** A case set up on a device, ready to be called any number of times. */
export class Subject implements Disposable {
  /** Where it runs. */
  readonly device: Device;
  /** One call. */
  readonly call: () => void;
  readonly #bench: Workbench;

  /** @param item The case. @param variant The way to compute it. @param device A CPU device for a twin, else a GPU. */
  constructor(item: BenchCase, variant: Variant, device: Device) {
    this.device = device;
    this.#bench = new Workbench(device);
    const setup = item.setUp(this.#bench);
    this.call = variant === "naive" ? setup.naive : setup.kernel;
  }

  /** Milliseconds of `calls` calls and one wait; with 0 calls, of the wait alone. */
  async time(calls: number): Promise<number> {
    const start = performance.now();
    for (let i = 0; i < calls; i++) this.call();
    await finish(this.device);
    return performance.now() - start;
  }

  [Symbol.dispose](): void {
    this.#bench[Symbol.dispose]();
  }
}

/** The middle of some numbers. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Milliseconds of one call of each subject: the median over rounds in which the subjects take turns, so that whatever else the machine
 * does meets them all. The calls of a turn last `span` milliseconds or more, but are at most 4096.
 */
export async function timeCalls(
  subjects: readonly Subject[],
  options: { rounds: number; span: number },
): Promise<number[]> {
  const calls: number[] = [];
  for (const subject of subjects) {
    // The first turn compiles the pipeline.
    await subject.time(1);
    let count = 1;
    for (;;) {
      const idle = await subject.time(0);
      const elapsed = Math.max(await subject.time(count) - idle, 0.01);
      if (elapsed >= options.span / 4 || count >= 1024) {
        calls.push(Math.min(4096, Math.ceil(count * options.span / elapsed)));
        break;
      }
      count *= 8;
    }
  }
  const times: number[][] = subjects.map(() => []);
  for (let round = 0; round < options.rounds; round++) {
    for (const [i, subject] of subjects.entries()) {
      const idle = await subject.time(0);
      times[i]!.push(Math.max(0, await subject.time(calls[i]!) - idle) / calls[i]!);
    }
  }
  return times.map(median);
}
