import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { kernelDistance } from "../../../evaluation/metrics/kernel_distance.ts";
import recorded from "../../fixtures/evaluation/metrics/metrics.json" with { type: "json" };
import { madeRows, rowsOf } from "../made_rows.ts";

/** Kernels of up to 1e2 are added up in f64 in another order. */
function requireNear(found: number, wanted: number): void {
  assertAlmostEquals(found, wanted, 1e-11);
}

for (const { first, second, unbiased, biased } of recorded.kid) {
  Deno.test(`kernelDistance: equals NumPy's of all rows of ${first} and ${second}`, () => {
    const [a, b] = [madeRows(first), madeRows(second)];
    requireNear(kernelDistance(a, b, { subsets: 0 }).mean, unbiased);
    requireNear(kernelDistance(b, a, { subsets: 0, estimator: "biased" }).mean, biased);
  });
}

Deno.test("kernelDistance: equals torchmetrics' where a part is all of the rows", () => {
  const { first, second, torchmetrics } = recorded.kid[1]!;
  const found = kernelDistance(madeRows(first), madeRows(second), { subsets: 3, subsetSize: 50 });
  requireNear(found.mean, torchmetrics);
  requireNear(found.deviation, 0);
});

Deno.test("kernelDistance: parts average to what all rows say, the same for a seed", () => {
  const [a, b] = [madeRows([3, 400, 16]), madeRows([4, 350, 16, 1.3])];
  const options = { subsets: 60, subsetSize: 100 };
  const { mean } = kernelDistance(a, b, { subsets: 0 });
  const parts = kernelDistance(a, b, options);
  // The mean of 60 parts, which share rows, is within three of their standard errors.
  assert(Math.abs(parts.mean - mean) < 3 * parts.deviation / Math.sqrt(60));
  assertEquals(kernelDistance(a, b, options), parts);
  assert(kernelDistance(a, b, { ...options, seed: 1 }).mean !== parts.mean);
});

Deno.test("kernelDistance: says what it cannot do", () => {
  const rows = madeRows([1, 20, 4]);
  const refuse = (
    options: object,
    words: string,
    kind: typeof TypeError | typeof RangeError = RangeError,
  ) => {
    assertThrows(() => kernelDistance(rows, rows, options), kind, words);
  };
  refuse({}, "subsetSize must be at most the 20 rows of the smaller set: current value is 1000");
  refuse({ subsets: 0, subsetSize: 5 }, "left out where subsets is 0");
  refuse({ subsetSize: 1 }, "subsetSize must be an integer >= 2");
  refuse({ subsets: -1 }, "subsets must be");
  refuse({ estimator: "u" }, "estimator must be one of", TypeError);
  refuse({ subset: 1 }, "unknown", TypeError);
  assertThrows(
    () => kernelDistance(rows, madeRows([1, 20, 5])),
    RangeError,
    "dimensions of second must be 4",
  );
  assertThrows(() => kernelDistance(rowsOf([[1]]), rowsOf([[1], [2]])), RangeError, "count of first");
  assertThrows(() => kernelDistance(rowsOf([[1], [NaN]]), rowsOf([[1], [2]])), RangeError, "NaN in row 1");
});
