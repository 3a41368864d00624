import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { extrapolatedFrechetDistance, frechetDistance } from "../../../evaluation/metrics/frechet.ts";
import { requireRows, type Rows, rowsAt } from "../../../evaluation/metrics/rows.ts";
import { Moments, type MomentStatistics } from "../../../evaluation/numbers/moments.ts";
import recorded from "../../fixtures/evaluation/metrics/metrics.json" with { type: "json" };
import { hashed, madeRows, rowsOf } from "../made_rows.ts";

const STORED = [[61, 400, 32], [62, 20, 32, 2]].map((recipe) => {
  const statistics = statisticsOf(madeRows(recipe));
  return { ...statistics, mean: new Float64Array(32), covariance: statistics.covariance.map(Math.fround) };
}) as [MomentStatistics, MomentStatistics];

function statisticsOf(rows: Rows): MomentStatistics {
  const moments = new Moments(rows.dimensions);
  moments.update(rows);
  return moments.compute();
}

/** The roots of zeros that rounding has moved: √(size · 2^-52) of the largest, which is what f64 allows. */
function requireNear(found: number, wanted: number, relative: number): void {
  assertAlmostEquals(found, wanted, relative * Math.abs(wanted));
}

Deno.test("hashed: makes the rows that were recorded", () => {
  assertEquals([...hashed(5, 4)], recorded.hashed);
});

for (const { first, second, ...wanted } of recorded.frechet) {
  const [a, b] = [madeRows(first), madeRows(second)];
  Deno.test(`frechetDistance: equals NumPy's, SciPy's and torchmetrics' for ${first} and ${second}`, () => {
    const found = frechetDistance(a, b);
    // The nuclear norm is as exact as ours; the others lose half of the digits of sets that are deficient.
    requireNear(found, wanted.nuclear, 1e-12);
    for (const other of [wanted.sqrtm, wanted.eigvals, wanted.torchmetrics]) requireNear(found, other, 1e-7);
    requireNear(frechetDistance(b, a), wanted.nuclear, 1e-12);
  });

  Deno.test(`frechetDistance: is the same from statistics, of one side or both, for ${first} and ${second}`, () => {
    const [left, right] = [statisticsOf(a), statisticsOf(b)];
    for (const [one, other] of [[a, right], [left, b], [left, right], [right, left]] as const) {
      requireNear(frechetDistance(one, other), wanted.nuclear, 1e-7);
    }
  });
}

Deno.test("frechetDistance: statistics that were stored in f32 count as deficient where rounding begins", () => {
  // NumPy's eigenvalues of the product take the roots of noise, too: 5e-5 less than what the rows say.
  assert(recorded.stored < recorded.exact_stored * (1 - 4e-5));
  requireNear(frechetDistance(...STORED), recorded.exact_stored, 1e-7);
  requireNear(frechetDistance(STORED[1], STORED[0]), recorded.exact_stored, 1e-7);
});

Deno.test("frechetDistance: equal sets have none, and moved ones the square of the way", () => {
  const rows = madeRows([1, 40, 12]);
  const moved = { ...rows, values: rows.values.map((value) => value + 4) };
  assert(frechetDistance(rows, rows) < 1e-12);
  // Values near 4 are rounded to 2^-22.
  assertAlmostEquals(frechetDistance(rows, moved), 12 * 16, 1e-4);
});

Deno.test("frechetDistance: constant columns, equal rows and two rows are no special cases", () => {
  const rows = madeRows([3, 60, 8]);
  const flat = { ...rows, values: rows.values.map((value, i) => i % 8 < 3 ? 5 : value) };
  const without = (all: Rows) => ({
    values: all.values.filter((_, i) => i % 8 >= 3),
    count: 60,
    dimensions: 5,
  });
  const other = { ...flat, values: flat.values.map((value, i) => i % 8 < 3 ? 7 : value * 1.5) };
  requireNear(frechetDistance(flat, other), frechetDistance(without(flat), without(other)) + 12, 1e-12);
  const same = rowsOf([[1, 2], [1, 2], [1, 2]]);
  assertEquals(frechetDistance(same, rowsOf([[4, 6], [4, 6]])), 25);
  // On a line the distance is that of the means and of the deviations: (4 - 1)² + (√8 - √2)².
  requireNear(frechetDistance(rowsOf([[0, 0], [2, 0]]), rowsOf([[2, 0], [6, 0]])), 9 + 2, 1e-12);
});

Deno.test("extrapolatedFrechetDistance: is near the true distance where the plain one is not", () => {
  const [first, second] = [madeRows([81, 400, 24]), madeRows([82, 4000, 24, 1.1])];
  // tr Σ (1.1 - 1)² with variances (1 + 0.25) · 4 / 12 of 24 columns.
  const truth = 24 * 1.25 / 3 * 0.1 ** 2;
  const { value, counts, distances } = extrapolatedFrechetDistance(first, second, { points: 10 });
  assertEquals([counts[0], counts.at(-1)], [40, 400]);
  requireNear(distances.at(-1)!, frechetDistance(first, second), 1e-12);
  assert(Math.abs(value - truth) < Math.abs(distances.at(-1)! - truth) / 2);
  assertEquals(extrapolatedFrechetDistance(first, second, { points: 10 }).value, value);
});

Deno.test("extrapolatedFrechetDistance: lies on the line of least squares over 1/N", () => {
  const { value, counts, distances } = extrapolatedFrechetDistance(
    madeRows([1, 60, 16]),
    madeRows([2, 50, 16]),
    { points: 2, smallest: 20, seed: 3 },
  );
  assertEquals(counts, [20, 60]);
  // Through two points: weights of N over the difference of both.
  requireNear(value, (60 * distances[1]! - 20 * distances[0]!) / 40, 1e-9);
});

Deno.test("frechetDistance: says what it cannot do", () => {
  const rows = madeRows([1, 5, 4]);
  const statistics = statisticsOf(rows);
  const refuse = (other: unknown, words: string, kind: typeof TypeError | typeof RangeError = RangeError) => {
    assertThrows(() => frechetDistance(rows, other as Rows), kind, words);
  };
  refuse(madeRows([1, 5, 3]), "dimensions of second must be 4, as those of first: current value is 3");
  refuse(rowsOf([[1, 2, 3, 4]]), "count of second must be an integer >= 2: current value is 1");
  refuse(rowsOf([[1, 2, 3, 4], [1, NaN, 3, 4]]), "NaN in row 1, column 1");
  refuse(rowsOf([[1, 2, 3, 4], [1, 2, Infinity, 4]]), "Infinity in row 1, column 2");
  refuse({ ...rows, count: 4 }, "the number of values of second must be 4 × 4 = 16: current value is 20");
  refuse({ ...rows, values: [1, 2, 3, 4] }, "a Float32Array", TypeError);
  refuse(null, "second must be rows or statistics", TypeError);
  refuse({ ...statistics, mean: new Float64Array(3) }, "the mean of second must be of 4 values");
  refuse({ ...statistics, mean: new Float32Array(4) }, "a Float64Array", TypeError);
  refuse({ ...statistics, count: 1 }, "count of second must be an integer >= 2");
  refuse({ ...statistics, covariance: statistics.covariance.map((_, i) => i) }, "must be symmetric");
  refuse({ ...statistics, covariance: statistics.covariance.map((v) => -v) }, "variance of column 0");
  const indefinite = Float64Array.from({ length: 16 }, (_, i) => i % 5 === 0 ? 1 : 2);
  refuse({ ...statistics, covariance: indefinite }, "clearly negative eigenvalues");
  refuse({ ...statistics, covariance: statistics.covariance.with(3, NaN) }, "must be finite");
  assertThrows(() => extrapolatedFrechetDistance(rows, rows, { points: 5 }), RangeError, "points");
  assertThrows(() => extrapolatedFrechetDistance(rows, rows, { point: 5 } as never), TypeError, "unknown");
  assertThrows(() => extrapolatedFrechetDistance(statistics as never, rows), TypeError, "parts can be taken");
});

Deno.test("requireRows: asks for as many rows and dimensions as it is told", () => {
  const rows = rowsOf([[1, 2]]);
  assertEquals(requireRows(rows, "rows", "test", { min: 1, dimensions: 2 }), rows);
  assertThrows(() => requireRows(rows, "rows", "test", { min: 2 }), RangeError, "an integer >= 2");
  assertThrows(() => requireRows(rows, "rows", "test", { dimensions: 3 }), RangeError, "must be 3");
});

Deno.test("rowsAt: refuses places where no row is", () => {
  const rows = rowsOf([[1, 2], [3, 4]]);
  assertEquals(rowsAt(rows, []), { values: new Float32Array(), count: 0, dimensions: 2 });
  assertEquals(rowsAt(rows, Uint32Array.of(1)), rowsOf([[3, 4]]));
  assertThrows(() => rowsAt(rows, [2]), RangeError, "each place must be an integer from 0 to 1");
});
