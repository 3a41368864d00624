/**
 * Beam search over scales (as in arXiv 2510.16751): after chosen scales a verifier keeps the b best of b·m
 * lanes, and each of them goes on in m copies, which part ways with the next tokens.
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
import type { ScaleHook } from "../hook.ts";
import { MAX_LANES } from "../request.ts";
import { SCALE_NUMBERS, scaleIndex } from "../scale_index.ts";
import { type Judge, looksOf, observe, rankLanes, requireJudge } from "./population.ts";

/** Options of {@linkcode beamSearch}. */
export interface BeamSearchOptions {
  /** Lanes b that are kept after each of the scales; 2 by default. */
  beams?: number;
  /** Copies m in which each of them goes on; 2 by default. */
  width?: number;
  /**
   * Scales after which lanes are judged, 0-based, negative ones from the end; by default those at half and at
   * three quarters of the way, as scores say little before. After the last one they are judged in any case.
   */
  scales?: readonly number[];
  /** Who judges; the model's own verifier by default. */
  verifier?: Judge;
  /** Pictures that come back of each image; 1 by default. */
  keep?: number;
}

/** What {@linkcode beamSearch} notes of each lane that was judged, under `decisions`. */
export interface BeamSearchDecision {
  /** What the verifier gave. */
  readonly score: number;
  /** Its place among the lanes of the image, 0 for the best. */
  readonly rank: number;
}

/**
 * Makes the beam search hook.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range.
 *
 * @example
 * ```ts
 * import { beamSearch, generate, loadModel, ownEvidence } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const search = beamSearch({ beams: 2, width: 2, scales: [2, 3], verifier: ownEvidence() });
 * const { images, trace } = await generate(model, { labels: "blue cone", hooks: [search] });
 * assertEquals(images[0]!.decisionsOf(search).map(({ scale }) => scale), [2, 3, 5]);
 * assertEquals([images.length, trace.cost.passes, trace.cost.decodes], [1, 6 * 4, 1]);
 * ```
 */
export function beamSearch(options: BeamSearchOptions = {}): ScaleHook<BeamSearchDecision> {
  const action = "make the beam search hook";
  requireObject(options, "the options", action);
  requireOptions(options, ["beams", "width", "scales", "verifier", "keep"], action);
  const { scales, verifier } = options;
  const beams = requireInteger(options.beams ?? 2, "beams", action, { min: 1, max: MAX_LANES });
  const width = requireInteger(options.width ?? 2, "width", action, { min: 1, max: MAX_LANES });
  const keep = requireInteger(options.keep ?? 1, "keep", action, { min: 1 });
  const lanes = beams * width;
  if (lanes > MAX_LANES) throw new RangeError(mustBe(`at most ${MAX_LANES}`, lanes, "beams · width", action));
  if (keep > lanes) throw new RangeError(mustBe(`at most ${lanes}, the lanes`, keep, "keep", action));
  for (const scale of requireList(scales ?? [], "scales", action)) {
    requireInteger(scale, "a scale", action, SCALE_NUMBERS);
  }
  requireJudge(verifier, action);
  const judgedOf = (count: number): ReadonlySet<number> => {
    const wanted = scales ?? [0.5, 0.75].map((part) => Math.round(part * (count - 1)));
    return new Set(wanted.map((scale) => scaleIndex(scale, count, "a scale of the beam search", "generate")));
  };
  return {
    name: "beam",
    lanes,
    settings: { beams, width, scales: scales ?? "preset", verifier: verifier?.name ?? "own", keep },
    plan({ scales: { length } }, model) {
      const looks = looksOf(verifier, model, "beam search");
      const between = [...judgedOf(length)].filter((scale) => scale < length - 1).sort((a, b) => a - b);
      return [
        ...between.map((scale) => ({
          scale,
          lanes: (before: number) => Math.min(before, beams) * width,
          looks,
        })),
        { scale: length - 1, lanes: (before) => Math.min(before, keep), looks },
      ];
    },
    async gather(step) {
      await observe(verifier, step);
      const last = step.scale === step.scales - 1;
      if (!last && !judgedOf(step.scales).has(step.scale)) return undefined;
      const ranked = await rankLanes(step, verifier, (place) => place);
      return ranked.flatMap((order) => {
        return last ? order.slice(0, keep) : order.slice(0, beams).flatMap((row) => Array(width).fill(row));
      });
    },
  };
}
