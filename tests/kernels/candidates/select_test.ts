import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import {
  type Decision,
  DECISION_WORDS,
  decisionLength,
  PICKS,
  readDecision,
  RULES,
  type SelectArguments,
  selectCandidates,
  STRATEGIES,
} from "../../../kernels/candidates/select.ts";
import { PURPOSE, type Seed, streamKey, threefry } from "../../../kernels/exact/threefry.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";
import { SIX, SIX_EXPECTED, TWO } from "../../fixtures/var-scaling/check_vectors.ts";
import {
  densities,
  type Pool,
  randomPool,
  selection,
  type SelectionOptions,
  vectorOf,
} from "../../var_scaling.ts";

const kept = (decision: Decision): number[] => decision.kept.map(({ candidate }) => candidate);

function assertKept(
  decision: Decision,
  candidates: readonly number[],
  probabilities: readonly number[],
): void {
  assertEquals(kept(decision), candidates);
  for (const [i, { probability }] of decision.kept.entries()) {
    assertAlmostEquals(probability, probabilities[i]!, 2e-6);
  }
}

/** Deterministic options; what a test is about is changed. */
const PLAIN = { representatives: 3, alpha: 1, conflictThreshold: 0 } as const;

testOnDevices("selectCandidates: the rule of the check vectors", async (device) => {
  const { scores } = await densities(device, SIX);
  for (
    const [alpha, published, paper] of [[1.1, false, true], [1.3, true, false], [1.5, true, false]] as const
  ) {
    for (const [rule, low] of [["published", published], ["paper", paper]] as const) {
      const { decisions: [decision] } = await selection(device, SIX, scores, { ...PLAIN, alpha, rule });
      assertEquals(decision!.low, low, `alpha ${alpha}, ${rule}`);
      assertEquals(decision!.max, scores[0]);
      assertAlmostEquals(decision!.mean, SIX_EXPECTED.mean, 1e-5);
      assertAlmostEquals(decision!.ratio, SIX_EXPECTED.ratio, 1e-5);
    }
  }
  for (const [batchBandwidth, low] of [[true, [false, true]], [false, [true, false]]] as const) {
    const { scores } = await densities(device, TWO, { batchBandwidth });
    const first = await selection(device, TWO, scores, { ...PLAIN, alpha: 1.37 });
    const second = await selection(device, TWO, scores, { ...PLAIN, alpha: 1.08 });
    assertEquals([first.decisions[0]!.low, second.decisions[1]!.low], low);
  }
});

testOnDevices(
  "selectCandidates: search order and representatives of the check vectors, one position",
  async (device) => {
    const { scores } = await densities(device, SIX);
    const run = async (options: Partial<SelectionOptions>): Promise<Decision> =>
      (await selection(device, SIX, scores, { ...PLAIN, ...options })).decisions[0]!;

    assertEquals([...(await selection(device, SIX, scores, PLAIN)).order], [0, 1, 2, 4, 3, 5]);
    assertKept(await run({ representatives: 2 }), [0, 1], [0.5, 0.5]);
    assertKept(await run({}), [0, 1, 2], [0.3396646575, 0.3396646575, 0.3206705659]);
    assertKept(await run({ strategy: "top-k", alpha: 9 }), [0, 1, 2], [
      0.3396646575,
      0.3396646575,
      0.3206705659,
    ]);
    assertKept(await run({ strategy: "small-k", representatives: 2 }), [5, 3], [0.343526179, 0.656473821]);
    assertKept(await run({ strategy: "small-k" }), [5, 3, 4], [0.2070984035, 0.3957622114, 0.3971393851]);

    const spread = [0.4941751584, 0.3324566942, 0.173367974];
    assertKept(await run({ conflictThreshold: 0.05 }), [0, 2, 4], [0.382141614, 0.3607722055, 0.2570860464]);
    assertKept(await run({ conflictThreshold: 0.2 }), [0, 4, 5], spread);
    assertKept(await run({ conflictThreshold: 0.5 }), [0, 4, 5], spread);

    const low = { alpha: 1.5, order: [5, 1, 0, 3, 2, 4] };
    assertKept(await run({ ...low }), [5, 1, 0], [0.1492340695, 0.4253828906, 0.4253828906]);
    for (const conflictThreshold of [0.05, 0.2, 0.5]) {
      const decision = await run({ ...low, conflictThreshold });
      assertKept(decision, [5, 1, 3], [0.1735680757, 0.4947455363, 0.3316862144]);
      assert(decision.low);
    }
  },
);

testOnDevices(
  "selectCandidates: representatives of the check vectors, two images of two positions",
  async (device) => {
    const { scores } = await densities(device, TWO);
    const run = async (conflictThreshold: number): Promise<Decision[]> =>
      (await selection(device, TWO, scores, { ...PLAIN, conflictThreshold })).decisions;
    for (const threshold of [0.3, 0.6]) {
      assertKept((await run(threshold))[0]!, [0, 2, 4], [0.43179978, 0.37316499, 0.19503515]);
    }
    assertKept((await run(1.8))[0]!, [0, 4, 3], [0.54864633, 0.24781235, 0.20354121]);
    assertEquals(kept((await run(0))[1]!), [0, 3, 4]);
    assertKept((await run(0.3))[1]!, [0, 4, 2], [0.36791861, 0.31838689, 0.31369444]);
    for (const threshold of [0.6, 1.8]) assertKept((await run(threshold))[1]!, [0], [1]);
  },
);

testOnDevices(
  "selectCandidates: the draw inverts the cumulative probabilities in the order of acceptance",
  async (device) => {
    const { scores } = await densities(device, SIX);
    const cumulative = [0.382141614, 0.7429138195, 1];
    let middle = 0;
    for (let low = 0; low < 60; low++) {
      const seed: Seed = [low, 5];
      const options = { ...PLAIN, conflictThreshold: 0.05, seed, scale: 3, lanes: [9] };
      const u = threefry(streamKey(seed, 9, 3, PURPOSE.choice), [0, 0])[0] / 2 ** 32;
      const wanted = [0, 2, 4][cumulative.findIndex((c) => u < c)]!;
      const { decisions: [decision], tokens } = await selection(device, SIX, scores, options);
      assertEquals(decision!.chosen, wanted, `u = ${u}`);
      assertEquals(
        decision!.probability,
        decision!.kept.find(({ candidate }) => candidate === wanted)!.probability,
      );
      assertEquals([...tokens], [wanted]);
      if (u > 0.39 && u < 0.74) middle += wanted === 2 ? 1 : -1;
      const uniform = await selection(device, SIX, scores, { ...options, pick: "uniform" });
      assertEquals(uniform.decisions[0]!.chosen, [0, 2, 4][Math.floor(u * 3)]);
      assertEquals(uniform.decisions[0]!.kept, decision!.kept);
      const greatest = await selection(device, SIX, scores, { ...options, pick: "argmax" });
      assertEquals(greatest.decisions[0]!.chosen, 0);
    }
    assert(middle > 10);
  },
);

testOnDevices("selectCandidates: drawn candidates follow their probabilities", async (device) => {
  const images = 3000;
  const scores = [5, 1, 3, 1];
  const pool: Pool = {
    ...{ images, draws: 4, positions: 1, vocabulary: 4, channels: 1 },
    tokens: Uint32Array.from({ length: images * 4 }, (_, i) => i % 4),
    codebook: new Float32Array([0, 10, 20, 30]),
  };
  const all = Float32Array.from({ length: images * 4 }, (_, i) => scores[i % 4]!);
  const { decisions } = await selection(device, pool, all, { ...PLAIN, representatives: 4 });
  for (let candidate = 0; candidate < 4; candidate++) {
    const p = scores[candidate]! / 10;
    const count = decisions.filter(({ chosen }) => chosen === candidate).length;
    // Five standard deviations.
    assert(Math.abs(count - images * p) < 5 * Math.sqrt(images * p * (1 - p)), `${candidate}: ${count}`);
  }
});

/** What `"rank"` draws of `count` kept ones with `word`, by the closed form of the cumulative weights. */
function rankOf(word: number, count: number): number {
  const k = BigInt(count);
  const mark = k * (k + 1n) / 2n * BigInt(word);
  for (let r = 0n; r < k; r++) {
    // The weights k + (k - 1) + ... + (k - r).
    if (mark < (r + 1n) * (2n * k - r) / 2n << 32n) return Number(r);
  }
  throw new RangeError("No rank is left");
}

testOnDevices(
  "selectCandidates: a draw by rank follows the order of acceptance, whatever the scores",
  async (device) => {
    const images = 4000;
    const pool: Pool = {
      ...{ images, draws: 6, positions: 1, vocabulary: 6, channels: 1 },
      tokens: Uint32Array.from({ length: images * 6 }, (_, i) => i % 6),
      codebook: new Float32Array([0, 10, 20, 20, 40, 50]),
    };
    const scores = Float32Array.from({ length: images * 6 }, (_, i) => [1, 1e6, 3, 4, 1e-6, 5][i % 6]!);
    const options = { ...PLAIN, strategy: "top-k", conflictThreshold: 1, pick: "rank" } as const;
    for (const [representatives, accepted] of [[1, [1]], [2, [1, 5]], [5, [1, 5, 3, 0, 4]]] as const) {
      const { decisions, tokens } = await selection(device, pool, scores, { ...options, representatives });
      const k = accepted.length;
      const probabilities = accepted.map((_, r) => (k - r) / (k * (k + 1) / 2));
      const counts = new Array<number>(k).fill(0);
      for (const [image, decision] of decisions.entries()) {
        assertKept(decision, accepted, probabilities);
        const [word] = threefry(streamKey([7, 0], image, 1, PURPOSE.choice), [0, 0]);
        const rank = rankOf(word, k);
        assertEquals([decision.chosen, tokens[image]], [accepted[rank], accepted[rank]]);
        assertEquals(decision.probability, decision.kept[rank]!.probability);
        counts[rank]!++;
      }
      const chiSquare = counts.reduce((sum, count, r) => {
        const wanted = images * probabilities[r]!;
        return sum + (count - wanted) ** 2 / wanted;
      }, 0);
      // The 99.9th percentile for at most 4 degrees of freedom.
      assert(chiSquare < 18.47, `${k} kept: ${counts}`);
    }
    // Six are asked for, but one conflicts: the weights are those of the five that are kept.
    const { decisions: [six] } = await selection(device, pool, scores, { ...options, representatives: 6 });
    assertKept(six!, [1, 5, 3, 0, 4], [5 / 15, 4 / 15, 3 / 15, 2 / 15, 1 / 15]);
  },
);

testOnDevices("selectCandidates: a draw by rank among as many candidates as there may be", async (device) => {
  const draws = 8192;
  const random = testRandom(27);
  const pool = randomPool(random, { images: 3, draws, positions: 1, vocabulary: 300, channels: 1 });
  const options = { ...PLAIN, representatives: draws, pick: "rank", lanes: [0, 1, 2] } as const;
  const { decisions, order } = await selection(
    device,
    pool,
    Float32Array.from({ length: 3 * draws }, random),
    options,
  );
  for (const [image, decision] of decisions.entries()) {
    const accepted = [...order.subarray(image * draws, (image + 1) * draws)];
    assertEquals(kept(decision), accepted);
    for (const [r, { probability }] of decision.kept.entries()) {
      const wanted = (draws - r) / (draws * (draws + 1) / 2);
      // A product and a reciprocal of float32.
      assert(Math.abs(probability / wanted - 1) < 2 ** -21, `rank ${r}: ${probability}`);
    }
    const [word] = threefry(streamKey([7, 0], image, 1, PURPOSE.choice), [0, 0]);
    assertEquals(decision.chosen, accepted[rankOf(word, draws)]);
  }
});

testOnDevices(
  "selectCandidates: the random order ranks the words of the permutation stream",
  async (device) => {
    const pool = randomPool(testRandom(20), {
      images: 2,
      draws: 300,
      positions: 2,
      vocabulary: 9,
      channels: 3,
    });
    const { scores } = await densities(device, pool);
    const seed: Seed = [123, 456];
    const lanes = [7, 2];
    for (const options of [{ strategy: "random-k" }, { strategy: "var-scaling", alpha: 1000 }] as const) {
      const { order } = await selection(device, pool, scores, {
        ...PLAIN,
        ...options,
        seed,
        scale: 4,
        lanes,
      });
      for (const [row, lane] of lanes.entries()) {
        const words = Array.from(
          { length: pool.draws },
          (_, draw) => threefry(streamKey(seed, lane, 4, PURPOSE.permutation), [0, draw])[0],
        );
        const wanted = [...words.keys()].sort((a, b) => words[a]! - words[b]! || a - b);
        assertEquals([...order.subarray(row * pool.draws, (row + 1) * pool.draws)], wanted);
      }
    }
    const other = await selection(device, pool, scores, {
      ...PLAIN,
      strategy: "random-k",
      seed: [124, 456],
      lanes,
    });
    const base = await selection(device, pool, scores, { ...PLAIN, strategy: "random-k", seed, lanes });
    assertNotEquals([...other.order], [...base.order]);
  },
);

testOnDevices("selectCandidates: an image is decided alone as in a batch", async (device) => {
  const pool = randomPool(testRandom(21), {
    images: 3,
    draws: 40,
    positions: 4,
    vocabulary: 12,
    channels: 8,
  });
  const { scores } = await densities(device, pool);
  const options = { representatives: 5, alpha: 1.3, conflictThreshold: 1.8 };
  const batch = await selection(device, pool, scores, { ...options, lanes: [4, 1, 6] });
  const size = pool.draws * pool.positions;
  const own = { ...pool, images: 1, tokens: pool.tokens.slice(2 * size) };
  const alone = await selection(device, own, scores.slice(2 * pool.draws), { ...options, lanes: [6] });
  assertEquals(alone.decisions[0], batch.decisions[2]);
  assertEquals(alone.tokens, batch.tokens.slice(2 * pool.positions));
});

testOnDevices(
  "selectCandidates: candidates that all agree: nobody stands out, and one is kept unless copies are allowed",
  async (device) => {
    for (const draws of [1, 2, 7, 300]) {
      const pool = randomPool(
        testRandom(22),
        { images: 1, draws, positions: 4, vocabulary: 3, channels: 2 },
        1,
      );
      const { scores } = await densities(device, pool);
      assertEquals([...scores], Array(draws).fill(4 * draws));
      const representatives = Math.min(3, draws);
      const decide = async (options: Partial<SelectionOptions>): Promise<Decision> =>
        (await selection(device, pool, scores, { ...PLAIN, representatives, ...options })).decisions[0]!;
      for (const rule of ["published", "paper"] as const) {
        const decision = await decide({ rule, conflictThreshold: 1e-30 });
        assertEquals([decision.ratio, decision.low, decision.unique, decision.kept.length], [1, false, 1, 1]);
      }
      assert((await decide({ alpha: 1 + 2 ** -20 })).low);
      assertEquals(kept(await decide({})), Array.from({ length: representatives }, (_, i) => i));
    }
  },
);

testOnDevices(
  "selectCandidates: equal scores go to the lower candidate, copies and unknown tokens are told by their tokens",
  async (device) => {
    const pool: Pool = {
      ...{ images: 1, draws: 6, positions: 2, vocabulary: 2, channels: 1 },
      tokens: new Uint32Array([0, 1, 1, 0, 0, 1, 0xffffffff, 9, 9, 9, 1, 1]),
      codebook: new Float32Array([0, 4]),
    };
    const scores = new Float32Array([2, 3, 2, 3, 3, 1]);
    const { order, decisions: [decision] } = await selection(device, pool, scores, {
      ...PLAIN,
      representatives: 6,
      conflictThreshold: 1,
      pick: "argmax",
    });
    assertEquals([...order], [1, 3, 4, 0, 2, 5]);
    // Candidates 3 and 4 are different maps of the same zeros.
    assertEquals(kept(decision!), [1, 3, 0, 5]);
    assertEquals([decision!.unique, decision!.chosen], [5, 1]);
    const reversed = await selection(device, pool, scores, {
      ...PLAIN,
      order: [4, 3, 1, 9, 0, 0],
      pick: "argmax",
    });
    // Acceptance does not break the tie, the index does; an index beyond the last means the last.
    assertEquals(kept(reversed.decisions[0]!), [4, 3, 1]);
    assertEquals(reversed.decisions[0]!.chosen, 1);
    const beyond = await selection(device, pool, scores, { ...PLAIN, order: [9, 0, 1, 2, 3, 4] });
    assertEquals(kept(beyond.decisions[0]!), [5, 0, 1]);
  },
);

testOnDevices(
  "selectCandidates: conflicts are Euclidean distances below the threshold, not at it",
  async (device) => {
    const pool: Pool = {
      ...{ images: 1, draws: 3, positions: 2, vocabulary: 4, channels: 1 },
      tokens: new Uint32Array([0, 0, 1, 2, 3, 2]),
      codebook: new Float32Array([0, 3, 4, 2.5]),
    };
    const scores = new Float32Array([3, 2, 1]);
    const run = async (conflictThreshold: number): Promise<number[]> =>
      kept((await selection(device, pool, scores, { ...PLAIN, conflictThreshold })).decisions[0]!);
    // Distances: 5 between the first two, 0.5 between the last two, sqrt(22.25) = 4.72 between the first and
    // the last.
    assertEquals(await run(0.5), [0, 1, 2]);
    assertEquals(await run(0.5 + 2 ** -20), [0, 1]);
    assertEquals(await run(5), [0, 1]);
    assertEquals(await run(5.001), [0]);
  },
);

testOnDevices(
  "selectCandidates: scores that are no finite number above 2^-90 count as 2^-90",
  async (device) => {
    const pool = randomPool(testRandom(23), {
      images: 2,
      draws: 6,
      positions: 1,
      vocabulary: 6,
      channels: 2,
    });
    const odd = new Float32Array([NaN, 1, Infinity, -5, 0.5, 0, 0, NaN, 0, 0, 0, -0]);
    const { order, decisions } = await selection(device, pool, odd, { ...PLAIN, representatives: 6 });
    assertEquals([...order], [1, 4, 0, 2, 3, 5, 0, 1, 2, 3, 4, 5]);
    assertEquals(decisions.map(({ max }) => max), [1, 2 ** -90]);
    assertAlmostEquals(decisions[0]!.mean, 0.25, 1e-9);
    for (const { probability } of decisions[1]!.kept) assertAlmostEquals(probability, 1 / 6, 1e-6);
  },
);

/** The selection written out in float64, for pools in which nothing is decided by the last place. */
function oracle(pool: Pool, scores: readonly number[], options: SelectionOptions, word: number): {
  low: boolean;
  kept: number[];
  chosen: number;
} {
  const mean = scores.reduce((a, b) => a + b) / scores.length;
  const low = Math.max(...scores) < options.alpha * mean;
  const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b);
  const chosen: number[] = [];
  for (const candidate of order) {
    const map = vectorOf(pool, 0, candidate);
    const free = chosen.every((other) =>
      Math.hypot(...vectorOf(pool, 0, other).map((x, i) => x - map[i]!)) >= options.conflictThreshold
    );
    if (free && chosen.length < options.representatives) chosen.push(candidate);
  }
  const total = chosen.reduce((sum, i) => sum + scores[i]!, 0);
  let u = word / 2 ** 32 * total;
  const drawn = chosen.find((i) => (u -= scores[i]!) < 0)!;
  return { low, kept: chosen, chosen: drawn };
}

testOnDevices("selectCandidates: selections are the float64 oracle's", async (device) => {
  const random = testRandom(24);
  for (const draws of [1, 2, 50, 257]) {
    for (const [representatives, conflictThreshold] of [[1, 0], [10, 1.8], [draws, 1], [draws, 0]] as const) {
      if (representatives > draws) continue;
      const pool = randomPool(random, { images: 1, draws, positions: 4, vocabulary: 64, channels: 8 }, 12);
      const { scores } = await densities(device, pool);
      const options = { representatives, conflictThreshold, alpha: 1.2, strategy: "top-k" as const };
      const { decisions: [decision] } = await selection(device, pool, scores, options);
      const [word] = threefry(streamKey([7, 0], 0, 1, PURPOSE.choice), [0, 0]);
      const { low, kept: wanted, chosen } = oracle(pool, [...scores], options, word);
      assertEquals({ low: decision!.low, kept: kept(decision!), chosen: decision!.chosen }, {
        low,
        kept: wanted,
        chosen,
      });
      const maps = Array.from({ length: draws }, (_, i) => pool.tokens.subarray(4 * i, 4 * i + 4).join());
      assertEquals(decision!.unique, new Set(maps).size);
    }
  }
});

testOnGpu("selectCandidates: selections have the same bits on the GPU", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(25);
  const counts = [1, 2, 3, 31, 32, 33, 50, 257];
  for (let round = 0; round < 60; round++) {
    const draws = counts[round % counts.length]!;
    const vocabulary = 1 + Math.floor(random() * 60);
    const pool = randomPool(random, {
      images: Math.floor(random() * 4),
      draws,
      positions: 1 + Math.floor(random() * 5),
      vocabulary,
      channels: 1 + Math.floor(random() * 20),
    }, 1 + Math.floor(random() * vocabulary));
    // Densities of the pool, or scores over many powers of 2.
    const { scores } = round % 3 > 0 ? await densities(cpu, pool) : {
      scores: Float32Array.from(
        { length: pool.images * draws },
        () => random() * 2 ** (random() * 60 - 30),
      ),
    };
    const options: SelectionOptions = {
      representatives: 1 + Math.floor(random() * draws),
      alpha: 0.5 + 2 * random(),
      conflictThreshold: random() < 0.3 ? 0 : random() * 4,
      strategy: STRATEGIES[Math.floor(random() * 4)]!,
      rule: RULES[Math.floor(random() * 2)]!,
      pick: PICKS[Math.floor(random() * 4)]!,
      seed: [Math.floor(random() * 2 ** 32), Math.floor(random() * 2 ** 32)],
      scale: Math.floor(random() * 10),
      lanes: Array.from({ length: pool.images }, () => Math.floor(random() * 1000)),
    };
    const wanted = await selection(cpu, pool, scores, options);
    const found = await selection(device, pool, scores, options);
    assertEquals(found, wanted);
    const order = [...wanted.order].reverse();
    if (pool.images > 0) {
      assertEquals(
        await selection(device, pool, scores, { ...options, order }),
        await selection(cpu, pool, scores, { ...options, order }),
      );
    }
  }
  const many = [
    { draws: 1000, used: 300, representatives: 30, conflictThreshold: 0.5, pick: "density" },
    { draws: 4096, used: 3, representatives: 30, conflictThreshold: 0.5, pick: "density" },
    { draws: 8192, used: 300, representatives: 8192, conflictThreshold: 0, pick: "rank" },
  ] as const;
  for (const { draws, used, ...rest } of many) {
    const pool = randomPool(random, { images: 1, draws, positions: 2, vocabulary: 300, channels: 4 }, used);
    const scores = Float32Array.from({ length: draws }, (_, i) => 1 + pool.tokens[2 * i]!);
    for (const strategy of ["random-k", "small-k"] as const) {
      const options = { ...rest, alpha: 1, strategy };
      assertEquals(
        await selection(device, pool, scores, options),
        await selection(cpu, pool, scores, options),
      );
    }
  }
});

Deno.test("selectCandidates: a record holds the representatives behind its fixed words", async () => {
  using device = new CpuDevice();
  const pool = randomPool(
    testRandom(26),
    { images: 2, draws: 4, positions: 1, vocabulary: 4, channels: 1 },
    1,
  );
  const { record } = await selection(device, pool, new Float32Array(8).fill(2), {
    ...PLAIN,
    conflictThreshold: 1,
    representatives: 4,
  });
  assertEquals(decisionLength(4), DECISION_WORDS + 8);
  assertEquals(record.length, 2 * decisionLength(4));
  assertEquals([...record.subarray(DECISION_WORDS + 2, decisionLength(4))], [
    0xffffffff,
    0,
    0xffffffff,
    0,
    0xffffffff,
    0,
  ]);
});

Deno.test("selectCandidates: selections refuse bad calls", () => {
  using device = new CpuDevice();
  const good: SelectArguments = {
    scores: device.upload(new Float32Array([1, 2, 3]), "scores"),
    candidates: device.allocate(6, "candidates"),
    codebook: device.allocate(8, "codebook"),
    lanes: device.allocate(1, "lanes"),
    order: device.allocate(3, "order"),
    tokens: device.allocate(2, "tokens"),
    decision: device.allocate(11, "decision"),
    ...{ images: 1, draws: 3, positions: 2, vocabulary: 4, channels: 2 },
    ...{ representatives: 2, alpha: 1, conflictThreshold: 0, seed: [1, 2], scale: 0 },
  };
  device.run(selectCandidates, good);
  const refused = (change: Partial<SelectArguments>, error: typeof RangeError, message: string): void => {
    assertThrows(
      () => device.run(selectCandidates, { ...good, ...change }),
      error,
      `Cannot select candidates as ${message}`,
    );
  };
  refused({ images: -1 }, RangeError, "images must be an integer >= 0: current value is -1");
  refused({ draws: 0 }, RangeError, "draws must be an integer from 1 to 8192: current value is 0");
  refused({ positions: 0 }, RangeError, "positions must be an integer >= 1: current value is 0");
  refused({ vocabulary: 0 }, RangeError, "vocabulary must be an integer >= 1: current value is 0");
  refused({ channels: 0 }, RangeError, "channels must be an integer >= 1: current value is 0");
  refused(
    { representatives: 0 },
    RangeError,
    "representatives must be an integer from 1 to 3: current value is 0",
  );
  refused(
    { representatives: 4 },
    RangeError,
    "representatives must be an integer from 1 to 3: current value is 4",
  );
  refused({ alpha: NaN }, RangeError, "alpha must be from 0 to 1048576: current value is NaN");
  refused({ alpha: "2" as unknown as number }, TypeError, 'alpha must be a number: current value is "2"');
  refused(
    { conflictThreshold: -1 },
    RangeError,
    "conflictThreshold must be from 0 to 1099511627776: current value is -1",
  );
  refused(
    { strategy: "best" as "top-k" },
    TypeError,
    'strategy must be one of "var-scaling", "top-k", "small-k", "random-k": current value is "best"',
  );
  refused(
    { rule: "blog" as "paper" },
    TypeError,
    'rule must be one of "published", "paper": current value is "blog"',
  );
  refused(
    { pick: "first" as "argmax" },
    TypeError,
    'pick must be one of "density", "argmax", "uniform", "rank": current value is "first"',
  );
  refused({ seed: [1] as unknown as Seed }, TypeError, "seed must be two words: current value is [1]");
  refused({ scale: -1 }, RangeError, "scale must be an integer from 0 to 16777215: current value is -1");
  refused({ draws: 4 }, RangeError, '"scores" must hold at least 4 words: it holds 3');
  refused({ positions: 3 }, RangeError, '"candidates" must hold at least 9 words: it holds 6');
  refused({ vocabulary: 5 }, RangeError, '"codebook" must hold at least 10 words: it holds 8');
  refused(
    { lanes: device.allocate(0, "lanes") },
    RangeError,
    '"lanes" must hold at least 1 words: it holds 0',
  );
  refused(
    { order: device.allocate(2, "order") },
    RangeError,
    '"order" must hold at least 3 words: it holds 2',
  );
  refused(
    { tokens: device.allocate(1, "tokens") },
    RangeError,
    '"tokens" must hold at least 2 words: it holds 1',
  );
  refused({ representatives: 3 }, RangeError, '"decision" must hold at least 13 words: it holds 11');
});

testOnDevices("selectCandidates: without a codebook conflicts are those of bits", async (device) => {
  const random = testRandom(91);
  const [images, draws, positions, representatives] = [2, 60, 3, 12];
  // Few patterns, so that distances are small and copies many.
  const data = Uint32Array.from({ length: images * draws * positions }, () => {
    return (Math.floor(random() * 4) * 0x40000001 + (random() < 0.3 ? 0x80010 : 0)) >>> 0;
  });
  const values = Float32Array.from({ length: images * draws }, () => 1 + Math.floor(random() * 30));
  using candidates = device.upload(data);
  using scores = device.upload(values);
  using lanes = device.upload(new Uint32Array([0, 1]));
  using order = device.allocate(images * draws);
  using tokens = device.allocate(images * positions);
  using decision = device.allocate(images * decisionLength(representatives));
  const bitsOf = (word: number): string => word.toString(2).replaceAll("0", "");
  const distance = (image: number, a: number, b: number): number => {
    let sum = 0;
    for (let i = 0; i < positions; i++) {
      const [x, y] = [a, b].map((draw) => data[(image * draws + draw) * positions + i]!) as [number, number];
      sum += bitsOf((x ^ y) >>> 0).length;
    }
    return Math.sqrt(sum);
  };
  for (const conflictThreshold of [0, 1e-3, 1, 1.01, 2, 2.3, 100]) {
    device.run(selectCandidates, {
      ...{ scores, candidates, lanes, order, tokens, decision, images, draws, positions, representatives },
      ...{ alpha: 1, conflictThreshold, strategy: "top-k", pick: "rank", seed: [5, 0], scale: 3 },
    });
    const words = (await device.read([decision]))[0]!;
    for (let image = 0; image < images; image++) {
      const score = (draw: number): number => values[image * draws + draw]!;
      const sorted = Array.from({ length: draws }, (_, i) => i).sort((a, b) => score(b) - score(a) || a - b);
      const wanted: number[] = [];
      for (const draw of sorted) {
        const near = wanted.some((other) => distance(image, other, draw) < conflictThreshold);
        if (!near && wanted.length < representatives) wanted.push(draw);
      }
      const found = readDecision(words, image * decisionLength(representatives));
      assertEquals(kept(found), wanted, `threshold ${conflictThreshold}`);
      const maps = Array.from({ length: draws }, (_, i) => {
        return `${data.subarray((image * draws + i) * positions, (image * draws + i + 1) * positions)}`;
      });
      assertEquals(found.unique, new Set(maps).size);
    }
  }
});
