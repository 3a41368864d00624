import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { pairedTest } from "../../../evaluation/statistics/permutation.ts";
import recorded from "../../fixtures/evaluation/statistics/statistics.json" with { type: "json" };

for (const name of ["paired", "tied"] as const) {
  const { first, second, difference, p } = recorded[name];
  Deno.test(`pairedTest: equals SciPy's over all assignments: ${name}`, () => {
    const found = pairedTest(first, second);
    assertAlmostEquals(found.difference, difference, 1e-15);
    assertAlmostEquals(found.p, p, 1e-15);
  });
}

Deno.test("pairedTest: random assignments come near SciPy's million", () => {
  const { first, second, difference, p } = recorded.long;
  const found = pairedTest(first, second, { resamples: 40_000 });
  assertAlmostEquals(found.difference, difference, 1e-15);
  // Five deviations of a share of 40 000.
  assert(Math.abs(found.p - p) < 5 * Math.sqrt(p * (1 - p) / 40_000));
  assertEquals(pairedTest(first, second, { resamples: 40_000 }), found);
  assert(pairedTest(first, second, { resamples: 40_000, seed: 1 }).p !== found.p);
});

Deno.test("pairedTest: where most pairs are equal the others are still tried in all ways", () => {
  const first = [...Array(200).fill(1), 2, 3, 4];
  const second = [...Array(200).fill(1), 1, 1, 1];
  assertEquals(pairedTest(first, second).p, 2 / 8);
});

Deno.test("pairedTest: equal methods have p = 1, clear differences of many pairs the least there is", () => {
  assertEquals(pairedTest([1, 2, 3], [1, 2, 3]), { difference: 0, p: 1 });
  const many = Array.from({ length: 50 }, (_, i) => i);
  assertEquals(pairedTest(many.map((i) => i + 1), many, { resamples: 999 }).p, 1 / 1000);
  assertEquals(pairedTest([5], [3]), { difference: 2, p: 1 });
});

Deno.test("pairedTest: says what it cannot do", () => {
  assertThrows(() => pairedTest([1, 2], [1]), RangeError, "the number in second must be 2, as in first");
  assertThrows(() => pairedTest([], []), RangeError, "the number of pairs must be");
  assertThrows(() => pairedTest([NaN], [1]), TypeError, "each value must be a finite number");
  assertThrows(() => pairedTest([1e308, 1], [-1e308, 1]), RangeError, "the sum of all differences");
  assertThrows(() => pairedTest([1], [2], { resamples: 0 }), RangeError, "resamples must be");
  assertThrows(() => pairedTest([1], [2], { resample: 1 } as never), TypeError, "unknown");
  assertThrows(() => pairedTest([1], [2], { seed: -1 }), RangeError, "seed");
});
