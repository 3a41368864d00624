/**
 * What came out in a few sentences.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { findingsOf, standingOf } from "../../../evaluation/report/summary.ts";
import { halfFinished, madeUp } from "./made_up.ts";

Deno.test("findingsOf: the best row of each metric beside plain", () => {
  assertEquals(findingsOf(madeUp()).filter(({ model }) => model === "VAR d16").map(({ text }) => text), [
    "lowest FID 3.50 with VAR-Scaling + Best-of-N, N = 100, -0.34 [-0.40, -0.28] against plain, p < 0.001",
    "highest IS 236.5 with VAR-Scaling + Best-of-N, N = 50, +10.1 [+8.2, +12.0] against plain, p < 0.001",
    "highest accuracy 0.932 with Best-of-N, N = 100, +0.020 [+0.013, +0.027] against plain, p < 0.001",
  ]);
});

Deno.test("findingsOf: plain may be the best, and unfinished rows are not", () => {
  const results = madeUp();
  const rows = results.rows.filter(({ model }) => model === "VAR d16").map((row) =>
    row.method === "plain" ? { ...row, metrics: { ...row.metrics, fid: { value: 3 } } } : row
  );
  assertEquals(findingsOf({ ...results, rows })[0]?.text, "lowest FID 3.00 without any search");
  assertEquals(findingsOf(halfFinished()).filter(({ model }) => model === "VAR d20"), []);
});

Deno.test("findingsOf: what is alike, and rows of fewer pictures, are nothing to tell of", () => {
  const results = madeUp();
  const rows = results.rows.filter(({ model }) => model === "VAR d16");
  const told = (change: (row: typeof rows[number], i: number) => typeof rows[number]) =>
    findingsOf({ ...results, rows: rows.map(change) })[0]?.text;
  assertEquals(told((row) => ({ ...row, metrics: { fid: { value: 3 } } })), "FID 3.00 in all rows");
  assertEquals(
    told((row, i) => ({ ...row, metrics: { fid: { value: i > 1 ? 4 : 3 } } })),
    "lowest FID 3.00 without any search",
  );
  assertEquals(
    told((row, i) => i === 16 ? { ...row, pictures: 5, planned: 5, metrics: { fid: { value: 1 } } } : row)
      ?.replace(/ with .* p < 0.001,/, " …"),
    "lowest FID 3.50 … among rows of 2000 pictures",
  );
  // With the digits of the table, in which a row of fewer pictures counts, both of the others are alike.
  assertEquals(
    told((row, i) => {
      const few = i > 1 ? { pictures: 5, planned: 5 } : {};
      return { ...row, ...few, metrics: { fid: { value: [0.9775, 0.9803][i] ?? 1 } } };
    }),
    "FID 0.98 in all rows of 2000 pictures",
  );
});

Deno.test("standingOf: pictures of rows that are run", () => {
  const { pictures, planned, unfinished, missing } = standingOf(halfFinished());
  // 17 and 1 rows are whole; the others have 1840, 1680, … 80 pictures, and four have none.
  const others = Array.from({ length: 12 }, (_, i) => 1840 - 160 * i).reduce((sum, n) => sum + n, 0);
  assertEquals([pictures, planned], [18 * 2000 + others, 34 * 2000]);
  assertEquals([unfinished.length, missing.length], [16, 1]);
});
