/**
 * The Mersenne Twister MT19937 as numpy's `RandomState(seed)` seeds and reads it: what k-means of
 * scikit-learn draws its seeds from, and so has to be drawn from here to give the same clusters. Whatever
 * else is random comes from a counter (`kernels/exact/threefry.ts`), never from a stream like this.
 *
 * @module
 */

import { requireInteger } from "../../kernels/arguments.ts";

/** Words of the state, and how far apart those are that are mixed. */
const WORDS = 624;
const DISTANCE = 397;

/**
 * A stream of random numbers (Matsumoto and Nishimura, 1998).
 *
 * @example The first number of numpy's `RandomState(0).random_sample()`
 * ```ts
 * import { MersenneTwister } from "./mersenne.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new MersenneTwister(0).double(), 0.5488135039273248);
 * ```
 */
export class MersenneTwister {
  readonly #state = new Uint32Array(WORDS);
  #next = WORDS;

  /**
   * Begins the stream of a seed.
   *
   * @param seed An integer from 0 to 2^32 - 1.
   * @throws {RangeError} If it is none.
   */
  constructor(seed: number) {
    requireInteger(seed, "seed", "begin a random stream", { min: 0, max: 0xffffffff });
    this.#state[0] = seed;
    for (let i = 1; i < WORDS; i++) {
      const before = this.#state[i - 1]!;
      this.#state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
  }

  /** The next 32 bits. */
  word(): number {
    if (this.#next === WORDS) this.#refill();
    let word = this.#state[this.#next++]!;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  }

  /** The next number from 0 to below 1, a multiple of 2^-53 made of two words. */
  double(): number {
    const high = this.word() >>> 5;
    const low = this.word() >>> 6;
    return (high * 2 ** 26 + low) * 2 ** -53;
  }

  #refill(): void {
    const state = this.#state;
    for (let i = 0; i < WORDS; i++) {
      const joined = (state[i]! & 0x80000000) | (state[(i + 1) % WORDS]! & 0x7fffffff);
      const mixed = (joined >>> 1) ^ (joined & 1 ? 0x9908b0df : 0);
      state[i] = state[(i + DISTANCE) % WORDS]! ^ mixed;
    }
    this.#next = 0;
  }
}
