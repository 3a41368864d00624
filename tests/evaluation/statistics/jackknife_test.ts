import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { frechetDistance } from "../../../evaluation/metrics/frechet.ts";
import { rowsAt } from "../../../evaluation/metrics/rows.ts";
import { jackknifeInterval } from "../../../evaluation/statistics/jackknife.ts";
import recorded from "../../fixtures/evaluation/statistics/statistics.json" with { type: "json" };
import { madeRows } from "../made_rows.ts";

const VALUES = recorded.paired.first;

function mean(rows: Uint32Array, values = VALUES): number {
  return rows.reduce((sum, i) => sum + values[i]!, 0) / rows.length;
}

function variance(rows: Uint32Array, values = VALUES): number {
  const middle = mean(rows, values);
  return rows.reduce((sum, i) => sum + (values[i]! - middle) ** 2, 0) / (rows.length - 1);
}

Deno.test("jackknifeInterval: equals the formula with SciPy's quantile where a group is a row", () => {
  const found = jackknifeInterval(12, variance, { groups: 12, confidence: 0.9 });
  for (const end of ["mean", "low", "high"] as const) {
    assertAlmostEquals(found[end], recorded.jackknife[end], 1e-9);
  }
});

Deno.test("jackknifeInterval: holds the true value about as often as it says", () => {
  const values = Array.from(madeRows([91, 1, 200 * 60]).values);
  // Variance (1 + 0.25) · 4 / 12 of made rows.
  const held = Array.from({ length: 200 }, (_, i) => {
    const own = values.slice(i * 60, (i + 1) * 60);
    const { low, high } = jackknifeInterval(60, (rows) => variance(rows, own), { groups: 12, seed: i });
    return low < 1.25 / 3 && 1.25 / 3 < high;
  }).filter(Boolean).length;
  // 190 of 200 with a deviation of 3; small sets of skewed variances hold somewhat less.
  assert(held >= 175 && held <= 199, `${held} of 200`);
});

Deno.test("jackknifeInterval: groups are random and of equal size, and a seed makes them again", () => {
  const kept: Uint32Array[] = [];
  const options = { groups: 4, seed: 5 };
  const first = jackknifeInterval(10, (rows) => (kept.push(rows), mean(rows)), options);
  assertEquals(kept.map(({ length }) => length), [10, 7, 7, 8, 8]);
  const left = kept.slice(1).flatMap((rows) =>
    Array.from({ length: 10 }, (_, i) => i).filter((i) => !rows.includes(i))
  );
  assertEquals(left.sort(), Array.from({ length: 10 }, (_, i) => i));
  assertEquals(jackknifeInterval(10, mean, options), first);
});

Deno.test("jackknifeInterval: takes a Fréchet distance", () => {
  const [rows, reference] = [madeRows([1, 120, 6]), madeRows([2, 500, 6, 1.3])];
  const { mean, low, high } = jackknifeInterval(
    120,
    (kept) => frechetDistance(rowsAt(rows, kept), reference),
  );
  assertEquals(mean, frechetDistance(rows, reference));
  assert(low < mean && mean < high && high - low < mean);
});

Deno.test("jackknifeInterval: says what it cannot do", () => {
  assertThrows(() => jackknifeInterval(1, mean), RangeError, "count must be an integer >= 2");
  assertThrows(() => jackknifeInterval(5, mean, { groups: 6 }), RangeError, "groups must be");
  assertThrows(() => jackknifeInterval(5, mean, { confidence: 95 }), RangeError, "between 0 and 1");
  assertThrows(
    () => jackknifeInterval(5, () => NaN),
    TypeError,
    "what statistic returns must be a finite number",
  );
  assertThrows(() => jackknifeInterval(5, 1 as never), TypeError, "statistic must be a function");
  assertThrows(() => jackknifeInterval(5, mean, { group: 1 } as never), TypeError, "unknown");
});
