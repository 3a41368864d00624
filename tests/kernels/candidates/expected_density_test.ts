import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { silvermanFactor } from "../../../kernels/candidates/bandwidth.ts";
import {
  expectedDensity,
  type ExpectedScoresArguments,
  runExpectedDensity,
} from "../../../kernels/candidates/expected_density.ts";
import { hammingBandwidth } from "../../../kernels/candidates/hamming_bandwidth.ts";
import { runHammingDensity } from "../../../kernels/candidates/hamming_density.ts";
import type { ScratchOptions } from "../../../kernels/candidates/sum_densities.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { sampleBits } from "../../../kernels/sampling/sample_bits.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

type Options =
  & Pick<ExpectedScoresArguments, "images" | "draws" | "positions" | "bits" | "nominal">
  & Partial<Pick<ExpectedScoresArguments, "weight" | "temperature" | "topK" | "topP" | "minP" | "epsilon">>;

async function scoresOf(
  device: Device,
  data: { readonly logits: Float32Array; readonly tokens: Uint32Array; readonly kept?: Uint32Array },
  options: Options,
  scratch: ScratchOptions = {},
): Promise<Float32Array> {
  using stack = new DisposableStack();
  const logits = stack.use(device.upload(data.logits));
  const tokens = stack.use(device.upload(data.tokens));
  const kept = data.kept && { kept: stack.use(device.upload(data.kept)) };
  const scores = stack.use(device.allocate(options.images * options.draws));
  const guided = options.weight !== undefined;
  runExpectedDensity(device, { logits, tokens, scores, guided, ...kept, ...options }, scratch);
  return await readFloats(scores);
}

/** Logits and candidates, most of whose bits have the likelier value. */
function pool(random: () => number, { images, draws, positions, bits }: Options, spread: number) {
  const logits = Float32Array.from(
    { length: 2 * images * positions * bits * 2 },
    () => (random() - 0.5) * spread,
  );
  const words = Math.ceil(bits / 32);
  const tokens = new Uint32Array(images * draws * positions * words);
  for (let i = 0; i < tokens.length; i++) {
    const position = Math.floor(i / words);
    const place = Math.floor(position / positions / draws) * positions + position % positions;
    for (let b = 0; b < 32; b++) {
      const at = 2 * (place * bits + i % words * 32 + b);
      const one = Number(logits[at + 1]! > logits[at]!);
      // What the last word holds beyond the last bit does not matter.
      if ((random() < 0.85 ? one : 1 - one) === 1) tokens[i]! |= 1 << b;
    }
  }
  return { logits, tokens };
}

const SHAPES: readonly (Options & { readonly spread: number })[] = [
  { images: 1, draws: 1, positions: 1, bits: 1, nominal: 1, spread: 4 },
  { images: 2, draws: 20, positions: 3, bits: 16, nominal: 3000, spread: 8, topP: 0.97 },
  { images: 3, draws: 70, positions: 2, bits: 33, nominal: 50, spread: 5, weight: 2, temperature: 0.5 },
  { images: 1, draws: 130, positions: 4, bits: 8, nominal: 8192, spread: 3, minP: 0.2, epsilon: 0.5 },
  { images: 1, draws: 9, positions: 1, bits: 512, nominal: 3000, spread: 20, topP: 0.9, epsilon: 1 },
  { images: 2, draws: 5, positions: 2, bits: 64, nominal: 7, spread: 3, temperature: 0 },
  { images: 1, draws: 5, positions: 2, bits: 12, nominal: 7, spread: 3, topK: 1, epsilon: 2 },
];

testOnDevices("runExpectedDensity: densities are the closed form in float64", async (device) => {
  const random = testRandom(111);
  for (const { spread, ...shape } of SHAPES) {
    const { images, draws, positions, bits, nominal, weight = 0, temperature = 1, epsilon = 1e-6 } = shape;
    const data = pool(random, shape, spread);
    const found = await scoresOf(device, data, shape);
    const words = Math.ceil(bits / 32);
    for (let image = 0; image < images; image++) {
      const wanted = new Float64Array(draws);
      const bound = new Float64Array(draws);
      for (let position = 0; position < positions; position++) {
        const place = image * positions + position;
        const ones = Array.from({ length: bits }, (_, bit) => {
          const guided = (value: 0 | 1): number => {
            const at = 2 * (place * bits + bit) + value;
            const [c, u] = [data.logits[at]!, data.logits[2 * images * positions * bits + at]!];
            return c + weight * (c - u);
          };
          const difference = (guided(1) - guided(0)) / (temperature || 1);
          const one = 1 / (1 + Math.exp(-difference));
          const rest = Math.min(one, 1 - one);
          const certain = temperature === 0 || shape.topK === 1 ||
            (shape.topP !== undefined && rest <= 1 - shape.topP) ||
            (shape.minP !== undefined && rest / (1 - rest) < shape.minP);
          return certain ? Number(difference > 0) : one;
        });
        const deviation = ones.reduce((sum, p) => sum + Math.sqrt(p * (1 - p)), 0) / bits;
        const h = deviation * silvermanFactor(nominal, bits) + epsilon;
        const q = Math.exp(-1 / (2 * h * h));
        for (let draw = 0; draw < draws; draw++) {
          let product = 1;
          for (let bit = 0; bit < bits; bit++) {
            const word = data.tokens[((image * draws + draw) * positions + position) * words + (bit >> 5)]!;
            const own = (word >>> (bit & 31) & 1) === 1 ? ones[bit]! : 1 - ones[bit]!;
            product *= own + (1 - own) * q;
          }
          wanted[draw]! += 1 + (nominal - 1) * product;
          // Of each bit: three products of 2^-23; a chance, right to within 4e-7; and q, a kernel value e^-t,
          // to within 20 · 2^-24 t + 5e-7 and a unit of 2^-30, which is all there is of it below that.
          const t = 1 / (2 * h * h);
          const ofQ = t < 20 ? 20 * 2 ** -24 * t + 5e-7 + 2 ** -30 / q : 1;
          const relative = bits * (3 * 2 ** -23 + 4e-7 + ofQ);
          bound[draw]! += (nominal - 1) * (product * relative + 2 ** -29);
        }
      }
      for (let draw = 0; draw < draws; draw++) {
        const score = found[image * draws + draw]!;
        const off = Math.abs(score - wanted[draw]!);
        assert(
          off <= bound[draw]! + 2 ** -23 * wanted[draw]!,
          `${JSON.stringify(shape)}, ${draw}: ${score}, ${wanted[draw]}, off by ${off} of ${bound[draw]}`,
        );
      }
    }
  }
});

testOnDevices("runExpectedDensity: it is what sampled densities are on average", async (device) => {
  const random = testRandom(112);
  // Probabilities from 0.5 to 0.95: few patterns, each often.
  const shape = { images: 1, positions: 12, bits: 8 };
  const data = Float32Array.from({ length: 2 * 12 * 8 }, (_, i) => i % 2 === 0 ? 0 : 6 * (random() - 0.5));
  const draws = 1500;
  using logits = device.upload(data);
  using lanes = device.upload(new Uint32Array([0]));
  using tokens = device.allocate(draws * 12);
  using bandwidth = device.allocate(12);
  using sampled = device.allocate(draws);
  using expected = device.allocate(draws);
  device.run(sampleBits, { logits, lanes, tokens, ...shape, draws, topP: 0.97, seed: [9, 0], scale: 3 });
  device.run(hammingBandwidth, { tokens, output: bandwidth, ...shape, draws });
  runHammingDensity(device, { tokens, bandwidth, scores: sampled, ...shape, draws });
  const sizes = { ...shape, draws, nominal: draws };
  runExpectedDensity(device, { logits, tokens, scores: expected, ...sizes, topP: 0.97 });
  const [a, b] = [[...await readFloats(sampled)], [...await readFloats(expected)]];
  const ranks = (values: readonly number[]): number[] => {
    const order = [...values.keys()].sort((i, j) => values[i]! - values[j]!);
    const rank: number[] = [];
    for (const [place, i] of order.entries()) rank[i] = place;
    return rank;
  };
  const [x, y] = [ranks(a), ranks(b)];
  const middle = (draws - 1) / 2;
  const sum = (f: (i: number) => number): number => x.reduce((total, _, i) => total + f(i), 0);
  const correlation = sum((i) => (x[i]! - middle) * (y[i]! - middle)) / sum((i) => (x[i]! - middle) ** 2);
  assert(correlation > 0.99, `rank correlation ${correlation}`);
  const [meanA, meanB] = [sum((i) => a[i]!) / draws, sum((i) => b[i]!) / draws];
  // The mean over 12 positions of 1500 candidates varies by about a hundredth.
  assertAlmostEquals(meanA / meanB, 1, 0.03);
});

testOnDevices(
  "runExpectedDensity: kept positions do not count, and images may take turns",
  async (device) => {
    const random = testRandom(113);
    const shape = { images: 3, draws: 12, positions: 4, bits: 20, nominal: 100, weight: 1.5, topP: 0.97 };
    const data = pool(random, shape, 6);
    const whole = await scoresOf(device, data, shape);
    assertEquals(await scoresOf(device, data, shape, { scratch: 1 }), whole);
    assertEquals(await scoresOf(device, data, shape, { scratch: 2 * 12 * 4 * 2 }), whole);
    assertEquals(await scoresOf(device, { ...data, kept: new Uint32Array(4) }, shape), whole);
    const none = await scoresOf(device, { ...data, kept: new Uint32Array(4).fill(1) }, shape);
    assert(none.every((score) => score === 0));
    const left = await scoresOf(device, { ...data, kept: new Uint32Array([1, 0, 1, 1]) }, shape);
    const right = await scoresOf(device, { ...data, kept: new Uint32Array([0, 1, 0, 0]) }, shape);
    for (const [i, score] of whole.entries()) {
      assertAlmostEquals(left[i]! + right[i]!, score, 3 * 2 ** -23 * score);
    }
  },
);

testOnGpu("runExpectedDensity: expected densities have the same bits on the GPU", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(114);
  for (const { spread, ...shape } of SHAPES) {
    const data = pool(random, shape, spread);
    // Values that are none, and infinite ones.
    for (const value of [NaN, Infinity, -Infinity, 3e38]) {
      data.logits[Math.floor(random() * data.logits.length)] = value;
    }
    assertEquals(
      await scoresOf(device, data, shape),
      await scoresOf(cpu, data, shape),
      JSON.stringify(shape),
    );
  }
});

testOnDevices("expectedDensity: bad calls are refused", (device) => {
  using logits = device.allocate(12, "logits");
  using tokens = device.allocate(4, "tokens");
  using sums = device.allocate(8, "sums");
  const good = { logits, tokens, sums, images: 1, draws: 2, positions: 2, bits: 3, nominal: 9 };
  device.run(expectedDensity, good);
  const bad: [object, string][] = [
    [{ images: -1 }, "images must be an integer >= 0: current value is -1"],
    [{ draws: 8193 }, "draws must be an integer from 1 to 8192: current value is 8193"],
    [{ positions: 0 }, "positions must be an integer >= 1: current value is 0"],
    [{ bits: 513 }, "bits must be an integer from 1 to 512: current value is 513"],
    [{ nominal: 0 }, "nominal must be an integer from 1 to 8192: current value is 0"],
    [{ nominal: 8192, positions: 1025 }, "nominal * positions must be an integer from 1 to 8388608"],
    [{ epsilon: -1 }, "epsilon must be"],
    [{ topP: 2 }, "topP must be from 0 to 1: current value is 2"],
    [{ batch: 0 }, "batch must be an integer >= 1: current value is 0"],
    [{ first: 1 }, "first must be an integer from 0 to 0: current value is 1"],
    [{ bits: 4 }, '"logits" must hold at least 16 words: it holds 12'],
    [{ draws: 3 }, '"tokens" must hold at least 6 words: it holds 4'],
    [
      { draws: 1, positions: 1, kept: device.allocate(0, "kept") },
      '"kept" must hold at least 1 words: it holds 0',
    ],
  ];
  for (const [change, message] of bad) {
    const error = assertThrows(() => device.run(expectedDensity, { ...good, ...change }), RangeError);
    assert(error.message.startsWith(`Cannot expect densities of bits as ${message}`), error.message);
  }
});
