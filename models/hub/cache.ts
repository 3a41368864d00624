/**
 * The cache of one repository on disk, as the hub's own libraries lay it out: contents under `blobs`, named
 * by their checksums; the names of a commit's files under `snapshots`, as links to them; commits of branches
 * and tags under `refs`. How the contents get there is left to the download.
 *
 * @module
 */

import { basename, dirname, join, relative } from "node:path";
import { checksumOf } from "./checksum.ts";
import { isCommit } from "./place.ts";

/** A file that is on the disk. */
export interface CachedFile {
  readonly path: string;
  readonly bytes: number;
  readonly commit: string;
  /** The checksum that it was downloaded with, where its place tells. */
  readonly etag: string | undefined;
}

/** Milliseconds between two looks at a lock that another process holds. */
const LOCK_INTERVAL = 100;

/** The cache of one repository. */
export class RepositoryCache {
  /** Folder of the repository. */
  readonly folder: string;
  readonly #locks: string;

  /** @param cacheFolder Folder of the whole cache. @param repository Owner and name. */
  constructor(cacheFolder: string, repository: string) {
    const name = `models--${repository.replace("/", "--")}`;
    this.folder = join(cacheFolder, name);
    this.#locks = join(cacheFolder, ".locks", name);
  }

  /** Where the content with a checksum lies. */
  blob(etag: string): string {
    return join(this.folder, "blobs", etag);
  }

  /** Where a file of a commit is found under its own name. */
  pointer(commit: string, name: string): string {
    return join(this.folder, "snapshots", commit, ...name.split("/"));
  }

  /** The commit of a revision when it was last asked for. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const text = await whenThere(Deno.readTextFile(join(this.folder, "refs", ...revision.split("/"))));
    return text !== undefined && isCommit(text.trim()) ? text.trim() : undefined;
  }

  /** Finds a file of a revision. */
  async find(revision: string, name: string): Promise<CachedFile | undefined> {
    const commit = await this.commitOf(revision);
    if (commit === undefined) return undefined;
    const path = this.pointer(commit, name);
    const facts = await whenThere(Deno.stat(path));
    if (!facts?.isFile) return undefined;
    // Where there are no links it is a file by itself.
    const etag = await Deno.readLink(path).then(basename, () => undefined);
    return { path, bytes: facts.size, commit, etag };
  }

  /** Names of the files of a revision that are on the disk. */
  async names(revision: string): Promise<string[]> {
    const commit = await this.commitOf(revision);
    if (commit === undefined) return [];
    return await whenThere(namesUnder(join(this.folder, "snapshots", commit))) ?? [];
  }

  /**
   * Whether a file still has its checksum. It is read for that when it is first asked about, and again when
   * its size, times or number in the file system are others than then; gigabytes are not read at every start.
   * What a disk loses by itself, without any write, is noticed by neither.
   *
   * @param path The file.
   * @param etag Its checksum; whatever is none fits every file.
   */
  async isIntact(
    path: string,
    etag: string,
    options: Parameters<typeof checksumOf>[2] = {},
  ): Promise<boolean> {
    const state = await stateOf(path);
    if (state === undefined) return false;
    const known = await Deno.readTextFile(this.#note(etag)).catch(() => undefined);
    if (known === state) return true;
    const found = await checksumOf(path, etag, options);
    if (found === undefined) return true;
    if (found !== etag) return false;
    await this.remember(path, etag, state);
    return true;
  }

  /** Remembers that a file has its checksum, if the cache may be written to. */
  async remember(path: string, etag: string, state?: string): Promise<void> {
    try {
      const facts = state ?? await stateOf(path);
      await Deno.mkdir(this.#locks, { recursive: true });
      await replace(this.#note(etag), (temporary) => Deno.writeTextFile(temporary, facts!));
    } catch {
      // It is found out anew the next time.
    }
  }

  /** Where it is kept in which state a content had its checksum: beside its lock, out of others' way. */
  #note(etag: string): string {
    return join(this.#locks, `${etag}.checked`);
  }

  /** Makes a file of a commit found under its own name. */
  async point(commit: string, name: string, etag: string): Promise<void> {
    const blob = this.blob(etag);
    const pointer = this.pointer(commit, name);
    await Deno.mkdir(dirname(pointer), { recursive: true });
    await replace(pointer, async (temporary) => {
      try {
        await Deno.symlink(relative(dirname(pointer), blob), temporary);
      } catch {
        // Windows wants a privilege for symbolic links, and Deno write access everywhere; the content is
        // there once all the same.
        await Deno.link(blob, temporary).catch(() => Deno.copyFile(blob, temporary));
      }
    });
  }

  /** Remembers the commit of a branch or tag. */
  async setCommit(revision: string, commit: string): Promise<void> {
    if (await this.commitOf(revision) === commit) return;
    const path = join(this.folder, "refs", ...revision.split("/"));
    await Deno.mkdir(dirname(path), { recursive: true });
    await replace(path, (temporary) => Deno.writeTextFile(temporary, commit));
  }

  /**
   * Waits until no other process works on a content. The system gives the lock back when its holder ends,
   * however that happens; the file stays, as whoever waits for it may have opened it already.
   *
   * @returns What gives the lock back, or `undefined` where the file system has no locks, as on some
   * clusters.
   */
  async lock(etag: string, signal: AbortSignal | undefined): Promise<Disposable | undefined> {
    await Deno.mkdir(this.#locks, { recursive: true });
    const file = await Deno.open(join(this.#locks, `${etag}.lock`), {
      read: true,
      write: true,
      create: true,
    });
    try {
      while (!await file.tryLock(true)) {
        await pause(LOCK_INTERVAL, signal);
      }
      return file;
    } catch (error) {
      file.close();
      if (signal?.aborted) throw error;
      return undefined;
    }
  }
}

/** What changes of a file whenever its content does; `undefined` if it is not there. */
async function stateOf(path: string): Promise<string | undefined> {
  const facts = await whenThere(Deno.stat(path));
  if (facts === undefined) return undefined;
  const { size, mtime, ctime, ino } = facts;
  return [size, mtime?.getTime(), ctime?.getTime(), ino].join(" ");
}

/** Bytes that a folder's disk has room for, if that may be asked. */
export async function freeBytes(folder: string): Promise<number | undefined> {
  if (Deno.permissions.querySync({ name: "sys", kind: "statfs" }).state !== "granted") return undefined;
  // Importing it takes 5 ms, and hardly anybody asks.
  const { statfs } = await import("node:fs");
  return await new Promise((done) =>
    statfs(folder, (error, facts) => done(error ? undefined : facts.bavail * facts.bsize))
  );
}

/** Waits for a while, or less if the signal says so. */
export async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  const abort = (): void => reject(signal!.reason);
  signal?.addEventListener("abort", abort);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** The result, or `undefined` if the file is not there. */
async function whenThere<Value>(result: Promise<Value>): Promise<Value | undefined> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}

/** Makes something under a temporary name and then gives it its own, so that no half of it is ever seen. */
async function replace(path: string, make: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    await make(temporary);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/** Names of all files in a folder and in those within it, with slashes. */
async function namesUnder(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (!isDirectory) names.push(name);
    else names.push(...(await namesUnder(join(folder, name))).map((inner) => `${name}/${inner}`));
  }
  return names;
}
