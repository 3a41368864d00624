/**
 * Random draws of the statistics, by threefry: the same for a seed everywhere. What is drawn for is left to
 * the files beside this one and to the metrics.
 *
 * @module
 */

import { seedWords, threefry2x32 } from "../../kernels/exact/threefry.ts";

/**
 * Integers from 0 to `bound - 1`, in an endless row of their own for each seed and stream.
 *
 * @throws {TypeError} If the seed is neither a number nor a bigint.
 * @throws {RangeError} If the seed is out of range.
 *
 * @example
 * ```ts
 * import { draws } from "./draws.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const [draw, again] = [draws(7, 0), draws(7, 0)];
 * assertEquals([draw(10), draw(10), draw(10)], [again(10), again(10), again(10)]);
 * ```
 */
export function draws(seed: number | bigint, stream: number): (bound: number) => number {
  const [key0, key1] = seedWords(seed);
  const words = new Uint32Array(2);
  let draw = 0;
  return (bound) => {
    threefry2x32(key0, key1, stream, draw++, words);
    // 53 random bits: of a set that fits into memory no place is preferred by one part in a million.
    return Math.floor((words[0]! * 2 ** 21 + (words[1]! >>> 11)) / 2 ** 53 * bound);
  };
}

/**
 * The numbers from 0 to `count - 1` in a random order. Its first `n` are a draw without replacement.
 *
 * @throws {TypeError} If the seed is neither a number nor a bigint.
 * @throws {RangeError} If the seed is out of range.
 *
 * @example
 * ```ts
 * import { shuffled } from "./draws.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(shuffled(4, 7, 0).toSorted(), Uint32Array.of(0, 1, 2, 3));
 * ```
 */
export function shuffled(count: number, seed: number | bigint, stream: number): Uint32Array {
  const draw = draws(seed, stream);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let left = count; left > 1; left--) {
    const other = draw(left);
    [order[left - 1], order[other]] = [order[other]!, order[left - 1]!];
  }
  return order;
}
