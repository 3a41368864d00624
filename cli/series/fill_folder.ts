/**
 * Makes images of classes and writes each to its file as it is finished. Which images there shall be, and
 * whose the folder is, is settled before.
 *
 * @module
 */

import {
  type GeneratedImage,
  type GenerateRequest,
  generateSeries,
  type Model,
  type SeriesOptions,
} from "../../mod.ts";
import { type Io, say } from "../io.ts";
import type { Progress } from "../output/progress.ts";
import { writeWhole } from "../output/whole_file.ts";
import type { FailureList } from "./series_folder.ts";
import { type Cell, imageFile } from "./series_record.ts";
import { classesFor } from "./series_settings.ts";

/** What {@linkcode fillFolder} needs. */
export interface FillJob {
  /** A loaded model. */
  readonly model: Model;
  /** Loads it again after its device was lost. */
  readonly reopen: NonNullable<SeriesOptions["reopen"]>;
  /** How to generate, labels and numbers of the images apart. */
  readonly request: GenerateRequest;
  /** Whether image i of every class has the same number. */
  readonly sharedNoise: boolean;
  /** Folder. */
  readonly output: string;
  /** Files to be written; other images are made for their company alone. */
  readonly only: ReadonlySet<string>;
  /** Where failures are listed. */
  readonly failures: FailureList;
  /** What is shown. */
  readonly progress: Progress;
  /** Where to write, and what ends it. */
  readonly io: Io;
}

/** Makes images and writes them to a folder. */
export async function fillFolder(cells: readonly Cell[], job: FillJob): Promise<void> {
  const { model, request, sharedNoise, output, only, failures, progress, io } = job;
  if (cells.length === 0) return;
  const { count: classes } = classesFor(model);
  // Numbered image by image and in each by class, so that more images per class change none.
  const numbers = cells.map(({ classId, image }) => sharedNoise ? image : image * classes + classId);
  const fileOf = ({ index, label }: Pick<GeneratedImage, "index" | "label">): string => {
    return imageFile({ classId: label.id!, image: sharedNoise ? index : Math.floor(index / classes) });
  };
  const batches = generateSeries(model, {
    ...request,
    labels: cells.map(({ classId }) => classId),
    indices: numbers,
    signal: io.signal,
  }, { reopen: job.reopen });
  progress.draw("");
  for await (const batch of batches) {
    for (const image of batch.images) {
      const file = fileOf(image);
      if (!only.has(file)) continue;
      await writeWhole(`${output}/${file}`, image.png());
      progress.image();
    }
    const failed = batch.failures.map(({ index, label, error }) => {
      return { file: fileOf({ index, label }), label: label.name, reason: error.message };
    }).filter(({ file }) => only.has(file));
    if (failed.length > 0) progress.clear();
    for (const { file, reason } of failed) {
      say(io, `${file} failed: ${reason}`);
      progress.failure();
    }
    await failures.add(failed);
    progress.batch();
    progress.draw("");
  }
}
