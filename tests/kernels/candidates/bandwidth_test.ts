import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import {
  type BandwidthArguments,
  silvermanBandwidth,
  silvermanFactor,
} from "../../../kernels/candidates/bandwidth.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";
import { SIX, SIX_EXPECTED, TWO, TWO_EXPECTED } from "../../fixtures/var-scaling/check_vectors.ts";
import { densities, type Pool, type PoolShape, randomPool, silverman, vectorOf } from "../../var_scaling.ts";

/**
 * How far a bandwidth may be off: each value by 2^-23 of its dimension's range, the sum and the products by a
 * rounding each. The root mean square of the values' errors bounds the error of a standard deviation.
 */
function bound(vectors: readonly number[][], h: number): number {
  const n = vectors.length;
  const d = vectors[0]!.length;
  const ranges = vectors[0]!.map((_, c) => {
    const column = vectors.map((vector) => vector[c]!);
    return Math.max(...column) - Math.min(...column);
  });
  const values = ranges.reduce((a, b) => a + b) / d * silvermanFactor(n, d) * 2 ** -23;
  return Math.sqrt(n / Math.max(1, n - 1)) * values + (d + 10) * 2 ** -24 * h;
}

function wantedVectors(pool: Pool, image: number, position?: number): number[][] {
  return Array.from({ length: pool.draws }, (_, draw) => vectorOf(pool, image, draw, position));
}

Deno.test("silvermanFactor: Silverman's factor is the published one", () => {
  const published = [
    [10, 0.88390386],
    [20, 0.86704789],
    [50, 0.84525782],
    [75, 0.83579116],
    [100, 0.82913883],
    [500, 0.79288722],
    [3000, 0.75439032],
  ] as const;
  for (const [points, factor] of published) assertAlmostEquals(silvermanFactor(points, 32), factor, 5e-9);
  assertAlmostEquals(silvermanFactor(6, 4), SIX_EXPECTED.factor, 1e-15);
  assertAlmostEquals(silvermanFactor(5, 3), TWO_EXPECTED.factor, 1e-15);
});

testOnDevices("silvermanBandwidth: bandwidths of the check vectors", async (device) => {
  const population = (await densities(device, SIX)).bandwidth;
  assertAlmostEquals(population[0]!, SIX_EXPECTED.population, 3e-7);
  const sample = (await densities(device, SIX, { deviation: "sample" })).bandwidth;
  assertAlmostEquals(sample[0]!, SIX_EXPECTED.sample, 3e-7);
  const cosine = (await densities(device, SIX, { cosine: true })).bandwidth;
  // The expected number includes epsilon.
  assertAlmostEquals(cosine[0]! + 1e-6, SIX_EXPECTED.cosine.bandwidth, 1.3e-6);

  const positions = (await densities(device, TWO)).bandwidth;
  for (const [i, h] of TWO_EXPECTED.perImage.bandwidth.entries()) {
    assertAlmostEquals(positions[i]! + 1e-6, h, 5e-7);
  }
  assertEquals(positions[3], 0);
  const joint = (await densities(device, TWO, { features: "joint" })).bandwidth;
  for (const [i, h] of TWO_EXPECTED.joint.bandwidth.entries()) assertAlmostEquals(joint[i]! + 1e-6, h, 5e-7);
});

const SHAPES: readonly PoolShape[] = [
  { images: 1, draws: 1, positions: 1, vocabulary: 1, channels: 1 },
  { images: 2, draws: 2, positions: 3, vocabulary: 9, channels: 5 },
  { images: 3, draws: 50, positions: 4, vocabulary: 64, channels: 32 },
  { images: 1, draws: 257, positions: 2, vocabulary: 300, channels: 65 },
  { images: 1, draws: 1000, positions: 1, vocabulary: 128, channels: 8 },
];

testOnDevices("silvermanBandwidth: bandwidths are eq. 3 in float64", async (device) => {
  const random = testRandom(5);
  for (const shape of SHAPES) {
    const pool = randomPool(random, shape);
    for (const deviation of ["population", "sample"] as const) {
      if (deviation === "sample" && shape.draws === 1) continue;
      const divisor = deviation === "sample" ? shape.draws - 1 : shape.draws;
      for (const features of ["position", "joint"] as const) {
        const { bandwidth } = await densities(device, pool, { deviation, features });
        for (const [i, found] of bandwidth.entries()) {
          const vectors = features === "joint"
            ? wantedVectors(pool, i)
            : wantedVectors(pool, Math.floor(i / shape.positions), i % shape.positions);
          const wanted = silverman(vectors, divisor);
          assert(
            Math.abs(found - wanted) <= bound(vectors, wanted),
            `${JSON.stringify(shape)}: ${found}, ${wanted}`,
          );
        }
      }
    }
  }
});

testOnDevices(
  "silvermanBandwidth: a bandwidth far from the origin or with one outlier keeps its digits",
  async (device) => {
    const random = testRandom(6);
    const pool = randomPool(random, { images: 1, draws: 300, positions: 1, vocabulary: 300, channels: 4 });
    pool.tokens.forEach((_, i) => pool.tokens[i] = i);
    for (const change of [(x: number) => x + 1000, (x: number, i: number) => i === 5 ? 2 ** 20 : x]) {
      const moved = { ...pool, codebook: pool.codebook.map(change) };
      const vectors = wantedVectors(moved, 0);
      const wanted = silverman(vectors);
      const found = (await densities(device, moved)).bandwidth[0]!;
      assert(Math.abs(found - wanted) <= bound(vectors, wanted), `${found}, ${wanted}`);
    }
  },
);

testOnDevices(
  "silvermanBandwidth: bandwidths do not depend on the order of the candidates",
  async (device) => {
    const pool = randomPool(testRandom(7), {
      images: 1,
      draws: 120,
      positions: 1,
      vocabulary: 90,
      channels: 16,
    });
    const { bandwidth } = await densities(device, pool);
    const turned = { ...pool, tokens: pool.tokens.toReversed() };
    assertEquals((await densities(device, turned)).bandwidth, bandwidth);
  },
);

testOnDevices("silvermanBandwidth: a token that is no code stands for a vector of zeros", async (device) => {
  const shape = { images: 1, draws: 3, positions: 1, vocabulary: 2, channels: 2 };
  const codebook = new Float32Array([1, 2, 3, 4]);
  const none = await densities(device, { ...shape, codebook, tokens: new Uint32Array([0, 0xffffffff, 1]) });
  const zeros = await densities(device, {
    ...shape,
    vocabulary: 3,
    codebook: new Float32Array([1, 2, 3, 4, 0, 0]),
    tokens: new Uint32Array([0, 2, 1]),
  });
  assertEquals(none, zeros);
});

testOnGpu("silvermanBandwidth: bandwidths have the same bits on the GPU", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(8);
  for (let round = 0; round < 40; round++) {
    const pool = randomPool(random, {
      images: Math.floor(random() * 4),
      draws: 1 + Math.floor(random() * 150),
      positions: 1 + Math.floor(random() * 5),
      vocabulary: 1 + Math.floor(random() * 100),
      channels: 1 + Math.floor(random() * 40),
    });
    const scale = 10 ** (random() * 16 - 8);
    pool.codebook.forEach((x, i) => pool.codebook[i] = x * scale * (random() < 0.1 ? 1e-9 : 1));
    const deviation = pool.draws > 1 && random() < 0.5 ? "sample" : "population";
    const features = random() < 0.5 ? "joint" : "position";
    const wanted = await densities(cpu, pool, { deviation, features });
    assertEquals((await densities(device, pool, { deviation, features })).bandwidth, wanted.bandwidth);
  }
});

Deno.test("silvermanBandwidth: bandwidths refuse bad calls", () => {
  using device = new CpuDevice();
  const good: BandwidthArguments = {
    tokens: device.allocate(6, "tokens"),
    codebook: device.allocate(8, "codebook"),
    output: device.allocate(2, "output"),
    ...{ images: 1, draws: 3, positions: 2, vocabulary: 4, channels: 2 },
  };
  device.run(silvermanBandwidth, good);
  const refused = (change: Partial<BandwidthArguments>, error: typeof RangeError, message: string): void => {
    assertThrows(
      () => device.run(silvermanBandwidth, { ...good, ...change }),
      error,
      `Cannot estimate bandwidths as ${message}`,
    );
  };
  refused({ images: -1 }, RangeError, "images must be an integer >= 0: current value is -1");
  refused({ draws: 0 }, RangeError, "draws must be an integer from 1 to 8192: current value is 0");
  refused({ draws: 8193 }, RangeError, "draws must be an integer from 1 to 8192: current value is 8193");
  refused({ positions: 0 }, RangeError, "positions must be an integer >= 1: current value is 0");
  refused({ vocabulary: 0 }, RangeError, "vocabulary must be an integer >= 1: current value is 0");
  refused({ channels: 0.5 }, RangeError, "channels must be an integer >= 1: current value is 0.5");
  refused(
    { draws: 1, deviation: "sample" },
    RangeError,
    "a sample's deviation needs at least 2 draws: draws is 1",
  );
  refused(
    { deviation: "robust" as "sample" },
    TypeError,
    'deviation must be one of "population", "sample": current value is "robust"',
  );
  refused(
    { features: "both" as "joint" },
    TypeError,
    'features must be one of "position", "joint": current value is "both"',
  );
  refused({ draws: 4 }, RangeError, '"tokens" must hold at least 8 words: it holds 6');
  refused({ vocabulary: 5 }, RangeError, '"codebook" must hold at least 10 words: it holds 8');
  refused(
    { output: device.allocate(1, "output") },
    RangeError,
    '"output" must hold at least 2 words: it holds 1',
  );
});
