import { assertEquals } from "@std/assert";
import type { SweepResults, SweepRow } from "../../../evaluation/mod.ts";
import { formatCsv } from "../../../evaluation/sweep/results_csv.ts";

const ROW: SweepRow = {
  ...{ id: "d30.plain", model: "d30", method: "plain", title: 'plain, "x" = 1', settings: { cfg: 1 } },
  ...{ seeds: [1, 2], pictures: 0, planned: 4, metrics: {}, examples: [], missing: "no weights" },
};
const OTHER: SweepRow = {
  ...ROW,
  ...{ id: "d30.var-scaling", pictures: 4, settings: { scale: [1, 2], strategy: "top-k" } },
  cost: { flops: 2e9, ratio: 1, seconds: 0.25 },
  metrics: { fid: { value: 2.5, low: 2, high: 3 } },
  differences: { fid: [{ to: "d30.plain", value: -0.5, low: -1, high: 0, p: 0.04 }] },
  branches: { "low density": 0.75 },
  published: { fid: 2.25 },
};
const RESULTS: SweepResults = {
  ...{
    format: "varscale-sweep-results",
    version: 1,
    title: "a",
    complete: false,
    plan: {},
    made: {},
    models: [],
  },
  metrics: [{ key: "fid", title: "FID", better: "lower" }],
  rows: [ROW, OTHER],
};

/** Splits a line with quotes, as RFC 4180 has them. */
function cells(line: string): string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) =>
    quoted?.replaceAll('""', '"') ?? plain!
  );
}

Deno.test("formatCsv: a column for everything that is known of some row, and nothing where it is not", () => {
  const [head, first, second, end] = formatCsv(RESULTS).split("\r\n").map(cells);
  const of = (line: string[] | undefined, name: string): string | undefined => line?.[head!.indexOf(name)];
  assertEquals(end, [""]);
  assertEquals([first!.length, second!.length], [head!.length, head!.length]);
  assertEquals([of(first, "title"), of(first, "seeds"), of(first, "missing")], [
    'plain, "x" = 1',
    "1 2",
    "no weights",
  ]);
  assertEquals([of(first, "fid"), of(first, "flops"), of(first, "fid p")], ["", "", ""]);
  const told = [
    "flops",
    "fid low",
    "fid difference",
    "fid difference to",
    "fid p",
    "fid published",
    "branch low density",
  ];
  assertEquals(told.map((name) => of(second, name)), [
    "2000000000",
    "2",
    "-0.5",
    "d30.plain",
    "0.04",
    "2.25",
    "0.75",
  ]);
  assertEquals(["setting cfg", "setting scale", "setting strategy"].map((name) => of(second, name)), [
    "",
    "[1,2]",
    "top-k",
  ]);
});
