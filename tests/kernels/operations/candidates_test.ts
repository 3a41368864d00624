import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import {
  candidateDensity,
  type CandidateDensityOptions,
  createCandidateDensity,
  representativeCandidate,
} from "../../../kernels/operations/candidates.ts";
import { decisionLength, PICKS, readDecision, STRATEGIES } from "../../../kernels/candidates/select.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";
import { BITS_EXPECTED, BITS_SHAPE, bitTokens } from "../../fixtures/var-scaling/bits.ts";
import { SIX, SIX_EXPECTED } from "../../fixtures/var-scaling/check_vectors.ts";
import { densities, randomPool, selection } from "../../var_scaling.ts";

const same = (device: Device, before: { liveArrays: number; liveBytes: number }): void => {
  const { liveArrays, liveBytes } = device.counters;
  assertEquals({ liveArrays, liveBytes }, { liveArrays: before.liveArrays, liveBytes: before.liveBytes });
};

testOnDevices("densities of candidates are those of the kernels, with each option", async (device) => {
  const random = testRandom(81);
  const shape = { images: 3, draws: 150, positions: 2, vocabulary: 60, channels: 5 };
  const pool = randomPool(random, shape);
  const before = device.counters;
  const each: CandidateDensityOptions[] = [
    {},
    { distance: "cosine" },
    { features: "joint" },
    { deviation: "sample", epsilon: 0.1 },
    { leaveOneOut: true },
  ];
  for (const options of each) {
    const { distance, ...rest } = options;
    const wanted = await densities(device, pool, { cosine: distance === "cosine", ...rest });
    using density = createCandidateDensity(device, { codebook: pool.codebook, channels: 5 }, options);
    using scores = density.scores(pool.tokens, { draws: 150, positions: 2 });
    assertEquals(await readFloats(scores), wanted.scores);
    const called = await candidateDensity(pool.tokens, { codebook: pool.codebook, channels: 5 }, {
      draws: 150,
      positions: 2,
      device,
      ...options,
    });
    assertEquals(called, wanted.scores);
  }
  same(device, before);
});

testOnDevices(
  "representativeCandidate: conflicts are between codes as they are, whatever the density goes by",
  async (device) => {
    // As unit vectors the first two would be one, and no two would be as far apart as the threshold.
    const codes = { codebook: Float32Array.of(10, 0, 20, 0, 0, 10), channels: 2 };
    const before = device.counters;
    for (const distance of ["euclidean", "cosine"] as const) {
      const keptAt = async (conflictThreshold: number): Promise<number[]> => {
        const { decisions } = await representativeCandidate(Uint32Array.of(0, 1, 2), codes, {
          ...{ draws: 3, representatives: 3, distance, conflictThreshold, device },
        });
        return decisions[0]!.kept.map(({ candidate }) => candidate).sort();
      };
      assertEquals(await keptAt(5), [0, 1, 2], distance);
      // The first is 10 from the second and 14.1 from the third, those two are 22.4 apart.
      assertEquals((await keptAt(12)).length, 2, distance);
      assertEquals((await keptAt(30)).length, 1, distance);
    }
    same(device, before);
  },
);

testOnDevices("densities of the check vectors and of bits", async (device) => {
  const six = await candidateDensity(SIX.tokens, { codebook: SIX.codebook, channels: 4 }, {
    draws: 6,
    device,
  });
  for (const [i, score] of SIX_EXPECTED.scores.entries()) assertAlmostEquals(six[i]!, score, 1e-5 * score);

  const { draws, positions, bits } = BITS_SHAPE;
  const { index, scores } = await representativeCandidate(bitTokens(), { bits }, {
    draws,
    positions,
    device,
  });
  assertEquals([...index], [BITS_EXPECTED.order[0]]);
  for (const [i, score] of BITS_EXPECTED.first.entries()) assertAlmostEquals(scores[i]!, score, 1e-6 * score);
  const plain = await candidateDensity(bitTokens(), { bits }, {
    draws,
    positions,
    device,
    leaveOneOut: true,
  });
  for (const [i, score] of plain.entries()) assertAlmostEquals(score + positions, scores[i]!, 1e-5);
});

testOnDevices(
  "createCandidateDensity: inputs and outputs may lie on the device, at any offset",
  async (device) => {
    const random = testRandom(82);
    const pool = randomPool(random, { images: 2, draws: 40, positions: 3, vocabulary: 20, channels: 4 });
    const wanted = (await densities(device, pool)).scores;
    using memory = device.allocate(1000);
    device.write(memory, pool.codebook, 7);
    device.write(memory, pool.tokens, 101);
    const before = device.counters;
    {
      using density = createCandidateDensity(device, { codebook: device.view(memory, 7, 80), channels: 4 });
      const tokens = device.view(memory, 101, 240);
      const output = device.view(memory, 401, 80);
      const options = { draws: 40, positions: 3 };
      assertEquals(density.scores(tokens, { ...options, output }).length, 80);
      assertEquals((await readFloats(memory)).subarray(401, 481), wanted);
      density.choose(tokens, { ...options, scores: output, output: device.view(memory, 501, 18) });
      const words = await readWords(memory);
      for (const image of [0, 1]) {
        const own = wanted.subarray(40 * image, 40 * image + 40);
        const { chosen, max } = readDecision(words, 501 + image * decisionLength(1));
        assertEquals([chosen, max], [own.indexOf(Math.max(...own)), Math.max(...own)]);
      }
    }
    same(device, before);
  },
);

testOnDevices("representativeCandidate: a choice is that of the selection kernel", async (device) => {
  const random = testRandom(83);
  const pool = randomPool(random, { images: 3, draws: 30, positions: 2, vocabulary: 12, channels: 3 });
  const { scores } = await densities(device, pool);
  const options = { representatives: 5, alpha: 1.3, conflictThreshold: 0.4 };
  for (const strategy of STRATEGIES) {
    for (const pick of PICKS) {
      const found = await representativeCandidate(pool.tokens, { codebook: pool.codebook, channels: 3 }, {
        ...{ draws: 30, positions: 2, device, seed: 9 },
        ...options,
        strategy,
        pick,
      });
      // The scale is part of the key of the random numbers; a choice of one's own has none.
      const wanted = await selection(device, pool, scores, {
        ...options,
        strategy,
        pick,
        seed: [9, 0],
        scale: 0,
      });
      assertEquals(found.scores, scores);
      assertEquals(found.decisions, wanted.decisions);
      assertEquals([...found.index], wanted.decisions.map(({ chosen }) => chosen));
    }
  }
});

testOnDevices(
  "representativeCandidate: the representative of many bits, of one candidate and of none",
  async (device) => {
    const random = testRandom(84);
    const tokens = Uint32Array.from({ length: 500 * 3 * 2 }, () => {
      let word = 0;
      for (let b = 0; b < 32; b++) if (random() < 0.02) word |= 1 << b;
      return word >>> 0;
    });
    const { index, scores } = await representativeCandidate(tokens, { bits: 50 }, {
      draws: 500,
      positions: 3,
      device,
    });
    assertEquals([...index], [scores.indexOf(Math.max(...scores))]);
    const one = await representativeCandidate(tokens.subarray(0, 6), { bits: 64 }, {
      draws: 1,
      positions: 3,
      device,
    });
    assertEquals([[...one.index], [...one.scores]], [[0], [3]]);
    const none = await representativeCandidate(new Uint32Array(0), { bits: 8 }, { draws: 4, device });
    assertEquals([none.index.length, none.scores.length, none.decisions.length], [0, 0, 0]);
  },
);

testOnGpu("representativeCandidate: CPU and GPU choose alike", async (device) => {
  const random = testRandom(85);
  const pool = randomPool(random, { images: 2, draws: 300, positions: 4, vocabulary: 80, channels: 8 });
  const codes = { codebook: pool.codebook, channels: 8 };
  const options = {
    draws: 300,
    positions: 4,
    representatives: 10,
    strategy: "var-scaling",
    seed: 3n,
  } as const;
  assertEquals(
    await representativeCandidate(pool.tokens, codes, { ...options, device }),
    await representativeCandidate(pool.tokens, codes, { ...options, device: "cpu" }),
  );
});

testOnDevices("createCandidateDensity: bad calls are refused and leave nothing behind", async (device) => {
  const codebook = new Float32Array(12);
  const before = device.counters;
  const creating = (codes: unknown, options: unknown, error: typeof RangeError, message: string): void => {
    assertThrows(
      () => createCandidateDensity(device, codes as { bits: number }, options as CandidateDensityOptions),
      error,
      `Cannot create a candidate density as ${message}`,
    );
  };
  creating(
    null,
    {},
    TypeError,
    "the codes must be { codebook, channels } or { bits }: current value is null",
  );
  creating(
    { bits: 8, channels: 2 },
    {},
    TypeError,
    'the option "channels" is unknown: options are bits',
  );
  creating({ bits: 0 }, {}, RangeError, "bits must be an integer from 1 to 512: current value is 0");
  creating(
    { bits: 8 },
    { distance: "cosine" },
    TypeError,
    'distance "cosine" needs a codebook: the tokens are bits',
  );
  creating(
    { bits: 8 },
    { features: "joint" },
    TypeError,
    'features "joint" needs a codebook: the tokens are bits',
  );
  creating({ codebook, channels: 0 }, {}, RangeError, "channels must be an integer >= 1: current value is 0");
  creating(
    { codebook, channels: 5 },
    {},
    RangeError,
    "the number of values in codebook must be a multiple of 5: it holds 12",
  );
  creating(
    { codebook: [1, 2], channels: 1 },
    {},
    TypeError,
    "codebook must be a Float32Array, a device array or a GPUBuffer: current value is [1, 2]",
  );
  creating(
    { codebook, channels: 3 },
    { leaveOneout: true },
    TypeError,
    'the option "leaveOneout" is unknown: options are distance, features, deviation, epsilon, leaveOneOut',
  );
  creating(
    { codebook, channels: 3 },
    { epsilon: -1 },
    RangeError,
    "epsilon must be from 0 to 1099511627776: current value is -1",
  );
  same(device, before);

  {
    using density = createCandidateDensity(device, { codebook, channels: 3 }, {
      deviation: "sample",
    });
    using bits = createCandidateDensity(device, { bits: 40 });
    const made = device.counters;
    const tokens = new Uint32Array(24);
    using short = device.allocate(3, "short");
    const refused = (call: () => unknown, error: typeof RangeError, message: string): void => {
      assertThrows(call, error, message);
    };
    const scoring = (options: unknown, error: typeof RangeError, message: string): void =>
      refused(
        () => density.scores(tokens, options as { draws: number }),
        error,
        `Cannot estimate densities of candidates as ${message}`,
      );
    scoring({}, TypeError, "draws must be a number: current value is undefined");
    scoring({ draws: 1 }, RangeError, "draws must be an integer from 2 to 8192: current value is 1");
    scoring({ draws: 4, positions: 0 }, RangeError, "positions must be an integer >= 1: current value is 0");
    scoring(
      { draws: 5 },
      RangeError,
      "the number of values in tokens must be a multiple of 5: it holds 24",
    );
    scoring(
      { draw: 5 },
      TypeError,
      'the option "draw" is unknown: options are draws, positions, output',
    );
    scoring({ draws: 4, output: short }, RangeError, '"short" must hold at least 24 words: it holds 3');
    refused(
      () => density.scores(codebook as unknown as Uint32Array, { draws: 4 }),
      TypeError,
      "Cannot estimate densities of candidates as tokens must be a Uint32Array, a device array or a GPUBuffer: " +
        "current value is Float32Array",
    );
    refused(
      () => bits.scores(tokens, { draws: 5 }),
      RangeError,
      "Cannot estimate densities of candidates as the number of values in tokens must be a multiple of 10: it holds 24",
    );
    const choosing = (options: object, error: typeof RangeError, message: string): void =>
      refused(
        () => bits.choose(tokens, { draws: 4, ...options }),
        error,
        `Cannot choose among candidates as ${message}`,
      );
    choosing(
      { conflictThreshold: 1 },
      TypeError,
      "a conflictThreshold above 0 needs a codebook: the tokens are bits",
    );
    choosing(
      { representatives: 0 },
      RangeError,
      "representatives must be an integer >= 1: current value is 0",
    );
    choosing(
      { strategy: "topk" },
      TypeError,
      'strategy must be one of "var-scaling", "top-k", "small-k", "random-k": current value is "topk"',
    );
    choosing(
      { scores: codebook.subarray(0, 2) },
      RangeError,
      "scores must hold at least 12 values: it holds 2",
    );
    choosing({ output: short }, RangeError, '"short" must hold at least 27 words: it holds 3');
    assert(device.counters.liveArrays === made.liveArrays + 1);
  }
  same(device, before);
  await assertRejects(
    () => candidateDensity(new Uint32Array(3), { bits: 2 }, { draws: 2, device }),
    RangeError,
    "Cannot estimate densities of candidates as the number of values in tokens must be a multiple of 2: it holds 3",
  );
  same(device, before);
});

Deno.test("candidateDensity: a call opens a device of its own", async () => {
  const scores = await candidateDensity(new Uint32Array([1, 1, 1]), { bits: 2 }, { draws: 3, device: "cpu" });
  assertEquals([...scores], [3, 3, 3]);
});
