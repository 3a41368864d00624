/**
 * Zero-shot editing as in VAR (arXiv:2404.02905, section 5.2): on every scale, positions that a mask keeps get the tokens of a source
 * picture, and the others are generated around them, of the class that is asked for. No weights are trained for it, and no step of the
 * scale loop is left out.
 *
 * @module
 */

import { requireOptions } from "../kernels/arguments.ts";
import type { DeviceArray } from "../kernels/device.ts";
import type { Encoding, Model } from "../models/model.ts";
import { type Fit, fitImage, uploadPictures } from "./fit.ts";
import type { RgbaImage } from "./image.ts";
import { keptPositions, keptShares, type Region } from "./mask.ts";

/**
 * What to edit, and where. With the class `null` the region is filled with what suits its surroundings (in- and out-painting), with another
 * one with that class. Nothing is pasted at the end: what is kept are tokens, so that also kept parts are as the model's decoder paints
 * them, and borders blend.
 */
export interface EditRequest extends Region {
  /** The source of all images, or a list with one for each. */
  readonly image: RgbaImage | readonly RgbaImage[];
  /** What happens to a source that has not the model's size; see {@linkcode fitImage}. `"crop"` by default. */
  readonly fit?: Fit;
}

/** An {@linkcode EditRequest}, checked and completed. */
export interface ResolvedEdit {
  /** Fitted source pictures: one for all images, or one for each. */
  readonly sources: readonly RgbaImage[];
  /** How much of each token of the last scale is kept, from 0 to 1, f32 [side, side]. */
  readonly shares: Float32Array<ArrayBuffer>;
  /** For each scale, where the source's tokens are kept: 1 or 0 per position. */
  readonly kept: readonly Uint32Array<ArrayBuffer>[];
}

const OPTIONS = ["image", "box", "mask", "mode", "fit"] as const satisfies (keyof EditRequest)[];

/**
 * Checks and completes an edit of `images` images.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range, or the number or size of the sources does not fit.
 */
export function resolveEdit(model: Model, edit: EditRequest, images: number): ResolvedEdit {
  requireOptions(edit, OPTIONS, "edit");
  const { image, fit = "crop", ...region } = edit;
  const given = Array.isArray(image) ? image as readonly RgbaImage[] : [image as RgbaImage];
  if (Array.isArray(image) && image.length !== images) {
    throw new RangeError(
      `Cannot edit as a list of sources must hold one for each of ${images} images: current number is ${image.length}`,
    );
  }
  const { patchNumbers, imageSize: size } = model;
  const sources = given.map((picture) => fitImage(picture, size, fit));
  const shares = keptShares(region, { side: patchNumbers.at(-1)!, size, pictures: given });
  return { sources, shares, kept: patchNumbers.map((side) => keptPositions(shares, side)) };
}

/** The sources of an edit on the device: one that all images share is encoded once, others batch by batch. */
export class EditSources implements Disposable {
  readonly #model: Model;
  readonly #edit: ResolvedEdit;
  #encoding: Encoding | undefined;
  #first = 0;

  /** @param model What encodes them. @param edit The edit. */
  constructor(model: Model, edit: ResolvedEdit) {
    this.#model = model;
    this.#edit = edit;
  }

  /** Encodes what the images from place `first` on, before place `end`, need. */
  async encode(first: number, end: number): Promise<void> {
    const { sources } = this.#edit;
    const shared = sources.length === 1;
    if (shared && this.#encoding !== undefined) return;
    this[Symbol.dispose]();
    const pictures = shared ? sources : sources.slice(first, end);
    using pixels = uploadPictures(this.#model.device, pictures);
    this.#encoding = await this.#model.encode(pixels, pictures.length);
    this.#first = shared ? 0 : first;
  }

  /** What is kept on a scale by lanes of the images at these places. It belongs to the caller. */
  scale(scale: number, images: readonly number[]): ScaleEdit {
    const { device } = this.#model;
    const { sources, kept } = this.#edit;
    using stack = new DisposableStack();
    const rows = images.map((image) => sources.length === 1 ? 0 : image - this.#first);
    const edit = {
      kept: kept[scale]!,
      keep: stack.use(device.upload(kept[scale]!, "kept positions")),
      rows: stack.use(device.upload(Uint32Array.from(rows), "source rows")),
      source: this.#encoding!.tokens[scale]!,
    };
    const owned = stack.move();
    return { ...edit, [Symbol.dispose]: () => owned.dispose() };
  }

  [Symbol.dispose](): void {
    this.#encoding?.[Symbol.dispose]();
    this.#encoding = undefined;
  }
}

/** The part of an edit that concerns one scale of one batch. */
export interface ScaleEdit extends Disposable {
  /** Where the source's tokens are kept, 1 or 0 per position. */
  readonly kept: Uint32Array;
  /** The same on the device. */
  readonly keep: DeviceArray;
  /** Which source belongs to each lane, u32 [lanes]. */
  readonly rows: DeviceArray;
  /** Tokens of the sources, u32 [sources, positions]. */
  readonly source: DeviceArray;
}
