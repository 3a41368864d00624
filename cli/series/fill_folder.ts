/**
 * Makes images and writes each to its file as it is finished. Which images there shall be, and
 * whose the folder is, is settled before.
 *
 * @module
 */

import {
  type GeneratedImage,
  type GenerateRequest,
  generateSeries,
  type Label,
  type Model,
  type SeriesOptions,
} from "../../mod.ts";
import { pictureFile, type Recipes } from "../generation/recipe.ts";
import { type Io, say } from "../io.ts";
import type { Progress } from "../output/progress.ts";
import type { FailureList } from "./series_folder.ts";
import type { SeriesPlace } from "./series_place.ts";
import type { Cell, Subjects } from "./subjects.ts";

/** What {@linkcode fillFolder} needs. */
export interface FillJob {
  /** A loaded model. */
  readonly model: Model;
  /** Loads it again after its device was lost. */
  readonly reopen: NonNullable<SeriesOptions["reopen"]>;
  /** How to generate, labels and numbers of the images apart. */
  readonly request: GenerateRequest;
  /** What the images show, and how their files are called. */
  readonly subjects: Subjects;
  /** Whether image i of every class or prompt has the same number. */
  readonly sharedNoise: boolean;
  /** What pictures carry, with the name of what they are made by; nothing without it. */
  readonly recipes?: { readonly recipes: Recipes; readonly variant: string } | undefined;
  /** Where to write. */
  readonly place: SeriesPlace;
  /** Files to be written; other images are made for their company alone. */
  readonly only: ReadonlySet<string>;
  /** Where failures are listed. */
  readonly failures: FailureList;
  /** What is shown. */
  readonly progress: Progress;
  /** What is told, and what ends it. */
  readonly io: Io;
}

/** Makes images and writes them to their place. */
export async function fillFolder(cells: readonly Cell[], job: FillJob): Promise<void> {
  const { model, request, subjects, sharedNoise, recipes, place, only, failures, progress, io } = job;
  if (cells.length === 0) return;
  const labels = cells.map((cell) => subjects.labelOf(cell));
  const indices = cells.map((cell) => sharedNoise ? cell.image : subjects.numberOf(cell));
  // Images of one label and number are the same, and any of their files will do.
  const files = Map.groupBy(cells.keys(), (i) => placeOf(indices[i]!, labels[i]!));
  const fileOf = ({ index, label: { id, prompt } }: Pick<GeneratedImage, "index" | "label">): string => {
    return subjects.fileOf(cells[files.get(placeOf(index, prompt ?? id))!.shift()!]!);
  };
  const batches = generateSeries(model, { ...request, labels, indices, signal: io.signal }, {
    reopen: job.reopen,
  });
  progress.draw("");
  for await (const batch of batches) {
    for (const image of batch.images) {
      const file = fileOf(image);
      if (!only.has(file)) continue;
      const made = recipes && await pictureFile(image, { ...recipes, batch: batch.images });
      await place.write(file, made?.png ?? image.png());
      progress.image();
    }
    const failed = batch.failures.map((failure) => {
      return { file: fileOf(failure), label: failure.label.name, reason: failure.error.message };
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

/** What tells an image from others: its number and its label, of which no number is a text. */
function placeOf(index: number, label: Label): string {
  return `${index} ${JSON.stringify(label)}`;
}
