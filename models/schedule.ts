/**
 * The scales of one request: which token maps a model paints, from coarse to fine, how strongly each is
 * guided and how its tokens are drawn. A family makes the schedule; the sampler follows it and knows nothing
 * of the rules behind it.
 *
 * @module
 */

import type { PixelRule } from "../kernels/maps/pack.ts";

/** A size in pixels. */
export interface PictureSize {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
}

/**
 * How the strength of guidance becomes a weight t in `conditional + t · (conditional - unconditional)`:
 * `"ramp"`, `t = cfg · r` with r from 0 at the first scale to 1, as in VAR; or `"constant"`, `t = cfg - 1` on
 * every scale, as in `unconditional + cfg · (conditional - unconditional)`. So no guidance is cfg 0 for a
 * ramp and 1 for a constant.
 */
export type GuidanceFormula = "ramp" | "constant";

/** The formulas that there are. */
export const GUIDANCE_FORMULAS: readonly GuidanceFormula[] = ["ramp", "constant"];

/** How tokens are drawn, as a person sets it. A request that leaves one out gets its model's. */
export interface SamplingDefaults {
  /** Strength of guidance. */
  readonly cfg: number;
  /** How it becomes the weight of a scale. */
  readonly guidance: GuidanceFormula;
  /** 0 is off. */
  readonly topK: number;
  /** 0 is off. */
  readonly topP: number;
  /** 0 is off. */
  readonly minP: number;
  /** 0 takes the likeliest token. */
  readonly temperature: number;
}

/**
 * A number for all scales, or a list with one for each, coarse to fine. Numbers beyond the last scale are not
 * used.
 */
export type PerScale = number | readonly number[];

/** How tokens are drawn on all scales. */
export interface DrawingSettings extends Pick<SamplingDefaults, "guidance"> {
  /** Strength of guidance. */
  readonly cfg: PerScale;
  /** 0 is off. */
  readonly topK: PerScale;
  /** 0 is off. */
  readonly topP: PerScale;
  /** 0 is off. */
  readonly minP: PerScale;
  /** 0 takes the likeliest token. */
  readonly temperature: PerScale;
}

/** What is asked of a schedule. */
export interface ScheduleRequest extends Partial<DrawingSettings> {
  /** Sides of square token maps, coarse to fine, where the family admits others than its own. */
  readonly patchNumbers?: readonly number[] | undefined;
  /**
   * Size of the pictures, where the family admits several; a number is a square's. Without `patchNumbers`,
   * the family finds a list for it.
   */
  readonly size?: number | PictureSize | undefined;
  /** Do what the family's released code does where this project does something else by default. */
  readonly published?: boolean | undefined;
  /** Options that only this family has, by name; see `Family.options`. */
  readonly familyOptions?: Readonly<Record<string, unknown>> | undefined;
}

/** How the tokens of one scale are drawn. */
export interface ScaleSampling extends Omit<SamplingDefaults, "cfg" | "guidance"> {
  /** Weight t of guidance. */
  readonly guidanceWeight: number;
}

/** Size of a token map. */
export interface MapSize {
  /** Tokens in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
}

/** One token map of a schedule. */
export interface Scale extends MapSize {
  /**
   * Size of the picture that is decoded after this scale, and of the one that is encoded to force its tokens:
   * the final size where scales add up, and the scale's own where each is a picture by itself.
   */
  readonly picture: PictureSize;
  /** How its tokens are drawn. */
  readonly sampling: ScaleSampling;
}

/** What is settled about a schedule: the request with nothing left open. */
export interface ScheduleSettings extends DrawingSettings {
  /** Do what the released code does. */
  readonly published: boolean;
  /**
   * What a request needs to say to get the same list of token maps: `{ patchNumbers }`, `{ size }` or
   * nothing.
   */
  readonly maps: Pick<ScheduleRequest, "patchNumbers" | "size">;
  /** Options that only this family has; those that were not given are left out. */
  readonly familyOptions: Readonly<Record<string, unknown>>;
}

/** How many images of a schedule a device admits in one batch. */
export interface BatchLimit {
  /** Images of a guided batch, or pictures that are encoded together, at most. */
  readonly images: number;
  /** Why, with the name of the limit. */
  readonly reason: string;
}

/** The scales of a request. */
export interface Schedule {
  /** Coarse to fine; at least one. */
  readonly scales: readonly Scale[];
  /** Size of the finished pictures. */
  readonly picture: PictureSize;
  /** What it was made from. */
  readonly settings: ScheduleSettings;
  /** Which of its 256 levels a value of a picture becomes; `"truncate"` if it does not say. */
  readonly pixelRule?: PixelRule;
  /** What a person should know of it, in sentences: that pictures have another size than asked for, say. */
  readonly notes?: readonly string[];
  /** An estimate of the bytes that each image of a guided batch takes at the peak. */
  readonly imageBytes: number;
  /** What the device admits in one batch; left out where nothing limits it. */
  readonly batchLimit?: BatchLimit;
}

/**
 * Whether unconditional logits change anything on some scale.
 *
 * @example
 * ```ts
 * import { isGuided } from "./schedule.ts";
 * import { loadModel } from "./load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * assertEquals(isGuided(model.schedule({ cfg: 1.5 })), true);
 * assertEquals(isGuided(model.schedule({ cfg: 0 })), false);
 * ```
 */
export function isGuided({ scales }: Schedule): boolean {
  return scales.some(({ sampling }) => sampling.guidanceWeight !== 0);
}

/**
 * The number that a setting has on a scale.
 *
 * @param value One number, or a list that is long enough.
 * @param scale Index of the scale, 0-based.
 *
 * @example
 * ```ts
 * import { ofScale } from "./schedule.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([ofScale(4, 2), ofScale([4, 4, 3], 2)], [4, 3]);
 * ```
 */
export function ofScale(value: PerScale, scale: number): number {
  return typeof value === "number" ? value : value[scale]!;
}

/**
 * How the tokens of one scale are drawn.
 *
 * @param settings How those of all are.
 * @param place The scale's index, and its place r on the ramp of guidance.
 *
 * @example
 * ```ts
 * import { samplingOfScale } from "./schedule.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const drawing = { topK: 0, topP: 0.97, minP: 0, temperature: 0.5 };
 * const settings = { ...drawing, topP: [1, 0.97], cfg: [4, 3], guidance: "ramp" } as const;
 * assertEquals(samplingOfScale(settings, { scale: 1, ratio: 0.5 }), {
 *   ...drawing,
 *   guidanceWeight: 1.5,
 * });
 * ```
 */
export function samplingOfScale(
  { cfg, guidance, topK, topP, minP, temperature }: DrawingSettings,
  { scale, ratio }: { readonly scale: number; readonly ratio: number },
): ScaleSampling {
  return {
    topK: ofScale(topK, scale),
    topP: ofScale(topP, scale),
    minP: ofScale(minP, scale),
    temperature: ofScale(temperature, scale),
    guidanceWeight: guidanceWeight({ cfg: ofScale(cfg, scale), guidance }, ratio),
  };
}

/**
 * Weight t of guidance on a scale.
 *
 * @param settings Strength and formula.
 * @param ratio The scale's place r on the ramp.
 *
 * @example
 * ```ts
 * import { guidanceWeight } from "./schedule.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(guidanceWeight({ cfg: 1.5, guidance: "ramp" }, 0.5), 0.75);
 * assertEquals(guidanceWeight({ cfg: 4, guidance: "constant" }, 0.5), 3);
 * ```
 */
export function guidanceWeight(
  { cfg, guidance }: Pick<SamplingDefaults, "cfg" | "guidance">,
  ratio: number,
): number {
  return guidance === "constant" ? cfg - 1 : cfg * ratio;
}
