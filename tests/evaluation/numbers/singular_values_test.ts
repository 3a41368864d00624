import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { singularValues } from "../../../evaluation/numbers/singular_values.ts";
import recorded from "../../fixtures/evaluation/metrics/metrics.json" with { type: "json" };
import { madeRows } from "../made_rows.ts";

/** Reflections and QL lose some roundings of the largest value for each row. */
function requireNear(found: Float64Array, wanted: readonly number[]): void {
  assertEquals(found.length, wanted.length);
  for (const [i, value] of found.entries()) {
    assertAlmostEquals(value, wanted[i]!, 8 * Number.EPSILON * wanted.length * wanted[0]!);
  }
}

Deno.test("singularValues: equals LAPACK's, of the matrix and of its transpose", () => {
  const wide = Float64Array.from(madeRows([52, 12, 30]).values);
  const tall = Float64Array.from({ length: 360 }, (_, at) => wide[at % 12 * 30 + Math.floor(at / 12)]!);
  requireNear(singularValues(wide, 12, 30), recorded.singular);
  requireNear(singularValues(tall, 30, 12), recorded.singular);
});

Deno.test("singularValues: small ones beside a large one keep the digits that its size leaves them", () => {
  const n = 12;
  const wanted = Array.from({ length: n }, (_, i) => 10 ** -i);
  // Between two reflections, so that nothing is diagonal.
  const unit = (seed: number) => {
    const v = Array.from({ length: n }, (_, i) => Math.sin(seed * i + 1));
    const square = v.reduce((sum, value) => sum + value * value, 0);
    return (i: number, j: number) => (i === j ? 1 : 0) - 2 * v[i]! * v[j]! / square;
  };
  const [left, right] = [unit(2), unit(5)];
  const matrix = Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    return wanted.reduce((sum, value, k) => sum + left(i, k) * value * right(j, k), 0);
  });
  // The root of an eigenvalue of the product would know nothing of what is below 1e-8.
  requireNear(singularValues(matrix, n, n), wanted);
});

Deno.test("singularValues: rows, columns, zeros and extremes", () => {
  requireNear(singularValues(Float64Array.of(3, 4), 1, 2), [5]);
  requireNear(singularValues(Float64Array.of(3, 4), 2, 1), [5]);
  requireNear(singularValues(Float64Array.of(-7), 1, 1), [7]);
  requireNear(singularValues(new Float64Array(6), 2, 3), [0, 0]);
  requireNear(singularValues(new Float64Array(12).fill(1), 3, 4), [Math.sqrt(12), 0, 0]);
  for (const scale of [1e-160, 1e150]) {
    requireNear(singularValues(Float64Array.of(3 * scale, 0, 0, 0, 0, -4 * scale), 2, 3), [
      4 * scale,
      3 * scale,
    ]);
  }
});

Deno.test("singularValues: says what it cannot do", () => {
  assertThrows(() => singularValues(Float64Array.of(1, 2, 3), 2, 2), RangeError, "2 × 2");
  assertThrows(() => singularValues(Float64Array.of(1, Infinity), 1, 2), RangeError, "row 0, column 1");
});
