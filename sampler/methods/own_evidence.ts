/**
 * The model's own evidence as a judge of lanes: how much likelier its tokens are for the label than without
 * one. Guidance has computed both anyway, so it needs neither a picture nor a network. (As a classifier of
 * given pictures this is A-VARC, arXiv 2510.12060.)
 *
 * @module
 */

import type { DeviceArray } from "../../kernels/device/device.ts";
import type { LaneVerifier } from "../judging.ts";

/**
 * Makes a judge of lanes: Σ log p(tokens | label) - log p(tokens | no label) over the scales so far, by the
 * logits as they are, without guidance's weight, temperature or truncation. It tells little on the first two
 * scales. One readback for each time that it is asked.
 *
 * Without guidance there is nothing to compare, which is an error when it is asked.
 *
 * @example
 * ```ts
 * import { bestOfN, generate, loadModel, ownEvidence } from "../../mod.ts";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const search = bestOfN({ samples: 2, verifier: ownEvidence() });
 * const { images: [image], trace } = await generate(model, { labels: "red torus", hooks: [search] });
 * // More evidence for a red torus than for anything.
 * assert(image!.decisionsOf(search)[0]!.value.score > 0);
 * assertEquals(trace.readbacks, 2);
 * ```
 */
export function ownEvidence(): LaneVerifier {
  return {
    name: "evidence",
    observe(step) {
      // A hook before may have dropped lanes, so it is of those that there are.
      step.remember(nameOf(step.scale), step.evidence());
    },
    async scoreLanes(step) {
      const arrays: DeviceArray[] = [];
      for (let scale = 0; scale <= step.scale; scale++) {
        const kept = step.recall(nameOf(scale));
        // Whoever has not observed a scale has no evidence of it.
        if (kept !== undefined) arrays.push(kept as DeviceArray);
      }
      const words = await step.device.read(arrays);
      const scales = words.map((evidence) => new Float32Array(evidence.buffer));
      return step.lanes.map((_, lane) => {
        return scales.reduce((sum, evidence) => sum + evidence[2 * lane]! - evidence[2 * lane + 1]!, 0);
      });
    },
  };
}

function nameOf(scale: number): string {
  return `evidence of scale ${scale}`;
}
