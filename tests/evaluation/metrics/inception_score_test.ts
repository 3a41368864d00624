import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { inceptionScore } from "../../../evaluation/metrics/inception_score.ts";
import type { Rows } from "../../../evaluation/metrics/rows.ts";
import recorded from "../../fixtures/evaluation/metrics/metrics.json" with { type: "json" };
import { madeRows, rowsOf } from "../made_rows.ts";

const { inception } = recorded;
const LOGITS = madeRows([21, 300, 10, 4]);

function firstOf({ values, dimensions }: Rows, count: number): Rows {
  return { values: values.subarray(0, count * dimensions), count, dimensions };
}

/** f64 on both sides: a few roundings for each of some thousand additions. */
function requireNear(found: number, wanted: number): void {
  assertAlmostEquals(found, wanted, 1e-12 * wanted);
}

Deno.test("inceptionScore: equals torch-fidelity's in ten splits and in ragged ones", () => {
  for (
    const [found, wanted] of [
      [inceptionScore(LOGITS), inception.fidelity],
      [inceptionScore(firstOf(LOGITS, 293), { splits: 7 }), inception.ragged],
    ] as const
  ) {
    requireNear(found.mean, wanted.mean);
    requireNear(found.deviation, wanted.deviation);
    for (const [i, score] of wanted.scores.entries()) requireNear(found.scores[i]!, score);
  }
});

Deno.test("inceptionScore: equals torchmetrics' of one split and the evaluator's of full chunks", () => {
  requireNear(inceptionScore(LOGITS, { splits: 1 }).mean, inception.torchmetrics);
  requireNear(inceptionScore(LOGITS, { chunk: 50 }).mean, inception.evaluator);
});

Deno.test("inceptionScore: a partial chunk, which would make the score of the evaluator fall, is refused", () => {
  assert(inception.partial < 0.95 * inception.full);
  const logits = firstOf(LOGITS, 252);
  const words = "the number of rows must be a multiple of the chunk, 50: current value is 252";
  assertThrows(() => inceptionScore(logits, { chunk: 50 }), RangeError, words);
  requireNear(inceptionScore(logits, { chunk: 50, partial: "drop" }).mean, inception.full);
});

Deno.test("inceptionScore: lies between one and the number of classes, however sure the logits are", () => {
  const sure = rowsOf([[1e4, 0, 0], [0, 1e4, 0], [0, 0, 1e4]]);
  requireNear(inceptionScore(sure, { splits: 1 }).mean, 3);
  requireNear(inceptionScore(rowsOf([[-1e30, 2, 2], [-1e30, 2, 2]]), { splits: 2 }).mean, 1);
  requireNear(inceptionScore(rowsOf([[7]]), { splits: 1 }).mean, 1);
  // e^-745 is the smallest number there is, and half of it is 0.
  requireNear(inceptionScore(rowsOf([[0, -745], [0, -1e4]]), { splits: 1 }).mean, 1);
});

Deno.test("inceptionScore: a seed takes rows out of the order of their classes", () => {
  const rows = Array.from({ length: 100 }, (_, i) => {
    return Array.from({ length: 10 }, (_, k) => k === Math.floor(i / 10) ? 100 : 0);
  });
  const sorted = rowsOf(rows);
  requireNear(inceptionScore(sorted, { splits: 5 }).mean, 2);
  const shuffled = inceptionScore(sorted, { splits: 5, seed: 1 });
  assert(shuffled.mean > 5);
  assertEquals(inceptionScore(sorted, { splits: 5, seed: 1 }), shuffled);
});

Deno.test("inceptionScore: says what it cannot do", () => {
  const rows = rowsOf([[1, 2], [3, 4]]);
  const refuse = (
    options: object,
    words: string,
    kind: typeof TypeError | typeof RangeError = RangeError,
  ) => {
    assertThrows(() => inceptionScore(rows, options), kind, words);
  };
  refuse({}, "the number of rows must be at least the 10 splits: current value is 2");
  refuse({ splits: 0 }, "splits must be an integer >= 1");
  refuse({ chunk: 5 }, "a multiple of the chunk, 5");
  refuse({ chunk: 5, partial: "drop" }, "at least the chunk of 5");
  refuse({ chunk: 1, splits: 2 }, "splits must be left out where chunk is given");
  refuse({ chunk: 1, partial: "keep" }, "partial must be one of", TypeError);
  refuse({ split: 1 }, "unknown", TypeError);
  refuse({ splits: 1, seed: -1 }, "seed");
  assertThrows(() => inceptionScore(rowsOf([[1, -Infinity]])), RangeError, "-Infinity in row 0, column 1");
});
