import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Device, Kernel } from "../../../kernels/device/device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { tickLength, tickPeriod } from "../../../kernels/profile/gpu_clock.ts";
import {
  measureRoof,
  percentile,
  type Profile,
  profile,
  type ProfileOptions,
  profileTurns,
  takeTurns,
} from "../../../kernels/profile/profile.ts";
import { copyWords, MULTIPLY_ADD_OPERATIONS, multiplyAdd } from "../../../kernels/profile/roof.ts";
import { testOnDevices, testOnGpu } from "../../devices.ts";
import { FakeGpu, type FakeGpuOptions } from "../device/fake_gpu.ts";

const job: Kernel<undefined> = {
  name: "job",
  wgsl: "",
  plan: () => ({ arrays: [], parameters: [], workgroups: [1, 1, 1] }),
  twin: () => {},
};

/** A job of 0.25 ms on a GPU where a copy takes 2 ms and the multiply-adds take 1 ms. */
const COSTS = { job: 0.25, copy: 2, fma: 1 };

async function profileJob(options: Partial<FakeGpuOptions>, work: ProfileOptions = {}): Promise<Profile> {
  const gpu = new FakeGpu({ costs: COSTS, ...options });
  const { rounds = 4, span = 20, ...rest } = work;
  const subject = { device: gpu, call: () => gpu.run(job), ...rest };
  const [result] = await takeTurns([subject], { rounds, span }, gpu.host);
  assertEquals(gpu.counters.liveArrays, 0);
  return result!;
}

Deno.test("takeTurns: on the GPU's clock, a call takes what the GPU takes, and the wait is in neither time", async () => {
  // To the host, each takes 0.26 ms, of which 77 make 20 ms.
  const result = await profileJob({ recording: 0.01 });
  assertEquals(result.clock, "gpu");
  assertEquals(result.calls, 77);
  assertEquals(result.times.length, 4);
  for (const time of [result.milliseconds, result.low, result.high, ...result.times]) {
    assertAlmostEquals(time, 0.25, 1e-9);
  }
  // The GPU begins when all of the 77 are recorded.
  assertAlmostEquals(result.wallMilliseconds, 0.26, 1e-9);
  assertEquals(result.dispatches, 1);
  assertEquals(result.readbacks, 0);
});

Deno.test("takeTurns: calls that take longer to record than to do are told apart from slow kernels", async () => {
  const result = await profileJob({ recording: 0.5 });
  assertAlmostEquals(result.milliseconds, 0.25, 1e-9);
  assert(result.wallMilliseconds >= 0.5 && result.wallMilliseconds < 0.76, String(result.wallMilliseconds));
});

Deno.test("takeTurns: ticks of any length are turned into milliseconds", async () => {
  // Nanoseconds of NVIDIA and Mesa, 10 ns of AMD, 52.08 and 83.33 ns of Intel, and a clock that started long
  // ago.
  for (const length of [1, 10, 1000 / 19.2, 1000 / 12]) {
    const gpu = new FakeGpu({
      costs: COSTS,
      ticks: (time) => 2n ** 40n + BigInt(Math.round(time * 1e6 / length)),
    });
    const period = await tickPeriod(gpu, gpu.host);
    assertAlmostEquals(period! / (length * 1e-6), 1, 1e-4);
    const call = () => gpu.run(job);
    const [result] = await takeTurns([{ device: gpu, call }], { rounds: 3, span: 20 }, gpu.host);
    assertEquals(result!.clock, "gpu");
    assertAlmostEquals(result!.milliseconds, 0.25, 1e-4);
  }
});

Deno.test("takeTurns: ticks that are no clock are not believed", async () => {
  const useless: Record<string, (time: number, submitted: number) => bigint> = {
    "always zero": () => 0n,
    "the moment of submission, not of the work": (_, submitted) => BigInt(Math.round(submitted * 1e6)),
    "a random number": (time) => BigInt(Math.round((Math.sin(time) + 2) * 1e9)),
    "backwards": (time) => 2n ** 50n - BigInt(Math.round(time * 1e6)),
  };
  for (const [name, ticks] of Object.entries(useless)) {
    const result = await profileJob({ ticks });
    assertEquals(result.clock, "wall", name);
    assertAlmostEquals(result.milliseconds, 0.25, 1e-9, name);
    assertEquals(result.milliseconds, result.wallMilliseconds, name);
  }
});

Deno.test("profile: a clock that goes wrong later is given up, for this profile and those after it", async () => {
  let jump = 0;
  const gpu = new FakeGpu({ costs: COSTS, ticks: (time) => BigInt(Math.round(time * (1 + jump) * 1e6)) });
  assertEquals(await tickPeriod(gpu, gpu.host), 1e-6);
  let calls = 0;
  const call = () => {
    gpu.run(job);
    if (++calls === 200) jump = 100;
  };
  const subject = { device: gpu, call };
  const [result] = await takeTurns([subject], { rounds: 5, span: 20 }, gpu.host);
  assert(calls > 200);
  assertEquals(result!.clock, "wall");
  assertAlmostEquals(result!.milliseconds, 0.25, 1e-9);
  assertEquals(await tickPeriod(gpu, gpu.host), undefined);
});

Deno.test("takeTurns: without timestamps, the host's clock less the wait", async () => {
  for (const wait of [0, 11, 100]) {
    const result = await profileJob({ timestamps: false, wait });
    assertEquals(result.clock, "wall");
    assertAlmostEquals(result.milliseconds, 0.25, 1e-9);
  }
});

Deno.test("takeTurns: rates are of what a call has to do, beside what the device does at most", async () => {
  // 2^20 bytes in 0.25 ms; the roof copies 2 * 2^26 bytes in 2 ms.
  const moved = await profileJob({}, { bytes: 2 ** 20 });
  assertAlmostEquals(moved.gigabytesPerSecond!, 2 ** 20 / 0.25e-3 / 1e9, 1e-6);
  assertAlmostEquals(moved.roofShare!, (2 ** 20 / 0.25) / (2 ** 27 / 2), 1e-6);
  assertEquals(moved.gigaopsPerSecond, undefined);
  // 2^18 threads of 64 turns of 512 operations in 1 ms.
  const computed = await profileJob({}, { operations: 1e6 });
  assertAlmostEquals(computed.gigaopsPerSecond!, 4, 1e-6);
  assertAlmostEquals(computed.roofShare!, 1e6 / 0.25 / (2 ** 24 * 512), 1e-6);
  assertEquals(computed.gigabytesPerSecond, undefined);
  // The nearer roof counts.
  const both = await profileJob({}, { bytes: 2 ** 20, operations: 1e6 });
  assertEquals(both.roofShare, Math.max(moved.roofShare!, computed.roofShare!));
  const neither = await profileJob({});
  assertEquals([neither.gigabytesPerSecond, neither.gigaopsPerSecond, neither.roofShare], [
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("takeTurns: a device's roof is measured once", async () => {
  const gpu = new FakeGpu({ costs: COSTS });
  const work = () =>
    takeTurns([{ device: gpu, call: () => gpu.run(job), bytes: 1 }], { rounds: 1 }, gpu.host);
  await work();
  const copies = gpu.log.filter((name) => name === "copy").length;
  assert(copies > 0);
  await work();
  assertEquals(gpu.log.filter((name) => name === "copy").length, copies);
});

Deno.test("takeTurns: a call that takes no time has no rate", async () => {
  const result = await profileJob({ costs: { ...COSTS, job: 0 } }, { bytes: 100, span: 1 });
  assertEquals(result.milliseconds, 0);
  assertEquals(result.gigabytesPerSecond, undefined);
  assertEquals(result.roofShare, undefined);
});

Deno.test("takeTurns: subjects take turns, in changing order", async () => {
  const gpu = new FakeGpu({ costs: { ...COSTS, job: 30 } });
  const named = (name: string) => ({ device: gpu, call: () => gpu.run({ ...job, name }) });
  await tickPeriod(gpu, gpu.host);
  gpu.log.length = 0;
  const options = { rounds: 3, span: 0 };
  const results = await takeTurns([named("a"), named("b"), named("c")], options, gpu.host);
  assertEquals(results.map(({ calls }) => calls), [1, 1, 1]);
  // Each is first called twice by itself: to compile, and to see how long it takes.
  assertEquals(gpu.log.join(""), "aabbcc" + "abc" + "cba" + "abc");
});

Deno.test("takeTurns: low and high are percentiles of the rounds", async () => {
  const costs = { ...COSTS, job: 0 };
  const gpu = new FakeGpu({ costs });
  await tickPeriod(gpu, gpu.host);
  let calls = 0;
  const call = () => {
    // Two calls before the rounds, then 1 to 11 ms.
    costs.job = Math.max(1, ++calls - 2);
    gpu.run(job);
  };
  const [result] = await takeTurns([{ device: gpu, call }], { rounds: 11, span: 0 }, gpu.host);
  assertEquals(result!.times.map(Math.round), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assertAlmostEquals(result!.low, 2, 1e-9);
  assertAlmostEquals(result!.milliseconds, 6, 1e-9);
  assertAlmostEquals(result!.high, 10, 1e-9);
});

Deno.test("takeTurns: a wait that was disturbed does not make the work after it look short", async () => {
  const gpu = new FakeGpu({ costs: COSTS, timestamps: false });
  const read = gpu.read.bind(gpu);
  let reads = 0;
  gpu.read = (arrays) => {
    // Each turn waits twice: for nothing, then for the work. The first of these lasts longer in every third
    // turn.
    if (reads++ % 6 === 0) gpu.time += 60;
    return read(arrays);
  };
  const subject = { device: gpu, call: () => gpu.run(job) };
  const [result] = await takeTurns([subject], { rounds: 15, span: 20 }, gpu.host);
  for (const time of result!.times) assertAlmostEquals(time, 0.25, 1e-9);
});

Deno.test("takeTurns: at most 256 kernels are handed over together, and calls are kept whole", async () => {
  for (const [kernels, largest] of [[1, 256], [100, 200], [300, 300]] as const) {
    // The GPU waits for the host between submissions, which is not in its time.
    const gpu = new FakeGpu({ costs: { ...COSTS, job: 0.001 }, recording: 0.002 });
    const call = () => {
      for (let i = 0; i < kernels; i++) gpu.run(job);
    };
    const [result] = await takeTurns([{ device: gpu, call }], { rounds: 1, span: 5 }, gpu.host);
    assertEquals(gpu.largestSubmission, largest);
    assertEquals(result!.dispatches, kernels);
    assertAlmostEquals(result!.milliseconds, kernels * 0.001, 1e-9);
  }
});

Deno.test("takeTurns: what calls free does not pile up until the submission", async () => {
  for (const [scratch, largest] of [[2 ** 20, 256], [2 ** 22, 64], [2 ** 30, 1]] as const) {
    const gpu = new FakeGpu({ costs: { ...COSTS, job: 0.01 }, scratch });
    await tickPeriod(gpu, gpu.host);
    gpu.largestSubmission = 0;
    await takeTurns([{ device: gpu, call: () => gpu.run(job) }], { rounds: 1, span: 10 }, gpu.host);
    assertEquals(gpu.largestSubmission, largest);
  }
});

Deno.test("takeTurns: work elsewhere is timed on the host's clock, without its wait", async () => {
  let time = 0;
  let pending = 0;
  const host = { now: () => time, pause: () => Promise.resolve() };
  const call = async () => {
    pending += 0.5;
    await Promise.resolve();
  };
  const finish = () => {
    time += pending + 7;
    pending = 0;
    return Promise.resolve();
  };
  const [result] = await takeTurns([{ call, finish, bytes: 500 }], { rounds: 3, span: 10 }, host);
  assertEquals(result!.clock, "wall");
  assertAlmostEquals(result!.milliseconds, 0.5, 1e-9);
  assertEquals(result!.calls, 20);
  assertAlmostEquals(result!.gigabytesPerSecond!, 1e-3, 1e-9);
  assertEquals(result!.roofShare, undefined);
});

Deno.test("percentile: numbers between which a share of others lies", () => {
  assertEquals(percentile([3, 1, 2], 0.5), 2);
  assertEquals(percentile([4, 1, 2, 3], 0.5), 2.5);
  assertEquals(percentile([10, 20], 0.1), 11);
  assertEquals(percentile([5], 0.9), 5);
});

Deno.test("tickLength: the length of a tick is found although some marks come late", () => {
  const moments = [0, 20, 40, 60, 80, 100, 120, 140, 160];
  const marks = (length: number, late: (i: number) => number) => {
    return moments.map((moment, i) => BigInt(Math.round((moment + late(i)) * 1e6 / length)));
  };
  assertEquals(tickLength(moments, marks(1, () => 0.3)), 1e-6);
  assertAlmostEquals(tickLength(moments, marks(52.08, (i) => i === 4 ? 9 : 0))!, 52.08e-6, 1e-9);
  // Within a percent, it is a nanosecond.
  assertEquals(tickLength(moments, marks(1.008, () => 0)), 1e-6);
  assertAlmostEquals(tickLength(moments, marks(1.012, () => 0))!, 1.012e-6, 1e-9);
  assertEquals(tickLength(moments, marks(1, (i) => i === 8 ? -30 : 0)), undefined);
  // Ticks that grow, but not with time.
  assertEquals(tickLength(moments, marks(1, (i) => 10 * i * i)), undefined);
});

/** Keeps a device's counters as they are now. */
function watch(device: Device): () => void {
  const { liveArrays, liveBytes } = device.counters;
  return () => {
    device.flush();
    assertEquals(device.counters.liveArrays, liveArrays);
    assertEquals(device.counters.liveBytes, liveBytes);
  };
}

testOnDevices("profile counts what a call does and leaves nothing behind", async (device) => {
  using input = device.upload(new Float32Array(64).fill(2));
  using output = device.allocate(64);
  const unchanged = watch(device);
  const { dispatches } = device.counters;
  let calls = 0;
  const call = () => {
    calls++;
    for (let i = 0; i < 3; i++) device.run(copyWords, { input, output, count: 64 });
  };
  const result = await profile(device, call, { rounds: 2, span: 1 });
  unchanged();
  assertEquals(result.dispatches, 3);
  assertEquals(result.readbacks, 0);
  assertEquals(result.times.length, 2);
  assert(result.low <= result.milliseconds && result.milliseconds <= result.high);
  assert(result.milliseconds >= 0 && result.wallMilliseconds >= 0);
  // The rest is the test of the clock, which runs once.
  assert(device.counters.dispatches - dispatches >= 3 * calls);
  assertEquals([...await readFloats(output)], Array(64).fill(2));
});

testOnDevices(
  "profile: what a call returns is disposed of, at once or when its promise resolves",
  async (device) => {
    const unchanged = watch(device);
    await profile(device, () => device.allocate(1000), { rounds: 2, span: 1 });
    unchanged();
    const later = async () => {
      await Promise.resolve();
      return device.allocate(1000);
    };
    await profile(device, later, { rounds: 2, span: 0 });
    unchanged();
  },
);

testOnDevices("profile: calls that wait for data are counted", async (device) => {
  using array = device.allocate(4);
  const call = async () => {
    await device.read([array]);
    await device.read([array]);
  };
  assertEquals((await profile(device, call, { rounds: 1, span: 0 })).readbacks, 2);
});

testOnDevices("profile: a call that leaves arrays behind is refused", async (device) => {
  using leaked = new DisposableStack();
  const call = () => void leaked.use(device.allocate(4));
  const error = await assertRejects(() => profile(device, call), TypeError);
  assertEquals(
    error.message,
    "Cannot profile as a call leaves 1 more arrays on the device than it found: " +
      "dispose of them, or let it return what is to be disposed of",
  );
});

testOnDevices("profile: a call that throws leaves the device usable and nothing on it", async (device) => {
  using input = device.upload(new Float32Array([1, 2, 3, 4]));
  using output = device.allocate(4);
  const unchanged = watch(device);
  for (const fatal of [1, 2, 3, 9]) {
    let calls = 0;
    const call = () => {
      device.run(copyWords, { input, output, count: 4 });
      if (++calls === fatal) throw new Error(`Call ${fatal} failed`);
    };
    await assertRejects(() => profile(device, call, { rounds: 10, span: 1 }), Error, `Call ${fatal} failed`);
    unchanged();
  }
  const failing = () => profile(device, () => Promise.reject(new Error("Later")), { rounds: 1, span: 0 });
  await assertRejects(failing, Error, "Later");
  unchanged();
  const result = await profile(device, () => device.run(copyWords, { input, output, count: 4 }), {
    rounds: 1,
    span: 0,
  });
  assertEquals(result.dispatches, 1);
  assertEquals([...await readFloats(output)], [1, 2, 3, 4]);
});

testOnDevices("profileTurns: a hundred times the work takes longer, by either clock", async (device) => {
  using output = device.allocate(2 ** 12);
  const work = (turns: number) => ({
    device,
    call: () => device.run(multiplyAdd, { output, threads: 2 ** 12, turns }),
  });
  const [little, much] = await profileTurns([work(2), work(200)], { rounds: 3, span: 2 });
  assert(much!.milliseconds > 3 * little!.milliseconds, `${much!.milliseconds}, ${little!.milliseconds}`);
  assert(much!.wallMilliseconds > little!.wallMilliseconds);
});

testOnDevices(
  "measureRoof: the roof is positive, the same for all who ask, and leaves nothing behind",
  async (device) => {
    const unchanged = watch(device);
    const roof = await measureRoof(device);
    unchanged();
    assert(roof.gigabytesPerSecond > 0 && Number.isFinite(roof.gigabytesPerSecond));
    assert(roof.gigaopsPerSecond > 0 && Number.isFinite(roof.gigaopsPerSecond));
    assert(await measureRoof(device) === roof);
  },
);

testOnDevices("copyWords: the kernels of the roof do what is counted", async (device) => {
  const count = 4 * 300;
  using input = device.upload(Float32Array.from({ length: count }, (_, i) => i));
  using output = device.allocate(count);
  device.run(copyWords, { input, output, count });
  assertEquals(await readFloats(output), await readFloats(input));
  // x -> x * m + m, 32 times a turn, for eight values from m to 8 m.
  const threads = 100;
  using sums = device.allocate(threads);
  device.run(multiplyAdd, { output: sums, threads, turns: 1 });
  const found = await readFloats(sums);
  for (let thread = 0; thread < threads; thread++) {
    const m = 0.5 + thread * 2 ** -24;
    let wanted = 0;
    for (let start = 1; start <= 8; start++) {
      let x = start * m;
      for (let step = 0; step < 32; step++) x = x * m + m;
      wanted += x;
    }
    // Each step halves what was off before and adds half an ULP of a value near 1; eight are summed.
    assertAlmostEquals(found[thread]!, wanted, 8 * 2 ** -22);
  }
  assertEquals(MULTIPLY_ADD_OPERATIONS, 32 * 8 * 2);
});

testOnDevices("copyWords: the roof's kernels refuse arguments that do not fit", (device) => {
  using array = device.allocate(8);
  using other = device.allocate(8);
  const copy = (count: number) => () => device.run(copyWords, { input: array, output: other, count });
  assertThrows(copy(6), RangeError, "Cannot copy words as count / 4 must be an integer >= 0");
  assertThrows(copy(12), RangeError, 'Cannot copy words as "array" must hold at least 12 words: it holds 8');
  const add = (threads: number, turns: number) => () =>
    device.run(multiplyAdd, { output: array, threads, turns });
  assertThrows(add(9, 1), RangeError, 'Cannot multiply and add as "array" must hold at least 9 words');
  assertThrows(
    add(0, 1),
    RangeError,
    "Cannot multiply and add as threads must be an integer from 1 to 4194240",
  );
  assertThrows(
    add(8, 65535),
    RangeError,
    "Cannot multiply and add as turns must be an integer from 1 to 65534",
  );
});

testOnGpu(
  "profile: the GPU's clock agrees with the host's about work of many milliseconds",
  async (device) => {
    if (await tickPeriod(device) === undefined) return;
    using output = device.allocate(2 ** 18);
    const call = () => device.run(multiplyAdd, { output, threads: 2 ** 18, turns: 64 });
    const result = await profile(device, call, { rounds: 3, span: 60 });
    assertEquals(result.clock, "gpu");
    // The host may be kept from noticing, but the GPU cannot take longer than the host waits for it.
    assert(result.milliseconds < 1.5 * result.wallMilliseconds, JSON.stringify(result));
    assert(result.milliseconds > 0.2 * result.wallMilliseconds, JSON.stringify(result));
  },
);

Deno.test("profile: a signal ends the measurement", async () => {
  using device = new CpuDevice();
  const reason = new Error("Enough");
  const aborted = AbortSignal.abort(reason);
  let calls = 0;
  await assertRejects(() => profile(device, () => void calls++, { signal: aborted }), Error, "Enough");
  assertEquals(calls, 0);
  for (const last of [1, 2, 5]) {
    const controller = new AbortController();
    let calls = 0;
    const call = () => {
      if (++calls === last) controller.abort(reason);
    };
    const options = { rounds: 10, span: 0, signal: controller.signal };
    await assertRejects(() => profile(device, call, options), Error, "Enough");
    assertEquals(calls, last);
    assertEquals(device.counters.liveArrays, 0);
  }
});

Deno.test("profile: bad options are refused before anything is called", async () => {
  using device = new CpuDevice();
  let calls = 0;
  const call = () => void calls++;
  const refused = async (options: unknown, wanted: typeof TypeError | typeof RangeError, message: string) => {
    const error = await assertRejects(() => profile(device, call, options as ProfileOptions), wanted);
    assertEquals((error as Error).message, message);
  };
  await refused(
    { round: 3 },
    TypeError,
    'Cannot profile as the option "round" is unknown: options are rounds, span, signal, bytes, operations',
  );
  await refused(
    { rounds: 0 },
    RangeError,
    "Cannot profile as rounds must be an integer from 1 to 1000000: current value is 0",
  );
  await refused(
    { rounds: "3" },
    TypeError,
    'Cannot profile as rounds must be a number: current value is "3"',
  );
  await refused(
    { span: -1 },
    RangeError,
    "Cannot profile as span must be from 0 to 1000000: current value is -1",
  );
  await refused(
    { bytes: NaN },
    RangeError,
    "Cannot profile as bytes must be from 0 to 1.7976931348623157e+308: current value is NaN",
  );
  await refused(
    { operations: "many" },
    TypeError,
    'Cannot profile as operations must be a number: current value is "many"',
  );
  const noCall = () => profile(device, undefined as unknown as () => void);
  const error = await assertRejects(noCall, TypeError);
  assertEquals(error.message, "Cannot profile as call must be a function: current value is undefined");
  assertEquals(calls, 0);
  assertEquals(await profileTurns([]), []);
});
