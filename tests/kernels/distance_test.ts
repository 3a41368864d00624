import { assert, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../kernels/cpu_device.ts";
import { type Device, readFloats } from "../../kernels/device.ts";
import { distanceMatrix, type DistanceMatrixArguments } from "../../kernels/distance.ts";
import { testOnDevices, testOnGpu, testRandom } from "../devices.ts";
import { SIX, SIX_EXPECTED } from "../fixtures/var-scaling/check_vectors.ts";

type Shape = Pick<DistanceMatrixArguments, "rows" | "columns" | "dimensions" | "metric">;

async function distances(
  device: Device,
  left: Float32Array,
  right: Float32Array,
  shape: Shape,
): Promise<Float32Array> {
  using a = device.upload(left, "a");
  using b = device.upload(right, "b");
  using output = device.upload(new Float32Array(shape.rows * shape.columns).fill(-1), "output");
  device.run(distanceMatrix, { a, b, output, ...shape });
  return await readFloats(output);
}

/** The distance in float64, from the textbook formula. */
function oracle(a: Float32Array, b: Float32Array, metric: Shape["metric"]): number {
  const dot = (x: Float32Array, y: Float32Array): number =>
    x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  if (metric === "cosine") return 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  return a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);
}

function bound(distance: number, n: number, metric: Shape["metric"]): number {
  if (metric === "squared-euclidean") return (n + 4) * 2 ** -24 * distance;
  return (2 * n + 16) * 2 ** -24 * distance + 2 ** -22 * Math.sqrt(distance) + (n + 10) ** 2 * 2 ** -48;
}

const METRICS = ["squared-euclidean", "cosine"] as const;
const SIZES = [[1, 1, 1], [1, 17, 3], [16, 16, 16], [17, 33, 31], [5, 3, 300], [40, 2, 64]] as const;

testOnDevices("distances are the textbook formula's in float64", async (device) => {
  const random = testRandom(2);
  for (const [rows, columns, dimensions] of SIZES) {
    const a = Float32Array.from({ length: rows * dimensions }, () => random() * 2 - 1);
    const b = Float32Array.from({ length: columns * dimensions }, () => random() * 2 - 1);
    for (const metric of METRICS) {
      const found = await distances(device, a, b, { rows, columns, dimensions, metric });
      for (const [i, distance] of found.entries()) {
        const row = Math.floor(i / columns) * dimensions;
        const column = i % columns * dimensions;
        const wanted = oracle(
          a.subarray(row, row + dimensions),
          b.subarray(column, column + dimensions),
          metric,
        );
        // 1e-15: the oracle's own rounding where it subtracts from 1.
        const limit = bound(Math.max(wanted, 0), dimensions, metric) + 1e-15;
        assert(
          Math.abs(distance - wanted) <= limit,
          `${rows}x${columns}x${dimensions}: ${distance}, ${wanted}`,
        );
      }
    }
  }
});

testOnDevices("distances of the check vectors", async (device) => {
  const shape = { rows: 6, columns: 6, dimensions: 4, metric: "squared-euclidean" } as const;
  const found = await distances(device, SIX.codebook, SIX.codebook, shape);
  for (const [i, wanted] of SIX_EXPECTED.squaredDistances.flat().entries()) {
    // The vectors are decimal numbers rounded to f32: 2^-24 of values up to 1.2, twice in a difference up to 2.
    assert(Math.abs(found[i]! - wanted) <= 4 * 2 * 2 * 1.2 * 2 ** -23, `${i}: ${found[i]}, ${wanted}`);
  }
});

testOnDevices("identical rows are at exactly 0 and close rows keep their digits", async (device) => {
  const random = testRandom(3);
  const [rows, dimensions] = [35, 48];
  const a = Float32Array.from(
    { length: rows * dimensions },
    () => (random() * 2 - 1) * 10 ** (random() * 6 - 3),
  );
  for (const metric of METRICS) {
    const found = await distances(device, a, a.slice(), { rows, columns: rows, dimensions, metric });
    for (let i = 0; i < rows; i++) {
      assertEquals(found[i * rows + i], 0);
      for (let j = 0; j < i; j++) assertEquals(found[i * rows + j], found[j * rows + i]);
    }
  }
  // The norm expansion would lose all of 2^-20 beside 3 * 4096^2.
  const shape = { rows: 1, columns: 1, dimensions: 3, metric: "squared-euclidean" } as const;
  const far = new Float32Array([4096, 4096, 4096]);
  assertEquals([...await distances(device, far, far.map((x, i) => i === 0 ? x + 2 ** -10 : x), shape)], [
    2 ** -20,
  ]);
});

testOnDevices(
  "cosine distances do not depend on length, and a zero row is at 1 from all others",
  async (device) => {
    const a = new Float32Array([1, 0, 0, 0, -2, 0, 0, 5, 1e-25, 0]);
    const found = await distances(device, a, a, { rows: 5, columns: 5, dimensions: 2, metric: "cosine" });
    assertEquals(
      [...found].map((x) => Math.round(x * 2 ** 20) / 2 ** 20),
      [[0, 1, 2, 1, 1], [1, 0, 1, 1, 0], [2, 1, 0, 1, 1], [1, 1, 1, 0, 1], [1, 0, 1, 1, 0]].flat(),
    );
  },
);

testOnGpu("distances on the GPU are the twin's within twice the bound", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(4);
  for (let round = 0; round < 20; round++) {
    const [rows, columns, dimensions] = [0, 0, 0].map(() => 1 + Math.floor(random() * 70)) as [
      number,
      number,
      number,
    ];
    const scale = 10 ** (random() * 10 - 5);
    const a = Float32Array.from({ length: rows * dimensions }, () => (random() - 0.5) * scale);
    const b = Float32Array.from({ length: columns * dimensions }, () => (random() - 0.5) * scale);
    for (const metric of METRICS) {
      const shape = { rows, columns, dimensions, metric };
      const wanted = await distances(cpu, a, b, shape);
      for (const [i, found] of (await distances(device, a, b, shape)).entries()) {
        const limit = 2 * bound(wanted[i]!, dimensions, metric);
        assert(
          Math.abs(found - wanted[i]!) <= limit,
          `${rows}x${columns}x${dimensions}: ${found}, ${wanted[i]}`,
        );
      }
    }
  }
});

testOnDevices("no rows or no columns are no distances", async (device) => {
  const some = new Float32Array(6);
  const none = new Float32Array(0);
  assertEquals(
    (await distances(device, none, some, { rows: 0, columns: 2, dimensions: 3, metric: "cosine" })).length,
    0,
  );
  assertEquals(
    (await distances(device, some, none, { rows: 2, columns: 0, dimensions: 3, metric: "cosine" })).length,
    0,
  );
});

Deno.test("distances refuse bad calls", () => {
  using device = new CpuDevice();
  const a = device.allocate(6, "a");
  const output = device.allocate(4, "output");
  const good: DistanceMatrixArguments = {
    a,
    b: a,
    output,
    rows: 2,
    columns: 2,
    dimensions: 3,
    metric: "cosine",
  };
  const refused = (
    change: Partial<DistanceMatrixArguments>,
    error: typeof RangeError,
    message: string,
  ): void => {
    assertThrows(() => device.run(distanceMatrix, { ...good, ...change }), error, message);
  };
  device.run(distanceMatrix, good);
  refused(
    { rows: -1 },
    RangeError,
    "Cannot measure distances as rows must be an integer >= 0: current value is -1",
  );
  refused(
    { columns: 1.5 },
    RangeError,
    "Cannot measure distances as columns must be an integer >= 0: current value is 1.5",
  );
  refused(
    { dimensions: 0 },
    RangeError,
    "Cannot measure distances as dimensions must be an integer >= 1: current value is 0",
  );
  refused(
    { metric: "manhattan" as "cosine" },
    TypeError,
    'Cannot measure distances as metric must be one of "squared-euclidean", "cosine": current value is manhattan',
  );
  refused(
    { rows: 3 },
    RangeError,
    'Cannot measure distances as "a" must hold at least 9 words: it holds 6',
  );
  refused(
    { output: a, columns: 2, rows: 2, a, b: output },
    RangeError,
    'Cannot measure distances as "output" must hold at least 6 words: it holds 4',
  );
});
