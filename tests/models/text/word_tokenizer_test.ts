import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import words from "../../fixtures/text/words.json" with { type: "json" };
import { ModelFileError } from "../../../models/model_file_error.ts";
import { openTokenizer } from "../../../models/text/word_tokenizer.ts";
import { type Change, demoTokenizer, recordedPrompts, tokenizerOf } from "./text_fixtures.ts";

for (const [kind, length] of [["bert", 35], ["clip", 77]] as const) {
  Deno.test(`openTokenizer: ids of all texts are those of ${words.by} where it is laid out as ${kind}'s`, async () => {
    const tokenizer = await openTokenizer(await tokenizerOf(kind), `${kind}.json`, { length });
    const prompts = await recordedPrompts();
    assertEquals(words[kind].length, prompts.length);
    for (const [i, { text }] of prompts.entries()) {
      const { ids, count } = tokenizer.encode(text);
      assertEquals([ids, count], [words[kind][i], ids.length], JSON.stringify(text.slice(0, 80)));
    }
  });
}

Deno.test("openTokenizer: texts are filled up to the length, and cut in front of what ends them", async () => {
  const file = await tokenizerOf("bert");
  const long = await openTokenizer(file, "bert.json", { length: 9, pad: 7 });
  const { ids, count } = long.encode("a red cube");
  assertEquals(ids.length, 9);
  assertEquals(count < 9, true);
  assertEquals(ids.slice(count), new Array(9 - count).fill(7));
  assertEquals([ids[0], ids[count - 1]], [2, 3]);
  const short = await openTokenizer(file, "bert.json", { length: 3, pad: 7 });
  assertEquals(short.encode("a red cube"), { ids: [2, ids[1]!, 3], count: 3 });
  // A T5's ends with one special id.
  const t5 = await openTokenizer(demoTokenizer, "t5.json", { length: 4, pad: 0 });
  assertEquals(t5.encode("a photo of a red cube"), { ids: [3, 5, 4, 1], count: 4 });
  assertEquals(t5.encode(""), { ids: [1, 0, 0, 0], count: 1 });
});

Deno.test("openTokenizer: files that lie are refused with what is wrong", async () => {
  const cases: [words: string, change: Change, rows?: number][] = [
    ['"WordPiece", "BPE" or "Unigram", found WordLevel', (file) => (file.model.type = "WordLevel", file)],
    ['an object "model.vocab", found nothing', (file) => (delete file.model.vocab, file)],
    ['found -1 for "[PAD]"', (file) => (file.model.vocab["[PAD]"] = -1, file)],
    ["ids below 5, the rows that the network has, found 16", (file) => file, 5],
    ["a tokenizer.json of tokenizers, found", (file) => (file.pre_tokenizer.type = "Own", file)],
    ["a post-processor", (file) => (file.post_processor.type = "Own", file)],
    ['a template "single" with a sequence', (file) => (file.post_processor.single = [], file)],
    ["special tokens with their ids", (file) => (file.post_processor.special_tokens = {}, file)],
    ["special tokens with their ids", (file) => (file.post_processor.single.push(null), file)],
    [
      "a special token and its id, found nothing",
      (file) => ({ ...file, post_processor: { type: "BertProcessing" } }),
    ],
    ['a list "processors"', (file) => ({ ...file, post_processor: { type: "Sequence" } })],
  ];
  for (const [words, change, rows] of cases) {
    const options = { length: 35, ...(rows === undefined ? {} : { rows }) };
    const bytes = await tokenizerOf("bert", change);
    const error = await assertRejects(
      () => openTokenizer(bytes, "bert.json", options),
      ModelFileError,
      words,
    );
    assertEquals(error.file, "bert.json");
  }
});

Deno.test("openTokenizer: bad calls are refused", async () => {
  const file = await tokenizerOf("bert");
  const open = (options: object) => openTokenizer(file, "bert.json", { length: 35, ...options });
  await assertRejects(
    () => open({ length: 2 }),
    RangeError,
    "length beside 2 special ids must be an integer >= 1",
  );
  await assertRejects(
    () => open({ length: 0 }),
    RangeError,
    "length must be an integer >= 1: current value is 0",
  );
  await assertRejects(
    () => open({ pad: -1 }),
    RangeError,
    "pad must be an integer >= 0: current value is -1",
  );
  const tokenizer = await open({});
  assertThrows(() => tokenizer.encode(5 as never), TypeError, "it must be a text: current value is 5");
  assertThrows(() => tokenizer.encode("a".repeat(20_001)), RangeError, "must be at most 20000 characters");
});

for (const kind of ["bert", "clip"] as const) {
  Deno.test(`openTokenizer: texts of any kind are answered within a second where it is laid out as ${kind}'s`, async () => {
    const tokenizer = await openTokenizer(await tokenizerOf(kind), `${kind}.json`, { length: 77 });
    for (
      const text of ["a", "@", " ", "photo ", "e\u0301", "\u0301", "[SEP]", "<|endoftext|>", "👍🏽", "'", "中"]
    ) {
      const start = performance.now();
      const full = text.repeat(20_000).slice(0, 20_000);
      assertEquals(tokenizer.encode(full).count <= 77, true);
      const time = performance.now() - start;
      // A doubling of the time with every character more would be seen.
      assertEquals(time < 10_000, true, `${text}: ${time} ms`);
    }
  });
}
