/**
 * Names of files that are made for people: numbered, so that they stand in order, and saying what they show.
 *
 * @module
 */

/** Digits of a number at least. */
const DIGITS = 3;

/** Letters of a name at most. */
const LETTERS = 40;

/**
 * A name, or a prompt of any length, as part of a file name: `Red Torus!` becomes `red-torus`. Of other
 * letters than a to z only what is left without their marks is kept, as not every system and archive takes
 * the others; what is too long is cut after a word.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(["Red Torus!", "../../etc", "Café", "円錐"].map(slug), ["red-torus", "etc", "cafe", "image"]);
 * ```
 */
export function slug(name: string): string {
  // What lies far behind the cut is not looked at.
  const words = name.slice(0, 16 * LETTERS).normalize("NFKD").replace(/\p{Mark}/gu, "").toLowerCase()
    .replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  if (words.length <= LETTERS) return words || "image";
  const gap = words.lastIndexOf("-", LETTERS);
  return words.slice(0, gap < LETTERS / 2 ? LETTERS : gap);
}

/**
 * The name of one of several, without an ending: `007_red-torus`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(numberedName(7, 50, "red torus"), "007_red-torus");
 * ```
 */
export function numberedName(index: number, count: number, name: string): string {
  const digits = Math.max(DIGITS, String(count - 1).length);
  return `${String(index).padStart(digits, "0")}_${slug(name)}`;
}
