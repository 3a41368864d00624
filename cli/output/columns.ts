/**
 * Texts laid out for a terminal: broken into lines, and in columns.
 *
 * @module
 */

import { printableLine } from "./printable.ts";
import { padColumns, textWidth } from "./text_width.ts";

/**
 * Breaks a text at spaces into lines of at most `width` columns.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(wrap("red torus, blue cone", 10), ["red torus,", "blue cone"]);
 * ```
 */
export function wrap(content: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of content.split(" ")) {
    if (line !== "" && textWidth(line) + 1 + textWidth(word) > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/**
 * Two columns of texts.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(columns([["torus", "1"], ["ドーナツ", "2"]]), "torus     1\nドーナツ  2\n");
 * ```
 */
export function columns(rows: readonly (readonly [string, string])[], indent: string = ""): string {
  const cells = rows.map(([left, right]) => [printableLine(left), printableLine(right)] as const);
  const width = Math.max(0, ...cells.map(([left]) => textWidth(left)));
  return cells.map(([left, right]) => `${indent}${padColumns(left, width)}  ${right}\n`).join("");
}
