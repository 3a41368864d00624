import { assertEquals, assertThrows } from "@std/assert";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { Charsmap } from "../../../models/text/charsmap.ts";
import { charsmapOfDemo } from "./text_fixtures.ts";

Deno.test("Charsmap: texts become what SentencePiece's map of NFKC says, with its oddities", () => {
  const map = Charsmap.parse(charsmapOfDemo(), "tokenizer.json");
  // What Python's `Precompiled` normalizer gives; the prompts of `tokenizer_test.ts` hold many more.
  const expected: Readonly<Record<string, string>> = {
    "": "",
    "plain": "plain",
    "Ａ ﬁ ½ …": "A fi 1⁄2 ...",
    "cafe\u0301": "café",
    "a\tb\u00a0c\r\nd": "a b c d",
    "\u0001a\u007f": "a",
    "a\u0000b": "a\u0000b",
    "a\ua7f1b\u0085": "aSb\u0085",
    "㋿": "令和",
    "o\u0344": "o\u0308\u0301",
    // A cluster whose beginning is known is replaced as a whole, its mark is lost.
    "²\u0301": "2",
    "…\u035b": "...",
    // Twice the bytes are too many for that.
    "²\u0301\u0302": "2\u0301\u0302",
    "👩\u200d🚀": "👩\u200d🚀",
    "red\u200d cube": "red\u200d cube",
  };
  for (const [text, wanted] of Object.entries(expected)) {
    assertEquals(map.normalize(text), wanted, JSON.stringify(text));
  }
});

Deno.test("Charsmap: bytes that are no map are refused", () => {
  const refused = (bytes: Uint8Array, words: string): void => {
    assertThrows(() => Charsmap.parse(bytes.toBase64(), "tokenizer.json"), ModelFileError, words);
  };
  assertThrows(() => Charsmap.parse("no base64!", "tokenizer.json"), ModelFileError, "expected base64");
  refused(new Uint8Array(0), "NaN bytes");
  refused(new Uint8Array(3), "NaN bytes");
  refused(new Uint8Array(8), "found 0 bytes");
  refused(Uint8Array.of(6, 0, 0, 0, 1, 2, 3, 4, 5, 6), "a multiple of 4");
  refused(new Uint8Array(20).fill(255), "found 4294967295 bytes");
  refused(Uint8Array.of(4, 0, 0, 0, 1, 2, 3, 4, 65), "a zero after the last text, found 65");
});

Deno.test("Charsmap: a damaged trie gives another text or an error that says so, and ends", () => {
  const whole = Uint8Array.fromBase64(charsmapOfDemo());
  const text = "a photo of ²\u0301 ｋｇ … ﷺ 東京 cafe\u0301";
  let errors = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const damaged = whole.slice();
    for (let i = 0; i < 4000; i++) damaged[4 + (seed * 7919 + i * 104_729) % 179_200] = seed * 31 + i;
    try {
      Charsmap.parse(damaged.toBase64(), "tokenizer.json").normalize(text);
    } catch (error) {
      if (!(error instanceof ModelFileError)) throw error;
      errors++;
    }
  }
  assertEquals(errors > 0, true);
});
