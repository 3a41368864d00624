/**
 * How much two sets of pictures differ by the same metrics, where their pictures go in pairs, as those of two
 * methods with the same seeds do: what pairs have in common says nothing of the difference, so it is surer
 * than either value.
 *
 * @module
 */

import { mustBe } from "../kernels/arguments.ts";
import type { Evaluation } from "./evaluate.ts";
import { bootstrapDifference } from "./statistics/intervals.ts";
import { pairedTest } from "./statistics/permutation.ts";
import { studentReach } from "./statistics/quantiles.ts";
import type { Measured } from "./sweep/results.ts";

/** How much a value differs from another. */
export interface Compared extends Measured {
  /** Probability of a difference as large if there were none, where the value is a mean over pictures. */
  readonly p?: number;
}

/** Share of intervals that hold the true difference. */
const CONFIDENCE = 0.95;

/**
 * Compares two evaluations of pictures of the same names. Means over pictures are compared picture by
 * picture, by a bootstrap and a permutation test; metrics that are no such means by leaving out the same
 * groups of pictures of both. A metric without an interval has no difference either.
 *
 * @param own What is compared.
 * @param other What is subtracted.
 * @returns Differences by the key of the metric; none where the pictures have other names.
 * @throws {RangeError} If another network looked.
 *
 * @example
 * ```ts
 * import { compareEvaluations, evaluatePictures, loadMetricNetwork, openPictures } from "./mod.ts";
 * import { RgbaImage } from "../sampler/mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * await Deno.writeFile(`${folder}/class_3_img_0.png`, new RgbaImage(64, 64).png());
 * await using network = await loadMetricNetwork("demo-oracle");
 * const pictures = await openPictures(folder);
 * const plain = await evaluatePictures({ pictures, network, metrics: ["accuracy"] });
 * const { accuracy } = compareEvaluations(plain, plain);
 * assertEquals(accuracy, { value: 0, low: 0, high: 0, p: 1 });
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export function compareEvaluations(
  own: Evaluation,
  other: Evaluation,
): Readonly<Record<string, Compared>> {
  if (own.network.fingerprint !== other.network.fingerprint) {
    throw new RangeError(
      mustBe(`${own.network.name} for both`, other.network.name, "the network", "compare evaluations"),
    );
  }
  const paired = own.names.length === other.names.length &&
    own.names.every((name, i) => name === other.names[i]);
  if (!paired) return {};
  const found: Record<string, Compared> = {};
  for (const { key } of own.metrics) {
    const [here, there] = [own.each[key], other.each[key]];
    if (here !== undefined && there !== undefined) found[key] = ofMeans(here, there);
    const [mine, theirs] = [own.parts[key], other.parts[key]];
    if (mine !== undefined && theirs !== undefined) {
      found[key] = ofParts(own.values[key]!.value - other.values[key]!.value, mine, theirs);
    }
  }
  return found;
}

function ofMeans(here: readonly number[], there: readonly number[]): Compared {
  const { low, high } = bootstrapDifference([here], [there], { confidence: CONFIDENCE });
  const { difference, p } = pairedTest(here, there);
  return { value: difference, low, high, p };
}

/** The delete-a-group jackknife of a difference: that of the differences without each group. */
function ofParts(value: number, mine: readonly number[], theirs: readonly number[]): Compared {
  const groups = mine.length;
  const differences = mine.map((part, i) => part - theirs[i]!);
  const middle = differences.reduce((sum, part) => sum + part, 0) / groups;
  const squares = differences.reduce((sum, part) => sum + (part - middle) ** 2, 0);
  const reach = studentReach(CONFIDENCE, groups - 1) * Math.sqrt((groups - 1) / groups * squares);
  return { value, low: value - reach, high: value + reach };
}
