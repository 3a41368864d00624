/**
 * The `tokenizer.json` that a BERT's `vocab.txt` stands for, where only that is there. What such a file means
 * is left to `word_tokenizer.ts`.
 *
 * @module
 */

import { ModelFileError } from "../model_file_error.ts";

/** Tokens with a meaning of their own, which no text is divided into. */
const SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const;

/**
 * The tokenizer of a vocabulary, uncased: capitals and accents do not count, Chinese characters are words of
 * their own, and a text stands between `[CLS]` and `[SEP]`.
 *
 * @param bytes Content of a `vocab.txt`: a piece on each line, whose number is its id.
 * @param file Its path or URL, for messages.
 * @returns Content of a `tokenizer.json`.
 * @throws {ModelFileError} If it is no text, or a special token is missing.
 *
 * @example
 * ```ts
 * import { bertTokenizerFile } from "./bert_vocabulary.ts";
 * import { openTokenizer } from "./word_tokenizer.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "cone", "##s"];
 * const file = bertTokenizerFile(new TextEncoder().encode(lines.join("\n")), "vocab.txt");
 * const tokenizer = await openTokenizer(file, "vocab.txt", { length: 8 });
 * assertEquals(tokenizer.encode("Red cones").ids, [2, 5, 6, 7, 3]);
 * ```
 */
export function bertTokenizerFile(bytes: Uint8Array, file: string): Uint8Array<ArrayBuffer> {
  const refuse = (expected: string, found: string): ModelFileError => {
    return new ModelFileError("Cannot use the vocabulary", { file, expected, found });
  };
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw refuse("pieces, one on each line", (error as Error).message);
  }
  const pieces = text.replace(/\r?\n$/, "").split(/\r?\n/);
  const vocabulary = new Map(pieces.map((piece, id) => [piece, id]));
  const missing = SPECIAL.find((token) => !vocabulary.has(token));
  if (missing !== undefined) throw refuse(`a line "${missing}"`, `none among ${pieces.length}`);
  const special = (token: typeof SPECIAL[number]): [string, number] => [token, vocabulary.get(token)!];
  const whole = { special: true, single_word: false, lstrip: false, rstrip: false, normalized: false };
  return new TextEncoder().encode(JSON.stringify({
    added_tokens: SPECIAL.map((content) => ({ id: vocabulary.get(content), content, ...whole })),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: { type: "BertProcessing", cls: special("[CLS]"), sep: special("[SEP]") },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(vocabulary),
    },
  }));
}
