/**
 * Best of N: N independent attempts at an image, of which a verifier takes the best. The plainest search
 * there is, and what every other one has to be better than at the same cost.
 *
 * @module
 */

import { mustBe, requireInteger, requireObject, requireOptions } from "../../kernels/arguments.ts";
import type { ScaleHook } from "../hook.ts";
import { MAX_LANES } from "../request.ts";
import { type Judge, looksOf, observe, rankLanes, requireJudge } from "./population.ts";

/** Options of {@linkcode bestOfN}. */
export interface BestOfNOptions {
  /** Attempts N at each image; 4 by default. */
  samples?: number;
  /** Who judges them; the model's own verifier by default. */
  verifier?: Judge;
  /** How many of them come back; 1 by default. */
  keep?: number;
}

/** What {@linkcode bestOfN} notes of each attempt, under `decisions`. */
export interface BestOfNDecision {
  /** What the verifier gave. */
  readonly score: number;
  /** Its place among the attempts, 0 for the best. */
  readonly rank: number;
}

/**
 * Makes the Best-of-N hook.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range.
 *
 * @example
 * ```ts
 * import { bestOfN, generate, loadModel, ownEvidence } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const search = bestOfN({ samples: 3, verifier: ownEvidence() });
 * const { images: [image] } = await generate(model, { labels: "blue cone", hooks: [search] });
 * const scores = image!.attempts.map(({ decisions }) => decisions[0]!.value as { score: number });
 * assertEquals(image!.decisionsOf(search)[0]!.value.score, Math.max(...scores.map(({ score }) => score)));
 * ```
 */
export function bestOfN(options: BestOfNOptions = {}): ScaleHook<BestOfNDecision> {
  const action = "make the Best-of-N hook";
  requireObject(options, "the options", action);
  requireOptions(options, ["samples", "verifier", "keep"], action);
  const { verifier } = options;
  const samples = requireInteger(options.samples ?? 4, "samples", action, { min: 1, max: MAX_LANES });
  const keep = requireInteger(options.keep ?? 1, "keep", action, { min: 1 });
  if (keep > samples) throw new RangeError(mustBe(`at most ${samples}, the samples`, keep, "keep", action));
  requireJudge(verifier, action);
  return {
    name: "best-of-n",
    lanes: samples,
    settings: { samples, verifier: verifier?.name ?? "own", keep },
    plan: ({ scales: { length } }, model) => [
      {
        scale: length - 1,
        lanes: (before) => Math.min(before, keep),
        looks: looksOf(verifier, model, "Best of N"),
      },
    ],
    async gather(step) {
      await observe(verifier, step);
      if (step.scale < step.scales - 1) return undefined;
      const ranked = await rankLanes(step, verifier, (place) => place);
      return ranked.flatMap((order) => order.slice(0, keep));
    },
  };
}
