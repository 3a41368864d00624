/**
 * Very many images: a request too large to hold its pictures in memory and too long to be lost for one bad
 * image. Batch after batch is made and handed over; a batch that fails is tried again image by image, and a
 * lost device can be replaced. Where the pictures go is left to the caller.
 *
 * @module
 */

import { requireInteger, requireOptions } from "../kernels/arguments.ts";
import { DeviceLostError } from "../kernels/device/errors.ts";
import type { ResolvedLabel } from "../models/label.ts";
import type { Model } from "../models/model.ts";
import type { EditRequest } from "./editing/edit.ts";
import { featuresOf, generate } from "./generate.ts";
import { type Cost, sumOfCosts } from "./cost.ts";
import { Pace } from "./pace.ts";
import { type GenerateRequest, resolveRequest } from "./request.ts";
import type { GeneratedImage } from "./result.ts";

/** Options of {@linkcode generateSeries}. */
export interface SeriesOptions {
  /**
   * Loads the model again after its device was lost; the series goes on with what it resolves to, in batches
   * half as large. Models belong to the caller, the lost one too. Without it, and after three losses without
   * a batch between them, the series ends with the error.
   */
  reopen?: (lost: DeviceLostError) => Promise<Model>;
  /** Failed images in a row after which the series ends with an error; 100 by default. */
  failureLimit?: number;
}

/** An image that could not be made. */
export interface SeriesFailure {
  /** Its number. */
  readonly index: number;
  /** Its class or prompt. */
  readonly label: ResolvedLabel;
  /** Why. */
  readonly error: Error;
}

/** How far a series has come. */
export interface SeriesProgress {
  /** Images in all. */
  readonly total: number;
  /** Images that are made. */
  readonly made: number;
  /** Images that could not be made. */
  readonly failed: number;
  /** Images per second over the last batches. */
  readonly perSecond: number;
  /** Seconds to the end at this pace. */
  readonly secondsLeft: number;
  /** What the batches that were made have cost. */
  readonly cost: Cost;
}

/** What {@linkcode generateSeries} yields. */
export interface SeriesBatch {
  /** The pictures, in the order of the request. */
  readonly images: readonly GeneratedImage[];
  /** What failed, twice. */
  readonly failures: readonly SeriesFailure[];
  /** How far the series has come. */
  readonly progress: SeriesProgress;
}

/** Losses of the device in a row after which nothing but giving up is left. */
const MAX_LOSSES = 3;

/**
 * Generates any number of pictures, a batch at a time. The pictures are those of {@linkcode generate} for the
 * same request.
 *
 * A batch that fails is tried again, each image alone; with a hook that couples the images of a batch, as a
 * whole. If every image succeeds alone, the batch was too large, and the next ones are half as large.
 * Previews are not made.
 *
 * @param model A loaded model.
 * @param request What to generate and how.
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range, or a label is no class of the model.
 * @throws {DeviceLostError} If the GPU device is lost and cannot be replaced.
 *
 * @example
 * ```ts
 * import { generateSeries, loadModel } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const captions: string[] = [];
 * for await (
 *   const { images, failures, progress } of generateSeries(model, { labels: [32, 63], count: 3, batch: 4 })
 * ) {
 *   // await Deno.writeFile(`${image.index}.png`, image.png());
 *   for (const image of images) captions.push(image.caption);
 *   for (const { index, error } of failures) console.error(index, error.message);
 *   assertEquals(captions.length, progress.made); // console.log(`${progress.perSecond} images per second`);
 * }
 * assertEquals(captions.length, 6);
 * ```
 */
export async function* generateSeries(
  model: Model,
  request: GenerateRequest,
  options: SeriesOptions = {},
): AsyncGenerator<SeriesBatch, void, void> {
  requireOptions(options, ["reopen", "failureLimit"], "generate a series");
  const { reopen, failureLimit = 100 } = options;
  requireInteger(failureLimit, "failureLimit", "generate a series", { min: 1 });
  const resolved = resolveRequest(model, request);
  const { labels, indices, batch, lanes, hooks, signal } = resolved;
  // All prompts before the first batch, or a text encoder would be loaded for each.
  const textFeatures = await featuresOf(model, resolved);
  const coupled = hooks.some((hook) => hook.coupled);
  const pace = new Pace(labels.length);
  let size = Math.max(1, Math.floor(batch / lanes));
  let made = 0;
  let failed = 0;
  let failedInARow = 0;
  let losses = 0;
  let cost = sumOfCosts([]);

  const make = async (first: number, end: number): Promise<GeneratedImage[]> => {
    const { memory: _decided, edit, ...others } = request;
    const part: GenerateRequest = {
      ...others,
      ...(textFeatures && { textFeatures }),
      count: 1,
      labels: labels.slice(first, end).map(({ id, prompt }) => prompt ?? id),
      indices: indices.slice(first, end),
      batch: (end - first) * lanes,
      previews: false,
      ...(edit === undefined ? {} : { edit: partOfEdit(edit, first, end) }),
    };
    const images: GeneratedImage[] = [];
    for await (const event of generate.stream(model, part)) {
      if (event.type === "image") images.push(event.image);
      else if (event.type === "done") cost = sumOfCosts([cost, event.trace.cost]);
    }
    return images;
  };

  const makeSafely = async (
    first: number,
    end: number,
  ): Promise<Pick<SeriesBatch, "images" | "failures">> => {
    try {
      return { images: await make(first, end), failures: [] };
    } catch (error) {
      if (endsAll(error, signal)) throw error;
    }
    const images: GeneratedImage[] = [];
    const failures: SeriesFailure[] = [];
    const step = coupled ? end - first : 1;
    for (let from = first; from < end; from += step) {
      try {
        images.push(...await make(from, from + step));
      } catch (thrown) {
        if (endsAll(thrown, signal)) throw thrown;
        const error = thrown instanceof Error ? thrown : new Error(String(thrown));
        for (let place = from; place < from + step; place++) {
          failures.push({ index: indices[place]!, label: labels[place]!, error });
        }
      }
    }
    if (failures.length === 0 && !coupled) size = Math.max(1, size >> 1);
    return { images, failures };
  };

  for (let first = 0; first < labels.length;) {
    const end = Math.min(first + size, labels.length);
    let result: Pick<SeriesBatch, "images" | "failures">;
    try {
      result = await makeSafely(first, end);
    } catch (error) {
      if (!(error instanceof DeviceLostError) || reopen === undefined || losses++ === MAX_LOSSES) throw error;
      model = await reopen(error);
      if (!coupled) size = Math.max(1, size >> 1);
      continue;
    }
    const { images, failures } = result;
    first = end;
    losses = 0;
    made = first - (failed += failures.length);
    failedInARow = images.length === 0 ? failedInARow + failures.length : 0;
    pace.mark(first);
    const { perSecond, secondsLeft } = pace;
    const progress = { total: labels.length, made, failed, perSecond, secondsLeft, cost };
    yield { images, failures, progress };
    if (failedInARow >= failureLimit) {
      const cause = failures.at(-1)!.error;
      throw new Error(
        `Cannot go on with the series as the last ${failedInARow} images all failed: ${cause.message}`,
        { cause },
      );
    }
  }
}

/** The edit of some images: with their own sources, if each has one. */
function partOfEdit(edit: EditRequest, first: number, end: number): EditRequest {
  return Array.isArray(edit.image) ? { ...edit, image: edit.image.slice(first, end) } : edit;
}

/** Whether an error is no matter of single images. */
function endsAll(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true || error instanceof DeviceLostError;
}
