/**
 * What every family does first with a request for a schedule: the settings of drawing are checked and
 * completed by the model's own, and what names token maps is checked to be of the right kind.
 *
 * @module
 */

import { requireChoice, requireOptions } from "../kernels/arguments.ts";
import {
  GUIDANCE_FORMULAS,
  type PictureSize,
  type SamplingDefaults,
  type ScheduleRequest,
} from "./schedule.ts";

const ACTION = "generate";

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
  const temperature = numberOf("temperature", request.temperature ?? defaults.temperature, {
    min: 0,
    max: 1e6,
  });
  if (temperature !== 0 && temperature < 1e-6) {
    throw new RangeError(
      `Cannot generate as temperature must be 0 or at least 1e-6: current value is ${temperature}`,
    );
  }
  return {
    cfg: numberOf("cfg", request.cfg ?? defaults.cfg, { min: 0, max: 1e6 }),
    guidance,
    topK: integerOf("topK", request.topK ?? defaults.topK, { min: 0 }),
    topP: numberOf("topP", request.topP ?? defaults.topP, { min: 0, max: 1 }),
    minP: numberOf("minP", request.minP ?? defaults.minP, { min: 0, max: 1 }),
    temperature,
  };
}

/**
 * A number that a request gives.
 *
 * @throws {TypeError} If it is none.
 * @throws {RangeError} If it is out of range.
 */
export function numberOf(
  name: string,
  value: number,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  requireNumeric(name, value);
  if (value >= min && value <= max) return value;
  throw new RangeError(
    `Cannot ${ACTION} as ${name} must be from ${min} to ${max}: current value is ${value}`,
  );
}

/**
 * An integer below 2^31 that a request gives.
 *
 * @throws {TypeError} If it is no number.
 * @throws {RangeError} If it is out of range.
 */
export function integerOf(name: string, value: number, { min }: { readonly min: number }): number {
  requireNumeric(name, value);
  if (Number.isSafeInteger(value) && value >= min && value < 2 ** 31) return value;
  throw new RangeError(`Cannot ${ACTION} as ${name} must be an integer >= ${min}: current value is ${value}`);
}

/**
 * The sides of token maps that a request gives, whatever they are.
 *
 * @throws {TypeError} If they are no list.
 */
export function patchNumbersOf(patchNumbers: readonly number[]): readonly number[] {
  if (Array.isArray(patchNumbers)) return patchNumbers;
  throw new TypeError(
    `Cannot ${ACTION} as patchNumbers must be a list of numbers: current value is ${
      Deno.inspect(patchNumbers)
    }`,
  );
}

/**
 * The width and height that a request gives, whatever they are: a number stands for a square.
 *
 * @throws {TypeError} If there are none.
 */
export function pictureSizeOf(size: number | PictureSize): PictureSize {
  if (typeof size === "number") return { width: size, height: size };
  if (typeof size === "object" && size !== null) return size;
  throw new TypeError(
    `Cannot ${ACTION} as size must be a number or a width and a height: current value is ${
      Deno.inspect(size)
    }`,
  );
}

function requireNumeric(name: string, value: unknown): void {
  if (typeof value === "number") return;
  throw new TypeError(
    `Cannot ${ACTION} as ${name} must be a number: current value is ${Deno.inspect(value)}`,
  );
}
