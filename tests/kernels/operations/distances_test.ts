import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import { DISTANCE_METRICS } from "../../../kernels/points/distance.ts";
import {
  createDistances,
  distances,
  type DistancesOptions,
  distanceTiles,
} from "../../../kernels/operations/distances.ts";
import { WebGpuDevice } from "../../../kernels/device/webgpu_device.ts";
import { sharedGpu, testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

// SciPy 1.17.1 with NumPy 2.4.6, in float64: cdist(x, y), squareform(pdist(y)), x @ y.T, and cdist(...,
// "hamming") * 64 of the bits of two and three rows of the same array. All inputs are exact in f32, and in
// f16.
const X = Float32Array.from({ length: 15 }, (_, i) => ((i * 37) % 101 - 50) / 16);
const Y = Float32Array.from({ length: 20 }, (_, i) => ((i * 53 + 7) % 97 - 40) / 8);
const SCIPY = {
  "squared-euclidean": [
    ...[72.5859375, 141.0859375, 48.4609375, 111.4765625, 71.17578125, 111.42578125, 66.33203125],
    ...[75.33203125, 66.0625, 149.078125, 69.453125, 95.453125],
  ],
  euclidean: [
    ...[8.519738112172227, 11.877960157367088, 6.961389049607844, 10.558246184854756, 8.436574023263235],
    ...[10.555841096284086, 8.14444787876993, 8.679402701223166, 8.12788410350443, 12.209755321053736],
    ...[8.333854150391643, 9.770011514834566],
  ],
  cosine: [
    ...[1.0772102708225653, 1.1704998944830625, 0.7005294849037458, 1.418658144429211, 1.0842069093424966],
    ...[0.8524250408163581, 1.0264081186701792, 0.9173587703968703, 0.9799190087344634],
    ...[1.2706079950020543, 1.0616876167759244, 1.1998850163556845],
  ],
  "inner-product": [
    ...[-2.3515625, -7.671875, 8.984375, -14.5234375, -2.453125, 6.3515625, -0.7578125, 2.7421875],
    ...[0.6015625, -11.9765625, -1.8203125, -6.8203125],
  ],
};
const SCIPY_PDIST = [
  ...[0, 16.044372066241795, 13.394845090556291, 5.310661446562, 16.044372066241795, 0, 7.267220926874317],
  ...[13.785182262124792, 13.394845090556291, 7.267220926874317, 0, 13.755680644737286, 5.310661446562],
  ...[13.785182262124792, 13.755680644737286, 0],
];
const BITS = Uint32Array.from({ length: 10 }, (_, i) => ((i + 1) * 2654435761) % 2 ** 32);
const SCIPY_HAMMING = [21, 37, 22, 33, 27, 32];

function assertNear(found: ArrayLike<number>, wanted: readonly number[], relative: number): void {
  assertEquals(found.length, wanted.length);
  for (const [i, value] of wanted.entries()) {
    assert(Math.abs(found[i]! - value) <= relative * Math.abs(value), `${i}: ${found[i]}, ${value}`);
  }
}

testOnDevices("distances are SciPy's", async (device) => {
  for (const metric of DISTANCE_METRICS) {
    const found = await distances(X, Y, { dimensions: 5, metric, device });
    assert(found instanceof Float32Array);
    // Sums and differences of multiples of 2^-8 are exact; the cosine's bound is 33 2^-24 D + 2^-22 sqrt(D)
    // for D of 0.7 and more.
    assertNear(found, SCIPY[metric], metric === "cosine" ? 40 * 2 ** -24 : 14 * 2 ** -24);
    const halves = await distances(Float16Array.from(X), Float16Array.from(Y), {
      dimensions: 5,
      metric,
      outputStorage: "f16",
      device,
    });
    assert(halves instanceof Float16Array);
    assertNear(halves, SCIPY[metric], 1.01 * 2 ** -11);
  }
  assertNear(await distances(Y, { dimensions: 5, device }), SCIPY_PDIST, 14 * 2 ** -24);
  assertNear(await distances(Y, undefined, { dimensions: 5, device }), SCIPY_PDIST, 14 * 2 ** -24);
  const options = { metric: "hamming", words: 2, device } as const;
  const bits = await distances(BITS.subarray(0, 4), BITS.subarray(4), options);
  assert(bits instanceof Uint32Array);
  assertEquals([...bits], SCIPY_HAMMING);
});

testOnDevices("distances: tiles of any size make the same matrix", async (device) => {
  const random = testRandom(1);
  const [rows, columns, dimensions] = [7, 9, 5];
  const a = Float32Array.from({ length: rows * dimensions }, () => random() * 2 - 1);
  const b = Float32Array.from({ length: columns * dimensions }, () => random() * 2 - 1);
  const live = device.counters.liveArrays;
  for (const tileBytes of [20, 65, 130, 1e6]) {
    for (const metric of ["cosine", "squared-euclidean"] as const) {
      const options = { dimensions, metric, device };
      const wanted = await distances(a, b, options);
      assertEquals(await distances(a, b, { ...options, tileBytes }), wanted);
      const same = await distances(a, { ...options, tileBytes });
      assertEquals(same, await distances(a, options));
    }
    const halves = Float16Array.from(a);
    const options = { dimensions, outputStorage: "f16", device } as const;
    assertEquals(await distances(halves, { ...options, tileBytes }), await distances(halves, options));
    const bits = { metric: "hamming", words: dimensions, device } as const;
    const words = new Uint32Array(a.buffer);
    assertEquals(await distances(words, { ...bits, tileBytes }), await distances(words, bits));
  }
  assertEquals(device.counters.liveArrays, live);
});

testOnDevices("distances: tiles cover the matrix in order, within the budget", async (device) => {
  const random = testRandom(2);
  const [rows, columns, dimensions, tileBytes] = [40, 50, 3, 400];
  const a = Float32Array.from({ length: rows * dimensions }, random);
  const b = Float32Array.from({ length: columns * dimensions }, random);
  const wanted = await distances(a, b, { dimensions, device });
  const live = device.counters.liveBytes;
  const readbacks = device.counters.readbacks;
  let [count, row, column] = [0, 0, 0];
  for await (const tile of distanceTiles(a, b, { dimensions, device, tileBytes })) {
    assertEquals([tile.row, tile.column], [row, column]);
    assertEquals(tile.data.length, tile.rows * tile.columns);
    assert(tile.data.byteLength <= tileBytes);
    for (const [i, distance] of tile.data.entries()) {
      const at = (row + Math.floor(i / tile.columns)) * columns + column + i % tile.columns;
      assertEquals(distance, wanted[at]);
    }
    // Two inputs and the result, while the tile is looked at.
    assert(device.counters.liveBytes - live <= 3 * tileBytes);
    column = (column + tile.columns) % columns;
    if (column === 0) row += tile.rows;
    count++;
  }
  assertEquals([row, column], [rows, 0]);
  assert(count >= rows * columns * 4 / tileBytes, `${count}`);
  // The CPU's memory is at hand.
  assertEquals(device.counters.readbacks - readbacks, device.kind === "cpu" ? 0 : count);
});

testOnDevices("distanceTiles: tiles that nobody wants any more leave nothing behind", async (device) => {
  const live = device.counters.liveArrays;
  const options = { dimensions: 5, metric: "cosine", device, tileBytes: 20 } as const;
  for await (const { data } of distanceTiles(X, Y, options)) {
    assertEquals(data.length, 1);
    break;
  }
  assertEquals(device.counters.liveArrays, live);
  const started = distanceTiles(X, Y, options);
  await started.next();
  await assertRejects(() => started.throw(new Error("enough")), Error, "enough");
  assertEquals(device.counters.liveArrays, live);
});

Deno.test("distanceTiles: tiles open a device of their own", async () => {
  const data = [];
  for await (const tile of distanceTiles(X, Y, { dimensions: 5, device: "cpu", tileBytes: 40 })) {
    data.push(...tile.data);
  }
  assertEquals(data.length, 12);
  const tiles = distanceTiles(X, Y, { dimensions: 5, device: "gpu" as "cpu" });
  await assertRejects(() => tiles.next(), RangeError, "Cannot open a device");
});

testOnGpu("distances: a matrix beyond the limit of one binding is measured in tiles", async () => {
  const adapter = await navigator.gpu.requestAdapter();
  const gpu = await adapter!.requestDevice();
  // What WebGPU grants unless more is asked for: not enough for the matrix.
  assertEquals(gpu.limits.maxStorageBufferBindingSize, 2 ** 27);
  const rows = 5800;
  const values = Float32Array.from({ length: rows }, (_, i) => i);
  {
    using device = WebGpuDevice.from(gpu);
    const found = await distances(values, { dimensions: 1, tileBytes: 2 ** 40, device });
    assertEquals(device.counters.readbacks, 2);
    assertEquals(found.length, rows * rows);
    assert(found.every((distance, i) => distance === Math.abs(Math.floor(i / rows) - i % rows)));
  }
  gpu.destroy();
});

testOnGpu("createDistances: a single request beyond the limit names it", async () => {
  const device = await sharedGpu();
  const limit = Math.min(device.gpu.limits.maxStorageBufferBindingSize, device.gpu.limits.maxBufferSize);
  using measure = createDistances(device, { dimensions: 1 });
  const live = device.counters.liveArrays;
  const side = Math.ceil(Math.sqrt(limit / 4)) + 1;
  const thrown = assertThrows(() => measure.within(new Float32Array(side)), RangeError);
  assert(
    /^Cannot allocate "output" of \d+ bytes as the device's limit max\w+ is \d+ bytes$/.test(thrown.message),
  );
  assertEquals(device.counters.liveArrays, live);
});

testOnDevices("distances again and again on a device", async (device) => {
  const before = device.counters;
  {
    using measure = createDistances(device, { dimensions: 5, metric: "cosine" });
    using x = device.upload(X);
    using y = device.upload(Y);
    for (let round = 0; round < 3; round++) {
      using found = measure.between(x, y);
      assertNear(await readFloats(found), SCIPY.cosine, 40 * 2 ** -24);
      using within = measure.within(y);
      assertEquals((await readFloats(within))[5], 0);
    }
    // Two inputs, and inverse lengths of two sets.
    assertEquals(device.counters.liveArrays - before.liveArrays, 4);
    // Results go where they are wanted, and device arrays may be longer than the sets.
    using target = device.upload(new Float32Array(14).fill(-1));
    using returned = measure.between(x, Y, { rows: 2, columns: 3, output: target });
    assertEquals(returned.length, 14);
    const given = await readFloats(target);
    assertNear(given.subarray(0, 6), SCIPY.cosine.filter((_, i) => i < 8 && i % 4 < 3), 40 * 2 ** -24);
    assertEquals([...given.subarray(6)], Array(8).fill(-1));
  }
  assertEquals(device.counters.liveArrays, before.liveArrays);
  assertEquals(device.counters.liveBytes, before.liveBytes);
});

testOnDevices("createDistances: batches are pairs of sets", async (device) => {
  const sets = new Float32Array([...X, ...X]);
  const others = new Float32Array([...Y, ...Y.map((value) => 2 * value)]);
  using measure = createDistances(device, { dimensions: 5, metric: "inner-product" });
  using found = measure.between(sets, others, { batch: 2 });
  const wanted = [...SCIPY["inner-product"], ...SCIPY["inner-product"].map((value) => 2 * value)];
  assertEquals([...await readFloats(found)], wanted);
  using bits = createDistances(device, { metric: "hamming", words: 1 });
  using pairs = bits.within(new Uint32Array([1, 2, 7, 7]), { batch: 2 });
  assertEquals([...await readWords(pairs)], [0, 2, 2, 0, 0, 0, 0, 0]);
});

testOnDevices("distances: halves on a device", async (device) => {
  const halves = Float16Array.from([9, ...X]);
  using measure = createDistances(device, { dimensions: 5, inputStorage: "f16", outputStorage: "f16" });
  const wanted = await distances(X, { dimensions: 5, outputStorage: "f16", device });
  // 15 halves at an odd place of the host's memory, and as words of the device, where a sixteenth is left
  // over.
  using found = measure.within(halves.subarray(1));
  using words = device.upload(new Uint32Array(Float16Array.from([...X, NaN]).buffer));
  using again = measure.between(words, halves.subarray(1));
  for (const matrix of [found, again]) {
    const rows = new Float16Array((await readWords(matrix)).buffer);
    assertEquals(rows.length, 12);
    assertEquals([...rows].filter((_, i) => i % 4 < 3), [...wanted]);
    assertEquals([...rows].filter((_, i) => i % 4 === 3), [0, 0, 0]);
  }
});

testOnGpu("createDistances: buffers of the caller's serve as input and output", async (device) => {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const input = device.gpu.createBuffer({ size: X.byteLength + 4, usage });
  const output = device.gpu.createBuffer({ size: 64, usage });
  device.gpu.queue.writeBuffer(input, 4, X as Float32Array<ArrayBuffer>);
  using measure = createDistances(device, { dimensions: 5 });
  using found = measure.between({ buffer: input, offset: 4 }, Y, { output });
  assertNear((await readFloats(found)).subarray(0, 12), SCIPY.euclidean, 14 * 2 ** -24);
  input.destroy();
  output.destroy();
});

testOnDevices("distances: no vectors have no distances", async (device) => {
  assertEquals((await distances(new Float32Array(), Y, { dimensions: 5, device })).length, 0);
  assertEquals((await distances(X, new Float32Array(), { dimensions: 5, device })).length, 0);
  using measure = createDistances(device, { dimensions: 5, metric: "cosine" });
  using none = measure.within(new Float32Array());
  assertEquals(none.length, 0);
});

testOnDevices("distances: one vector is enough", async (device) => {
  assertEquals([...await distances(new Float32Array([3]), { dimensions: 1, device })], [0]);
});

Deno.test("distances: an instance that has been disposed measures no more", () => {
  using device = new CpuDevice();
  const measure = createDistances(device, { dimensions: 1 });
  measure[Symbol.dispose]();
  measure[Symbol.dispose]();
  assertThrows(
    () => measure.within(X),
    TypeError,
    "Cannot measure distances as they have been disposed",
  );
});

Deno.test("distances: operations on distances refuse bad calls", async () => {
  using device: Device = new CpuDevice();
  const refusedOptions = (options: unknown, error: typeof RangeError, message: string): void => {
    const thrown = assertThrows(() => createDistances(device, options as DistancesOptions), error);
    assertStrictEquals(thrown.message, `Cannot measure distances as ${message}`);
  };
  refusedOptions(undefined, TypeError, "the options must be an object: current value is undefined");
  refusedOptions(
    { dimensions: 5, metrik: "cosine" },
    TypeError,
    'the option "metrik" is unknown: options are metric, dimensions, outputStorage, inputStorage',
  );
  refusedOptions(
    { words: 5, metric: "hamming", inputStorage: "f16" },
    TypeError,
    'the option "inputStorage" is unknown: options are metric, words',
  );
  refusedOptions(
    { dimensions: 5, metric: "manhattan" },
    TypeError,
    'metric must be one of "squared-euclidean", "euclidean", "cosine", "inner-product", "hamming": ' +
      'current value is "manhattan"',
  );
  refusedOptions({}, TypeError, "dimensions must be a number: current value is undefined");
  refusedOptions(
    { dimensions: 0 },
    RangeError,
    "dimensions must be an integer from 1 to 262140: current value is 0",
  );
  refusedOptions(
    { words: 65536, metric: "hamming" },
    RangeError,
    "words must be an integer from 1 to 65535: current value is 65536",
  );
  refusedOptions(
    { dimensions: 5, outputStorage: "f64" },
    TypeError,
    'outputStorage must be one of "f32", "f16": current value is "f64"',
  );

  using measure = createDistances(device, { dimensions: 5 });
  const refused = (call: () => unknown, error: typeof RangeError, message: string): void => {
    const thrown = assertThrows(call, error);
    assertStrictEquals(thrown.message, `Cannot measure distances as ${message}`);
  };
  refused(
    () => measure.between(X, Y.subarray(1)),
    RangeError,
    "the number of values in b must be a multiple of dimensions, 5: it holds 19",
  );
  refused(
    () => measure.within(X, { batch: 2 }),
    RangeError,
    "the number of values in a must be a multiple of batch * dimensions, 10: it holds 15",
  );
  refused(
    () => measure.between(X, Y, { columns: 5 }),
    RangeError,
    "b must hold at least 25 values: it holds 20",
  );
  refused(
    () => measure.between(BITS, Y),
    TypeError,
    "a must be a Float32Array, or a device array or GPUBuffer where there is a device: current value is Uint32Array(10)",
  );
  refused(
    () => measure.within(X, { columns: 3 } as object),
    TypeError,
    'the option "columns" is unknown: options are rows, batch, output',
  );
  refused(
    () => measure.within(X, { batch: 0 }),
    RangeError,
    "batch must be an integer >= 1: current value is 0",
  );
  using short = device.allocate(8, "short");
  refused(
    () => measure.within(X, { output: short }),
    RangeError,
    '"short" must hold at least 9 words: it holds 8',
  );
  using elsewhere = new CpuDevice();
  using foreign = elsewhere.upload(X);
  refused(() => measure.between(X, foreign), TypeError, "b belongs to another device");
  assertEquals(device.counters.liveArrays, 1);

  const rejected = async (call: () => Promise<unknown>, error: typeof RangeError, message: string) => {
    const thrown = await assertRejects(call, error);
    assertStrictEquals(thrown.message, `Cannot measure distances as ${message}`);
  };
  await rejected(
    () => distances(X, Float16Array.from(Y), { dimensions: 5, device }),
    TypeError,
    "b must be a Float32Array, or a device array or GPUBuffer where there is a device: current value is Float16Array(20)",
  );
  await rejected(
    () => distances([1, 2] as unknown as Float32Array, { dimensions: 1, device }),
    TypeError,
    "a must be a Float32Array, or a device array or GPUBuffer where there is a device: current value is [1, 2]",
  );
  await rejected(
    () => distances(X, Y, { dimensions: 5, tileBytes: 16, device }),
    RangeError,
    "one vector of 5 values must fit into a tile: tiles have at most 16 bytes",
  );
  await rejected(
    () => distances(X, Y, { dimensions: 5, tileBytes: 1.5, device }),
    RangeError,
    "tileBytes must be an integer >= 4: current value is 1.5",
  );
  await rejected(
    () => distances(X, Y, { dimensions: 5, inputStorage: "f16", device } as { dimensions: number }),
    TypeError,
    'the option "inputStorage" is unknown: options are metric, dimensions, outputStorage, device, tileBytes',
  );
  refused(
    () => distanceTiles(X, Y, { dimensions: 2, device }),
    RangeError,
    "the number of values in a must be a multiple of dimensions, 2: it holds 15",
  );
  assertEquals(device.counters.liveArrays, 1);
});
