/**
 * The candidates of VAR-Scaling as it sees them: densities of all of them, and what it decides. Nothing is
 * painted for it beyond the scale in question. What a picture becomes of a candidate is left to
 * `representatives.ts`.
 *
 * @module
 */

import { type Decision, decisionLength, readDecision } from "../../kernels/candidates/select.ts";
import type { Label, ResolvedLabel } from "../../models/label.ts";
import type { Model } from "../../models/model.ts";
import { generate } from "../../sampler/generate.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import type { Painting } from "./analysis.ts";

/** What is looked at. */
export interface CandidateRequest {
  /** Labels of the pictures. */
  readonly labels: readonly Label[];
  /** Numbers of the pictures; 0, 1, 2, … by default. */
  readonly indices?: readonly number[];
  /** Seed. */
  readonly seed: number | bigint;
  /** Index of the scale. */
  readonly scale: number;
  /** Numbers of candidates N, each of which is looked at by itself. */
  readonly samples: readonly number[];
  /** Threshold factor; what suits the model by default. */
  readonly alpha?: number;
  /** Distance below which only the first of two candidates is kept; what suits the model by default. */
  readonly conflictThreshold?: number;
  /** How tokens are drawn. */
  readonly painting?: Painting;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/** Candidates of a picture. */
export interface Candidates {
  /** Place of the picture in the request. */
  readonly place: number;
  /** Its label. */
  readonly label: ResolvedLabel;
  /** Number of candidates. */
  readonly samples: number;
  /** Threshold factor that it was decided by. */
  readonly alpha: number;
  /** Density of each candidate, from the number of positions to that times the number of candidates. */
  readonly densities: Float32Array;
  /** What VAR-Scaling decides, as its hook reports it. */
  readonly decision: Decision;
}

/**
 * Looks at the candidates of pictures, batch by batch; a batch ends with the scale.
 *
 * @param model A loaded model.
 * @param request Which pictures, scale and numbers of candidates.
 * @param onPicture Called when pictures have been looked at, with how many.
 * @returns For each picture, by place, its candidates for each number of them.
 *
 * @example
 * ```ts
 * import { candidatesOf } from "./candidate_densities.ts";
 * import { loadModel } from "../../models/load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const [pools] = await candidatesOf(model, { labels: [0], seed: 0, scale: 1, samples: [10, 20] });
 * assertEquals(pools!.map(({ densities }) => densities.length), [10, 20]);
 * ```
 */
export async function candidatesOf(
  model: Model,
  request: CandidateRequest,
  onPicture: (count: number) => void = () => {},
): Promise<readonly (readonly Candidates[])[]> {
  const { labels, seed, scale, painting = {}, signal } = request;
  const { indices = labels.map((_, i) => i) } = request;
  const found: Candidates[][] = [];
  while (found.length < labels.length) {
    const first = found.length;
    const hook = lookAt(request, model, first, found);
    const events = generate.stream(model, {
      ...painting,
      ...{ labels: labels.slice(first), indices: indices.slice(first), seed, signal, hooks: [hook] },
    });
    // Leaving the loop ends the batch; how many pictures it had, the device and the request decide.
    for await (const event of events) if (event.type === "scale" && event.scale === scale) break;
    onPicture(found.length - first);
  }
  return found;
}

/** A hook that looks at candidates as VAR-Scaling's does, and chooses none. */
function lookAt(request: CandidateRequest, model: Model, first: number, found: Candidates[][]): ScaleHook {
  const { scale, samples } = request;
  const { search } = model;
  const { representatives, strategy, pick } = search;
  const { conflictThreshold = search.conflictThreshold } = request;
  return {
    name: "look at candidates",
    scales: [scale],
    async choose(step) {
      const { lanes, device } = step;
      const looks = samples.map((count) => {
        const { alpha = search.alpha({ scale, samples: count }) } = request;
        const candidates = step.draw(count);
        const scores = step.density(candidates, count);
        const how = { alpha, representatives, conflictThreshold, strategy, pick };
        return { count, alpha, scores, ...step.select(candidates, scores, count, how) };
      });
      const words = await device.read(looks.flatMap(({ scores, decision }) => [scores, decision]));
      for (const [row, { label }] of lanes.entries()) {
        found.push(looks.map(({ count, alpha }, i): Candidates => ({
          place: first + row,
          label,
          samples: count,
          alpha,
          densities: new Float32Array(words[2 * i]!.buffer).slice(row * count, (row + 1) * count),
          decision: readDecision(words[2 * i + 1]!, row * decisionLength(Math.min(representatives, count))),
        })));
      }
    },
  };
}
