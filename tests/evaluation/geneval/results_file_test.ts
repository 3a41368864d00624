import { assertEquals, assertThrows } from "@std/assert";
import {
  detailsOf,
  formatGenEvalResult,
  parseGenEvalResults,
  pythonJson,
} from "../../../evaluation/geneval/results_file.ts";

const text = await Deno.readTextFile(
  new URL("../../fixtures/evaluation/geneval/results.jsonl", import.meta.url),
);
const official = parseGenEvalResults(text, "results.jsonl");

Deno.test("parseGenEvalResults: reads what pandas writes for GenEval's script", () => {
  assertEquals(official.length, 79);
  const [{ filename, judge, picture }] = official as [typeof official[0]];
  assertEquals(filename.split("/").map((part) => part.length), [6, 5, 7, 9]);
  assertEquals([judge, picture], [undefined, undefined]);
  assertEquals(official.every(({ prompt }) => prompt.includes("café")), true);
});

Deno.test("formatGenEvalResult: is read as what was written, by the same names in the same order", () => {
  const lines = text.trim().split("\n");
  for (const [i, result] of official.entries()) {
    const written = formatGenEvalResult(result);
    assertEquals(JSON.parse(written), JSON.parse(lines[i]!));
    assertEquals(Object.keys(JSON.parse(written)), Object.keys(JSON.parse(lines[i]!)));
  }
  const ours = { ...official[0]!, judge: "somebody", picture: "abc" };
  assertEquals(parseGenEvalResults(formatGenEvalResult(ours)), [ours]);
});

Deno.test("pythonJson: writes what Python's json.dumps wrote", () => {
  for (const { metadata, details } of official) {
    assertEquals(pythonJson(JSON.parse(metadata)), metadata);
    // Python tells 96.0 from 96, and JSON does not.
    assertEquals(pythonJson(JSON.parse(details)), details.replaceAll(/\.0\b/g, ""));
  }
  assertEquals(
    pythonJson({ a: [], b: {}, c: '"\n😀' }),
    String.raw`{"a": [], "b": {}, "c": "\"\n\ud83d\ude00"}`,
  );
});

Deno.test("parseGenEvalResults: says which line is none of a result", () => {
  const [line] = text.split("\n");
  const without = (name: string, value?: unknown): string =>
    JSON.stringify({ ...JSON.parse(line!), [name]: value });
  for (
    const [bad, words] of [
      ["{", "Cannot read line 2 of r.jsonl as it is no JSON"],
      ["null", 'line 2 of r.jsonl as "filename" must be a text: current value is undefined'],
      [without("correct", 1), '"correct" must be true or false: current value is 1'],
      [without("metadata"), '"metadata" must be a text'],
      [without("judge", 5), '"judge" must be a text: current value is 5'],
    ] as const
  ) {
    assertThrows(() => parseGenEvalResults(`${line}\n${bad}`, "r.jsonl"), TypeError, words);
  }
});

Deno.test("detailsOf: the corners of what counts", () => {
  const dog = { label: "dog", score: 0.5, box: [1, 2, 3, 4] } as const;
  const found = [dog, { ...dog, score: 0.75 }, { ...dog, label: "cup", score: 0.2 }];
  assertEquals(detailsOf(found, { tag: "colors" }), '{"dog": [[1, 2, 4, 6, 0.75], [1, 2, 4, 6, 0.5]]}');
  assertEquals(detailsOf(found, { tag: "counting" }), "{}");
});
