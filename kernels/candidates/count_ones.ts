/**
 * How many bits of a word are 1, which WGSL has as `countOneBits`.
 *
 * @module
 */

/** Of every 16-bit number. */
const ONES = new Uint8Array(2 ** 16);
for (let i = 1; i < ONES.length; i++) ONES[i] = ONES[i >> 1]! + (i & 1);

/** The number of ones in a 32-bit word. */
export function countOnes(word: number): number {
  return ONES[word & 0xffff]! + ONES[word >>> 16]!;
}
