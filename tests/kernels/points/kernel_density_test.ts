import { assert, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import {
  kernelDensity,
  type KernelDensityArguments,
  stretchLength,
} from "../../../kernels/points/kernel_density.ts";
import {
  kernelDensitySum,
  type KernelDensitySumArguments,
} from "../../../kernels/points/kernel_density_sum.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

interface Case {
  points: Float32Array;
  queries: Float32Array;
  weights: Float32Array;
  inverses: Float32Array;
  batch: number;
  count: number;
  queryCount: number;
  dimensions: number;
  leaveOneOut?: boolean;
}

/** Logarithms and plain sums; in blocks of `block` queries. */
async function sums(
  device: Device,
  item: Case,
  block = item.queryCount,
): Promise<{ log: Float32Array; plain: Float32Array }> {
  const { batch, count, queryCount, dimensions, leaveOneOut = false } = item;
  using arrays = new DisposableStack();
  const upload = (data: Float32Array, label: string) => arrays.use(device.upload(data, label));
  const points = upload(item.points, "points");
  const queries = leaveOneOut ? points : upload(item.queries, "queries");
  const weights = upload(item.weights, "weights");
  const inverseBandwidths = upload(item.inverses, "inverse bandwidths");
  const scales = upload(Float32Array.from({ length: 2 * batch }, (_, i) => 1 - i % 2), "scales");
  const stretches = Math.ceil(count / stretchLength(count, dimensions));
  const partials = upload(new Float32Array(2 * batch * stretches * block).fill(NaN), "partials");
  const log = upload(new Float32Array(batch * queryCount).fill(NaN), "log");
  const plain = upload(new Float32Array(batch * queryCount).fill(NaN), "plain");
  const ownWeights = item.weights.length > count;
  for (let first = 0; first < queryCount; first += block) {
    const part = {
      batch,
      count,
      queryCount,
      dimensions,
      first,
      block: Math.min(block, queryCount - first),
      partials,
    };
    device.run(kernelDensity, {
      ...part,
      points,
      queries,
      weights,
      inverseBandwidths,
      ownWeights,
      leaveOneOut,
    });
    device.run(kernelDensitySum, { ...part, scales, output: log, log: true });
    device.run(kernelDensitySum, { ...part, scales, output: plain });
  }
  const [logWords, plainWords] = await device.read([log, plain]);
  return { log: new Float32Array(logWords!.buffer), plain: new Float32Array(plainWords!.buffer) };
}

/** The logarithm of each sum in float64, and the stated bound. */
function oracle(item: Case): { log: number; limit: number }[] {
  const { points, queries, weights, inverses, batch, count, queryCount, dimensions: d, leaveOneOut } = item;
  const at = leaveOneOut ? points : queries;
  const stretch = stretchLength(count, d);
  const chain = 17 + stretch / 32 + Math.ceil(Math.ceil(count / stretch) / 16) + 16;
  return Array.from({ length: batch * queryCount }, (_, q) => {
    const element = Math.floor(q / queryCount);
    const terms: { log: number; t: number }[] = [];
    for (let j = 0; j < count; j++) {
      const weight = weights[weights.length > count ? element * count + j : j]!;
      if (weight < 2 ** -126 || (leaveOneOut && j === q % queryCount)) continue;
      let squares = 0;
      for (let k = 0; k < d; k++) squares += (points[(element * count + j) * d + k]! - at[q * d + k]!) ** 2;
      const t = squares * inverses[element]! ** 2 / 2;
      terms.push({ log: Math.log(weight) - t, t: t + Math.abs(Math.log(weight)) });
    }
    const top = terms.reduce((most, { log }) => Math.max(most, log), -Infinity);
    const total = terms.reduce((sum, { log }) => sum + Math.exp(log - top), 0);
    const t = terms.reduce((mean, term) => mean + Math.exp(term.log - top) / total * term.t, 0);
    return { log: top + Math.log(total), limit: 2 ** -24 * ((d + 7) * t + 31 + chain) };
  });
}

function assertSums(
  { log, plain }: { log: Float32Array; plain: Float32Array },
  wanted: { log: number; limit: number }[],
  name: string,
): void {
  assertEquals([log.length, plain.length], [wanted.length, wanted.length]);
  for (const [i, { log: value, limit }] of wanted.entries()) {
    if (value === -Infinity || Number.isNaN(value)) {
      assertEquals([log[i], plain[i]], [-Infinity, 0], `${name}, ${i}`);
      continue;
    }
    const inLog = 1.01 * limit + 2 ** -21 + 2 ** -22 * Math.abs(value);
    assert(Math.abs(log[i]! - value) <= inLog, `${name}, ${i}: log ${log[i]} for ${value}, within ${inLog}`);
    const inPlain = Math.expm1(Math.min(limit + 2 ** -23, 700)) * Math.exp(value) + 2 ** -126;
    const off = Math.abs(plain[i]! - Math.exp(value));
    assert(off <= inPlain, `${name}, ${i}: ${plain[i]} for ${Math.exp(value)}, within ${inPlain}`);
  }
}

function randomCase(random: () => number, sizes: Partial<Case> = {}): Case {
  const upTo = (most: number): number => Math.floor(random() * (most + 1));
  const batch = 1 + upTo(2);
  const count = 1 + upTo(random() < 0.5 ? 40 : 200);
  const leaveOneOut = random() < 0.3;
  const queryCount = leaveOneOut ? count : upTo(90);
  const dimensions = 4 * (1 + upTo(random() < 0.5 ? 3 : 11));
  const shape = { batch, count, queryCount, dimensions, leaveOneOut, ...sizes };
  const spread = 10 ** (random() * 12 - 6);
  const values = (length: number): Float32Array =>
    Float32Array.from({ length }, () => (random() + random() - 1) * spread);
  const points = values(shape.batch * shape.count * shape.dimensions);
  // Duplicates.
  points.copyWithin(0, shape.dimensions * (shape.count - 1), shape.dimensions * shape.count);
  return {
    ...shape,
    points,
    queries: values(shape.batch * shape.queryCount * shape.dimensions),
    weights: Float32Array.from(
      { length: random() < 0.5 ? shape.count : shape.batch * shape.count },
      () => random() < 0.1 ? 0 : random() * 10 ** (random() < 0.2 ? random() * 60 - 30 : 0),
    ),
    // From one to hundreds of bandwidths apart.
    inverses: Float32Array.from(
      { length: shape.batch },
      () => 10 ** (random() * 3 - 1) / spread / Math.sqrt(shape.dimensions),
    ),
  };
}

testOnDevices("kernelDensity: sums are the formula's in float64, within the stated bound", async (device) => {
  const random = testRandom(1);
  for (let round = 0; round < 40; round++) {
    const item = randomCase(random);
    const { batch, count, queryCount, dimensions, leaveOneOut } = item;
    const name = `${batch}x${count}x${queryCount}x${dimensions}, leave one out: ${leaveOneOut}`;
    assertSums(await sums(device, item), oracle(item), name);
  }
});

testOnDevices("kernelDensity: sums of every row length in registers, and beyond", async (device) => {
  const random = testRandom(2);
  for (const dimensions of [4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 128]) {
    const item = randomCase(random, { batch: 1, count: 70, queryCount: 70, dimensions });
    assertSums(await sums(device, item), oracle(item), `${dimensions}`);
  }
});

testOnDevices("kernelDensity: sums over many stretches, for small and large workgroups", async (device) => {
  const random = testRandom(3);
  for (const [count, queryCount] of [[5000, 3], [5000, 130], [129, 4200], [64, 64], [65, 65]] as const) {
    const item = randomCase(random, { batch: 1, count, queryCount, dimensions: 4, leaveOneOut: false });
    assertSums(await sums(device, item), oracle(item), `${count}x${queryCount}`);
  }
});

testOnDevices("kernelDensity: hundred thousand equal terms lose no digits", async (device) => {
  const count = 100_000;
  const one = { batch: 1, count, queryCount: 1, dimensions: 4, queries: new Float32Array(4) };
  const ones = new Float32Array(count).fill(1);
  const inverses = new Float32Array([1]);
  const equal = { ...one, points: new Float32Array(4 * count), weights: ones, inverses };
  // Sums of equal powers of two are exact as long as they fit.
  assertEquals([...(await sums(device, equal)).plain], [count]);
  // One large term, then many that each vanish beside it.
  const weights = ones.map((_, i) => i === 0 ? 2 ** 24 : 0.75);
  const wanted = 2 ** 24 + 0.75 * (count - 1);
  const [found] = (await sums(device, { ...equal, weights })).plain;
  assert(Math.abs(found! / wanted - 1) <= 2 ** -24 * (31 + 17 + 8 + 25 + 16), `${found}, ${wanted}`);
});

testOnDevices(
  "kernelDensity: what a query gets depends neither on the other queries nor on the blocks",
  async (device) => {
    const random = testRandom(4);
    const item = randomCase(random, {
      batch: 2,
      count: 300,
      queryCount: 150,
      dimensions: 12,
      leaveOneOut: false,
    });
    const whole = await sums(device, item);
    for (const block of [1, 64, 149]) assertEquals(await sums(device, item, block), whole);
    const size = 150 * 12;
    const some = [
      ...item.queries.subarray(5 * 12, 7 * 12),
      ...item.queries.subarray(size + 5 * 12, size + 7 * 12),
    ];
    const few = await sums(device, { ...item, queryCount: 2, queries: new Float32Array(some) });
    assertEquals([...few.log], [5, 6, 155, 156].map((i) => whole.log[i]!));
  },
);

testOnDevices("kernelDensity: no points, no queries and no weight", async (device) => {
  const base = { batch: 1, dimensions: 4, inverses: new Float32Array([1]) };
  const one = { ...base, points: new Float32Array(4), queries: new Float32Array(8), queryCount: 2 };
  const empty = { ...one, count: 0, points: new Float32Array(0), weights: new Float32Array(0) };
  assertEquals(await sums(device, empty), {
    log: new Float32Array(2).fill(-Infinity),
    plain: new Float32Array(2),
  });
  const light = { ...one, count: 1, weights: new Float32Array([2 ** -130]) };
  assertEquals(await sums(device, light), {
    log: new Float32Array(2).fill(-Infinity),
    plain: new Float32Array(2),
  });
  const none = {
    ...one,
    count: 1,
    weights: new Float32Array([1]),
    queryCount: 0,
    queries: new Float32Array(0),
  };
  assertEquals((await sums(device, none)).log.length, 0);
});

testOnDevices("kernelDensity: queries that are not finite", async (device) => {
  for (const dimensions of [4, 36]) {
    const random = testRandom(5);
    const item = randomCase(random, { batch: 1, count: 130, queryCount: 5, dimensions, leaveOneOut: false });
    item.queries[dimensions - 1] = NaN;
    item.queries[dimensions] = Infinity;
    item.queries[2 * dimensions + 1] = -Infinity;
    item.queries.set([NaN, Infinity], 3 * dimensions);
    const { log, plain } = await sums(device, item);
    assertEquals([...log.subarray(0, 4)], [NaN, -Infinity, -Infinity, NaN]);
    assertEquals([...plain.subarray(0, 4)], [NaN, 0, 0, NaN]);
    assert(Number.isFinite(log[4]!));
  }
});

testOnDevices("kernelDensitySum: scales and shares", async (device) => {
  using partials = device.upload(new Float32Array([-20, 1.5, -200, 1.25, 3, 1, 0, 0]));
  using scales = device.upload(new Float32Array([1.5, 190, 1, -10]));
  using shares = device.upload(new Float32Array([0.5, 0.25]));
  using own = device.upload(new Float32Array([0.5, 0.25, 0.125, 0]));
  using output = device.allocate(4);
  const shape = { batch: 2, count: 1, queryCount: 2, dimensions: 4, partials, scales, output };
  const found = async (args: Partial<KernelDensitySumArguments>): Promise<number[]> => {
    device.run(kernelDensitySum, { ...shape, ...args });
    return [...await readFloats(output)];
  };
  assertEquals(await found({}), [Infinity, 1.875 * 2 ** -10, 2 ** -7, 0]);
  assertEquals(await found({ shares }), [Infinity, 1.875 * 2 ** -8, 2 ** -6, 0]);
  assertEquals(await found({ shares: own, ownShares: true }), [Infinity, 1.875 * 2 ** -8, 2 ** -4, 0]);
  const [a, b, c, d] = await found({ log: true });
  const near = (x: number, y: number): void =>
    assert(Math.abs(x - y) <= 2 ** -21 + 2 ** -22 * Math.abs(y), `${x}, ${y}`);
  near(a!, Math.log(2.25) + 170 * Math.LN2);
  near(b!, Math.log(1.875) - 10 * Math.LN2);
  near(c!, -7 * Math.LN2);
  assertEquals(d, -Infinity);
});

testOnGpu("kernelDensity: the GPU agrees with the twin within twice the bound", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(6);
  for (let round = 0; round < 25; round++) {
    const item = randomCase(random);
    const wanted = await sums(cpu, item);
    const limits = oracle(item);
    const found = await sums(device, item);
    for (const [i, log] of found.log.entries()) {
      const other = wanted.log[i]!;
      const limit = 2.02 * limits[i]!.limit + 2 ** -20 + 2 ** -21 * Math.abs(other);
      assert(log === other || Math.abs(log - other) <= limit, `${log}, ${other}, within ${limit}`);
    }
  }
});

Deno.test("stretchLength: stretches follow from the sizes and keep loops short", () => {
  assertEquals([0, 1, 64, 4096, 5000, 100_000, 10 ** 6].map((count) => stretchLength(count, 32)), [
    64,
    64,
    64,
    64,
    64,
    256,
    1024,
  ]);
  for (const count of [1, 1000, 10 ** 5, 10 ** 6]) {
    for (const dimensions of [4, 100, 1000, 10_000, 32768]) {
      const stretch = stretchLength(count, dimensions);
      const turns = stretch / 32 + (dimensions <= 32 ? stretch / 2 : stretch / 8 * (1 + dimensions / 4));
      assert(turns < 65535, `${count}, ${dimensions}`);
    }
  }
});

Deno.test("kernelDensity: kernel densities refuse bad calls", () => {
  using device = new CpuDevice();
  const points = device.allocate(24, "points");
  const queries = device.allocate(16, "queries");
  const weights = device.allocate(3, "weights");
  const inverseBandwidths = device.allocate(1, "inverse bandwidths");
  const partials = device.allocate(8, "partials");
  const scales = device.allocate(2, "scales");
  const output = device.allocate(2, "output");
  const shape = { batch: 1, count: 3, queryCount: 2, dimensions: 8 };
  const good: KernelDensityArguments = { ...shape, points, queries, weights, inverseBandwidths, partials };
  const goodSum: KernelDensitySumArguments = { ...shape, partials, scales, output };
  device.run(kernelDensity, good);
  device.run(kernelDensitySum, goodSum);
  const refused = (change: Partial<KernelDensityArguments>, reason: string): void => {
    assertThrows(
      () => device.run(kernelDensity, { ...good, ...change }),
      RangeError,
      `Cannot sum kernel densities as ${reason}`,
    );
  };
  refused({ batch: -1 }, "batch must be an integer from 0 to 65535: current value is -1");
  refused({ count: 1.5 }, "count must be an integer >= 0: current value is 1.5");
  refused({ queryCount: -1 }, "queryCount must be an integer >= 0: current value is -1");
  refused({ dimensions: 0 }, "dimensions must be an integer from 1 to 32768: current value is 0");
  refused({ dimensions: 6 }, "dimensions must be a multiple of 4: current value is 6");
  refused({ first: 3 }, "first must be an integer from 0 to 2: current value is 3");
  refused({ first: 1, block: 2 }, "block must be an integer from 0 to 1: current value is 2");
  refused({ leaveOneOut: true }, "leaving one out needs as many queries as points: 2 and 3 are given");
  refused(
    { count: 10 ** 9, dimensions: 32768 },
    "count is too large for rows of 32768 words: it is 1000000000",
  );
  refused({ count: 4 }, '"points" must hold at least 32 words: it holds 24');
  refused({ queryCount: 3 }, '"queries" must hold at least 24 words: it holds 16');
  refused({ count: 4, dimensions: 4 }, '"weights" must hold at least 4 words: it holds 3');
  refused({ batch: 2, dimensions: 4, ownWeights: true }, '"weights" must hold at least 6 words: it holds 3');
  refused({ batch: 2, dimensions: 4 }, '"inverse bandwidths" must hold at least 2 words: it holds 1');
  refused({ partials: output }, '"output" must hold at least 4 words: it holds 2');
  const refusedSum = (change: Partial<KernelDensitySumArguments>, reason: string): void => {
    assertThrows(
      () => device.run(kernelDensitySum, { ...goodSum, ...change }),
      RangeError,
      `Cannot add up kernel densities as ${reason}`,
    );
  };
  refusedSum({ batch: 65536 }, "batch must be an integer from 0 to 65535: current value is 65536");
  refusedSum({ count: -1 }, "count must be an integer >= 0: current value is -1");
  refusedSum({ queryCount: NaN }, "queryCount must be an integer >= 0: current value is NaN");
  refusedSum({ dimensions: 40000 }, "dimensions must be an integer from 1 to 32768: current value is 40000");
  refusedSum({ first: -1 }, "first must be an integer from 0 to 2: current value is -1");
  refusedSum({ queryCount: 5 }, '"partials" must hold at least 10 words: it holds 8');
  refusedSum({ batch: 2 }, '"scales" must hold at least 4 words: it holds 2');
  refusedSum({ shares: inverseBandwidths }, '"inverse bandwidths" must hold at least 2 words: it holds 1');
  refusedSum({ output: inverseBandwidths }, '"inverse bandwidths" must hold at least 2 words: it holds 1');
});
