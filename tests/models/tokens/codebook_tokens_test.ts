/**
 * Tokens that are indices into a codebook, as the sampler uses them: against the definitions, on numbers that
 * are worked out by hand.
 */

import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { silvermanFactor } from "../../../kernels/candidates/bandwidth.ts";
import { type Device, type DeviceArray, readFloats, readWords } from "../../../kernels/device/device.ts";
import { NO_TOKEN } from "../../../kernels/sampling/sample.ts";
import { decisionLength, readDecision } from "../../../kernels/candidates/select.ts";
import { seedWords } from "../../../kernels/exact/threefry.ts";
import { CodebookTokens, type CodebookTokensOptions } from "../../../models/tokens/codebook_tokens.ts";
import type { TokenDensityArguments, TokenSpace } from "../../../models/tokens/token_space.ts";
import { testOnDevices } from "../../devices.ts";

/** Four codes of two channels: two directions, each short and long. */
const CODES = [[1, 0], [3, 0], [0, 2], [0, 4]] as const;

function open(
  device: Device,
  options?: CodebookTokensOptions,
): TokenSpace & { codebook: { array: DeviceArray } } & Disposable {
  const array = device.upload(Float32Array.from(CODES.flat()), "codebook");
  const space = new CodebookTokens({ array, vocabulary: 4, channels: 2 }, options);
  return Object.assign(space, { [Symbol.dispose]: () => array[Symbol.dispose]() });
}

testOnDevices("CodebookTokens: a token is one word and stands for a row of the codebook", async (device) => {
  using space = open(device);
  assertEquals([space.words, space.logits, space.channels], [1, 4, 2]);
  using tokens = device.upload(Uint32Array.of(2, 1, 0, 3));
  using planes = device.allocate(8);
  using rows = device.allocate(8);
  space.vectors(device, { tokens, output: planes, maps: 2, positions: 2 });
  space.vectors(device, { tokens, output: rows, maps: 2, positions: 2, layout: "rows" });
  assertEquals([...await readFloats(planes)], [0, 3, 2, 0, 1, 0, 0, 4]);
  assertEquals([...await readFloats(rows)], [0, 2, 3, 0, 1, 0, 0, 4]);
});

testOnDevices("CodebookTokens: the likeliest token is drawn where nothing else is left", async (device) => {
  using space = open(device);
  using logits = device.upload(Float32Array.of(0, 1, 5, 2, 9, 0, 0, 0, ...new Array(4).fill(-Infinity)));
  using lanes = device.upload(Uint32Array.of(0));
  using tokens = device.allocate(6);
  const row = { logits, tokens, lanes, images: 1, positions: 3, seed: seedWords(1), scale: 0 };
  space.draw(device, { ...row, topK: 1, draws: 2 });
  const map = await readWords(tokens);
  assertEquals([...map], [2, 0, NO_TOKEN, 2, 0, NO_TOKEN]);
  assertEquals(space.firstMissing(map), 2);
  assertEquals(space.firstMissing(Uint32Array.of(3, 0, 1)), -1);
});

/**
 * The density of candidates of one image by the definition, in f64: Gaussian kernels of Silverman's width,
 * summed over positions.
 */
function densityOf(maps: readonly (readonly number[])[], options: Partial<TokenDensityArguments>): number[] {
  const { distance = "euclidean", features = "position", deviation = "population" } = options;
  const vectorOf = (token: number): number[] => {
    const code = CODES[token]!;
    const length = distance === "cosine" ? Math.hypot(...code) : 1;
    return code.map((value) => value / length);
  };
  const groups = features === "joint"
    ? [maps.map((map) => map.flatMap(vectorOf))]
    : maps[0]!.map((_, position) => maps.map((map) => vectorOf(map[position]!)));
  const scores = maps.map(() => 0);
  for (const points of groups) {
    const n = points.length;
    const d = points[0]!.length;
    const deviations = Array.from({ length: d }, (_, i) => {
      const mean = points.reduce((sum, point) => sum + point[i]!, 0) / n;
      const squares = points.reduce((sum, point) => sum + (point[i]! - mean) ** 2, 0);
      return Math.sqrt(squares / (deviation === "sample" ? n - 1 : n));
    });
    const h = deviations.reduce((sum, value) => sum + value, 0) / d * silvermanFactor(n, d) + 1e-6;
    for (const [i, x] of points.entries()) {
      for (const y of points) {
        const squares = x.reduce((sum, value, j) => sum + (value - y[j]!) ** 2, 0);
        scores[i]! += Math.exp(-squares / (2 * h * h));
      }
    }
  }
  return scores;
}

const MAPS = [[0, 1], [1, 1], [0, 2], [3, 1], [2, 0]];

testOnDevices("CodebookTokens: densities are those of the definition, in every variant", async (device) => {
  using space = open(device);
  using tokens = device.upload(Uint32Array.from(MAPS.flat()));
  const usual = {
    tokens,
    images: 1,
    draws: MAPS.length,
    positions: 2,
    distance: "euclidean",
    features: "position",
    bandwidth: "image",
    deviation: "population",
  } as const;
  const seen = new Set<string>();
  for (
    const change of [{}, { distance: "cosine" }, { features: "joint" }, { deviation: "sample" }] as const
  ) {
    using scores = device.allocate(MAPS.length);
    const { liveArrays } = device.counters;
    space.density(device, { ...usual, ...change, scores });
    const found = await readFloats(scores);
    assertEquals(device.counters.liveArrays, liveArrays, "what it allocates on the way it frees");
    for (const [i, wanted] of densityOf(MAPS, change).entries()) {
      assertAlmostEquals(found[i]!, wanted, 1e-4, `${Deno.inspect(change)}, candidate ${i}`);
    }
    seen.add(String(found));
  }
  assertEquals(seen.size, 4, "each variant gives other numbers");
});

testOnDevices("CodebookTokens: a bandwidth of the batch is the mean of its images'", async (device) => {
  using space = open(device);
  // The candidates of the second image are all the same, so its own bandwidth is almost 0.
  using tokens = device.upload(Uint32Array.of(0, 1, 0, 3, 2, 2, 2, 2));
  const scoresFor = async (bandwidth: "image" | "batch"): Promise<Float32Array> => {
    using scores = device.allocate(8);
    space.density(device, {
      tokens,
      scores,
      images: 2,
      draws: 4,
      positions: 1,
      distance: "euclidean",
      features: "position",
      bandwidth,
      deviation: "population",
    });
    return await readFloats(scores);
  };
  const own = await scoresFor("image");
  const shared = await scoresFor("batch");
  for (const [i, wanted] of densityOf([[0], [1], [0], [3]], {}).entries()) {
    assertAlmostEquals(own[i]!, wanted, 1e-4);
  }
  assert(shared[1]! < own[1]! - 0.01, "half the width leaves less for distant candidates");
  assertEquals([...own.slice(4), ...shared.slice(4)], new Array(8).fill(4));
});

testOnDevices("CodebookTokens: a way of comparing that is none is refused", (device) => {
  using space = open(device);
  using tokens = device.allocate(2);
  using scores = device.allocate(2);
  const usual = {
    tokens,
    scores,
    images: 1,
    draws: 2,
    positions: 1,
    distance: "euclidean",
    features: "position",
    bandwidth: "image",
    deviation: "population",
  } as const;
  for (const wrong of [{ distance: "manhattan" }, { bandwidth: "wide" }, { features: "all" }]) {
    const { liveArrays } = device.counters;
    const args = { ...usual, ...wrong } as unknown as TokenDensityArguments;
    assertThrows(() => space.density(device, args), TypeError, `Cannot estimate`);
    assertEquals(device.counters.liveArrays, liveArrays);
  }
});

testOnDevices(
  "CodebookTokens: of candidates the densest is selected, and conflicts are measured in the codebook",
  async (device) => {
    using space = open(device);
    using candidates = device.upload(Uint32Array.of(0, 1, 3));
    using scores = device.upload(Float32Array.of(1, 3, 2));
    using lanes = device.upload(Uint32Array.of(0));
    using order = device.allocate(3);
    using tokens = device.allocate(1);
    using decision = device.allocate(decisionLength(3));
    const select = async (conflictThreshold: number): Promise<[number, number]> => {
      space.select(device, {
        scores,
        candidates,
        lanes,
        order,
        tokens,
        decision,
        images: 1,
        draws: 3,
        positions: 1,
        representatives: 3,
        alpha: 0,
        conflictThreshold,
        pick: "argmax",
        seed: seedWords(1),
        scale: 1,
      });
      const [chosen] = await readWords(tokens);
      return [chosen!, readDecision(await readWords(decision)).kept.length];
    };
    assertEquals(await select(0), [1, 3]);
    // Codes 0 and 1 are 2 apart, codes 1 and 3 are 5 apart.
    assertEquals(await select(2.5), [1, 2]);
    assertEquals(await select(6), [1, 1]);
  },
);

testOnDevices("CodebookTokens: the evidence of tokens, with a label and without", async (device) => {
  using space = open(device);
  const known = [Math.log(5), 0, 0, 0];
  using logits = device.upload(Float32Array.from([...known, 0, 0, 0, 0, 0, 0, 0, 0, ...known]));
  using tokens = device.upload(Uint32Array.of(0, 2));
  using evidence = device.allocate(2);
  const sizes = { images: 1, positions: 2, guided: true };
  space.evidence!(device, { logits, tokens, evidence, ...sizes });
  const [conditional, unconditional] = await readFloats(evidence);
  assertAlmostEquals(conditional!, Math.log(5 / 8) + Math.log(1 / 4), 5e-6);
  assertAlmostEquals(unconditional!, Math.log(1 / 4) + Math.log(1 / 8), 5e-6);
  using kept = device.upload(Uint32Array.of(0, 1));
  space.evidence!(device, { logits, tokens, evidence, kept, ...sizes });
  assertAlmostEquals((await readFloats(evidence))[0]!, Math.log(5 / 8), 5e-6);
});

testOnDevices(
  "CodebookTokens: only a space for it mixes vectors, and almost without noise that is the token's",
  async (device) => {
    using plain = open(device);
    assertEquals(plain.mix, undefined);
    using space = open(device, { mixing: (ratio) => ({ sharpness: 1, tau: ratio === 0 ? 0.27 : 5 }) });
    using logits = device.upload(Float32Array.of(0, 9, 0, 0, 0, 0, 0, 9));
    using lanes = device.upload(Uint32Array.of(0));
    using tokens = device.allocate(2);
    using output = device.allocate(4);
    const row = { logits, tokens, lanes, images: 1, positions: 2, seed: seedWords(3), scale: 0 };
    const { liveArrays } = device.counters;
    space.mix!(device, { ...row, topK: 1, output, ratio: 0 });
    assertEquals([...await readWords(tokens)], [1, 3]);
    assertEquals([...await readFloats(output)], [3, 0, 0, 4]);
    assertEquals(device.counters.liveArrays, liveArrays);
    // Two tokens that are equally likely: the result lies between their codes.
    using even = device.upload(Float32Array.of(5, 5, -9, -9, 5, 5, -9, -9));
    space.mix!(device, { ...row, logits: even, topK: 2, output, ratio: 1 });
    const mixed = await readFloats(output);
    for (const value of mixed.slice(0, 2)) assert(value > 1 && value < 3, `${value}`);
    assertEquals([...mixed.slice(2)], [0, 0]);
  },
);
