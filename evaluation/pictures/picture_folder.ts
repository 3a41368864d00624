/**
 * Pictures of a folder: which files count, in which order, and which classes or prompts they should show.
 * What `run.json` says of them is left to `run_record.ts`.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { decodeImage } from "../../sampler/pictures/decode.ts";
import { systemReason } from "../../models/system_reason.ts";
import { readRunRecord, type RecordedPicture } from "./run_record.ts";
import type { NamedPicture, OpenPicturesOptions, PictureRun, PictureSource } from "./picture_source.ts";

/** What is taken for a picture by its name. */
const PICTURE = /\.(png|jpe?g|webp)$/i;
/** Pictures that go with samples, and only a record tells from them. */
const COMPANION = /^(grid|source|region)\.png$|_(scale-\d+|stepwise)\.png$/;
/** Names that a sentence tells of at most. */
const NAMED = 5;

const byValue = new Intl.Collator("en", { numeric: true });
const compare = (a: string, b: string): number => byValue.compare(a, b) || (a < b ? -1 : 1);

/** A file that counts. */
interface PictureFile extends RecordedPicture {
  /** Name of the folder that it is in, where that is its class. */
  readonly group?: string;
}

/** Files with what is known of them together. */
interface Found {
  readonly files: readonly PictureFile[];
  readonly run?: PictureRun;
  readonly notes: readonly string[];
}

/**
 * Opens a folder.
 *
 * @throws {Error} If no picture is there, or what is there tells two things.
 */
export async function openPictureFolder(
  folder: string,
  { variant, signal }: OpenPicturesOptions,
): Promise<PictureSource> {
  const { files, run, notes } = await ofRun(folder, variant) ?? await ofAny(folder);
  if (files.length === 0) {
    throw new Error(
      run === undefined
        ? `Cannot read pictures of ${folder}: it has no PNG, JPEG or WebP files`
        : `Cannot read pictures of ${folder}: none of its ${run.planned} pictures is finished`,
    );
  }
  const hash = createHash("sha256");
  for (const { file } of files) {
    signal?.throwIfAborted();
    hash.update(`${JSON.stringify([file, (await Deno.stat(`${folder}/${file}`)).size])}\n`);
  }
  const labels = whereAll(files, ({ label }) => label);
  const prompts = whereAll(files, ({ prompt }) => prompt);
  const groups = labels === undefined ? whereAll(files, ({ group }) => group) : undefined;
  return {
    place: folder,
    count: files.length,
    names: files.map(({ file }) => file),
    fingerprint: hash.digest("hex"),
    ...(labels && { labels }),
    ...(groups && { groups }),
    ...(prompts && { prompts }),
    ...(run && { run }),
    notes,
    pictures: ({ from = 0, signal } = {}) => readPictures(folder, files.slice(from), signal),
  };
}

function whereAll<Value>(
  files: readonly PictureFile[],
  value: (file: PictureFile) => Value | undefined,
): Value[] | undefined {
  const known = files.flatMap((file) => value(file) ?? []);
  return known.length === files.length ? known as Value[] : undefined;
}

async function* readPictures(
  folder: string,
  files: readonly PictureFile[],
  signal: AbortSignal | undefined,
): AsyncGenerator<NamedPicture> {
  for (const { file, sha256 } of files) {
    signal?.throwIfAborted();
    const bytes = await Deno.readFile(`${folder}/${file}`).catch((error) => {
      throw unusable(`${folder}/${file}`, systemReason(error), error);
    });
    if (sha256 !== undefined && createHash("sha256").update(bytes).digest("hex") !== sha256) {
      throw unusable(`${folder}/${file}`, "it is not the picture that its run.json tells of");
    }
    const image = await decodeImage(bytes).catch((error) => {
      throw unusable(`${folder}/${file}`, error instanceof Error ? error.message : String(error), error);
    });
    yield { name: file, image };
  }
}

function unusable(path: string, reason: string, cause?: unknown): Error {
  return new Error(`Cannot use the picture ${path}: ${reason}`, cause === undefined ? {} : { cause });
}

/** The pictures of a run that are there; `undefined` if the folder is none of a run. */
async function ofRun(folder: string, variant: string | undefined): Promise<Found | undefined> {
  const record = await readRunRecord(folder);
  if (record === undefined) {
    if (variant === undefined) return undefined;
    throw new Error(`Cannot read pictures of ${folder}: it has no run.json with a variant ${variant}`);
  }
  const { variants } = record;
  if (variant === undefined && variants.length > 1) {
    throw new Error(
      `Cannot read pictures of ${folder}: its run has the variants ${
        variants.join(", ")
      }, which are evaluated one by one`,
    );
  }
  if (variant !== undefined && !variants.includes(variant)) {
    throw new Error(
      `Cannot read pictures of ${folder}: its run has no variant ${variant}, but ${variants.join(", ")}`,
    );
  }
  const wanted = record.pictures.filter((picture) => variant === undefined || picture.variant === variant);
  const there = new Set<string>();
  for (const inside of new Set(wanted.map(({ file }) => file.split("/").slice(0, -1).join("/")))) {
    for (const name of await filesOf(`${folder}/${inside}`)) {
      there.add(inside === "" ? name : `${inside}/${name}`);
    }
  }
  const files = wanted.filter(({ file }) => there.has(file)).sort((a, b) => compare(a.file, b.file));
  const missing = wanted.length - files.length;
  return {
    files,
    run: { model: record.model, planned: wanted.length },
    notes: missing === 0 ? [] : [`${missing} of the ${wanted.length} pictures of the run are missing`],
  };
}

/** All pictures of a folder, or of its folders. */
async function ofAny(folder: string): Promise<Found> {
  const names = await filesOf(folder);
  const companions = names.filter((name) => COMPANION.test(name));
  if (companions.length > 0) {
    throw new Error(
      `Cannot read pictures of ${folder}: it has ${
        some(companions)
      } and no run.json that tells which pictures are samples`,
    );
  }
  const files = names.map((file): PictureFile => {
    const label = /^class_(\d+)_img_\d+\.png$/.exec(file)?.[1];
    return { file, ...(label !== undefined && { label: Number(label) }) };
  });
  const groups = await foldersOf(folder);
  const inside = (await Promise.all(groups.map((group) => ofGroup(folder, group)))).flat();
  if (files.length > 0 && inside.length > 0) {
    throw new Error(
      `Cannot read pictures of ${folder}: it has ${some(names)} beside pictures in folders, as in ${
        inside[0]!.file.split("/")[0]
      }; nothing tells which count`,
    );
  }
  return { files: files.length > 0 ? files : inside, notes: [] };
}

/** Pictures of a folder within the folder: those of a class, or, as GenEval has them, of a prompt. */
async function ofGroup(folder: string, group: string): Promise<PictureFile[]> {
  const names = await filesOf(`${folder}/${group}`);
  const number = /^\d+$/.test(group) ? { label: Number(group) } : {};
  if (names.length > 0) return names.map((name) => ({ file: `${group}/${name}`, group, ...number }));
  const samples = await filesOf(`${folder}/${group}/samples`).catch(() => []);
  const prompt = samples.length === 0 ? undefined : await promptOf(`${folder}/${group}/metadata.jsonl`);
  return samples.map((name) => {
    return { file: `${group}/samples/${name}`, ...(prompt !== undefined && { prompt }) };
  });
}

async function promptOf(path: string): Promise<string | undefined> {
  try {
    const { prompt } = JSON.parse(await Deno.readTextFile(path));
    return typeof prompt === "string" ? prompt : undefined;
  } catch {
    return undefined;
  }
}

async function filesOf(folder: string): Promise<string[]> {
  return (await entriesOf(folder)).filter(({ name, isFile, isSymlink }) => {
    return (isFile || isSymlink) && PICTURE.test(name);
  }).map(({ name }) => name).sort(compare);
}

async function foldersOf(folder: string): Promise<string[]> {
  return (await entriesOf(folder)).filter(({ name, isDirectory }) => isDirectory && !name.startsWith("."))
    .map(({ name }) => name).sort(compare);
}

async function entriesOf(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function some(names: readonly string[]): string {
  const more = names.length - NAMED;
  return more > 0 ? `${names.slice(0, NAMED).join(", ")} and ${more} more` : names.join(", ");
}
