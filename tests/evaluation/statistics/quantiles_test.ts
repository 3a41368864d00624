import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { normalReach, quantile, studentReach } from "../../../evaluation/statistics/quantiles.ts";
import recorded from "../../fixtures/evaluation/statistics/statistics.json" with { type: "json" };

Deno.test("normalReach: equals SciPy's quantiles", () => {
  for (const [share, wanted] of recorded.normal) {
    // Near 1 a rounding of the share is one of the density there: 1e-16 / 1e-6 for the last one.
    assertAlmostEquals(normalReach(share!), wanted!, 1e-10 * wanted!);
  }
});

Deno.test("studentReach: equals SciPy's quantiles for odd, even, few and many degrees of freedom", () => {
  for (const [share, freedom, wanted] of recorded.student) {
    assertAlmostEquals(studentReach(share!, freedom!), wanted!, 1e-9 * wanted!);
  }
});

Deno.test("quantile: lies on the line between two values, as NumPy's does", () => {
  const sorted = Float64Array.of(1, 3, 7);
  assertEquals([0, 0.25, 0.5, 0.9, 1].map((share) => quantile(sorted, share)), [1, 2, 3, 6.2, 7]);
  assertEquals(quantile(Float64Array.of(5), 0.3), 5);
});

Deno.test("studentReach: says what it cannot do", () => {
  assertThrows(() => studentReach(1, 3), RangeError, "confidence must be between 0 and 1");
  assertThrows(() => studentReach(0.9, 0), RangeError, "freedom must be");
  assertThrows(() => normalReach(NaN), RangeError, "confidence must be between 0 and 1");
});
