/**
 * A small bitmap font of our own for captions, and what depends on the widths of its letters: how long a text
 * is and where its lines break. Colors, places and magnification are left to the grid.
 *
 * @module
 */

/** The shape of one character. */
export interface Glyph {
  /** Columns, without the blank column that follows. */
  readonly width: number;
  /**
   * From the top, nine rows of `width` characters each, two below the baseline: `#` is ink and `.` is not.
   */
  readonly rows: readonly string[];
}

/** Rows from the top of a capital letter to the baseline. */
export const CAP_HEIGHT = 7;

const MISSING = "\ufffd";

/** The characters of each sheet, and their shapes side by side. */
const SHEETS: readonly (readonly [string, string])[] = [
  [
    " !\"#$%&'()*+,-./012345",
    `
.. # #.# .#.#. ..#.. ##..# .##.. # .# #. ..... ..... .. ... . ...# .##. .#. .##. .##. ..## ####
.. # #.# .#.#. .#### ##..# #..#. # #. .# ..#.. ..... .. ... . ...# #..# ##. #..# #..# ..## #...
.. # ... ##### #.#.. ...#. #..#. . #. .# #.#.# ..#.. .. ... . ..#. #..# .#. ...# ...# .#.# ###.
.. # ... .#.#. .###. ..#.. .##.. . #. .# .###. ..#.. .. ... . ..#. #..# .#. ..#. .##. .#.# ...#
.. # ... ##### ..#.# .#... #.#.# . #. .# #.#.# ##### .. ### . .#.. #..# .#. .#.. ...# #..# ...#
.. . ... .#.#. ####. #..## #..#. . #. .# ..#.. ..#.. .. ... . .#.. #..# .#. #... #..# #### #..#
.. # ... .#.#. ..#.. #..## .##.# . #. .# ..... ..#.. .# ... # #... .##. ### #### .##. ...# .##.
.. . ... ..... ..... ..... ..... . #. .# ..... ..... #. ... . #... .... ... .... .... .... ....
.. . ... ..... ..... ..... ..... . .# #. ..... ..... .. ... . .... .... ... .... .... .... ....
`,
  ],
  [
    "6789:;<=>?@ABCDEFGHI",
    `
.##. #### .##. .##. . .. ... .... ... .##. .###. .###. ####. .###. ####. #### #### .###. #...# ###
#... ...# #..# #..# . .. ... .... ... #..# #...# #...# #...# #...# #...# #... #... #...# #...# .#.
#... ...# #..# #..# . .. ..# .... #.. ...# #.### #...# #...# #.... #...# #... #... #.... #...# .#.
###. ..#. .##. .### # .# .#. #### .#. ..#. #.#.# ##### ####. #.... #...# ###. ###. #.### ##### .#.
#..# ..#. #..# ...# . .. #.. .... ..# .#.. #.### #...# #...# #.... #...# #... #... #...# #...# .#.
#..# .#.. #..# ...# . .. .#. #### .#. .... #.... #...# #...# #...# #...# #... #... #...# #...# .#.
.##. .#.. .##. .##. # .# ..# .... #.. .#.. .###. #...# ####. .###. ####. #### #... .###. #...# ###
.... .... .... .... . #. ... .... ... .... ..... ..... ..... ..... ..... .... .... ..... ..... ...
.... .... .... .... . .. ... .... ... .... ..... ..... ..... ..... ..... .... .... ..... ..... ...
`,
  ],
  [
    "JKLMNOPQRSTUVWXYZ",
    `
...# #...# #... #...# #...# .###. ####. .###. ####. .###. ##### #...# #...# #...# #...# #...# #####
...# #..#. #... ##.## ##..# #...# #...# #...# #...# #...# ..#.. #...# #...# #...# #...# #...# ....#
...# #.#.. #... #.#.# ##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# .#.#. .#.#. ...#.
...# ##... #... #.#.# #.#.# #...# ####. #...# ####. .###. ..#.. #...# #...# #.#.# ..#.. ..#.. ..#..
...# #.#.. #... #...# #..## #...# #.... #.#.# #.#.. ....# ..#.. #...# .#.#. #.#.# .#.#. ..#.. .#...
#..# #..#. #... #...# #..## #...# #.... #..#. #..#. #...# ..#.. #...# .#.#. #.#.# #...# ..#.. #....
.##. #...# #### #...# #...# .###. #.... .##.# #...# .###. ..#.. .###. ..#.. .#.#. #...# ..#.. #####
.... ..... .... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... .....
.... ..... .... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... .....
`,
  ],
  [
    "[\\]^_`abcdefghijklmnop",
    `
## #... ## .#. .... #. .... #... .... ...# .... ..# .... #... # .# #... #. ..... .... .... ....
#. #... .# #.# .... .# .... #... .... ...# .... .#. .... #... . .. #... #. ..... .... .... ....
#. .#.. .# ... .... .. .##. ###. .##. .### .##. ### .### ###. # .# #..# #. ##.#. ###. .##. ###.
#. .#.. .# ... .... .. ...# #..# #..# #..# #..# .#. #..# #..# # .# #.#. #. #.#.# #..# #..# #..#
#. ..#. .# ... .... .. .### #..# #... #..# #### .#. #..# #..# # .# ##.. #. #.#.# #..# #..# #..#
#. ..#. .# ... .... .. #..# #..# #..# #..# #... .#. #..# #..# # .# #.#. #. #.#.# #..# #..# #..#
#. ...# .# ... .... .. .### ###. .##. .### .### .#. .### #..# # .# #..# .# #.#.# #..# .##. ###.
#. ...# .# ... #### .. .... .... .... .... .... ... ...# .... . .# .... .. ..... .... .... #...
## .... ## ... .... .. .... .... .... .... .... ... .##. .... . #. .... .. ..... .... .... #...
`,
  ],
  [
    "qrstuvwxyz{|}~×–…\ufffd",
    `
.... ... .... ... .... ..... ..... ..... .... .... ..# # #.. ..... ..... ..... ..... #####
.... ... .... .#. .... ..... ..... ..... .... .... .#. # .#. ..... #...# ..... ..... #...#
.### #.# .### ### #..# #...# #...# #...# #..# #### .#. # .#. ..... .#.#. ..... ..... #...#
#..# ##. #... .#. #..# #...# #...# .#.#. #..# ...# .#. # .#. .#... ..#.. ..... ..... #...#
#..# #.. .##. .#. #..# .#.#. #.#.# ..#.. #..# .##. #.. # ..# #.#.# .#.#. ##### ..... #...#
#..# #.. ...# .#. #..# .#.#. #.#.# .#.#. #..# #... .#. # .#. ...#. #...# ..... ..... #...#
.### #.. ###. ..# .### ..#.. .#.#. #...# .### #### .#. # .#. ..... ..... ..... #.#.# #####
...# ... .... ... .... ..... ..... ..... ...# .... .#. # .#. ..... ..... ..... ..... .....
...# ... .... ... .... ..... ..... ..... .##. .... ..# # #.. ..... ..... ..... ..... .....
`,
  ],
];

/**
 * All glyphs by character: printable ASCII, `×`, `–`, `…`, and U+FFFD, an empty box that stands for
 * everything else.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { GLYPHS } from "./glyphs.ts";
 *
 * assertEquals(GLYPHS.get("T")?.rows.slice(0, 3), ["#####", "..#..", "..#.."]);
 * ```
 */
export const GLYPHS: ReadonlyMap<string, Glyph> = new Map(
  SHEETS.flatMap(([characters, art]) => {
    const rows = art.trim().split("\n").map((row) => row.split(" "));
    return Array.from(characters, (character, i): [string, Glyph] => {
      const shape = rows.map((row) => row[i]!);
      return [character, { width: shape[0]!.length, rows: shape }];
    });
  }),
);

/** The glyph that is drawn for a character: a box if the font lacks it. */
export function glyphOf(character: string): Glyph {
  return GLYPHS.get(character) ?? GLYPHS.get(MISSING)!;
}

/**
 * The width of a text on one line, in columns of the font: its glyphs with one blank column between them.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { textWidth } from "./glyphs.ts";
 *
 * assertEquals(textWidth("TT"), 5 + 1 + 5);
 * ```
 */
export function textWidth(text: string): number {
  let width = 0;
  for (const character of text) width += glyphOf(character).width + 1;
  return Math.max(width - 1, 0);
}

/** How {@linkcode wrapText} breaks a text. */
export interface WrapOptions {
  /** Columns of the font that a line may take. */
  width: number;
  /** The largest number of lines. */
  lines: number;
}

/**
 * Breaks a text into lines of at most `options.width` columns of the font, between words where that is
 * possible. What does not fit the last line is cut off and replaced by `…`; where not even that fits, there
 * are no more lines.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { wrapText } from "./glyphs.ts";
 *
 * assertEquals(wrapText("red torus #7", { width: 50, lines: 2 }), ["red torus", "#7"]);
 * assertEquals(wrapText("red torus #7", { width: 50, lines: 1 }), ["red torus…"]);
 * ```
 */
export function wrapText(text: string, options: WrapOptions): string[] {
  const lines: string[] = [];
  let rest = text.trim().replace(/\s+/g, " ");
  while (rest !== "" && lines.length < options.lines) {
    let end = fitting(rest, options.width);
    let line = rest.slice(0, end);
    if (end < rest.length) {
      if (lines.length === options.lines - 1) {
        line = rest.slice(0, fitting(rest, options.width - textWidth("…") - 1)).trimEnd() + "…";
        if (textWidth(line) > options.width) break;
      } else {
        const space = rest.lastIndexOf(" ", end);
        if (space > 0) end = space;
        if (end === 0) break;
        line = rest.slice(0, end);
      }
    }
    lines.push(line);
    rest = rest.slice(end).trimStart();
  }
  return lines;
}

/** The number of code units at the start of a text that fit into `width` columns. */
function fitting(text: string, width: number): number {
  let end = 0;
  for (const character of text) {
    width -= glyphOf(character).width;
    if (width < 0) break;
    width -= 1;
    end += character.length;
  }
  return end;
}
