/**
 * Tokens of bits, by what the published Infinity does to two values and to candidates, and by formulas.
 *
 * @module
 */

import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { decisionLength, readDecision } from "../../../kernels/candidates/select.ts";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import { NONE_MISSING } from "../../../kernels/sampling/missing_bits.ts";
import { BitTokens } from "../../../models/tokens/bit_tokens.ts";
import type { DrawArguments, TokenDensityArguments } from "../../../models/tokens/token_space.ts";
import { testOnDevices, testRandom } from "../../devices.ts";
import { bitTokens } from "../../fixtures/var-scaling/bits.ts";

/** Numbers recorded from the published modules. */
const { var_scaling: scaling, "top_p_0.97": topP } = JSON.parse(
  await Deno.readTextFile(new URL("../../fixtures/golden/infinity/expected.json", import.meta.url)),
);

async function draw(
  device: Device,
  data: readonly number[],
  options: Partial<Omit<DrawArguments, "logits" | "tokens" | "lanes">> & { bits: number },
): Promise<Uint32Array> {
  const { bits, draws = 1, ...rest } = options;
  using logits = device.upload(new Float32Array(data));
  using lanes = device.upload(new Uint32Array([0]));
  using tokens = device.allocate(draws * Math.ceil(bits / 32));
  new BitTokens(bits).draw(device, {
    ...{ logits, lanes, tokens, draws, images: 1, positions: 1, seed: [3, 0], scale: 1 },
    ...rest,
  });
  return await readWords(tokens);
}

testOnDevices("BitTokens: top-p leaves of two values what the published code leaves", async (device) => {
  const { logits, probs_after: wanted } = topP as { logits: number[][]; probs_after: [number, number][] };
  const draws = 20_000;
  for (const compounding of [false, true]) {
    const tokens = await draw(device, logits.flat(), { bits: logits.length, draws, topP: 0.97, compounding });
    for (const [bit, [, one]] of wanted.entries()) {
      const count = tokens.reduce((sum, token) => sum + (token >>> bit & 1), 0);
      // Five standard deviations; nothing where a value is certain.
      const room = 5 * Math.sqrt(draws * one * (1 - one));
      assert(Math.abs(count - draws * one) <= room, `bit ${bit}: ${count} of ${draws}, not ${one}`);
    }
  }
});

Deno.test("BitTokens: what truncation leaves stays as it is when it is truncated again", () => {
  // The published rule on probabilities in float64: ascending, entries whose running sum is at most 1 - p go,
  // but not the largest, and what is left is normalised.
  const truncate = ([a, b]: readonly [number, number], p: number): readonly [number, number] => {
    if (Math.min(a, b) > 1 - p) return [a, b];
    return a > b ? [1, 0] : [0, 1];
  };
  for (let i = 1; i < 200; i++) {
    const once = truncate([i / 200, 1 - i / 200], 0.97);
    assertEquals(truncate(once, 0.97), once);
  }
});

testOnDevices("BitTokens: greedy, top-k and min-p", async (device) => {
  const data = [0, 2, 1, 0, 0, 0.5];
  const seen = async (options: Partial<DrawArguments>): Promise<number[]> => {
    return [...new Set(await draw(device, data, { bits: 3, draws: 4000, ...options }))].sort();
  };
  assertEquals(await seen({ temperature: 0 }), [0b101]);
  assertEquals(await seen({ topK: 1 }), [0b101]);
  assertEquals((await seen({ topK: 2 })).length, 8);
  // Shares of the likelier value's probability are 0.135, 0.368 and 0.607.
  assertEquals((await seen({ minP: 0.2 })).length, 4);
  assertEquals((await seen({ minP: 0.5 })).length, 2);
  assertEquals(await seen({ minP: 0.7 }), [0b101]);
});

async function densities(
  device: Device,
  space: BitTokens,
  data: Uint32Array,
  options: Partial<TokenDensityArguments> & { images?: number; draws: number; positions: number },
): Promise<Float32Array> {
  const { images = 1, draws } = options;
  using tokens = device.upload(data);
  using scores = device.allocate(images * draws);
  space.density(device, {
    ...{ tokens, scores, images, distance: "euclidean", features: "position" },
    ...{ bandwidth: "image", deviation: "population", ...options },
  });
  return await readFloats(scores);
}

testOnDevices("BitTokens: densities and their order are those of the published code", async (device) => {
  const { N: draws, HW: positions, C: bits, score, order_first20: order } = scaling;
  const shape = { draws, positions };
  for (const how of [{}, { bandwidth: "batch" }, { distance: "cosine" }] as const) {
    const found = await densities(device, new BitTokens(bits), bitTokens(), { ...shape, ...how });
    // Recorded with six decimals, of float32 sums.
    for (const [i, wanted] of score.first.entries()) assertAlmostEquals(found[i]!, wanted, 1e-5 * wanted);
    for (const [i, wanted] of score.last.entries()) {
      assertAlmostEquals(found[197 + i]!, wanted, 1e-5 * wanted);
    }
    const sum = found.reduce((a, b) => a + b);
    assertAlmostEquals(sum, score.sum, 1e-6 * score.sum);
    const sorted = [...found.keys()].sort((a, b) => found[b]! - found[a]! || a - b);
    assertEquals(sorted.slice(0, 20), order);
    for (const [i, wanted] of scaling.score_of_order_first20.entries()) {
      assertAlmostEquals(found[sorted[i]!]!, wanted, 1e-5 * wanted);
    }
  }
});

testOnDevices("BitTokens: of a batch, bandwidths are its own or the average", async (device) => {
  const random = testRandom(7);
  const [images, draws, positions, bits] = [3, 30, 2, 12];
  const data = Uint32Array.from({ length: images * draws * positions }, (_, i) => {
    // The images are more and more spread.
    const part = Math.floor(i / (draws * positions)) * 0.2 + 0.05;
    return Array.from({ length: bits }, (_, b) => random() < part ? 2 ** b : 0).reduce((a, b) => a + b);
  });
  const bit = (image: number, draw: number, position: number, c: number): number => {
    return data[(image * draws + draw) * positions + position]! >>> c & 1;
  };
  const all = (length: number): number[] => Array.from({ length }, (_, i) => i);
  const own = all(images).map((image) =>
    all(positions).map((position) => {
      const deviations = all(bits).map((c) => {
        const p = all(draws).reduce((sum, draw) => sum + bit(image, draw, position, c), 0) / draws;
        return Math.sqrt(p * (1 - p));
      });
      return deviations.reduce((a, b) => a + b) / bits * (draws * (bits + 2) / 4) ** (-1 / (bits + 4));
    })
  );
  for (const bandwidth of ["image", "batch"] as const) {
    const found = await densities(device, new BitTokens(bits), data, { images, draws, positions, bandwidth });
    for (const [i, score] of found.entries()) {
      const [image, draw] = [Math.floor(i / draws), i % draws];
      let wanted = 0;
      for (const position of all(positions)) {
        const mean = own.reduce((sum, widths) => sum + widths[position]!, 0) / images;
        const h = (bandwidth === "batch" ? mean : own[image]![position]!) + 1e-6;
        for (const other of all(draws)) {
          const distance = all(bits).filter((c) => {
            return bit(image, draw, position, c) !== bit(image, other, position, c);
          }).length;
          wanted += Math.exp(-distance / (2 * h * h));
        }
      }
      // The kernel's bound: 20 · 2^-24 t + 5e-7 of each value e^-t, of which those with t > 20 do not show.
      assertAlmostEquals(score, wanted, 3e-5 * wanted, `${bandwidth}, ${image}, ${draw}`);
    }
  }
});

testOnDevices("BitTokens: conflicts go by the distance of the vectors", async (device) => {
  // Maps of two tokens of 40 bits; the second differs from the first in 1 bit, the third in 5.
  const candidates = [[0, 0, 0, 0], [1, 0, 0, 0], [1, 3, 0x80000000, 0x80]].flat();
  for (const [patchify, magnitude] of [[false, 1 / Math.sqrt(40)], [true, 1 / Math.sqrt(10)]] as const) {
    const space = new BitTokens(40, { patchify });
    const apart = (different: number): number => 2 * magnitude * Math.sqrt(different);
    const cases = [[0, 3], [apart(1) * 0.999, 3], [apart(1) * 1.001, 2], [apart(5) * 1.001, 1]] as const;
    for (const [conflictThreshold, left] of cases) {
      using scores = device.upload(new Float32Array([3, 2, 1]));
      using maps = device.upload(new Uint32Array(candidates));
      using lanes = device.upload(new Uint32Array([0]));
      using order = device.allocate(3);
      using tokens = device.allocate(4);
      using decision = device.allocate(decisionLength(3));
      space.select(device, {
        ...{ scores, candidates: maps, lanes, order, tokens, decision, images: 1, draws: 3, positions: 2 },
        ...{ representatives: 3, alpha: 1, conflictThreshold, strategy: "top-k", seed: [1, 0], scale: 3 },
      });
      const { kept, chosen } = readDecision(await readWords(decision));
      assertEquals(kept.length, left, `${patchify}, ${conflictThreshold}`);
      assertEquals([...await readWords(tokens)], candidates.slice(4 * chosen, 4 * chosen + 4));
    }
  }
});

testOnDevices("BitTokens: vectors are plus and minus one magnitude, in rows and planes", async (device) => {
  for (
    const [patchify, size] of [[false, Math.fround(1 / Math.sqrt(8))], [
      true,
      Math.fround(1 / Math.sqrt(2)),
    ]] as const
  ) {
    const space = new BitTokens(8, { patchify });
    using tokens = device.upload(new Uint32Array([0b1, 0b10000010, 0b11111111]));
    using output = device.allocate(24);
    const bits = [[1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 1], Array(8).fill(1)] as number[][];
    for (const layout of ["rows", "planes"] as const) {
      space.vectors(device, { tokens, output, maps: 1, positions: 3, layout });
      const wanted = layout === "rows" ? bits.flat() : bits[0]!.flatMap((_, c) => bits.map((row) => row[c]!));
      assertEquals([...await readFloats(output)], wanted.map((bit) => bit === 1 ? size : -size));
    }
  }
});

testOnDevices("BitTokens: logits that leave nothing to draw are found", async (device) => {
  const space = new BitTokens(2);
  using logits = device.upload(new Float32Array([0, 1, 2, NaN, 0, 0, NaN, NaN, 1, 1, 1, 1, 0, 0, 1, 1]));
  using missing = device.allocate(2);
  space.findMissing(device, { logits, missing, images: 2, positions: 2 });
  const [first, second] = await readWords(missing);
  assertEquals([first, second], [1, NONE_MISSING]);
  const map = new Uint32Array(2);
  assertEquals([space.firstMissing(map, first), space.firstMissing(map, second), space.firstMissing(map)], [
    1,
    -1,
    -1,
  ]);
});

testOnDevices("BitTokens: the evidence of a token is that of its bits", async (device) => {
  // Of two bits the first is 1 with 3/4 and 1/2, the second with 1/5 and 1/9.
  using logits = device.upload(new Float32Array([0, Math.log(3), Math.log(4), 0, 0, 0, Math.log(8), 0]));
  using tokens = device.upload(new Uint32Array([0b01]));
  using evidence = device.allocate(2);
  new BitTokens(2).evidence(device, { logits, tokens, evidence, images: 1, positions: 1, guided: true });
  const [conditional, unconditional] = await readFloats(evidence);
  assertAlmostEquals(conditional!, Math.log(3 / 4 * 4 / 5), 5e-6);
  assertAlmostEquals(unconditional!, Math.log(1 / 2 * 8 / 9), 5e-6);
});

testOnDevices("BitTokens: the expected density of bits is a product over them", async (device) => {
  using logits = device.upload(new Float32Array([0, Math.log(3), Math.log(9), 0]));
  using tokens = device.upload(new Uint32Array([0b01, 0b00, 0b11, 0b10]));
  using scores = device.allocate(4);
  new BitTokens(2).expectedDensity(device, {
    ...{ logits, tokens, scores, images: 1, positions: 1, draws: 4, nominal: 3000, topP: 0.97 },
  });
  // Bandwidth (sqrt(0.75 · 0.25) + sqrt(0.9 · 0.1)) / 2 · (3000 · 4 / 4)^(-1/6) in the exponent of one bit.
  const h = (Math.sqrt(0.1875) + 0.3) / 2 * 3000 ** (-1 / 6) + 1e-6;
  const q = Math.exp(-1 / (2 * h * h));
  const factor = (p: number): number => p + (1 - p) * q;
  const wanted = [[0.75, 0.9], [0.25, 0.9], [0.75, 0.1], [0.25, 0.1]].map(([a, b]) => {
    return 1 + 2999 * factor(a!) * factor(b!);
  });
  for (const [i, score] of (await readFloats(scores)).entries()) {
    assertAlmostEquals(score, wanted[i]!, 1e-5 * wanted[i]!);
  }
});

testOnDevices("BitTokens: what they cannot be, and what densities they have not, is refused", (device) => {
  assertThrows(
    () => new BitTokens(0),
    RangeError,
    "Cannot make tokens of bits as bits must be an integer from 1 to 32768: current value is 0",
  );
  assertThrows(
    () => new BitTokens(14, { patchify: true }),
    RangeError,
    "Cannot make tokens of bits as bits must be a multiple of 4 for patches of 2×2 positions: current value is 14",
  );
  using tokens = device.allocate(4);
  using scores = device.allocate(4);
  const good = { tokens, scores, images: 1, draws: 4, positions: 1, deviation: "population" } as const;
  const args = { ...good, distance: "euclidean", features: "position", bandwidth: "image" } as const;
  assertThrows(
    () => new BitTokens(8).density(device, { ...args, features: "joint" }),
    RangeError,
    'Cannot estimate densities as features must be "position" for tokens of bits: current value is "joint"',
  );
  assertThrows(
    () => new BitTokens(513).density(device, args),
    RangeError,
    "bits must be an integer from 1 to 512: current value is 513",
  );
});
