/**
 * Writing a model folder to disk in bounded memory. Everything goes to a folder beside the place,
 * `NAME.partial`, whose content takes the place at the end. It is locked while somebody writes, and what a
 * killed writer left behind is taken up by the next one: weight files that are complete and of the same
 * origin are kept.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";
import { dirname, resolve } from "node:path";
import { entryBytes, type SafetensorsEntry } from "../checkpoint/safetensors.ts";
import { byteLength } from "../checkpoint/tensor.ts";
import { systemReason } from "../system_reason.ts";
import {
  type FileRecord,
  MANIFEST,
  type ManifestFacts,
  type ModelFolder,
  modelManifest,
  openModelFolder,
} from "./model_folder.ts";
import type { WeightPlaces } from "../weights/weight_places.ts";
import {
  type PlannedFile,
  planWeightFiles,
  WEIGHT_FILE_BYTES,
  weightPlaces,
} from "../weights/weight_files.ts";

/**
 * Writes the files of one model folder; nothing appears at its place before {@linkcode FolderWriter.finish}.
 */
export interface FolderWriter extends AsyncDisposable {
  /** Takes over what the weights are read from, and closes it when they cannot be asked for any more. */
  own<Resource extends Disposable>(resource: Resource): Resource;
  /**
   * Writes a file whole.
   *
   * @throws {Error} If the system refuses to, a full disk say, with the place that the file was to have.
   */
  write(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /**
   * Writes the weights of one part of the model, one tensor in memory at a time, and tells where they have
   * come to lie: in `part.safetensors`, or in numbered files of at most 1 GiB each.
   *
   * @throws {Error} As for {@linkcode FolderWriter.write}.
   */
  writeTensors(
    part: string,
    entries: Iterable<SafetensorsEntry>,
    options?: WriteTensorsOptions,
  ): Promise<WeightPlaces>;
  /** Writes `model.json` and puts the folder in its place. */
  finish(facts: ManifestFacts): Promise<ModelFolder>;
}

/** Options of {@linkcode FolderWriter.writeTensors}. */
export interface WriteTensorsOptions {
  /**
   * Says where the bytes come from and how they are made: what was written before for an equal text need not
   * be written again. Asked by who writes.
   */
  origin?: () => string;
  /** Called with the number of bytes whenever a tensor is done. */
  onBytes?: (count: number) => void;
}

/** Options of {@linkcode createModelFolder}. */
export interface CreateFolderOptions {
  /** Replace a folder that is there already; by default that is an error. */
  overwrite?: boolean;
  /** Bytes of tensors in one weight file, 2^30 by default; a larger tensor has a file of its own. */
  weightFileBytes?: number;
  /** Ends the writing; nothing is left behind. */
  signal?: AbortSignal | undefined;
}

/** A file that has been written, and what for. */
interface FinishedFile extends FileRecord {
  readonly origin: string;
  /** SHA-256 of the beginning of the file, which names all tensors, their types and shapes. */
  readonly header: string;
}

/** What lies in a partial folder. */
interface PartialPaths {
  readonly all: string;
  readonly lock: string;
  /** What takes the place in the end. */
  readonly content: string;
  /** What was at the place before. */
  readonly previous: string;
  /** Which weight files are complete. */
  readonly finished: string;
}

/**
 * Starts a new model folder on disk: files go to `PATH.partial`, whose content takes the place at the end.
 *
 * A writer that is disposed before its end leaves nothing behind. One that is killed leaves `PATH.partial`;
 * the next one for the same place keeps the weight files in it that are complete and of the same origin, and
 * removes the rest.
 *
 * @throws {Deno.errors.AlreadyExists} If something is there and `overwrite` is not set, or something is there
 * that is no model folder.
 * @throws {Deno.errors.Busy} If another writer is at work for the same place.
 *
 * @example
 * ```ts
 * import { createModelFolder } from "./folder_writer.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const facts = { family: "var", dtype: "f32", config: {}, classNames: [], tuning: {} } as const;
 * const path = await Deno.makeTempDir();
 * await using writer = await createModelFolder(`${path}/small`);
 * await writer.write("notes.txt", new TextEncoder().encode("Hello"));
 * using folder = await writer.finish({ ...facts, name: "small" });
 * assertEquals(folder.manifest.files["notes.txt"]?.bytes, 5);
 * await Deno.remove(path, { recursive: true });
 * ```
 */
export async function createModelFolder(
  path: string,
  options: CreateFolderOptions = {},
): Promise<FolderWriter> {
  const { overwrite = false } = options;
  const place = path.replace(/\/+$/, "");
  await requirePlace(place, overwrite);
  const all = `${place}.partial`;
  const paths: PartialPaths = {
    all,
    lock: `${all}/lock`,
    content: `${all}/content`,
    previous: `${all}/previous`,
    finished: `${all}/finished.json`,
  };
  const parents = await missingParents(all);
  const lock = await lockPartial(paths, place);
  try {
    await restore(paths, place);
    // Somebody may have finished while we came to the lock.
    await requirePlace(place, overwrite);
    await Deno.mkdir(paths.content, { recursive: true });
    return new DiskWriter(place, { ...paths, parents }, lock, await readFinished(paths.finished), options);
  } catch (error) {
    // What an earlier writer has left stays for the next one, and its lock with it.
    const names = await namesIn(all);
    if (names.length === 1) await Deno.remove(paths.lock);
    lock.close();
    await removeEmpty([all, ...parents]);
    throw error;
  }
}

/** Removes folders, the innermost first, up to one in which there is something. */
async function removeEmpty(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    if (!await Deno.remove(folder).then(() => true, () => false)) break;
  }
}

/** The folders that must be made before another one can be, the innermost first, as far as one may look. */
async function missingParents(path: string): Promise<string[]> {
  const missing: string[] = [];
  const isMissing = (at: string): Promise<boolean> => {
    return Deno.lstat(at).then(() => false, (error) => error instanceof Deno.errors.NotFound);
  };
  for (let at = dirname(resolve(path)); await isMissing(at); at = dirname(at)) missing.push(at);
  return missing;
}

async function requirePlace(place: string, overwrite: boolean): Promise<void> {
  if (!await exists(place)) return;
  if (!overwrite) {
    throw new Deno.errors.AlreadyExists(
      `Cannot write the model folder as "${place}" exists; choose another path or overwrite it`,
    );
  }
  if (!await isReplaceable(place)) {
    throw new Deno.errors.AlreadyExists(
      `Cannot overwrite "${place}" as it is no model folder; choose another path`,
    );
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

/**
 * Whether nothing but a model would be lost: a mistaken path must not cost somebody a folder of other things.
 */
async function isReplaceable(place: string): Promise<boolean> {
  try {
    const names = await namesIn(place);
    return names.length === 0 || names.includes(MANIFEST);
  } catch (error) {
    if (error instanceof Deno.errors.NotADirectory || error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
}

/** Makes the partial folder, or finds one that nobody is at work on, and locks it. */
async function lockPartial({ all, lock }: PartialPaths, place: string): Promise<Deno.FsFile> {
  for (;;) {
    await Deno.mkdir(all, { recursive: true });
    if (!await exists(lock) && (await namesIn(all)).length > 0) {
      throw new Deno.errors.AlreadyExists(
        `Cannot write the model folder "${place}" as "${all}" holds other things; choose another path`,
      );
    }
    let file: Deno.FsFile;
    try {
      file = await Deno.open(lock, { write: true, create: true });
    } catch (error) {
      // The other writer has just finished and taken its folder away.
      if (error instanceof Deno.errors.NotFound) continue;
      throw error;
    }
    const locked = await file.tryLock(true).catch((error) => {
      file.close();
      throw error;
    });
    if (!locked) {
      file.close();
      throw new Deno.errors.Busy(
        `Cannot write the model folder "${place}" as somebody else is writing it; wait for the end of that`,
      );
    }
    const mine = await file.stat();
    const there = await Deno.stat(lock).catch(() => undefined);
    if (there !== undefined && there.ino === mine.ino && there.dev === mine.dev) return file;
    // Locked, but gone: the other writer removed it in between.
    file.close();
  }
}

/** Completes or undoes the last step of a writer that was killed in it. */
async function restore({ previous }: PartialPaths, place: string): Promise<void> {
  if (!await exists(previous)) return;
  if (await exists(place)) await Deno.remove(previous, { recursive: true });
  else await Deno.rename(previous, place);
}

async function readFinished(path: string): Promise<Map<string, FinishedFile>> {
  try {
    return new Map(Object.entries(JSON.parse(await Deno.readTextFile(path))));
  } catch (error) {
    // None, or killed while writing it.
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return new Map();
    throw error;
  }
}

class DiskWriter implements FolderWriter {
  readonly #place: string;
  /** What it is made of, and the folders that had to be made for it. */
  readonly #paths: PartialPaths & { readonly parents: readonly string[] };
  readonly #lock: Deno.FsFile;
  /** Weight files that are complete, of an earlier writer and of this one. */
  readonly #finished: Map<string, FinishedFile>;
  readonly #weightFileBytes: number;
  readonly #signal: AbortSignal | undefined;
  readonly #records: Record<string, FileRecord> = {};
  readonly #owned = new DisposableStack();
  #ended = false;

  constructor(
    place: string,
    paths: PartialPaths & { readonly parents: readonly string[] },
    lock: Deno.FsFile,
    finished: Map<string, FinishedFile>,
    options: CreateFolderOptions,
  ) {
    this.#place = place;
    this.#paths = paths;
    this.#lock = lock;
    this.#finished = finished;
    this.#weightFileBytes = options.weightFileBytes ?? WEIGHT_FILE_BYTES;
    this.#signal = options.signal;
  }

  own<Resource extends Disposable>(resource: Resource): Resource {
    return this.#owned.use(resource);
  }

  async write(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#signal?.throwIfAborted();
    await this.#naming(name, () => Deno.writeFile(`${this.#paths.content}/${name}`, bytes));
    this.#records[name] = {
      bytes: bytes.length,
      sha256: sha256(bytes),
    };
  }

  async writeTensors(
    part: string,
    entries: Iterable<SafetensorsEntry>,
    options: WriteTensorsOptions = {},
  ): Promise<WeightPlaces> {
    const plans = planWeightFiles(part, entries, this.#weightFileBytes);
    for (const plan of plans) {
      this.#records[plan.name] = await this.#kept(plan, options) ?? await this.#written(plan, options);
    }
    return weightPlaces(plans);
  }

  /** A file that an earlier writer has left, if it is the one that is wanted. */
  async #kept(plan: PlannedFile, options: WriteTensorsOptions): Promise<FileRecord | undefined> {
    const { name, layout: { header, places, size } } = plan;
    const { onBytes } = options;
    const known = this.#finished.get(name);
    const origin = known && options.origin?.();
    if (known === undefined || origin === undefined) return undefined;
    const there = await Deno.stat(`${this.#paths.content}/${name}`).catch(() => undefined);
    const same = known.origin === origin && known.header === sha256(header) && known.bytes === size &&
      there?.size === size;
    if (!same) return undefined;
    for (const { entry } of places) onBytes?.(byteLength(entry));
    return { bytes: known.bytes, sha256: known.sha256 };
  }

  async #written(plan: PlannedFile, options: WriteTensorsOptions): Promise<FileRecord> {
    const { name, layout: { header, places, size } } = plan;
    const { origin, onBytes } = options;
    await this.#note(name, undefined);
    const hash = createHash("sha256");
    using file = await Deno.open(`${this.#paths.content}/${name}`, {
      write: true,
      create: true,
      truncate: true,
    });
    await this.#naming(name, () => append(file, header, hash));
    for (const { entry } of places) {
      this.#signal?.throwIfAborted();
      const bytes = await entryBytes(entry);
      await this.#naming(name, () => append(file, bytes, hash));
      onBytes?.(bytes.length);
    }
    const record = { bytes: size, sha256: hash.digest("hex") };
    if (origin !== undefined) {
      // What is noted as complete must be so after a loss of power, too.
      await this.#naming(name, () => file.syncData());
      await this.#note(name, { ...record, origin: origin(), header: sha256(header) });
    }
    return record;
  }

  async #note(name: string, finished: FinishedFile | undefined): Promise<void> {
    if (finished !== undefined) this.#finished.set(name, finished);
    else if (!this.#finished.delete(name)) return;
    await Deno.writeTextFile(this.#paths.finished, JSON.stringify(Object.fromEntries(this.#finished)));
  }

  /** What the system says of an open file names none. */
  async #naming(name: string, write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (!/ \(os error \d+\)/.test(String(error))) throw error;
      throw new Error(`Cannot write ${this.#place}/${name}: ${systemReason(error)}`, { cause: error });
    }
  }

  async finish(facts: ManifestFacts): Promise<ModelFolder> {
    this.#signal?.throwIfAborted();
    const { content, previous } = this.#paths;
    const manifest = modelManifest(facts, this.#records);
    for (const name of await namesIn(content)) {
      // What an earlier writer, for another type say, has left.
      if (this.#records[name] === undefined) await Deno.remove(`${content}/${name}`);
    }
    const text = `${JSON.stringify(manifest, null, 2)}\n`;
    await this.#naming(MANIFEST, () => Deno.writeTextFile(`${content}/${MANIFEST}`, text));
    const replaces = await exists(this.#place);
    if (replaces) await Deno.rename(this.#place, previous);
    try {
      await Deno.rename(content, this.#place);
    } catch (error) {
      if (replaces) await Deno.rename(previous, this.#place);
      throw error;
    }
    await this.#end();
    return await openModelFolder(this.#place);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) await this.#end();
  }

  /** Takes the partial folder away, the lock last. */
  async #end(): Promise<void> {
    this.#ended = true;
    this.#owned.dispose();
    const { all, lock, content, previous, finished, parents } = this.#paths;
    for (const path of [content, previous, finished]) {
      if (await exists(path)) await Deno.remove(path, { recursive: true });
    }
    await Deno.remove(lock);
    this.#lock.close();
    // Somebody may have come to it again in between; then, or with the finished folder in it, it stays.
    await removeEmpty([all, ...parents]);
  }
}

/** Hashes while the system writes. */
async function append(file: Deno.FsFile, bytes: Uint8Array, hash: Hash): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const rest = bytes.subarray(done, done + APPEND_BYTES);
    const writing = file.write(rest);
    hash.update(rest);
    const count = await writing;
    // A disk that is nearly full may take less.
    if (count < rest.length) await writeAll(file, rest.subarray(count));
    done += rest.length;
  }
}

/** Written and hashed at once; the runtime copies what it writes, so this bounds the copy. */
const APPEND_BYTES = 1 << 22;

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
