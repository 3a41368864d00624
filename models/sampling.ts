/**
 * What every family does first with a request for a schedule: the settings of drawing are checked and completed by the model's own.
 *
 * @module
 */

import { requireChoice, requireOptions } from "../kernels/arguments.ts";
import type { GuidanceFormula, SamplingDefaults, ScheduleRequest } from "./schedule.ts";

const FORMULAS: readonly GuidanceFormula[] = ["ramp", "constant"];

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
  requireOptions(request, SCHEDULE_OPTIONS, "generate");
  const guidance = request.guidance ?? defaults.guidance;
  requireChoice(guidance, FORMULAS, "guidance", "generate");
  const temperature = number("temperature", request.temperature ?? defaults.temperature, 1e6);
  if (temperature !== 0 && temperature < 1e-6) {
    throw new RangeError(
      `Cannot generate as temperature must be 0 or at least 1e-6: current value is ${temperature}`,
    );
  }
  return {
    cfg: number("cfg", request.cfg ?? defaults.cfg, 1e6),
    guidance,
    topK: integer("topK", request.topK ?? defaults.topK),
    topP: number("topP", request.topP ?? defaults.topP, 1),
    minP: number("minP", request.minP ?? defaults.minP, 1),
    temperature,
  };
}

function number(name: string, value: number, max: number): number {
  requireType(name, value);
  if (value >= 0 && value <= max) return value;
  throw new RangeError(`Cannot generate as ${name} must be from 0 to ${max}: current value is ${value}`);
}

function integer(name: string, value: number): number {
  requireType(name, value);
  if (Number.isSafeInteger(value) && value >= 0 && value < 2 ** 31) return value;
  throw new RangeError(`Cannot generate as ${name} must be an integer >= 0: current value is ${value}`);
}

function requireType(name: string, value: unknown): void {
  if (typeof value === "number") return;
  throw new TypeError(
    `Cannot generate as ${name} must be a number: current value is ${Deno.inspect(value)}`,
  );
}
