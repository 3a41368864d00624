/**
 * Drawing bits from logits: what models with bitwise tokens (Infinity, arXiv 2412.04431) do in place of
 * drawing from a vocabulary. Each bit has two logits and is drawn on its own. The same logits and seed give
 * the same bits on every device, alone or in a batch.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { guideRow, keyRow, type LogitArguments, requireLogits, rowScratch } from "./logit.ts";
import {
  PURPOSE,
  requireStream,
  type Seed,
  streamKey,
  threefry2x32,
  THREEFRY_WGSL,
} from "../exact/threefry.ts";
import {
  BIT_CHANCE_WGSL,
  type BitTruncation,
  certainFrom,
  otherWeight,
  requireTruncation,
  sharpness,
} from "./bit_chance.ts";
import wgsl from "./sample_bits.wgsl" with { type: "text" };

/** Arguments of {@linkcode sampleBits}. */
export interface SampleBitsArguments extends Omit<LogitArguments, "vocabulary">, BitTruncation {
  /**
   * The logits of the values 0 and 1 of each bit: f32 [images, positions, bits, 2]; when `guided`, followed
   * by the unconditional ones of the same shape.
   */
  logits: DeviceArray;
  /** Bits of a token, from 1 to 65536. */
  bits: number;
  /**
   * Where the tokens go: u32 [images, draws, positions, ceil(bits / 32)]; bit b is bit b % 32 of word b / 32,
   * bits beyond the last are 0.
   */
  tokens: DeviceArray;
  /** Index of each image in its request, u32 [images]: what its random numbers depend on. */
  lanes: DeviceArray;
  /** Independent draws per position, 1 by default. */
  draws?: number;
  /** The seed; see `seedWords`. */
  seed: Seed;
  /** Index of the scale, 0-based. */
  scale: number;
  /**
   * Number of the first draw, 0 by default: draws 5 to 9 are the same, whether drawn together with 0 to 4 or
   * apart.
   */
  firstDraw?: number;
}

/** Threads of a workgroup, as in the shader. */
const THREADS = 64;

/** From this many draws on a workgroup makes draws of one word; below it makes one draw of many words. */
const MANY_DRAWS = 32;

/**
 * Draws bits. Per bit: two guided logits as in `guidance` (Infinity's `cfg` is `weight + 1`), divided by the
 * temperature, cut off by top-p, then independent draws. The less likely value is drawn with probability w /
 * (1 + w), where w = e^(-difference / temperature) is an integer in units of 2^-30, right to within a
 * relative 3e-7 and one unit (so 21 nats below the other one a value is never drawn), and the probability is
 * rounded up to a multiple of 2^-32.
 *
 * - Top-p is decided on the difference of the logits in float32, which must be below
 *   `ln((1 - c) / c) * temperature` for c = 1 - topP in float32; 3.4761 for 0.97 at temperature 1.
 * - Both truncations leave two values as they are, or one; truncated again, as often as may be, nothing
 *   changes. So the `compounding` of `sampleTokens` has no counterpart here.
 * - NaN and -infinity are never drawn; where both values are that, the bit is 0. Beside +infinity only
 *   +infinity is drawn; two of them are equally likely.
 * - The random words of bits 2i and 2i + 1 are the two words of draw d at counter
 *   `(position * ceil(bits / 2) + i, d)` of the image's token stream: an image draws the same bits alone and
 *   in a batch.
 *
 * Rules of sampling as in Infinity (arXiv 2412.04431, its public code).
 *
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If an argument is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { sampleBits } from "./sample_bits.ts";
 * import { seedWords } from "../exact/threefry.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assert } from "@std/assert";
 *
 * using device = new CpuDevice();
 * // Three bits: surely 1, surely 0, either.
 * using logits = device.upload(new Float32Array([0, 9, 9, 0, 1, 1]));
 * using lanes = device.upload(new Uint32Array([0]));
 * using tokens = device.allocate(100);
 * const sizes = { images: 1, positions: 1, bits: 3, draws: 100 };
 * device.run(sampleBits, { logits, lanes, tokens, ...sizes, topP: 0.97, seed: seedWords(7), scale: 0 });
 * const drawn = await readWords(tokens);
 * assert(drawn.every((token) => token === 0b001 || token === 0b101));
 * assert(drawn.includes(0b001) && drawn.includes(0b101));
 * ```
 */
export const sampleBits: Kernel<SampleBitsArguments> = {
  name: "sample_bits",
  wgsl: BIT_CHANCE_WGSL + THREEFRY_WGSL + wgsl,
  plan(args) {
    const { logits, tokens, lanes, images, positions, bits, seed, scale, draws = 1, firstDraw = 0 } = args;
    const action = "draw bits";
    requireInteger(positions, "positions", action, { min: 1 });
    requireInteger(bits, "bits", action, { min: 1, max: 65536 });
    const weight = requireLogits(pairs(args), action);
    requireTruncation(args, action);
    requireInteger(draws, "draws", action, { min: 0, max: 0x7fffffff });
    requireInteger(firstDraw, "firstDraw", action, { min: 0, max: 0x7fffffff });
    requireStream(seed, scale, action);
    requireLength(lanes, images, action);
    const wordsOfToken = Math.ceil(bits / 32);
    const items = images * positions * wordsOfToken;
    requireLength(tokens, items * draws, action);
    const many = draws >= MANY_DRAWS;
    const [x, y] = spread(many ? items : Math.ceil(items / THREADS));
    return {
      arrays: [logits, lanes, tokens],
      parameters: [
        ["u32", items],
        ["u32", positions],
        ["u32", bits],
        ["u32", wordsOfToken],
        ["u32", draws],
        ["u32", firstDraw],
        ["f32", weight],
        ["f32", sharpness(args)],
        ["u32", certainFrom(args)],
        ["u32", scale],
        ["u32", seed[0]],
        ["u32", seed[1]],
      ],
      workgroups: [x, y, many ? Math.min(Math.ceil(draws / THREADS), 65535) : draws],
      constants: { many_draws: Number(many) },
    };
  },
  twin(args) {
    const { images, positions, bits, seed, scale, draws = 1, firstDraw = 0 } = args;
    const weight = requireLogits(pairs(args), "draw bits");
    const factor = sharpness(args);
    const certain = certainFrom(args);
    const logits = words(args.logits);
    const lanes = words(args.lanes);
    const tokens = words(args.tokens);
    const wordsOfToken = Math.ceil(bits / 32);
    const count = Math.ceil(bits / 2);
    const row = rowScratch(2 * bits);
    const keys = new Uint32Array(2 * bits);
    // Of each bit below which random word the less likely value is drawn; 0 beyond the last bit.
    const limits = new Uint32Array(2 * count);
    // The token of all likelier values, from which draws differ.
    const likelier = new Uint32Array(wordsOfToken);
    const stride = positions * wordsOfToken;
    const pair = new Uint32Array(2);
    for (let image = 0; image < images; image++) {
      const [key0, key1] = streamKey(seed, lanes[image]!, scale, PURPOSE.token);
      for (let position = 0; position < positions; position++) {
        const at = (image * positions + position) * 2 * bits;
        guideRow(logits, row, { at, unconditionalAt: images * positions * 2 * bits + at, weight });
        keyRow(row.u32, keys);
        likelier.fill(0);
        for (let bit = 0; bit < bits; bit++) {
          const zero = keys[2 * bit]!;
          const one = keys[2 * bit + 1]!;
          if (one > zero) likelier[bit >> 5]! |= 1 << (bit & 31);
          limits[bit] = limit(otherWeight(Math.max(zero, one), Math.min(zero, one), factor, certain));
        }
        const token = (image * draws * positions + position) * wordsOfToken;
        for (let w = 0; w < wordsOfToken; w++) {
          const word = likelier[w]!;
          for (let draw = 0; draw < draws; draw++) tokens[token + draw * stride + w] = word;
        }
        for (let i = 0; i < count; i++) {
          const low = limits[2 * i]!;
          const high = limits[2 * i + 1]!;
          // Random numbers that decide nothing are not made: none depends on another.
          if ((low | high) === 0) continue;
          const counter = position * count + i;
          const shift = (2 * i) & 31;
          for (let draw = 0, word = token + (i >> 4); draw < draws; draw++, word += stride) {
            threefry2x32(key0, key1, counter, firstDraw + draw, pair);
            tokens[word]! ^= (Number(pair[0]! < low) | (Number(pair[1]! < high) << 1)) << shift;
          }
        }
      }
    }
  },
};

/** The logits as rows of two. */
function pairs(args: SampleBitsArguments): LogitArguments {
  return { ...args, positions: args.positions * args.bits, vocabulary: 2 };
}

/** The least u for which `u * (2^30 + w) >= w * 2^32`. */
function limit(w: number): number {
  const total = 2 ** 30 + w;
  const quotient = Math.ceil(w * 2 ** 32 / total);
  // The division is rounded, which may hide a small rest; modulo 2^32 it is exact.
  return (-Math.imul(quotient, total) | 0) > 0 ? quotient + 1 : quotient;
}
