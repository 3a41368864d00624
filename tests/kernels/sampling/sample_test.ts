import { assert, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { Device } from "../../../kernels/device/device.ts";
import { bitsFloat } from "../../../kernels/exact/exact.ts";
import {
  ALL_TIES,
  NO_TOKEN,
  sampleAndTruncate,
  type SampleAndTruncateArguments,
  sampleTokens,
} from "../../../kernels/sampling/sample.ts";
import { PURPOSE, type Seed, streamKey, threefry } from "../../../kernels/exact/threefry.ts";
import filters from "../../fixtures/sample/filters.json" with { type: "json" };
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

type Options = Partial<Omit<SampleAndTruncateArguments, "logits" | "tokens" | "lanes" | "truncation">>;

/**
 * Draws from `data` and returns the tokens and the truncations. By default one image, as many positions as
 * the data holds.
 */
async function sample(
  device: Device,
  data: Float32Array,
  options: Options & { vocabulary: number; imageIndices?: number[] },
): Promise<{ tokens: Uint32Array; truncation: Uint32Array }> {
  const { vocabulary, guided = false, images = 1, draws = 1, imageIndices } = options;
  const positions = options.positions ?? data.length / vocabulary / images / (guided ? 2 : 1);
  using logits = device.upload(data);
  using lanes = device.upload(Uint32Array.from({ length: images }, (_, i) => imageIndices?.[i] ?? i));
  using tokens = device.allocate(images * positions * draws);
  using truncation = device.allocate(2 * images * positions);
  const rest = { seed: [7, 0] as Seed, scale: 1, ...options, images, positions };
  device.run(sampleAndTruncate, { logits, lanes, tokens, truncation, ...rest });
  const [drawn, cut] = await device.read([tokens, truncation]);
  return { tokens: drawn!, truncation: cut! };
}

/** The tokens of a row that a truncation keeps, by comparing floats. */
function keptTokens(row: ArrayLike<number>, threshold: number, last: number): number[] {
  const kept = [];
  const least = threshold === 1
    ? -Infinity
    : bitsFloat(threshold >= 2 ** 31 ? threshold - 2 ** 31 : ~threshold >>> 0);
  for (let i = 0; i < row.length; i++) {
    if (row[i]! === -Infinity) continue;
    if (row[i]! > least || (row[i] === least && i <= last)) kept.push(i);
  }
  return kept;
}

/** What the rules keep, in float64: the kept tokens in order of rank, and how close the decision was. */
function keptByRules(
  logits: number[],
  options: { temperature?: number; topK?: number; topP?: number; passes?: number },
): { kept: number[]; margin: number } {
  const { temperature = 1, topK = 0, topP = 0, passes = 1 } = options;
  const most = Math.max(...logits);
  const mass = (i: number) => Math.exp((logits[i]! - most) / temperature);
  let kept = logits.map((_, i) => i).sort((a, b) => logits[b]! - logits[a]! || a - b);
  if (topK > 0 && topK < kept.length) kept = kept.filter((i) => logits[i]! >= logits[kept[topK - 1]!]!);
  let margin = Infinity;
  for (let pass = 0; pass < passes && topP > 0 && topP < 1; pass++) {
    const total = kept.reduce((sum, i) => sum + mass(i), 0);
    let before = 0;
    const next = [];
    for (const i of kept) {
      margin = Math.min(margin, Math.abs(before / total - topP));
      if (before / total < topP) next.push(i);
      before += mass(i);
    }
    kept = next;
  }
  return { kept, margin };
}

/** The uniform number of a draw. */
function uniform(seed: Seed, image: number, scale: number, position: number, draw: number): number {
  const [a, b] = threefry(streamKey(seed, image, scale, PURPOSE.token), [position, draw]);
  return ((a >>> 8) + (b >>> 8) * 2 ** -24) * 2 ** -24;
}

/**
 * The inverse distribution function over `kept`, in order of index, and the distance from `u` to the nearest
 * step.
 */
function inverse(logits: number[], kept: number[], u: number): { token: number; margin: number } {
  const ascending = kept.toSorted((a, b) => a - b);
  const most = Math.max(...ascending.map((i) => logits[i]!));
  const weights = ascending.map((i) => Math.exp(logits[i]! - most));
  const total = weights.reduce((sum, w) => sum + w, 0);
  let sum = 0;
  let token = -1;
  let margin = Infinity;
  for (const [i, weight] of weights.entries()) {
    sum += weight / total;
    margin = Math.min(margin, Math.abs(sum - u));
    if (token < 0 && u < sum) token = ascending[i]!;
  }
  return { token, margin };
}

/** Logits with a bell shape and, for a coarse `grid`, many ties. */
function bell(
  random: () => number,
  length: number,
  spread: number,
  grid = 2 ** -16,
): Float32Array<ArrayBuffer> {
  return Float32Array.from(
    { length },
    () => Math.round((random() + random() + random() + random() - 2) * spread / grid) * grid,
  );
}

// Check vector 5 of VAR's filters: the sets by hand from the softmax 0.193303 0.071112 0.043132 0.071112
// 0.009624 0.043132 0.525453 0.043132.
testOnDevices("filters keep the sets of the worked example", async (device) => {
  const row = new Float32Array([2, 1, 0.5, 1, -1, 0.5, 3, 0.5]);
  const cases: [topK: number, topP: number, kept: number[]][] = [
    [0, 0, [0, 1, 2, 3, 4, 5, 6, 7]],
    [0, 1, [0, 1, 2, 3, 4, 5, 6, 7]],
    [8, 0, [0, 1, 2, 3, 4, 5, 6, 7]],
    [100, 0, [0, 1, 2, 3, 4, 5, 6, 7]],
    [1, 0, [6]],
    [3, 0, [0, 1, 3, 6]],
    [4, 0.7, [0, 6]],
    [0, 0.5, [6]],
    [0, 0.6, [0, 6]],
    [0, 1e-9, [6]],
    // 0.718756 lies before token 1 and 0.789868 before token 3, which ties with it.
    [0, 0.75, [0, 1, 6]],
    [0, 0.8, [0, 1, 3, 6]],
  ];
  for (const [topK, topP, kept] of cases) {
    const { tokens, truncation } = await sample(device, row, { vocabulary: 8, topK, topP, draws: 500 });
    assertEquals(keptTokens(row, truncation[0]!, truncation[1]!), kept, `topK ${topK}, topP ${topP}`);
    // Every kept token has at least a chance of 0.0096, so 500 draws miss one with a chance of 0.8 % at most.
    assertEquals([...new Set(tokens)].sort(), kept, `topK ${topK}, topP ${topP}`);
  }
});

// Check vector V3 of VAR-Scaling's candidates.
const TWELVE = [0.20, 0.16, 0.13, 0.11, 0.09, 0.08, 0.065, 0.055, 0.045, 0.03, 0.02, 0.015].map(Math.log);

testOnDevices("sampleTokens: the compounding filter narrows to its fixed point", async (device) => {
  const row = new Float32Array(TWELVE);
  const counts: [topK: number, kept: number[]][] = [[10, [8, 7, 6, 6, 6]], [0, [9, 8, 7, 6, 6]]];
  for (const [topK, expected] of counts) {
    for (const [i, count] of expected.entries()) {
      const options = { vocabulary: 12, topK, topP: 0.9, compounding: true };
      const together = await sample(device, row, { ...options, draws: i + 1 });
      assertEquals(keptTokens(row, together.truncation[0]!, together.truncation[1]!).length, count);
      const alone = await sample(device, row, { ...options, firstDraw: i });
      assertEquals([...alone.truncation], [...together.truncation]);
      assertEquals(alone.tokens[0], together.tokens[i]);
      const single = await sample(device, row, { ...options, compounding: false, draws: i + 1 });
      assertEquals(keptTokens(row, single.truncation[0]!, single.truncation[1]!).length, expected[0]);
    }
  }
});

testOnDevices(
  "sampleTokens: draws follow the inverse distribution function in order of index",
  async (device) => {
    const draws = 8;
    const positions = 200;
    const row = new Float32Array(TWELVE);
    const data = Float32Array.from({ length: 12 * positions }, (_, i) => row[i % 12]!);
    const near095: number[][] = [[], []];
    for (const compounding of [false, true]) {
      const { tokens } = await sample(device, data, {
        vocabulary: 12,
        topK: 10,
        topP: 0.9,
        draws,
        compounding,
      });
      for (let position = 0; position < positions; position++) {
        for (let draw = 0; draw < draws; draw++) {
          const u = uniform([7, 0], 0, 1, position, draw);
          const passes = compounding ? draw + 1 : 1;
          const { kept } = keptByRules(TWELVE, { topK: 10, topP: 0.9, passes });
          const { token, margin } = inverse(TWELVE, kept, u);
          const drawn = tokens[draw * positions + position]!;
          if (margin > 1e-6) assertEquals(drawn, token, `u ${u}, draw ${draw}`);
          if (Math.abs(u - 0.95) < 0.01) near095[Number(compounding)]![draw] = drawn;
          if (Math.abs(u - 0.5) < 0.01 && !compounding) assertEquals(drawn, 2);
        }
      }
    }
    // The published worked example: u = 0.95 gives 7, 7, 7 … without and 7, 6, 5, 5 … with compounding.
    assertEquals(near095, [[7, 7, 7, 7, 7, 7, 7, 7], [7, 6, 5, 5, 5, 5, 5, 5]]);
  },
);

testOnDevices("filters keep what the published rules kept in PyTorch", async (device) => {
  for (const { seed, vocabulary, temperature, topK, topP, minP, count, mask } of filters) {
    let state = seed;
    const row = Float32Array.from({ length: vocabulary }, () => {
      let total = 0;
      for (let i = 0; i < 4; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        total += state >>> 16;
      }
      return (total - 2 ** 17) / 2 ** 13;
    });
    const { truncation } = await sample(device, row, { vocabulary, temperature, topK, topP, minP });
    const expected = [...row.keys()].filter((i) => (parseInt(mask[i >> 2]!, 16) >> (i & 3)) & 1);
    assertEquals(expected.length, count);
    assertEquals(keptTokens(row, truncation[0]!, truncation[1]!), expected, `seed ${seed}`);
  }
});

testOnDevices("filters keep what float64 keeps, ties in order of index", async (device) => {
  const random = testRandom(6);
  const rows = 8;
  let compared = 0;
  for (const vocabulary of [1, 2, 13, 256, 257, 1000]) {
    for (const grid of [2 ** -16, 0.25, 2]) {
      const data = bell(random, rows * vocabulary, 8, grid);
      for (let round = 0; round < 3; round++) {
        const topK = round === 1 ? 0 : 1 + Math.floor(random() * vocabulary);
        const topP = round === 0 ? 0 : random();
        const temperature = [1, 0.5, 3][round]!;
        const passes = 1 + Math.floor(random() * 3);
        const { truncation } = await sample(device, data, {
          vocabulary,
          topK,
          topP,
          temperature,
          draws: passes,
          compounding: true,
        });
        for (let r = 0; r < rows; r++) {
          const row = [...data.subarray(r * vocabulary, (r + 1) * vocabulary)];
          const { kept, margin } = keptByRules(row, { topK, topP, temperature, passes });
          // Weights are right to within 3e-7, and top-p is a multiple of 2^-24.
          if (margin < 1e-6) continue;
          compared++;
          assertEquals(
            keptTokens(row, truncation[2 * r]!, truncation[2 * r + 1]!),
            kept.sort((a, b) => a - b),
            `vocabulary ${vocabulary}, topK ${topK}, topP ${topP}, temperature ${temperature}, passes ${passes}`,
          );
        }
      }
    }
  }
  assert(compared > 400, `only ${compared} of 432 rows were decided by more than rounding`);
});

testOnGpu("sampleTokens: over 10^5 draws are the same on the GPU as on the CPU", async (gpu) => {
  using cpu = new CpuDevice();
  const random = testRandom(8);
  const cases: (Options & { vocabulary: number; rows: number; spread?: number; grid?: number })[] = [
    { vocabulary: 1, rows: 3, draws: 5, topK: 1, topP: 0.5 },
    { vocabulary: 2, rows: 50, draws: 100, topP: 0.7 },
    { vocabulary: 255, rows: 20, draws: 500, temperature: 0.7 },
    { vocabulary: 256, rows: 20, draws: 500, topK: 30, guided: true, weight: 1 / 3 },
    { vocabulary: 257, rows: 20, draws: 500, topK: 200, topP: 0.99, guided: true, weight: 4.1 },
    { vocabulary: 4096, rows: 40, draws: 1000, topK: 900, topP: 0.96, guided: true, weight: 1.5 },
    { vocabulary: 4096, rows: 20, draws: 1000, temperature: 1.3, spread: 2 },
    { vocabulary: 4096, rows: 4, draws: 60, topK: 900, topP: 0.96, compounding: true },
    { vocabulary: 4096, rows: 4, draws: 60, topP: 0.9, compounding: true, grid: 1, firstDraw: 2 },
    { vocabulary: 65536, rows: 4, draws: 5000, topP: 0.9, spread: 0.01 },
    { vocabulary: 65536, rows: 2, draws: 100, topK: 40000, topP: 0.7, spread: 0 },
    { vocabulary: 65535, rows: 2, draws: 100, topK: 50, guided: true, weight: -0.5, grid: 1 },
    { vocabulary: 300, rows: 50, draws: 300, topP: 1e-8, spread: 60 },
    { vocabulary: 300, rows: 20, draws: 300, topK: 17, topP: 0.3, grid: 4 },
    { vocabulary: 300, rows: 20, draws: 3, temperature: 0, grid: 4, topK: 3, topP: 0.5 },
    { vocabulary: 300, rows: 20, draws: 300, temperature: 1e-6 },
    { vocabulary: 300, rows: 20, draws: 300, temperature: 1e6 },
    { vocabulary: 300, rows: 20, draws: 300, spread: 1e38, topK: 20 },
  ];
  let drawn = 0;
  for (const { rows, spread = 10, grid, ...options } of cases) {
    const data = bell(random, rows * options.vocabulary * (options.guided ? 2 : 1), spread, grid);
    const seed: Seed = [Math.floor(random() * 2 ** 32), Math.floor(random() * 2 ** 32)];
    const images = rows % 2 === 0 ? 2 : 1;
    const all = { ...options, seed, images, scale: 3, imageIndices: [5, 900000] };
    const [a, b] = [await sample(cpu, data, all), await sample(gpu, data, all)];
    assertEquals(b.tokens, a.tokens, JSON.stringify(options));
    assertEquals(b.truncation, a.truncation, JSON.stringify(options));
    assert(a.tokens.every((token) => token < options.vocabulary));
    drawn += a.tokens.length;
  }
  assert(drawn > 1e5);
});

testOnGpu("sampleTokens: rows of arbitrary bits are the same on the GPU as on the CPU", async (gpu) => {
  using cpu = new CpuDevice();
  const random = testRandom(9);
  const vocabulary = 300;
  const rows = 16;
  const data = new Uint32Array(2 * rows * vocabulary).map(() => random() * 2 ** 32);
  // Most rows without infinity and NaN, which would settle everything.
  for (let i = 0; i < data.length; i++) {
    const special = ((data[i]! >>> 23) & 255) === 255;
    if (special && Math.floor(i / vocabulary) % rows > 3) data[i]! ^= 1 << 23;
  }
  const floats = new Float32Array(data.buffer);
  for (const options of [{}, { topK: 40 }, { topP: 0.6 }, { topK: 40, topP: 0.6 }, { temperature: 0 }]) {
    for (const guidance of [{}, { guided: true, weight: 0.7 }]) {
      const part = "guided" in guidance ? floats : floats.subarray(0, rows * vocabulary);
      const all = { ...options, ...guidance, vocabulary, draws: 20 };
      const [a, b] = [await sample(cpu, part, all), await sample(gpu, part, all)];
      assertEquals(b, a, JSON.stringify(all));
    }
  }
});

testOnDevices("sampleTokens: top-p is decided exactly", async (device) => {
  // Equal logits: of n tokens those stay that have less than the share in front of them.
  for (const vocabulary of [3, 256, 1000, 4099]) {
    const row = new Float32Array(vocabulary);
    for (const topP of [0.3, 0.7, 2 / 3]) {
      let count = vocabulary;
      for (let draws = 1; draws <= 3; draws++) {
        count = Math.ceil(count * Math.round(topP * 2 ** 24) / 2 ** 24);
        const { truncation } = await sample(device, row, { vocabulary, topP, draws, compounding: true });
        assertEquals(truncation[0], 0x80000000);
        const last = count === vocabulary ? ALL_TIES : count - 1;
        assertEquals(truncation[1], last, `${draws} times ${topP} of ${vocabulary}`);
      }
    }
  }
  // Two tokens of weights 2^30 and 65 or 64: the second stays iff 2^30 < (2^30 + weight) * (1 - 2^-24), which
  // is iff weight > 64.000004.
  for (const [weight, kept] of [[65, 2], [64, 1]] as const) {
    const row = new Float32Array([0, -Math.log(2 ** 30 / (weight + 0.5))]);
    const { truncation } = await sample(device, row, { vocabulary: 2, topP: 1 - 2 ** -24 });
    assertEquals(keptTokens(row, truncation[0]!, truncation[1]!).length, kept);
  }
});

testOnDevices("sampleTokens: an image draws the same alone, in a batch, and in parts", async (device) => {
  const random = testRandom(10);
  const vocabulary = 200;
  const positions = 6;
  const images = 4;
  const draws = 9;
  const size = positions * vocabulary;
  const data = bell(random, images * size, 8);
  const options = { vocabulary, positions, topK: 90, topP: 0.9, draws };
  const imageIndices = [3, 0, 7, 2];
  const batch = await sample(device, data, { ...options, images, imageIndices });
  for (let i = 0; i < images; i++) {
    const part = data.subarray(i * size, (i + 1) * size);
    const alone = await sample(device, part, { ...options, imageIndices: [imageIndices[i]!] });
    const expected = batch.tokens.subarray(i * draws * positions, (i + 1) * draws * positions);
    assertEquals(alone.tokens, expected);
    const rest = await sample(device, part, {
      ...options,
      imageIndices: [imageIndices[i]!],
      draws: 4,
      firstDraw: 5,
    });
    assertEquals(rest.tokens, expected.subarray(5 * positions));
    const another = await sample(device, part, { ...options, imageIndices: [9] });
    assert(another.tokens.some((token, at) => token !== alone.tokens[at]));
  }
});

/** Upper 0.01 % point of the chi-square distribution (Wilson and Hilferty 1931). */
function chiSquareLimit(freedom: number): number {
  const a = 2 / (9 * freedom);
  return freedom * (1 - a + 3.719 * Math.sqrt(a)) ** 3;
}

testOnDevices("sampleAndTruncate: draws have the frequencies of the truncated softmax", async (device) => {
  const random = testRandom(11);
  const vocabulary = 500;
  const positions = 3;
  const draws = 20000;
  const data = bell(random, positions * vocabulary, 5);
  for (const options of [{}, { topK: 100 }, { topP: 0.8 }, { topK: 100, topP: 0.9, temperature: 2 }]) {
    const { tokens } = await sample(device, data, { ...options, vocabulary, draws });
    for (let position = 0; position < positions; position++) {
      const row = [...data.subarray(position * vocabulary, (position + 1) * vocabulary)];
      const { kept } = keptByRules(row, options);
      const weights = kept.map((i) => Math.exp(row[i]! / (options.temperature ?? 1)));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const counts = new Float64Array(vocabulary);
      for (let draw = 0; draw < draws; draw++) counts[tokens[draw * positions + position]!]!++;
      let statistic = 0;
      let cells = 0;
      let inKept = 0;
      // Tokens expected fewer than ten times share a cell.
      const small = { expected: 0, count: 0 };
      for (const [i, token] of kept.entries()) {
        const expected = draws * weights[i]! / total;
        inKept += counts[token]!;
        if (expected < 10) {
          small.expected += expected;
          small.count += counts[token]!;
        } else {
          statistic += (counts[token]! - expected) ** 2 / expected;
          cells++;
        }
      }
      if (small.expected >= 10) {
        statistic += (small.count - small.expected) ** 2 / small.expected;
        cells++;
      }
      assertEquals(inKept, draws);
      assert(statistic < chiSquareLimit(cells - 1), `chi-square ${statistic} of ${cells} cells`);
    }
  }
});

testOnDevices("sampleTokens: rows with infinities, NaN and ties follow the rules", async (device) => {
  const { NaN: nan, Infinity: inf } = { NaN, Infinity };
  const distinct = async (row: number[], options: Options = {}) => {
    const { tokens } = await sample(device, new Float32Array(row), {
      vocabulary: row.length,
      draws: 200,
      ...options,
    });
    return [...new Set(tokens)].sort((a, b) => a - b);
  };
  assertEquals(await distinct([nan, -inf, nan]), [NO_TOKEN]);
  assertEquals(await distinct([nan, -inf, nan], { temperature: 0 }), [NO_TOKEN]);
  assertEquals(await distinct([-inf, -inf], { topK: 1, topP: 0.5, compounding: true }), [NO_TOKEN]);
  assertEquals(await distinct([nan, 1, -inf, 1.5]), [1, 3]);
  assertEquals(await distinct([nan, 1, -inf, 1.5], { topK: 3 }), [1, 3]);
  assertEquals(await distinct([nan, 1, -inf, 1.5], { topK: 1 }), [3]);
  assertEquals(await distinct([inf, 1, inf, nan, 3e38]), [0, 2]);
  assertEquals(await distinct([inf, 1, inf, nan, 3e38], { topK: 1 }), [0, 2]);
  assertEquals(await distinct([inf, 1, inf, nan, 3e38], { topK: 4 }), [0, 2]);
  assertEquals(await distinct([inf, 1, inf, nan, 3e38], { topP: 0.5 }), [0]);
  assertEquals(await distinct([inf, 1, inf, nan, 3e38], { temperature: 0 }), [0]);
  assertEquals(await distinct([1, 7, 2, 7, 7], { temperature: 0 }), [1]);
  assertEquals(await distinct([-5, -5, -5], { topP: 0.34 }), [0, 1]);
  assertEquals(await distinct([-5, -5, -5], { topP: 0.33 }), [0]);
  assertEquals(await distinct([0, -0, 1e-30, -1e-30], { topP: 0.6 }), [0, 1, 2]);
  assertEquals(await distinct([-3e38, 3e38]), [1]);
  assertEquals(await distinct([-3e38, -3e38]), [0, 1]);
  // Guidance: 1 + 2 * (1 - 3) = -3 against 0.5 + 2 * 0.5 = 1.5; then the second entry has no unconditional
  // value.
  assertEquals(await distinct([1, 0.5, 3, 0], { vocabulary: 2, guided: true, weight: 2, temperature: 0 }), [
    1,
  ]);
  assertEquals(await distinct([1, 0.5, 0, nan], { vocabulary: 2, guided: true, weight: 2, temperature: 0 }), [
    0,
  ]);
  const few = await sample(device, new Float32Array([nan, 1, -inf, 1.5]), { vocabulary: 4, topK: 3 });
  assertEquals([...few.truncation], [1, ALL_TIES]);
  const { truncation } = await sample(device, new Float32Array([nan, -inf]), {
    vocabulary: 2,
    topK: 1,
    topP: 0.5,
  });
  assertEquals([...truncation], [0xffffffff, ALL_TIES]);
});

testOnDevices("sampleTokens: min-p keeps what float64 keeps, after top-k and top-p", async (device) => {
  const random = testRandom(21);
  const rows = 6;
  let compared = 0;
  for (const vocabulary of [1, 7, 64, 300, 4096, 5000]) {
    for (const grid of [2 ** -16, 0.5]) {
      const data = bell(random, rows * vocabulary, 6, grid);
      for (const minP of [1, 0.5, 0.1, 0.01, 1e-6, 1e-300]) {
        const temperature = [1, 0.3, 4][Math.floor(random() * 3)]!;
        const topK = random() < 0.5 ? 0 : 1 + Math.floor(random() * vocabulary);
        const topP = random() < 0.5 ? 0 : random();
        const options = { vocabulary, topK, topP, temperature, minP };
        const { truncation } = await sample(device, data, options);
        for (let r = 0; r < rows; r++) {
          const row = [...data.subarray(r * vocabulary, (r + 1) * vocabulary)];
          const { kept, margin } = keptByRules(row, options);
          const most = Math.max(...row);
          // The limit in nats below the largest, right to within 2^-23 of itself.
          const reach = -Math.log(minP) * temperature;
          if (
            margin < 1e-6 || row.some((x) => Math.abs(most - x - reach) <= reach * 2 ** -22 && x !== most)
          ) {
            continue;
          }
          compared++;
          assertEquals(
            keptTokens(row, truncation[2 * r]!, truncation[2 * r + 1]!),
            kept.filter((i) => row[i] === most || most - row[i]! <= reach).sort((a, b) => a - b),
            JSON.stringify(options),
          );
        }
      }
    }
  }
  assert(compared > 350, `only ${compared} of 432 rows were decided by more than rounding`);
});

testOnDevices("sampleTokens: min-p is decided exactly", async (device) => {
  const kept = async (values: number[], options: Options): Promise<number[]> => {
    const vocabulary = values.length;
    const { tokens, truncation } = await sample(device, new Float32Array(values), {
      vocabulary,
      draws: 300,
      ...options,
    });
    const row = Float32Array.from(values, (value) => Math.abs(value) < 2 ** -64 ? 0 : value);
    const stay = keptTokens(row, truncation[0]!, truncation[1]!);
    assert(tokens.every((token) => stay.includes(token)), `${values}: ${[...new Set(tokens)]} of ${stay}`);
    return stay;
  };
  const { nextDown, nextUp } = {
    nextDown: (x: number) => x - 2 ** (Math.floor(Math.log2(Math.abs(x))) - 23),
    nextUp: (x: number) => x + 2 ** (Math.floor(Math.log2(Math.abs(x))) - 23),
  };
  // The limit itself stays, its neighbour goes.
  for (const [minP, temperature] of [[0.1, 1], [0.37, 0.7], [1e-9, 2]] as const) {
    const reach = Math.fround(-Math.log(minP) * temperature);
    assertEquals(await kept([0, -reach, nextDown(-reach), nextUp(-reach)], { minP, temperature }), [0, 1, 3]);
  }
  // 1 keeps the ties of the largest and nothing next to it; what counts as 0 ties with 0.
  assertEquals(await kept([5, nextDown(5), 5, 4], { minP: 1 }), [0, 2]);
  assertEquals(await kept([0, 1e-30, -0, -1e-30, -(2 ** -63)], { minP: 1 }), [0, 1, 2, 3]);
  assertEquals(await kept([-3, -3, -4], { minP: 1, temperature: 1e6 }), [0, 1]);
  // 0 is off, whatever the logits.
  assertEquals(await kept([80, 0, -80], { minP: 0 }), [0, 1, 2]);
  assertEquals(await kept([80, 0, -80], { minP: 1e-30 }), [0]);
  assertEquals(await kept([3e38, -3e38, 3e38], { minP: 1e-300 }), [0, 2]);
  // Infinite and missing logits.
  assertEquals(await kept([Infinity, 1, Infinity, NaN], { minP: 1e-9 }), [0, 2]);
  assertEquals(await kept([-Infinity, 1, NaN, 0.5], { minP: 0.5 }), [1, 3]);
  const { tokens } = await sample(device, new Float32Array([NaN, -Infinity]), { vocabulary: 2, minP: 0.5 });
  assertEquals([...tokens], [NO_TOKEN]);
  // Ties that top-p has split stay split; a higher limit of min-p takes over.
  assertEquals(await kept([0, 0, 0, 0, -9], { topP: 0.4, minP: 0.5 }), [0, 1]);
  assertEquals(await kept([1, 0, 0, 0, 0], { topP: 0.6, minP: 0.3 }), [0, 1, 2]);
  assertEquals(await kept([1, 0, 0, 0, 0], { topP: 0.6, minP: 0.4 }), [0]);
  // Temperature 0 takes the largest in any case, and guidance comes first: 1 + (1 - 0) = 2 beats 1.5 by 0.5.
  assertEquals(await kept([1, 7, 2, 7], { minP: 0.9, temperature: 0 }), [1]);
  const guided = { vocabulary: 2, guided: true, weight: 1, draws: 200 };
  const logits = new Float32Array([1, 1.5, 0, 1.5]);
  assertEquals([...new Set((await sample(device, logits, { ...guided, minP: 0.61 })).tokens)], [0]);
  assertEquals([...new Set((await sample(device, logits, { ...guided, minP: 0.6 })).tokens)].sort(), [0, 1]);
});

testOnDevices("sampleTokens: with compounding, top-p sees what min-p left", async (device) => {
  const row = new Float32Array(TWELVE);
  // From 0.055 on by min-p: eight tokens of 0.89 in all; then top-p 0.9 keeps those before 0.801, before
  // 0.7155, ...
  const options = { vocabulary: 12, topP: 0.9, minP: 0.27, compounding: true };
  for (const [i, count] of [8, 7, 6, 6].entries()) {
    const { truncation, tokens } = await sample(device, row, { ...options, draws: i + 1 });
    assertEquals(keptTokens(row, truncation[0]!, truncation[1]!).length, count, `draw ${i}`);
    const alone = await sample(device, row, { ...options, firstDraw: i });
    assertEquals([...alone.truncation], [...truncation]);
    assertEquals(alone.tokens[0], tokens[i]);
  }
});

testOnGpu("sampleTokens: random settings give the same on the GPU as on the CPU", async (gpu) => {
  using cpu = new CpuDevice();
  const random = testRandom(22);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!;
  for (let round = 0; round < 150; round++) {
    const vocabulary = pick([
      1,
      2,
      3,
      31,
      255,
      256,
      257,
      300,
      1000,
      1024,
      4095,
      4096,
      4097,
      9999,
      16384,
      65536,
    ]);
    const images = pick([1, 2, 3]);
    const positions = vocabulary > 5000 ? 1 : pick([1, 2, 5]);
    const guided = random() < 0.5;
    const data = bell(
      random,
      images * positions * vocabulary * (guided ? 2 : 1),
      pick([0, 0.01, 1, 8, 100, 1e38]),
      pick([2 ** -16, 2 ** -16, 1, 16]),
    );
    // Strange values here and there; masks of the smallest float are common in practice.
    const strange = pick([[], [], [-Infinity], [-3.4028234663852886e38], [
      NaN,
      -Infinity,
      Infinity,
      1e-40,
      -0,
    ]]);
    if (strange.length > 0) {
      const share = pick([0.01, 0.5, 1]);
      for (let i = 0; i < data.length; i++) if (random() < share) data[i] = pick(strange);
    }
    // Values that get close to each other faster than any bins can follow.
    if (random() < 0.1) data.forEach((_, i) => data[i] = 2 ** (80 - i % 140) * (i % 2 ? -1 : 1));
    const draws = pick([1, 1, 3, 70]);
    const options = {
      vocabulary,
      images,
      positions,
      draws,
      topK: pick([0, 1, 50, 900, Math.floor(vocabulary / 2)]),
      topP: pick([0, 0, 0.5, 0.96, random(), 1e-9, 1 - 1e-7]),
      minP: pick([0, 0, 0.05, random(), 1, 1e-20]),
      temperature: pick([1, 1, 0.5, 2, 1e-6, 1e6]),
      compounding: draws === 3 && random() < 0.5,
      firstDraw: pick([0, 0, 7]),
      ...(guided ? { guided, weight: pick([0, 1.5, -0.3]) } : {}),
      seed: [Math.floor(random() * 2 ** 32), round] as Seed,
    };
    const [a, b] = [await sample(cpu, data, options), await sample(gpu, data, options)];
    assertEquals(b, a, JSON.stringify({ ...options, round }));
  }
});

testOnGpu(
  "sampleTokens: so many draws that several workgroups share a row are the same on the GPU",
  async (gpu) => {
    using cpu = new CpuDevice();
    // A workgroup takes on 7936 draws of a row that long.
    const vocabulary = 65536;
    const data = bell(testRandom(23), vocabulary, 3);
    for (const compounding of [false, true]) {
      const options = { vocabulary, draws: 17000, topP: 0.5, minP: 0.001, compounding, firstDraw: 2 };
      const [a, b] = [await sample(cpu, data, options), await sample(gpu, data, options)];
      assertEquals(b, a);
    }
  },
);

testOnDevices("sampleTokens: no images or no draws leave everything as it is", async (device) => {
  using logits = device.upload(new Float32Array([1, 2]));
  using lanes = device.upload(new Uint32Array([0]));
  using tokens = device.upload(new Uint32Array([5]));
  const common = { logits, lanes, tokens, positions: 1, vocabulary: 2, seed: [1, 2], scale: 0 } as const;
  device.run(sampleTokens, { ...common, images: 0 });
  device.run(sampleTokens, { ...common, images: 1, draws: 0 });
  assertEquals([...(await device.read([tokens]))[0]!], [5]);
});

testOnDevices("sampleTokens: both kernels draw the same tokens", async (device) => {
  const data = bell(testRandom(12), 50 * 40, 8);
  const options = { vocabulary: 40, positions: 50, seed: [3, 4], scale: 2, topK: 20, topP: 0.9 } as const;
  using logits = device.upload(data);
  using lanes = device.upload(new Uint32Array([0]));
  using tokens = device.allocate(50);
  device.run(sampleTokens, { logits, lanes, tokens, images: 1, ...options });
  assertEquals((await device.read([tokens]))[0], (await sample(device, data, { ...options })).tokens);
});

Deno.test("sampleTokens: bad calls for drawing say what is wrong", () => {
  using device = new CpuDevice();
  using logits = device.allocate(16, "logits");
  using lanes = device.allocate(2, "lanes");
  using tokens = device.allocate(4, "tokens");
  using truncation = device.allocate(8, "truncation");
  const sizes = { images: 2, positions: 2, vocabulary: 4 };
  const good = { logits, lanes, tokens, truncation, ...sizes, seed: [1, 2], scale: 0 } as const;
  device.run(sampleAndTruncate, good);
  const bad = (change: object, kind: new () => Error, message: string) => {
    assertThrows(() => device.run(sampleAndTruncate, { ...good, ...change }), kind, message);
  };
  bad(
    { guided: true },
    RangeError,
    'Cannot draw tokens as "logits" must hold at least 32 words: it holds 16',
  );
  bad(
    { draws: 2 },
    RangeError,
    'Cannot draw tokens as "tokens" must hold at least 8 words: it holds 4',
  );
  bad(
    { lanes: tokens, tokens: lanes, images: 2 },
    RangeError,
    'Cannot draw tokens as "lanes" must hold at least 4 words: it holds 2',
  );
  bad(
    { truncation: tokens, tokens: truncation },
    RangeError,
    'Cannot draw tokens as "tokens" must hold at least 8 words: it holds 4',
  );
  bad(
    { weight: 1 },
    TypeError,
    "Cannot draw tokens as a weight of guidance needs unconditional logits: current weight is 1",
  );
  bad(
    { temperature: -1 },
    RangeError,
    "Cannot draw tokens as temperature must be from 0.000001 to 1000000: current value is -1",
  );
  bad({ topK: -1 }, RangeError, "Cannot draw tokens as topK must be an integer >= 0: current value is -1");
  bad({ topP: 1.5 }, RangeError, "Cannot draw tokens as topP must be from 0 to 1: current value is 1.5");
  bad({ minP: -0.1 }, RangeError, "Cannot draw tokens as minP must be from 0 to 1: current value is -0.1");
  bad({ minP: "0" }, TypeError, 'Cannot draw tokens as minP must be a number: current value is "0"');
  bad({ topP: NaN }, RangeError, "Cannot draw tokens as topP must be from 0 to 1: current value is NaN");
  bad(
    { draws: 0.5 },
    RangeError,
    "Cannot draw tokens as draws must be an integer from 0 to 2147483647: current value is 0.5",
  );
  bad(
    { firstDraw: -1 },
    RangeError,
    "Cannot draw tokens as firstDraw must be an integer from 0 to 2147483647: current value is -1",
  );
  bad(
    { scale: -1 },
    RangeError,
    "Cannot draw tokens as scale must be an integer from 0 to 16777215: current value is -1",
  );
  bad({ seed: [1] }, TypeError, "Cannot draw tokens as seed must be two words: current value is [1]");
  bad(
    { vocabulary: 0 },
    RangeError,
    "Cannot draw tokens as vocabulary must be an integer from 1 to 65536: current value is 0",
  );
});
