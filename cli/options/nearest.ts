/**
 * A hint to the word that was meant.
 *
 * @module
 */

import { closestString } from "npm:deno-std@1.4.0/text/closest_string.js";
import { levenshteinDistance } from "npm:deno-std@1.4.0/text/levenshtein_distance.js";

/**
 * The word that was probably meant, if any is near.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(nearest("sample", ["samples", "scale"]), "samples");
 * assertEquals(nearest("zebra", ["samples", "scale"]), undefined);
 * ```
 */
export function nearest(word: string, words: readonly string[]): string | undefined {
  if (words.length === 0) return undefined;
  const closest = closestString(word, [...words]);
  return levenshteinDistance(word, closest) <= Math.max(1, Math.floor(word.length / 3)) ? closest : undefined;
}
