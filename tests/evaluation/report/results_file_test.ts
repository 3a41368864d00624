/**
 * What is read of `results.json`, and what is refused with which sentence.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { parseSweepResults } from "../../../evaluation/report/results_file.ts";
import { halfFinished, madeUp } from "./made_up.ts";

Deno.test("parseSweepResults: takes what a sweep writes, whole or not, and fields of tomorrow", () => {
  for (const results of [madeUp(), halfFinished(), { ...madeUp(), rows: [], models: [], metrics: [] }]) {
    assertEquals(parseSweepResults(JSON.stringify(results)), results);
  }
  const more = { ...madeUp(), later: 1 };
  assertEquals(parseSweepResults(JSON.stringify(more)) as unknown, more);
});

/** The made-up results with something else at a path. */
function changed(path: string, value: unknown): string {
  const results = JSON.parse(JSON.stringify(madeUp()));
  const keys = path.split(".");
  const last = keys.pop()!;
  const parent = keys.reduce((at, key) => at[key], results);
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return JSON.stringify(results);
}

const WRONG: readonly (readonly [path: string, value: unknown, sentence: string])[] = [
  ["format", "varscale-run", 'format must be "varscale-sweep-results": current value is "varscale-run"'],
  ["format", undefined, 'format must be "varscale-sweep-results": current value is undefined'],
  ["version", 2, "version must be 1: current value is 2"],
  ["title", 3, "title must be a text: current value is 3"],
  ["complete", "yes", 'complete must be a boolean: current value is "yes"'],
  ["made", ["a"], 'made must be an object: current value is ["a"]'],
  ["made.deno", 2, "made.deno must be a text: current value is 2"],
  ["models", {}, "models must be a list: current value is {}"],
  ["models.0.subjects", { 0: 3 }, "models[0].subjects.0 must be a text: current value is 3"],
  ["intervals", 0.95, "intervals must be an object: current value is 0.95"],
  [
    "intervals",
    { confidence: 95, resamples: 2000 },
    "intervals.confidence must be from 0 to 1: current value is 95",
  ],
  [
    "intervals",
    { confidence: 0.95 },
    "intervals.resamples must be an integer >= 0: current value is undefined",
  ],
  ["models.1.name", "VAR d16", 'two of models have the name "VAR d16"'],
  ["metrics.0.better", "less", 'metrics[0].better must be one of "higher", "lower", "neither"'],
  ["metrics.1.key", "fid", 'two of metrics have the key "fid"'],
  ["metrics.1.key", "constructor", "metrics[1].key must be a name that no object has by itself"],
  ["rows.2", null, "rows[2] must be an object: current value is null"],
  ["rows.2.id", "VAR d16/plain", 'two of rows have the id "VAR d16/plain"'],
  ["rows.2.model", "VAR d99", 'rows[2].model must be one of "VAR d16", "VAR d20", "VAR d30"'],
  ["rows.2.seeds", "0", 'rows[2].seeds must be a list: current value is "0"'],
  ["rows.2.pictures", -1, "rows[2].pictures must be an integer >= 0: current value is -1"],
  ["rows.2.planned", 1.5, "rows[2].planned must be an integer >= 0: current value is 1.5"],
  ["rows.2.cost.seconds", null, "rows[2].cost.seconds must be a finite number >= 0: current value is null"],
  ["rows.2.metrics.fid", 3.1, "rows[2].metrics.fid must be an object: current value is 3.1"],
  [
    "rows.2.metrics.fid.value",
    null,
    "rows[2].metrics.fid.value must be a finite number: current value is null",
  ],
  ["rows.2.metrics.fid.low", "1", 'rows[2].metrics.fid.low must be a finite number: current value is "1"'],
  [
    "rows.2.differences.fid.0.p",
    1.2,
    "rows[2].differences.fid[0].p must be from 0 to 1: current value is 1.2",
  ],
  ["rows.2.differences.fid.0.to", undefined, "rows[2].differences.fid[0].to must be a text"],
  ["rows.2.branches.dense", 7, "rows[2].branches.dense must be from 0 to 1: current value is 7"],
  ["rows.2.published.fid", "3.8", 'rows[2].published.fid must be a finite number: current value is "3.8"'],
  ["rows.2.missing", false, "rows[2].missing must be a text: current value is false"],
  [
    "rows.0.examples.1",
    "../secret.png",
    "rows[0].examples[1] must be a path within the folder of the results",
  ],
  ["rows.0.examples.1", "/etc/a.png", "rows[0].examples[1] must be a path within the folder of the results"],
  ["rows.0.examples.1", "C:\\a.png", "rows[0].examples[1] must be a path within the folder of the results"],
  ["rows.0.examples.1", "a\\..\\..\\b.png", "rows[0].examples[1] must be a path within the folder"],
  ["rows.0.examples.1", "", "rows[0].examples[1] must be a path within the folder of the results"],
];

Deno.test("parseSweepResults: says where a file is damaged", () => {
  for (const [path, value, sentence] of WRONG) {
    assertThrows(
      () => parseSweepResults(changed(path, value), "out/r.json"),
      RangeError,
      `Cannot read out/r.json as ${sentence}`,
    );
  }
});

Deno.test("parseSweepResults: what is no JSON, or cut off, is said", () => {
  for (const text of ["", "{", JSON.stringify(madeUp()).slice(0, -1), "<!doctype html>"]) {
    assertThrows(() => parseSweepResults(text), RangeError, "Cannot read results.json as it is no JSON: ");
  }
  for (const text of ["null", "[]", "3"]) {
    assertThrows(
      () => parseSweepResults(text),
      RangeError,
      "Cannot read results.json as it must be an object",
    );
  }
  assertThrows(() => parseSweepResults(3 as never), TypeError, "the text must be a text");
});
