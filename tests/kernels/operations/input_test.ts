import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { requireOptions } from "../../../kernels/arguments.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import { takeInput, takeOutput, withDevice } from "../../../kernels/operations/input.ts";
import { stubAdapter, testOnDevices, testOnGpu } from "../../devices.ts";

const floats = { type: "f32", name: "points", action: "measure" } as const;

testOnDevices("takeInput: a typed array is uploaded, and freed with the input", async (device) => {
  const before = device.counters;
  {
    using array = takeInput(device, new Float32Array([1, 2]), floats);
    assertEquals([...await readFloats(array)], [1, 2]);
    using words = takeInput(device, new Uint32Array([3]), { ...floats, type: "u32" });
    assertEquals([...await readWords(words)], [3]);
    assertEquals(device.counters.liveArrays, before.liveArrays + 2);
  }
  assertEquals(device.counters.liveArrays, before.liveArrays);
  assertEquals(device.counters.liveBytes, before.liveBytes);
});

testOnDevices("takeInput: an array of the device passes through and outlives the input", async (device) => {
  using array = device.upload(new Float32Array([1, 2, 3]));
  const live = device.counters.liveBytes;
  {
    using input = takeInput(device, array, { ...floats, length: 3, multipleOf: 3 });
    assertEquals([...await readFloats(input)], [1, 2, 3]);
    using output = takeOutput(device, array, { length: 2, name: "output", action: "measure" });
    device.write(output, new Float32Array([5]));
    assertEquals(device.counters.liveBytes, live);
  }
  assertEquals([...await readFloats(array)], [5, 2, 3]);
});

testOnGpu("takeInput: a GPU buffer is wrapped, whole or in part", async (device) => {
  const buffer = device.gpu.createBuffer({
    size: 32,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  });
  device.gpu.queue.writeBuffer(buffer, 0, new Float32Array([1, 2, 3, 4, 5, 6, 7, 8]));
  const before = device.counters;
  {
    using whole = takeInput(device, buffer, floats);
    using part = takeInput(device, { buffer, offset: 12, size: 8 }, floats);
    assertEquals([whole.length, ...await readFloats(part)], [8, 4, 5]);
    using output = takeOutput(device, { buffer, offset: 28 }, {
      length: 1,
      name: "output",
      action: "measure",
    });
    assertEquals([...await readFloats(output)], [8]);
  }
  assertEquals(device.counters.liveArrays, before.liveArrays);
  assertEquals(device.counters.liveBytes, before.liveBytes);
  using cpu = new CpuDevice();
  assertThrows(
    () => takeInput(cpu, buffer, floats),
    TypeError,
    "Cannot measure as points is a GPUBuffer and the device is the cpu",
  );
  buffer.destroy();
});

testOnDevices("takeInput: what is no input is refused before anything is allocated", (device) => {
  using elsewhere = new CpuDevice();
  using foreign = elsewhere.allocate(4);
  using own = device.allocate(4);
  const before = device.counters;
  const output = { length: 5, name: "output", action: "measure" };
  const cases: [() => unknown, typeof TypeError | typeof RangeError, string][] = [
    [
      () => takeInput(device, [1, 2] as never, floats),
      TypeError,
      "Cannot measure as points must be a Float32Array, a device array or a GPUBuffer: current value is [1, 2]",
    ],
    [
      () => takeInput(device, undefined as never, floats),
      TypeError,
      "Cannot measure as points must be a Float32Array, a device array or a GPUBuffer: current value is undefined",
    ],
    [
      () => takeInput(device, new Float64Array(2) as never, floats),
      TypeError,
      "Cannot measure as points must be a Float32Array, a device array or a GPUBuffer: current value is Float64Array(2)",
    ],
    [
      () => takeInput(device, new Float32Array(2), { ...floats, type: "u32" }),
      TypeError,
      "Cannot measure as points must be a Uint32Array, a device array or a GPUBuffer: current value is Float32Array(2)",
    ],
    [
      () => takeInput(device, foreign, floats),
      TypeError,
      "Cannot measure as points belongs to another device",
    ],
    [
      () => takeInput(device, own, { ...floats, length: 5 }),
      RangeError,
      "Cannot measure as points must hold at least 5 values: it holds 4",
    ],
    [
      () => takeInput(device, new Float32Array(4), { ...floats, multipleOf: 3 }),
      RangeError,
      "Cannot measure as the number of values in points must be a multiple of 3: it holds 4",
    ],
    [
      () => takeOutput(device, own, output),
      RangeError,
      'Cannot measure as "array" must hold at least 5 words: it holds 4',
    ],
    [
      () => takeOutput(device, new Float32Array(5) as never, output),
      TypeError,
      "Cannot measure as output must be a device array or a GPUBuffer: current value is Float32Array(5)",
    ],
    [
      () => requireOptions({ bandwith: 1 }, ["bandwidth", "device"], "measure"),
      TypeError,
      'Cannot measure as the option "bandwith" is unknown: options are bandwidth, device',
    ],
    [
      () => requireOptions(null as never, [], "measure"),
      TypeError,
      "Cannot measure as the options must be an object: current value is null",
    ],
  ];
  for (const [call, kind, message] of cases) {
    assertEquals((assertThrows(call, kind) as Error).message, message);
  }
  assertEquals(device.counters, before);
});

Deno.test("withDevice: a device for one call is opened and disposed, a given one is kept", async () => {
  let seen: Device | undefined;
  assertEquals(await withDevice("cpu", 1, (device) => Promise.resolve((seen = device).kind)), "cpu");
  using mine = new CpuDevice();
  await withDevice(mine, 1, (device) => {
    assertEquals(device, mine);
    return Promise.resolve();
  });
  assertEquals(seen === mine, false);
  await assertRejects(
    () => withDevice(5 as never, 1, () => Promise.resolve()),
    TypeError,
    'Cannot open a device as it must be "auto", "webgpu", "cpu" or a device: current value is 5',
  );
  await assertRejects(() => withDevice("gpu" as never, 1, () => Promise.resolve()), RangeError, '"gpu"');
});

testOnGpu("withDevice: the device of one call is gone afterwards, also when the call fails", async () => {
  let seen: Device | undefined;
  await assertRejects(
    () =>
      withDevice("webgpu", 1, (device) => {
        seen = device;
        return Promise.reject(new Error("inside"));
      }),
    Error,
    "inside",
  );
  assertEquals(seen!.kind, "webgpu");
  assertThrows(() => seen!.allocate(1), Error, "GPU device lost");
});

Deno.test("withDevice: auto is the CPU for little work, and for much where there is no adapter", async () => {
  const kindFor = (work: number) => withDevice("auto", work, (device) => Promise.resolve(device.kind));
  let searches = 0;
  using _ = stubAdapter(() => (searches++, Promise.resolve(null)));
  assertEquals([await kindFor(0), await kindFor(2 ** 28 - 1), await kindFor(NaN)], ["cpu", "cpu", "cpu"]);
  assertEquals(searches, 0);
  assertEquals([await kindFor(2 ** 28), searches], ["cpu", 1]);
});

Deno.test("withDevice: auto is the CPU where the twin has vectors and the adapter is software", async () => {
  const kindFor = (work: number) =>
    withDevice("auto", work, (device) => Promise.resolve(device.kind), { vectors: true });
  let searches = 0;
  const software = {
    info: { isFallbackAdapter: true, vendor: "", architecture: "", device: "", description: "" },
  };
  using _ = stubAdapter(() => (searches++, Promise.resolve(software as GPUAdapter)));
  assertEquals([await kindFor(2 ** 30 - 1), searches], ["cpu", 0]);
  assertEquals([await kindFor(2 ** 30), searches], ["cpu", 1]);
});

testOnGpu("withDevice: auto is an adapter for much work, also one in software", async () => {
  assertEquals(await withDevice(undefined, 2 ** 28, (device) => Promise.resolve(device.kind)), "webgpu");
});
