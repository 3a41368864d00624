/**
 * Twin of `exact_sums.wgsl`: squared distances between vectors, and what large integer sums become as
 * float32, with the same bits on every device. Which vectors are compared, and what the sums mean, is up to
 * the kernels.
 *
 * @module
 */

import { bitsFloat, EXACT_WGSL, floatBits, product, reciprocal } from "./exact.ts";
import wgsl from "./exact_sums.wgsl" with { type: "text" };

/** The WGSL side, `exact.wgsl` included. */
export const EXACT_SUMS_WGSL: string = EXACT_WGSL + wgsl;

/**
 * The most candidates per image. Sums of squares and scores would allow 65536 before they leave their
 * integers (64 bits there, 2^53 here); beyond 8192 the loops of `select.wgsl` come near the 65535 turns after
 * which Mesa's software Vulkan silently ends a thread's loops.
 */
export const MAX_DRAWS = 8192;

/**
 * A density is a sum of this many kernel values at most, so that it stays an integer below 2^53 in units of
 * 2^-30.
 */
export const MAX_TERMS = 2 ** 23;

const { fround } = Math;
const HALF_LOG2_E = fround(Math.LOG2E / 2);
/** Bandwidths are held between this and its inverse. */
const LEAST_BANDWIDTH = 2 ** -40;
const pun = new Float32Array(1);
const punBits = new Int32Array(pun.buffer);

/**
 * `sum` plus the squared differences of two vectors, added in the order of the channels; a difference below
 * 2^-50 counts as 0. The sum never falls, so it stops early, anywhere above `limit`.
 *
 * The parameters are positional because this is the innermost loop of several twins.
 */
export function addSquaredDistance(
  sum: number,
  a: Float32Array,
  aStart: number,
  b: Float32Array,
  bStart: number,
  channels: number,
  limit: number,
): number {
  for (let c = 0; c < channels; c++) {
    const d = fround(a[aStart + c]! - b[bStart + c]!);
    if (d < 2 ** -50 && d > -(2 ** -50)) continue;
    // addSquare of exact.ts, inlined with a cheaper look at the bits.
    pun[0] = d;
    punBits[0] = punBits[0]! & 0xfffff000;
    const h = pun[0];
    const l = fround(d - h);
    sum = fround(fround(fround(sum + h * h) + 2 * h * l) + l * l);
    if (sum > limit) return sum;
  }
  return sum;
}

/**
 * 1 / (2 h^2 ln 2), what turns a squared distance into the power of 1/2 that a Gaussian of bandwidth h is; h
 * is held between 2^-40 and 2^40.
 */
export function exponentFactor(h: number): number {
  const held = !(h > LEAST_BANDWIDTH) ? LEAST_BANDWIDTH : Math.min(h, 1 / LEAST_BANDWIDTH);
  const inverse = reciprocal(held);
  return product(inverse, product(inverse, HALF_LOG2_E));
}

/**
 * The largest float32 that does not exceed an integer below 2^53.
 *
 * @example
 * ```ts
 * import { truncate } from "./exact_sums.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(truncate(2 ** 25 + 3), 2 ** 25);
 * ```
 */
export function truncate(x: number): number {
  const near = fround(x);
  return near > x ? bitsFloat(floatBits(near) - 1) : near;
}

/**
 * {@linkcode truncate} of `high * 2^24 + low`, for sums beyond 2^53; both parts may be any integer below
 * 2^53.
 */
export function truncateWide(high: number, low: number): number {
  const carry = Math.floor(low * 2 ** -24);
  const top = high + carry;
  // From 2^24 on, the top alone fills the 24 bits of a float32.
  return top >= 2 ** 24 ? truncate(top) * 2 ** 24 : truncate(top * 2 ** 24 + (low - carry * 2 ** 24));
}
