import { assert, assertEquals, assertThrows } from "@std/assert";
import { GENEVAL_TAGS, parseMetadata } from "../../../evaluation/geneval/metadata.ts";
import { parseGenEvalResults } from "../../../evaluation/geneval/results_file.ts";
import { genEvalTable, groupByTag } from "../../../evaluation/geneval/table.ts";
import { bootstrapInterval } from "../../../evaluation/statistics/intervals.ts";
import { goldenFile } from "../../fixtures/golden/golden.ts";
import summary from "../../fixtures/evaluation/geneval/summary.json" with { type: "json" };

const FOLDER = new URL("../../fixtures/evaluation/geneval/", import.meta.url);
const official = parseGenEvalResults(await Deno.readTextFile(new URL("results.jsonl", FOLDER)));

Deno.test("genEvalTable: comes to what pandas makes of a results file", () => {
  const table = genEvalTable(official, { resamples: 200 });
  const { images, prompts, correctImages, correctPrompts, overall, tags } = table;
  assertEquals({ images, prompts, correctImages, correctPrompts }, {
    images: summary.images,
    prompts: summary.prompts,
    correctImages: summary.correctImages,
    correctPrompts: summary.correctPrompts,
  });
  // Both are means of six shares, added in another order.
  assert(Math.abs(overall.value - summary.overall) < 1e-15);
  assertEquals(tags.map(({ tag }) => tag), [...GENEVAL_TAGS]);
  const counts = Object.fromEntries(tags.map(({ tag, correct, images }) => [tag, [correct, images]]));
  assertEquals(counts, summary.tags);
  assertEquals([table.title, table.judges], ["GenEval", []]);
});

Deno.test("genEvalTable: pictures of a prompt are drawn together", () => {
  const judged = (metadata: string, ...verdicts: boolean[]) =>
    verdicts.map((correct) => ({ tag: "colors", metadata, correct }));
  const results = [...judged("a", true, true), ...judged("b", false, true), ...judged("c", false, false)];
  const { overall, tags: [row] } = genEvalTable(results, { resamples: 500 });
  const { low, high } = bootstrapInterval([[1, 0.5, 0]], { resamples: 500 });
  assertEquals(overall, { value: 0.5, low, high });
  assertEquals(row, { tag: "colors", correct: 3, images: 6, value: 0.5, low, high });
});

Deno.test("genEvalTable: results by anyone else are GenEval-like, and tags of one's own come last", () => {
  const results = ["mine", "colors"].map((tag) => ({ tag, metadata: tag, correct: true, judge: "an owl" }));
  const { title, judges, tags } = genEvalTable(results, { resamples: 10 });
  assertEquals([title, judges, tags.map(({ tag }) => tag)], ["GenEval-like", ["an owl"], ["colors", "mine"]]);
  assertThrows(() => genEvalTable([]), RangeError, "the number of results must be at least one");
});

Deno.test("groupByTag: a group for each kind of prompt, in the order of the table", async () => {
  const captions = parseMetadata(await Deno.readTextFile(goldenFile("demo-t2i/captions.jsonl")));
  const groups = groupByTag(captions, captions.map((_, i) => i));
  assertEquals([...groups.keys()], [...GENEVAL_TAGS]);
  assertEquals([...groups.values()].map((group) => group.length), [6, 28, 42, 36, 44, 44]);
  assertEquals([...groups.values()].flat().sort((a, b) => a - b), captions.map((_, i) => i));
  assertThrows(() => groupByTag(captions, [1]), RangeError, "scores must be one for each of 200");
});
