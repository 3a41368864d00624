/**
 * The images of a folder as one NumPy archive: which they are, whether all are there, and in which order they
 * go. How the archive is written is left to `evaluation/`.
 *
 * @module
 */

import { basename, join, resolve } from "node:path";
import { RgbaImage, type Seed, seedWords, systemReason, threefry } from "../../mod.ts";
import { REGION_FILE, SOURCE_FILE } from "../generation/edit_record.ts";
import { GRID_FILE } from "../generation/layout.ts";
import { type Io, UsageError } from "../io.ts";
import { readJson } from "../options/given_files.ts";
import { printableLine } from "../output/printable.ts";
import { Progress } from "../output/progress.ts";
import { sha256 } from "../output/sha256.ts";
import { size } from "../output/units.ts";
import { exists } from "../output/whole_file.ts";
import { list, plural } from "../output/words.ts";
import { writeNpz } from "../../evaluation/mod.ts";
import { FolderPlace } from "./folder_place.ts";
import { readSeriesRecord } from "./series_record.ts";
import { type Cell, cellOfClassImage, type ClassExtent, ClassSubjects } from "./subjects.ts";

/** Missing images that are named at most. */
const NAMED = 5;
/** Pictures that go with samples, beside previews and stages. */
const COMPANIONS: ReadonlySet<string> = new Set([GRID_FILE, SOURCE_FILE, REGION_FILE]);
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
  await refusePrompts(folder);
  const there = await imagesIn(folder);
  if (there.length === 0) throw new UsageError(`Cannot pack ${folder}: it has no PNG files`);
  const { names, sha256: recorded } = await samplesIn(folder, there);
  if (expect !== undefined && names.length !== expect) {
    throw new UsageError(`Cannot pack ${folder}: it has ${names.length} images, and ${expect} are expected`);
  }
  if (order === "shuffled") shuffle(names, seedWords(seed));
  const first = await readImage(folder, names[0]!, recorded);
  const shape = [names.length, first.height, first.width, 3];
  const progress = new Progress(io, { total: names.length, quiet });
  const rows = async function* (): AsyncGenerator<Uint8Array> {
    for (const name of names) {
      io.signal.throwIfAborted();
      const image = await readImage(folder, name, recorded);
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
    await writeNpz(output, { arr_0: { shape, rows: rows() } });
  } finally {
    progress.clear();
  }
  return { images: names.length, shape };
}

/** An archive is for evaluators of classes; those of prompts read the folder as it is. */
async function refusePrompts(folder: string): Promise<void> {
  const series = await readSeriesRecord(new FolderPlace(folder));
  if (series === undefined || "classes" in series) return;
  throw new UsageError(
    `Cannot pack ${folder}: its images are of prompts, and an archive has those of classes`,
  );
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

/** Images that are samples, and the SHA-256 of their files where it is known. */
interface Samples {
  readonly names: string[];
  readonly sha256: ReadonlyMap<string, string>;
}

/**
 * Which of a folder's PNG files are samples: those that its record tells of, which may have previews and
 * sheets beside them; without a record all. None may be missing, and nothing else be among them.
 */
async function samplesIn(folder: string, there: readonly string[]): Promise<Samples> {
  const series = await readSeriesRecord(new FolderPlace(folder));
  const recorded = series === undefined ? await recordedPictures(folder) : undefined;
  if (recorded !== undefined) {
    const { samples, others } = recorded;
    requireComplete(folder, there, { wanted: samples.map(({ file }) => file), others });
    const names = new Set(samples.map(({ file }) => file));
    return {
      names: there.filter((name) => names.has(name)),
      sha256: new Map(
        samples.flatMap(({ file, sha256 }) => typeof sha256 === "string" ? [[file, sha256] as const] : []),
      ),
    };
  }
  if (series === undefined) refuseCompanions(folder, there);
  const cells = there.map(cellOfClassImage).filter((cell) => cell !== undefined);
  if (series !== undefined || cells.length > 0) {
    const subjects = new ClassSubjects(series as ClassExtent | undefined ?? extentOf(cells));
    const wanted = subjects.cells.map((cell) => subjects.fileOf(cell));
    requireComplete(folder, there, { wanted, others: [] });
  }
  return { names: [...there], sha256: new Map() };
}

/**
 * What the record of a generation, an edit or a reconstruction says of the pictures in its folder;
 * `undefined` if there is none.
 *
 * @throws {UsageError} If it does not say it.
 */
async function recordedPictures(folder: string): Promise<RecordedPictures | undefined> {
  for (const name of ["run.json", "reconstruct.json"]) {
    if (!await exists(`${folder}/${name}`)) continue;
    const record = await readJson(`${folder}/${name}`) as { format?: unknown; images?: unknown } | null;
    // A file of this name may be somebody else's.
    if (name === "run.json" && record?.format !== "varscale-run") continue;
    const images = record?.images;
    if (!Array.isArray(images) || images.some((image) => typeof image?.file !== "string")) {
      throw new UsageError(`Cannot pack ${folder}: its ${name} does not tell of its images`);
    }
    const samples = images as readonly RecordedPicture[];
    const others = samples.flatMap(({ previews = [], stages = [], stepwise = [] }) => {
      return [...previews, ...stages, stepwise].flat();
    });
    return { samples, others: [...others, ...COMPANIONS] };
  }
  return undefined;
}

/** The pictures of a record. */
interface RecordedPictures {
  readonly samples: readonly RecordedPicture[];
  /** Names of what goes with them. */
  readonly others: readonly string[];
}

/** An image of a record, as far as it matters here. */
interface RecordedPicture {
  readonly file: string;
  readonly sha256?: string;
  /** What it showed on the way: of a generation, and of a reconstruction. */
  readonly previews?: readonly string[];
  readonly stages?: readonly string[];
  /** The strip of its scales. */
  readonly stepwise?: string;
}

/** Of a run's images none may be missing, and nothing else be among them but what goes with them. */
function requireComplete(
  folder: string,
  there: readonly string[],
  { wanted, others }: { readonly wanted: readonly string[]; readonly others: readonly string[] },
): void {
  const present = new Set(there);
  const missing = wanted.filter((name) => !present.has(name));
  if (missing.length > 0) {
    throw new UsageError(
      `Cannot pack ${folder}: ${missing.length} of ${wanted.length} images are missing: ${some(missing)}`,
    );
  }
  const known = new Set([...wanted, ...others]);
  const strange = there.filter((name) => !known.has(name));
  if (strange.length > 0) {
    throw new UsageError(`Cannot pack ${folder}: among the images of the run there is ${some(strange)}`);
  }
}

/** Without a record, nothing tells samples from what goes with them. */
function refuseCompanions(folder: string, there: readonly string[]): void {
  const companions = there.filter((name) => COMPANIONS.has(name) || /_(scale-\d+|stepwise)\.png$/.test(name));
  if (companions.length === 0) return;
  throw new UsageError(
    `Cannot pack ${folder}: it has ${
      some(companions)
    } and no run.json or reconstruct.json that tells which pictures are samples; a generation that was interrupted has none`,
  );
}

/** The least run that has all these images. */
function extentOf(cells: readonly Cell[]): ClassExtent {
  return {
    classes: [...new Set(cells.map(({ subject }) => subject))],
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

async function readImage(
  folder: string,
  name: string,
  recorded: ReadonlyMap<string, string>,
): Promise<RgbaImage> {
  const png = await Deno.readFile(`${folder}/${name}`);
  const expected = recorded.get(name);
  if (expected !== undefined && await sha256(png) !== expected) {
    throw new UsageError(`Cannot pack ${folder}: ${name} is not the picture that its run.json tells of`);
  }
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
