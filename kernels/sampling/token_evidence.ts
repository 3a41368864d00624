/**
 * How likely tokens are that were drawn, under the conditional logits and under the unconditional ones. What
 * the first says above the second is the model's own verdict on how well an image fits its label, at no
 * further pass; what is made of it is left to who judges.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { requireLength } from "../device/array_checks.ts";
import { words } from "../device/cpu_device.ts";
import { type Device, type DeviceArray, type Kernel, type Plan, spread } from "../device/device.ts";
import { bitsFloat, exp2Negative } from "../exact/exact.ts";
import { canonical, INFINITE_KEY, keyBits, keyRow, LOGIT_WGSL, requireLogits } from "./logit.ts";
import { sumEvidence } from "./sum_evidence.ts";
import wgsl from "./token_evidence.wgsl" with { type: "text" };

/** What the evidence of indices and that of bits have in common. */
export interface EvidenceShape {
  /** Number of images. */
  images: number;
  /** Positions of one token map. */
  positions: number;
  /** Whether `logits` holds unconditional rows, too; `false` by default. */
  guided?: boolean;
  /** Positions that do not count, 1 or 0 each, u32 [positions]; none by default. */
  kept?: DeviceArray;
}

/** Arguments of {@linkcode tokenEvidence}. */
export interface TokenEvidenceArguments extends EvidenceShape {
  /**
   * The logits: f32 [images, positions, vocabulary]; when `guided`, followed by the unconditional ones of the
   * same shape.
   */
  logits: DeviceArray;
  /** The tokens, u32 [images, positions]. */
  tokens: DeviceArray;
  /** Number of tokens that there are, from 1 to 65536. */
  vocabulary: number;
  /**
   * Minus the logarithm of each token's probability, u32 [images, sides, positions, 2] with two sides when
   * `guided`, conditional and unconditional, and else one: integers in units of 2^-22, low word first.
   */
  sums: DeviceArray;
}

/** Arguments of {@linkcode bitEvidence}. */
export interface BitEvidenceArguments extends EvidenceShape {
  /**
   * The logits of the values 0 and 1 of each bit: f32 [images, positions, bits, 2]; when `guided`, followed
   * by the unconditional ones of the same shape.
   */
  logits: DeviceArray;
  /** The tokens, u32 [images, positions, ceil(bits / 32)]. */
  tokens: DeviceArray;
  /** Bits of a token, from 1 to 65536; with those of all positions, 2^22 at most. */
  bits: number;
  /** As in {@linkcode tokenEvidence}, of each word: u32 [images, sides, positions, ceil(bits / 32), 2]. */
  sums: DeviceArray;
}

/** Where {@linkcode runTokenEvidence} and {@linkcode runBitEvidence} write. */
export interface EvidenceOutput {
  /** The evidence: f32 [images, 2], conditional and unconditional, when `guided`; else f32 [images]. */
  evidence: DeviceArray;
}

/** Both of them: an index is the only row of a word, bits are up to 32. */
interface Rows extends EvidenceShape {
  readonly logits: DeviceArray;
  readonly tokens: DeviceArray;
  readonly sums: DeviceArray;
  readonly vocabulary: number;
  /** Rows of a position: bits, or 1. */
  readonly bits: number;
  readonly isIndex: boolean;
}

const ACTION = "weigh the evidence of tokens";

/** Rows whose sum is an integer below 2^53 in any case. */
const MAX_ROWS = 2 ** 22;

/** Threads of a workgroup, as in the shader. */
const THREADS = 64;

/** The most that a row counts, 512 nats in units of 2^-22, as in the shader. */
const LIMIT = 0x80000000;

/** ln(2) in units of 2^-32, as in the shader. */
const LN_2 = 0xb17217f7;

const LOG2_OF_E = Math.fround(Math.LOG2E);

/**
 * Writes minus the natural logarithm of each token's probability under the logits as they are: no guidance,
 * temperature or truncation. {@linkcode runTokenEvidence} adds them up.
 *
 * - Right to within `2e-6 + vocabulary * 2^-29` and a relative 3e-7; the same bits on every device.
 * - A token counts 512 at most: so does one whose logit is NaN or -infinity, beside others that can be drawn.
 * - Beside +infinity nothing else can be drawn, and several of them are equally likely.
 * - A position at which nothing can be drawn counts 0, and so does what is no token (`NO_TOKEN`).
 *
 * @throws {TypeError} From `plan`, if an argument has the wrong type.
 * @throws {RangeError} From `plan`, if a count is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { tokenEvidence } from "./token_evidence.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * // The second of two tokens has a probability of 3/4.
 * using logits = device.upload(new Float32Array([0, Math.log(3)]));
 * using tokens = device.upload(new Uint32Array([1]));
 * using sums = device.allocate(2);
 * device.run(tokenEvidence, { logits, tokens, sums, images: 1, positions: 1, vocabulary: 2 });
 * const [low] = await readWords(sums);
 * assertAlmostEquals(low! * 2 ** -22, -Math.log(3 / 4), 3e-6);
 * ```
 */
export const tokenEvidence: Kernel<TokenEvidenceArguments> = {
  name: "token_evidence",
  wgsl: LOGIT_WGSL + wgsl,
  plan: (args) => plan(ofIndices(args)),
  twin: (args) => twin(ofIndices(args)),
};

/**
 * The same for tokens of bits: the sum over the bits of each word, as bits are drawn apart from each other.
 * Each counts as {@linkcode tokenEvidence} says of a token, with a vocabulary of 2.
 * {@linkcode runBitEvidence} adds them up.
 *
 * @throws {TypeError} From `plan`, if an argument has the wrong type.
 * @throws {RangeError} From `plan`, if a count is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { bitEvidence } from "./token_evidence.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * // Two bits that are 1 with a probability of 1/2 and of 4/5.
 * using logits = device.upload(new Float32Array([0, 0, 0, Math.log(4)]));
 * using tokens = device.upload(new Uint32Array([0b10]));
 * using sums = device.allocate(2);
 * device.run(bitEvidence, { logits, tokens, sums, images: 1, positions: 1, bits: 2 });
 * const [low] = await readWords(sums);
 * assertAlmostEquals(low! * 2 ** -22, -Math.log(1 / 2) - Math.log(4 / 5), 5e-6);
 * ```
 */
export const bitEvidence: Kernel<BitEvidenceArguments> = {
  name: "bit_evidence",
  wgsl: LOGIT_WGSL + wgsl,
  plan: (args) => plan(ofBits(args)),
  twin: (args) => twin(ofBits(args)),
};

/**
 * Runs `tokenEvidence` and `sumEvidence`: for each image the sum over positions of the logarithm of its
 * token's probability, under the conditional logits and, when `guided`, under the unconditional ones. Finite
 * in any case. What is needed in between is allocated and freed here.
 *
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If a count is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { runTokenEvidence } from "./token_evidence.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * // With the label the second of two tokens has a probability of 3/4, without it 1/2.
 * using logits = device.upload(new Float32Array([0, Math.log(3), 0, 0]));
 * using tokens = device.upload(new Uint32Array([1]));
 * using evidence = device.allocate(2);
 * const sizes = { images: 1, positions: 1, vocabulary: 2, guided: true };
 * runTokenEvidence(device, { logits, tokens, evidence, ...sizes });
 * const [conditional, unconditional] = await readFloats(evidence);
 * assertAlmostEquals(conditional!, Math.log(3 / 4), 3e-6);
 * assertAlmostEquals(unconditional!, Math.log(1 / 2), 3e-6);
 * ```
 */
export function runTokenEvidence(
  device: Device,
  { evidence, ...args }: Omit<TokenEvidenceArguments, "sums"> & EvidenceOutput,
): void {
  runBoth(device, { ...ofIndices({ ...args, sums: evidence }), evidence });
}

/**
 * Runs `bitEvidence` and `sumEvidence`: what {@linkcode runTokenEvidence} does, for tokens of bits.
 *
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If a count is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { runBitEvidence } from "./token_evidence.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * // Two positions of a bit that is 1 with a probability of 4/5.
 * using logits = device.upload(new Float32Array([0, Math.log(4), 0, Math.log(4)]));
 * using tokens = device.upload(new Uint32Array([1, 0]));
 * using evidence = device.allocate(1);
 * runBitEvidence(device, { logits, tokens, evidence, images: 1, positions: 2, bits: 1 });
 * const [found] = await readFloats(evidence);
 * assertAlmostEquals(found!, Math.log(4 / 5) + Math.log(1 / 5), 5e-6);
 * ```
 */
export function runBitEvidence(
  device: Device,
  { evidence, ...args }: Omit<BitEvidenceArguments, "sums"> & EvidenceOutput,
): void {
  runBoth(device, { ...ofBits({ ...args, sums: evidence }), evidence });
}

function runBoth(device: Device, { evidence, ...rows }: Rows & EvidenceOutput): void {
  // Checked before anything is allocated.
  checkSizes(rows);
  const sides = rows.guided ? 2 : 1;
  requireLength(evidence, rows.images * sides, ACTION);
  const items = rows.positions * Math.ceil(rows.bits / 32);
  using sums = device.allocate(2 * rows.images * sides * items, "evidence of tokens");
  const kernel = rows.isIndex ? tokenEvidence : bitEvidence;
  device.run(kernel as Kernel<Rows>, { ...rows, sums });
  device.run(sumEvidence, { sums, evidence, rows: rows.images * sides, items });
}

function ofIndices(args: TokenEvidenceArguments): Rows {
  return { ...args, bits: 1, isIndex: true };
}

function ofBits(args: BitEvidenceArguments): Rows {
  requireInteger(args.bits, "bits", ACTION, { min: 1, max: 65536 });
  return { ...args, vocabulary: 2, isIndex: false };
}

/** Checks all but where the sums go. */
function checkSizes(
  { logits, tokens, kept, images, positions, bits, vocabulary, isIndex, guided }: Rows,
): void {
  requireInteger(positions, "positions", ACTION, { min: 1 });
  const rows = positions * bits;
  requireInteger(rows, isIndex ? "positions" : "positions * bits", ACTION, { min: 1, max: MAX_ROWS });
  requireLogits({ logits, images, positions: rows, vocabulary, guided: guided ?? false }, ACTION);
  requireLength(tokens, images * positions * Math.ceil(bits / 32), ACTION);
  if (kept !== undefined) requireLength(kept, positions, ACTION);
}

function plan(args: Rows): Plan {
  checkSizes(args);
  const { logits, tokens, kept, sums, images, positions, bits, vocabulary, isIndex, guided } = args;
  const sides = guided ? 2 : 1;
  const size = Math.ceil(bits / 32);
  const items = images * sides * positions * size;
  requireLength(sums, 2 * items, ACTION);
  return {
    arrays: [logits, tokens, kept ?? tokens, sums],
    parameters: [
      ["u32", items],
      ["u32", images],
      ["u32", sides],
      ["u32", positions],
      ["u32", size],
      ["u32", bits],
      ["u32", vocabulary],
      ["u32", kept === undefined ? 0 : 1],
    ],
    workgroups: spread(isIndex ? items : Math.ceil(items / THREADS)),
    constants: { is_index: Number(isIndex) },
  };
}

function twin(args: Rows): void {
  const { images, positions, bits, vocabulary, isIndex, guided } = args;
  const logits = words(args.logits);
  const tokens = words(args.tokens);
  const kept = args.kept && words(args.kept);
  const sums = words(args.sums);
  const sides = guided ? 2 : 1;
  const size = Math.ceil(bits / 32);
  const row = new Uint32Array(vocabulary);
  const keys = new Uint32Array(vocabulary);
  for (let item = 0; item < images * sides * positions * size; item++) {
    const number = Math.floor(item / (positions * size));
    const image = Math.floor(number / sides);
    const position = Math.floor(item % (positions * size) / size);
    const word = tokens[image * positions * size + item % (positions * size)]!;
    const first = item % size * 32;
    const factors = new Factors();
    let total = 0;
    for (let bit = first; bit < Math.min(first + 32, bits); bit++) {
      if (kept !== undefined && kept[position] !== 0) continue;
      const side = number % sides;
      const start = (((side * images + image) * positions + position) * bits + bit) * vocabulary;
      for (let i = 0; i < vocabulary; i++) row[i] = canonical(logits[start + i]!);
      const greatest = keyRow(row, keys);
      const value = isIndex ? word : (word >>> (bit - first)) & 1;
      if (greatest === 0 || value >= vocabulary) continue;
      const part = behind(keys[value]!, greatest);
      total += part;
      if (part < LIMIT) factors.multiply(sumOfWeights(keys, greatest));
    }
    total += factors.ln();
    if (isIndex) total = Math.min(total, LIMIT);
    const high = Math.floor(total / 2 ** 32);
    sums[2 * item] = total - high * 2 ** 32;
    sums[2 * item + 1] = high;
  }
}

/**
 * How far a value lies behind the greatest, in units of 2^-22; {@linkcode LIMIT} for what cannot be drawn.
 */
function behind(key: number, greatest: number): number {
  if (key === greatest) return 0;
  if (key === 0 || greatest === INFINITE_KEY) return LIMIT;
  return Math.floor(Math.min(distance(key, greatest), 512) * 2 ** 22);
}

function distance(key: number, greatest: number): number {
  return Math.fround(bitsFloat(keyBits(greatest)) - bitsFloat(keyBits(key)));
}

/** The sum of e^-(distance to the greatest), in units of 2^-30. */
function sumOfWeights(keys: Uint32Array, greatest: number): number {
  let sum = 0;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (key === greatest) sum += 2 ** 30;
    else if (key !== 0 && greatest !== INFINITE_KEY) {
      sum += exp2Negative(Math.fround(distance(key, greatest) * LOG2_OF_E));
    }
  }
  return sum;
}

/** A product of sums of weights with 32 bits of each result, so that one logarithm is enough for all. */
class Factors {
  /** From 2^31 to below 2^32; stands for a factor from 1 to below 2. */
  #mantissa = 2 ** 31;
  #exponent = 0;

  /** Multiplies by a sum of units of 2^-30. */
  multiply(sum: number): void {
    const lower = (this.#mantissa % 65536) * sum;
    const upper = Math.floor(this.#mantissa / 65536) * sum + Math.floor(lower / 65536);
    const length = 64 - Math.clz32(upper / 2 ** 32);
    this.#mantissa = Math.floor(upper / 2 ** (length - 32));
    this.#exponent += length - 46;
  }

  /** Its natural logarithm in units of 2^-22. */
  ln(): number {
    let mantissa = this.#mantissa;
    let log2 = this.#exponent;
    for (let i = 0; i < 24; i++) {
      const high = Math.floor(mantissa / 65536);
      const low = mantissa % 65536;
      const square = high * high + Math.floor((2 * high * low + low * low / 65536) / 65536);
      const bit = square >= 2 ** 31 ? 1 : 0;
      mantissa = bit === 1 ? square : 2 * square + (Math.imul(mantissa, mantissa) >>> 31);
      log2 = 2 * log2 + bit;
    }
    const lower = log2 * (LN_2 & 0xffff);
    return Math.floor((log2 * (LN_2 >>> 16) + Math.floor(lower / 65536)) / 2 ** 18);
  }
}
