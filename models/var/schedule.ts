/**
 * The scales of a request to a VAR model: always its own token maps, each of which adds to one picture of one
 * size.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import { patchNumbersOf, pictureSizeOf, requireOnePerScale, resolveSampling } from "../sampling.ts";
import { type SamplingDefaults, samplingOfScale, type Schedule, type ScheduleRequest } from "../schedule.ts";

/** What the authors draw samples with. */
export const DEFAULTS: SamplingDefaults = {
  cfg: 1.5,
  guidance: "ramp",
  topK: 900,
  topP: 0.96,
  minP: 0,
  temperature: 1,
};

/** What a schedule depends on besides the request. */
export interface VarScheduleModel {
  /** Name, for messages. */
  readonly name: string;
  /** Sides of its token maps. */
  readonly patchNumbers: readonly number[];
  /** Side of its pictures in pixels; 0 for a model that has no pictures. */
  readonly pictureSide: number;
}

/**
 * Makes the schedule of a request, but for the bytes that it takes.
 *
 * @param model What paints.
 * @param request How tokens are drawn. Token maps and a size may be named if they are the model's own.
 * @throws {TypeError} If an option is of the wrong type, or none of VAR's.
 * @throws {RangeError} If there can be no such schedule.
 *
 * @example
 * ```ts
 * import { varSchedule } from "./schedule.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const model = { name: "VAR-d4", patchNumbers: [1, 2, 3, 4], pictureSide: 64 };
 * const { scales } = varSchedule(model, { cfg: 3 });
 * assertEquals(scales.map(({ sampling }) => sampling.guidanceWeight), [0, 1, 2, 3]);
 * assertThrows(() => varSchedule(model, { patchNumbers: [1, 4] }), RangeError, "knows no others");
 * ```
 */
export function varSchedule(
  model: VarScheduleModel,
  request: ScheduleRequest = {},
): Omit<Schedule, "imageBytes" | "batchLimit"> {
  const sampling = resolveSampling(request, DEFAULTS);
  requireOwn(model, request);
  const { patchNumbers, pictureSide } = model;
  const picture = { width: pictureSide, height: pictureSide };
  const count = patchNumbers.length;
  requireOnePerScale(sampling, count);
  return {
    scales: patchNumbers.map((side, k) => ({
      width: side,
      height: side,
      picture,
      sampling: samplingOfScale(sampling, { scale: k, ratio: count > 1 ? k / (count - 1) : 0 }),
    })),
    picture,
    settings: { ...sampling, published: false, maps: {}, familyOptions: {} },
  };
}

const ACTION = "generate";

/** Checks that nothing else is asked for than what the model does. */
function requireOwn(model: VarScheduleModel, request: ScheduleRequest): void {
  const { patchNumbers, size, published = false, familyOptions = {} } = request;
  const refuse = (name: string, own: string, given: unknown): never => {
    throw new RangeError(
      mustBe(`${own} for the model "${model.name}", which knows no others`, given, name, ACTION),
    );
  };
  if (patchNumbers !== undefined) {
    const own = model.patchNumbers.join(", ");
    if (own !== patchNumbersOf(patchNumbers).join(", ")) refuse("patchNumbers", `[${own}]`, patchNumbers);
  }
  if (size !== undefined) {
    const { width, height } = pictureSizeOf(size);
    const own = model.pictureSide;
    if (width !== own || height !== own) refuse("size", `${own}×${own}`, size);
  }
  if (published !== false) {
    throw new TypeError(
      mustBe(
        "false for a VAR model, which is always sampled as its released code does it",
        published,
        "published",
        ACTION,
      ),
    );
  }
  requireNoOptions(familyOptions);
}

function requireNoOptions(options: Readonly<Record<string, unknown>>): void {
  const names = typeof options === "object" && options !== null ? Object.keys(options) : undefined;
  if (names?.length === 0) return;
  throw new TypeError(mustBe("empty for a VAR model, which has none", options, "familyOptions", ACTION));
}
