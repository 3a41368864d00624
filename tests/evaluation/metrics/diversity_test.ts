import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { meanDistance } from "../../../evaluation/metrics/diversity.ts";
import type { Rows } from "../../../evaluation/metrics/rows.ts";
import recorded from "../../fixtures/evaluation/metrics/metrics.json" with { type: "json" };
import { madeRows, rowsOf } from "../made_rows.ts";

/** In f64, pair by pair. */
function plain({ values, count, dimensions }: Rows): number {
  let sum = 0;
  for (let a = 0; a < count; a++) {
    for (let b = 0; b < a; b++) {
      let square = 0;
      for (let i = 0; i < dimensions; i++) {
        square += (values[a * dimensions + i]! - values[b * dimensions + i]!) ** 2;
      }
      sum += Math.sqrt(square);
    }
  }
  return sum / (count * (count - 1) / 2);
}

/** (dimensions / 4 + 2) roundings of 2^-24. */
function bound({ dimensions }: Rows): number {
  return (dimensions / 4 + 2) * 2 ** -24;
}

Deno.test("meanDistance: equals SciPy's pdist", () => {
  const rows = madeRows([1, 60, 16]);
  assertAlmostEquals(meanDistance(rows), recorded.distance, recorded.distance * bound(rows));
});

Deno.test("meanDistance: counts each pair once, in any number of blocks", () => {
  for (const [count, dimensions] of [[2, 1], [255, 3], [256, 5], [257, 4], [530, 7]] as const) {
    const rows = madeRows([4, count, dimensions]);
    const wanted = plain(rows);
    assertAlmostEquals(meanDistance(rows), wanted, wanted * bound(rows));
  }
});

Deno.test("meanDistance: equal rows and a single one have none", () => {
  assertEquals(meanDistance(rowsOf([[1, 2]])), 0);
  assertEquals(meanDistance(rowsOf([[0.1, 2], [0.1, 2], [0.1, 2]])), 0);
});

Deno.test("meanDistance: says what it cannot do", () => {
  assertThrows(
    () => meanDistance({ values: new Float32Array(), count: 0, dimensions: 1 }),
    RangeError,
    "count",
  );
  assertThrows(() => meanDistance(rowsOf([[1], [NaN]])), RangeError, "NaN in row 1, column 0");
});
