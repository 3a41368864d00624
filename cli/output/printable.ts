/**
 * Texts made fit for a terminal. Names come from model folders, prompts, files and servers, and what is in
 * them must neither steer the terminal nor pass for a line of ours.
 *
 * @module
 */

/**
 * What steers instead of showing: control characters, the marks that turn the direction of writing, what ends
 * lines in Unicode, and halves of characters. Joiners and variation selectors, which scripts and emoji need,
 * are none.
 */
const STEERING =
  /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/**
 * A text of lines as a terminal may get it: what steers is escaped as in JSON, so that JSON stays the same.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(printable("a\x1b[2J\nb"), "a\\u001b[2J\nb");
 * ```
 */
export function printable(text: string): string {
  return text.replace(STEERING, (character) => {
    if (character === "\n") return character;
    return character.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(
      "",
    );
  });
}

/**
 * A text as a part of one line.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(printableLine("red\ntorus"), "red\\ntorus");
 * ```
 */
export function printableLine(text: string): string {
  return printable(text.replaceAll("\n", "\\n"));
}
