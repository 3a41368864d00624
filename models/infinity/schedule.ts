/**
 * The scales of a request to Infinity: grids of one of the published table's aspect ratios, from one token on
 * (arXiv 2412.04431, appendix; the table is that of the released code). A model paints the first of a ratio's
 * thirteen grids, up to the one that it was trained on.
 *
 * @module
 */

import {
  mustBe,
  requireBoolean,
  requireChoice,
  requireInteger,
  requireOptions,
  shown,
} from "../../kernels/arguments.ts";
import type { FamilyOption } from "../family.ts";
import { requirePromptLength } from "../text/tokenizer.ts";
import { pictureSizeOf, requireOnePerScale, resolveSampling } from "../sampling.ts";
import {
  type DrawingSettings,
  type MapSize,
  type PictureSize,
  type SamplingDefaults,
  samplingOfScale,
  type ScaleSampling,
  type Schedule,
  type ScheduleRequest,
  type ScheduleSettings,
} from "../schedule.ts";

/** What the released evaluation takes: `eval.sh`. */
export const DEFAULTS: SamplingDefaults = {
  cfg: 4,
  guidance: "constant",
  topK: 900,
  topP: 0.97,
  minP: 0,
  temperature: 1,
};

/** Scales of a ratio. */
export const SCALES = 13;

/** Scales of the published amounts of pixels. */
export const PIXELS: Readonly<Record<string, number>> = { "0.06M": 7, "0.25M": 10, "0.60M": 12, "1M": 13 };

const HIGH: readonly (readonly [key: string, grids: string])[] = [
  ["1", "1×1 2×2 4×4 6×6 8×8 12×12 16×16 20×20 24×24 32×32 40×40 48×48 64×64"],
  ["1.25", "1×1 2×2 3×3 5×4 10×8 15×12 20×16 25×20 30×24 35×28 45×36 55×44 70×56"],
  ["1.333", "1×1 2×2 4×3 8×6 12×9 16×12 20×15 24×18 28×21 36×27 48×36 60×45 72×54"],
  ["1.5", "1×1 2×2 3×2 6×4 9×6 15×10 21×14 27×18 33×22 39×26 48×32 63×42 78×52"],
  ["1.75", "1×1 2×2 3×3 7×4 11×6 14×8 21×12 28×16 35×20 42×24 56×32 70×40 84×48"],
  ["2", "1×1 2×2 4×2 6×3 10×5 16×8 22×11 30×15 38×19 46×23 60×30 74×37 90×45"],
  ["2.5", "1×1 2×2 5×2 10×4 15×6 20×8 25×10 30×12 40×16 50×20 65×26 80×32 100×40"],
  ["3", "1×1 2×2 6×2 9×3 15×5 21×7 27×9 36×12 45×15 54×18 72×24 90×30 111×37"],
];

/** One aspect ratio of the published table. */
interface Aspect {
  /** Height by width, as the released code writes it. */
  readonly key: string;
  /** Its thirteen grids. */
  readonly maps: readonly MapSize[];
}

/** The published table, in its order: 1, then each ratio above 1 before its landscape. */
const ASPECTS: readonly Aspect[] = HIGH.flatMap(([key, grids]) => {
  const maps = grids.split(" ").map((grid) => {
    const [height, width] = grid.split("×").map(Number) as [number, number];
    return { width, height };
  });
  if (key === "1") return [{ key, maps }];
  const landscape = maps.map(({ width, height }) => ({ width: height, height: width }));
  // The released code cuts the ratio after three digits.
  return [{ key, maps }, { key: `${Math.floor(1000 / Number(key)) / 1000}`, maps: landscape }];
});

/** The aspect ratios that there are, height by width. */
export const ASPECT_KEYS: readonly string[] = ASPECTS.map(({ key }) => key);

/** The ratio of a square. */
const SQUARE = "1";

/** Options that only this family has. */
export const OPTIONS: Readonly<
  Record<"pn" | "aspect" | "negativePrompt" | "positivePrompt" | "cfgInsertionLayer", FamilyOption>
> = {
  pn: {
    kind: "text",
    help: `Pixels of a picture as published: ${Object.keys(PIXELS).join(", ")}`,
    defaultText: "what the model was trained on",
  },
  aspect: {
    kind: "text",
    help: `Height by width of a picture: ${ASPECT_KEYS.join(", ")}`,
    defaultText: "1, or what is nearest to --size",
  },
  negativePrompt: {
    kind: "text",
    help: "Text to guide away from, instead of no text",
    defaultText: "none",
  },
  positivePrompt: {
    kind: "boolean",
    help: "Add the released code's words about faces to prompts that name a person",
    defaultText: "off",
  },
  cfgInsertionLayer: {
    kind: "text",
    help:
      "Where guidance acts: 0 on the logits, -5 after the fifth block from the end, or several between commas",
    defaultText: "0",
  },
};

/** What a schedule depends on besides the request. */
export interface InfinityScheduleModel {
  /** Name, for messages. */
  readonly name: string;
  /** Scales that its pictures usually have. */
  readonly scales: number;
  /** Scales that it has an embedding for. */
  readonly levels: number;
  /** Blocks of its transformer. */
  readonly depth: number;
  /** Pixels along a token; 0 for a model that has no pictures. */
  readonly pixels: number;
}

/**
 * The family's own options as a schedule holds them: those that were given, and what follows from the rest.
 */
export interface InfinityOptions {
  /** Published amount of pixels. */
  readonly pn?: string;
  /** Height by width, unless it is 1. */
  readonly aspect?: string;
  /** Text to guide away from. */
  readonly negativePrompt?: string;
  /** Whether the released code's words about faces are added. */
  readonly positivePrompt?: boolean;
  /** Where guidance acts. */
  readonly cfgInsertionLayer?: string;
}

const ACTION = "generate";

/**
 * Makes the schedule of a request, but for the bytes that it takes.
 *
 * @param model What paints.
 * @param request What is asked for; a square of the usual size by default. Of a size, what is nearest in the
 * table is taken, and `notes` say so.
 * @throws {TypeError} If an option is of the wrong type, or none of Infinity's.
 * @throws {RangeError} If there can be no such schedule.
 *
 * @example A landscape of a quarter of a million pixels
 * ```ts
 * import { infinitySchedule } from "./schedule.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const model = { name: "Infinity-2B", scales: 13, levels: 15, depth: 32, pixels: 16 };
 * const { scales, picture } = infinitySchedule(model, { familyOptions: { pn: "0.25M", aspect: "0.5" } });
 * assertEquals(picture, { width: 736, height: 368 });
 * assertEquals(scales.length, 10);
 * ```
 */
export function infinitySchedule(
  model: InfinityScheduleModel,
  request: ScheduleRequest = {},
): Omit<Schedule, "imageBytes" | "batchLimit"> {
  const { patchNumbers, size, published = false, familyOptions = {} } = request;
  const sampling = resolveSampling(request, DEFAULTS);
  requireBoolean(published, "published", ACTION);
  if (patchNumbers !== undefined) {
    throw new RangeError(
      `Cannot ${ACTION} with patchNumbers as the model "${model.name}" goes by the published table: use size, or pn and aspect`,
    );
  }
  const options = resolveOptions(model, familyOptions);
  const found = findMaps(model, options, size);
  const maps = found.aspect.maps.slice(0, found.scales);
  requireOnePerScale(sampling, maps.length);
  const layers = insertionLayers(options);
  const last = maps.at(-1)!;
  const picture = { width: last.width * model.pixels, height: last.height * model.pixels };
  const { aspect: _aspect, ...others } = options;
  const settings: ScheduleSettings = {
    ...sampling,
    published,
    maps: size === undefined ? {} : { size: typeof size === "number" ? size : { ...size } },
    familyOptions: {
      ...others,
      ...(found.aspect.key === SQUARE ? {} : { aspect: found.aspect.key }),
    },
  };
  return {
    scales: maps.map((map, k) => ({
      ...map,
      picture,
      sampling: samplingAt(sampling, k, maps.length, layers.logits),
    })),
    picture,
    pixelRule: published ? "truncate" : "round",
    settings,
    ...(found.note === undefined ? {} : { notes: [found.note] }),
  };
}

/** How the tokens of a scale are drawn; guidance of blocks alone leaves the logits as they are. */
function samplingAt(
  sampling: DrawingSettings,
  scale: number,
  scales: number,
  guided: boolean,
): ScaleSampling {
  const own = samplingOfScale(sampling, { scale, ratio: scale / Math.max(1, scales - 1) });
  return guided ? own : { ...own, guidanceWeight: 0 };
}

/** Where guidance acts. */
export interface InsertionLayers {
  /** Whether it acts on the logits. */
  readonly logits: boolean;
  /** Blocks from the end after which it acts, from 1 for the last: ascending and without repetition. */
  readonly blocks: readonly number[];
}

/** Where guidance acts by the options of a schedule. */
export function insertionLayers({ cfgInsertionLayer = "0" }: InfinityOptions): InsertionLayers {
  const layers = cfgInsertionLayer.split(",").map(Number);
  const blocks = [...new Set(layers.filter((layer) => layer < 0).map((layer) => -layer))];
  return { logits: layers.includes(0), blocks: blocks.sort((a, b) => a - b) };
}

/** The last grid of a ratio's thirteen: the coordinates that positions of any scale are given in. */
export function coordinateMap({ aspect = SQUARE }: InfinityOptions): MapSize {
  return ASPECTS.find(({ key }) => key === aspect)!.maps.at(-1)!;
}

function resolveOptions(
  model: InfinityScheduleModel,
  given: Readonly<Record<string, unknown>>,
): InfinityOptions {
  requireOptions(given, Object.keys(OPTIONS), ACTION);
  const options = given as InfinityOptions;
  const { pn, aspect, negativePrompt, positivePrompt, cfgInsertionLayer } = options;
  if (pn !== undefined) requireChoice(pn, Object.keys(PIXELS), "pn", ACTION);
  const ratio = aspect === undefined ? undefined : aspectNamed(aspect).key;
  if (negativePrompt !== undefined && typeof negativePrompt !== "string") {
    throw new TypeError(mustBe("a text", negativePrompt, "negativePrompt", ACTION));
  }
  if (negativePrompt !== undefined) requirePromptLength(negativePrompt, "the length of negativePrompt");
  if (positivePrompt !== undefined) requireBoolean(positivePrompt, "positivePrompt", ACTION);
  if (cfgInsertionLayer !== undefined) requireLayers(cfgInsertionLayer, model);
  return { ...options, ...(ratio === undefined ? {} : { aspect: ratio }) };
}

function aspectNamed(aspect: unknown): Aspect {
  if (typeof aspect !== "string" && typeof aspect !== "number") {
    throw new TypeError(mustBe("a ratio of height by width", aspect, "aspect", ACTION));
  }
  const found = ASPECTS.find(({ key }) => key === String(aspect) || Number(key) === Number(aspect));
  if (found !== undefined) return found;
  throw new RangeError(mustBe(ASPECT_KEYS.join(", "), aspect, "aspect", ACTION));
}

function requireLayers(layers: unknown, { depth }: InfinityScheduleModel): void {
  if (typeof layers !== "string" || !/^-?\d{1,4}(,-?\d{1,4})*$/.test(layers)) {
    throw new TypeError(
      mustBe(
        '0, a negative number, or several between commas, like "0,-5"',
        layers,
        "cfgInsertionLayer",
        ACTION,
      ),
    );
  }
  for (const layer of layers.split(",").map(Number)) {
    requireInteger(layer, "cfgInsertionLayer", ACTION, { min: -depth, max: 0 });
  }
}

/** Grids of a request. */
interface FoundMaps {
  readonly aspect: Aspect;
  readonly scales: number;
  readonly note?: string;
}

function findMaps(
  model: InfinityScheduleModel,
  { pn, aspect }: InfinityOptions,
  size: number | PictureSize | undefined,
): FoundMaps {
  const usual = pn === undefined ? model.scales : PIXELS[pn]!;
  if (usual > model.levels) {
    throw new RangeError(
      `Cannot ${ACTION} as pn must ask for at most ${model.levels} scales, which the model "${model.name}" has: ${
        shown(pn)
      } has ${usual}`,
    );
  }
  if (size === undefined) return { aspect: aspectNamed(aspect ?? SQUARE), scales: usual };
  const wanted = pictureSizeOf(size);
  for (const side of ["width", "height"] as const) {
    requireInteger(wanted[side], `the ${side}`, ACTION, { min: 1, max: 65536 });
  }
  if (model.pixels === 0) {
    throw new RangeError(
      `Cannot ${ACTION} pictures of a size as the model "${model.name}" has neither decoder nor encoder; use pn and aspect`,
    );
  }
  return nearest(model, wanted, {
    aspects: aspect === undefined ? ASPECTS : [aspectNamed(aspect)],
    counts: pn === undefined
      ? Array.from({ length: Math.min(SCALES, model.levels) }, (_, i) => i + 1)
      : [usual],
  });
}

/**
 * The grids whose pictures are nearest to a size: first by the ratio, as the released code chooses it, then
 * by the number of pixels.
 */
function nearest(
  model: InfinityScheduleModel,
  wanted: PictureSize,
  { aspects, counts }: { readonly aspects: readonly Aspect[]; readonly counts: readonly number[] },
): FoundMaps {
  const ratio = wanted.height / wanted.width;
  const by = <Value>(values: readonly Value[], distance: (value: Value) => number): Value => {
    return values.reduce((best, value) => distance(value) < distance(best) ? value : best);
  };
  const aspect = by(aspects, ({ key }) => Math.abs(Number(key) - ratio));
  const pixels = wanted.width * wanted.height;
  const sizeOf = (scales: number): PictureSize => {
    const { width, height } = aspect.maps[scales - 1]!;
    return { width: width * model.pixels, height: height * model.pixels };
  };
  const scales = by(counts, (count) => {
    const { width, height } = sizeOf(count);
    return Math.abs(Math.log(width * height / pixels));
  });
  const { width, height } = sizeOf(scales);
  if (width === wanted.width && height === wanted.height) return { aspect, scales };
  return {
    aspect,
    scales,
    note:
      `${wanted.width}×${wanted.height} is not in the published table: pictures have ${width}×${height}, the nearest size`,
  };
}

/** Grids of a square picture with so many scales. */
export function usualMaps(scales: number): readonly MapSize[] {
  return ASPECTS[0]!.maps.slice(0, scales);
}
