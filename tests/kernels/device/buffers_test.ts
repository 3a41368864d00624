/**
 * The memory of both devices: views, copies, uploads, buffers that are used again, and what is refused.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { words } from "../../../kernels/device/cpu_device.ts";
import { writtenBindings } from "../../../kernels/device/array_checks.ts";
import { type DeviceArray, type Kernel, readWords } from "../../../kernels/device/device.ts";
import { OutOfMemoryError } from "../../../kernels/device/errors.ts";
import { type GpuArray, WebGpuDevice } from "../../../kernels/device/webgpu_device.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

const sequence = (length: number, start = 1): Uint32Array<ArrayBuffer> =>
  Uint32Array.from({ length }, (_, i) => start + i);

const ALL = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;

/** `target[i] += a[i] * b[i]`, for as many words as all three have. */
const addProducts: Kernel<{ a: DeviceArray; b: DeviceArray; target: DeviceArray }> = {
  name: "add_products",
  wgsl: `
    @group(0) @binding(0) var<uniform> count: u32;
    @group(0) @binding(1) var<storage, read> a: array<u32>;
    @group(0) @binding(2) var<storage> b: array<u32>;
    @group(0) @binding(3) var<storage, read_write> target_words: array<u32>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < count) {
        target_words[id.x] += a[id.x] * b[id.x];
      }
    }`,
  plan: ({ a, b, target }) => {
    const count = Math.min(a.length, b.length, target.length);
    return {
      arrays: [a, b, target],
      parameters: [["u32", count]],
      workgroups: [Math.ceil(count / 64), 1, 1],
    };
  },
  twin: ({ a, b, target }) => {
    const out = words(target);
    for (let i = 0; i < Math.min(a.length, b.length, target.length); i++) {
      out[i]! += Math.imul(words(a)[i]!, words(b)[i]!);
    }
  },
};

/** Adds 1 to all words of two arrays, seen as vectors of four. */
const increment: Kernel<{ a: DeviceArray; b: DeviceArray }> = {
  name: "increment",
  wgsl: `
    @group(0) @binding(0) var<uniform> count: u32;
    @group(0) @binding(1) var<storage, read_write> a: array<vec4u>;
    @group(0) @binding(2) var<storage, read_write> b: array<vec4u>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < count) {
        a[id.x] += vec4u(1u);
        b[id.x] += vec4u(1u);
      }
    }`,
  plan: ({ a, b }) => ({
    arrays: [a, b],
    parameters: [["u32", Math.ceil(a.length / 4)]],
    workgroups: [Math.ceil(a.length / 256), 1, 1],
  }),
  twin: ({ a, b }) => {
    for (const array of [words(a), words(b)]) array.forEach((word, i) => array[i] = word + 1);
  },
};

Deno.test("writtenBindings: which bindings are written is read off the shader", () => {
  assertEquals(writtenBindings(addProducts.wgsl), [false, false, true]);
});

testOnDevices("DeviceArray: a view is a stretch of its array", async (device) => {
  const before = device.counters;
  using array = device.upload(sequence(100));
  const live = device.counters;
  using view = device.view(array, 64, 8);
  using inner = device.view(view, 3);
  assertEquals([view.length, inner.length, inner.label], [8, 5, array.label]);
  assertEquals([device.counters.liveArrays, device.counters.liveBytes], [live.liveArrays, live.liveBytes]);
  assertEquals((await device.read([view, inner])).map((read) => [...read]), [
    [65, 66, 67, 68, 69, 70, 71, 72],
    [68, 69, 70, 71, 72],
  ]);
  device.write(inner, new Uint32Array([7, 8]), 1);
  device.copy(view, inner, { sourceOffset: 0, targetOffset: 4, length: 1 });
  view[Symbol.dispose]();
  const all = await readWords(array);
  assertEquals([...all.subarray(64, 73)], [65, 66, 67, 68, 7, 8, 71, 65, 73]);
  assertThrows(() => device.write(view, sequence(1)), TypeError, "has been disposed");
  array[Symbol.dispose]();
  assertThrows(() => device.write(inner, sequence(1)), TypeError, "has been disposed");
  assertEquals(device.counters.liveBytes, before.liveBytes);
});

testOnDevices("DeviceArray: a view must lie within its array", (device) => {
  using array = device.upload(sequence(10), "ten");
  assertEquals(
    (assertThrows(() => device.view(array, 8, 3), RangeError) as Error).message,
    'Cannot view words as offset + length must be <= 10, the words of "ten": offset is 8 and length is 3',
  );
  assertThrows(
    () => device.view(array, -1),
    RangeError,
    "offset must be an integer >= 0: current value is -1",
  );
  assertThrows(
    () => device.view(array, 11),
    RangeError,
    "length must be an integer >= 0: current value is -1",
  );
});

testOnDevices("DeviceArray: kernels take views at any offset and touch nothing else", async (device) => {
  const random = testRandom(1);
  const start = device.counters;
  for (let round = 0; round < 40; round++) {
    const [aStart, bStart, targetStart, length] = Array.from(
      { length: 4 },
      () => Math.floor(random() * (round < 20 ? 200 : 3)) * (round % 2 === 0 ? 1 : 64),
    ) as [number, number, number, number];
    using a = device.upload(sequence(aStart + length + round % 5));
    using b = device.upload(sequence(bStart + length + round % 3, 1000));
    using target = device.upload(sequence(targetStart + length + 7, 5));
    using target7 = device.view(target, targetStart, length);
    device.run(addProducts, {
      a: device.view(a, aStart, length),
      b: device.view(b, bStart, length),
      target: target7,
    });
    const expected = sequence(targetStart + length + 7, 5);
    for (let i = 0; i < length; i++) expected[targetStart + i]! += (1 + aStart + i) * (1000 + bStart + i);
    assertEquals(await readWords(target), expected);
  }
  assertEquals(device.counters.liveBytes, start.liveBytes);
});

testOnDevices(
  "DeviceArray: one array may give what a kernel reads and take what it writes, at different places",
  async (device) => {
    using array = device.upload(sequence(300));
    for (const [from, to] of [[0, 64], [64, 0], [3, 130], [130, 3], [0, 4]] as const) {
      const expected = await readWords(array);
      const length = Math.min(60, Math.abs(from - to));
      for (let i = 0; i < length; i++) {
        expected[to + i]! += Math.imul(expected[from + i]!, expected[from + i]!);
      }
      const source = device.view(array, from, length);
      device.run(addProducts, { a: source, b: source, target: device.view(array, to, length) });
      assertEquals(await readWords(array), expected);
    }
  },
);

testOnDevices("DeviceArray: two stretches of one array may be written", async (device) => {
  using array = device.upload(sequence(200));
  device.run(increment, { a: device.view(array, 0, 64), b: device.view(array, 64, 64) });
  device.run(increment, { a: device.view(array, 130, 5), b: device.view(array, 135, 5) });
  const expected = sequence(200);
  for (let i = 0; i < 200; i++) expected[i]! += Number(i < 128 || i >= 130 && i < 140);
  assertEquals(await readWords(array), expected);
});

testOnDevices("words that a kernel writes cannot be bound twice", async (device) => {
  using array = device.upload(sequence(100), "both");
  using other = device.upload(sequence(100), "other");
  const view = (start: number, length: number) => device.view(array, start, length);
  const before = device.counters;
  for (
    const [a, target] of [[view(0, 10), view(9, 10)], [view(5, 5), view(0, 64)], [array, array]] as const
  ) {
    assertEquals(
      (assertThrows(() => device.run(addProducts, { a, b: other, target }), TypeError) as Error).message,
      'Cannot run "add_products" as it writes "both", which shares words with "both" in the same call',
    );
  }
  assertThrows(() => device.run(increment, { a: array, b: array }), TypeError, 'Cannot run "increment"');
  // What is only read may be.
  device.run(addProducts, { a: other, b: other, target: array });
  assertEquals(device.counters.dispatches, before.dispatches + 1);
  assertEquals([...(await readWords(array)).subarray(0, 2)], [2, 6]);
});

testOnGpu("WebGpuDevice: a buffer of the caller's serves as an array, from any offset", async (device) => {
  const before = device.counters;
  const buffer = device.gpu.createBuffer({ size: 1024, usage: ALL });
  device.gpu.queue.writeBuffer(buffer, 0, sequence(256));
  using ones = device.upload(new Uint32Array(256).fill(1));
  for (
    const [offset, size] of [[0, undefined], [256, 64], [4, 12], [1020, 4], [260, 256], [512, 0]] as const
  ) {
    using array = device.wrap(size === undefined ? buffer : { buffer, offset, size }, "mine");
    assertEquals(array.length, (size ?? 1024) / 4);
    const expected = (await readWords(array)).map((word) => word + 1);
    device.run(addProducts, { a: ones, b: ones, target: array });
    assertEquals(await readWords(array), expected);
  }
  using rest = device.wrap({ buffer, offset: 1000 });
  assertEquals(rest.length, 6);
  using neighbour = device.wrap({ buffer, offset: 512, size: 4 });
  // 129, once with the whole and once with the stretch from 260 to 516.
  assertEquals([...await readWords(neighbour)], [131]);
  ones[Symbol.dispose]();
  rest[Symbol.dispose]();
  neighbour[Symbol.dispose]();
  assertEquals(device.counters.liveArrays, before.liveArrays);
  buffer.destroy();
  assertEquals(device.counters.liveBytes, before.liveBytes);
});

testOnGpu("WebGpuDevice: buffers that cannot serve are refused, naming what is missing", async (device) => {
  using _ = { [Symbol.dispose]: () => buffers.forEach((buffer) => buffer.destroy()) };
  const buffers: GPUBuffer[] = [];
  const make = (usage: number) => {
    const buffer = device.gpu.createBuffer({ size: 64, usage });
    buffers.push(buffer);
    return buffer;
  };
  const message = (call: () => unknown, kind: typeof TypeError | typeof RangeError) =>
    (assertThrows(call, kind) as Error).message;
  const buffer = make(ALL);
  assertEquals(
    message(() => device.wrap(make(GPUBufferUsage.COPY_DST)), TypeError),
    'Cannot use the buffer "buffer" as its buffer must have been made with GPUBufferUsage.STORAGE',
  );
  assertEquals(
    message(() => device.wrap({ buffer, offset: 2 }, "x"), RangeError),
    'Cannot use the buffer "x" as offset and size must be multiples of 4 bytes: offset is 2 and size is 62',
  );
  assertEquals(
    message(() => device.wrap({ buffer, offset: 32, size: 36 }, "x"), RangeError),
    'Cannot use the buffer "x" as size must be an integer from 0 to 32: current value is 36',
  );
  assertEquals(
    message(() => device.wrap({ buffer, offset: 68 }, "x"), RangeError),
    'Cannot use the buffer "x" as offset must be an integer from 0 to 64: current value is 68',
  );
  assertEquals(
    message(() => device.wrap({} as GPUBufferBinding, "x"), TypeError),
    'Cannot use the buffer "x" as it must be a GPUBuffer: current value is undefined',
  );
  using plain = device.wrap(make(GPUBufferUsage.STORAGE), "plain");
  await assertRejects(
    () => device.read([plain]),
    TypeError,
    'Cannot read "plain" as its buffer must have been made with GPUBufferUsage.COPY_SRC',
  );
  assertThrows(() => device.write(plain, sequence(1)), TypeError, "GPUBufferUsage.COPY_DST");
  // At an aligned offset it needs no more than STORAGE; at an odd one it would have to be copied.
  using target = device.allocate(16);
  device.run(addProducts, { a: plain, b: plain, target });
  const odd = device.view(plain, 1, 3);
  assertThrows(
    () => device.run(addProducts, { a: odd, b: odd, target }),
    TypeError,
    "GPUBufferUsage.COPY_SRC",
  );
  assertEquals(await readWords(target), new Uint32Array(16));
});

testOnGpu("WebGpuDevice: a GPUDevice of the caller's is used and left alone", async () => {
  const adapter = await navigator.gpu.requestAdapter();
  const gpu = await adapter!.requestDevice();
  const { createBuffer } = gpu;
  let lost = false;
  gpu.lost.then(() => lost = true);
  {
    using device = WebGpuDevice.from(gpu);
    assertEquals(device.gpu, gpu);
    assertEquals(gpu.createBuffer, createBuffer);
    using a = device.upload(sequence(5));
    using target = device.allocate(5);
    device.run(addProducts, { a, b: a, target });
    assertEquals([...await readWords(target)], [1, 4, 9, 16, 25]);
    const mine = gpu.createBuffer({ size: 64, usage: ALL });
    mine.destroy();
    assertThrows(
      () => device.allocate(gpu.limits.maxStorageBufferBindingSize / 4 + 1, "big"),
      RangeError,
      `limit maxStorageBufferBindingSize is ${gpu.limits.maxStorageBufferBindingSize} bytes`,
    );
  }
  gpu.pushErrorScope("validation");
  gpu.createBuffer({ size: 64, usage: ALL }).destroy();
  assertEquals(await gpu.popErrorScope(), null);
  assertEquals(lost, false);
  gpu.destroy();
  assertThrows(
    () => WebGpuDevice.from({} as GPUDevice),
    TypeError,
    "Cannot run on a device as it must be a GPUDevice: current value is {}",
  );
});

testOnGpu("WebGpuDevice: memory that runs out is an error of its own at the next readback", async () => {
  using device = await WebGpuDevice.open();
  using kept = device.upload(sequence(4));
  const { gpu } = device;
  const pop = gpu.popErrorScope.bind(gpu);
  const inUse = device.counters.liveBytes;
  // A driver's answer cannot be had on demand, so it is given here.
  gpu.popErrorScope = async () => {
    gpu.popErrorScope = pop;
    await pop();
    return new GPUOutOfMemoryError("");
  };
  using _big: GpuArray = device.allocate(1000, "big");
  const error = await assertRejects(() => device.read([kept]), OutOfMemoryError);
  assertEquals(
    error.message,
    `Cannot allocate "big" of 4000 bytes as the GPU is out of memory: ${inUse} bytes are in use here; ` +
      "dispose of arrays, or work in smaller batches",
  );
  assertEquals([error.requestedBytes, error.liveBytes], [4000, inUse]);
  assert((await readWords(kept))[3] === 4);
});

testOnGpu("WebGpuDevice: a readback over the limit names the limit", async (device) => {
  const limit = device.gpu.limits.maxBufferSize;
  using array = device.allocate(2 ** 20);
  const many = Array.from({ length: Math.floor(limit / 2 ** 22) + 1 }, () => array);
  await assertRejects(
    () => device.read(many),
    RangeError,
    `Cannot read ${
      many.length * 2 ** 22
    } bytes at once as the device's limit maxBufferSize is ${limit} bytes`,
  );
});
