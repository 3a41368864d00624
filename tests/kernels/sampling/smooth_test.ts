import { assert, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice, floats } from "../../../kernels/device/cpu_device.ts";
import type { Device } from "../../../kernels/device/device.ts";
import { guidance } from "../../../kernels/sampling/guidance.ts";
import { sampleAndTruncate } from "../../../kernels/sampling/sample.ts";
import { smoothCodes } from "../../../kernels/sampling/smooth.ts";
import { PURPOSE, type Seed, streamKey, threefry } from "../../../kernels/exact/threefry.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

interface Case {
  vocabulary: number;
  channels: number;
  images?: number;
  positions?: number;
  guided?: boolean;
  weight?: number;
  temperature?: number;
  sharpness?: number;
  tau?: number;
  topK?: number;
  topP?: number;
  seed?: Seed;
  scale?: number;
}

/** Image indices that differ from the places in the batch. */
const INDICES = [11, 3, 600000];

/** Truncates and smooths on a device. */
async function smooth(
  device: Device,
  data: Float32Array,
  codes: Float32Array,
  options: Case,
): Promise<Float32Array> {
  const { vocabulary, channels, topK = 0, topP = 0, images = 1, positions = 1, ...rest } = options;
  const row = {
    sharpness: 1,
    tau: 0.27,
    seed: [5, 6] as Seed,
    scale: 4,
    images,
    positions,
    vocabulary,
    ...rest,
  };
  using logits = device.upload(data);
  using codebook = device.upload(codes);
  using lanes = device.upload(new Uint32Array(INDICES));
  using tokens = device.allocate(images * positions);
  using truncation = device.allocate(2 * images * positions);
  using output = device.allocate(images * positions * channels);
  const { sharpness, tau, ...sampling } = row;
  device.run(sampleAndTruncate, { ...sampling, logits, lanes, tokens, truncation, topK, topP });
  device.run(smoothCodes, { ...row, channels, logits, lanes, truncation, codebook, output });
  assert(sharpness > 0 && tau > 0);
  return new Float32Array((await device.read([output]))[0]!.buffer);
}

/** The formula in float64; `kept` are the tokens of a row that take part. */
function oracle(
  logits: Float32Array,
  codes: Float32Array,
  kept: (row: number[]) => number[],
  options: Case,
): Float64Array {
  const { vocabulary, channels, images = 1, positions = 1, temperature = 1, sharpness = 1, tau = 0.27 } =
    options;
  const { seed = [5, 6], scale = 4 } = options;
  const result = new Float64Array(images * positions * channels);
  for (let r = 0; r < images * positions; r++) {
    const image = Math.floor(r / positions);
    const position = r % positions;
    const row = [...logits.subarray(r * vocabulary, (r + 1) * vocabulary)];
    const key = streamKey(seed, INDICES[image]!, scale, PURPOSE.noise);
    const tokens = kept(row);
    const scores = tokens.map((token) => {
      const u = ((threefry(key, [position, token])[0] >>> 9) + 0.5) / 2 ** 23;
      return (row[token]! / temperature * sharpness - Math.log(-Math.log(u))) / tau;
    });
    const best = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - best));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let channel = 0; channel < channels; channel++) {
      let sum = 0;
      for (const [i, token] of tokens.entries()) sum += weights[i]! * codes[token * channels + channel]!;
      result[(image * channels + channel) * positions + position] = sum / total;
    }
  }
  return result;
}

const everything = (row: number[]) => row.map((_, i) => i);
const largest = (k: number) => (row: number[]) => {
  const limit = row.toSorted((a, b) => b - a)[Math.min(k, row.length) - 1]!;
  return everything(row).filter((i) => row[i]! >= limit);
};

testOnDevices("smoothCodes: mean codes follow the formula in float64", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(13);
  const cases: Case[] = [
    { vocabulary: 1, channels: 1 },
    { vocabulary: 2, channels: 3, images: 3, positions: 5 },
    { vocabulary: 255, channels: 32, positions: 4, sharpness: 1.5, tau: 0.1275 },
    { vocabulary: 257, channels: 255, positions: 2, topK: 20 },
    { vocabulary: 300, channels: 256, topK: 1 },
    { vocabulary: 300, channels: 257, temperature: 0.5, tau: 2 },
    { vocabulary: 300, channels: 600, images: 2, positions: 3, topK: 100, sharpness: 2, tau: 0.0135 },
    { vocabulary: 4096, channels: 32, positions: 9, topK: 900, sharpness: 2, tau: 0.0135 },
    {
      vocabulary: 4096,
      channels: 32,
      images: 2,
      positions: 4,
      guided: true,
      weight: 1.5,
      topK: 900,
      sharpness: 1.1,
    },
    { vocabulary: 4096, channels: 12, positions: 2, tau: 1000, temperature: 3 },
    { vocabulary: 65536, channels: 8, positions: 1, sharpness: 0.5, tau: 0.156 },
  ];
  for (const options of cases) {
    const { vocabulary, channels, images = 1, positions = 1, guided = false, weight = 0, topK, tau = 0.27 } =
      options;
    const rows = images * positions;
    const data = Float32Array.from(
      { length: rows * vocabulary * (guided ? 2 : 1) },
      () => (random() + random() + random() - 1.5) * 8,
    );
    const codes = Float32Array.from({ length: vocabulary * channels }, () => random() * 2 - 1);
    const actual = await smooth(device, data, codes, options);
    using logits = cpu.upload(data);
    using combined = cpu.allocate(rows * vocabulary);
    cpu.run(guidance, { logits, guided: combined, images, positions, vocabulary, weight });
    const expected = oracle(
      floats(combined),
      codes,
      topK === undefined ? everything : largest(topK),
      options,
    );
    // The kernel's own bound; the CPU computes in float64 and only rounds the result.
    const bound = device.kind === "cpu" ? 2 ** -23 : 2e-5 * (1 + 1 / tau);
    for (let i = 0; i < expected.length; i++) {
      const error = Math.abs(actual[i]! - expected[i]!);
      assert(error <= bound, `${JSON.stringify(options)}: off by ${error} at ${i}, allowed ${bound}`);
    }
  }
});

testOnDevices("smoothCodes: top-p takes part through the truncation", async (device) => {
  // Check vector 5 of VAR's filters: topK 4 and topP 0.7 keep tokens 0 and 6.
  const row = new Float32Array([2, 1, 0.5, 1, -1, 0.5, 3, 0.5]);
  const codes = new Float32Array([1, 100, 100, 100, 100, 100, 2, 100]);
  const options = { vocabulary: 8, channels: 1, topK: 4, topP: 0.7, tau: 0.27 };
  const [actual] = await smooth(device, row, codes, options);
  const [expected] = oracle(row, codes, () => [0, 6], options);
  assert(Math.abs(actual! - expected!) < 4e-5 * (1 + 1 / 0.27));
  assert(actual! >= 1 && actual! <= 2);
});

// With tau towards 0 the softmax becomes the maximum, and the maximum of logits with Gumbel noise is a draw
// from their softmax.
testOnDevices("smoothCodes: the noise turns the sharp limit into draws from the softmax", async (device) => {
  const row = [0.3, 1.4, -0.7, 0.9, 0, -2, 0.1];
  const positions = 8000;
  const data = Float32Array.from({ length: row.length * positions }, (_, i) => row[i % row.length]!);
  const codes = Float32Array.from(row.keys());
  const options = {
    vocabulary: row.length,
    channels: 1,
    positions,
    sharpness: 1.5,
    temperature: 2,
    tau: 1e-6,
  };
  const means = await smooth(device, data, codes, options);
  const weights = row.map((logit) => Math.exp(logit * 1.5 / 2));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const counts = new Float64Array(row.length);
  for (const mean of means) {
    if (Number.isInteger(mean)) counts[mean]!++;
  }
  // Positions where two tokens come within 1e-5 of each other give a mixture.
  const drawn = counts.reduce((sum, count) => sum + count, 0);
  assert(drawn > positions - 10);
  let statistic = 0;
  for (const [i, count] of counts.entries()) {
    const expected = drawn * weights[i]! / total;
    statistic += (count - expected) ** 2 / expected;
  }
  // Upper 0.01 % point of the chi-square distribution with 6 degrees of freedom.
  assert(statistic < 27.86, `chi-square ${statistic}`);
});

testOnDevices("smoothCodes: infinities, NaN and rows without tokens follow the rules", async (device) => {
  const { NaN: nan, Infinity: inf } = { NaN, Infinity };
  const codes = new Float32Array([1, 2, 4, 8]);
  const options = { vocabulary: 4, channels: 1 };
  const value = async (row: number[], change: Partial<Case> = {}) => {
    return (await smooth(device, new Float32Array(row), codes, { ...options, ...change }))[0]!;
  };
  assertEquals(await value([nan, -inf, nan, nan]), 0);
  assertEquals(await value([nan, -inf, 5, nan]), 4);
  assertEquals(await value([3e38, inf, 5, nan]), 2);
  assertEquals(await value([-3e38, 0, 3e38, nan], { sharpness: 1e6, temperature: 1e-6, tau: 1e-6 }), 4);
  assertEquals(await value([1, 9, 9, 3], { temperature: 0 }), 2);
  assertEquals(await value([1, 3, 9, 9], { topK: 1, topP: 0.3 }), 4);
  // +infinity shares the weight, noise apart: between the two codes, and far from the third.
  const between = await value([inf, 0, inf, nan], { tau: 1e6 });
  assert(Math.abs(between - 2.5) < 1e-3, `${between}`);
  const mean = await value([3, 3, 3, 3], { tau: 1e6 });
  assert(Math.abs(mean - 3.75) < 1e-3, `${mean}`);
});

testOnDevices("smoothCodes: an image is smoothed alike alone and in a batch", async (device) => {
  const random = testRandom(14);
  const data = Float32Array.from({ length: 2 * 3 * 50 }, () => random() * 5);
  const codes = Float32Array.from({ length: 50 * 4 }, () => random());
  const options = { vocabulary: 50, channels: 4, positions: 3, topK: 20 };
  const both = await smooth(device, data, codes, { ...options, images: 2 });
  const first = await smooth(device, data.subarray(0, 150), codes, options);
  assertEquals(first, both.subarray(0, 12));
  assertEquals((await smooth(device, new Float32Array(1), codes, { ...options, images: 0 })).length, 0);
});

Deno.test("smoothCodes: bad calls for smoothing say what is wrong", () => {
  using device = new CpuDevice();
  using logits = device.allocate(8, "logits");
  using truncation = device.allocate(4, "truncation");
  using codebook = device.allocate(12, "codebook");
  using lanes = device.allocate(1, "lanes");
  using output = device.allocate(6, "output");
  const sizes = { images: 1, positions: 2, vocabulary: 4, channels: 3 };
  const good = {
    logits,
    truncation,
    codebook,
    lanes,
    output,
    ...sizes,
    sharpness: 1,
    tau: 1,
    seed: [1, 2],
    scale: 0,
  };
  const bad = (change: object, kind: new () => Error, message: string) => {
    assertThrows(
      () => device.run(smoothCodes, { ...good, seed: [1, 2] as const, ...change }),
      kind,
      message,
    );
  };
  bad(
    { guided: true },
    RangeError,
    'Cannot smooth codes as "logits" must hold at least 16 words: it holds 8',
  );
  bad(
    { truncation: lanes },
    RangeError,
    'Cannot smooth codes as "lanes" must hold at least 4 words: it holds 1',
  );
  bad(
    { channels: 4 },
    RangeError,
    'Cannot smooth codes as "codebook" must hold at least 16 words: it holds 12',
  );
  bad(
    { output: truncation },
    RangeError,
    'Cannot smooth codes as "truncation" must hold at least 6 words: it holds 4',
  );
  bad(
    { channels: 0 },
    RangeError,
    "Cannot smooth codes as channels must be an integer >= 1: current value is 0",
  );
  bad(
    { tau: 0 },
    RangeError,
    "Cannot smooth codes as tau must be from 0.000001 to 1000000: current value is 0",
  );
  bad(
    { sharpness: Infinity },
    RangeError,
    "Cannot smooth codes as sharpness must be from 0.000001 to 1000000: current value is Infinity",
  );
  bad(
    { temperature: NaN },
    RangeError,
    "Cannot smooth codes as temperature must be from 0.000001 to 1000000: current value is NaN",
  );
  bad({ seed: 3 }, TypeError, "Cannot smooth codes as seed must be two words: current value is 3");
});
