/**
 * Texts to the ids that a network beside a model takes, such as one that judges pictures: by the
 * `tokenizer.json` that is published with a BERT, a CLIP or a T5, cut to a length and filled up to it. The
 * rules of a model's own text encoder are left to `tokenizer.ts`.
 *
 * @module
 */

import { requireInteger, requireText } from "../../kernels/arguments.ts";
import { asFound, ModelFileError } from "../model_file_error.ts";
import { loadTokenizers, readTokenizerFile, requirePromptLength, TextTokenizer } from "./tokenizer.ts";

/** Options of {@linkcode openTokenizer}. */
export interface OpenTokenizerOptions {
  /** Ids of a text at most, special ones among them; what is longer is cut in front of those at its end. */
  readonly length: number;
  /** Id that fills a shorter text up to the length; without it, texts are as long as they are. */
  readonly pad?: number;
  /** Rows of the embedding that the ids are for; by default any number. */
  readonly rows?: number;
}

/** Ids of a text. */
export interface TextIds {
  /** The ids, filled up if that was asked for. */
  readonly ids: readonly number[];
  /** How many of them are the text's. */
  readonly count: number;
}

/** What turns texts into ids. */
export interface WordTokenizer {
  /**
   * The ids of a text.
   *
   * @throws {TypeError} If it is no text.
   * @throws {RangeError} If it has more characters than a tokenizer takes.
   */
  encode(text: string): TextIds;
}

/** A part of the file as JSON has it. */
type Json = Readonly<Record<string, unknown>>;

const ACTION = "open the tokenizer";

/**
 * Opens a tokenizer, whose ids are those of Python's fast one. Of all characters up to U+2FFFF, 22 letters of
 * recent scripts are others in CLIP's layout, and in BERT's 119 such ones and the ideographs from U+20000 on.
 *
 * @param bytes Content of a `tokenizer.json`.
 * @param file Its path or URL, for messages.
 * @throws {ModelFileError} If it is no tokenizer of words or pieces, or one for more rows than there are.
 * @throws {RangeError} If the length leaves no room for a text, or an option is no integer in range.
 *
 * @example
 * ```ts
 * import { openTokenizer } from "./word_tokenizer.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const file = {
 *   added_tokens: [],
 *   normalizer: { type: "BertNormalizer", lowercase: true },
 *   pre_tokenizer: { type: "BertPreTokenizer" },
 *   post_processor: { type: "BertProcessing", cls: ["[CLS]", 2], sep: ["[SEP]", 3] },
 *   model: {
 *     type: "WordPiece",
 *     unk_token: "[UNK]",
 *     continuing_subword_prefix: "##",
 *     vocab: { "[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "red": 4, "cone": 5, "##s": 6 },
 *   },
 * };
 * const bytes = new TextEncoder().encode(JSON.stringify(file));
 * const tokenizer = await openTokenizer(bytes, "tokenizer.json", { length: 6, pad: 0 });
 * assertEquals(tokenizer.encode("Red cones"), { ids: [2, 4, 5, 6, 3, 0], count: 5 });
 * ```
 */
export async function openTokenizer(
  bytes: Uint8Array,
  file: string,
  { length, pad, rows }: OpenTokenizerOptions,
): Promise<WordTokenizer> {
  requireInteger(length, "length", ACTION, { min: 1 });
  if (pad !== undefined) requireInteger(pad, "pad", ACTION, { min: 0 });
  const content = readTokenizerFile(bytes, file);
  const { model } = content;
  const type = isObject(model) ? model.type : undefined;
  const fill = (ids: readonly number[]): TextIds => {
    const filling = pad === undefined ? 0 : length - ids.length;
    return { ids: [...ids, ...new Array<number>(filling).fill(pad ?? 0)], count: ids.length };
  };
  if (type === "Unigram") {
    const tokenizer = await TextTokenizer.parse(bytes, file, rows === undefined ? {} : { rows });
    return {
      encode: (text) => {
        const ids = tokenizer.encode(text);
        return fill(ids.length <= length ? ids : [...ids.slice(0, length - 1), ids.at(-1)!]);
      },
    };
  }
  if (type !== "WordPiece" && type !== "BPE") {
    throw refusal(file, 'a model of type "WordPiece", "BPE" or "Unigram"', type);
  }
  requireVocabulary(model as Json, file, rows);
  const { before, after } = frame(content.post_processor, file);
  const room = length - before.length - after.length;
  requireInteger(room, `length beside ${before.length + after.length} special ids`, ACTION, { min: 1 });
  const { Tokenizer } = await loadTokenizers();
  let tokenizer: InstanceType<typeof Tokenizer>;
  try {
    tokenizer = new Tokenizer({ ...content, post_processor: null, decoder: null }, {});
  } catch (error) {
    throw refusal(file, "a tokenizer.json of tokenizers", (error as Error).message);
  }
  return {
    encode: (text) => {
      requireText(text, "it", "encode a text");
      const { ids } = tokenizer.encode(requirePromptLength(text).toWellFormed(), {
        add_special_tokens: false,
      });
      return fill([...before, ...ids.slice(0, room), ...after]);
    },
  };
}

/** An error about the file. */
function refusal(file: string, expected: string, found: unknown): ModelFileError {
  return new ModelFileError("Cannot use the tokenizer", { file, expected, found: asFound(found) });
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Checks that the vocabulary is one, and no larger than there are rows.
 *
 * @throws {ModelFileError} If it is not.
 */
function requireVocabulary({ vocab }: Json, file: string, rows: number = Infinity): void {
  if (!isObject(vocab)) throw refusal(file, 'an object "model.vocab"', vocab);
  const odd = Object.entries(vocab).find(([, id]) => {
    return !Number.isSafeInteger(id) || (id as number) < 0 || (id as number) >= rows;
  });
  if (odd === undefined) return;
  const most = rows === Infinity ? "" : ` below ${rows}, the rows that the network has`;
  throw refusal(file, `ids${most}`, `${odd[1]} for "${odd[0]}"`);
}

/** Special ids around a text. */
interface Frame {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/**
 * What is put around a text.
 *
 * @throws {ModelFileError} If that is done in another way than by special ids before and after it.
 */
function frame(processor: unknown, file: string): Frame {
  if (processor === null || processor === undefined) return { before: [], after: [] };
  const { type, ...settings } = isObject(processor) ? processor : {};
  const id = (named: unknown): number => {
    if (Array.isArray(named) && Number.isSafeInteger(named[1]) && named[1] >= 0) return named[1];
    throw refusal(file, "a special token and its id", named);
  };
  switch (type) {
    case "BertProcessing":
    case "RobertaProcessing":
      return { before: [id(settings.cls)], after: [id(settings.sep)] };
    case "ByteLevel":
      return { before: [], after: [] };
    case "Sequence": {
      const { processors } = settings;
      if (!Array.isArray(processors)) throw refusal(file, 'a list "processors"', processors);
      return processors.map((each) => frame(each, file)).reduce((inner, outer) => ({
        before: [...outer.before, ...inner.before],
        after: [...inner.after, ...outer.after],
      }), { before: [], after: [] });
    }
    case "TemplateProcessing":
      return template(settings, file);
    default:
      throw refusal(
        file,
        'a post-processor "TemplateProcessing", "BertProcessing" or "RobertaProcessing"',
        type,
      );
  }
}

/** What a template puts around a text. */
function template({ single, special_tokens: tokens }: Json, file: string): Frame {
  const places = Array.isArray(single) ? single : [];
  const at = places.findIndex((place) => isObject(place) && "Sequence" in place);
  if (at < 0) throw refusal(file, 'a template "single" with a sequence', single);
  const ids = (part: readonly unknown[]): number[] =>
    part.flatMap((place) => {
      const { SpecialToken: token } = isObject(place) ? place : {};
      const name = isObject(token) ? String(token.id) : "";
      const known = isObject(tokens) ? tokens[name] : undefined;
      if (isObject(known) && Array.isArray(known.ids) && known.ids.every(Number.isSafeInteger)) {
        return known.ids as number[];
      }
      throw refusal(file, "special tokens with their ids around one sequence", place);
    });
  return { before: ids(places.slice(0, at)), after: ids(places.slice(at + 1)) };
}
