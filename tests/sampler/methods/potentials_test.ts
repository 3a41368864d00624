import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { PURPOSE, seedWords, streamKey, threefry } from "../../../kernels/exact/threefry.ts";
import {
  bestOf,
  drawMultinomial,
  drawSystematic,
  type Potential,
  potentialOf,
  requirePotential,
  resamplingUniforms,
  weightsOf,
  type WeightsOptions,
} from "../../../sampler/methods/potentials.ts";
import { testRandom } from "../../devices.ts";
import golden from "../../fixtures/golden/tts-var/expected.json" with { type: "json" };

const POTENTIALS = ["value", "diff", "max", "sum", "topk_2"] as const;

/** How often each lane was drawn. */
function countsOf(lanes: readonly number[], among: number): number[] {
  return Array.from({ length: among }, (_, lane) => lanes.filter((drawn) => drawn === lane).length);
}

Deno.test("weightsOf: weights of every potential are the golden ones", () => {
  const { lambda, score, history_rows_oldest_first: histories, ...weights } = golden.potentials;
  for (const potential of POTENTIALS) {
    const potentials = histories.map((earlier, i) => potentialOf([...earlier, score[i]!], potential));
    const found = weightsOf(potentials, { lambda });
    for (const [i, wanted] of weights[potential].entries()) {
      assertAlmostEquals(found[i]!, wanted, 1e-12 * wanted);
    }
    // None of these is beyond float32.
    const published = weightsOf(potentials, { lambda, repair: "published" });
    for (const [i, wanted] of weights[potential].entries()) {
      // Of exponents up to 25, each rounded thrice by 2^-24.
      assertAlmostEquals(published[i]!, wanted, 1e-5 * wanted);
    }
  }
});

Deno.test("potentialOf: a lane that was never scored before has its score as each potential", () => {
  for (const potential of POTENTIALS) {
    for (const score of [0.3, -2, 0, Infinity, -Infinity]) {
      assertEquals(potentialOf([score], potential), score);
    }
    assertEquals(potentialOf([NaN], potential), -Infinity);
    assertEquals(potentialOf([4, NaN], potential), -Infinity);
    // As if the first verdict had not been asked for.
    assertEquals(potentialOf([NaN, 2, NaN, 3], potential), potentialOf([2, 3], potential));
  }
  assertEquals(potentialOf([Infinity, Infinity], "diff"), -Infinity);
  assertEquals(potentialOf([-Infinity, 1], "diff"), Infinity);
  assertEquals(potentialOf([-Infinity, Infinity], "sum"), -Infinity);
  assertEquals(potentialOf([5, 1, 3], "topk_7"), 9);
  assertEquals(potentialOf([5, 1, 3], "topk_1"), 5);
});

Deno.test("weightsOf: a constant changes nothing, and no size is too large", () => {
  const potentials = [0.25, -1.5, 2, 1.75];
  const wanted = weightsOf(potentials);
  for (const constant of [1, -7, 1024, 2 ** 40]) {
    assertEquals(weightsOf(potentials.map((value) => value + constant)), wanted);
  }
  assertEquals([...weightsOf(potentials, { lambda: 0 })], [0.25, 0.25, 0.25, 0.25]);
  assertEquals([...weightsOf(potentials, { lambda: 1e308 })], [0, 0, 1, 0]);
  assertEquals([...weightsOf([1e308, -1e308, 1e308], { lambda: 1e308 })], [0.5, 0, 0.5]);
  assertEquals([...weightsOf([1e-300, 0], { lambda: 1e-300 })], [0.5, 0.5]);
  assertEquals([...weightsOf([-1e4])], [1]);
});

Deno.test("weightsOf: what is no number has the weight of its limit", () => {
  const cases: [number[], number[]][] = [
    [[1, NaN, 1], [0.5, 0, 0.5]],
    [[NaN, NaN], [0.5, 0.5]],
    [[-Infinity, NaN, -Infinity, NaN], [0.25, 0.25, 0.25, 0.25]],
    [[-Infinity, 3], [0, 1]],
    [[Infinity, 3, NaN, -Infinity], [1, 0, 0, 0]],
    [[Infinity, 3, Infinity, 0], [0.5, 0, 0.5, 0]],
  ];
  for (const [potentials, wanted] of cases) {
    for (const lambda of [0, 1, 10, 1e308]) assertEquals([...weightsOf(potentials, { lambda })], wanted);
  }
});

Deno.test("weightsOf: published repairs come one after the other", () => {
  const cases: [potentials: number[], wanted: number[]][] = [
    // exp(-200) is 0 in float32, so all sum to 0 and, as none is above it, all become 1.
    [[-20, -30], [0.5, 0.5]],
    // exp(-103) is not.
    [[-10.3, -30], [1, 0]],
    // Beside NaN all others are alike, however bad, and even infinities.
    [[NaN, 3, -30, 0], [0, 1 / 3, 1 / 3, 1 / 3]],
    [[NaN, 9, 0], [0, 0.5, 0.5]],
    [[NaN, NaN], [0.5, 0.5]],
    // exp(88.8) is infinite in float32.
    [[8.88, 8.8, 9], [0.5, 0, 0.5]],
    [[8.8, -Infinity], [1, 0]],
  ];
  for (const [potentials, wanted] of cases) {
    assertEquals([...weightsOf(potentials, { repair: "published" })], wanted, `${potentials}`);
  }
  // Of 0 times infinity nothing is known.
  const none = weightsOf([Infinity, 1, -Infinity], { repair: "published", lambda: 0 });
  assertEquals([...none], [0, 1, 0]);
});

Deno.test("drawMultinomial: lanes come as often as they weigh", () => {
  const weights = [0.05, 0, 0.4, 0.15, 0.3, 0, 0.1];
  const draws = 20_000;
  // Of 5 lanes that may be drawn, so 4 degrees of freedom: beyond 18.47 once in a thousand.
  for (let image = 0; image < 5; image++) {
    const uniforms = resamplingUniforms({ seed: seedWords(2), image, scale: 4 }, draws);
    const counts = countsOf(drawMultinomial(weights, uniforms), weights.length);
    const chiSquare = counts.reduce((sum, count, lane) => {
      const wanted = draws * weights[lane]!;
      assert(wanted > 0 || count === 0);
      return wanted === 0 ? sum : sum + (count - wanted) ** 2 / wanted;
    }, 0);
    assert(chiSquare < 18.47, `${chiSquare}`);
  }
});

Deno.test("drawMultinomial: a share at an end belongs to the next lane of any weight", () => {
  const weights = [0, 1, 0, 2, 1, 0];
  const below = 1 - 2 ** -53;
  assertEquals(drawMultinomial(weights, [0, 0.25, 0.25 - 2 ** -54, 0.75, below]), [1, 3, 1, 4, 4]);
  assertEquals(drawMultinomial([0.1, 0.2, 0.3, 1e-20, 0], [below]), [2]);
  assertEquals(drawMultinomial([5e-324, 0], [0, 0.5, below]), [0, 0, 0]);
});

Deno.test("drawSystematic: a lane comes as often as its share says, rounded down or up", () => {
  const random = testRandom(9);
  for (let round = 0; round < 400; round++) {
    const lanes = 1 + Math.floor(random() * 12);
    const count = 1 + Math.floor(random() * 16);
    const weights = Array.from({ length: lanes }, () => random() < 0.2 ? 0 : random() ** 4);
    weights[Math.floor(random() * lanes)] = 0.5;
    const total = weights.reduce((a, b) => a + b);
    const drawn = drawSystematic(weights, { count, uniform: random() });
    assertEquals(drawn, drawn.toSorted((a, b) => a - b));
    for (const [lane, times] of countsOf(drawn, lanes).entries()) {
      const wanted = count * weights[lane]! / total;
      assert(Math.abs(times - wanted) < 1 + 1e-9 && (wanted > 0 || times === 0), `${times} of ${wanted}`);
    }
  }
});

Deno.test("drawSystematic: on average a lane comes as often as its share says", () => {
  const weights = [0.11, 0.52, 0.03, 0.34];
  const rounds = 4096;
  const totals = weights.map(() => 0);
  for (let round = 0; round < rounds; round++) {
    // Evenly spaced uniforms integrate each count, a step function, to within a step of its two edges.
    const drawn = drawSystematic(weights, { count: 3, uniform: (round + 0.5) / rounds });
    for (const lane of drawn) totals[lane]! += 1 / rounds;
  }
  for (const [lane, total] of totals.entries()) assertAlmostEquals(total, 3 * weights[lane]!, 2 / rounds);
});

Deno.test("bestOf: the best come first, of equal ones the lowest", () => {
  const random = testRandom(31);
  for (let round = 0; round < 100; round++) {
    const values = [NaN, -Infinity, Infinity, 0, 1, 2, 3];
    const potentials = Array.from({ length: 9 }, () => values[Math.floor(random() * values.length)]!);
    const found = bestOf(potentials, 9);
    const known = potentials.map((value) => Number.isNaN(value) ? -Infinity : value);
    assertEquals(found.toSorted((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    for (let i = 1; i < 9; i++) {
      const [before, after] = [found[i - 1]!, found[i]!];
      assert(known[before]! > known[after]! || (known[before] === known[after] && before < after));
    }
    for (let count = 1; count < 9; count++) assertEquals(bestOf(potentials, count), found.slice(0, count));
  }
});

Deno.test("resamplingUniforms: they are of a stream of their own, and even", () => {
  const key = { seed: seedWords(2n ** 40n + 3n), image: 6, scale: 5 };
  const uniforms = resamplingUniforms(key, 1000);
  assertEquals(uniforms.slice(0, 10), resamplingUniforms(key, 10));
  for (const change of [{ seed: seedWords(3) }, { image: 7 }, { scale: 6 }]) {
    assertNotEquals(resamplingUniforms({ ...key, ...change }, 1), uniforms.slice(0, 1));
  }
  for (const purpose of [PURPOSE.token, PURPOSE.permutation, PURPOSE.choice, PURPOSE.noise]) {
    const [word] = threefry(streamKey(key.seed, key.image, key.scale, purpose), [0, 0]);
    assertNotEquals(word >>> 5, Math.floor(uniforms[0]! * 2 ** 27));
  }
  assert(uniforms.every((value) => value >= 0 && value < 1 && Number.isInteger(value * 2 ** 53)));
  // Their distribution is nowhere further from the even one than 1.95 / sqrt(1000), as in 999 of 1000 cases.
  const sorted = uniforms.toSorted((a, b) => a - b);
  const distance = Math.max(...sorted.map((value, i) => Math.abs(value - (i + 0.5) / 1000) + 0.0005));
  assert(distance < 1.95 / Math.sqrt(1000), `${distance}`);
});

Deno.test("weightsOf: what says nothing is refused, and so it is of potentials and draws", () => {
  const bad: [() => unknown, string][] = [
    [() => potentialOf([], "value"), "the number of scores must be an integer >= 1: current value is 0"],
    [() => weightsOf([]), "the number of potentials must be an integer >= 1: current value is 0"],
    [() => weightsOf([1], { lambda: -1 }), "lambda must be a finite number >= 0: current value is -1"],
    [
      () => weightsOf([1], { lambda: Infinity }),
      "lambda must be a finite number >= 0: current value is Infinity",
    ],
    [
      () => drawMultinomial([0, 0], [0.5]),
      "the sum of all weights must be finite and above 0: current value is 0",
    ],
    [() => drawMultinomial([1, -1], [0.5]), "each weight must be a finite number >= 0: current value is -1"],
    [
      () => drawMultinomial([1, NaN], [0.5]),
      "each weight must be a finite number >= 0: current value is NaN",
    ],
    [() => drawMultinomial([1], [1]), "each uniform must be from 0 to below 1: current value is 1"],
    [
      () => drawSystematic([1], { count: 0, uniform: 0 }),
      "count must be an integer >= 1: current value is 0",
    ],
    [
      () => drawSystematic([1], { count: 1, uniform: NaN }),
      "each uniform must be from 0 to below 1: current value is NaN",
    ],
    [() => bestOf([1, 2], 3), "count must be an integer from 1 to 2: current value is 3"],
  ];
  for (const [call, message] of bad) {
    assertEquals(assertThrows(call, RangeError).message, `Cannot resample lanes as ${message}`);
  }
  const wanted =
    'potential must be one of "value", "diff", "max", "sum", "topk_K" with K from 1: current value is';
  for (const potential of ["topk", "topk_0", "topk_1.5", "topk_-1", "mean", ""]) {
    const message = `Cannot resample lanes as ${wanted} ${JSON.stringify(potential)}`;
    assertThrows(() => requirePotential(potential), TypeError, message);
    assertThrows(() => potentialOf([1], potential as Potential), TypeError, message);
  }
  assertThrows(
    () => weightsOf([1], { repair: "max" as NonNullable<WeightsOptions["repair"]> }),
    TypeError,
    'repair must be one of "limits", "published": current value is "max"',
  );
});
