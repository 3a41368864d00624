import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { accuracy } from "../../../evaluation/metrics/accuracy.ts";
import recorded from "../../fixtures/evaluation/metrics/metrics.json" with { type: "json" };
import { hashed, madeRows, rowsOf } from "../made_rows.ts";

Deno.test("accuracy: equals torchmetrics', and its probabilities PyTorch's", () => {
  const logits = madeRows([21, 300, 10, 4]);
  const labels = Array.from(hashed(22, 300), (word) => word % 10);
  // torchmetrics says f32.
  assertAlmostEquals(accuracy(logits, labels).value, recorded.accuracy.top1, 2 ** -24);
  assertAlmostEquals(accuracy(logits, labels, { top: 3 }).value, recorded.accuracy.top3, 2 ** -24);
  const { logProbabilities } = accuracy(logits, labels);
  for (const [i, wanted] of recorded.accuracy.logProbabilities.entries()) {
    assertAlmostEquals(logProbabilities[i]!, wanted, 1e-14);
  }
});

Deno.test("accuracy: of equal logits the lower class comes first", () => {
  const logits = rowsOf([[1, 1, 1], [1, 1, 1], [1, 1, 1]]);
  assertEquals(accuracy(logits, [0, 1, 2]).right, [true, false, false]);
  assertEquals(accuracy(logits, [0, 1, 2], { top: 2 }).right, [true, true, false]);
});

Deno.test("accuracy: large logits neither overflow nor vanish", () => {
  const { logProbabilities } = accuracy(rowsOf([[1e30, 0], [-500, 500]]), [0, 0]);
  assertEquals([...logProbabilities], [0, -1000]);
});

Deno.test("accuracy: says what it cannot do", () => {
  const logits = rowsOf([[1, 2], [3, 4]]);
  assertThrows(() => accuracy(logits, []), RangeError, "the number of labels must be 2, one for each row");
  assertThrows(() => accuracy(logits, [0, 2]), RangeError, "label 1 must be an integer from 0 to 1");
  assertThrows(() => accuracy(logits, [0, 0.5]), RangeError, "label 1 must be");
  assertThrows(() => accuracy(logits, "01" as never), TypeError, "labels must be a list of classes");
  assertThrows(() => accuracy(logits, [0, 1], { top: 3 }), RangeError, "top must be");
  assertThrows(() => accuracy(logits, [0, 1], { k: 1 } as never), TypeError, "unknown");
  assertThrows(() => accuracy(rowsOf([[1, NaN]]), [0]), RangeError, "NaN in row 0, column 1");
});
