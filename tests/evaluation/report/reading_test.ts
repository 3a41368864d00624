/**
 * Which traps a sweep is told of.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { SweepResults, SweepRow } from "../../../evaluation/mod.ts";
import { differencesOf, trapsOf } from "../../../evaluation/report/reading.ts";
import { madeUp } from "./made_up.ts";

function titles(results: SweepResults): string[] {
  return trapsOf(results).map(({ title }) => title);
}

function withRows(change: (row: SweepRow) => SweepRow): SweepResults {
  const results = madeUp();
  return { ...results, rows: results.rows.map(change) };
}

Deno.test("trapsOf: all that the made-up sweep can fall into", () => {
  assertEquals(titles(madeUp()), [
    "FID of few pictures is too high",
    "The Inception Score rewards collapse",
    "A search finds what its verifier likes",
    "N and α depend on one another",
    "Pairs say more than intervals side by side",
    "Many comparisons find something",
    "Published values are of other runs",
    "Operations are not time",
  ]);
});

Deno.test("trapsOf: a trap is not named where the sweep has none", () => {
  const absent = (results: SweepResults, title: string) => assert(!titles(results).includes(title), title);
  absent(
    withRows((row) => ({ ...row, pictures: 50_000, planned: 50_000 })),
    "FID of few pictures is too high",
  );
  const accuracy = madeUp().metrics.filter(({ key }) => key === "accuracy");
  absent(madeUp(), "Rows have different pictures");
  const alone = withRows((row) => ({
    ...row,
    metrics: row.metrics.accuracy ? { accuracy: row.metrics.accuracy } : {},
  }));
  for (const title of ["FID of few pictures is too high", "The Inception Score rewards collapse"]) {
    absent({ ...alone, metrics: accuracy }, title);
  }
  const scaling = madeUp().rows.filter(({ method }) => method === "plain" || method === "var-scaling");
  absent({ ...madeUp(), rows: scaling }, "A search finds what its verifier likes");
  const single = scaling.filter(({ settings }) => settings.samples === undefined || settings.samples === 50);
  absent({ ...madeUp(), rows: single }, "N and α depend on one another");
  const bare = withRows(({ published: _, differences: __, cost: ___, ...row }) => row);
  for (
    const title of [
      "Pairs say more than intervals side by side",
      "Many comparisons find something",
      "Published values are of other runs",
      "Operations are not time",
    ]
  ) absent(bare, title);
  assertEquals(trapsOf({ ...madeUp(), rows: [] }), []);
});

Deno.test("trapsOf: says the numbers of the sweep", () => {
  const text = (results: SweepResults, begin: string) =>
    trapsOf(results).find((t) => t.title.startsWith(begin))!.text;
  const mixed = withRows((row) => row.method === "plain" ? { ...row, pictures: 1500 } : row);
  assertStringIncludes(text(mixed, "FID"), "these of 1500 to 2000:");
  // A row without a FID has none that is too high.
  const without = withRows((row) => row.method === "plain" ? { ...row, pictures: 8, metrics: {} } : row);
  assertStringIncludes(text(without, "FID"), "these of 2000:");
  assertStringIncludes(text(mixed, "Rows"), "Compare such rows by their differences");
  assertStringIncludes(
    text(madeUp(), "A search"),
    "Here accuracy is measured by a network that a search was led by",
  );
  const judged = (network: string, verifier?: string): string => {
    const results = withRows(({ settings: { verifier: _, ...settings }, ...row }) => ({
      ...row,
      settings: row.method === "plain" || verifier === undefined ? settings : { ...settings, verifier },
    }));
    const metrics = results.metrics.map((metric) =>
      metric.key === "accuracy" ? { ...metric, network } : metric
    );
    return text({ ...results, metrics }, "A search");
  };
  const hit = "Here accuracy is measured by a network that a search was led by";
  // Who names no verifier asks the model's own; a place may stand behind a name.
  for (
    const pair of [["own"], ["own", "own"], ["clip", "clip"], ["clip", "clip:FILE"], [
      "inception, clip",
      "clip",
    ]]
  ) assertStringIncludes(judged(pair[0]!, pair[1]), hit);
  for (const pair of [["demo-oracle"], ["own", "evidence"], ["own", "clip"], ["clip", "own"]]) {
    assert(!judged(pair[0]!, pair[1]).includes("Here "), pair.join());
  }
  const all = differencesOf(madeUp().rows);
  assertEquals(all.length, 96);
  const small = all.filter(({ p }) => p < 0.05).length;
  assertStringIncludes(
    text(madeUp(), "Many"),
    `Of 96 differences on this page ${small} have p below 0.05; if no method did anything, about 4.8 would.`,
  );
});
