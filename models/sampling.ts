/**
 * What every family does first with a request for a schedule: the settings of drawing are checked and
 * completed by the model's own, and what names token maps is checked to be of the right kind.
 *
 * @module
 */

import {
  mustBe,
  requireChoice,
  requireInteger,
  requireList,
  requireNumber,
  requireObject,
  requireOptions,
} from "../kernels/arguments.ts";
import {
  GUIDANCE_FORMULAS,
  type PictureSize,
  type SamplingDefaults,
  type ScheduleRequest,
} from "./schedule.ts";

const ACTION = "generate";

/** The most that a count of a request may be, such as top-k: kernels take it as a signed word. */
export const MAX_COUNT = 2 ** 31 - 1;

/** Names of all that a schedule may be asked for. */
export const SCHEDULE_OPTIONS = [
  "cfg",
  "guidance",
  "topK",
  "topP",
  "minP",
  "temperature",
  "patchNumbers",
  "size",
  "published",
  "familyOptions",
] as const satisfies (keyof ScheduleRequest)[];

/**
 * Checks how tokens are to be drawn, and completes it.
 *
 * @param defaults What a model does unless something else is asked for.
 * @throws {TypeError} If a setting is of the wrong type, or something is asked for that no schedule knows.
 * @throws {RangeError} If it is out of range.
 *
 * @example
 * ```ts
 * import { resolveSampling } from "./sampling.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const defaults = { cfg: 1.5, guidance: "ramp", topK: 900, topP: 0.96, minP: 0, temperature: 1 } as const;
 * assertEquals(resolveSampling({ cfg: 2 }, defaults), { ...defaults, cfg: 2 });
 * assertThrows(() => resolveSampling({ topP: 2 }, defaults), RangeError, "topP must be from 0 to 1");
 * ```
 */
export function resolveSampling(request: ScheduleRequest, defaults: SamplingDefaults): SamplingDefaults {
  requireOptions(request, SCHEDULE_OPTIONS, ACTION);
  const guidance = request.guidance ?? defaults.guidance;
  requireChoice(guidance, GUIDANCE_FORMULAS, "guidance", ACTION);
  const temperature = requireNumber(
    request.temperature ?? defaults.temperature,
    "temperature",
    ACTION,
    { min: 0, max: 1e6 },
  );
  if (temperature !== 0 && temperature < 1e-6) {
    throw new RangeError(mustBe("0 or at least 1e-6", temperature, "temperature", ACTION));
  }
  return {
    cfg: requireNumber(request.cfg ?? defaults.cfg, "cfg", ACTION, { min: 0, max: 1e6 }),
    guidance,
    topK: requireInteger(request.topK ?? defaults.topK, "topK", ACTION, { min: 0, max: MAX_COUNT }),
    topP: requireNumber(request.topP ?? defaults.topP, "topP", ACTION, { min: 0, max: 1 }),
    minP: requireNumber(request.minP ?? defaults.minP, "minP", ACTION, { min: 0, max: 1 }),
    temperature,
  };
}

/**
 * The sides of token maps that a request gives, whatever they are.
 *
 * @throws {TypeError} If they are no list.
 */
export function patchNumbersOf(patchNumbers: readonly number[]): readonly number[] {
  return requireList(patchNumbers, "patchNumbers", ACTION, "a list of numbers");
}

/**
 * The width and height that a request gives, whatever they are: a number stands for a square.
 *
 * @throws {TypeError} If there are none.
 */
export function pictureSizeOf(size: number | PictureSize): PictureSize {
  if (typeof size === "number") return { width: size, height: size };
  return requireObject(size, "size", ACTION, "a number or a width and a height");
}
