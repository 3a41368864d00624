/**
 * Scaled spatial guidance (Shin, Hur and Kim, arXiv 2602.05534): each scale is moved away from what the scale
 * before it has said already, so that it adds what only it can show. No pass of the transformer; how logits
 * of two maps meet is left to the kernel `coarseContrast`.
 *
 * @module
 */

import {
  mustBe,
  requireInteger,
  requireList,
  requireNumber,
  requireObject,
  requireOptions,
} from "../../kernels/arguments.ts";
import type { DeviceArray } from "../../kernels/device/device.ts";
import { coarseContrast, createPriorTable } from "../../kernels/sampling/coarse_contrast.ts";
import type { ScaleHook } from "../hook.ts";
import { SCALE_NUMBERS, scaleIndex } from "../scale_index.ts";
import type { ScaleStep } from "../step.ts";

/** Options of {@linkcode spatialGuidance}. */
export interface SpatialGuidanceOptions {
  /**
   * Strength β in `l + β · (l - prior)`, from 0 to 1024. A number is that of the second scale, and falls in
   * equal steps: on scale k of K it is `β · (K - k) / (K - 1)`. A list gives each scale its own, of which the
   * first is not used. 0.1 by default, which is not the paper's, as no values are published: of 0.1, 0.2, 0.4
   * and 0.8 on the bundled models none was better than nothing for sure, so it is the mildest
   * (`docs/evidence_guidance.md`).
   */
  strength?: number | readonly number[];
  /** Scales on which it acts, negative ones from the end; all but the first by default. */
  scales?: readonly number[];
}

const ACTION = "make the spatial guidance";
const MOST = 1024;
/** What a generation has without saying how strong: see {@linkcode SpatialGuidanceOptions.strength}. */
const STRENGTH = 0.1;

/**
 * Makes the hook of scaled spatial guidance. With l the guided logits of a scale, they become
 * `l + β · (l - prior)`: after guidance, before temperature and truncation. The prior is what the scale
 * before has said, as its guided logits were before this moved them, resized to the map: bilinear, but for
 * the low band of the cosine transform, which is that of the coarse map itself (see `priorWeights`). Each
 * token is resized by itself; where tokens are bits, the logits of both values of a bit.
 *
 * The first scale has nothing before it, and neither has the first one after given tokens. A token with a NaN
 * or an infinity somewhere in the coarse map has no prior, and keeps its logits. It composes with whatever
 * chooses tokens or thins out lanes, as what it remembers follows them.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range; from `generate`, if there is no such scale, or a list of
 * strengths is too short.
 *
 * @example
 * ```ts
 * import { generate, loadModel, spatialGuidance } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const request = { labels: "red torus", seed: 7 };
 * const { images: [image], trace } = await generate(model, { ...request, hooks: [spatialGuidance()] });
 * const { images: [plain] } = await generate(model, request);
 * // The first scale is as it was; nothing is read back on the way.
 * assertEquals(image!.tokens[0], plain!.tokens[0]);
 * assertEquals(trace.readbacks, 1);
 * ```
 */
export function spatialGuidance(options: SpatialGuidanceOptions = {}): ScaleHook {
  requireObject(options, "the options", ACTION);
  requireOptions(options, ["strength", "scales"], ACTION);
  const strength = requireStrength(options.strength ?? STRENGTH);
  const scales = options.scales === undefined ? undefined : requireScales(options.scales);
  return {
    name: "spatial-guidance",
    settings: { strength, ...(scales && { scales }) },
    plan({ scales: { length } }) {
      for (const scale of scales ?? []) scaleIndex(scale, length, "a scale", "guide by the scale before");
      if (typeof strength !== "number" && strength.length < length) {
        throw new RangeError(
          `Cannot guide by the scale before as strength must hold a number for each of ${length} scales: ` +
            `current number is ${strength.length}`,
        );
      }
      return [];
    },
    guide: (step) => guide(step, { strength, scales }),
  };
}

/** What is settled. */
interface Settings {
  readonly strength: number | readonly number[];
  readonly scales: readonly number[] | undefined;
}

function guide(step: ScaleStep, settings: Settings): void {
  const { scale, device, model: { tokens: { logits: vocabulary } }, schedule } = step;
  const coarse = step.recall(nameOf(scale - 1)) as DeviceArray | undefined;
  // Before they are moved: the prior of a prior would be moved twice.
  if (strengthOn(scale + 1, step.scales, settings) !== 0) step.remember(nameOf(scale), step.logits);
  const weight = strengthOn(scale, step.scales, settings);
  if (coarse === undefined || weight === 0) return;
  const lanes = step.lanes.length;
  using table = createPriorTable(device, schedule.scales[scale - 1]!, schedule.scales[scale]!);
  device.run(coarseContrast, { coarse, logits: step.logits, table, lanes, vocabulary, weight });
}

/** Two names in turns, as the last map is still wanted when the next one is kept. */
function nameOf(scale: number): string {
  return `logits of an ${scale % 2 === 0 ? "even" : "odd"} scale`;
}

/** β of a scale, 0 where nothing is done. */
function strengthOn(scale: number, count: number, { strength, scales }: Settings): number {
  if (scale < 1 || scale >= count) return 0;
  const acts = scales?.some((number) => scaleIndex(number, count, "a scale", ACTION) === scale) ?? true;
  if (!acts) return 0;
  return typeof strength === "number" ? strength * (count - scale) / (count - 1) : strength[scale]!;
}

function requireStrength(strength: number | readonly number[]): number | readonly number[] {
  const bounds = { min: 0, max: MOST };
  if (typeof strength === "number") return requireNumber(strength, "strength", ACTION, bounds);
  const list = requireList(strength, "strength", ACTION, "a number or a list of numbers");
  return Array.from(list, (value, i) => requireNumber(value, `strength[${i}]`, ACTION, bounds));
}

function requireScales(scales: readonly number[]): readonly number[] {
  const list = requireList(scales, "scales", ACTION, "a list of numbers");
  if (list.length === 0) throw new RangeError(mustBe("a list of at least one scale", list, "scales", ACTION));
  return Array.from(list, (scale) => requireInteger(scale, "a scale", ACTION, SCALE_NUMBERS));
}
