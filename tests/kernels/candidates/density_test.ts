import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type DensityArguments, gaussianDensity, logDensity } from "../../../kernels/candidates/density.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";
import { SIX, SIX_EXPECTED, TWO, TWO_EXPECTED } from "../../fixtures/var-scaling/check_vectors.ts";
import {
  densities,
  gaussianSums,
  type Pool,
  type PoolShape,
  randomPool,
  shapeOf,
  vectorOf,
  vectorPool,
} from "../../var_scaling.ts";

/** Agreement with float64 numbers that start from the same decimal vectors: 1e-5 relative. */
function assertScores(found: Iterable<number>, wanted: readonly number[]): void {
  for (const [i, score] of [...found].entries()) assertAlmostEquals(score, wanted[i]!, 1e-5 * wanted[i]!);
}

const maximum = (scores: ArrayLike<number>): number => Math.max(...Array.from(scores));
const mean = (scores: ArrayLike<number>): number =>
  Array.from(scores).reduce((a, b) => a + b) / scores.length;

testOnDevices("densities of the check vectors, one position", async (device) => {
  const { scores } = await densities(device, SIX);
  assertScores(scores, SIX_EXPECTED.scores);
  assertAlmostEquals(maximum(scores), SIX_EXPECTED.max, 1e-5);
  assertAlmostEquals(mean(scores), SIX_EXPECTED.mean, 1e-5);
  assertAlmostEquals(maximum(scores) / mean(scores), SIX_EXPECTED.ratio, 1e-5);

  const cosine = await densities(device, SIX, { cosine: true });
  assertScores(cosine.scores, SIX_EXPECTED.cosine.scores);
  assertAlmostEquals(maximum(cosine.scores) / mean(cosine.scores), SIX_EXPECTED.cosine.ratio, 1e-5);

  const plain = await densities(device, SIX, { epsilon: 0 });
  for (const [i, score] of plain.scores.entries()) {
    const ln = logDensity(score, { draws: 6, dimensions: 4, bandwidth: plain.bandwidth[0]! });
    assertAlmostEquals(ln, SIX_EXPECTED.logDensities[i]!, 1e-5);
  }
  const sample = await densities(device, SIX, { epsilon: 0, deviation: "sample" });
  for (const [i, score] of sample.scores.entries()) {
    const ln = logDensity(score, { draws: 6, dimensions: 4, bandwidth: sample.bandwidth[0]! });
    assertAlmostEquals(ln, Math.log(SIX_EXPECTED.sampleDensities[i]!), 1e-5);
  }
});

testOnDevices("densities of the check vectors, two images of two positions", async (device) => {
  for (
    const [batchBandwidth, { scores, ratios }] of [
      [true, TWO_EXPECTED.batch],
      [false, TWO_EXPECTED.perImage],
    ] as const
  ) {
    const found = await densities(device, TWO, { batchBandwidth });
    assertScores(found.scores, scores.flat());
    for (const [image, ratio] of ratios.entries()) {
      const own = found.scores.subarray(5 * image, 5 * image + 5);
      assertAlmostEquals(maximum(own) / mean(own), ratio, 1e-5);
    }
  }
  const joint = await densities(device, TWO, { features: "joint" });
  assertScores(joint.scores, TWO_EXPECTED.joint.scores.flat());
});

const SHAPES: readonly PoolShape[] = [
  { images: 1, draws: 1, positions: 1, vocabulary: 1, channels: 1 },
  { images: 2, draws: 2, positions: 3, vocabulary: 9, channels: 5 },
  { images: 2, draws: 50, positions: 4, vocabulary: 64, channels: 32 },
  { images: 1, draws: 257, positions: 2, vocabulary: 300, channels: 65 },
];

testOnDevices("densities are eq. 2 in float64 without its constant", async (device) => {
  const random = testRandom(9);
  for (const shape of SHAPES) {
    const pool = randomPool(random, shape);
    for (const features of ["position", "joint"] as const) {
      for (const batchBandwidth of [false, true]) {
        // An epsilon of the size of a bandwidth makes kernel values of all sizes.
        const epsilon = 0.5;
        const { bandwidth, scores } = await densities(device, pool, { features, batchBandwidth, epsilon });
        const places = features === "joint" ? 1 : shape.positions;
        for (let image = 0; image < shape.images; image++) {
          const wanted = Array.from({ length: shape.draws }, () => ({ value: 0, bound: 0 }));
          for (let place = 0; place < places; place++) {
            const all = Array.from({ length: shape.images }, (_, i) => bandwidth[i * places + place]!);
            const h = (batchBandwidth ? mean(all) : all[image]!) + epsilon;
            const vectors = Array.from(
              { length: shape.draws },
              (_, draw) => vectorOf(pool, image, draw, features === "joint" ? undefined : place),
            );
            for (const [i, { value, bound }] of gaussianSums(vectors, h).entries()) {
              wanted[i]!.value += value;
              wanted[i]!.bound += bound;
            }
          }
          for (const [i, { value, bound }] of wanted.entries()) {
            const found = scores[image * shape.draws + i]!;
            assert(
              Math.abs(found - value) <= bound + 2 ** -23 * value,
              `${JSON.stringify(shape)}: ${found}, ${value}`,
            );
          }
        }
      }
    }
  }
});

testOnDevices(
  "gaussianDensity: permuting candidates permutes their densities, copies have equal ones",
  async (device) => {
    const random = testRandom(10);
    const shape = { images: 1, draws: 130, positions: 4, vocabulary: 64, channels: 32 };
    const pool = randomPool(random, shape, 5);
    const { scores } = await densities(device, pool);
    const places = Array.from({ length: shape.draws }, (_, i) => i).sort(() => random() - 0.5);
    const permuted: Pool = {
      ...pool,
      tokens: Uint32Array.from(places.flatMap((i) => [...pool.tokens.subarray(4 * i, 4 * i + 4)])),
    };
    assertEquals([...(await densities(device, permuted)).scores], places.map((i) => scores[i]!));

    const byMap = new Map<string, number>();
    for (const [i, score] of scores.entries()) {
      const map = pool.tokens.subarray(4 * i, 4 * i + 4).join();
      assertEquals(score, byMap.get(map) ?? score);
      byMap.set(map, score);
    }
    assert(byMap.size < shape.draws);
  },
);

testOnDevices(
  "gaussianDensity: a density lies between positions and positions * draws and ignores a shift of the codes",
  async (device) => {
    const random = testRandom(11);
    const shape = { images: 3, draws: 40, positions: 9, vocabulary: 32, channels: 8 };
    const pool = randomPool(random, shape, 12);
    const { scores } = await densities(device, pool);
    for (const score of scores) assert(score >= 9 && score <= 9 * 40, `${score}`);
    const shift = Float32Array.from({ length: 8 }, () => Math.round(random() * 8));
    const moved = { ...pool, codebook: pool.codebook.map((x, i) => x + shift[i % 8]!) };
    for (const [i, score] of (await densities(device, moved)).scores.entries()) {
      // Codes near 8 are rounded to 2^-21, in which h and the distances are off by about 1e-6.
      assertAlmostEquals(score, scores[i]!, 1e-4 * scores[i]!);
    }
  },
);

testOnDevices(
  "gaussianDensity: candidates that all agree have the greatest density, whatever the bandwidth",
  async (device) => {
    const random = testRandom(12);
    const pool = randomPool(random, { images: 2, draws: 70, positions: 4, vocabulary: 8, channels: 32 }, 1);
    for (const epsilon of [1e-6, 0]) {
      const { bandwidth, scores } = await densities(device, pool, { epsilon });
      assert(bandwidth.every((h) => h === 0));
      assert(scores.every((score) => score === 4 * 70));
    }
  },
);

testOnDevices("gaussianDensity: twice the codes give the same densities, bit for bit", async (device) => {
  const random = testRandom(14);
  const pool = randomPool(random, { images: 2, draws: 90, positions: 3, vocabulary: 40, channels: 7 });
  const doubled = { ...pool, codebook: pool.codebook.map((x) => 2 * x) };
  for (const features of ["position", "joint"] as const) {
    const { bandwidth, scores } = await densities(device, pool, { features, epsilon: 0 });
    const found = await densities(device, doubled, { features, epsilon: 0 });
    assertEquals(found, { bandwidth: bandwidth.map((h) => 2 * h), scores });
  }
});

testOnDevices("gaussianDensity: a candidate's own term can be left out", async (device) => {
  const random = testRandom(15);
  // Alone, and among its like.
  for (const draws of [1, 60]) {
    const same = randomPool(random, { images: 2, draws, positions: 4, vocabulary: 8, channels: 3 }, 1);
    for (const [features, places] of [["position", 4], ["joint", 1]] as const) {
      const { scores } = await densities(device, same, { features, leaveOneOut: true });
      assertEquals([...scores], new Array(2 * draws).fill(places * (draws - 1)));
    }
  }
  // Far from all others, nothing is left.
  const far = vectorPool([[[[0]], [[1000]], [[-1000]], [[0]]]]);
  using tokens = device.upload(Uint32Array.from([0, 1, 2, 0]));
  using codebook = device.upload(far.codebook);
  using bandwidth = device.upload(new Float32Array([1]));
  using scores = device.allocate(4);
  const args = { tokens, codebook, bandwidth, scores, ...shapeOf(far), leaveOneOut: true };
  device.run(gaussianDensity, args);
  assertEquals([...await readFloats(scores)], [1, 0, 0, 1]);

  const pool = randomPool(random, { images: 1, draws: 70, positions: 3, vocabulary: 30, channels: 4 });
  const whole = await densities(device, pool, { epsilon: 0.3 });
  const others = await densities(device, pool, { epsilon: 0.3, leaveOneOut: true });
  // Both are rounded down, the greater one to 2^-24 of itself.
  for (const [i, score] of whole.scores.entries()) {
    const off = others.scores[i]! + 3 - score;
    assert(off >= 0 && off <= 2 ** -23 * score, `${others.scores[i]}, ${score}`);
  }
});

testOnDevices("gaussianDensity: a token that is no code stands for a vector of zeros", async (device) => {
  const shape = { images: 1, draws: 3, positions: 2, vocabulary: 2, channels: 2 };
  const codebook = new Float32Array([1, 2, 3, 4]);
  const none = new Uint32Array([0, 0xffffffff, 1, 1, 0xffffffff, 0xfffffffe]);
  const zeros = new Uint32Array([0, 2, 1, 1, 2, 2]);
  for (const features of ["position", "joint"] as const) {
    const found = await densities(device, { ...shape, codebook, tokens: none }, { features, epsilon: 1 });
    const wanted = await densities(device, {
      ...shape,
      vocabulary: 3,
      codebook: new Float32Array([1, 2, 3, 4, 0, 0]),
      tokens: zeros,
    }, { features, epsilon: 1 });
    assertEquals(found, wanted);
  }
});

testOnGpu("densities have the same bits on the GPU", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(13);
  const draws = [1, 2, 3, 50, 64, 65, 257];
  for (let round = 0; round < 40; round++) {
    const vocabulary = 1 + Math.floor(random() * 100);
    const pool = randomPool(random, {
      images: Math.floor(random() * 4),
      draws: draws[round % draws.length]!,
      positions: 1 + Math.floor(random() * 5),
      vocabulary,
      channels: 1 + Math.floor(random() * 40),
    }, 1 + Math.floor(random() * vocabulary));
    const scale = 10 ** (random() * 10 - 6);
    pool.codebook.forEach((x, i) => pool.codebook[i] = x * scale);
    if (random() < 0.1) pool.tokens[0] = 0xffffffff;
    const options = {
      features: random() < 0.5 ? "joint" as const : "position" as const,
      batchBandwidth: random() < 0.5,
      epsilon: random() < 0.5 ? 1e-6 : scale * random() * 3,
    };
    assertEquals(await densities(device, pool, options), await densities(cpu, pool, options));
  }
  for (const [draws, positions, channels] of [[1000, 2, 16], [4096, 1, 24], [100, 64, 32]] as const) {
    const pool = randomPool(random, { images: 1, draws, positions, vocabulary: 200, channels });
    for (const epsilon of [0, 0.4]) {
      assertEquals(await densities(device, pool, { epsilon }), await densities(cpu, pool, { epsilon }));
    }
  }
});

Deno.test("densities refuse bad calls", () => {
  using device = new CpuDevice();
  const good: DensityArguments = {
    tokens: device.allocate(6, "tokens"),
    codebook: device.allocate(8, "codebook"),
    bandwidth: device.allocate(2, "bandwidth"),
    scores: device.allocate(3, "scores"),
    ...{ images: 1, draws: 3, positions: 2, vocabulary: 4, channels: 2 },
  };
  device.run(gaussianDensity, good);
  const refused = (change: Partial<DensityArguments>, error: typeof RangeError, message: string): void => {
    assertThrows(
      () => device.run(gaussianDensity, { ...good, ...change }),
      error,
      `Cannot estimate densities as ${message}`,
    );
  };
  refused({ images: 0.5 }, RangeError, "images must be an integer >= 0: current value is 0.5");
  refused({ draws: 0 }, RangeError, "draws must be an integer from 1 to 8192: current value is 0");
  refused({ positions: 0 }, RangeError, "positions must be an integer >= 1: current value is 0");
  refused({ vocabulary: 0 }, RangeError, "vocabulary must be an integer >= 1: current value is 0");
  refused({ channels: 0 }, RangeError, "channels must be an integer >= 1: current value is 0");
  refused({ epsilon: -1 }, RangeError, "epsilon must be a finite number >= 0: current value is -1");
  refused({ epsilon: NaN }, RangeError, "epsilon must be a finite number >= 0: current value is NaN");
  refused(
    { draws: 8192, positions: 1025 },
    RangeError,
    "draws * positions must be <= 8388608: current value is 8396800",
  );
  refused(
    { features: "both" as "joint" },
    TypeError,
    'features must be one of "position", "joint": current value is "both"',
  );
  refused({ draws: 4 }, RangeError, '"tokens" must hold at least 8 words: it holds 6');
  refused({ vocabulary: 5 }, RangeError, '"codebook" must hold at least 10 words: it holds 8');
  refused({ bandwidth: device.allocate(1, "h") }, RangeError, '"h" must hold at least 2 words: it holds 1');
  refused({ scores: device.allocate(2, "s") }, RangeError, '"s" must hold at least 3 words: it holds 2');
});
