import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import {
  norm,
  requireMatrix,
  symmetricEigenvalues,
  tridiagonalEigenvalues,
} from "../../../evaluation/numbers/eigenvalues.ts";
import recorded from "../../fixtures/evaluation/metrics/metrics.json" with { type: "json" };
import { madeRows } from "../made_rows.ts";

/** Householder and QL lose some roundings of the largest value for each row. */
function requireNear(found: Float64Array, wanted: readonly number[]): void {
  assertEquals(found.length, wanted.length);
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const [i, value] of found.entries()) {
    assertAlmostEquals(value, wanted[i]!, 4 * Number.EPSILON * wanted.length * largest);
  }
}

/** q d qᵀ of a reflection q, which has the values d. */
function withValues(values: readonly number[]): Float64Array {
  const n = values.length;
  const v = Array.from({ length: n }, (_, i) => Math.sin(3 * i + 1));
  const square = v.reduce((sum, value) => sum + value * value, 0);
  const q = (i: number, j: number) => (i === j ? 1 : 0) - 2 * v[i]! * v[j]! / square;
  return Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    return values.reduce((sum, value, k) => sum + q(i, k) * value * q(j, k), 0);
  });
}

Deno.test("symmetricEigenvalues: equals LAPACK's", () => {
  const { values } = madeRows([51, 40, 40]);
  const matrix = Float64Array.from(
    values,
    (value, at) => value + values[at % 40 * 40 + Math.floor(at / 40)]!,
  );
  requireNear(symmetricEigenvalues(matrix, 40), recorded.eigenvalues);
});

Deno.test("symmetricEigenvalues: finds what a matrix was made of, in every size", () => {
  for (let n = 1; n <= 24; n++) {
    const values = Array.from({ length: n }, (_, i) => Math.cos(i * i)).sort((a, b) => a - b);
    requireNear(symmetricEigenvalues(withValues(values), n), values);
  }
});

Deno.test("symmetricEigenvalues: repeated, zero, huge and tiny values", () => {
  requireNear(symmetricEigenvalues(new Float64Array(25), 5), [0, 0, 0, 0, 0]);
  requireNear(symmetricEigenvalues(withValues([2, 2, 2, 2]), 4), [2, 2, 2, 2]);
  requireNear(symmetricEigenvalues(withValues([-1, 0, 0, 0, 1]), 5), [-1, 0, 0, 0, 1]);
  for (const scale of [1e-200, 1e-100, 1e150]) {
    const values = [1, 2, 3, 5, 8, 13].map((value) => value * scale);
    requireNear(symmetricEigenvalues(withValues(values), 6), values);
  }
  const ones = new Float64Array(400).fill(1);
  requireNear(symmetricEigenvalues(ones, 20), [...Array(19).fill(0), 20]);
});

Deno.test("symmetricEigenvalues: comes to an end where values go from large to small, and back", () => {
  const noise = madeRows([53, 80, 80]).values;
  // Rows and columns of a covariance that shrink alike, by e^-40 at the end.
  const down = Float64Array.from(noise, (_, at) => {
    const [i, j] = [Math.floor(at / 80), at % 80];
    let sum = 0;
    for (let k = 0; k < 80; k++) sum += noise[i * 80 + k]! * noise[j * 80 + k]!;
    return sum * Math.exp(-0.5 * (i + j));
  });
  const up = down.toReversed();
  const trace = down.reduce((sum, value, at) => at % 81 === 0 ? sum + value : sum, 0);
  const found = symmetricEigenvalues(down, 80);
  assertAlmostEquals(found.reduce((sum, value) => sum + value, 0), trace, 1e-12 * trace);
  requireNear(symmetricEigenvalues(up, 80), [...found]);
  const steep = Float64Array.from({ length: 200 }, (_, i) => 2 ** -i);
  assertAlmostEquals(tridiagonalEigenvalues(steep, steep.slice(1)).reduce((a, b) => a + b, 0), 2, 1e-14);
});

Deno.test("symmetricEigenvalues: reads the lower triangle only", () => {
  requireNear(symmetricEigenvalues(Float64Array.of(2, 99, 1, 2), 2), [1, 3]);
});

Deno.test("tridiagonalEigenvalues: of -1, 2, -1 are known: 2 - 2 cos (kπ / (n + 1))", () => {
  const n = 100;
  const found = tridiagonalEigenvalues(new Float64Array(n).fill(2), new Float64Array(n - 1).fill(-1));
  requireNear(found, Array.from({ length: n }, (_, k) => 2 - 2 * Math.cos((k + 1) * Math.PI / (n + 1))));
});

Deno.test("norm: of any step and size does not overflow", () => {
  assertAlmostEquals(norm(Float64Array.of(9, 3e200, 9, 4e200), 1, 2, 2), 5e200, 1e185);
  assertEquals(norm(new Float64Array(3), 0, 3), 0);
});

Deno.test("requireMatrix: says which value is not finite", () => {
  assertThrows(
    () => requireMatrix(Float64Array.of(1, 2, 3, NaN), 2, 2, "test"),
    RangeError,
    "row 1, column 1",
  );
  assertThrows(() => symmetricEigenvalues(new Float64Array(3), 2), RangeError, "2 × 2");
  assert(symmetricEigenvalues(Float64Array.of(7), 1)[0] === 7);
});
