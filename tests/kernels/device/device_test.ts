import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice, words } from "../../../kernels/device/cpu_device.ts";
import {
  type Device,
  type DeviceArray,
  type DeviceCounters,
  type Kernel,
  readFloats,
  readWords,
  spread,
} from "../../../kernels/device/device.ts";
import { DeviceLostError, NoAdapterError, ShaderCompilationError } from "../../../kernels/device/errors.ts";
import { WebGpuDevice } from "../../../kernels/device/webgpu_device.ts";
import { testOnDevices, testOnGpu } from "../../devices.ts";

/** Multiplies and adds, so that the order of calls shows: `words = words * factor + term`. */
const affine: Kernel<{ target: DeviceArray; factor: number; term: number; count?: number }> = {
  name: "affine",
  wgsl: `
    struct Parameters { count: u32, factor: u32, term: u32 }
    @group(0) @binding(0) var<uniform> parameters: Parameters;
    @group(0) @binding(1) var<storage, read_write> target_words: array<u32>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < parameters.count) {
        target_words[id.x] = target_words[id.x] * parameters.factor + parameters.term;
      }
    }`,
  plan: ({ target, factor, term, count = target.length }) => ({
    arrays: [target],
    parameters: [["u32", count], ["u32", factor], ["u32", term]],
    workgroups: [Math.ceil(count / 64), 1, 1],
  }),
  twin({ target, factor, term, count = target.length }) {
    const all = words(target);
    for (let i = 0; i < count; i++) all[i] = Math.imul(all[i]!, factor) + term;
  },
};

/** Stores one parameter of each kind and one constant. */
const stored: Kernel<{ target: DeviceArray; constants?: Record<string, number> }> = {
  name: "stored",
  wgsl: `
    override constant: u32 = 5u;
    struct Parameters { a: u32, b: i32, c: f32, d: u32, e: u32 }
    @group(0) @binding(0) var<uniform> parameters: Parameters;
    @group(0) @binding(1) var<storage, read_write> target_words: array<u32>;
    @compute @workgroup_size(1)
    fn main() {
      target_words[0] = parameters.a;
      target_words[1] = bitcast<u32>(parameters.b);
      target_words[2] = bitcast<u32>(parameters.c);
      target_words[3] = parameters.d + parameters.e;
      target_words[4] = constant;
    }`,
  overrides: { constant: [5, 9] },
  plan: ({ target, constants }) => ({
    arrays: [target],
    parameters: [["u32", 0xfffffffe], ["i32", -2], ["f32", 0.1], ["u32", 1], ["u32", 2]],
    workgroups: [1, 1, 1],
    ...(constants === undefined ? {} : { constants }),
  }),
  twin: () => {},
};

/** A kernel with the given WGSL, which has no twin. */
function shader(name: string, wgsl: string): Kernel<{ target: DeviceArray }> {
  return {
    name,
    wgsl,
    plan: ({ target }) => ({ arrays: [target], parameters: [["u32", 1]], workgroups: [1, 1, 1] }),
    twin: () => {},
  };
}

const broken = shader(
  "broken",
  "@group(0) @binding(0) var<uniform> p: u32;\n@compute @workgroup_size(1)\nfn main() { let x = nowhere; }",
);

/** What `after` counts more than `before`. */
function difference(before: DeviceCounters, after: DeviceCounters): DeviceCounters {
  return {
    readbacks: after.readbacks - before.readbacks,
    bytesRead: after.bytesRead - before.bytesRead,
    dispatches: after.dispatches - before.dispatches,
    liveArrays: after.liveArrays - before.liveArrays,
    liveBytes: after.liveBytes - before.liveBytes,
  };
}

const sequence = (length: number, start = 1): Uint32Array<ArrayBuffer> =>
  Uint32Array.from({ length }, (_, i) => start + i);

testOnDevices("Device: arrays of any length come back as they went", async (device) => {
  for (const length of [0, 1, 2, 3, 4, 5, 31, 63, 1000, 4097]) {
    using zeroed = device.allocate(length);
    using integers = device.upload(sequence(length));
    using fractions = device.upload(Float32Array.from({ length }, (_, i) => i / 3));
    assertEquals(zeroed.length, length);
    const [zeros, whole, thirds] = await device.read([zeroed, integers, fractions]);
    assertEquals(zeros, new Uint32Array(length));
    assertEquals(whole, sequence(length));
    assertEquals(new Float32Array(thirds!.buffer), Float32Array.from({ length }, (_, i) => i / 3));
  }
});

testOnDevices("Device: bits survive, also those of NaN", async (device) => {
  const bits = new Uint32Array([0x7f800001, 0xffc00123, 0x80000000, 1, 0xffffffff]);
  using array = device.upload(bits);
  using copied = device.allocate(5);
  device.copy(array, copied);
  assertEquals(await readWords(copied), bits);
});

testOnDevices("Device: upload and write take views with an offset and copy at once", async (device) => {
  const data = sequence(10);
  using array = device.upload(data.subarray(3, 6));
  using floats = device.upload(new Float32Array([9, 8, 7]).subarray(1));
  device.write(array, data.subarray(9), 1);
  data.fill(0);
  const [a, b] = await device.read([array, floats]);
  assertEquals([...a!], [4, 10, 6]);
  assertEquals([...new Float32Array(b!.buffer)], [8, 7]);
});

testOnDevices("Device: what was read belongs to the reader", async (device) => {
  using array = device.upload(sequence(3));
  const [first, again] = await device.read([array, array]);
  first!.fill(0);
  assertEquals([...again!], [1, 2, 3]);
  assertEquals([...await readWords(array)], [1, 2, 3]);
});

testOnDevices("Device: writes at odd offsets touch nothing else", async (device) => {
  for (const [length, offset, count] of [[5, 1, 3], [7, 6, 1], [7, 7, 0], [9, 0, 9], [3, 2, 0]] as const) {
    using array = device.upload(sequence(length));
    device.write(array, new Uint32Array(count).fill(99), offset);
    assertEquals(await readWords(array), sequence(length).fill(99, offset, offset + count));
  }
});

testOnDevices("Device: copies at odd offsets touch nothing else", async (device) => {
  using source = device.upload(sequence(9));
  for (
    const [range, expected] of [
      [{}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0]],
      [{ sourceOffset: 7 }, [8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
      [{ targetOffset: 1 }, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]],
      [{ sourceOffset: 3, targetOffset: 5, length: 1 }, [0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0]],
      [{ sourceOffset: 9, targetOffset: 11 }, Array(11).fill(0)],
      [{ length: 0 }, Array(11).fill(0)],
    ] as const
  ) {
    using target = device.allocate(11);
    device.copy(source, target, range);
    assertEquals([...await readWords(target)], [...expected]);
  }
});

testOnDevices("Device: arrays without words are arrays", async (device) => {
  using empty = device.allocate(0);
  using other = device.upload(new Float32Array(0));
  device.write(empty, new Uint32Array(0));
  device.copy(empty, other);
  device.run(affine, { target: empty, factor: 1, term: 1 });
  assertEquals(await device.read([empty, other]), [new Uint32Array(0), new Uint32Array(0)]);
  assertEquals(await device.read([]), []);
});

testOnDevices("Device: kernels, writes and copies happen in the order of the calls", async (device) => {
  using a = device.upload(new Uint32Array([1]));
  using b = device.allocate(1);
  using c = device.allocate(1);
  device.run(affine, { target: a, factor: 10, term: 2 }); // a = 12
  device.copy(a, b); // b = 12
  device.run(affine, { target: a, factor: 10, term: 3 }); // a = 123
  device.write(a, new Uint32Array([7])); // a = 7
  device.run(affine, { target: a, factor: 10, term: 4 }); // a = 74
  device.flush();
  device.copy(a, c); // c = 74
  device.write(a, new Uint32Array([5]));
  device.run(affine, { target: b, factor: 1, term: 100 }); // b = 112
  assertEquals((await device.read([a, b, c])).map((array) => array[0]), [5, 112, 74]);
});

testOnDevices("Device: any number of calls may be recorded before a readback", async (device) => {
  using array = device.allocate(3);
  let expected = 0;
  for (let i = 0; i < 700; i++) {
    device.run(affine, { target: array, factor: 3, term: i, count: 2 });
    expected = (Math.imul(expected, 3) + i) >>> 0;
  }
  assertEquals([...await readWords(array)], [expected, expected, 0]);
});

testOnDevices("Device: counters are exact", async (device) => {
  const before = device.counters;
  {
    using array = device.upload(sequence(8));
    using other = device.allocate(4);
    assertEquals(difference(before, device.counters), {
      readbacks: 0,
      bytesRead: 0,
      dispatches: 0,
      liveArrays: 2,
      liveBytes: 48,
    });
    device.run(affine, { target: array, factor: 2, term: 0 });
    device.run(affine, { target: array, factor: 2, term: 0, count: 0 }); // nothing to do
    device.run(affine, { target: other, factor: 2, term: 0 });
    device.copy(array, other, { length: 4 });
    await device.read([array, other]);
    await device.read([other]);
    assertEquals(difference(before, device.counters), {
      readbacks: 2,
      bytesRead: 64,
      dispatches: 2,
      liveArrays: 2,
      liveBytes: 48,
    });
  }
  assertEquals(difference(before, device.counters), {
    readbacks: 2,
    bytesRead: 64,
    dispatches: 2,
    liveArrays: 0,
    liveBytes: 0,
  });
});

testOnDevices("Device: an array is disposed once and refused afterwards", async (device) => {
  const before = device.counters;
  using other = device.allocate(2);
  const array = device.allocate(2, "gone");
  array[Symbol.dispose]();
  array[Symbol.dispose]();
  assertEquals(device.counters.liveArrays, before.liveArrays + 1);
  const message = 'Cannot use "gone" as it has been disposed';
  assertThrows(() => device.write(array, new Uint32Array(1)), TypeError, message);
  assertThrows(() => device.copy(array, other), TypeError, message);
  assertThrows(() => device.copy(other, array), TypeError, message);
  assertThrows(() => device.run(affine, { target: array, factor: 1, term: 1 }), TypeError, message);
  await assertRejects(() => device.read([other, array]), TypeError, message);
});

testOnDevices("Device: an array of another device is refused", async (device) => {
  using host = new CpuDevice();
  using foreign = host.allocate(2, "foreign");
  using other = device.allocate(2);
  const message = 'Cannot use "foreign" here as it belongs to another device';
  assertThrows(() => device.write(foreign, new Uint32Array(1)), TypeError, message);
  assertThrows(() => device.copy(foreign, other), TypeError, message);
  assertThrows(() => device.copy(other, foreign), TypeError, message);
  assertThrows(() => device.run(affine, { target: foreign, factor: 1, term: 1 }), TypeError, message);
  await assertRejects(() => device.read([foreign]), TypeError, message);
});

testOnGpu("WebGpuDevice: a twin refuses an array on a GPU", (device) => {
  using array = device.allocate(1, "far");
  assertThrows(() => words(array), TypeError, 'Cannot use "far" on the CPU as it belongs to a webgpu device');
});

testOnDevices("Device: a call that throws leaves no trace in what was recorded", async (device) => {
  using array = device.upload(sequence(2));
  const gone = device.allocate(2);
  gone[Symbol.dispose]();
  device.run(affine, { target: array, factor: 10, term: 0 });
  for (let i = 0; i < 300; i++) assertThrows(() => device.run(affine, { target: gone, factor: 1, term: 0 }));
  assertThrows(() => device.copy(array, gone));
  await assertRejects(() => device.read([array, gone]));
  device.run(affine, { target: array, factor: 1, term: 1 });
  assertEquals([...await readWords(array)], [11, 21]);
});

testOnDevices("Device: ranges outside an array are refused", async (device) => {
  using a = device.upload(sequence(5), "a");
  using b = device.allocate(3, "b");
  const cases: [() => void, string][] = [
    [
      () => device.write(a, new Uint32Array(2), 4),
      'Cannot write words as offset + length must be <= 5, the words of "a": offset is 4 and length is 2',
    ],
    [
      () => device.write(a, new Uint32Array(2), -1),
      "Cannot write words as offset must be an integer >= 0: current value is -1",
    ],
    [
      () => device.write(a, new Uint32Array(2), 0.5),
      "Cannot write words as offset must be an integer >= 0: current value is 0.5",
    ],
    [
      () => device.copy(a, b),
      'Cannot copy words as offset + length must be <= 3, the words of "b": offset is 0 and length is 5',
    ],
    [
      () => device.copy(b, a, { length: 4 }),
      'Cannot copy words as offset + length must be <= 3, the words of "b": offset is 0 and length is 4',
    ],
    [
      () => device.copy(a, b, { sourceOffset: 6 }),
      "Cannot copy words as length must be an integer >= 0: current value is -1",
    ],
    [
      () => device.copy(a, b, { targetOffset: NaN, length: 1 }),
      "Cannot copy words as offset must be an integer >= 0: current value is NaN",
    ],
    [
      () => device.allocate(-1, "negative"),
      'Cannot allocate "negative" as length must be an integer >= 0: current value is -1',
    ],
    [
      () => device.allocate(1.5),
      'Cannot allocate "array" as length must be an integer >= 0: current value is 1.5',
    ],
  ];
  for (const [call, message] of cases) {
    assertEquals((assertThrows(call, RangeError) as Error).message, message);
  }
  assertEquals(
    (assertThrows(() => device.copy(a, a, { length: 1, targetOffset: 2 }), TypeError) as Error).message,
    'Cannot copy words as source and target must be two arrays: both are "a"',
  );
  assertEquals([...await readWords(a)], [1, 2, 3, 4, 5]);
});

testOnGpu("WebGpuDevice: an allocation over the limit names the limit", (device) => {
  const limit = device.gpu.limits.maxStorageBufferBindingSize;
  const length = Math.ceil((limit + 1) / 16) * 4;
  const before = device.counters;
  assertEquals(
    (assertThrows(() => device.allocate(length, "weights"), RangeError) as Error).message,
    `Cannot allocate "weights" of ${
      length * 4
    } bytes as the device's limit maxStorageBufferBindingSize is ${limit} bytes`,
  );
  assertEquals(device.counters, before);
});

testOnDevices("Device: an array may be disposed before its recorded work runs", async (device) => {
  const before = device.counters;
  using result = device.allocate(2);
  {
    using scratch = device.upload(sequence(2));
    device.run(affine, { target: scratch, factor: 10, term: 1 });
    device.copy(scratch, result);
  }
  // New arrays must not be given memory that the recorded work still uses.
  using fresh = device.upload(new Uint32Array([8, 8]));
  device.flush();
  assertEquals(difference(before, device.counters).liveArrays, 2);
  const [a, b] = await device.read([result, fresh]);
  assertEquals([[...a!], [...b!]], [[11, 21], [8, 8]]);
  assertEquals(difference(before, device.counters).liveBytes, device.kind === "cpu" ? 16 : 32);
});

testOnGpu("WebGpuDevice: parameters and constants arrive as they are", async (device) => {
  using first = device.allocate(5);
  using second = device.allocate(5);
  device.run(stored, { target: first });
  device.run(stored, { target: second, constants: { constant: 9 } });
  const tenth = new Uint32Array(new Float32Array([0.1]).buffer)[0]!;
  const [a, b] = await device.read([first, second]);
  assertEquals([...a!], [0xfffffffe, 0xfffffffe, tenth, 3, 5]);
  assertEquals([...b!], [0xfffffffe, 0xfffffffe, tenth, 3, 9]);
});

testOnGpu("WebGpuDevice: two kernels of one name are two kernels", async (device) => {
  const body = (value: number) =>
    shader(
      "twice",
      `@group(0) @binding(0) var<uniform> p: u32;
       @group(0) @binding(1) var<storage, read_write> t: array<u32>;
       @compute @workgroup_size(1) fn main() { t[0] = p * ${value}u; }`,
    );
  using a = device.allocate(1);
  using b = device.allocate(1);
  device.run(body(3), { target: a });
  device.run(body(4), { target: b });
  assertEquals((await device.read([a, b])).map((array) => array[0]), [3, 4]);
});

testOnGpu("WebGpuDevice: a refused shader is reported once, with the line", async (device) => {
  const before = device.counters;
  {
    using array = device.upload(sequence(2));
    for (let i = 0; i < 2; i++) {
      device.run(broken, { target: array });
      const error = await assertRejects(() => device.read([array]), ShaderCompilationError);
      assertEquals(error.kernel, "broken");
      assert(
        error.message.startsWith('Cannot compile the shader of kernel "broken":\nerror at 3:21: '),
        error.message,
      );
      assert(error.message.includes("nowhere"), error.message);
      assertEquals([...await readWords(array)], [1, 2]);
    }
    device.run(affine, { target: array, factor: 2, term: 0 });
    assertEquals([...await readWords(array)], [2, 4]);
  }
  assertEquals(difference(before, device.counters).liveBytes, 0);
});

testOnGpu(
  "WebGpuDevice: a shader without the entry point or with unused bindings is reported",
  async (device) => {
    using array = device.allocate(1);
    device.run(shader("nameless", "@compute @workgroup_size(1) fn other() {}"), { target: array });
    await assertRejects(() => device.read([array]), ShaderCompilationError, 'kernel "nameless"');
    // Both bindings are optimised away, so the bind group does not fit.
    device.run(shader("unbound", "@compute @workgroup_size(1) fn main() {}"), { target: array });
    await assertRejects(() => device.read([array]), Error, "The GPU reported an error: ");
    assertEquals([...await readWords(array)], [0]);
  },
);

testOnGpu(
  "WebGpuDevice: a call that the driver refuses is reported at the next readback, once",
  async (device) => {
    using array = device.upload(sequence(2));
    const count = device.gpu.limits.maxComputeWorkgroupsPerDimension + 1;
    const excess: Kernel<{ target: DeviceArray }> = {
      ...affine,
      plan: ({ target }) => ({
        arrays: [target],
        parameters: [["u32", 0], ["u32", 1], ["u32", 1]],
        workgroups: [count, 1, 1],
      }),
      twin: () => {},
    };
    device.run(excess, { target: array });
    await assertRejects(() => device.read([array]), Error, "The GPU reported an error: ");
    assertEquals([...await readWords(array)], [1, 2]);
  },
);

testOnGpu("WebGpuDevice: buffers that others make on the same GPU are counted", (device) => {
  const before = device.counters;
  const buffer = device.gpu.createBuffer({ size: 64, usage: GPUBufferUsage.STORAGE });
  assertEquals(difference(before, device.counters).liveBytes, 64);
  let released = 0;
  const adopted = device.adopt(buffer, 16, "adopted", () => released++);
  assertEquals(difference(before, device.counters).liveArrays, 1);
  adopted[Symbol.dispose]();
  adopted[Symbol.dispose]();
  assertEquals(released, 1);
  assertEquals(difference(before, device.counters).liveArrays, 0);
  assertEquals(difference(before, device.counters).liveBytes, 64);
  buffer.destroy();
  buffer.destroy();
  assertEquals(difference(before, device.counters).liveBytes, 0);
});

testOnGpu("WebGpuDevice: an adopted buffer is released after the work that uses it", async (device) => {
  const buffer = device.gpu.createBuffer({
    size: 16,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  });
  using result = device.allocate(4);
  {
    using adopted = device.adopt(buffer, 4, "adopted", () => buffer.destroy());
    device.write(adopted, sequence(4));
    device.run(affine, { target: adopted, factor: 2, term: 1 });
    device.copy(adopted, result);
  }
  assertEquals([...await readWords(result)], [3, 5, 7, 9]);
});

Deno.test("Device: memory on the CPU is adopted without a copy", async () => {
  using device = new CpuDevice();
  const memory = new Float32Array([0, 1, 2, 3]);
  using array = device.adopt(memory.subarray(1, 3), "view");
  device.write(array, new Float32Array([7]), 1);
  assertEquals([...memory], [0, 1, 7, 3]);
  assertEquals(array.length, 2);
  assertEquals([...await readFloats(array)], [1, 7]);
  assertEquals(device.counters.liveBytes, 8);
});

testOnDevices("Device: concurrent readbacks each get their own moment", async (device) => {
  using array = device.upload(new Uint32Array([1]));
  const reads: Promise<Uint32Array[]>[] = [];
  for (let i = 0; i < 4; i++) {
    reads.push(device.read([array]));
    device.run(affine, { target: array, factor: 10, term: 1 });
  }
  assertEquals((await Promise.all(reads)).map(([value]) => value![0]), [1, 11, 111, 1111]);
});

testOnDevices("Device: a timeline divides the time between its marks", async (device) => {
  device.flush();
  const before = device.counters;
  {
    using array = device.allocate(4096);
    using timeline = device.timeline(4);
    const started = performance.now();
    for (let mark = 0; mark < 4; mark++) {
      timeline.mark();
      for (let i = 0; i < 20 * mark; i++) device.run(affine, { target: array, factor: 3, term: 1 });
    }
    const raw = timeline.finish();
    const [, ticks] = await device.read(raw === undefined ? [array] : [array, raw]);
    const total = performance.now() - started;
    const durations = timeline.durations(ticks, total);
    assertEquals(durations.length, 3);
    assert(durations.every((duration) => duration >= 0), String(durations));
    const sum = durations.reduce((a, b) => a + b, 0);
    if (timeline.clock === "webgpu") assert(Math.abs(sum - total) < 1e-9 * total, `${sum} of ${total}`);
    else assert(sum > 0 && sum <= total, `${sum} of ${total}`);
  }
  device.flush();
  assertEquals(difference(before, device.counters).liveArrays, 0);
  assertEquals(difference(before, device.counters).liveBytes, 0);
});

testOnDevices(
  "Device: a timeline with few marks has few durations, and no more marks than asked for",
  async (device) => {
    for (const marks of [0, 1]) {
      using timeline = device.timeline(1);
      for (let i = 0; i < marks; i++) timeline.mark();
      const raw = timeline.finish();
      const [ticks] = raw === undefined ? [] : await device.read([raw]);
      assertEquals(timeline.durations(ticks, 1), []);
    }
    using timeline = device.timeline(1);
    timeline.mark();
    assertEquals(
      (assertThrows(() => timeline.mark(), RangeError) as Error).message,
      "Cannot mark a timeline as the number of marks must be an integer from 1 to 1: current value is 2",
    );
    for (const capacity of [0, 4097]) {
      assertEquals(
        (assertThrows(() => device.timeline(capacity), RangeError) as Error).message,
        `Cannot start a timeline as capacity must be an integer from 1 to 4096: current value is ${capacity}`,
      );
    }
  },
);

testOnDevices("Device: a timeline may be disposed before its work runs", async (device) => {
  using array = device.upload(sequence(1));
  {
    using timeline = device.timeline(2);
    timeline.mark();
    device.run(affine, { target: array, factor: 5, term: 0 });
    timeline.mark();
    timeline.finish();
  }
  assertEquals([...await readWords(array)], [5]);
});

/** Opens a GPU device of its own, to be lost. */
function testOnLostGpu(name: string, test: (device: WebGpuDevice) => Promise<void>): void {
  testOnGpu(name, async () => {
    using device = await WebGpuDevice.open();
    await test(device);
  });
}

testOnLostGpu("Device: a lost device says so, and another one works", async (device) => {
  using array = device.upload(sequence(3));
  device.run(affine, { target: array, factor: 2, term: 0 });
  assertEquals(device.lost, undefined);
  device.gpu.destroy();
  const message = "GPU device lost (destroyed)";
  const error = await assertRejects(() => device.read([array]), DeviceLostError, message);
  assertEquals(error.reason, "destroyed");
  assert(error.message.endsWith("; open a new device and load the model again"), error.message);
  assertEquals(device.lost?.reason, "destroyed");
  await assertRejects(() => device.read([array]), DeviceLostError, message);
  assertThrows(() => device.run(affine, { target: array, factor: 2, term: 0 }), DeviceLostError, message);
  assertThrows(() => device.allocate(1), DeviceLostError, message);
  assertThrows(() => device.upload(sequence(1)), DeviceLostError, message);
  using next = await WebGpuDevice.open();
  using fresh = next.upload(sequence(3));
  next.run(affine, { target: fresh, factor: 2, term: 0 });
  assertEquals([...await readWords(fresh)], [2, 4, 6]);
  assertThrows(() => next.copy(array, fresh), TypeError, "it belongs to another device");
});

testOnLostGpu("DeviceLostError: a device lost during a readback rejects it", async (device) => {
  using array = device.upload(sequence(3));
  const reading = device.read([array]);
  device.gpu.destroy();
  await assertRejects(() => reading, DeviceLostError);
});

testOnLostGpu("Device: a refused shader on a lost device is a lost device", async (device) => {
  using array = device.allocate(1);
  device.gpu.destroy();
  device.run(broken, { target: array });
  await assertRejects(() => device.read([array]), DeviceLostError);
});

testOnLostGpu("Device: a disposed device is lost at once, and disposed once", async (device) => {
  const array = device.upload(sequence(3));
  device.run(affine, { target: array, factor: 2, term: 0 });
  device[Symbol.dispose]();
  assertThrows(() => device.allocate(1), DeviceLostError, "GPU device lost (destroyed); open a new device");
  assertThrows(() => device.run(affine, { target: array, factor: 2, term: 0 }), DeviceLostError);
  await assertRejects(() => device.read([array]), DeviceLostError);
  array[Symbol.dispose]();
  assertEquals(device.counters.liveArrays, 0);
});

Deno.test("Device: opening without an adapter is an error of its own", async () => {
  const own = Object.getOwnPropertyDescriptor(navigator.gpu, "requestAdapter");
  Object.defineProperty(navigator.gpu, "requestAdapter", {
    value: () => Promise.resolve(null),
    configurable: true,
  });
  try {
    const error = await assertRejects(() => WebGpuDevice.open(), NoAdapterError);
    assertEquals(
      error.message,
      'No WebGPU adapter found; install a Vulkan, Metal or DirectX 12 driver, or use device: "cpu"',
    );
    assertEquals(error.name, "NoAdapterError");
  } finally {
    delete (navigator.gpu as { requestAdapter?: unknown }).requestAdapter;
    if (own !== undefined) Object.defineProperty(navigator.gpu, "requestAdapter", own);
  }
});

testOnDevices("Device: a device has a kind and a name", (device: Device) => {
  assert(device.kind === "cpu" || device.kind === "webgpu");
  assert(device.name.length > 0);
});

Deno.test("spread: workgroups are spread so that no side exceeds the limit", () => {
  assertEquals(spread(0), [0, 1, 1]);
  for (const count of [1, 65535, 65536, 65537, 1000003, 2 ** 24, 2 ** 31]) {
    const [x, y, z] = spread(count);
    assertEquals(z, 1);
    assert(x <= 65535 && y <= 65535 && x * y >= count && x * y - count < y, `${count} as ${x} x ${y}`);
  }
});
