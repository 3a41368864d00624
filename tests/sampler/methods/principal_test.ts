import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import {
  type FeatureRows,
  reduceFeatures,
  type Reduction,
  REDUCTIONS,
} from "../../../sampler/methods/principal.ts";
import { testRandom } from "../../devices.ts";
import golden from "../../fixtures/golden/tts-var/expected.json" with { type: "json" };

/** One picture of rows that a function gives. */
function picture(
  tokens: number,
  channels: number,
  value: (row: number, channel: number) => number,
): FeatureRows {
  const data = Float64Array.from({ length: tokens * channels }, (_, i) => {
    return value(Math.floor(i / channels), i % channels);
  });
  return { data, pictures: 1, tokens, channels };
}

function assertClose(found: Float64Array, wanted: ArrayLike<number>, tolerance: number, message = ""): void {
  assertEquals(found.length, wanted.length);
  for (const [i, value] of found.entries()) assertAlmostEquals(value, wanted[i]!, tolerance, message);
}

/** Vectors of length 1, orthogonal to each other and to a constant one: cosines, number 1 the slowest. */
function cosine(length: number, number: number): (i: number) => number {
  return (i) => Math.sqrt(2 / length) * Math.cos(Math.PI * number * (i + 0.5) / length);
}

/** A picture whose singular values are known. */
function known(tokens: number, channels: number, values: readonly number[]): FeatureRows {
  return picture(tokens, channels, (row, channel) => {
    return values.reduce((sum, value, i) => {
      return sum + value * cosine(tokens, i + 1)(row) * cosine(channels, 2 * i + 1)(channel);
    }, 0.3 * channel);
  });
}

Deno.test("reduceFeatures: scores are the golden ones, recorded in float32", () => {
  const rows = picture(12, 6, (row, channel) => {
    return Math.fround(Math.sin(0.9 * row + 1.1 * channel) + 0.2 * Math.cos(2.3 * row * channel));
  });
  const [scores] = reduceFeatures(rows, "pca");
  // The largest, of row 4, is negative in the record.
  assertClose(scores!, golden.pca.score_up_to_global_sign.map((score) => -score), 4e-6);
  assertAlmostEquals(Math.hypot(...scores!), golden.pca.singular_values[0]!, 1e-6);
});

Deno.test("reduceFeatures: scores of random matrices are those of numpy's decomposition", async () => {
  const fixture = new URL("../../fixtures/principal/numpy.txt", import.meta.url);
  const lines = (await Deno.readTextFile(fixture)).trim().split("\n").slice(1);
  assertEquals(lines.length, 9);
  for (const [number, line] of lines.entries()) {
    const [[tokens, channels], values, scores] = line.split("; ").map((field) => {
      return field.split(" ").map(Number);
    }) as [[number, number], number[], number[]];
    let x = number;
    const next = (): number => (x = (Math.imul(1664525, x) + 1013904223) >>> 0) / 2 ** 32;
    for (let i = 0; i < 16; i++) next();
    const rows = picture(tokens, channels, () => next() + next() + next() + next() - 2);
    const [found] = reduceFeatures(rows, "pca");
    assertClose(found!, scores, 1e-8 * values[0]!, line.slice(0, 30));
    assertAlmostEquals(Math.hypot(...found!), values[0]!, 1e-12 * values[0]!);
  }
});

Deno.test("reduceFeatures: singular values that are close are told apart", () => {
  for (const [tokens, channels] of [[40, 64], [64, 40], [33, 33], [256, 300]] as const) {
    for (const gap of [0.5, 1e-2, 1e-4, 1e-6, 1e-8]) {
      const rows = known(tokens, channels, [2, 2 * (1 - gap), 1.9, 1, 0.5]);
      const [scores] = reduceFeatures(rows, "pca");
      // The first and the last entry are as large as each other, with opposite signs.
      const size = 2 * Math.sign(scores![0]!);
      const wanted = Float64Array.from({ length: tokens }, (_, i) => size * cosine(tokens, 1)(i));
      // The bound that is stated, of a length of 2.
      assertClose(scores!, wanted, 2 * (1e-8 + 1e-12 / gap), `${tokens}×${channels}, ${gap}`);
    }
    // With no gap any axis of the plane will do.
    const [scores] = reduceFeatures(known(tokens, channels, [2, 2, 1]), "pca");
    assertAlmostEquals(Math.hypot(...scores!), 2, 1e-9);
  }
});

Deno.test("reduceFeatures: one axis of all pictures is that of their rows in one", () => {
  const random = testRandom(21);
  const [pictures, tokens, channels] = [5, 16, 12];
  const data = Float32Array.from({ length: pictures * tokens * channels }, () => random() * 4 - 1);
  const found = reduceFeatures({ data, pictures, tokens, channels }, "pca-all");
  const [wanted] = reduceFeatures({ data, pictures: 1, tokens: pictures * tokens, channels }, "pca");
  assertEquals(found.flatMap((scores) => [...scores]), [...wanted!]);
  for (const [i, scores] of reduceFeatures({ data, pictures, tokens, channels }, "pca").entries()) {
    const part = data.subarray(i * tokens * channels, (i + 1) * tokens * channels);
    assertEquals([scores], reduceFeatures({ data: part, pictures: 1, tokens, channels }, "pca"));
  }
});

Deno.test("reduceFeatures: the sign is that of the largest entry, of equal ones the first", () => {
  const random = testRandom(4);
  let flipped = 0;
  for (let round = 0; round < 60; round++) {
    const rows = picture(10, 6, () => random() - 0.5);
    const [scores] = reduceFeatures(rows, "pca");
    const largest = Math.max(...scores!.map(Math.abs));
    assertEquals(scores!.find((score) => Math.abs(score) === largest), largest);
    const [opposite] = reduceFeatures({ ...rows, data: rows.data.map((value) => -value) }, "pca");
    assertClose(opposite!, scores!, 1e-9);
    const [raw] = reduceFeatures(rows, "pca-raw");
    const sign = raw![0]! * scores![0]! < 0 ? -1 : 1;
    if (sign < 0) flipped++;
    assertEquals([...raw!], [...scores!.map((score) => sign * score)]);
  }
  // Binomial of 60 with a half: beyond five standard deviations once in a million.
  assert(Math.abs(flipped - 30) < 5 * Math.sqrt(15), `${flipped}`);
  // Two rows are as far from their middle as each other, but for rounding.
  for (let round = 0; round < 60; round++) {
    const [scores] = reduceFeatures(picture(2, 5, () => random()), "pca");
    assert(scores![0]! > 0);
    assertAlmostEquals(scores![0]!, -scores![1]!, 1e-12);
  }
});

Deno.test("reduceFeatures: rows without a direction give zeros", () => {
  for (const [tokens, channels] of [[1, 8], [1, 1], [7, 1], [6, 9], [300, 4]] as const) {
    const rows = picture(tokens, channels, (_, channel) => tokens === 1 ? channel : 0.1 * (channel + 1));
    for (const reduction of ["pca", "pca-raw", "pca-all"] as const) {
      assertEquals([...reduceFeatures(rows, reduction)[0]!], Array(tokens).fill(0));
    }
  }
});

Deno.test("reduceFeatures: one direction, many equal ones, tiny and huge numbers", () => {
  for (const scale of [2 ** -120, 1e-20, 1, 1e20, 2 ** 120]) {
    const line = picture(50, 20, (row, channel) => scale * (row - 10) * (channel % 3 - 1));
    const along = Math.sqrt(13) * scale;
    const wanted = Array.from({ length: 50 }, (_, row) => (row - 24.5) * along);
    const sign = Math.sign(reduceFeatures(line, "pca")[0]![0]!);
    assertEquals(sign, 1);
    assertClose(reduceFeatures(line, "pca")[0]!, wanted.map((value) => -value), 1e-9 * along);
  }
  // The identity: all directions are alike, and scores still lie along one of them.
  const [scores] = reduceFeatures(picture(8, 8, (row, channel) => row === channel ? 1 : 0), "pca");
  assertAlmostEquals(Math.hypot(...scores!), 1, 1e-9);
});

Deno.test("reduceFeatures: pooled rows are their mean, and a single one is itself", () => {
  const data = new Float32Array([1, 2, 3, 4, 5, 6, 7, 8]);
  const pool = (tokens: number, channels: number): number[][] => {
    const pictures = 8 / (tokens * channels);
    return reduceFeatures({ data, pictures, tokens, channels }, "pool").map((vector) => [...vector]);
  };
  assertEquals(pool(2, 2), [[2, 3], [6, 7]]);
  assertEquals(pool(1, 4), [[1, 2, 3, 4], [5, 6, 7, 8]]);
});

Deno.test("reduceFeatures: what cannot be reduced is refused", () => {
  const good = { data: new Float32Array(24), pictures: 2, tokens: 3, channels: 4 };
  const bad: [Partial<FeatureRows>, string][] = [
    [{ pictures: 0 }, "pictures must be an integer >= 1: current value is 0"],
    [{ tokens: 1.5 }, "tokens must be an integer >= 1: current value is 1.5"],
    [{ channels: 5 }, "the length of the data must be an integer from 30 to 30: current value is 24"],
    [
      { data: good.data.with(13, NaN) },
      "each number of picture 1 must be finite in float32: current value is NaN",
    ],
    [
      { data: good.data.with(2, -Infinity) },
      "each number of picture 0 must be finite in float32: current value is -Infinity",
    ],
  ];
  for (const [change, message] of bad) {
    for (const reduction of REDUCTIONS) {
      const error = assertThrows(() => reduceFeatures({ ...good, ...change }, reduction), RangeError);
      assertEquals(error.message, `Cannot reduce features as ${message}`);
    }
  }
  assertThrows(
    () => reduceFeatures(good, "svd" as Reduction),
    TypeError,
    'reduction must be one of "pca", "pca-raw", "pca-all", "pool": current value is "svd"',
  );
});
