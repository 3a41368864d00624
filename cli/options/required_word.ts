/**
 * The word behind a command that says what it shall do.
 *
 * @module
 */

import { UsageError } from "../io.ts";
import { list } from "../output/words.ts";
import { nearest } from "./nearest.ts";

/**
 * The word, as one of those that are known.
 *
 * @param word What stands there.
 * @param words Those that are known.
 * @param name What messages call it.
 * @throws {UsageError} If it is missing or another one.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(requireWord("slurm", ["slurm", "kubernetes"], "The kind of cluster"), "slurm");
 * ```
 */
export function requireWord<Word extends string>(
  word: string | undefined,
  words: readonly Word[],
  name: string,
): Word {
  const known = words.find((known) => known === word);
  if (known !== undefined) return known;
  const wanted = list(words, "or");
  if (word === undefined) throw new UsageError(`${name} is needed: ${wanted}`);
  const near = nearest(word, words);
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  throw new UsageError(`${name} must be ${wanted}: current value is "${word}"${hint}`);
}
