/**
 * How many columns of a terminal a text takes: two where East Asian scripts and emoji are drawn wide, none
 * for what is drawn onto the character before it. The `unicodeWidth` of @std/cli would be for this, but its
 * package on npm, deno-std 1.4.0, lacks the table that it reads.
 *
 * @module
 */

/**
 * A character of two columns: Unicode's East Asian Width W and F, said by scripts and by the blocks of their
 * signs. Of what Unicode calls wide, Tangut, Nushu and some 250 signs, of divination above all, are left out.
 */
const WIDE =
  /^[[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\p{sc=Bopomofo}\p{sc=Yi}\p{Emoji_Presentation}\u2ff0-\u33ff\ufe10-\ufe6f\uff01-\uff60\uffe0-\uffe6]--[\u1160-\u11ff\uff61-\uffdc]]/v;
/** A character of no column of its own. */
const SILENT = /^[\p{Mark}\p{Control}\p{Default_Ignorable_Code_Point}]/u;
/**
 * What needs no look at its characters: Latin letters, punctuation, arrows, and signs of mathematics. The
 * first look costs 10 ms, by which each help text would be slower.
 */
const PLAIN = /^[ -~\xa0-\xac\xae-\u02ff\u2010-\u2027\u2190-\u22ff]*$/;

/**
 * Columns that a text takes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(["torus", "ドーナツ", "cafe\u0301"].map(textWidth), [5, 8, 4]);
 * ```
 */
export function textWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  return Array.from(charactersOf(text), ({ segment }) => characterWidth(segment))
    .reduce((sum, width) => sum + width, 0);
}

/** What a person takes for one character each. */
function charactersOf(text: string): Intl.Segments {
  return new Intl.Segmenter("en", { granularity: "grapheme" }).segment(text);
}

/** Columns of what a person takes for one character, which the first of its code points decides. */
function characterWidth(character: string): number {
  return SILENT.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
}

/**
 * A text with so many spaces behind it that it takes a number of columns; a longer one stays as it is.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(padColumns("円", 4), "円  ");
 * ```
 */
export function padColumns(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - textWidth(text)));
}

/**
 * The beginning of a text that takes at most a number of columns.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(cutColumns("円錐", 3), "円");
 * ```
 */
export function cutColumns(text: string, width: number): string {
  if (PLAIN.test(text)) return text.slice(0, width);
  let taken = 0;
  let end = 0;
  for (const { segment, index } of charactersOf(text)) {
    taken += characterWidth(segment);
    if (taken > width) break;
    end = index + segment.length;
  }
  return text.slice(0, end);
}
