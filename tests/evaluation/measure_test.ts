/** What is told beside values: orders, intervals, and numbers that do not fit. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { METRIC_TABLE, METRICS, type Said, type Seen } from "../../evaluation/measure.ts";
import type { Rows } from "../../evaluation/metrics/rows.ts";
import { Moments } from "../../evaluation/numbers/moments.ts";

/** Rows that are sure of a class each. */
function sure(labels: readonly number[], classes: number): Rows {
  const values = new Float32Array(labels.length * classes);
  for (const [i, label] of labels.entries()) values[i * classes + label] = 20;
  return { values, count: labels.length, dimensions: classes };
}

function seen(labels: readonly number[], more: Partial<Seen> = {}): Seen {
  const rows = { logits: sure(labels, 4) };
  return { count: labels.length, network: "n", rows, moments: {}, inceptionScore: { splits: 4 }, ...more };
}

const sorted = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3];
const mixed = sorted.map((_, i) => i % 4);

Deno.test("METRIC_TABLE: an order by class is told, where parts would lack classes", () => {
  const note = (scene: Seen): string => METRIC_TABLE.is.measure(scene)[0]!.facts.note!;
  const warning = "THE ORDER IS BY CLASS";
  assert(note(seen(sorted)).includes(warning));
  assert(!note(seen(mixed)).includes(warning));
  // By what is known, even if the network sees something else.
  assert(note(seen(mixed, { labels: sorted })).includes(warning));
  assert(!note(seen(sorted, { inceptionScore: { splits: 4, seed: 0 } })).includes(warning));
  assert(!note(seen(sorted, { inceptionScore: { splits: 1 } })).includes(warning));
  // Parts of one class each have a score of 1; of all classes that of the number of classes.
  const score = (scene: Seen): number => Math.round(METRIC_TABLE.is.measure(scene)[0]!.measured.value);
  assertEquals([score(seen(sorted)), score(seen(mixed))], [1, 4]);
});

Deno.test("METRIC_TABLE: intervals are left out where nobody wants them, and where they cost much", () => {
  const low = (intervals?: boolean): number | undefined => {
    return METRIC_TABLE.is.measure(seen(mixed, intervals === undefined ? {} : { intervals }))[0]!.measured
      .low;
  };
  assert(low() !== undefined);
  assert(low(true) !== undefined);
  assertEquals(low(false), undefined);
});

Deno.test("METRIC_TABLE: a reference of other dimensions is refused", () => {
  const features = sure(mixed, 4);
  const scene = seen(mixed, {
    rows: { features },
    real: { rows: { features: sure(mixed, 5) }, moments: {} },
  });
  for (const name of ["fid", "kid", "pr"] as const) {
    assertThrows(
      () => METRIC_TABLE[name].measure(scene),
      RangeError,
      "the reference has 5 features a picture, and n has 4: it is of another network",
    );
  }
});

Deno.test("METRIC_TABLE: the distance to itself is 0, and its interval begins there", () => {
  const features = sure(mixed, 4);
  const same = { rows: { features }, moments: {} };
  const [column] = METRIC_TABLE.fid.measure(seen(mixed, { rows: { features }, real: same }));
  assert(column!.measured.value < 1e-6);
  assertEquals(column!.measured.low, 0);
  assertEquals(Object.keys(METRIC_TABLE), [...METRICS]);
});

Deno.test("METRIC_TABLE: statistics count, and not the rows of some of their pictures", () => {
  const [features, some] = [sure(mixed, 30), sure([0, 1, 2], 30)];
  const all = new Moments(30);
  all.update(features);
  const value = (real: Said): number => {
    return METRIC_TABLE.fid.measure(seen(mixed, { rows: { features }, real }))[0]!.measured.value;
  };
  assert(value({ rows: { features: some }, moments: { features: all.compute() } }) < 1e-6);
  assert(value({ rows: { features: some }, moments: {} }) > 1);
});
