import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  bootstrapDifference,
  bootstrapInterval,
  type Interval,
} from "../../../evaluation/statistics/intervals.ts";
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
