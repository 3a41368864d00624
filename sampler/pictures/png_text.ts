/**
 * Texts in PNG files, such as the recipe of a picture: written beside pixels that are encoded already, and
 * read within bounds, as a file may come from anybody (W3C PNG specification, third edition, section 11.3.3).
 * What the texts say is left to who writes them.
 *
 * @module
 */

import { deflateSync, inflateSync } from "node:zlib";
import { mustBe, requireInteger, requireOptions, requireText } from "../../kernels/arguments.ts";
import { makeChunk, pngChunks, requireChecksum } from "./png_chunks.ts";

/** Texts of so many bytes and more are compressed, as the specification recommends. */
const COMPRESSED_FROM = 1024;
/** Bytes of a keyword at most. */
const KEYWORD_BYTES = 79;
/** Bytes of a text that is read, unless more are asked for. */
const TEXT_BYTES = 2 ** 24;

/**
 * A PNG file with a text under a keyword, in place of those that it had under that keyword. Pixels and all
 * other chunks stay as they are, and the same text gives the same bytes.
 *
 * The text is an iTXt chunk behind the header: in UTF-8, and compressed from 1024 bytes on. Pillow opens no
 * file with a text of more than 2^20 bytes.
 *
 * @param png The file.
 * @param keyword 1 to 79 printable characters of Latin-1, without spaces at the ends or two in a row. Some
 * have a meaning for other programs, such as `Title`, `Author`, `Description` and `Comment`.
 * @param text The text; `undefined` removes those that are there.
 * @throws {TypeError} If the bytes are no PNG file, the keyword is none, or the text has a character U+0000
 * or half of a surrogate pair.
 *
 * @example
 * ```ts
 * import { RgbaImage } from "./image.ts";
 * import { readPngText, withPngText } from "./png_text.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const bare = new RgbaImage(2, 2).png();
 * const png = withPngText(bare, "Title", "Nachtstück");
 * assertEquals(readPngText(png, "Title"), "Nachtstück");
 * assertEquals(withPngText(png, "Title", undefined), bare);
 * ```
 */
export function withPngText(
  png: Uint8Array,
  keyword: string,
  text: string | undefined,
): Uint8Array<ArrayBuffer> {
  const action = "write a text into a PNG";
  requireKeyword(keyword, action);
  const parts: Uint8Array[] = [];
  let kept = 0;
  for (const chunk of chunksOf(png, action)) {
    // The header is the first of all chunks.
    const follows = kept === 0 && text !== undefined;
    const goes = keywordOf(chunk) === keyword;
    if (!follows && !goes) continue;
    parts.push(png.subarray(kept, goes ? chunk.start : chunk.end));
    if (follows) parts.push(makeChunk("iTXt", textData(keyword, text, action)));
    kept = chunk.end;
  }
  parts.push(png.subarray(kept));
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** How {@linkcode readPngText} reads. */
export interface ReadPngTextOptions {
  /** Bytes that the text has at most, decompressed; 2^24 by default. */
  limit?: number;
}

/**
 * The first text that a PNG file has under a keyword, or `undefined` if it has none: from a chunk tEXt, zTXt
 * or iTXt, in front of the pixels or behind them. Texts under other keywords are not looked at, whatever
 * state they are in. Nothing beyond the limit is ever decompressed.
 *
 * @throws {TypeError} If the bytes are no PNG file, end before the text does or without having it, or the
 * text is damaged or larger than the limit.
 *
 * @example
 * ```ts
 * import { RgbaImage } from "./image.ts";
 * import { readPngText } from "./png_text.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const png = new RgbaImage(2, 2).png({ text: { Comment: "x".repeat(5000) } });
 * assertEquals(readPngText(png, "Comment")?.length, 5000);
 * assertEquals(readPngText(png, "Author"), undefined);
 * assertThrows(() => readPngText(png, "Comment", { limit: 4999 }), TypeError, "4999 bytes");
 * ```
 */
export function readPngText(
  png: Uint8Array,
  keyword: string,
  options: ReadPngTextOptions = {},
): string | undefined {
  const action = `read the text "${keyword}" of a PNG`;
  requireKeyword(keyword, action);
  requireOptions(options, ["limit"], action);
  const { limit = TEXT_BYTES } = options;
  requireInteger(limit, "limit", action, { min: 1 });
  for (const chunk of chunksOf(png, action)) {
    if (keywordOf(chunk) !== keyword) continue;
    try {
      requireChecksum(png, chunk);
      return textOf(chunk, keyword.length, limit);
    } catch (cause) {
      throw new TypeError(`Cannot ${action} as ${(cause as Error).message}`, { cause });
    }
  }
  return undefined;
}

/** The chunks; what is wrong with the file is wrong with the argument. */
function* chunksOf(png: Uint8Array, action: string): ReturnType<typeof pngChunks> {
  if (!(png instanceof Uint8Array)) throw new TypeError(mustBe("a Uint8Array", png, "the file", action));
  try {
    yield* pngChunks(png);
  } catch (cause) {
    throw new TypeError(`Cannot ${action} of ${png.length} bytes: ${(cause as Error).message}`, { cause });
  }
}

function requireKeyword(keyword: string, action: string): void {
  requireText(keyword, "the keyword", action);
  // Latin-1 without its control characters and without its space that does not break.
  const printable = /^[\x21-\x7e\xa1-\xff]+( [\x21-\x7e\xa1-\xff]+)*$/.test(keyword);
  if (printable && keyword.length <= KEYWORD_BYTES) return;
  const wanted = `1 to ${KEYWORD_BYTES} printable characters of Latin-1, with single spaces between them`;
  throw new TypeError(mustBe(wanted, keyword, "the keyword", action));
}

/** The keyword of a chunk with a text; `undefined` of another chunk. */
function keywordOf({ type, data }: { readonly type: string; readonly data: Uint8Array }): string | undefined {
  if (type !== "tEXt" && type !== "zTXt" && type !== "iTXt") return undefined;
  const end = data.indexOf(0);
  if (end < 1 || end > KEYWORD_BYTES) return undefined;
  return latin1(data.subarray(0, end));
}

/** What the chunk iTXt holds: keyword, how it is compressed, no language and no translated keyword, text. */
function textData(keyword: string, text: string, action: string): Uint8Array {
  requireText(text, "the text", action);
  if (!text.isWellFormed() || text.includes("\0")) {
    throw new TypeError(mustBe("of whole characters other than U+0000", text, "the text", action));
  }
  const plain = new TextEncoder().encode(text);
  const compressed = plain.length >= COMPRESSED_FROM;
  const body = compressed ? deflateSync(plain) : plain;
  const data = new Uint8Array(keyword.length + 5 + body.length);
  for (let i = 0; i < keyword.length; i++) data[i] = keyword.charCodeAt(i);
  data[keyword.length + 1] = compressed ? 1 : 0;
  data.set(body, keyword.length + 5);
  return data;
}

/** The text of a chunk behind its keyword. Throws an `Error` that says what is wrong with it. */
function textOf(
  { type, data }: { readonly type: string; readonly data: Uint8Array },
  keywordLength: number,
  limit: number,
): string {
  let at = keywordLength + 1;
  if (type === "tEXt") return latin1(within(data.subarray(at), limit));
  const compressed = type === "zTXt" || data[at++] === 1;
  // Of both types, this byte names the method, of which there is one.
  if (compressed && data[at] !== 0) throw new Error(`its compression ${data[at]} is unknown`);
  at++;
  if (type === "zTXt") return latin1(inflated(data.subarray(at), limit));
  for (let skipped = 0; skipped < 2; skipped++) {
    const end = data.indexOf(0, at);
    if (end < 0) throw new Error("it has no language and no translated keyword");
    at = end + 1;
  }
  const rest = data.subarray(at);
  const bytes = compressed ? inflated(rest, limit) : within(rest, limit);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Error("it is no text in UTF-8");
  }
}

function within(bytes: Uint8Array, limit: number): Uint8Array {
  if (bytes.length <= limit) return bytes;
  throw new Error(`it must have at most ${limit} bytes: current number is ${bytes.length}`);
}

function inflated(bytes: Uint8Array, limit: number): Uint8Array {
  try {
    return inflateSync(bytes, { maxOutputLength: limit });
  } catch (error) {
    if ((error as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE") {
      throw new Error(`it must have at most ${limit} bytes, and decompresses to more`);
    }
    throw new Error("its compressed bytes are damaged");
  }
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) {
    text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  }
  return text;
}
