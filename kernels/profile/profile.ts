/**
 * Timing work of one's own on a device, honestly: on the GPU's clock where it can be trusted, without the
 * wait that Deno adds, over rounds in which candidates take turns, and beside the most that the same device
 * can do. The benchmarks of this project are timed by nothing else.
 *
 * @module
 */

import { requireFunction, requireInteger, requireNumber, requireOptions } from "../arguments.ts";
import type { Device, DeviceArray } from "../device/device.ts";
import { distrustTicks, HOST_CLOCK, type HostClock, readTicks, tickPeriod } from "./gpu_clock.ts";
import { copyWords, MULTIPLY_ADD_OPERATIONS, multiplyAdd } from "./roof.ts";

/** How long calls are timed. */
export interface TurnOptions {
  /** Number of rounds; medians and percentiles are taken over them. Default: 9. */
  rounds?: number | undefined;
  /** Milliseconds that a turn lasts at least: as many calls as fit, or one. Default: 50. */
  span?: number | undefined;
  /** Ends the measurement between two turns. */
  signal?: AbortSignal | undefined;
}

/** What one call has to do at least, whichever way it does it. */
export interface Workload {
  /** Bytes of all inputs and outputs, each counted once. */
  bytes?: number | undefined;
  /** Operations of 32 bits; a fused multiply-add is two. */
  operations?: number | undefined;
}

/** Options of {@linkcode profile}. */
export interface ProfileOptions extends TurnOptions, Workload {}

/** Something that is called and timed. */
export interface ProfileSubject extends Workload {
  /**
   * One call. If it returns a promise, that is awaited; if it returns something disposable, that is disposed
   * of.
   */
  readonly call: () => unknown;
  /** Where the call runs. Without one, it is timed on the host's clock. */
  readonly device?: Device | undefined;
  /** Without a device: waits until all calls are done. By default they are done when they return. */
  readonly finish?: (() => Promise<void>) | undefined;
}

/**
 * What a call costs. Times are in milliseconds per call.
 *
 * **Clocks.** On `"gpu"`, the time is that of the GPU between the start of a submission and its end:
 * recording the calls and waiting for the result are not in it. On `"wall"`, it is the host's time for
 * recording and doing the work, less that of a wait for nothing, which takes 11 ms in Deno.
 * `wallMilliseconds` is always the latter: what a program gains by leaving a call away. A kernel that takes
 * less than about 15 µs on the GPU is bound by its recording, and only `milliseconds` shows what the kernel
 * itself does. If a call waits for results of its own, the GPU's pauses are in either.
 *
 * **Comparing.** Compare within a process, in {@linkcode profileTurns}, and by medians. Where `low` and
 * `high` lie far apart, something else was running, or the GPU changed its frequency.
 */
export interface Profile {
  /** The median over rounds, on the clock named by `clock`. */
  readonly milliseconds: number;
  /** The 10th percentile. */
  readonly low: number;
  /** The 90th percentile. */
  readonly high: number;
  /**
   * Whose clock that was: `"gpu"` where the device has timestamps that keep pace with the host's clock, else
   * `"wall"`.
   */
  readonly clock: "gpu" | "wall";
  /** The median on the host's clock. */
  readonly wallMilliseconds: number;
  /**
   * Each round's time per call on that clock; the same place is the same round in all results of
   * {@linkcode profileTurns}.
   */
  readonly times: readonly number[];
  /** Calls in each round. */
  readonly calls: number;
  /** Kernels that one call runs. */
  readonly dispatches: number;
  /** Times that one call waits for data. */
  readonly readbacks: number;
  /** 10^9 bytes per second, if the bytes were given. */
  readonly gigabytesPerSecond?: number;
  /** 10^9 operations per second, if the operations were given. */
  readonly gigaopsPerSecond?: number;
  /**
   * The larger of both as a share of the device's {@linkcode Roof}: 1 is as fast as the device moves memory
   * or multiplies and adds.
   */
  readonly roofShare?: number;
}

/** What a device can do at most. */
export interface Roof {
  /** 10^9 bytes per second, read and written, of a plain copy of 64 MiB. */
  readonly gigabytesPerSecond: number;
  /** 10^9 operations per second of multiply-adds in registers, each of which is two. */
  readonly gigaopsPerSecond: number;
}

/**
 * Times calls on a device.
 *
 * The first call is not timed, as it compiles. Calls are repeated until a turn lasts `span` milliseconds; on
 * a GPU, up to 256 kernels are handed over together. With `bytes` or `operations`, the rates that follow are
 * compared with the device's {@linkcode Roof}, which takes about a second to measure the first time. Nothing
 * is left on the device, and if the call throws, the device stays usable. Whatever else runs meanwhile is
 * timed along.
 *
 * @param device Where the calls run.
 * @param call One call, e.g. `() => device.run(kernel, args)`. If it returns a promise, that is awaited; if
 * it returns something disposable, such as an array, that is disposed of.
 * @param options How long to measure, and what a call has to do.
 * @throws {TypeError} If an option is unknown or of another type, or if the call leaves arrays on the device.
 * @throws {RangeError} If an option is out of bounds.
 *
 * @example Timing a kernel
 * ```ts
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { profile } from "./profile.ts";
 * import { unitRows } from "../codebook/unit_rows.ts";
 * import { assert, assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice(); // or: await WebGpuDevice.open()
 * using input = device.upload(new Float32Array(256 * 32).fill(1));
 * using output = device.allocate(256 * 32);
 * const args = { input, output, count: 256, channels: 32 };
 * const result = await profile(device, () => device.run(unitRows, args), { rounds: 3, span: 2 });
 * assertEquals(result.clock, "wall");
 * assertEquals(result.dispatches, 1);
 * assert(result.low <= result.milliseconds && result.milliseconds <= result.high);
 * ```
 */
export async function profile(
  device: Device,
  call: () => unknown,
  options: ProfileOptions = {},
): Promise<Profile> {
  requireOptions(options, ["rounds", "span", "signal", "bytes", "operations"], "profile");
  const { bytes, operations, ...turns } = options;
  const [result] = await profileTurns([{ device, call, bytes, operations }], turns);
  return result!;
}

/**
 * Times several calls that take turns in each round, so that whatever else the machine does meets them all:
 * the way to compare two kernels, or a kernel with a library that runs elsewhere. See {@linkcode profile}.
 *
 * @returns One result per subject, in their order.
 *
 * @example Comparing two ways
 * ```ts
 * import { profileTurns } from "./profile.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const values = Float32Array.from({ length: 1000 }, (_, i) => i % 7);
 * const results = await profileTurns([
 *   { call: () => values.toSorted() },
 *   { call: () => [...values].sort((a, b) => a - b) },
 * ], { rounds: 3, span: 2 });
 * const ratio = results[1]!.milliseconds / results[0]!.milliseconds;
 * assertEquals(Number.isFinite(ratio), true);
 * ```
 */
export function profileTurns(
  subjects: readonly ProfileSubject[],
  options: TurnOptions = {},
): Promise<Profile[]> {
  return takeTurns(subjects, options, HOST_CLOCK);
}

/** {@linkcode profileTurns} by a given clock. */
export async function takeTurns(
  subjects: readonly ProfileSubject[],
  options: TurnOptions,
  host: HostClock,
): Promise<Profile[]> {
  requireOptions(options, ["rounds", "span", "signal"], "profile");
  const { rounds = 9, span = 50, signal } = options;
  requireInteger(rounds, "rounds", "profile", { min: 1, max: 1e6 });
  requireNumber(span, "span", "profile", { min: 0, max: 1e6 });
  for (const subject of subjects) requireSubject(subject);
  signal?.throwIfAborted();
  const runners: Runner[] = [];
  for (const subject of subjects) {
    const period = subject.device === undefined ? undefined : await tickPeriod(subject.device, host);
    const runner = new Runner(subject, period, host);
    await runner.prepare(span, signal);
    runners.push(runner);
  }
  for (let round = 0; round < rounds; round++) {
    // In changing order, as each leaves caches and frequencies to the next as they suit itself.
    for (const runner of round % 2 === 0 ? runners : runners.toReversed()) {
      signal?.throwIfAborted();
      await runner.time();
    }
  }
  const profiles: Profile[] = [];
  for (const runner of runners) profiles.push(await runner.result());
  return profiles;
}

const roofs = new WeakMap<Device, Promise<Roof>>();

/**
 * What a device can do at most, measured there once: the rate of a plain copy and that of plain
 * multiply-adds, in their fastest rounds. On the CPU it is what JavaScript can do. It needs 128 MiB for the
 * copy and takes about a second.
 *
 * @example
 * ```ts
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { measureRoof } from "./profile.ts";
 * import { assert, assertStrictEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * const roof = await measureRoof(device);
 * assert(roof.gigabytesPerSecond > 0 && roof.gigaopsPerSecond > 0);
 * assertStrictEquals(await measureRoof(device), roof); // measured once
 * ```
 */
export function measureRoof(device: Device): Promise<Roof> {
  return roofOf(device, HOST_CLOCK);
}

function roofOf(device: Device, host: HostClock): Promise<Roof> {
  let roof = roofs.get(device);
  if (roof === undefined) {
    roof = timeRoof(device, host);
    roofs.set(device, roof);
    roof.catch(() => roofs.delete(device));
  }
  return roof;
}

/** Beyond most caches. */
const COPIED_WORDS = 2 ** 24;

async function timeRoof(device: Device, host: HostClock): Promise<Roof> {
  // Enough to fill any GPU; a host's single thread would take seconds.
  const [threads, turns] = device.kind === "webgpu" ? [2 ** 18, 64] : [2 ** 10, 64];
  const count = COPIED_WORDS;
  using input = device.allocate(count, "roof");
  using output = device.allocate(count, "roof");
  // Memory that was never written may be one page of zeros, which caches hold.
  device.copy(output, input);
  const [copy, compute] = await takeTurns(
    [
      { device, call: () => device.run(copyWords, { input, output, count }) },
      { device, call: () => device.run(multiplyAdd, { output, threads, turns }) },
    ],
    { rounds: 5 },
    host,
  );
  return {
    gigabytesPerSecond: 2 * 4 * count / copy!.low / 1e6,
    gigaopsPerSecond: threads * turns * MULTIPLY_ADD_OPERATIONS / compute!.low / 1e6,
  };
}

function requireSubject({ call, bytes, operations }: ProfileSubject): void {
  requireFunction(call, "call", "profile");
  for (const [name, value] of Object.entries({ bytes, operations })) {
    if (value !== undefined) requireNumber(value, name, "profile", { min: 0, max: Number.MAX_VALUE });
  }
}

/** Kernel calls that a WebGPU device hands over together at the latest. */
const MAX_BATCH_DISPATCHES = 256;
/** Memory that calls may free and that stays occupied until their submission. */
const MAX_BATCH_BYTES = 2 ** 28;
/** Submissions in a turn: each takes two of a timeline's 4096 marks. */
const MAX_BATCHES = 2048;
const MAX_CALLS = 2 ** 16;

/** What a turn took and did, in all of its calls. */
interface Turn {
  /** Milliseconds on the host's clock. */
  readonly elapsed: number;
  /** Milliseconds of a wait for nothing right before. */
  readonly idle: number;
  /** `undefined` without a clock or if its marks are impossible. */
  readonly gpu: number | undefined;
  readonly dispatches: number;
  readonly readbacks: number;
  readonly arrays: number;
  /** Bytes on the device that the last submission occupied beyond those before it. */
  readonly bytes: number;
}

/** A subject with the number of calls that its turns have, and the times they took. */
class Runner {
  readonly #subject: ProfileSubject;
  #period: number | undefined;
  readonly #host: HostClock;
  /** Calls in a turn. */
  #calls = 1;
  /** Calls in a submission. */
  #batch = 1;
  readonly #turns: Turn[] = [];

  constructor(subject: ProfileSubject, period: number | undefined, host: HostClock) {
    this.#subject = subject;
    this.#period = period;
    this.#host = host;
  }

  /** Compiles, and finds how many calls make a turn. */
  async prepare(span: number, signal: AbortSignal | undefined): Promise<void> {
    await this.#turn(1);
    signal?.throwIfAborted();
    let turn = await this.#turn(1);
    if (turn.arrays > 0) {
      throw new TypeError(
        `Cannot profile as a call leaves ${turn.arrays} more arrays on the device than it found: ` +
          "dispose of them, or let it return what is to be disposed of",
      );
    }
    this.#batch = Math.max(
      1,
      Math.floor(
        Math.min(
          MAX_BATCH_DISPATCHES / Math.max(1, turn.dispatches),
          MAX_BATCH_BYTES / Math.max(1, turn.bytes),
        ),
      ),
    );
    const most = Math.min(MAX_CALLS, MAX_BATCHES * this.#batch);
    let calls = 1;
    // What is left when the wait is taken out may be negative where there is next to nothing to do.
    while (Math.max(0, turn.elapsed - turn.idle) < span / 4 && calls < most) {
      signal?.throwIfAborted();
      calls = Math.min(most, calls * 8);
      turn = await this.#turn(calls);
    }
    const perCall = Math.max(turn.elapsed - turn.idle, 1e-6) / calls;
    this.#calls = Math.max(1, Math.min(most, Math.ceil(span / perCall)));
  }

  /** Times a turn. */
  async time(): Promise<void> {
    this.#turns.push(await this.#turn(this.#calls));
  }

  /** What the turns say together. */
  async result(): Promise<Profile> {
    const { device, bytes, operations } = this.#subject;
    const calls = this.#calls;
    const turns = this.#turns;
    // The median, as a wait that was disturbed would make the work after it look short.
    const idle = percentile(turns.map((turn) => turn.idle), 0.5);
    const wall = turns.map((turn) => Math.max(0, turn.elapsed - idle) / calls);
    const gpu = turns.flatMap((turn) => turn.gpu === undefined ? [] : [turn.gpu / calls]);
    const clock = gpu.length === turns.length ? "gpu" : "wall";
    const times = clock === "gpu" ? gpu : wall;
    const milliseconds = percentile(times, 0.5);
    // A call that takes no time that could be measured has no rate either.
    const rate = (amount: number | undefined) => {
      return amount === undefined || milliseconds <= 0 ? undefined : amount / milliseconds / 1e6;
    };
    const gigabytesPerSecond = rate(bytes);
    const gigaopsPerSecond = rate(operations);
    return {
      milliseconds,
      low: percentile(times, 0.1),
      high: percentile(times, 0.9),
      clock,
      wallMilliseconds: percentile(wall, 0.5),
      times,
      calls,
      dispatches: turns.at(-1)!.dispatches / calls,
      readbacks: turns.at(-1)!.readbacks / calls,
      ...(gigabytesPerSecond === undefined ? {} : { gigabytesPerSecond }),
      ...(gigaopsPerSecond === undefined ? {} : { gigaopsPerSecond }),
      ...(await this.#share(device, gigabytesPerSecond, gigaopsPerSecond)),
    };
  }

  async #share(
    device: Device | undefined,
    gigabytes: number | undefined,
    gigaops: number | undefined,
  ): Promise<{ roofShare?: number }> {
    if (device === undefined || (gigabytes === undefined && gigaops === undefined)) return {};
    const roof = await roofOf(device, this.#host);
    return {
      roofShare: Math.max(
        (gigabytes ?? 0) / roof.gigabytesPerSecond,
        (gigaops ?? 0) / roof.gigaopsPerSecond,
      ),
    };
  }

  async #turn(calls: number): Promise<Turn> {
    const { device } = this.#subject;
    return await (device === undefined ? this.#turnElsewhere(calls) : this.#turnOn(device, calls));
  }

  async #turnElsewhere(calls: number): Promise<Turn> {
    const { finish } = this.#subject;
    const waiting = this.#host.now();
    await finish?.();
    const start = this.#host.now();
    await this.#repeat(calls);
    await finish?.();
    const elapsed = this.#host.now() - start;
    return {
      elapsed,
      idle: start - waiting,
      gpu: undefined,
      dispatches: 0,
      readbacks: 0,
      arrays: 0,
      bytes: 0,
    };
  }

  async #turnOn(device: Device, calls: number): Promise<Turn> {
    using owned = new DisposableStack();
    const word = owned.use(device.allocate(1, "wait"));
    const batches = Math.ceil(calls / this.#batch);
    const timeline = this.#period === undefined ? undefined : owned.use(device.timeline(2 * batches));
    const waiting = this.#host.now();
    await device.read([word]);
    const idle = this.#host.now() - waiting;
    const before = device.counters;
    let bytes = 0;
    const start = this.#host.now();
    for (let done = 0; done < calls; done += this.#batch) {
      const { liveBytes } = device.counters;
      timeline?.mark();
      await this.#repeat(Math.min(this.#batch, calls - done));
      timeline?.mark();
      bytes = device.counters.liveBytes - liveBytes;
      device.flush();
    }
    const after = device.counters;
    const ticks = timeline === undefined ? [] : await readTicks(timeline, device);
    if (timeline === undefined) await device.read([word]);
    const elapsed = this.#host.now() - start;
    return {
      elapsed,
      idle,
      gpu: this.#gpuTime(device, ticks, elapsed),
      dispatches: after.dispatches - before.dispatches,
      readbacks: after.readbacks - before.readbacks,
      arrays: after.liveArrays - before.liveArrays,
      bytes,
    };
  }

  /** Milliseconds between the marks of each submission, in sum. */
  #gpuTime(device: Device, ticks: readonly bigint[], elapsed: number): number | undefined {
    if (this.#period === undefined) return undefined;
    let sum = 0;
    for (let i = 0; i + 1 < ticks.length; i += 2) {
      const passed = Number(ticks[i + 1]! - ticks[i]!) * this.#period;
      if (passed < 0) sum = Infinity;
      sum += passed;
    }
    // Work cannot take longer than the time until its end was known. A clock that says so was reset, or never
    // was one.
    if (sum <= elapsed * 1.05) return sum;
    this.#period = undefined;
    distrustTicks(device);
    return undefined;
  }

  async #repeat(calls: number): Promise<void> {
    for (let i = 0; i < calls; i++) {
      let result = this.#subject.call();
      if (result instanceof Promise) result = await result;
      if (isDisposable(result)) result[Symbol.dispose]();
    }
  }
}

function isDisposable(value: unknown): value is DeviceArray | Disposable {
  return typeof value === "object" && value !== null && Symbol.dispose in value;
}

/** The value below which a share of some numbers lies, between neighbours in proportion. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)]!;
  const above = sorted[Math.ceil(place)]!;
  return below + (above - below) * (place - Math.floor(place));
}
