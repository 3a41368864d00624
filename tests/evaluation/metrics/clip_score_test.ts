import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { clipScore } from "../../../evaluation/metrics/clip_score.ts";
import recorded from "../../fixtures/evaluation/metrics/metrics.json" with { type: "json" };
import { madeRows, rowsOf } from "../made_rows.ts";

Deno.test("clipScore: equals torchmetrics' formula in f64", () => {
  const found = clipScore(madeRows([31, 40, 24, 1, 0.3]), madeRows([32, 40, 24, 1, 0.1]));
  assertAlmostEquals(found.mean, recorded.clip.mean, 1e-12);
  assertAlmostEquals(found.cosine, recorded.clip.cosine, 1e-14);
  for (const [i, score] of recorded.clip.scores.entries()) assertAlmostEquals(found.scores[i]!, score, 1e-12);
});

Deno.test("clipScore: a negative mean counts as 0, a negative picture as it is", () => {
  const [pictures, texts] = [rowsOf([[1, 0], [1, 0]]), rowsOf([[-1, 0], [0, 1]])];
  assertEquals(clipScore(pictures, texts), { mean: 0, cosine: -0.5, scores: [-100, 0] });
});

Deno.test("clipScore: lengths do not matter", () => {
  const rows = [[3, 4], [1, 2]];
  for (const scale of [1e-30, 1e30]) {
    const found = clipScore(rowsOf(rows.map((row) => row.map((value) => value * scale))), rowsOf(rows));
    assertAlmostEquals(found.mean, 100, 1e-5);
  }
});

Deno.test("clipScore: says what it cannot do", () => {
  const rows = rowsOf([[1, 2], [3, 4]]);
  assertThrows(() => clipScore(rows, rowsOf([[1, 2]])), RangeError, "the number of texts must be 2");
  assertThrows(() => clipScore(rows, rowsOf([[1], [2]])), RangeError, "dimensions of texts must be 2");
  assertThrows(() => clipScore(rows, rowsOf([[1, 2], [0, 0]])), RangeError, "row 1 of texts is 0");
  assertThrows(() => clipScore(rowsOf([[0, 0], [1, 2]]), rows), RangeError, "row 0 of pictures is 0");
  assertThrows(() => clipScore(rows, rowsOf([[1, 2], [Infinity, 0]])), RangeError, "Infinity in row 1");
});
