/**
 * Names of files that are made for people: numbered, so that they stand in order, and saying what they show.
 *
 * @module
 */

/** Digits of a number at least. */
const DIGITS = 3;

/**
 * A name as part of a file name: `Red Torus!` becomes `red-torus`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(["Red Torus!", "../../etc", "…"].map(slug), ["red-torus", "etc", "image"]);
 * ```
 */
export function slug(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 40) || "image";
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
