/**
 * What a GPU's timestamps mean. The standard says nanoseconds, but Deno hands out the driver's own ticks,
 * whose length it does not tell, and some drivers hand out nothing of use. So the ticks are measured against
 * the host's clock, once per device, and believed only if they keep pace with it and wait for work.
 *
 * @module
 */

import type { Device, Timeline } from "../device/device.ts";
import { multiplyAdd } from "./roof.ts";

/** The host's clock; tests bring their own. */
export interface HostClock {
  /** Milliseconds from any moment on. */
  now(): number;
  /** Resolves after some milliseconds. */
  pause(milliseconds: number): Promise<void>;
}

/** The clock of this process. */
export const HOST_CLOCK: HostClock = {
  now: () => performance.now(),
  pause: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
};

/**
 * Marks that are set while nothing runs, and the milliseconds between them: 160 in all, against which a late
 * mark hardly counts.
 */
const MARKS = 9;
const GAP = 20;
/** Milliseconds of work by which a clock is tested. */
const TEST_WORK = 20;
/** The unit of the standard, in milliseconds. */
const NANOSECOND = 1e-6;

const periods = new WeakMap<Device, Promise<number | undefined>>();

/**
 * Milliseconds of one tick of a device's timelines, or `undefined` if its ticks cannot be had or not be
 * trusted. Takes about a third of a second the first time that a device is asked about.
 */
export function tickPeriod(device: Device, host: HostClock = HOST_CLOCK): Promise<number | undefined> {
  let period = periods.get(device);
  if (period === undefined) {
    period = calibrate(device, host);
    periods.set(device, period);
    // Another try may find the device in a better state.
    period.catch(() => periods.delete(device));
  }
  return period;
}

/** Forgets what a device's ticks mean, after they have turned out to be wrong. */
export function distrustTicks(device: Device): void {
  periods.set(device, Promise.resolve(undefined));
}

/** Ends a timeline, waits for the work before it, and brings its marks to the host, as ticks. */
export async function readTicks(timeline: Timeline, device: Device): Promise<bigint[]> {
  const array = timeline.finish();
  if (array === undefined) return [];
  const [words] = await device.read([array]);
  return [...new BigUint64Array(words!.buffer, words!.byteOffset, words!.length >> 1)];
}

async function calibrate(device: Device, host: HostClock): Promise<number | undefined> {
  const period = await paceOfTicks(device, host);
  return period !== undefined && await waitsForWork(device, period, host) ? period : undefined;
}

/** Milliseconds per tick by the host's clock. */
async function paceOfTicks(device: Device, host: HostClock): Promise<number | undefined> {
  using timeline = device.timeline(MARKS);
  if (timeline.clock === "host") return undefined;
  using word = device.allocate(1, "wait");
  await device.read([word]);
  const moments: number[] = [];
  for (let i = 0; i < MARKS; i++) {
    timeline.mark();
    moments.push(host.now());
    device.flush();
    await host.pause(GAP);
  }
  return tickLength(moments, await readTicks(timeline, device));
}

/**
 * Milliseconds per tick, from marks at known moments: the median over all pairs of marks, which some late
 * marks do not change. Within a percent of the standard's nanosecond, it is that. `undefined` if the ticks do
 * not follow the moments.
 */
export function tickLength(moments: readonly number[], ticks: readonly bigint[]): number | undefined {
  const slopes: number[] = [];
  for (let j = 1; j < moments.length; j++) {
    for (let i = 0; i < j; i++) {
      const passed = Number(ticks[j]! - ticks[i]!);
      if (passed <= 0) return undefined;
      slopes.push((moments[j]! - moments[i]!) / passed);
    }
  }
  slopes.sort((a, b) => a - b);
  const middle = slopes[slopes.length >> 1]!;
  const agreeing = slopes.filter((slope) => Math.abs(slope / middle - 1) < 0.05).length;
  if (agreeing < slopes.length / 2) return undefined;
  return Math.abs(middle / NANOSECOND - 1) < 0.01 ? NANOSECOND : middle;
}

/** Whether a mark is set when the work before it is done, which both clocks then agree on. */
async function waitsForWork(device: Device, period: number, host: HostClock): Promise<boolean> {
  const threads = 2 ** 18;
  using output = device.allocate(threads, "clock test");
  using word = device.allocate(1, "wait");
  const run = () => device.run(multiplyAdd, { output, threads, turns: 64 });
  // The first call compiles.
  run();
  await device.read([word]);
  const start = host.now();
  await device.read([word]);
  const idle = host.now() - start;
  for (let calls = 1;; calls *= 4) {
    using timeline = device.timeline(2);
    const start = host.now();
    timeline.mark();
    for (let i = 0; i < calls; i++) run();
    timeline.mark();
    const [first, last] = await readTicks(timeline, device);
    const elapsed = host.now() - start;
    const counted = Number(last! - first!) * period;
    if (counted > elapsed * 1.05) return false;
    if (elapsed - idle >= TEST_WORK) return counted >= (elapsed - idle) / 2;
    // A device that does this in no time is nothing that a clock could be tested by.
    if (calls >= 1024) return false;
  }
}
