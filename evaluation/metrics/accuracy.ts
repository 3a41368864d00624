/**
 * How often a classifier sees what was asked for. Which classifier gives the logits is left to `networks/`.
 *
 * @module
 */

import { mustBe, requireInteger, requireList, requireOptions } from "../../kernels/arguments.ts";
import { requireRows, type Rows } from "./rows.ts";

/** Options of {@linkcode accuracy}. */
export interface AccuracyOptions {
  /** Classes among which the label must be, by the largest logits: 1 by default. */
  readonly top?: number;
}

/** What a classifier says of pictures of known labels. */
export interface Accuracy {
  /** Share of the pictures that are right. */
  readonly value: number;
  /** Whether each picture is. */
  readonly right: readonly boolean[];
  /** Logarithm of the probability that each picture's label has, f64. */
  readonly logProbabilities: Float64Array;
}

const ACTION = "take an accuracy";

/**
 * The share of pictures whose label is among the classes with the largest logits. Of classes with the same
 * logit those with a lower number come first, as in NumPy's `argmax`.
 *
 * @param logits What a classifier says before its softmax, a number for each class.
 * @param labels Class that each picture should show.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If there is not a label for each row, a label is no class, a logit is not finite, or
 * there are fewer classes than `top`.
 *
 * @example
 * ```ts
 * import { accuracy } from "./accuracy.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const logits = { values: Float32Array.of(2, 1, 0, 0, 1, 2), count: 2, dimensions: 3 };
 * assertEquals(accuracy(logits, [0, 1]).right, [true, false]);
 * assertEquals(accuracy(logits, [0, 1], { top: 2 }).value, 1);
 * ```
 */
export function accuracy(logits: Rows, labels: readonly number[], options: AccuracyOptions = {}): Accuracy {
  requireOptions(options, ["top"], ACTION);
  const { values, count, dimensions } = requireRows(logits, "logits", ACTION);
  const top = requireInteger(options.top ?? 1, "top", ACTION, { min: 1, max: dimensions });
  if (requireList(labels, "labels", ACTION, "a list of classes").length !== count) {
    throw new RangeError(mustBe(`${count}, one for each row`, labels.length, "the number of labels", ACTION));
  }
  const logProbabilities = new Float64Array(count);
  const right = labels.map((label, i) => {
    requireInteger(label, `label ${i}`, ACTION, { min: 0, max: dimensions - 1 });
    const row = values.subarray(i * dimensions, (i + 1) * dimensions);
    const own = row[label]!;
    let [before, sum] = [0, 0];
    for (let k = 0; k < dimensions; k++) {
      if (row[k]! > own || (row[k] === own && k < label)) before++;
    }
    const largest = row.reduce((most, value) => Math.max(most, value), -Infinity);
    for (let k = 0; k < dimensions; k++) sum += Math.exp(row[k]! - largest);
    logProbabilities[i] = own - largest - Math.log(sum);
    return before < top;
  });
  return { value: right.filter(Boolean).length / count, right, logProbabilities };
}
