import { assert, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { Device, DeviceArray } from "../../../kernels/device/device.ts";
import {
  DISTANCE_METRICS,
  distanceMatrix,
  type DistanceMatrixArguments,
  type DistanceMetric,
} from "../../../kernels/points/distance.ts";
import { type FloatStorage, inverseLengths } from "../../../kernels/points/inverse_lengths.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";
import { SIX, SIX_EXPECTED } from "../../fixtures/var-scaling/check_vectors.ts";

interface Case {
  batch?: number;
  rows: number;
  columns: number;
  dimensions: number;
  metric: DistanceMetric;
  inputStorage?: FloatStorage;
  outputStorage?: FloatStorage;
}

const GUARD = 0xdeadbeef;

/** Words of a vector set, guarded by NaN where a word has a half too many. */
function stored(values: ArrayLike<number>, storage: FloatStorage = "f32"): Uint32Array {
  if (storage === "f32") return new Uint32Array(Float32Array.from(values).buffer);
  const halves = new Float16Array(values.length + values.length % 2).fill(NaN);
  halves.set(values);
  return new Uint32Array(halves.buffer);
}

/** Runs the kernel between guards, as views at odd offsets if asked, and returns the results without gaps. */
async function distances(
  device: Device,
  left: ArrayLike<number>,
  right: ArrayLike<number>,
  shape: Case,
  odd = false,
): Promise<number[]> {
  const { batch = 1, rows, columns, dimensions, metric, inputStorage, outputStorage } = shape;
  using stack = new DisposableStack();
  const place = (words: Uint32Array, label: string): DeviceArray => {
    const before = odd ? 3 : 0;
    const guarded = new Uint32Array(before + words.length + 1).fill(0x7fc00000);
    guarded.set(words, before);
    const whole = stack.use(device.upload(guarded, label));
    return odd ? stack.use(device.view(whole, before, words.length)) : whole;
  };
  const a = place(stored(left, inputStorage), "a");
  const b = place(stored(right, inputStorage), "b");
  const pitch = outputStorage === "f16" ? Math.ceil(columns / 2) : columns;
  const length = batch * rows * pitch;
  const whole = stack.use(device.upload(new Uint32Array(length + 6).fill(GUARD), "output"));
  const output = odd ? stack.use(device.view(whole, 3, length)) : whole;
  const args = { ...shape, a, b, output };
  if (metric === "cosine") {
    const inverseA = stack.use(device.allocate(batch * rows));
    const inverseB = stack.use(device.allocate(batch * columns));
    const storage = inputStorage ?? "f32";
    device.run(inverseLengths, { input: a, output: inverseA, count: batch * rows, dimensions, storage });
    device.run(inverseLengths, { input: b, output: inverseB, count: batch * columns, dimensions, storage });
    device.run(distanceMatrix, { ...args, inverseA, inverseB });
  } else {
    device.run(distanceMatrix, args);
  }
  const [words] = await device.read([whole]);
  const start = odd ? 3 : 0;
  for (const [i, word] of words!.entries()) {
    if (i < start || i >= start + length) {
      assertEquals(word, GUARD, `word ${i - start} of ${length} is written`);
    }
  }
  const results = words!.slice(start, start + length).buffer;
  if (outputStorage !== "f16") return [...new Float32Array(results)];
  const halves = new Float16Array(results);
  return Array.from({ length: batch * rows }, (_, row) => {
    for (let i = columns; i < 2 * pitch; i++) assertEquals(halves[row * 2 * pitch + i], 0);
    return [...halves.subarray(row * 2 * pitch, row * 2 * pitch + columns)];
  }).flat();
}

/** The distance in float64, from the textbook formula. */
function oracle(a: ArrayLike<number>, b: ArrayLike<number>, metric: DistanceMetric): number {
  let [square, product, lengthA, lengthB] = [0, 0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    square += (a[i]! - b[i]!) ** 2;
    product += a[i]! * b[i]!;
    lengthA += a[i]! ** 2;
    lengthB += b[i]! ** 2;
  }
  if (metric === "squared-euclidean") return square;
  if (metric === "euclidean") return Math.sqrt(square);
  return metric === "inner-product" ? product : 1 - product / Math.sqrt(lengthA) / Math.sqrt(lengthB);
}

/** The bound stated at the kernel, for one pair and results in f32. */
function bound(a: ArrayLike<number>, b: ArrayLike<number>, wanted: number, metric: DistanceMetric): number {
  const n = a.length;
  const u = 2 ** -24;
  if (metric === "squared-euclidean") return 1.01 * (n / 4 + 8) * u * wanted + n * 2 ** -125;
  if (metric === "euclidean") return 1.01 * (n / 8 + 14) * u * wanted + Math.sqrt(n) * 2 ** -61;
  if (metric === "cosine") {
    const distance = Math.max(wanted, 0);
    // 1e-15: the oracle's own rounding where it subtracts from 1.
    return 1.01 * (n / 2 + 30) * u * distance + 2 ** -22 * Math.sqrt(distance) +
      (n / 8 + 12) ** 2 * 2 ** -47 + 1e-15;
  }
  let sum = 0;
  for (let i = 0; i < n; i++) sum += Math.abs(a[i]! * b[i]!);
  return 1.01 * (n / 4 + 5) * u * sum + n * 2 ** -125;
}

/** Compares with the oracle pair by pair. */
function check(
  found: readonly number[],
  a: ArrayLike<number> & { subarray(from: number, to: number): ArrayLike<number> },
  b: typeof a,
  shape: Case,
): void {
  const { batch = 1, rows, columns, dimensions: n, metric } = shape;
  assertEquals(found.length, batch * rows * columns);
  for (const [i, distance] of found.entries()) {
    const row = Math.floor(i / columns);
    const column = Math.floor(row / rows) * columns + i % columns;
    const x = a.subarray(row * n, (row + 1) * n);
    const y = b.subarray(column * n, (column + 1) * n);
    const wanted = oracle(x, y, metric);
    let limit = bound(x, y, wanted, metric);
    if (shape.outputStorage === "f16") limit += 2 ** -11 * (Math.abs(wanted) + limit) + 2 ** -25;
    assert(Math.abs(distance - wanted) <= limit, `${JSON.stringify(shape)} ${i}: ${distance}, ${wanted}`);
  }
}

const SIZES = [
  [1, 1, 1, 1],
  [1, 1, 17, 3],
  [1, 16, 16, 16],
  [1, 17, 33, 31],
  [1, 5, 3, 300],
  [1, 40, 2, 64],
  [1, 33, 261, 2],
  [1, 265, 7, 5],
  [1, 2, 517, 33],
  [3, 9, 10, 7],
  [5, 1, 3, 36],
] as const;

testOnDevices("distanceMatrix: distances are the textbook formula's in float64", async (device) => {
  const random = testRandom(2);
  for (const [batch, rows, columns, dimensions] of SIZES) {
    const a = Float32Array.from({ length: batch * rows * dimensions }, () => random() * 2 - 1);
    const b = Float32Array.from({ length: batch * columns * dimensions }, () => random() * 2 - 1);
    for (const metric of DISTANCE_METRICS) {
      const shape = { batch, rows, columns, dimensions, metric };
      check(await distances(device, a, b, shape), a, b, shape);
    }
  }
});

testOnDevices("distanceMatrix: every number of dimensions up to 40", async (device) => {
  const random = testRandom(5);
  for (let dimensions = 1; dimensions <= 40; dimensions++) {
    const a = Float32Array.from({ length: 3 * dimensions }, () => random() * 2 - 1);
    const b = Float32Array.from({ length: 10 * dimensions }, () => random() * 2 - 1);
    const shape = { rows: 3, columns: 10, dimensions, metric: "squared-euclidean" } as const;
    check(await distances(device, a, b, shape), a, b, shape);
  }
});

testOnDevices("distanceMatrix: halves in and out, also in odd numbers", async (device) => {
  const random = testRandom(6);
  for (const [batch, rows, columns, dimensions] of SIZES) {
    const a = Float16Array.from({ length: batch * rows * dimensions }, () => random() * 2 - 1);
    const b = Float16Array.from({ length: batch * columns * dimensions }, () => random() * 2 - 1);
    for (const metric of DISTANCE_METRICS) {
      for (const inputStorage of ["f32", "f16"] as const) {
        const shape = {
          batch,
          rows,
          columns,
          dimensions,
          metric,
          inputStorage,
          outputStorage: "f16",
        } as const;
        check(await distances(device, a, b, shape), a, b, shape);
      }
      const shape = { batch, rows, columns, dimensions, metric, inputStorage: "f16" } as const;
      check(await distances(device, a, b, shape), a, b, shape);
    }
  }
});

testOnDevices(
  "distanceMatrix: halves are rounded to nearest even, and to infinity from 65520 on",
  async (device) => {
    // Inner products with 1 are the values themselves.
    const values = [
      ...[
        0,
        1,
        -1,
        2049,
        2051,
        2 ** -24,
        2 ** -25,
        1.5 * 2 ** -25,
        3 * 2 ** -25,
        2 ** -14 - 2 ** -25,
        2 ** -14,
      ],
      ...[
        65504,
        65519,
        65520,
        -65519.99,
        -65520,
        1e9,
        -1e30,
        3e38,
        Infinity,
        -Infinity,
        NaN,
        0.1,
        1e-7,
        -6e-8,
      ],
    ].map(Math.fround);
    const shape = {
      rows: values.length,
      columns: 1,
      dimensions: 1,
      metric: "inner-product",
      outputStorage: "f16",
    } as const;
    assertEquals(await distances(device, values, [1], shape), [...Float16Array.from(values)]);
    const across = { ...shape, rows: 1, columns: values.length };
    assertEquals(await distances(device, [1], values, across), [...Float16Array.from(values)]);
    // Overflow of a distance, from halves.
    const far = { ...shape, rows: 1, columns: 3, metric: "squared-euclidean", inputStorage: "f16" } as const;
    assertEquals(await distances(device, [-32000], [32000, -31760, -32000], far), [Infinity, 57600, 0]);
  },
);

testOnDevices(
  "distanceMatrix: halves are read for what they are, NaN and infinity included",
  async (device) => {
    const all = new Float16Array(Uint16Array.from({ length: 1024 }, (_, i) => i * 64 + i % 64).buffer);
    const shape = { columns: 1, dimensions: 1, metric: "inner-product", inputStorage: "f16" } as const;
    const found = await distances(device, all, [1], { ...shape, rows: all.length });
    assertEquals(found.map((x) => x + 0), [...all].map((x) => x + 0));
  },
);

testOnDevices(
  "distanceMatrix: views at odd offsets, with nothing read or written beside them",
  async (device) => {
    const random = testRandom(7);
    for (const [batch, rows, columns, dimensions] of SIZES) {
      const a = Float16Array.from({ length: batch * rows * dimensions }, () => random() * 2 - 1);
      const b = Float16Array.from({ length: batch * columns * dimensions }, () => random() * 2 - 1);
      for (const storage of ["f32", "f16"] as const) {
        const storages = { inputStorage: storage, outputStorage: storage };
        const shape = { batch, rows, columns, dimensions, metric: "cosine", ...storages } as const;
        check(await distances(device, a, b, shape, true), a, b, shape);
      }
    }
  },
);

testOnDevices("distanceMatrix: distances of the check vectors", async (device) => {
  const shape = { rows: 6, columns: 6, dimensions: 4, metric: "squared-euclidean" } as const;
  const found = await distances(device, SIX.codebook, SIX.codebook, shape);
  for (const [i, wanted] of SIX_EXPECTED.squaredDistances.flat().entries()) {
    // The vectors are decimal numbers rounded to f32: 2^-24 of values up to 1.2, twice in a difference up to
    // 2.
    assert(Math.abs(found[i]! - wanted) <= 4 * 2 * 2 * 1.2 * 2 ** -23, `${i}: ${found[i]}, ${wanted}`);
  }
});

testOnDevices(
  "distanceMatrix: identical rows are at exactly 0 and close rows keep their digits",
  async (device) => {
    const random = testRandom(3);
    for (const [rows, dimensions] of [[35, 48], [35, 30], [300, 7]] as const) {
      const a = Float32Array.from(
        { length: rows * dimensions },
        () => (random() * 2 - 1) * 10 ** (random() * 6 - 3),
      );
      for (const metric of ["squared-euclidean", "euclidean", "cosine"] as const) {
        const found = await distances(device, a, a, { rows, columns: rows, dimensions, metric });
        for (let i = 0; i < rows; i++) {
          assertEquals(found[i * rows + i], 0);
          for (let j = 0; j < i; j++) assertEquals(found[i * rows + j], found[j * rows + i]);
        }
      }
    }
    // The norm expansion would lose all of 2^-20 beside 3 * 4096^2.
    const shape = { rows: 1, columns: 1, dimensions: 3, metric: "squared-euclidean" } as const;
    assertEquals(await distances(device, [4096, 4096, 4096], [4096 + 2 ** -10, 4096, 4096], shape), [
      2 ** -20,
    ]);
    // 1 - cos would lose 2^-25 beside 1.
    const near = { rows: 1, columns: 1, dimensions: 2, metric: "cosine" } as const;
    const [angle] = await distances(device, [1, 0], [1, 2 ** -12], near);
    assert(Math.abs(angle! / 2 ** -25 - 1) <= 2 ** -8, `${angle}`);
  },
);

testOnDevices("distanceMatrix: shifting, scaling and permuting vectors", async (device) => {
  const random = testRandom(8);
  const [rows, columns, dimensions] = [20, 300, 20];
  // Multiples of 2^-8: shifted by 1024 and scaled by a power of 2 they stay exact.
  const draw = (count: number): Float32Array =>
    Float32Array.from({ length: count * dimensions }, () => Math.round(random() * 512 - 256) / 256);
  const [a, b] = [draw(rows), draw(columns)];
  for (const metric of DISTANCE_METRICS) {
    const shape = { rows, columns, dimensions, metric };
    const found = await distances(device, a, b, shape);
    if (metric !== "cosine" && metric !== "inner-product") {
      assertEquals(await distances(device, a.map((x) => x + 1024), b.map((x) => x + 1024), shape), found);
    }
    const power = { "squared-euclidean": 2, "inner-product": 2, euclidean: 1, cosine: 0 }[metric];
    // Exact where the arithmetic is, which leaves out square roots.
    if (power === 2) {
      const scaled = await distances(device, a.map((x) => x * 64), b.map((x) => x * 64), shape);
      assertEquals(scaled, found.map((x) => x * 64 ** power));
    }
    const reversed = Float32Array.from(b, (_, i) => {
      return b[(columns - 1 - Math.floor(i / dimensions)) * dimensions + i % dimensions]!;
    });
    const turned = await distances(device, a, reversed, shape);
    assertEquals(turned, found.map((_, i) => found[i - i % columns + columns - 1 - i % columns]!));
    // The other way round threads hold the other set.
    const transposed = await distances(device, b, a, { ...shape, rows: columns, columns: rows });
    assertEquals(
      transposed,
      transposed.map((_, i) => found[i % rows * columns + Math.floor(i / rows)]!),
    );
  }
});

testOnDevices(
  "distanceMatrix: dimensions of very different scale, and very long and short vectors",
  async (device) => {
    const random = testRandom(9);
    const [rows, columns, dimensions] = [6, 9, 13];
    for (const scale of [1e-14, 1e-6, 1, 1e6, 1e15]) {
      const draw = (count: number): Float32Array =>
        Float32Array.from(
          { length: count * dimensions },
          (_, i) => (random() * 2 - 1) * scale * 10 ** (i % dimensions - 6),
        );
      const [a, b] = [draw(rows), draw(columns)];
      for (const metric of DISTANCE_METRICS) {
        if (scale === 1e15 && metric !== "cosine") continue;
        const shape = { rows, columns, dimensions, metric };
        check(await distances(device, a, b, shape), a, b, shape);
      }
    }
  },
);

testOnDevices(
  "distanceMatrix: cosine distances do not depend on length, and a zero row is at 1 from all others",
  async (device) => {
    const a = [1, 0, 0, 0, -2, 0, 0, 5, 1e-25, 0, 8e37, 0, 0, 2e38, NaN, 0];
    const found = await distances(device, a, a, { rows: 8, columns: 8, dimensions: 2, metric: "cosine" });
    assertEquals(
      found.map((x) => Math.round(x * 2 ** 20) / 2 ** 20),
      [
        [0, 1, 2, 1, 1, 0, NaN, NaN],
        [1, 0, 1, 1, 0, 1, NaN, NaN],
        [2, 1, 0, 1, 1, 2, NaN, NaN],
        [1, 1, 1, 0, 1, 1, NaN, NaN],
        [1, 0, 1, 1, 0, 1, NaN, NaN],
        [0, 1, 2, 1, 1, 0, NaN, NaN],
        Array(8).fill(NaN),
        Array(8).fill(NaN),
      ].flat(),
    );
  },
);

testOnDevices("distanceMatrix: NaN and infinity are those of float64", async (device) => {
  const special = [NaN, Infinity, -Infinity, 0, 1, -2];
  for (const dimensions of [1, 2, 4, 34, 36]) {
    // Each row is ordinary but for its last value.
    const rows = special.length;
    const a = Float32Array.from({ length: rows * dimensions }, (_, i) => {
      return i % dimensions === dimensions - 1 ? special[Math.floor(i / dimensions)]! : 0.5;
    });
    for (const metric of DISTANCE_METRICS) {
      for (const inputStorage of ["f32", "f16"] as const) {
        const shape = { rows, columns: rows, dimensions, metric, inputStorage };
        const found = await distances(device, a, a, shape);
        for (const [i, distance] of found.entries()) {
          const x = a.subarray(Math.floor(i / rows) * dimensions).subarray(0, dimensions);
          const y = a.subarray(i % rows * dimensions).subarray(0, dimensions);
          const flat = (v: Float32Array): boolean => v.every((value) => value === 0);
          const wanted = metric === "cosine" && (flat(x) || flat(y))
            ? oracle(x, y, "squared-euclidean") * 0 + (flat(x) !== flat(y) ? 1 : 0)
            : oracle(x, y, metric);
          const what = `${metric}, ${dimensions}, ${i}: ${distance}, ${wanted}`;
          if (Number.isFinite(wanted)) assert(Math.abs(distance - wanted) <= 1e-5, what);
          else assertEquals(distance, wanted, what);
        }
      }
    }
  }
});

testOnDevices("distanceMatrix: squares that overflow are infinite", async (device) => {
  const shape = { rows: 1, columns: 2, dimensions: 2 };
  const [a, b] = [[1e20, 0], [-1e20, 0, 1e20, 1e19]];
  const squared = await distances(device, a, b, { ...shape, metric: "squared-euclidean" });
  assertEquals(squared, [Infinity, Math.fround(Math.fround(1e19) ** 2)]);
  const [far] = await distances(device, a, b, { ...shape, metric: "euclidean" });
  assertEquals(far, Infinity);
});

testOnDevices("distanceMatrix: the largest number of dimensions", async (device) => {
  const dimensions = 262140;
  const random = testRandom(10);
  const a = Float32Array.from({ length: dimensions }, random);
  const b = Float32Array.from({ length: 2 * dimensions }, random);
  for (const metric of ["squared-euclidean", "cosine"] as const) {
    const shape = { rows: 1, columns: 2, dimensions, metric };
    const found = await distances(device, a, b, shape);
    check(found, a, b, shape);
    // Far tighter than the bound, which a missing tenth of the dimensions would meet.
    for (const [i, distance] of found.entries()) {
      const wanted = oracle(a, b.subarray(i * dimensions, (i + 1) * dimensions), metric);
      assert(Math.abs(distance / wanted - 1) <= 1e-3, `${distance}, ${wanted}`);
    }
  }
});

testOnGpu("distanceMatrix: distances on the GPU are the twin's within twice the bound", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(4);
  const upTo = (most: number): number => 1 + Math.floor(random() * most);
  for (let round = 0; round < 20; round++) {
    const [batch, rows, columns, dimensions] = [upTo(3), upTo(70), upTo(70), upTo(70)];
    const scale = 10 ** (random() * 10 - 5);
    const a = Float32Array.from({ length: batch * rows * dimensions }, () => (random() - 0.5) * scale);
    const b = Float32Array.from({ length: batch * columns * dimensions }, () => (random() - 0.5) * scale);
    for (const metric of DISTANCE_METRICS) {
      const shape = { batch, rows, columns, dimensions, metric };
      const wanted = await distances(cpu, a, b, shape);
      for (const [i, found] of (await distances(device, a, b, shape)).entries()) {
        const row = Math.floor(i / columns);
        const column = Math.floor(row / rows) * columns + i % columns;
        const x = a.subarray(row * dimensions, (row + 1) * dimensions);
        const y = b.subarray(column * dimensions, (column + 1) * dimensions);
        const limit = 2 * bound(x, y, wanted[i]!, metric);
        assert(
          Math.abs(found - wanted[i]!) <= limit,
          `${batch}x${rows}x${columns}x${dimensions}: ${found}, ${wanted[i]}`,
        );
      }
    }
  }
});

testOnDevices("distanceMatrix: no rows, no columns or no matrices are no distances", async (device) => {
  const some = new Float32Array(6);
  const shape = { rows: 2, columns: 2, dimensions: 3, metric: "cosine" } as const;
  assertEquals(await distances(device, [], some, { ...shape, rows: 0 }), []);
  assertEquals(await distances(device, some, [], { ...shape, columns: 0 }), []);
  assertEquals(await distances(device, some, some, { ...shape, batch: 0 }), []);
});

Deno.test("distanceMatrix: distances refuse bad calls", () => {
  using device = new CpuDevice();
  const a = device.allocate(6, "a");
  const output = device.allocate(4, "output");
  const inverse = device.allocate(2, "inverse");
  const good: DistanceMatrixArguments = {
    a,
    b: a,
    output,
    rows: 2,
    columns: 2,
    dimensions: 3,
    metric: "cosine",
    inverseA: inverse,
    inverseB: inverse,
  };
  const refused = (
    change: Partial<DistanceMatrixArguments>,
    error: typeof RangeError,
    message: string,
  ): void => {
    const thrown = assertThrows(() => device.run(distanceMatrix, { ...good, ...change }), error);
    assertEquals(thrown.message, `Cannot measure distances as ${message}`);
  };
  device.run(distanceMatrix, good);
  refused({ rows: -1 }, RangeError, "rows must be an integer >= 0: current value is -1");
  refused({ columns: 1.5 }, RangeError, "columns must be an integer >= 0: current value is 1.5");
  refused({ batch: -1 }, RangeError, "batch must be an integer >= 0: current value is -1");
  refused(
    { dimensions: 0 },
    RangeError,
    "dimensions must be an integer from 1 to 262140: current value is 0",
  );
  refused(
    { dimensions: 262141 },
    RangeError,
    "dimensions must be an integer from 1 to 262140: current value is 262141",
  );
  refused(
    { metric: "manhattan" as "cosine" },
    TypeError,
    'metric must be one of "squared-euclidean", "euclidean", "cosine", "inner-product": current value is "manhattan"',
  );
  refused(
    { inputStorage: "f64" as "f16" },
    TypeError,
    'inputStorage must be one of "f32", "f16": current value is "f64"',
  );
  refused(
    { outputStorage: "f64" as "f16" },
    TypeError,
    'outputStorage must be one of "f32", "f16": current value is "f64"',
  );
  refused({ rows: 3 }, RangeError, '"a" must hold at least 9 words: it holds 6');
  refused({ rows: 5, inputStorage: "f16" }, RangeError, '"a" must hold at least 8 words: it holds 6');
  refused(
    { output: a, a, b: output },
    RangeError,
    '"output" must hold at least 6 words: it holds 4',
  );
  refused({ output: inverse }, RangeError, '"inverse" must hold at least 4 words: it holds 2');
  refused(
    { columns: 3, b: device.allocate(9, "b"), outputStorage: "f16", output: device.allocate(3, "short") },
    RangeError,
    '"short" must hold at least 4 words: it holds 3',
  );
  refused(
    { metric: "euclidean" },
    TypeError,
    'inverseA must be given for the metric "cosine" and for no other: it is given and the metric is "euclidean"',
  );
  const { inverseB: _, ...without } = good;
  const missing = assertThrows(() => device.run(distanceMatrix, without), TypeError);
  assertEquals(
    missing.message,
    'Cannot measure distances as inverseB must be given for the metric "cosine" and for no other: ' +
      'it is missing and the metric is "cosine"',
  );
  refused({ inverseA: device.allocate(1, "x") }, RangeError, '"x" must hold at least 2 words: it holds 1');
});
