/**
 * What the images of a long run show, classes or prompts, and what follows from it alone: which images there
 * are, how their files are called, and by which numbers the random numbers know them. Which of them are
 * there, and how the others are made, is the same for both and left to the rest of this room.
 *
 * @module
 */

import type { Label } from "../../mod.ts";
import { UsageError } from "../io.ts";
import type { GivenPrompt } from "../options/prompts.ts";
import type { SeriesPlace } from "./series_place.ts";

/** The numbers of images end here. */
const MAX_INDEX = 2 ** 24;
/** Prompts that a run has at most, and by which the number of an image jumps from one image to the next. */
export const MAX_PROMPTS = 2 ** 16;

/** An image of a run. */
export interface Cell {
  /** What it shows: the number of a class, or the place of a prompt in its list. */
  readonly subject: number;
  /** Its number among the images of the same. */
  readonly image: number;
}

/** Which images of classes there shall be, as the record of a run holds it. */
export interface ClassExtent {
  /** Classes with images. */
  readonly classes: readonly number[];
  /** Images of each class. */
  readonly imagesPerClass: number;
}

/** Which images of prompts there shall be, as the record of a run holds it. */
export interface PromptExtent {
  /** The prompts in order. */
  readonly prompts: readonly string[];
  /** Images of each prompt. */
  readonly imagesPerPrompt: number;
}

/** Which images there shall be. */
export type Extent = ClassExtent | PromptExtent;

/** What the images of a run show. */
export interface Subjects {
  /** What each of them is. */
  readonly noun: "class" | "prompt";
  /** Which images there shall be. */
  readonly extent: Extent;
  /** Images of each. */
  readonly each: number;
  /** The images, all of one after all of another. */
  readonly cells: readonly Cell[];
  /** Path of an image's file in the folder of the run. */
  fileOf(cell: Cell): string;
  /** What the model is asked for. */
  labelOf(cell: Cell): Label;
  /** The number of an image, which no other image has and which stays when the run grows. */
  numberOf(cell: Cell): number;
  /**
   * Makes what stands beside images.
   *
   * @throws {UsageError} If something else stands there.
   */
  begin(place: SeriesPlace, cells: readonly Cell[]): Promise<void>;
}

/** So many images of each. */
function cellsOf(subjects: readonly number[], each: number): Cell[] {
  return subjects.flatMap((subject) => Array.from({ length: each }, (_, image) => ({ subject, image })));
}

/** Name of the file of a class's image, as in the published script. */
export function classImage({ subject, image }: Cell): string {
  return `class_${subject}_img_${image}.png`;
}

/** The image of a class that a file belongs to by its name, or `undefined`. */
export function cellOfClassImage(name: string): Cell | undefined {
  const match = /^class_(\d+)_img_(\d+)\.png$/.exec(name);
  return match === null ? undefined : { subject: Number(match[1]), image: Number(match[2]) };
}

/** Whether something in a folder is images of a run, by its name. */
export function isSeriesImage(name: string): boolean {
  return cellOfClassImage(name) !== undefined || /^\d{5,}$/.test(name);
}

/** Classes, with all images in one folder, as the published script of VAR-Scaling has them. */
export class ClassSubjects implements Subjects {
  readonly noun = "class";
  readonly extent: ClassExtent;
  readonly each: number;
  readonly cells: readonly Cell[];
  /** Classes that the model has, or `undefined` where no image will be made. */
  readonly #count: number | undefined;

  /**
   * @param extent Which images.
   * @param count Classes of the model; without it, only the names of files are told.
   * @throws {UsageError} If there are too many images.
   */
  constructor(extent: ClassExtent, count?: number) {
    this.extent = extent;
    this.each = extent.imagesPerClass;
    this.#count = count;
    const most = count === undefined ? Infinity : Math.floor(MAX_INDEX / count);
    if (this.each > most) {
      throw new UsageError(
        `Option --num-images-per-class must be at most ${most} for ${count} classes: current value is ${this.each}`,
      );
    }
    this.cells = cellsOf(extent.classes, this.each);
  }

  fileOf(cell: Cell): string {
    return classImage(cell);
  }

  labelOf({ subject }: Cell): Label {
    return subject;
  }

  /** Image by image and in each by class, so that more images per class change none. */
  numberOf({ subject, image }: Cell): number {
    return image * this.#count! + subject;
  }

  begin(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * Prompts, a folder each, as GenEval's scorer reads them: `00007/metadata.jsonl` with all that is known of
 * the prompt, and `00007/samples/00000.png` and so on.
 */
export class PromptSubjects implements Subjects {
  readonly noun = "prompt";
  readonly extent: PromptExtent;
  readonly each: number;
  readonly cells: readonly Cell[];
  readonly #prompts: readonly GivenPrompt[];

  /**
   * @param prompts The prompts, with the lines that tell of them.
   * @param each Images of each.
   * @throws {UsageError} If there are too many.
   */
  constructor(prompts: readonly GivenPrompt[], each: number) {
    const most = MAX_INDEX / MAX_PROMPTS;
    if (prompts.length > MAX_PROMPTS) {
      throw new UsageError(
        `Cannot run with more than ${MAX_PROMPTS} prompts: current number is ${prompts.length}`,
      );
    }
    if (each > most) {
      throw new UsageError(
        `Option --num-images must be at most ${most} for prompts: current value is ${each}`,
      );
    }
    this.extent = { prompts: prompts.map(({ prompt }) => prompt), imagesPerPrompt: each };
    this.each = each;
    this.cells = cellsOf([...prompts.keys()], each);
    this.#prompts = prompts;
  }

  fileOf({ subject, image }: Cell): string {
    return `${promptFolder(subject)}/samples/${fiveDigits(image)}.png`;
  }

  labelOf({ subject }: Cell): string {
    return this.#prompts[subject]!.prompt;
  }

  /** By a fixed stride, so that neither more prompts nor more images of each change one. */
  numberOf({ subject, image }: Cell): number {
    return image * MAX_PROMPTS + subject;
  }

  async begin(place: SeriesPlace, cells: readonly Cell[]): Promise<void> {
    for (const subject of new Set(cells.map(({ subject }) => subject))) {
      const file = `${promptFolder(subject)}/metadata.jsonl`;
      const content = `${this.#prompts[subject]!.line}\n`;
      await place.folder(`${promptFolder(subject)}/samples`);
      const there = await place.read(file);
      if (there === undefined) await place.write(file, content);
      else if (there !== content) {
        throw new UsageError(
          `Cannot go on in ${place.name}: ${place.name}/${file} tells something else of the prompt; choose another --output`,
        );
      }
    }
  }
}

function promptFolder(subject: number): string {
  return fiveDigits(subject);
}

/** As GenEval numbers folders and images. */
function fiveDigits(number: number): string {
  return String(number).padStart(5, "0");
}
