/**
 * The scales of a request to FlexVAR: any increasing list of token maps that begins with one token, as each
 * map is a picture of its own size. The lists, the sizes they are found for, and the guidance of each scale,
 * as the paper (arXiv 2502.20313) and the released code have them.
 *
 * @module
 */

import { mustBe, requireBoolean, requireInteger, requireOptions, shown } from "../../kernels/arguments.ts";
import type { FamilyOption } from "../family.ts";
import { patchNumbersOf, pictureSizeOf, requireOnePerScale, resolveSampling } from "../sampling.ts";
import {
  type DrawingSettings,
  type MapSize,
  type PictureSize,
  type SamplingDefaults,
  samplingOfScale,
  type ScaleSampling,
  type Schedule,
  type ScheduleRequest,
} from "../schedule.ts";

/** Sides of the token maps up to 256 px: the schedule that the models are evaluated with. */
export const PATCH_NUMBERS: readonly number[] = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16];

/** Side of the largest map that the published models were trained on; beyond it they extrapolate. */
const TRAINED_SIDE = PATCH_NUMBERS.at(-1)!;

/**
 * The largest step between two maps beyond {@linkcode TRAINED_SIDE}; the published list for 512 px is 16, 23,
 * 32.
 */
const LARGEST_STEP = 1.5;

/** Ramps of guidance end at this scale. */
const RAMP_SCALES = 9;

/** What the evaluation script of the released code takes. */
export const DEFAULTS: SamplingDefaults = {
  cfg: 2.5,
  guidance: "ramp",
  topK: 900,
  topP: 0.95,
  minP: 0,
  temperature: 1,
};

/** Sides of which the released code samples the tokens; it takes the likeliest ones on all others. */
const SAMPLED_SIDES: ReadonlySet<number> = new Set([...PATCH_NUMBERS, 23, 24, 32]);

/** The list of thirteen maps, of which the one for 512 px is a continuation. */
const THIRTEEN: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16];

/**
 * Lists of the paper and the released code, of 256, 384 and 512 px. Of eight maps there are two; this one is
 * the paper's.
 */
const PUBLISHED_LISTS: readonly (readonly number[])[] = [
  [1, 2, 4, 6, 10, 16],
  [1, 2, 3, 5, 8, 11, 16],
  [1, 2, 3, 4, 6, 10, 13, 16],
  [1, 2, 3, 4, 5, 7, 10, 13, 16],
  PATCH_NUMBERS,
  [1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 16],
  [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16],
  THIRTEEN,
  [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16],
  [...PATCH_NUMBERS, 24],
  [...PATCH_NUMBERS, 23, 32],
  [...THIRTEEN, 23, 32],
];

/** Options that only this family has. */
export const OPTIONS: Readonly<Record<"steps" | "maxpn", FamilyOption>> = {
  steps: {
    kind: "integer",
    help:
      "Take the published list of so many token maps: 6 to 14 of them for 256 px and what is not square, 11 for 384 and 12 or 15 for 512",
    min: 1,
    defaultText: "10 for 256 px",
  },
  maxpn: {
    kind: "integer",
    help:
      "With the released code's rules: side of the token map beyond which guidance is constant and the likeliest tokens are taken",
    min: 1,
    defaultText: `${TRAINED_SIDE}`,
  },
};

/** What a schedule depends on besides the request. */
export interface FlexVarScheduleModel {
  /** Name, for messages. */
  readonly name: string;
  /** Pixels along a token; 0 for a model that has no pictures. */
  readonly pixelsPerToken: number;
}

const ACTION = "generate";

/**
 * Makes the schedule of a request, but for the bytes that it takes.
 *
 * @param model What paints.
 * @param request What is asked for; the ten maps of 256 px by default.
 * @throws {TypeError} If an option is of the wrong type, or none of FlexVAR's.
 * @throws {RangeError} If there can be no such schedule.
 *
 * @example A picture twice as wide as it is high
 * ```ts
 * import { flexVarSchedule } from "./schedule.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const model = { name: "FlexVAR-d16", pixelsPerToken: 16 };
 * const { scales, picture } = flexVarSchedule(model, { size: { width: 512, height: 256 } });
 * assertEquals(picture, { width: 512, height: 256 });
 * assertEquals(scales.map(({ width, height }) => `${width}×${height}`).slice(0, 4), [
 *   "1×1",
 *   "4×2",
 *   "6×3",
 *   "8×4",
 * ]);
 * ```
 */
export function flexVarSchedule(
  model: FlexVarScheduleModel,
  request: ScheduleRequest = {},
): Omit<Schedule, "imageBytes" | "batchLimit"> {
  const { patchNumbers, size, published = false, familyOptions = {} } = request;
  const sampling = resolveSampling(request, DEFAULTS);
  const { steps, maxpn } = resolveOptions(published, familyOptions);
  const list = patchNumbers === undefined ? undefined : requirePatchNumbers(patchNumbers);
  const last = size === undefined ? undefined : requireMap(model, size);
  const maps = mapsOf(steps === undefined ? list : listOfSteps(steps, list, last), last);
  requireOnePerScale(sampling, maps.length);
  const { width, height } = maps.at(-1)!;
  if (published && width !== height) {
    throw new RangeError(
      `Cannot generate as the released code paints squares only: published must be false for token maps of ${width}×${height}`,
    );
  }
  const rules = published ? { maxpn: maxpn ?? TRAINED_SIDE } : undefined;
  const picture = ({ width, height }: MapSize): PictureSize => {
    return { width: width * model.pixelsPerToken, height: height * model.pixelsPerToken };
  };
  return {
    scales: maps.map((map, k) => ({
      ...map,
      picture: picture(map),
      sampling: rules === undefined
        ? ownSampling(sampling, k, maps.length)
        : publishedSampling(sampling, { k, count: maps.length, side: map.width, ...rules }),
    })),
    picture: picture({ width, height }),
    settings: {
      ...sampling,
      published,
      maps: {
        ...(list === undefined ? {} : { patchNumbers: list }),
        ...(size === undefined ? {} : { size: typeof size === "number" ? size : { ...size } }),
      },
      familyOptions: { ...(steps === undefined ? {} : { steps }), ...(maxpn === undefined ? {} : { maxpn }) },
    },
  };
}

/**
 * Every scale is sampled, and guidance never exceeds cfg, so that a longer schedule does not change how it
 * begins.
 */
function ownSampling(sampling: DrawingSettings, k: number, count: number): ScaleSampling {
  return samplingOfScale(sampling, { scale: k, ratio: Math.min(1, ratio(k, count)) });
}

/**
 * As the released code has it: a ramp goes on beyond cfg after ten scales; beyond `maxpn` it is constant and
 * the likeliest tokens are taken, as they are on sides that are not on the list.
 */
function publishedSampling(
  sampling: DrawingSettings,
  { k, count, side, maxpn }: {
    readonly k: number;
    readonly count: number;
    readonly side: number;
    readonly maxpn: number;
  },
): ScaleSampling {
  return {
    ...samplingOfScale(sampling, { scale: k, ratio: side > maxpn ? 1 : ratio(k, count) }),
    ...(side > maxpn || !SAMPLED_SIDES.has(side) ? { topK: 1 } : {}),
  };
}

/** Place of a scale on the ramp; a single scale has no guidance, as the first of several. */
function ratio(k: number, count: number): number {
  return k === 0 ? 0 : k / Math.min(count - 1, RAMP_SCALES);
}

/** The family's own options, as far as they are given. */
function resolveOptions(
  published: boolean,
  options: Readonly<Record<string, unknown>>,
): { readonly steps?: number; readonly maxpn?: number } {
  requireBoolean(published, "published", ACTION);
  requireOptions(options, Object.keys(OPTIONS), ACTION);
  for (const [name, { min = 1 }] of Object.entries(OPTIONS)) {
    if (options[name] !== undefined) requireInteger(options[name] as number, name, ACTION, { min });
  }
  if (options.maxpn === undefined || published) return options;
  throw new RangeError(
    `Cannot ${ACTION} as maxpn belongs to the released code's rules: published must be true, current value is false`,
  );
}

/**
 * The published list of so many maps that ends where the pictures do; what is not square is stretched from a
 * list for 256 px.
 */
function listOfSteps(
  steps: number,
  list: readonly number[] | undefined,
  last: MapSize | undefined,
): readonly number[] {
  if (list !== undefined) {
    throw new TypeError(`Cannot ${ACTION} as steps and patchNumbers exclude each other`);
  }
  const side = last === undefined || last.width !== last.height ? TRAINED_SIDE : last.width;
  const known = PUBLISHED_LISTS.filter((sides) => sides.at(-1) === side);
  const found = known.find((sides) => sides.length === steps);
  if (found !== undefined) return found;
  const lengths = known.map(({ length }) => length).join(", ");
  throw new RangeError(
    known.length === 0
      ? `Cannot ${ACTION} as no list is published for token maps up to ${side}×${side}; use patchNumbers`
      : mustBe(`${lengths} for token maps up to ${side}×${side}`, steps, "steps", ACTION),
  );
}

/** The maps of a list, of a size, or of both. */
function mapsOf(list: readonly number[] | undefined, last: MapSize | undefined): MapSize[] {
  if (last === undefined) return (list ?? PATCH_NUMBERS).map((side) => ({ width: side, height: side }));
  if (list === undefined && last.width === last.height) {
    return squareSides(last.width).map((side) => ({ width: side, height: side }));
  }
  return stretchedMaps(list ?? PATCH_NUMBERS, last);
}

/** Sides of the square maps up to one of this side. */
function squareSides(side: number): number[] {
  if (side <= TRAINED_SIDE) return [...PATCH_NUMBERS.filter((known) => known < side), side];
  const growth = side / TRAINED_SIDE;
  let steps = 1;
  for (let reached = LARGEST_STEP; reached < growth; reached *= LARGEST_STEP) steps++;
  const larger = Array.from({ length: steps }, (_, j) => {
    return Math.round(TRAINED_SIDE * growth ** ((j + 1) / steps));
  });
  return [...PATCH_NUMBERS, ...larger];
}

/**
 * A list's maps stretched to the sides of the last one, by the paper's formula. The first stays one token, as
 * the models have but one to begin with; what has become equal to the map before is left out.
 */
function stretchedMaps(list: readonly number[], last: MapSize): MapSize[] {
  const finest = list.at(-1)!;
  const maps: MapSize[] = [{ width: 1, height: 1 }];
  const stretch = (side: number, i: number): number => Math.max(1, Math.floor(side * i / finest));
  for (const i of list.slice(1)) {
    const map = { width: stretch(last.width, i), height: stretch(last.height, i) };
    const before = maps.at(-1)!;
    if (map.width !== before.width || map.height !== before.height) maps.push(map);
  }
  const { width, height } = maps.at(-1)!;
  if (width === last.width && height === last.height) return maps;
  throw new RangeError(
    `Cannot ${ACTION} as patchNumbers must have more than one map for token maps up to ${last.width}×${last.height}: current value is [1]`,
  );
}

function requirePatchNumbers(patchNumbers: readonly number[]): number[] {
  for (const side of patchNumbersOf(patchNumbers)) requireInteger(side, "a patch number", ACTION, { min: 1 });
  const refuse = (reason: string): never => {
    throw new RangeError(
      `Cannot ${ACTION} as patchNumbers must ${reason}: current value is ${shown(patchNumbers)}`,
    );
  };
  if (patchNumbers[0] !== 1) refuse("begin with 1, the class's own token");
  if (patchNumbers.some((side, k) => k > 0 && side <= patchNumbers[k - 1]!)) refuse("increase");
  return [...patchNumbers];
}

/** The token map of a size in pixels. */
function requireMap({ name, pixelsPerToken }: FlexVarScheduleModel, size: number | PictureSize): MapSize {
  const { width, height } = pictureSizeOf(size);
  if (pixelsPerToken === 0) {
    throw new RangeError(
      `Cannot ${ACTION} pictures of a size as the model "${name}" has neither decoder nor encoder; use patchNumbers`,
    );
  }
  const tokens = (pixels: number, what: string): number => {
    requireInteger(pixels, what, ACTION, { min: 1 });
    if (pixels % pixelsPerToken === 0) return pixels / pixelsPerToken;
    throw new RangeError(mustBe(`a multiple of ${pixelsPerToken}`, pixels, what, ACTION));
  };
  return { width: tokens(width, "the width"), height: tokens(height, "the height") };
}
