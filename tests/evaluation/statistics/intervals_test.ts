import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  bootstrapDifference,
  bootstrapInterval,
  bootstrapStatistic,
  type Interval,
  wilsonInterval,
} from "../../../evaluation/statistics/intervals.ts";
import statistics from "../../fixtures/evaluation/statistics/statistics.json" with { type: "json" };
import recorded from "../../fixtures/judges/bootstrap.json" with { type: "json" };

const { a, b, c, d } = recorded.values;
const OPTIONS = { confidence: 0.9, resamples: 40_000 };

/**
 * An end found by R draws varies by √(p (1 - p) / R) divided by the density there, which for a normal
 * distribution is 0.103 / error where p = 0.05. Five times that, and one step where scores are whole numbers.
 */
function requireLike(found: Interval, wanted: { low: number; high: number; error: number }, step = 0): void {
  const allowed = 5 * Math.sqrt(0.05 * 0.95 / OPTIONS.resamples) / 0.103 * wanted.error + step;
  for (const end of ["low", "high"] as const) {
    const off = Math.abs(found[end] - wanted[end]);
    assert(off <= allowed, `${end} is ${found[end]} and should be ${wanted[end]} within ${allowed}`);
  }
}

Deno.test("bootstrapInterval: ends where SciPy's percentile intervals end", () => {
  requireLike(bootstrapInterval([a], OPTIONS), recorded.a);
  requireLike(bootstrapInterval([c], OPTIONS), recorded.c, 1 / c.length);
  requireLike(bootstrapInterval([a, b, c], OPTIONS), recorded.abc);
});

Deno.test("bootstrapDifference: ends where SciPy's paired intervals end, and is narrower than unpaired", () => {
  const difference = bootstrapDifference([d], [a], OPTIONS);
  requireLike(difference, recorded["d-a"]);
  const alone = bootstrapInterval([a], OPTIONS);
  assert(difference.high - difference.low < (alone.high - alone.low) / 2);
});

Deno.test("bootstrapInterval: few scores have an exact distribution", () => {
  // Of 27 resamples one has the mean 0 and three 1, one 9 and three 7: 5 % lies at 1 and 95 % at 7.
  assertEquals(bootstrapInterval([[0, 3, 9]], OPTIONS), { mean: 4, low: 1, high: 7 });
  assertEquals(bootstrapInterval([[2], [5]]), { mean: 3.5, low: 3.5, high: 3.5 });
});

Deno.test("bootstrapInterval: groups weigh the same, however large; seeds repeat", () => {
  assertEquals(bootstrapInterval([[1, 1, 1, 1, 1, 1], [0]]).mean, 0.5);
  assertEquals(bootstrapInterval([a], { seed: 3 }), bootstrapInterval([a], { seed: 3 }));
  assert(bootstrapInterval([a], { seed: 3 }).low !== bootstrapInterval([a], { seed: 4 }).low);
});

Deno.test("bootstrapInterval: says what it cannot do", () => {
  assertThrows(() => bootstrapInterval([]), RangeError, "groups of at least one score");
  assertThrows(() => bootstrapInterval([[1], []]), RangeError, "groups of at least one score");
  assertThrows(() => bootstrapInterval([[1, NaN]]), TypeError, "each score must be a finite number");
  assertThrows(() => bootstrapInterval([[1]], { confidence: 1 }), RangeError, "between 0 and 1");
  assertThrows(() => bootstrapInterval([[1]], { resamples: 0 }), RangeError, "resamples must be");
  assertThrows(() => bootstrapInterval([[1]], { seed: -1 }), RangeError, "seed");
  assertThrows(() => bootstrapDifference([[1, 2]], [[1]]), RangeError, "scores for the same prompts, 2");
});

Deno.test("bootstrapStatistic: of a deviation ends where SciPy's does, and of a mean where the mean's does", () => {
  const values = statistics.long.first;
  const mean = (rows: Uint32Array) => rows.reduce((sum, i) => sum + values[i]!, 0) / rows.length;
  const deviation = (rows: Uint32Array) => {
    const middle = mean(rows);
    return Math.sqrt(rows.reduce((sum, i) => sum + (values[i]! - middle) ** 2, 0) / rows.length);
  };
  requireLike(bootstrapStatistic(60, deviation, OPTIONS), statistics.deviation);
  const plain = bootstrapInterval([values], OPTIONS);
  const { low, high } = bootstrapStatistic(60, mean, OPTIONS);
  // The same draws of threefry, and sums in the same order.
  for (const [end, wanted] of [[low, plain.low], [high, plain.high]]) {
    assert(Math.abs(end! - wanted!) < 1e-12);
  }
});

Deno.test("wilsonInterval: equals SciPy's", () => {
  for (const { right, count, confidence, low, high } of statistics.wilson) {
    const found = wilsonInterval(right, count, { confidence });
    assertEquals(found.mean, right / count);
    assert(Math.abs(found.low - low) < 1e-10 && Math.abs(found.high - high) < 1e-10);
  }
});

Deno.test("bootstrapStatistic and wilsonInterval: say what they cannot do", () => {
  assertThrows(() => bootstrapStatistic(0, () => 1), RangeError, "count must be");
  assertThrows(() => bootstrapStatistic(3, () => NaN), TypeError, "what statistic returns must be a finite");
  assertThrows(() => bootstrapStatistic(3, 3 as never), TypeError, "statistic must be a function");
  assertThrows(() => bootstrapStatistic(3, () => 1, { confidence: 2 }), RangeError, "between 0 and 1");
  assertThrows(() => bootstrapStatistic(3, () => 1, { resample: 2 } as never), TypeError, "unknown");
  assertThrows(() => wilsonInterval(3, 2), RangeError, "right must be");
  assertThrows(() => wilsonInterval(0, 0), RangeError, "count must be");
  assertThrows(() => wilsonInterval(1, 2, { confidence: 0 }), RangeError, "between 0 and 1");
});
