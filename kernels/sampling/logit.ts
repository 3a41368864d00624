/**
 * What the kernels that read logits agree on: which values count, how guidance combines two of them, their
 * order as integers, and what a truncation is. Twin of `logit.wgsl`; the kernels themselves are in
 * `guidance.ts`, `sample.ts` and `smooth.ts`.
 *
 * A logit is canonical before anything else: below 2^-64 in size it is 0 (a GPU may flush smaller values
 * anyway), beyond 2^90 it is 2^90, there is one NaN, and infinities stay. Then no difference and no guided
 * value leaves the normal range of float32, and every device computes the same bits.
 *
 * @module
 */

import { requireInteger, requireNumber } from "../arguments.ts";
import { requireLength } from "../device/array_checks.ts";
import type { DeviceArray } from "../device/device.ts";
import { EXACT_WGSL, product, upper } from "../exact/exact.ts";
import wgsl from "./logit.wgsl" with { type: "text" };

/** The WGSL side with what it needs, to be put in front of a kernel's source. */
export const LOGIT_WGSL: string = EXACT_WGSL + wgsl;

/** Key of +infinity, the largest there is. */
export const INFINITE_KEY = 0xff800000;

const NAN_BITS = 0x7fc00000;
const INFINITE_BITS = 0x7f800000;
const LEAST_BITS = 0x1f800000;
const LARGEST_BITS = 0x6c800000;

/** Arguments of every kernel that reads logits. */
export interface LogitArguments {
  /**
   * The logits: f32 [images, positions, vocabulary]; when `guided`, followed by the unconditional ones of the
   * same shape.
   */
  logits: DeviceArray;
  /** Number of images. */
  images: number;
  /** Positions of one token map. */
  positions: number;
  /** Number of tokens to choose from. */
  vocabulary: number;
  /** Whether `logits` holds unconditional rows, too; `false` by default. */
  guided?: boolean;
  /**
   * Weight t of guidance in `conditional + t * (conditional - unconditional)`; 0 by default, which leaves the
   * unconditional rows unread.
   */
  weight?: number;
}

/** Largest vocabulary: sums of weights then fit in two words. */
const MAX_VOCABULARY = 65536;

/**
 * Checks what every kernel that reads logits takes and returns the weight as it will be used: a float32, 0
 * below 2^-64 in size.
 *
 * @throws {TypeError} If an argument has the wrong type, or there is a weight without unconditional logits.
 * @throws {RangeError} If an argument is out of range or `logits` too short.
 */
export function requireLogits(args: LogitArguments, action: string): number {
  const { logits, images, positions, vocabulary, guided = false, weight = 0 } = args;
  requireInteger(images, "images", action, { min: 0 });
  requireInteger(positions, "positions", action, { min: 1 });
  requireInteger(vocabulary, "vocabulary", action, { min: 1, max: MAX_VOCABULARY });
  requireNumber(weight, "weight", action, { min: -(2 ** 32), max: 2 ** 32 });
  if (weight !== 0 && !guided) {
    throw new TypeError(
      `Cannot ${action} as a weight of guidance needs unconditional logits: current weight is ${weight}`,
    );
  }
  requireLength(logits, (guided ? 2 : 1) * images * positions * vocabulary, action);
  return Math.abs(weight) < 2 ** -64 ? 0 : Math.fround(weight);
}

/**
 * Checks a temperature: 0, or from 1e-6 to 1e6.
 *
 * @throws {TypeError} If it is not a number.
 * @throws {RangeError} If it is out of bounds.
 */
export function requireTemperature(temperature: number, action: string): void {
  if (temperature !== 0) requireNumber(temperature, "temperature", action, { min: 1e-6, max: 1e6 });
}

/** The canonical form of a logit, from bits to bits. */
export function canonical(bits: number): number {
  const size = bits & 0x7fffffff;
  if (size > INFINITE_BITS) return NAN_BITS;
  if (size < LEAST_BITS) return 0;
  if (size > LARGEST_BITS && size < INFINITE_BITS) return ((bits & 0x80000000) | LARGEST_BITS) >>> 0;
  return bits;
}

const { fround } = Math;

/** Views of one buffer, for rows on their way from logits to keys. */
export interface RowScratch {
  /** The words as floats. */
  readonly f32: Float32Array;
  /** The words as bits. */
  readonly u32: Uint32Array;
}

/** Room for a row of `length` logits. */
export function rowScratch(length: number): RowScratch {
  const f32 = new Float32Array(length);
  return { f32, u32: new Uint32Array(f32.buffer) };
}

/** One value on its way between bits and float. */
const { f32: float, u32: word } = rowScratch(1);

/**
 * Fills `row` with the canonical, guided bits of one row of logits.
 *
 * @param logits The bits of all logits.
 * @param options `at` is where the conditional row starts, `unconditionalAt` where the other one does, in
 * the same array or in `unconditional`, and `weight` comes from {@linkcode requireLogits}.
 */
export function guideRow(
  logits: Uint32Array,
  row: RowScratch,
  options: { at: number; unconditional?: Uint32Array; unconditionalAt: number; weight: number },
): void {
  const { at, unconditional = logits, unconditionalAt, weight } = options;
  const { f32, u32 } = row;
  const length = u32.length;
  if (weight === 0) {
    for (let i = 0; i < length; i++) u32[i] = canonical(logits[at + i]!);
    return;
  }
  const high = upper(weight);
  const low = fround(weight - high);
  const values = floatsOf(logits, at, length);
  const others = floatsOf(unconditional, unconditionalAt, length);
  for (let i = 0; i < length; i++) {
    const value = values[i]!;
    const other = others[i]!;
    if (isPlain(value) && isPlain(other)) {
      // `product` of exact.ts with the halves of the weight at hand; products of doubles are exact.
      const difference = fround(value - other);
      float[0] = difference;
      word[0]! &= 0xfffff000;
      const dh = float[0]!;
      const dl = difference - dh;
      const guided = fround(value + fround(fround(fround(dh * weight) + dl * high) + dl * low));
      f32[i] = guided;
      if (!isPlain(guided)) u32[i] = canonical(u32[i]!);
    } else {
      u32[i] = guideOdd(canonical(logits[at + i]!), canonical(unconditional[unconditionalAt + i]!), weight);
    }
  }
}

/** Words as floats. */
export function floatsOf(words: Uint32Array, at: number, length: number): Float32Array {
  return new Float32Array(words.buffer, words.byteOffset + 4 * at, length);
}

/** Whether a value is canonical by its size, as all but a few are, and no zero. */
export function isPlain(value: number): boolean {
  const size = Math.abs(value);
  return size >= 2 ** -64 && size <= 2 ** 90;
}

/** Guides canonical bits of which one is a zero, an infinity or NaN. */
function guideOdd(conditional: number, unconditional: number, weight: number): number {
  if ((conditional & 0x7fffffff) >= INFINITE_BITS || (unconditional & 0x7fffffff) >= INFINITE_BITS) {
    return conditional;
  }
  word[0] = unconditional;
  const other = float[0]!;
  word[0] = conditional;
  const value = float[0]!;
  float[0] = value + product(fround(value - other), weight);
  return canonical(word[0]!);
}

/**
 * Fills `keys` from canonical bits: integers in the order of the values, 0 for what can never be drawn (NaN
 * and -infinity).
 *
 * @returns The greatest key.
 */
export function keyRow(bits: Uint32Array, keys: Uint32Array): number {
  let greatest = 0;
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i]!;
    const key = value === NAN_BITS || value === 0xff800000 ? 0 : (value ^ ((value >> 31) | 0x80000000)) >>> 0;
    keys[i] = key;
    if (key > greatest) greatest = key;
  }
  return greatest;
}

/** The bits of the value of a key other than 0. */
export function keyBits(key: number): number {
  return (key ^ (key >= 0x80000000 ? 0x80000000 : 0xffffffff)) >>> 0;
}
