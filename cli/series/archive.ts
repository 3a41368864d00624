/**
 * The images of a folder as one NumPy archive: which they are, whether all are there, and in which order they
 * go. How the archive is written is left to `npz_file.ts`.
 *
 * @module
 */

import { basename, join, resolve } from "node:path";
import { RgbaImage, type Seed, seedWords, systemReason, threefry } from "../../mod.ts";
import { type Io, UsageError } from "../io.ts";
import { printableLine } from "../output/printable.ts";
import { Progress } from "../output/progress.ts";
import { size } from "../output/units.ts";
import { exists } from "../output/whole_file.ts";
import { list, plural } from "../output/words.ts";
import { writeNpz } from "./npz_file.ts";
import {
  type Cell,
  cellsOf,
  imageFile,
  imageOfFile,
  readSeriesRecord,
  type SeriesRecord,
} from "./series_record.ts";

/** Missing images that are named at most. */
const NAMED = 5;
/** Counter of the order's random words, where those of images have scale and purpose. */
const ORDER_STREAM = 0xfffffffe;

/** Where the archive of a folder is put: beside it, as the published script does. */
export function archiveOf(folder: string): string {
  return join(folder, "..", `${basename(resolve(folder))}.npz`);
}

/**
 * Refuses to replace an archive unless that is allowed.
 *
 * @throws {UsageError} If it is there.
 */
export async function refuseArchive(path: string, overwrite: boolean): Promise<void> {
  if (overwrite || !await exists(path)) return;
  throw new UsageError(
    `Cannot write ${path}: it exists; choose another --output of varscale npz, or its --overwrite`,
  );
}

/** What is printed of a finished archive. */
export function describeArchive(path: string, images: number, shape: readonly number[]): string {
  const bytes = shape.reduce((a, b) => a * b);
  const facts = [plural(images, "image"), `uint8 [${shape.join(", ")}]`, size(bytes)];
  return `${printableLine(path)}: ${facts.join(", ")}\n`;
}

/** How {@linkcode packImages} works. */
export interface PackOptions {
  /** Number of images that there must be. */
  readonly expect?: number;
  /** Order of the images. */
  readonly order: "shuffled" | "name";
  /** Seed of the shuffled order. */
  readonly seed: number | bigint;
  /** Whether to say nothing on the way. */
  readonly quiet: boolean;
  /** Where to write. */
  readonly io: Io;
}

/**
 * Packs the PNG files of a folder.
 *
 * @throws {UsageError} If an image is missing, too much, of another size, or no image.
 */
export async function packImages(
  folder: string,
  output: string,
  options: PackOptions,
): Promise<{ images: number; shape: readonly number[] }> {
  const { expect, order, seed, quiet, io } = options;
  const names = await imagesIn(folder);
  if (names.length === 0) throw new UsageError(`Cannot pack ${folder}: it has no PNG files`);
  await requireComplete(folder, names);
  if (expect !== undefined && names.length !== expect) {
    throw new UsageError(`Cannot pack ${folder}: it has ${names.length} images, and ${expect} are expected`);
  }
  if (order === "shuffled") shuffle(names, seedWords(seed));
  const first = await readImage(folder, names[0]!);
  const shape = [names.length, first.height, first.width, 3];
  const progress = new Progress(io, { total: names.length, quiet });
  const rows = async function* (): AsyncGenerator<Uint8Array> {
    for (const name of names) {
      io.signal.throwIfAborted();
      const image = await readImage(folder, name);
      if (image.width !== first.width || image.height !== first.height) {
        throw new UsageError(
          `Cannot pack ${folder}: ${name} is ${image.width}×${image.height}, and ${
            names[0]
          } is ${first.width}×${first.height}; all must have one size`,
        );
      }
      yield withoutAlpha(image, `${folder}/${name}`);
      progress.image();
      progress.batch();
      progress.draw("npz");
    }
  };
  try {
    await writeNpz(output, shape, rows());
  } finally {
    progress.clear();
  }
  return { images: names.length, shape };
}

/** Names of the PNG files of a folder, numbers in them by value. */
async function imagesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      if (isFile && /\.png$/i.test(name)) names.push(name);
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const none = error instanceof Deno.errors.NotFound;
    throw new UsageError(`Cannot pack ${folder}: ${none ? "no such folder" : systemReason(error)}`);
  }
  return names.sort(new Intl.Collator("en", { numeric: true }).compare);
}

/** Of a run's images none may be missing, and nothing else be among them. */
async function requireComplete(folder: string, names: readonly string[]): Promise<void> {
  const record = await readSeriesRecord(folder);
  const cells = names.map(imageOfFile).filter((cell) => cell !== undefined);
  if (record === undefined && cells.length === 0) return;
  const present = new Set(names);
  const wanted = cellsOf(record ?? extentOf(cells)).map(imageFile);
  const missing = wanted.filter((name) => !present.has(name));
  if (missing.length > 0) {
    throw new UsageError(
      `Cannot pack ${folder}: ${missing.length} of ${wanted.length} images are missing: ${some(missing)}`,
    );
  }
  const known = new Set(wanted);
  const strange = names.filter((name) => !known.has(name));
  if (strange.length > 0) {
    throw new UsageError(`Cannot pack ${folder}: among the images of the run there is ${some(strange)}`);
  }
}

/** The least run that has all these images. */
function extentOf(cells: readonly Cell[]): Pick<SeriesRecord, "classes" | "imagesPerClass"> {
  return {
    classes: [...new Set(cells.map(({ classId }) => classId))],
    imagesPerClass: cells.reduce((most, { image }) => Math.max(most, image + 1), 0),
  };
}

function some(names: readonly string[]): string {
  const more = names.length - NAMED;
  return more > 0 ? `${names.slice(0, NAMED).join(", ")} and ${more} more` : list(names, "and");
}

/** Puts a list into a random order: that of random words, one for each place. */
function shuffle(names: string[], seed: Seed): void {
  const keys = new Map(names.map((name, place) => [name, threefry(seed, [place, ORDER_STREAM])]));
  names.sort((a, b) => {
    const [first, second] = [keys.get(a)!, keys.get(b)!];
    return first[0] - second[0] || first[1] - second[1];
  });
}

async function readImage(folder: string, name: string): Promise<RgbaImage> {
  const png = await Deno.readFile(`${folder}/${name}`);
  try {
    return RgbaImage.decode(png);
  } catch (error) {
    throw new UsageError(`Cannot pack ${folder}: ${name} is no image: ${(error as Error).message}`);
  }
}

/** Red, green and blue of each pixel. */
function withoutAlpha(image: RgbaImage, name: string): Uint8Array {
  const { data } = image;
  const rgb = new Uint8Array(data.length / 4 * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    if (data[from + 3] !== 255) throw new UsageError(`Cannot pack ${name}: it has transparent pixels`);
    rgb[to] = data[from]!;
    rgb[to + 1] = data[from + 1]!;
    rgb[to + 2] = data[from + 2]!;
  }
  return rgb;
}
