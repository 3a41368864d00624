/**
 * Zero-shot editing: on the scales that are wanted, positions that a mask keeps get the tokens of a source
 * picture, and the others are generated around them, of what is asked for. No weights are trained for it, and
 * no step of the scale loop is left out. A region is edited as in VAR (arXiv:2404.02905, section 5.2); a
 * picture is refined and expanded as in FlexVAR (arXiv:2502.20313).
 *
 * @module
 */

import {
  mustBe,
  requireBoolean,
  requireInteger,
  requireList,
  requireOptions,
} from "../../kernels/arguments.ts";
import type { Encoding, Model } from "../../models/model.ts";
import type { PictureSize, Schedule } from "../../models/schedule.ts";
import { extendImage, type Fit, fitImage, requireImage, uploadPictures } from "../pictures/fit.ts";
import type { RgbaImage } from "../pictures/image.ts";
import { scaleIndex } from "../scale_index.ts";
import { KeptTokens } from "./kept_tokens.ts";
import {
  type Frame,
  keptPositions,
  keptShares,
  middleShares,
  type Region,
  type Shares,
  wholeShares,
} from "./mask.ts";

/**
 * What to edit, and where. With the label `null` the region is filled with what suits its surroundings (in-
 * and out-painting), with another one with that. Nothing is pasted at the end: what is kept are tokens, so
 * that also kept parts are as the model's decoder paints them, and borders blend.
 *
 * What is kept is told in one of four ways: by a region (`box` or `mask`); by `scales` alone, then all of the
 * source on those; by `refine`; or by `expand`.
 */
export interface EditRequest extends Region {
  /** The source of all images, or a list with one for each. */
  readonly image: RgbaImage | readonly RgbaImage[];
  /**
   * What happens to a source that has not the size of what is encoded; see {@linkcode fitImage}. By default
   * one that has the size of the finished pictures, or is refined, stays whole as far as its proportions
   * allow (`"cover"`), and another one is `"crop"`ped.
   */
  readonly fit?: Fit;
  /**
   * The scales on which the source is kept, 0-based, negative ones from the end; all by default. Without a
   * region, all of the source is kept there. The source is encoded at the size that pictures have after the
   * last of them.
   */
  readonly scales?: readonly number[];
  /**
   * Keeps all of the source on the scales whose pictures are no larger than it and generates the others,
   * which makes a larger picture of it, for a model whose scales are pictures of growing size. `false` by
   * default.
   */
  readonly refine?: boolean;
  /**
   * Lays a source that is smaller than what is encoded in its middle, keeps it there and generates what
   * surrounds it. For encoding, the source's border pixels are continued outwards. `false` by default.
   */
  readonly expand?: boolean;
  /**
   * 2 encodes the source at twice the size and averages its features, for a model that can, and may lose less
   * of it; 1 by default. The sizes that sources are compared with are then twice as large.
   */
  readonly oversampling?: 1 | 2;
}

/** An {@linkcode EditRequest}, checked and completed. */
export interface ResolvedEdit {
  /** Source pictures as they are encoded: one for all images, or one for each. */
  readonly sources: readonly RgbaImage[];
  /** How much of each token of the finest map is kept on the scales that keep anything. */
  readonly shares: Shares;
  /**
   * Those scales, ascending. The sources have the size that pictures have after the last of them, times the
   * oversampling.
   */
  readonly scales: readonly number[];
  /** How many times as large, in both directions, the sources are encoded. */
  readonly oversampling: number;
  /** For each scale, where the source's tokens are kept: 1 or 0 per position. */
  readonly kept: readonly Uint32Array<ArrayBuffer>[];
}

const OPTIONS = [
  "image",
  "box",
  "mask",
  "mode",
  "fit",
  "scales",
  "refine",
  "expand",
  "oversampling",
] as const satisfies (keyof EditRequest)[];
const ACTION = "edit";

/**
 * Checks and completes an edit of `images` images.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type, it is not told what is kept, or options
 * contradict each other.
 * @throws {RangeError} If a value is out of range, the number or size of the sources does not fit, or nothing
 * would be kept or generated.
 */
export function resolveEdit(schedule: Schedule, edit: EditRequest, images: number): ResolvedEdit {
  requireOptions(edit, OPTIONS, ACTION);
  const { image, fit, scales, refine = false, expand = false, oversampling = 1, ...region } = edit;
  requireCombination(edit);
  if (oversampling !== 1 && oversampling !== 2) {
    throw new RangeError(mustBe("1 or 2", oversampling, "oversampling", ACTION));
  }
  const given = Array.isArray(image) ? image as readonly RgbaImage[] : [image as RgbaImage];
  if (Array.isArray(image) && image.length !== images) {
    throw new RangeError(
      `Cannot ${ACTION} as a list of sources must hold one for each of ${images} images: current number is ${image.length}`,
    );
  }
  for (const picture of given) requireImage(picture);
  const wanted = refine ? scalesWithin(schedule, given, oversampling) : requireScales(schedule, scales);
  const last = wanted.at(-1)!;
  const { width, height } = schedule.scales[last]!.picture;
  const size = { width: oversampling * width, height: oversampling * height };
  if (expand) requireSmaller(given, size);
  // What is as large as the finished pictures is not to grow beyond their borders on the way to a coarser
  // scale.
  const fitOf = (picture: RgbaImage): Fit => {
    return fit ?? (refine || sizeOf(picture) === sizeOf(schedule.picture) ? "cover" : "crop");
  };
  const sources = given.map((picture) => {
    return expand ? extendImage(picture, size) : fitImage(picture, size, fitOf(picture));
  });
  const finest = schedule.scales.at(-1)!;
  const frame: Frame = {
    map: { width: finest.width, height: finest.height },
    size,
    pictures: given,
    // A mask goes with pictures of its own size, which are all fitted alike.
    fit: fitOf(given[0]!),
  };
  const hasRegion = region.box !== undefined || region.mask !== undefined;
  const shares = expand
    ? middleShares(given[0]!, frame)
    : hasRegion
    ? keptShares(region, frame)
    : wholeShares(frame.map);
  const kept = schedule.scales.map((map, scale) =>
    wanted.includes(scale) ? keptPositions(shares, map) : new Uint32Array(map.width * map.height)
  );
  if (!kept.some((map) => map.includes(1))) {
    throw new RangeError(
      `Cannot ${ACTION} as nothing of the source would be kept on scales ${wanted.join(", ")}`,
    );
  }
  if (expand && !kept[last]!.includes(1)) {
    throw new RangeError(
      `Cannot ${ACTION} as a source to be expanded must be about as large as a token, ${
        size.width / schedule.scales[last]!.width
      }×${size.height / schedule.scales[last]!.height} pixels, at least: it has ${sizeOf(given[0]!)}`,
    );
  }
  // A region may well be empty, which is a reconstruction; without one it is a mistake.
  if (!hasRegion && !kept.some((map) => map.includes(0))) {
    throw new RangeError(
      `Cannot ${ACTION} as nothing would be generated: all of the source would be kept on all scales, 0 to ${
        schedule.scales.length - 1
      }`,
    );
  }
  return { sources, shares, scales: wanted, oversampling, kept };
}

/** Refuses options that have nothing to say beside others. */
function requireCombination(
  { box, mask, mode, fit, scales, refine = false, expand = false }: EditRequest,
): void {
  for (const [name, value] of Object.entries({ refine, expand })) {
    requireBoolean(value, name, ACTION);
  }
  const refuse = (name: string, others: Readonly<Record<string, unknown>>): void => {
    const [other] = Object.keys(others).filter((key) => others[key] !== undefined && others[key] !== false);
    if (other === undefined) return;
    throw new TypeError(`Cannot ${ACTION} as ${name} and ${other} cannot be given together`);
  };
  if (refine) refuse("refine", { expand, box, mask, mode, scales });
  if (expand) refuse("expand", { box, mask, mode, fit });
  if (box !== undefined || mask !== undefined || refine || expand) return;
  if (scales === undefined) {
    throw new TypeError(`Cannot ${ACTION} as box, mask, scales, refine or expand must be given`);
  }
  if (mode !== undefined) throw new TypeError(`Cannot ${ACTION} as mode needs a box or a mask`);
}

/** The scales on which the source is kept, as given or all. */
function requireScales(schedule: Schedule, scales: readonly number[] | undefined): readonly number[] {
  const count = schedule.scales.length;
  if (scales === undefined) return [...schedule.scales.keys()];
  requireList(scales, "scales", ACTION, "a list of scales");
  requireInteger(scales.length, "the number of scales", ACTION, { min: 1 });
  const indices = scales.map((scale) => scaleIndex(scale, count, "a scale", ACTION));
  return [...new Set(indices)].sort((a, b) => a - b);
}

/** The scales whose pictures are no larger than any of these when they are encoded. */
function scalesWithin(
  schedule: Schedule,
  pictures: readonly RgbaImage[],
  oversampling: number,
): readonly number[] {
  const width = Math.min(...pictures.map((picture) => picture.width));
  const height = Math.min(...pictures.map((picture) => picture.height));
  const within = [...schedule.scales.entries()].filter(([, { picture }]) => {
    return oversampling * picture.width <= width && oversampling * picture.height <= height;
  });
  if (within.length > 0) return within.map(([scale]) => scale);
  const least = schedule.scales[0]!.picture;
  throw new RangeError(
    `Cannot ${ACTION} as a source to be refined must be as large as the first scale's picture, ${
      oversampling * least.width
    }×${oversampling * least.height}, at least: it has ${width}×${height}`,
  );
}

/** Refuses sources that leave nothing around them, or would not all be kept in the same place. */
function requireSmaller(pictures: readonly RgbaImage[], size: PictureSize): void {
  const [first] = pictures as [RgbaImage];
  for (const picture of pictures) {
    const { width, height } = picture;
    if (width > size.width || height > size.height || sizeOf(picture) === sizeOf(size)) {
      throw new RangeError(
        `Cannot ${ACTION} as a source to be expanded must be smaller than ${sizeOf(size)}: it has ${
          sizeOf(picture)
        }`,
      );
    }
    if (sizeOf(picture) !== sizeOf(first)) {
      throw new RangeError(
        `Cannot ${ACTION} as sources to be expanded must have one size: one has ${sizeOf(first)}, another ${
          sizeOf(picture)
        }`,
      );
    }
  }
}

function sizeOf({ width, height }: PictureSize): string {
  return `${width}×${height}`;
}

/** The sources of an edit on the device: one that all images share is encoded once, others batch by batch. */
export class EditSources implements Disposable {
  readonly #model: Model;
  readonly #schedule: Schedule;
  readonly #edit: ResolvedEdit;
  #encoding: Encoding | undefined;
  #first = 0;

  /** @param model What encodes them. @param schedule The scales. @param edit The edit. */
  constructor(model: Model, schedule: Schedule, edit: ResolvedEdit) {
    this.#model = model;
    this.#schedule = schedule;
    this.#edit = edit;
  }

  /** Encodes what the images from place `first` on, before place `end`, need. */
  async encode(first: number, end: number): Promise<void> {
    const { sources, scales } = this.#edit;
    const shared = sources.length === 1;
    if (shared && this.#encoding !== undefined) return;
    this[Symbol.dispose]();
    const part = shared ? sources : sources.slice(first, end);
    using pictures = uploadPictures(this.#model.device, part);
    const options = { schedule: this.#schedule, last: scales.at(-1)! };
    this.#encoding = await this.#model.encode(pictures, part.length, options);
    this.#first = shared ? 0 : first;
  }

  /**
   * What is kept on a scale by lanes of the images at these places, if anything is. It belongs to the caller.
   */
  scale(scale: number, images: readonly number[]): KeptTokens | undefined {
    const kept = this.#edit.kept[scale]!;
    if (!kept.includes(1)) return undefined;
    const shared = this.#edit.sources.length === 1;
    return new KeptTokens({
      device: this.#model.device,
      space: this.#model.tokens,
      kept,
      tokens: this.#encoding!.tokens[scale]!,
      sources: images.map((image) => shared ? 0 : image - this.#first),
    });
  }

  [Symbol.dispose](): void {
    this.#encoding?.[Symbol.dispose]();
    this.#encoding = undefined;
  }
}
