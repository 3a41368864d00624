/**
 * Twin of `exact.wgsl`: arithmetic that gives the same bits on every device, so that the same logits and seed
 * draw the same tokens on a CPU and on any GPU. WGSL fixes the results of f32 `+`, `-`, `*` and of integers,
 * but allows a product to be fused into a following sum, and leaves division, square root and `exp2` some
 * slack; here products are split until they are exact, and the rest is done in integers. A double holds every
 * intermediate of the integer parts exactly (below 2^53).
 *
 * @module
 */

import wgsl from "./exact.wgsl" with { type: "text" };

/** The WGSL side, to be put in front of a kernel's source. */
export const EXACT_WGSL: string = wgsl;

const { fround } = Math;
const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** The bits of a float32. */
export function floatBits(x: number): number {
  float[0] = x;
  return word[0]!;
}

/** The float32 with the given bits. */
export function bitsFloat(bits: number): number {
  word[0] = bits;
  return float[0]!;
}

/** The upper 12 significant bits of a finite float32. */
export function upper(x: number): number {
  return bitsFloat((floatBits(x) & 0xfffff000) >>> 0);
}

/** `a * b` for finite float32 values, to within one and a half units in the last place. */
export function product(a: number, b: number): number {
  const ah = upper(a);
  const al = fround(a - ah);
  const bh = upper(b);
  const bl = fround(b - bh);
  return fround(fround(fround(ah * bh + ah * bl) + al * bh) + al * bl);
}

/** `sum + x * x` for finite float32 values. */
export function addSquare(sum: number, x: number): number {
  const h = upper(x);
  const l = fround(x - h);
  return fround(fround(fround(sum + h * h) + 2 * h * l) + l * l);
}

/** `floor(a * b / 2^24)` for integers up to 2^24. */
export function multiply24(a: number, b: number): number {
  return Math.floor(a * b * 2 ** -24);
}

/** `2^-t` in units of 2^-30 for `t >= 0`; relative error below 3e-7 plus one unit. */
export function exp2Negative(t: number): number {
  if (!(t < 31)) return 0;
  const fixed = (t * 2 ** 24) | 0;
  const f = (fixed & 0xffffff) * 2 ** -24;
  let r = 21673 - ((f * 1929) | 0);
  r = 161014 - ((f * r) | 0);
  r = 931123 - ((f * r) | 0);
  r = 4030325 - ((f * r) | 0);
  r = 11629080 - ((f * r) | 0);
  r = 16777216 - ((f * r) | 0);
  return (r << 6) >>> (fixed >>> 24);
}

/** The largest float32 whose square does not exceed `x`; 0 below 2^-100. */
export function squareRoot(x: number): number {
  if (!(x >= 2 ** -100)) return 0;
  const root = fround(Math.sqrt(x));
  return root * root > x ? bitsFloat(floatBits(root) - 1) : root;
}

/** `1 / x` rounded towards 0, for `x` from 2^-100 to 2^100. */
export function reciprocal(x: number): number {
  const inverse = fround(1 / x);
  return inverse * x > 1 ? bitsFloat(floatBits(inverse) - 1) : inverse;
}

/** `ceil(total * part / 2^24)` for integers `total` up to 2^46 and `part` up to 2^24. */
export function share(total: number, part: number): number {
  const upperTotal = Math.floor(total * 2 ** -24);
  return upperTotal * part + Math.ceil((total - upperTotal * 2 ** 24) * part * 2 ** -24);
}

/**
 * `floor(total * u)` for an integer `total` up to 2^46, `u` the 48-bit fraction made of the upper 24 bits of
 * each word.
 */
export function randomPoint(total: number, word0: number, word1: number): number {
  const upperTotal = Math.floor(total * 2 ** -24);
  const lowerTotal = total - upperTotal * 2 ** 24;
  const a = word0 >>> 8;
  const b = word1 >>> 8;
  const middle = upperTotal * b + lowerTotal * a + Math.floor(lowerTotal * b * 2 ** -24);
  return upperTotal * a + Math.floor(middle * 2 ** -24);
}
