/**
 * The map of characters that a SentencePiece model normalises by, as `tokenizer.json` holds it: a trie over
 * UTF-8 and the texts that its leaves point at. Applied as the Python tokenizers apply it, for which the NFKC
 * of the engine is no stand-in: the map may be of an older Unicode, and some sequences are not treated as the
 * standard says.
 *
 * The layout: the trie's bytes as u32, its units (a double array of the Darts-clone kind), the texts, each
 * ended by a zero.
 *
 * @module
 */

import { ModelFileError } from "../model_file_error.ts";

/** Only clusters of fewer bytes are looked up whole. */
const CLUSTER_BYTES = 6;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * A map of characters.
 *
 * @example A map that knows one thing: `A` becomes `a`
 * ```ts
 * import { Charsmap } from "./charsmap.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const units = new Uint32Array(0x300);
 * units[0] = 1 << 10; // children of the root lie at 1 ^ byte
 * units[1 ^ 0x41] = 0x41 | 1 << 8 | 2 << 10; // a leaf, whose value lies 2 further
 * const trie = new Uint8Array(Uint32Array.of(4 * units.length, ...units).buffer);
 * const map = Charsmap.parse(Uint8Array.of(...trie, 0x61, 0).toBase64(), "tokenizer.json");
 * assertEquals(map.normalize("A BAD CAT"), "a BaD CaT");
 * ```
 */
export class Charsmap {
  readonly #file: string;
  readonly #units: Uint32Array;
  readonly #texts: Uint8Array;
  readonly #clusters = new Intl.Segmenter("en", { granularity: "grapheme" });

  private constructor(file: string, units: Uint32Array, texts: Uint8Array) {
    this.#file = file;
    this.#units = units;
    this.#texts = texts;
  }

  /**
   * Reads a map.
   *
   * @param base64 Its bytes, as `tokenizer.json` holds them.
   * @param file Path or URL of that file, for messages.
   * @throws {ModelFileError} If they are no such map.
   */
  static parse(base64: string, file: string): Charsmap {
    const refuse = (expected: string, found: string): never => {
      throw new ModelFileError("Cannot read the tokenizer's map of characters", { file, expected, found });
    };
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = Uint8Array.fromBase64(base64);
    } catch (error) {
      return refuse("base64", (error as Error).message);
    }
    const most = bytes.length - 4;
    const length = most < 0 ? NaN : new DataView(bytes.buffer).getUint32(0, true);
    if (!(length >= 4 && length % 4 === 0 && length <= most)) {
      return refuse(`a trie of 4 to ${Math.max(0, most)} bytes, a multiple of 4`, `${length} bytes`);
    }
    if (length < most && bytes.at(-1) !== 0) return refuse("a zero after the last text", `${bytes.at(-1)}`);
    return new Charsmap(file, new Uint32Array(bytes.buffer.slice(4, 4 + length)), bytes.slice(4 + length));
  }

  /**
   * Normalises a text. Of a cluster of characters that belong together (a letter with its marks, say) the
   * map's entry for any beginning stands for all of it, as long as the cluster is short; else each character
   * is looked up alone. So `²` with an accent becomes `2` without, which is odd, and what models were trained
   * with.
   *
   * @throws {ModelFileError} If the map points nowhere.
   */
  normalize(text: string): string {
    let result = "";
    for (const { segment } of this.#clusters.segment(text)) {
      const bytes = encoder.encode(segment);
      const whole = bytes.length < CLUSTER_BYTES ? this.#find(bytes) : undefined;
      if (whole !== undefined) result += whole;
      else for (const character of segment) result += this.#find(encoder.encode(character)) ?? character;
    }
    return result;
  }

  /** What the shortest beginning that the trie knows becomes. */
  #find(bytes: Uint8Array): string | undefined {
    let place = offsetOf(this.#units[0]!);
    for (const byte of bytes) {
      // Zero marks the leaves, and no text has an entry for it.
      if (byte === 0) return undefined;
      place ^= byte;
      const unit = this.#units[place];
      if (unit === undefined || (unit & 0x800000ff) !== byte) return undefined;
      place ^= offsetOf(unit);
      if ((unit & 0x100) !== 0) return this.#text((this.#units[place] ?? NaN) & 0x7fffffff);
    }
    return undefined;
  }

  #text(begin: number): string {
    const end = this.#texts.indexOf(0, begin);
    if (end >= 0) return decoder.decode(this.#texts.subarray(begin, end));
    throw new ModelFileError("Cannot use the tokenizer's map of characters", {
      file: this.#file,
      expected: `texts within ${this.#texts.length} bytes`,
      found: `one at ${begin}`,
    });
  }
}

/** How far a unit's children lie from it; wide ones count in steps of 256. */
function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}
