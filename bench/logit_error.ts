/**
 * How far logits are from others of the same positions: sums that are taken piece by piece, so that no more
 * than a piece of each is in memory.
 *
 * @module
 */

/** What the sums come to. */
export interface LogitError {
  /** Root mean square of the differences, divided by the standard deviation of what is right. */
  readonly rms: number;
  /** The greatest difference, divided likewise. */
  readonly greatest: number;
  /** Share of the distributions with another likeliest value. */
  readonly flipped: number;
  /** Mean Kullback-Leibler divergence from what is right, in nats. */
  readonly divergence: number;
}

/**
 * Sums over pieces.
 *
 * @example
 * ```ts
 * import { LogitErrors } from "./logit_error.ts";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 *
 * const errors = new LogitErrors(2);
 * errors.add(new Float32Array([0, 1, 0, 3]), new Float32Array([0, 1, 4, 3]));
 * const { rms, greatest, flipped } = errors.result();
 * // Of pairs the differences count: 1 and 3, whose deviation is 1, became 1 and -1.
 * assertAlmostEquals(rms, Math.sqrt(8));
 * assertEquals([greatest, flipped], [4, 0.5]);
 * ```
 */
export class LogitErrors {
  readonly #values: number;
  #count = 0;
  #sum = 0;
  #squares = 0;
  #errors = 0;
  #greatest = 0;
  #rows = 0;
  #flipped = 0;
  #divergence = 0;

  /** @param values Of a distribution; of pairs, as bits have them, their difference is all that counts. */
  constructor(values: number) {
    this.#values = values;
  }

  /** Adds distributions that stand one after the other. */
  add(right: Float32Array, given: Float32Array): void {
    if (right.length !== given.length || right.length % this.#values !== 0) {
      throw new TypeError(
        `Cannot compare logits as both must be as many, and distributions of ${this.#values}: there are ${right.length} and ${given.length}`,
      );
    }
    for (let begin = 0; begin < right.length; begin += this.#values) {
      const [one, other] = [right, given].map((all) => all.subarray(begin, begin + this.#values));
      this.#addRow(one!, other!);
    }
  }

  #addRow(right: Float32Array, given: Float32Array): void {
    this.#rows++;
    if (indexOfMost(right) !== indexOfMost(given)) this.#flipped++;
    const [rightSum, givenSum] = [logSum(right), logSum(given)];
    for (const [i, value] of right.entries()) {
      const logProbability = value - rightSum;
      this.#divergence += Math.exp(logProbability) * (logProbability - (given[i]! - givenSum));
    }
    if (right.length === 2) return this.#addValue(right[1]! - right[0]!, given[1]! - given[0]!);
    for (const [i, value] of right.entries()) this.#addValue(value, given[i]!);
  }

  #addValue(right: number, given: number): void {
    const error = given - right;
    this.#count++;
    this.#sum += right;
    this.#squares += right * right;
    this.#errors += error * error;
    // What is no number stays so.
    this.#greatest = Math.max(this.#greatest, Math.abs(error));
  }

  /** What they come to. */
  result(): LogitError {
    const deviation = Math.sqrt(this.#squares / this.#count - (this.#sum / this.#count) ** 2);
    return {
      rms: Math.sqrt(this.#errors / this.#count) / deviation,
      greatest: this.#greatest / deviation,
      flipped: this.#flipped / this.#rows,
      divergence: this.#divergence / this.#rows,
    };
  }
}

function indexOfMost(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** Logarithm of the sum of exponentials. */
function logSum(values: Float32Array): number {
  const most = values[indexOfMost(values)]!;
  let sum = 0;
  for (const value of values) sum += Math.exp(value - most);
  return most + Math.log(sum);
}
