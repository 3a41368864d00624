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
  type DrawingSettings,
  GUIDANCE_FORMULAS,
  type PerScale,
  type PictureSize,
  type SamplingDefaults,
  type ScaleSampling,
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
 * Checks how tokens are to be drawn, and completes it. Whether lists are long enough only their schedule can
 * tell; see {@linkcode requireOnePerScale}.
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
export function resolveSampling(request: ScheduleRequest, defaults: SamplingDefaults): DrawingSettings {
  requireOptions(request, SCHEDULE_OPTIONS, ACTION);
  const guidance = request.guidance ?? defaults.guidance;
  requireChoice(guidance, GUIDANCE_FORMULAS, "guidance", ACTION);
  return {
    cfg: perScale(request.cfg ?? defaults.cfg, "cfg", requireStrength),
    guidance,
    topK: perScale(request.topK ?? defaults.topK, "topK", (value, name) => {
      requireInteger(value, name, ACTION, { min: 0, max: MAX_COUNT });
    }),
    topP: perScale(request.topP ?? defaults.topP, "topP", requireShare),
    minP: perScale(request.minP ?? defaults.minP, "minP", requireShare),
    temperature: perScale(request.temperature ?? defaults.temperature, "temperature", requireTemperature),
  };
}

/**
 * Checks that settings which are lists have a number for each scale.
 *
 * @param scales Number of scales.
 * @throws {RangeError} If one is shorter.
 *
 * @example
 * ```ts
 * import { requireOnePerScale } from "./sampling.ts";
 * import { assertThrows } from "@std/assert";
 *
 * requireOnePerScale({ cfg: 4, temperature: [1, 0.5, 0.5] }, 3);
 * assertThrows(() => requireOnePerScale({ cfg: [4, 3], temperature: 1 }, 3), RangeError, "each of 3 scales");
 * ```
 */
export function requireOnePerScale(
  settings: Partial<Omit<DrawingSettings, "guidance">>,
  scales: number,
): void {
  for (const name of ["cfg", "topK", "topP", "minP", "temperature"] as const) {
    const value = settings[name];
    if (value === undefined || typeof value === "number" || value.length >= scales) continue;
    throw new RangeError(
      `Cannot ${ACTION} as ${name} must hold a number for each of ${scales} scales: current number is ${value.length}`,
    );
  }
}

/**
 * Checks how the tokens of one scale are to be drawn: what a request's settings may be, without lists.
 *
 * @param sampling Some of its settings.
 * @param action What they are for, in the message.
 * @throws {TypeError} If there is another setting, or one is no number.
 * @throws {RangeError} If one is out of range.
 *
 * @example
 * ```ts
 * import { requireScaleSampling } from "./sampling.ts";
 * import { assertThrows } from "@std/assert";
 *
 * requireScaleSampling({ topK: 1, guidanceWeight: 2 }, "change a scale");
 * assertThrows(
 *   () => requireScaleSampling({ topP: 2 }, "change a scale"),
 *   RangeError,
 *   "Cannot change a scale as topP must be from 0 to 1",
 * );
 * ```
 */
export function requireScaleSampling(sampling: Partial<ScaleSampling>, action: string): void {
  requireObject(sampling, "sampling", action);
  requireOptions(sampling, ["guidanceWeight", "topK", "topP", "minP", "temperature"], action);
  const { guidanceWeight, topK, topP, minP, temperature } = sampling;
  if (guidanceWeight !== undefined) {
    requireNumber(guidanceWeight, "guidanceWeight", action, { min: -(2 ** 32), max: 2 ** 32 });
  }
  if (topK !== undefined) requireInteger(topK, "topK", action, { min: 0, max: MAX_COUNT });
  if (topP !== undefined) requireShare(topP, "topP", action);
  if (minP !== undefined) requireShare(minP, "minP", action);
  if (temperature !== undefined) requireTemperature(temperature, "temperature", action);
}

function requireStrength(value: number, name: string, action: string = ACTION): void {
  requireNumber(value, name, action, { min: 0, max: 1e6 });
}

function requireShare(value: number, name: string, action: string = ACTION): void {
  requireNumber(value, name, action, { min: 0, max: 1 });
}

function requireTemperature(value: number, name: string, action: string = ACTION): void {
  requireStrength(value, name, action);
  if (value === 0 || value >= 1e-6) return;
  throw new RangeError(mustBe("0 or at least 1e-6", value, name, action));
}

/** A setting that is right on every scale; a list as a copy, so that it stays what it is. */
function perScale(value: PerScale, name: string, require: (value: number, name: string) => void): PerScale {
  if (!Array.isArray(value)) {
    require(value as number, name);
    return value;
  }
  return Array.from(value as readonly number[], (item, scale) => {
    require(item, `${name}[${scale}]`);
    return item;
  });
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
