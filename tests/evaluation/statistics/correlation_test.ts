import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { kendall, pearson, spearman } from "../../../evaluation/statistics/correlation.ts";
import recorded from "../../fixtures/evaluation/statistics/statistics.json" with { type: "json" };

for (const [i, { x, y, ...wanted }] of recorded.correlations.entries()) {
  Deno.test(`pearson, spearman and kendall: equal SciPy's, set ${i}`, () => {
    assertAlmostEquals(pearson(x, y), wanted.pearson, 1e-14);
    assertAlmostEquals(spearman(x, y), wanted.spearman, 1e-14);
    assertAlmostEquals(kendall(x, y), wanted.kendall, 1e-14);
    assertAlmostEquals(kendall(y, x), wanted.kendall, 1e-14);
  });
}

Deno.test("spearman: sees the order and nothing else, at any scale", () => {
  const x = [3, 1, 2, 5];
  assertAlmostEquals(spearman(x, x.map((value) => Math.exp(10 * value) * 1e-300)), 1, 1e-15);
  assertAlmostEquals(spearman(x, x.map((value) => -1e300 * value)), -1, 1e-15);
  assertAlmostEquals(pearson([1e300, -1e300, 0], [1, -1, 0]), 1, 1e-15);
  assertEquals(kendall([1, 2], [2, 1]), -1);
});

Deno.test("pearson: values far from 0 keep their digits", () => {
  const near = Array.from({ length: 50 }, (_, i) => 1e9 + i * 1e-3);
  // In 50 digits by mpmath; the mean is the only number that is rounded.
  assertAlmostEquals(pearson(near, near.map((_, i) => i)), 0.9999999999972092, 1e-12);
  assertAlmostEquals(pearson([1e-320, 2e-320, 3e-320], [1, 3, 2]), 0.5, 1e-3);
});

Deno.test("kendall: is never beyond 1", () => {
  assertEquals(kendall([1, 2, 3], [3, 2, 1]), -1);
  for (let count = 2; count < 40; count++) {
    const values = Array.from({ length: count }, (_, i) => i);
    assertEquals(kendall(values, values), 1);
  }
});

Deno.test("spearman: says what it cannot do", () => {
  for (const correlate of [pearson, spearman, kendall]) {
    assertThrows(() => correlate([1, 1], [1, 2]), RangeError, "x must be of at least two different values");
    assertThrows(() => correlate([1, 2], [3, 3]), RangeError, "y must be of at least two different values");
    assertThrows(() => correlate([1, 2], [3]), RangeError, "the number of values in y must be 2, as in x");
    assertThrows(() => correlate([1], [3]), RangeError, "the number of values must be an integer >= 2");
    assertThrows(() => correlate([1, NaN], [3, 4]), TypeError, "each value of x must be a finite number");
    assertThrows(() => correlate(1 as never, [3, 4]), TypeError, "x must be a list of numbers");
  }
});
