import { assertEquals, assertThrows } from "@std/assert";
import { precisionRecall } from "../../../evaluation/metrics/precision_recall.ts";
import recorded from "../../fixtures/evaluation/metrics/metrics.json" with { type: "json" };
import { coarseRows, madeRows, rowsOf } from "../made_rows.ts";

for (const { real, generated, neighbours, ...wanted } of recorded.prdc) {
  Deno.test(`precisionRecall: equals scikit-learn's distances for ${real} and ${generated}`, () => {
    assertEquals(precisionRecall(madeRows(real), madeRows(generated), { neighbours }), wanted);
  });
}

Deno.test("precisionRecall: equals both kinds of distances where sums are exact", () => {
  const [real, generated] = [coarseRows(71, 300, 32), coarseRows(72, 280, 32)];
  assertEquals(precisionRecall(real, generated), recorded.exact);
  assertEquals(precisionRecall(real, generated, { distances: "f16" }), recorded.evaluator);
});

Deno.test("precisionRecall: halves that may overflow, and that do, are what the evaluator makes of them", () => {
  const scaled = (dimensions: number, scale: number) =>
    precisionRecall(coarseRows(71, 300, dimensions, scale), coarseRows(72, 280, dimensions, scale), {
      distances: "f16",
    });
  assertEquals(scaled(40, 16), recorded.edge);
  assertEquals(scaled(32, 128), recorded.overflow);
});

Deno.test("precisionRecall: rows at the radius are within for precision and without for density", () => {
  const same = rowsOf([[0], [0], [0], [0], [5]]);
  assertEquals(precisionRecall(same, same), { precision: 1, recall: 1, density: 1 / 15, coverage: 0.2 });
});

Deno.test("precisionRecall: sets far apart share nothing, whatever their scale", () => {
  for (const scale of [1e-12, 1, 1e12]) {
    const near = madeRows([1, 30, 6, scale]);
    const far = { ...near, values: near.values.map((value) => value + 100 * scale) };
    assertEquals(precisionRecall(near, far), { precision: 0, recall: 0, density: 0, coverage: 0 });
    assertEquals(precisionRecall(near, near).coverage, 1);
  }
});

Deno.test("precisionRecall: says what it cannot do", () => {
  const rows = madeRows([1, 5, 4]);
  const refuse = (
    options: object,
    words: string,
    kind: typeof TypeError | typeof RangeError = RangeError,
  ) => {
    assertThrows(() => precisionRecall(rows, rows, options), kind, words);
  };
  refuse({ neighbours: 5 }, "count of real must be an integer >= 6: current value is 5");
  refuse({ neighbours: 0 }, "neighbours must be");
  refuse({ distances: "f64" }, "distances must be one of", TypeError);
  refuse({ k: 3 }, "unknown", TypeError);
  assertThrows(
    () => precisionRecall(rows, madeRows([1, 5, 3])),
    RangeError,
    "dimensions of generated must be 4",
  );
  assertThrows(() => precisionRecall(rows, madeRows([1, 3, 4])), RangeError, "count of generated");
});
