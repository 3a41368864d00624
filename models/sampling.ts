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
    cfg: requireStrength(request.cfg ?? defaults.cfg, "cfg"),
    guidance,
    topK: requireInteger(request.topK ?? defaults.topK, "topK", ACTION, { min: 0, max: MAX_COUNT }),
    topP: requireNumber(request.topP ?? defaults.topP, "topP", ACTION, { min: 0, max: 1 }),
    minP: requireNumber(request.minP ?? defaults.minP, "minP", ACTION, { min: 0, max: 1 }),
    temperature: requireStrength(
      request.temperature ?? defaults.temperature,
      "temperature",
      (value, name) => {
        if (value !== 0 && value < 1e-6) {
          throw new RangeError(
            mustBe("0 or at least 1e-6", value, name, ACTION),
          );
        }
      },
    ),
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
  settings: Pick<DrawingSettings, "cfg" | "temperature">,
  scales: number,
): void {
  for (const name of ["cfg", "temperature"] as const) {
    const value = settings[name];
    if (typeof value === "number" || value.length >= scales) continue;
    throw new RangeError(
      `Cannot ${ACTION} as ${name} must hold a number for each of ${scales} scales: current number is ${value.length}`,
    );
  }
}

/** A number from 0 to 1e6, or a list of such; a copy, so that it stays what it is. */
function requireStrength(
  value: PerScale,
  name: string,
  check: (value: number, name: string) => void = () => {},
): PerScale {
  const one = (item: number, name: string): number => {
    requireNumber(item, name, ACTION, { min: 0, max: 1e6 });
    check(item, name);
    return item;
  };
  if (!Array.isArray(value)) return one(value as number, name);
  return Array.from(value as readonly number[], (item, scale) => one(item, `${name}[${scale}]`));
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
