import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { PROMPT_CHARACTERS, PROMPT_TOKENS, TextTokenizer } from "../../../models/text/tokenizer.ts";
import {
  type Change,
  changedTokenizer,
  demoTokenizer,
  LAYOUTS,
  recordedPrompts,
  tokenizerIn,
} from "./text_fixtures.ts";

for (const layout of LAYOUTS) {
  Deno.test(`TextTokenizer: ids of all prompts are Python's in the layout "${layout}"`, async () => {
    const tokenizer = await TextTokenizer.parse(await tokenizerIn(layout), "tokenizer.json");
    const prompts = await recordedPrompts();
    assert(prompts.length >= 300);
    for (const prompt of prompts) {
      assertEquals(tokenizer.encode(prompt.text), prompt[layout], JSON.stringify(prompt.text.slice(0, 80)));
    }
  });
}

Deno.test("TextTokenizer: ids are cut to 512, the last of which is the end", async () => {
  const tokenizer = await TextTokenizer.parse(demoTokenizer, "tokenizer.json");
  const [cone] = tokenizer.encode("cone");
  for (const words of [0, 1, 510, 511, 512, 3000]) {
    const wanted = [...new Array(Math.min(words, PROMPT_TOKENS - 1)).fill(cone), 1];
    assertEquals(tokenizer.encode("cone ".repeat(words)), wanted);
  }
});

Deno.test("TextTokenizer: half of a pair of surrogates is a replacement character", async () => {
  const tokenizer = await TextTokenizer.parse(demoTokenizer, "tokenizer.json");
  assertEquals(tokenizer.encode("red\ud83d cube"), tokenizer.encode("red\ufffd cube"));
});

Deno.test("TextTokenizer: prompts of any kind are answered or refused within a second", async () => {
  const tokenizer = await TextTokenizer.parse(await tokenizerIn("wordy"), "tokenizer.json");
  const full = (text: string): string => text.repeat(PROMPT_CHARACTERS).slice(0, PROMPT_CHARACTERS);
  for (const text of ["a", "@", " ", "photo ", "e\u0301", "\u0301", "</s>", "👍🏽", "a\u0085", "▁"]) {
    const start = performance.now();
    assert(tokenizer.encode(full(text)).length <= PROMPT_TOKENS);
    const time = performance.now() - start;
    // Measured: at most 0.6 s; a doubling of the time with every character more would be seen.
    assert(time < 10_000, `${JSON.stringify(text)}: ${time} ms`);
  }
  const message = "must be at most 20000 characters: current value is";
  assertThrows(() => tokenizer.encode("a".repeat(100_000)), RangeError, `its length ${message} 100000`);
  assertThrows(() => tokenizer.encode("a".repeat(20_001)), RangeError, `its length ${message} 20001`);
  assertThrows(
    () => tokenizer.encode("ﷺ".repeat(2000)),
    RangeError,
    `its length once normalised ${message} 36000`,
  );
  assertThrows(() => tokenizer.encode(5 as never), TypeError, "it must be a text: current value is 5");
});

Deno.test("TextTokenizer: files that lie are refused with what is wrong", async () => {
  const refused = async (bytes: Uint8Array, words: string, rows?: number): Promise<void> => {
    const error = await assertRejects(
      () => TextTokenizer.parse(bytes, "t5/tokenizer.json", rows === undefined ? {} : { rows }),
      ModelFileError,
      words,
    );
    assertEquals(error.file, "t5/tokenizer.json");
  };
  const text = (content: string): Uint8Array => new TextEncoder().encode(content);
  await refused(new Uint8Array(0), "expected the JSON of a tokenizer.json");
  await refused(text("{"), "expected the JSON of a tokenizer.json");
  await refused(Uint8Array.of(0xff, 0xfe), "expected the JSON of a tokenizer.json");
  await refused(text("[]"), "expected an object, found []");
  await refused(text("{}"), 'a model of type "Unigram", found nothing');
  await refused(new Uint8Array(2 ** 26 + 1), "at most 67108864 bytes");
  await refused(demoTokenizer, "at most 103 pieces, as many as the text encoder has rows, found 104", 103);

  const changes: readonly (readonly [words: string, change: Change])[] = [
    ['type "Unigram", found BPE', (file) => ({ ...file, model: { ...file.model, type: "BPE" } })],
    ['"unk_id": 2, found 0', (file) => ({ ...file, model: { ...file.model, unk_id: 0 } })],
    ["byte_fallback", (file) => ({ ...file, model: { ...file.model, byte_fallback: true } })],
    ['a list "model.vocab", found nothing', (file) => ({ ...file, model: { type: "Unigram" } })],
    ['"</s>" as piece 1, found x', (file) => (file.model.vocab[1][0] = "x", file)],
    ['"<pad>" as piece 0, found nothing', (file) => (file.model.vocab = [], file)],
    ['a piece "▁", found none', (file) => {
      for (const entry of file.model.vocab) if (entry[0] === "▁") entry[0] = "x";
      return file;
    }],
    ["pieces, each a text and a number", (file) => (file.model.vocab[9][1] = "1", file)],
    ["pieces, each a text and a number", (file) => (file.model.vocab[9] = null, file)],
    ["pieces, each a text and a number", (file) => (file.model.vocab[9][0] = "", file)],
    ["at most 1048576 pieces", (file) => (file.model.vocab = new Array(2 ** 20 + 1).fill(0), file)],
    ['a list "added_tokens"', (file) => (file.added_tokens = {}, file)],
    ["added tokens", (file) => (file.added_tokens[0].id = -1, file)],
    ["added tokens", (file) => (file.added_tokens[0].id = 2 ** 20, file)],
    ["added tokens", (file) => (file.added_tokens[0].content = "", file)],
    ["added tokens", (file) => (file.added_tokens[0].single_word = true, file)],
    ["added tokens", (file) => (file.added_tokens[0].normalized = true, file)],
    ['a normalizer "Precompiled"', (file) => ({ ...file, normalizer: { type: "Lowercase" } })],
    ['a normalizer "Precompiled"', (file) => {
      const pattern = { Regex: "(a+)+$" };
      return { ...file, normalizer: { type: "Replace", pattern, content: "" } };
    }],
    ["map of characters", (file) => (file.normalizer.precompiled_charsmap = "AAAA", file)],
    ['a pre-tokenizer "WhitespaceSplit"', (file) => ({ ...file, pre_tokenizer: null })],
    ['a pre-tokenizer "WhitespaceSplit"', (file) => {
      return { ...file, pre_tokenizer: { type: "Metaspace", prepend_scheme: "first" } };
    }],
    ['a pre-tokenizer "WhitespaceSplit"', (file) => {
      return { ...file, pre_tokenizer: { type: "Metaspace", replacement: "_" } };
    }],
  ];
  for (const [words, change] of changes) await refused(changedTokenizer(change), words);
});

Deno.test("TextTokenizer: as many rows as pieces are enough", async () => {
  const tokenizer = await TextTokenizer.parse(demoTokenizer, "tokenizer.json", { rows: 104 });
  assert(tokenizer.encode("a photo of a torus").every((id) => id < 104));
});
