/**
 * Random numbers without state: threefry2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011) turns a seed, an image, a scale, a purpose, a position and a draw into two random
 * words, the same on every device and in any order. What is made of the words is left to the kernels that
 * draw.
 *
 * @module
 */

import { mustBe, requireInteger } from "../arguments.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { words } from "../device/cpu_device.ts";
import randomWordsWgsl from "./random_words.wgsl" with { type: "text" };
import wgsl from "./threefry.wgsl" with { type: "text" };

/** The WGSL side, to be put in front of a kernel's source. */
export const THREEFRY_WGSL: string = wgsl;

/** A 64-bit seed as two unsigned 32-bit words. */
export type Seed = readonly [low: number, high: number];

/** What random words are used for; every purpose has a stream of its own. */
export const PURPOSE = {
  /** Drawing tokens. */
  token: 0,
  /** Putting candidates in a random order. */
  permutation: 1,
  /** Choosing one of several candidates. */
  choice: 2,
  /** Noise added to logits. */
  noise: 3,
  /** Drawing the lanes that go on. */
  resampling: 4,
  /** Drawing positions that take the embeddings of others. */
  moving: 5,
} as const;

/** One of the values of {@linkcode PURPOSE}. */
export type Purpose = typeof PURPOSE[keyof typeof PURPOSE];

/** The largest scale index that fits beside the purpose in one word. */
export const MAX_SCALE: number = 2 ** 24 - 1;

/** Threads of a workgroup that makes random words, as in the shader. */
const LANES = 256;

/**
 * Splits a seed into its two words.
 *
 * @param seed An integer from 0 to 2^64 - 1; beyond 2^53 as a `bigint`.
 * @throws {TypeError} If it is neither a number nor a `bigint`.
 * @throws {RangeError} If it is out of range, or a number that is no safe integer.
 *
 * @example
 * ```ts
 * import { seedWords } from "./threefry.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(seedWords(7), [7, 0]);
 * assertEquals(seedWords(2n ** 64n - 1n), [0xffffffff, 0xffffffff]);
 * ```
 */
export function seedWords(seed: number | bigint): Seed {
  if (typeof seed !== "number" && typeof seed !== "bigint") {
    throw new TypeError(mustBe("a number or a bigint", seed, "it", "use seed"));
  }
  if (typeof seed === "number" && !Number.isSafeInteger(seed)) {
    throw new RangeError(mustBe("an integer below 2^53, or a bigint", seed, "it", "use seed"));
  }
  if (seed < 0 || seed >= 2n ** 64n) {
    throw new RangeError(mustBe("an integer from 0 to 2^64 - 1", seed, "it", "use seed"));
  }
  const wide = BigInt(seed);
  return [Number(wide & 0xffffffffn), Number(wide >> 32n)];
}

/**
 * threefry2x32-20 into an array, for loops: stores both words in `out[0]` and `out[1]`. All arguments are
 * unsigned 32-bit words.
 *
 * @example
 * ```ts
 * import { threefry2x32 } from "./threefry.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const out = new Uint32Array(2);
 * threefry2x32(0, 0, 0, 0, out);
 * assertEquals([...out], [0x6b200159, 0x99ba4efe]);
 * ```
 */
export function threefry2x32(
  key0: number,
  key1: number,
  counter0: number,
  counter1: number,
  out: Uint32Array,
): void {
  let first = key0 | 0;
  let second = key1 | 0;
  let third = 0x1bd11bda ^ key0 ^ key1;
  let x = (counter0 + first) | 0;
  let y = (counter1 + second) | 0;
  for (let group = 1;; group += 2) {
    x = (x + y) | 0;
    y = rotate(y, 13) ^ x;
    x = (x + y) | 0;
    y = rotate(y, 15) ^ x;
    x = (x + y) | 0;
    y = rotate(y, 26) ^ x;
    x = (x + y) | 0;
    y = rotate(y, 6) ^ x;
    // The three key words take turns, two at a time.
    x = (x + second) | 0;
    y = (y + third + group) | 0;
    if (group === 5) break;
    x = (x + y) | 0;
    y = rotate(y, 17) ^ x;
    x = (x + y) | 0;
    y = rotate(y, 29) ^ x;
    x = (x + y) | 0;
    y = rotate(y, 16) ^ x;
    x = (x + y) | 0;
    y = rotate(y, 24) ^ x;
    x = (x + third) | 0;
    y = (y + first + group + 1) | 0;
    const next = first;
    first = third;
    third = second;
    second = next;
  }
  out[0] = x;
  out[1] = y;
}

function rotate(x: number, distance: number): number {
  return (x << distance) | (x >>> (32 - distance));
}

/**
 * The two random words with number `counter` of the stream `key`.
 *
 * @example The published known answer for all bits set (Random123)
 * ```ts
 * import { threefry } from "./threefry.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const ones = [0xffffffff, 0xffffffff] as const;
 * assertEquals(threefry(ones, ones), [0x1cb996fc, 0xbb002be7]);
 * ```
 */
export function threefry(
  key: readonly [number, number],
  counter: readonly [number, number],
): [number, number] {
  const out = new Uint32Array(2);
  threefry2x32(key[0], key[1], counter[0], counter[1], out);
  return [out[0]!, out[1]!];
}

/**
 * The key of the stream that belongs to one image, scale and purpose. The words of one draw in it are
 * `threefry(key, [position, draw])`.
 *
 * @param image Index of the image in the request, not in the batch, so that an image does not depend on its
 * company.
 *
 * @example
 * ```ts
 * import { PURPOSE, seedWords, streamKey } from "./threefry.ts";
 * import { assertNotEquals } from "@std/assert";
 *
 * const seed = seedWords(7);
 * assertNotEquals(streamKey(seed, 0, 1, PURPOSE.token), streamKey(seed, 0, 1, PURPOSE.noise));
 * ```
 */
export function streamKey(seed: Seed, image: number, scale: number, purpose: Purpose): [number, number] {
  return threefry(seed, [image, scale * 256 + purpose]);
}

/**
 * Checks what every kernel that draws takes.
 *
 * @throws {TypeError} If the seed is not a pair of words or the scale no number.
 * @throws {RangeError} If a word or the scale is out of range.
 */
export function requireStream(seed: Seed, scale: number, action: string): void {
  if (!Array.isArray(seed) || seed.length !== 2) {
    throw new TypeError(mustBe("two words", seed, "seed", action));
  }
  for (const word of seed) requireInteger(word, "each word of seed", action, { min: 0, max: 0xffffffff });
  requireInteger(scale, "scale", action, { min: 0, max: MAX_SCALE });
}

/** Arguments of {@linkcode randomWords}. */
export interface RandomWordsArguments {
  /** Where the words go: u32 [count, 2]. */
  output: DeviceArray;
  /** Number of draws. */
  count: number;
  /** The seed; see {@linkcode seedWords}. */
  seed: Seed;
  /** Index of the image. */
  image: number;
  /** Index of the scale. */
  scale: number;
  /** What the words are for. */
  purpose: Purpose;
  /** Position in the token map, 0 by default. */
  position?: number;
}

/**
 * Stores the random words of draws 0 to `count - 1` at one position.
 *
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If an argument is out of range or `output` too short.
 *
 * @example
 * ```ts
 * import { PURPOSE, randomWords, seedWords, streamKey, threefry } from "./threefry.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using output = device.allocate(4);
 * const seed = seedWords(7);
 * device.run(randomWords, { output, count: 2, seed, image: 0, scale: 3, purpose: PURPOSE.choice });
 * assertEquals(
 *   [...(await readWords(output)).slice(2)],
 *   threefry(streamKey(seed, 0, 3, PURPOSE.choice), [0, 1]),
 * );
 * ```
 */
export const randomWords: Kernel<RandomWordsArguments> = {
  name: "random_words",
  wgsl: wgsl + randomWordsWgsl,
  plan({ output, count, seed, image, scale, purpose, position = 0 }) {
    const action = "make random words";
    requireInteger(count, "count", action, { min: 0, max: 0x7fffffff });
    requireInteger(image, "image", action, { min: 0, max: 0xffffffff });
    requireInteger(purpose, "purpose", action, { min: 0, max: 255 });
    requireInteger(position, "position", action, { min: 0, max: 0xffffffff });
    requireStream(seed, scale, action);
    requireLength(output, 2 * count, action);
    return {
      arrays: [output],
      parameters: [
        ["u32", count],
        ["u32", image],
        ["u32", scale],
        ["u32", purpose],
        ["u32", seed[0]],
        ["u32", seed[1]],
        ["u32", position],
      ],
      workgroups: spread(Math.ceil(count / LANES)),
    };
  },
  twin({ output, count, seed, image, scale, purpose, position = 0 }) {
    const target = words(output);
    const [key0, key1] = streamKey(seed, image, scale, purpose);
    const pair = new Uint32Array(2);
    for (let draw = 0; draw < count; draw++) {
      threefry2x32(key0, key1, position, draw, pair);
      target.set(pair, 2 * draw);
    }
  },
};
