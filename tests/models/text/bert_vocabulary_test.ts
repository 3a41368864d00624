import { assertEquals, assertThrows } from "@std/assert";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { bertTokenizerFile } from "../../../models/text/bert_vocabulary.ts";
import { openTokenizer } from "../../../models/text/word_tokenizer.ts";

const FOLDER = new URL("../../fixtures/vision/", import.meta.url);
const VOCABULARY = await Deno.readFile(new URL("bert_vocab.txt", FOLDER));

Deno.test("bertTokenizerFile: ids are those of Python's tokenizer", async () => {
  const recorded = JSON.parse(await Deno.readTextFile(new URL("bert_tokens.json", FOLDER)));
  const tokenizer = await openTokenizer(bertTokenizerFile(VOCABULARY, "vocab.txt"), "vocab.txt", {
    length: 35,
  });
  for (const [i, text] of recorded.texts.entries()) {
    assertEquals(tokenizer.encode(text).ids, recorded.ids[i], JSON.stringify(text));
  }
});

Deno.test("bertTokenizerFile: lines may end as on Windows, and the last one need not", () => {
  const text = new TextDecoder().decode(VOCABULARY);
  const file = bertTokenizerFile(VOCABULARY, "vocab.txt");
  for (const other of [text.replaceAll("\n", "\r\n"), text.trimEnd()]) {
    assertEquals(bertTokenizerFile(new TextEncoder().encode(other), "vocab.txt"), file);
  }
});

Deno.test("bertTokenizerFile: what is no vocabulary is refused", () => {
  const refuses = (bytes: Uint8Array, message: string): void => {
    assertThrows(() => bertTokenizerFile(bytes, "vocab.txt"), ModelFileError, message);
  };
  refuses(new TextEncoder().encode("[PAD]\n[UNK]\na"), 'expected a line "[CLS]", found none among 3');
  refuses(new Uint8Array([0xff]), "expected pieces, one on each line");
});
