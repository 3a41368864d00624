/**
 * Reconstruction: what is left of a picture when a model's tokenizer has made tokens of it and a picture of
 * those again, if wanted scale by scale. It tells how well a model can paint at all; the transformer has no
 * part in it.
 *
 * @module
 */

import { requireBoolean, requireInteger, requireOptions } from "../../kernels/arguments.ts";
import type { DeviceArray } from "../../kernels/device/device.ts";
import { nextTurn } from "../../kernels/device/next_turn.ts";
import type { Model } from "../../models/model.ts";
import type { PictureSize } from "../../models/schedule.ts";
import { type Fit, fitImage, uploadPictures } from "../pictures/fit.ts";
import { type GridCell, gridImage, type GridOptions, stretchImage, viewScale } from "../pictures/grid.ts";
import { jupyterDisplay, type MimeBundle } from "../notebook/output.ts";
import { RgbaImage } from "../pictures/image.ts";
import { pack, type PackedPictures, pixelsOf } from "../pictures/paint.ts";

/** Options of {@linkcode reconstruct}. */
export interface ReconstructOptions {
  /** Also decode what the tokens show after each scale; each costs a decode. */
  readonly progressive?: boolean;
  /** Sides of the token maps, coarse to fine, for a model that can follow others than its own. */
  readonly patchNumbers?: readonly number[] | undefined;
  /** Size to which pictures are fitted, for a model that can encode several; a number is a square's. */
  readonly size?: number | PictureSize | undefined;
  /** What happens to a picture that has not that size; see {@linkcode fitImage}. `"crop"` by default. */
  readonly fit?: Fit;
  /** Pictures that run together; 8 by default. */
  readonly batch?: number;
  /** Ends the work before its next batch. */
  readonly signal?: AbortSignal | undefined;
}

const OPTIONS = [
  "progressive",
  "patchNumbers",
  "size",
  "fit",
  "batch",
  "signal",
] as const satisfies (keyof ReconstructOptions)[];
const ACTION = "reconstruct";

/** How far a picture is from another one. */
export interface PictureError {
  /** Mean squared difference of red, green and blue, each from 0 to 1. */
  readonly mse: number;
  /** Peak signal-to-noise ratio in decibels, `-10 · log10(mse)`; infinite for equal pictures. */
  readonly psnr: number;
}

/**
 * A picture that has been through the tokenizer.
 *
 * @example
 * ```ts
 * import { ReconstructedImage, RgbaImage } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const source = new RgbaImage(1, 1, new Uint8ClampedArray([255, 255, 255, 255]));
 * const image = new ReconstructedImage(source, new Uint8ClampedArray([255, 255, 255, 255]), { tokens: [] });
 * assertEquals([image.mse, image.psnr], [0, Infinity]);
 * ```
 */
export class ReconstructedImage extends RgbaImage implements PictureError {
  /** The picture as the model got it: fitted to its size. */
  readonly source: RgbaImage;
  /** Its tokens of each scale, row-major. */
  readonly tokens: readonly Uint32Array[];
  /**
   * What the tokens show after each scale, coarse to fine; the last one is this picture. Empty unless asked
   * for.
   */
  readonly stages: readonly RgbaImage[];
  readonly mse: number;
  readonly psnr: number;

  /**
   * Pictures are made by `reconstruct`.
   *
   * @param source The picture as the model got it.
   * @param data RGBA pixels.
   * @param facts Tokens, and the pictures after the scales before the last one if they were asked for.
   */
  constructor(
    source: RgbaImage,
    data: Uint8ClampedArray<ArrayBuffer>,
    facts: { readonly tokens: readonly Uint32Array[]; readonly earlier?: readonly RgbaImage[] },
  ) {
    super(source.width, source.height, data);
    this.source = source;
    this.tokens = facts.tokens;
    this.stages = facts.earlier === undefined ? [] : [...facts.earlier, this];
    const { mse, psnr } = pictureError(this, source);
    this.mse = mse;
    this.psnr = psnr;
  }
}

/**
 * Reconstructed pictures. In a notebook they show themselves beside their sources.
 *
 * @example
 * ```ts
 * import { ReconstructedImage, ReconstructResult, RgbaImage } from "../mod.ts";
 * import { assert } from "@std/assert";
 *
 * const gray = new Uint8ClampedArray(4 * 64 * 64).fill(128);
 * const image = new ReconstructedImage(new RgbaImage(64, 64, gray), gray, { tokens: [] });
 * const sheet = new ReconstructResult([image]).grid(); // source and copy side by side
 * assert(sheet.width > 2 * 64 && sheet.height > 64);
 * ```
 */
export class ReconstructResult {
  /** The pictures, in the order in which they were given. */
  readonly images: readonly ReconstructedImage[];

  /** Results are made by `reconstruct`. @param images The pictures. */
  constructor(images: readonly ReconstructedImage[]) {
    this.images = images;
  }

  /**
   * A sheet with a row per picture: the source, what it was after each scale if that is known, and what it
   * became.
   */
  grid(options: Partial<GridOptions> = {}): RgbaImage {
    const cells = this.images.flatMap((image): GridCell[] => [
      { image: image.source, caption: "source" },
      ...image.stages.slice(0, -1).map((stage, scale) => ({
        image: stretchImage(stage, image),
        caption: `scale ${scale}`,
      })),
      { image, caption: `${image.psnr.toFixed(1)} dB` },
    ]);
    return gridImage(cells, {
      columns: cells.length / this.images.length,
      scale: viewScale(this.images[0]!),
      ...options,
    });
  }

  /** What a notebook shows: the grid. */
  [jupyterDisplay](): MimeBundle {
    return this.grid()[jupyterDisplay]();
  }
}

/**
 * Encodes pictures to tokens and decodes those again.
 *
 * @param model A loaded model with an encoder.
 * @param images One picture or several.
 * @param options How.
 * @returns The pictures as they come back, with their tokens and their distance from what went in. All of it
 * comes in one readback.
 * @throws {TypeError} If an option is unknown or of the wrong type, something is no picture, or the model has
 * no encoder.
 * @throws {RangeError} If a value is out of range, the model cannot follow the schedule, or a picture has not
 * its size though `fit` is `"exact"`.
 * @throws {DeviceLostError} If the GPU device is lost.
 *
 * @example
 * ```ts
 * import { generate, loadModel, reconstruct } from "../../mod.ts";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { images: [torus] } = await generate(model, { labels: "red torus", seed: 1 });
 * const { images: [copy] } = await reconstruct(model, torus!, { progressive: true });
 * assertEquals(copy!.stages.length, model.patchNumbers.length);
 * assert(copy!.psnr > 20);
 * ```
 */
export async function reconstruct(
  model: Model,
  images: RgbaImage | readonly RgbaImage[],
  options: ReconstructOptions = {},
): Promise<ReconstructResult> {
  requireOptions(options, OPTIONS, ACTION);
  const { progressive = false, patchNumbers, size, fit = "crop", batch = 8, signal } = options;
  requireBoolean(progressive, "progressive", ACTION);
  requireInteger(batch, "batch", ACTION, { min: 1 });
  const given = Array.isArray(images) ? images as readonly RgbaImage[] : [images as RgbaImage];
  requireInteger(given.length, "the number of pictures", ACTION, { min: 1 });
  const { device } = model;
  const schedule = model.schedule({ patchNumbers, size });
  const most = Math.min(batch, schedule.batchLimit?.images ?? batch);
  const sources = given.map((image) => fitImage(image, schedule.picture, fit));
  using stack = new DisposableStack();
  const batches: { sources: readonly RgbaImage[]; tokens: DeviceArray[]; stages: PackedPictures[] }[] = [];
  for (let first = 0; first < sources.length; first += most) {
    // Without it, on the CPU no signal would be seen before the end of all.
    await nextTurn();
    signal?.throwIfAborted();
    const part = sources.slice(first, first + most);
    using pictures = uploadPictures(device, part);
    using encoding = await model.encode(pictures, part.length, { schedule });
    const stages: PackedPictures[] = [];
    const last = schedule.scales.length - 1;
    for (let scale = progressive ? 0 : last; scale <= last; scale++) {
      using decoded = await encoding.decode(scale);
      stages.push(stack.use(pack(device, decoded, { images: part.length, rule: schedule.pixelRule })));
    }
    const tokens = encoding.tokens.map((map) => {
      const copy = stack.use(device.allocate(map.length, "tokens"));
      device.copy(map, copy, { length: map.length });
      return copy;
    });
    batches.push({ sources: part, tokens, stages });
    device.flush();
  }
  signal?.throwIfAborted();
  const words = await device.read(
    batches.flatMap(({ tokens, stages }) => [...tokens, ...stages.map(({ array }) => array)]),
  );
  return new ReconstructResult(batches.flatMap(({ sources, tokens, stages }) => {
    const maps = words.splice(0, tokens.length);
    const painted = words.splice(0, stages.length);
    return sources.map((source, row) => {
      const pictures = painted.map((pixels, i) => {
        const { width, height } = stages[i]!;
        return new RgbaImage(width, height, pixelsOf(stages[i]!, pixels, row));
      });
      return new ReconstructedImage(source, pictures.pop()!.data, {
        tokens: maps.map((map) => {
          const length = map.length / sources.length;
          return map.slice(row * length, (row + 1) * length);
        }),
        ...(progressive ? { earlier: pictures } : {}),
      });
    });
  }));
}

/**
 * How far two pictures of one size are apart.
 *
 * @throws {RangeError} If their sizes differ.
 *
 * @example
 * ```ts
 * import { pictureError, RgbaImage } from "../mod.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const white = new RgbaImage(1, 1, new Uint8Array([255, 255, 255, 255]));
 * const gray = new RgbaImage(1, 1, new Uint8Array([204, 204, 204, 255]));
 * assertAlmostEquals(pictureError(white, gray).mse, 0.04);
 * assertAlmostEquals(pictureError(white, gray).psnr, 13.979, 1e-3);
 * ```
 */
export function pictureError(a: RgbaImage, b: RgbaImage): PictureError {
  if (a.width !== b.width || a.height !== b.height) {
    throw new RangeError(
      `Cannot compare pictures as they must have one size: one has ${a.width}×${a.height}, the other ${b.width}×${b.height}`,
    );
  }
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) if (i % 4 !== 3) sum += (a.data[i]! - b.data[i]!) ** 2;
  const mse = sum / (255 * 255) / (a.data.length / 4 * 3);
  return { mse, psnr: -10 * Math.log10(mse) };
}
