/**
 * Adaptive projected guidance (Sadat, Hilliges and Weber, arXiv 2410.02416), as InfinityStar guides by it:
 * conditional and unconditional logits become one without the part of their difference that only makes the
 * conditional ones larger. How that is computed is left to the kernel `projectedGuidance`.
 *
 * @module
 */

import { requireChoice, requireObject, requireOptions } from "../../kernels/arguments.ts";
import {
  requireEta,
  requireNormThreshold,
  runProjectedGuidance,
} from "../../kernels/sampling/projected_guidance.ts";
import type { ScaleHook } from "../hook.ts";
import type { ScaleStep } from "../step.ts";

/** What is projected as a whole. */
export type ProjectedOver = "map" | "position";

/** Options of {@linkcode adaptiveGuidance}. */
export interface AdaptiveGuidanceOptions {
  /** Share η of the parallel part that is kept, from -1024 to 1024; 0 by default, 1 is ordinary guidance. */
  eta?: number;
  /**
   * Root mean square that differences of logits are shortened to where theirs is larger, 1e-6 to 2^20, or 0
   * (default) for never. InfinityStar's is 0.05, of logits divided by the temperature, with cfg 34.
   */
  normThreshold?: number;
  /** Over the whole `"map"` of an image (default, as in InfinityStar), or each `"position"` by itself. */
  over?: ProjectedOver;
}

const ACTION = "make the adaptive guidance";
const OVER: readonly ProjectedOver[] = ["map", "position"];

/**
 * Makes the hook of adaptive guidance, in place of ordinary one: with `d = conditional - unconditional`,
 * shortened to `normThreshold · √n` where it is longer, and split into `parallel`, its projection on the
 * conditional logits, and `rest`, the guided logits are `conditional + t · (rest + η · parallel)`. t is the
 * weight of the scale, from `cfg` as ever, and n the number of logits that are projected together.
 *
 * The paper's third part, a moving average of differences over the steps of a diffusion, is left out: scales
 * have maps of different sizes, and InfinityStar does without it. Where nothing is guided, as on VAR's first
 * scale, and with η 1 and no threshold, it does nothing. Only one hook may combine the logits of a scale.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range.
 *
 * @example
 * ```ts
 * import { adaptiveGuidance, generate, loadModel } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const hooks = [adaptiveGuidance({ normThreshold: 0.5 })];
 * const { images: [image], trace } = await generate(model, { labels: "red torus", cfg: 4, hooks });
 * assertEquals(image!.caption, "red torus #0");
 * assertEquals(trace.readbacks, 1);
 * ```
 */
export function adaptiveGuidance(options: AdaptiveGuidanceOptions = {}): ScaleHook {
  requireObject(options, "the options", ACTION);
  requireOptions(options, ["eta", "normThreshold", "over"], ACTION);
  const { eta = 0, normThreshold = 0, over = "map" } = options;
  requireEta(eta, ACTION);
  requireNormThreshold(normThreshold, ACTION);
  requireChoice(over, OVER, "over", ACTION);
  const settings = { eta, normThreshold, over };
  return { name: "adaptive-guidance", settings, combine: (step) => combine(step, settings) };
}

function combine(step: ScaleStep, { eta, normThreshold, over }: Required<AdaptiveGuidanceOptions>): void {
  if (step.guidanceWeight === 0 || (eta === 1 && normThreshold === 0)) return;
  const { conditional, unconditional } = step;
  const { length: lanes } = step.lanes;
  const { logits: vocabulary } = step.model.tokens;
  const guided = step.allocate(lanes * step.positions * vocabulary, "guided logits");
  const [rows, length] = over === "map"
    ? [lanes, step.positions * vocabulary]
    : [lanes * step.positions, vocabulary];
  runProjectedGuidance(step.device, {
    ...{ conditional, unconditional: unconditional!, guided, rows, length },
    weight: step.guidanceWeight,
    ...{ eta, normThreshold },
  });
  step.setLogits(guided);
}
