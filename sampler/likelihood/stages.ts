/**
 * The stages in which pictures are classified: how many labels are tried on how many scales, so that few
 * labels are left by the time that scales get expensive. Trying them is left to `classify.ts`.
 *
 * @module
 */

import {
  mustBe,
  requireInteger,
  requireList,
  requireObject,
  requireOptions,
} from "../../kernels/arguments.ts";

/** A stage of classification. */
export interface ClassifyStage {
  /** How many scales count, from the coarsest on. */
  readonly scales: number;
  /** How many labels go on to the next stage, the likeliest ones; not needed in the last stage. */
  readonly keep?: number | undefined;
  /**
   * How many encodings of the picture are weighed, of which the mean counts: its own, and such with noise
   * added to the encoder's features; 1 by default.
   */
  readonly samples?: number | undefined;
}

/** A stage with nothing left open. */
export interface ResolvedStage {
  /** Scales that count, from the first on. */
  readonly scales: number;
  /** Labels that go on; 1 in the last stage. */
  readonly keep: number;
  /** Encodings with noise that are averaged; 1 without noise. */
  readonly samples: number;
}

/** Labels that the usual stages leave, as A-VARC's do. */
const KEEP = [10, 3] as const;
/** The part of the scales that the usual first stage goes by: 6 of 10, as A-VARC's does. */
const FIRST_PART = 0.6;
/** Encodings that the usual last stage weighs, as A-VARC's does. */
const SAMPLES = 3;

/**
 * The usual stages: those of A-VARC (arXiv 2510.12060; its released code's command line has 10, 3 and 1
 * labels left, 1, 1 and 3 samples, 6, 10 and 10 of 10 scales), with the same part of the scales where there
 * are others than ten. A stage that would leave all labels is left out.
 *
 * @param labels Number of labels.
 * @param scales Number of scales.
 *
 * @example
 * ```ts
 * import { usualStages } from "./stages.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(usualStages(1000, 10), [
 *   { scales: 6, keep: 10, samples: 1 },
 *   { scales: 10, keep: 3, samples: 1 },
 *   { scales: 10, keep: 1, samples: 3 },
 * ]);
 * assertEquals(usualStages(2, 6), [{ scales: 6, keep: 1, samples: 3 }]);
 * ```
 */
export function usualStages(labels: number, scales: number): readonly ResolvedStage[] {
  const [many, few] = KEEP;
  return [
    ...(labels > many ? [{ scales: Math.ceil(FIRST_PART * scales), keep: many, samples: 1 }] : []),
    ...(labels > few ? [{ scales, keep: few, samples: 1 }] : []),
    { scales, keep: 1, samples: SAMPLES },
  ];
}

/**
 * Checks stages, and completes them.
 *
 * @param stages As they are given; the usual ones by default.
 * @throws {TypeError} If they are no list of stages.
 * @throws {RangeError} If there is none, or a number is out of range.
 */
export function resolveStages(
  stages: readonly ClassifyStage[] | undefined,
  { labels, scales, action }: { readonly labels: number; readonly scales: number; readonly action: string },
): readonly ResolvedStage[] {
  if (stages === undefined) return usualStages(labels, scales);
  requireList(stages, "stages", action, "a list of stages");
  requireInteger(stages.length, "the number of stages", action, { min: 1 });
  let left = labels;
  return stages.map((stage, i) => {
    const name = `stages[${i}]`;
    requireObject(stage, name, action);
    requireOptions(stage, ["scales", "keep", "samples"], action);
    const last = i === stages.length - 1;
    const { keep = last ? 1 : undefined, samples = 1 } = stage;
    requireInteger(stage.scales, `${name}.scales`, action, { min: 1, max: scales });
    requireInteger(samples, `${name}.samples`, action, { min: 1, max: 1024 });
    if (keep === undefined) {
      throw new TypeError(mustBe("the number of labels that go on", keep, `${name}.keep`, action));
    }
    // One label needs no further stage.
    requireInteger(keep, `${name}.keep`, action, last ? { min: 1, max: 1 } : { min: 2 });
    if (keep > left) {
      throw new RangeError(mustBe(`at most ${left}, the labels that are left`, keep, `${name}.keep`, action));
    }
    left = keep;
    return { scales: stage.scales, keep, samples };
  });
}
