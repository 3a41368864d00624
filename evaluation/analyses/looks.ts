/**
 * Hooks that look at pictures while they are painted and change nothing: scores of a verifier after scales,
 * descriptions of finished pictures. What is made of them is left to the analyses.
 *
 * @module
 */

import type { FeatureExtractor } from "../../models/vision/verifier.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import { describeLanes, judgeLanes } from "../../sampler/judging.ts";
import { type Judge, observe } from "../../sampler/methods/population.ts";

/**
 * Makes a hook that notes what a judge says of each picture after some scales.
 *
 * @param judge Who judges.
 * @param scales Indices of the scales.
 *
 * @example
 * ```ts
 * import { noteScores } from "./looks.ts";
 * import { generate, loadModel, ownEvidence } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const look = noteScores(ownEvidence(), [2, 5]);
 * const { images: [image] } = await generate(model, { labels: "red torus", hooks: [look] });
 * assertEquals(image!.decisionsOf(look).map(({ scale }) => scale), [2, 5]);
 * ```
 */
export function noteScores(judge: Judge, scales: readonly number[]): ScaleHook<number> {
  return {
    name: `score by ${judge.name}`,
    async gather(step) {
      await observe(judge, step);
      if (!scales.includes(step.scale)) return undefined;
      for (const [lane, score] of (await judgeLanes(step, judge)).entries()) step.note(lane, score);
      return undefined;
    },
  };
}

/**
 * Makes a hook that notes the features of each finished picture, all its rows side by side.
 *
 * @param extractor Who describes.
 *
 * @example
 * ```ts
 * import { noteFeatures } from "./looks.ts";
 * import { generate, loadModel } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const look = noteFeatures(await model.extractor!());
 * const { images: [image] } = await generate(model, { labels: "red torus", hooks: [look] });
 * assertEquals(image!.decisionsOf(look)[0]!.value.length % 64, 0);
 * ```
 */
export function noteFeatures(extractor: FeatureExtractor): ScaleHook<Float32Array> {
  return {
    name: `features by ${extractor.name}`,
    scales: [-1],
    async gather(step) {
      const { values, tokens, channels } = await describeLanes(step, extractor);
      const size = tokens * channels;
      for (const lane of step.lanes.keys()) step.note(lane, values.slice(lane * size, (lane + 1) * size));
      return undefined;
    },
  };
}
