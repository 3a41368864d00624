/**
 * Words as a sentence joins them.
 *
 * @module
 */

/**
 * A number with its noun: `1 image`, `3 images`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([plural(1, "image"), plural(3, "image")], ["1 image", "3 images"]);
 * ```
 */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * Words with commas and a conjunction.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(list(["a", "b", "c"], "and"), "a, b and c");
 * ```
 */
export function list(words: readonly string[], conjunction: "and" | "or"): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} ${conjunction} ${words.at(-1)}`;
}
