import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { Moments, type MomentStatistics } from "../../../evaluation/numbers/moments.ts";
import type { Rows } from "../../../evaluation/metrics/rows.ts";
import recorded from "../../fixtures/evaluation/metrics/metrics.json" with { type: "json" };
import { madeRows, rowsOf } from "../made_rows.ts";

function part({ values, dimensions }: Rows, from: number, to: number): Rows {
  return { values: values.subarray(from * dimensions, to * dimensions), count: to - from, dimensions };
}

function momentsOf(...all: Rows[]): Moments {
  const moments = new Moments(all[0]!.dimensions);
  for (const rows of all) moments.update(rows);
  return moments;
}

function requireNear(found: MomentStatistics, wanted: MomentStatistics, relative: number): void {
  const largest = wanted.covariance.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const [i, value] of found.covariance.entries()) {
    assertAlmostEquals(value, wanted.covariance[i]!, relative * largest);
  }
  for (const [i, value] of found.mean.entries()) {
    assertAlmostEquals(value, wanted.mean[i]!, 1e-14 * Math.abs(wanted.mean[i]!) + 1e-15);
  }
}

Deno.test("Moments: equals NumPy's covariance where the mean is ten million times the deviation", () => {
  const { mean, covariance } = recorded.moments;
  const wanted = {
    count: 37,
    dimensions: 5,
    mean: Float64Array.from(mean),
    covariance: Float64Array.from(covariance),
  };
  requireNear(momentsOf(madeRows([41, 37, 5, 1e-3, 1e4])).compute(), wanted, 1e-8);
});

Deno.test("Moments: portions of any size, empty ones too, come to the same", () => {
  const rows = madeRows([1, 700, 33, 1, 100]);
  const whole = momentsOf(rows).compute();
  for (const cuts of [[1, 2, 3], [256, 512], [0, 0, 699, 700], [255]]) {
    const edges = [0, ...cuts, 700];
    const moments = momentsOf(...edges.slice(1).map((to, i) => part(rows, edges[i]!, to)));
    assertEquals(moments.count, 700);
    requireNear(moments.compute(), whole, 1e-12);
  }
});

Deno.test("Moments: dimensions around those of a strip are all multiplied", () => {
  for (const dimensions of [1, 127, 128, 129, 300]) {
    const rows = madeRows([2, 9, dimensions]);
    const { mean, covariance } = momentsOf(rows).compute();
    for (let i = 0; i < dimensions; i += 17) {
      for (let j = 0; j < dimensions; j += 13) {
        let sum = 0;
        for (let row = 0; row < 9; row++) {
          const [a, b] = [rows.values[row * dimensions + i]!, rows.values[row * dimensions + j]!];
          sum += (a - mean[i]!) * (b - mean[j]!);
        }
        assertAlmostEquals(covariance[i * dimensions + j]!, sum / 8, 1e-14);
        assertEquals(covariance[i * dimensions + j], covariance[j * dimensions + i]);
      }
    }
  }
});

Deno.test("Moments: several are merged, with nothing and with themselves", () => {
  const rows = madeRows([1, 500, 20, 3, -7]);
  const [first, second] = [momentsOf(part(rows, 0, 120)), momentsOf(part(rows, 120, 500))];
  first.merge(second);
  first.merge(new Moments(20));
  requireNear(first.compute(), momentsOf(rows).compute(), 1e-12);
  const empty = new Moments(20);
  empty.merge(first);
  requireNear(empty.compute(), first.compute(), 1e-15);
  const twice = momentsOf(rows);
  twice.merge(twice);
  requireNear(twice.compute(), momentsOf(rows, rows).compute(), 1e-12);
});

Deno.test("Moments: results stay as they were when more rows come", () => {
  const moments = momentsOf(madeRows([1, 10, 4]));
  const { mean, covariance } = moments.compute();
  const before = [[...mean], [...covariance]];
  moments.update(madeRows([2, 10, 4]));
  assertEquals([[...mean], [...covariance]], before);
});

Deno.test("Moments: scales from 1e-18 to 1e18 keep their digits", () => {
  const unit = momentsOf(madeRows([1, 50, 6])).compute();
  for (const scale of [2 ** -60, 2 ** 60]) {
    const { covariance } = momentsOf(madeRows([1, 50, 6, scale])).compute();
    for (const [i, value] of covariance.entries()) assertEquals(value / scale / scale, unit.covariance[i]);
  }
});

Deno.test("Moments: says what it cannot do, and adds nothing then", () => {
  const moments = momentsOf(rowsOf([[1, 2]]));
  assertThrows(() => moments.compute(), RangeError, "the number of rows must be an integer >= 2");
  assertThrows(() => moments.update(rowsOf([[1, 2, 3]])), RangeError, "dimensions of rows must be 2");
  assertThrows(() => moments.update(rowsOf([[1, 2], [3, NaN]])), RangeError, "NaN in row 1, column 1");
  assertThrows(() => moments.merge(new Moments(3)), RangeError, "dimensions of the other");
  assertThrows(() => new Moments(0), RangeError, "dimensions must be");
  assert(moments.count === 1);
});
