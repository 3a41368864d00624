/**
 * Prompts to the tokens that T5 knows, by the `tokenizer.json` that is published with it: the ids are those
 * of Python's fast tokenizer. The door to `@huggingface/tokenizers`, which finds the likeliest pieces of a
 * word and the special tokens in a text. How a text is normalised and where it is divided is done here, as
 * the package, which has the engine's NFKC and white space, differs from Python there.
 *
 * @module
 */

import { mustBe, requireText } from "../../kernels/arguments.ts";
import { asFound, ModelFileError } from "../model_file_error.ts";
import { Charsmap } from "./charsmap.ts";

/** Tokens of a prompt at most, the last one of which is {@linkcode END}. */
export const PROMPT_TOKENS = 512;
/**
 * Characters (units of UTF-16) of a prompt at most, before it is normalised and after: ten times what 512
 * tokens of English have, and little enough for an answer within a second whatever it consists of.
 */
export const PROMPT_CHARACTERS = 20_000;

/** Pieces that T5 has at these places: padding, the end of a text, and what no piece fits. */
const SPECIAL = ["<pad>", "</s>", "<unk>"] as const;
/** Id of the end of a text. */
const END = 1;
/** Id of what no piece fits. */
const UNKNOWN = 2;
/** Stands for a space, and in front of every text. */
const SPACE = "▁";

/** Bytes that a `tokenizer.json` may have; T5's has 2.4 million, those of a hundred languages have 17. */
const FILE_BYTES = 1 << 26;
/** Pieces that it may have; T5 has 32 100, those of a hundred languages have 250 100. */
const MAX_PIECES = 1 << 20;

/** Options of {@linkcode TextTokenizer.parse}. */
export interface ParseTokenizerOptions {
  /** Rows of the embedding that the ids are for; by default any number. */
  readonly rows?: number;
}

/** Changes a text. */
type Step = (text: string) => string;
/** Divides a normalised text into words. */
type Division = (text: string) => string[];

/** A part of the file as JSON has it. */
type Json = Readonly<Record<string, unknown>>;

/**
 * The tokenizer of a T5.
 *
 * @example
 * ```ts
 * import { TextTokenizer } from "./tokenizer.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const words = ["▁", "▁a", "▁red", "▁cone"].map((word) => [word, -2]);
 * const file = {
 *   added_tokens: [],
 *   normalizer: null,
 *   pre_tokenizer: { type: "Metaspace" },
 *   model: { type: "Unigram", unk_id: 2, vocab: [["<pad>", 0], ["</s>", 0], ["<unk>", 0], ...words] },
 * };
 * const bytes = new TextEncoder().encode(JSON.stringify(file));
 * const tokenizer = await TextTokenizer.parse(bytes, "tokenizer.json");
 * assertEquals(tokenizer.encode("a red cone"), [4, 5, 6, 1]);
 * assertEquals(tokenizer.encode(""), [1]);
 * ```
 */
export class TextTokenizer {
  readonly #ids: (text: string) => number[];

  private constructor(ids: (text: string) => number[]) {
    this.#ids = ids;
  }

  /**
   * Reads a tokenizer.
   *
   * @param bytes Content of a `tokenizer.json`.
   * @param file Its path or URL, for messages.
   * @throws {ModelFileError} If it is no tokenizer of a T5, or one for more rows than there are.
   */
  static async parse(
    bytes: Uint8Array,
    file: string,
    options: ParseTokenizerOptions = {},
  ): Promise<TextTokenizer> {
    const content = readTokenizerFile(bytes, file);
    requirePieces(content, file, options);
    const normalize = normalization(content.normalizer, file);
    const divide = division(content.pre_tokenizer, file);
    const { Normalizer, PreTokenizer, Tokenizer } = await loadTokenizers();
    const none = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
    const tokenizer = new Tokenizer({ ...content, ...none }, {});
    tokenizer.normalizer = new class extends Normalizer {
      override normalize(text: string): string {
        const normal = requirePromptLength(normalize(text), "its length once normalised");
        // The package would take `＜/s＞`, which has become `</s>`, for the special token. Words begin with a
        // space anyway.
        return normal === "" || /^[ ▁]/.test(normal) ? normal : ` ${normal}`;
      }
    }({ type: "Precompiled" } as never);
    tokenizer.pre_tokenizer = new class extends PreTokenizer {
      override pre_tokenize_text(text: string): string[] {
        return divide(text);
      }
    }();
    return new TextTokenizer((text) => tokenizer.encode(text, { add_special_tokens: false }).ids);
  }

  /**
   * The ids of a prompt: at most 511, and then the end. What is written like a special token is one, as in
   * Python.
   *
   * @throws {TypeError} If the prompt is no text.
   * @throws {RangeError} If it has more than {@linkcode PROMPT_CHARACTERS} characters, before or after it is
   * normalised.
   */
  encode(prompt: string): number[] {
    requireText(prompt, "it", "encode a prompt");
    const text = requirePromptLength(prompt).toWellFormed();
    return [...this.#ids(text).slice(0, PROMPT_TOKENS - 1), END];
  }
}

/** The package. Loaded when there is a tokenizer, which most programs never have. */
export function loadTokenizers(): Promise<typeof import("npm:@huggingface/tokenizers@0.2.0")> {
  return import("npm:@huggingface/tokenizers@0.2.0");
}

/**
 * Checks that a text is not too long to be encoded, which whoever takes one can do before anything is.
 *
 * @returns The text.
 * @throws {RangeError} If it has more than {@linkcode PROMPT_CHARACTERS} characters.
 */
export function requirePromptLength(text: string, name = "its length"): string {
  if (text.length <= PROMPT_CHARACTERS) return text;
  throw new RangeError(
    mustBe(`at most ${PROMPT_CHARACTERS} characters`, text.length, name, "encode a prompt"),
  );
}

/** An error about the file. */
function refusal(file: string, expected: string, found: unknown): ModelFileError {
  return new ModelFileError("Cannot use the text tokenizer", { file, expected, found: asFound(found) });
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * What a `tokenizer.json` holds.
 *
 * @throws {ModelFileError} If it is no JSON, no object or too long.
 */
export function readTokenizerFile(bytes: Uint8Array, file: string): Json {
  if (bytes.length > FILE_BYTES) throw refusal(file, `at most ${FILE_BYTES} bytes`, `${bytes.length}`);
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw refusal(file, "the JSON of a tokenizer.json", (error as Error).message);
  }
  if (isObject(content)) return content;
  throw refusal(file, "an object", content);
}

/**
 * Checks the pieces and the special tokens.
 *
 * @throws {ModelFileError} If they are not those of a T5, or more than there are rows.
 */
function requirePieces(
  { model, added_tokens: added = [] }: Json,
  file: string,
  { rows }: ParseTokenizerOptions,
): void {
  const type = isObject(model) ? model.type : undefined;
  if (!isObject(model) || type !== "Unigram") throw refusal(file, 'a model of type "Unigram"', type);
  const { vocab, unk_id: unknown, byte_fallback: bytewise = false } = model;
  if (!Array.isArray(vocab)) throw refusal(file, 'a list "model.vocab"', vocab);
  if (vocab.length > MAX_PIECES) throw refusal(file, `at most ${MAX_PIECES} pieces`, vocab.length);
  const most = rows ?? MAX_PIECES;
  if (vocab.length > most) {
    throw refusal(file, `at most ${most} pieces, as many as the text encoder has rows`, vocab.length);
  }
  const pieces = new Set<string>();
  for (const entry of vocab) {
    const [piece, score] = Array.isArray(entry) ? entry : [];
    if (typeof piece !== "string" || piece === "" || !Number.isFinite(score)) {
      throw refusal(file, "pieces, each a text and a number", entry);
    }
    pieces.add(piece);
  }
  for (const [id, piece] of SPECIAL.entries()) {
    if (vocab[id]?.[0] !== piece) throw refusal(file, `"${piece}" as piece ${id}`, vocab[id]?.[0]);
  }
  if (unknown !== UNKNOWN) throw refusal(file, `"unk_id": ${UNKNOWN}`, unknown);
  if (bytewise !== false) throw refusal(file, '"byte_fallback": false', bytewise);
  if (!pieces.has(SPACE)) throw refusal(file, `a piece "${SPACE}"`, `none among ${vocab.length}`);
  if (!Array.isArray(added)) throw refusal(file, 'a list "added_tokens"', added);
  for (const token of added) {
    const { id, content, single_word: alone = false, normalized = false } = isObject(token) ? token : {};
    const isId = Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < most;
    if (!isId || typeof content !== "string" || content === "" || alone !== false || normalized !== false) {
      throw refusal(file, `added tokens, each a text and an id below ${most}, as they are written`, token);
    }
  }
}

/**
 * How a text is normalised: by a map of characters, and in files that were made in later years by what
 * follows it.
 *
 * @throws {ModelFileError} If it is done in another way.
 */
function normalization(normalizer: unknown, file: string): Step {
  if (normalizer === null || normalizer === undefined) return (text) => text;
  const { type, normalizers } = isObject(normalizer) ? normalizer : {};
  const list = type === "Sequence" && Array.isArray(normalizers) ? normalizers : [normalizer];
  const steps = list.map((each) => normalizationStep(each, file));
  return (text) => steps.reduce((result, step) => step(result), text);
}

function normalizationStep(normalizer: unknown, file: string): Step {
  const { type, ...settings } = isObject(normalizer) ? normalizer : {};
  if (type === "Precompiled" && typeof settings.precompiled_charsmap === "string") {
    const map = Charsmap.parse(settings.precompiled_charsmap, file);
    return (text) => map.normalize(text);
  }
  if (type === "Strip") {
    const { strip_left: left, strip_right: right } = settings;
    return (text) => {
      const begun = left === true ? text.replace(/^\p{White_Space}+/u, "") : text;
      return right === true ? trimEnd(begun) : begun;
    };
  }
  const { pattern, content } = settings;
  const spaces = isObject(pattern) ? pattern.Regex : undefined;
  if (type === "Replace" && spaces === " {2,}" && typeof content === "string") {
    return (text) => text.replaceAll(/ {2,}/g, () => content);
  }
  throw refusal(file, 'a normalizer "Precompiled", "Strip" or "Replace" of spaces', normalizer);
}

/** Without white space at the end. A pattern would try each space of a long row of them anew. */
function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}

/**
 * How a normalised text is divided into words.
 *
 * @throws {ModelFileError} If it is done in another way.
 */
function division(divider: unknown, file: string): Division {
  const { type, pretokenizers } = isObject(divider) ? divider : {};
  const list = type === "Sequence" && Array.isArray(pretokenizers) ? pretokenizers : [divider];
  const steps = list.map((each): Division => {
    const { type, ...settings } = isObject(each) ? each : {};
    if (type === "WhitespaceSplit") {
      return (text) => text.split(/\p{White_Space}+/u).filter((word) => word !== "");
    }
    const { replacement = SPACE, prepend_scheme: when = "always", split = true } = settings;
    const { add_prefix_space: prefixed = true } = settings;
    if (
      type === "Metaspace" && replacement === SPACE && when === "always" && prefixed === true &&
      split === true
    ) {
      return (text) => {
        const spaced = text.replaceAll(" ", SPACE);
        return (spaced.startsWith(SPACE) ? spaced : SPACE + spaced).match(/▁[^▁]*/gu) ?? [];
      };
    }
    throw refusal(
      file,
      `a pre-tokenizer "WhitespaceSplit" or "Metaspace" with "${SPACE}" before all words`,
      each,
    );
  });
  return (text) => steps.reduce((words, step) => words.flatMap(step), [text]);
}
