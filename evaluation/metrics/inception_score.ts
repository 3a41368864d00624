/**
 * The Inception Score: how sure a classifier is of each picture, and of how many classes all of them are.
 * Which classifier gives the logits is left to `networks/`.
 *
 * @module
 */

import { mustBe, requireChoice, requireInteger, requireOptions } from "../../kernels/arguments.ts";
import { shuffled } from "../statistics/draws.ts";
import { requireRows, type Rows } from "./rows.ts";

/** Options of {@linkcode inceptionScore}. */
export interface InceptionScoreOptions {
  /** Parts of equal size, up to one row, in which scores are taken: 10 by default, as torch-fidelity does. */
  readonly splits?: number;
  /** Rows of a part instead: 5000 are those of guided-diffusion's evaluator. */
  readonly chunk?: number;
  /** What becomes of rows that fill no chunk: `"refuse"` by default, or `"drop"`. */
  readonly partial?: "refuse" | "drop";
  /** Puts the rows in a random order before they are parted; without it they stay as they are. */
  readonly seed?: number | bigint;
}

/** Inception Scores of parts. */
export interface InceptionScore {
  /** Mean over the parts: what papers print. */
  readonly mean: number;
  /** Their standard deviation, divided by the number of parts, as NumPy and torch-fidelity take it. */
  readonly deviation: number;
  /** The score of each part. */
  readonly scores: readonly number[];
}

const ACTION = "take an Inception Score";

/**
 * The Inception Score, e to the mean divergence of a picture's classes from those of all pictures (Salimans
 * et al., "Improved techniques for training GANs", 2016), in f64 from logits.
 *
 * Parts follow the order of the rows. With pictures in the order of their classes every part has a few of
 * them only, and the score is that of those: give a `seed`, as torch-fidelity shuffles, too. A last chunk
 * that is not full is refused, as it would count like the others: 50 pictures after 10 000 make 27.3 of 32.5.
 * A probability of 0 counts for nothing; guided-diffusion's evaluator makes NaN of one.
 *
 * @param logits What the classifier says before its softmax.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If a logit is not finite, there are fewer rows than parts, the chunks are not full, or
 * splits are given with a chunk.
 *
 * @example
 * ```ts
 * import { inceptionScore } from "./inception_score.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const values = Float32Array.of(40, 0, 0, 0, 40, 0, 0, 0, 40);
 * const { mean } = inceptionScore({ values, count: 3, dimensions: 3 }, { splits: 1 });
 * assertAlmostEquals(mean, 3);
 * ```
 */
export function inceptionScore(logits: Rows, options: InceptionScoreOptions = {}): InceptionScore {
  requireOptions(options, ["splits", "chunk", "partial", "seed"], ACTION);
  requireRows(logits, "logits", ACTION);
  const { count } = logits;
  const order = options.seed === undefined ? undefined : shuffled(count, options.seed, 0);
  const scores = inceptionParts(count, options).map(([from, to]) => {
    return scoreOf(logits, (i) => order === undefined ? i : order[i]!, from, to);
  });
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const squares = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / scores.length), scores };
}

/**
 * The first row of each part and the one after its last, of so many rows.
 *
 * @throws {RangeError} As {@linkcode inceptionScore} does of options and of numbers that do not fit them.
 *
 * @example
 * ```ts
 * import { inceptionParts } from "./inception_score.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(inceptionParts(7, { splits: 2 }), [[0, 3], [3, 7]]);
 * ```
 */
export function inceptionParts(
  count: number,
  { splits, chunk, partial = "refuse" }: InceptionScoreOptions,
): [from: number, to: number][] {
  requireChoice(partial, ["refuse", "drop"], "partial", ACTION);
  if (chunk === undefined) {
    const wanted = requireInteger(splits ?? 10, "splits", ACTION, { min: 1 });
    if (count < wanted) {
      throw new RangeError(mustBe(`at least the ${wanted} splits`, count, "the number of rows", ACTION));
    }
    const start = (i: number) => Math.floor(i * count / wanted);
    return Array.from({ length: wanted }, (_, i) => [start(i), start(i + 1)]);
  }
  if (splits !== undefined) {
    throw new RangeError(mustBe("left out where chunk is given", splits, "splits", ACTION));
  }
  requireInteger(chunk, "chunk", ACTION, { min: 1 });
  const full = Math.floor(count / chunk);
  if (full === 0 || (full * chunk !== count && partial === "refuse")) {
    const wanted = partial === "drop"
      ? `at least the chunk of ${chunk}`
      : `a multiple of the chunk, ${chunk}`;
    throw new RangeError(mustBe(wanted, count, "the number of rows", ACTION));
  }
  return Array.from({ length: full }, (_, i) => [i * chunk, (i + 1) * chunk]);
}

/** Σ p log p less Σ q log q of the mean q is the mean divergence, so that no row is needed twice. */
function scoreOf(
  { values, dimensions }: Rows,
  place: (i: number) => number,
  from: number,
  to: number,
): number {
  const mean = new Float64Array(dimensions);
  const share = new Float64Array(dimensions);
  let sureness = 0;
  for (let i = from; i < to; i++) {
    const row = values.subarray(place(i) * dimensions, (place(i) + 1) * dimensions);
    const largest = row.reduce((most, value) => Math.max(most, value), -Infinity);
    let [sum, weighted] = [0, 0];
    for (let k = 0; k < dimensions; k++) {
      const weight = Math.exp(row[k]! - largest);
      share[k] = weight;
      sum += weight;
      weighted += weight * (row[k]! - largest);
    }
    sureness += weighted / sum - Math.log(sum);
    for (let k = 0; k < dimensions; k++) mean[k]! += share[k]! / sum;
  }
  const rows = to - from;
  let spread = 0;
  for (const sum of mean) {
    // A share of the smallest numbers there are may become 0 by the division.
    const share = sum / rows;
    if (share > 0) spread += share * Math.log(share);
  }
  return Math.exp(sureness / rows - spread);
}
