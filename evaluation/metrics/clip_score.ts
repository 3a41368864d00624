/**
 * How well pictures fit their texts, by a network that describes both. Which one is left to `networks/`.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import { requireRows, type Rows } from "./rows.ts";

/** How well pictures fit their texts. */
export interface ClipScore {
  /** 100 times the mean cosine, or 0 if that is negative: what torchmetrics calls CLIP score. */
  readonly mean: number;
  /** The mean cosine itself: what some papers print, and 2.5 times which Hessel et al. do. */
  readonly cosine: number;
  /** 100 times the cosine of each picture with its text, which may be negative. */
  readonly scores: readonly number[];
}

const ACTION = "take a CLIP score";

/**
 * The CLIP score of pictures and their texts (Hessel et al., "CLIPScore: a reference-free evaluation metric
 * for image captioning", 2021), in torchmetrics' scale: 0 is cut off from the mean, not from each picture.
 *
 * @param pictures A vector for each picture, of any length but 0.
 * @param texts The vector of each picture's text, by the same network.
 * @throws {TypeError} If they are no rows.
 * @throws {RangeError} If counts or dimensions differ, a value is not finite, or a vector is 0.
 *
 * @example
 * ```ts
 * import { clipScore } from "./clip_score.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const pictures = { values: Float32Array.of(2, 0, 0, 3), count: 2, dimensions: 2 };
 * const texts = { values: Float32Array.of(5, 0, 1, 0), count: 2, dimensions: 2 };
 * assertEquals(clipScore(pictures, texts), { mean: 50, cosine: 0.5, scores: [100, 0] });
 * ```
 */
export function clipScore(pictures: Rows, texts: Rows): ClipScore {
  const { values, count, dimensions } = requireRows(pictures, "pictures", ACTION);
  requireRows(texts, "texts", ACTION, { dimensions });
  if (texts.count !== count) {
    throw new RangeError(
      mustBe(`${count}, one for each picture`, texts.count, "the number of texts", ACTION),
    );
  }
  const scores = Array.from({ length: count }, (_, row) => {
    let [product, own, other] = [0, 0, 0];
    for (let i = row * dimensions; i < (row + 1) * dimensions; i++) {
      product += values[i]! * texts.values[i]!;
      own += values[i]! ** 2;
      other += texts.values[i]! ** 2;
    }
    if (own > 0 && other > 0) return 100 * product / Math.sqrt(own) / Math.sqrt(other);
    const name = own > 0 ? "texts" : "pictures";
    throw new RangeError(`Cannot ${ACTION} as row ${row} of ${name} is 0 and has no direction`);
  });
  const mean = scores.reduce((sum, score) => sum + score, 0) / count;
  return { mean: Math.max(0, mean), cosine: mean / 100, scores };
}
