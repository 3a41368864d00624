/**
 * Keeps two processes from doing the same work in one folder. The system lets go of the locks when a process
 * ends, however it ends.
 *
 * @module
 */

import type { Shard } from "../options/series_options.ts";
import { shardName } from "./share.ts";

/** Another process is at the same work. */
export class FolderBusyError extends Error {
  override readonly name = "FolderBusyError";
}

/**
 * Locks a folder for one part of the work, or for all of it. Parts of one whole get along with each other;
 * parts of another number of parts overlap with them, and are refused as all of it is. The files of the locks
 * stay, unless whoever has locked all removes `.lock` before letting go.
 *
 * @throws {FolderBusyError} If another process is at work there.
 */
export async function lockFolder(folder: string, shard: Shard | undefined): Promise<Disposable> {
  using locks = new DisposableStack();
  const take = async (name: string, exclusive: boolean): Promise<void> => {
    const path = `${folder}/${name}`;
    for (;;) {
      const file = locks.use(await openLock(folder, path));
      if (!await file.tryLock(exclusive)) {
        const part = shard === undefined ? "" : " or at this shard";
        throw new FolderBusyError(`Cannot work in ${folder} as another process is at it${part}`);
      }
      if (await isAt(file, path)) return;
      // It was removed by whoever had it before; the next one is another file.
    }
  };
  await take(".lock", shard === undefined);
  if (shard === undefined) return locks.move();
  await take(`.lock-${shardName(shard)}`, true);
  // The own lock comes first: of two that start at once, one sees the other.
  for await (const { name } of Deno.readDir(folder)) {
    const [, part, parts] = /^\.lock-(\d+)-of-(\d+)$/.exec(name) ?? [];
    if (parts === undefined || Number(parts) === shard.parts) continue;
    using file = await Deno.open(`${folder}/${name}`);
    if (await file.tryLock(false)) continue;
    throw new FolderBusyError(
      `Cannot work in ${folder} as another process is at shard ${part}/${parts}: the number of parts must be the same, and here it is ${shard.parts}`,
    );
  }
  return locks.move();
}

/**
 * Keeps others from all of the work in a folder that is only read. Nothing is written there: what has no
 * locks yet gets none.
 *
 * @returns The locks; `undefined` if another process is at work there.
 */
export async function lockForReading(folder: string): Promise<Disposable | undefined> {
  using locks = new DisposableStack();
  // What cannot be read is told by whoever reads the pictures.
  const files = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  for (const { name, isFile } of files) {
    if (!isFile || !/^\.lock(-\d+-of-\d+)?$/.test(name)) continue;
    try {
      if (!await locks.use(await Deno.open(`${folder}/${name}`)).tryLock(false)) return undefined;
    } catch (error) {
      // Whoever had it is done, and has removed it.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return locks.move();
}

/** Opens the file of a lock, in a folder that may be removed by whoever has made it for nothing. */
async function openLock(folder: string, path: string): Promise<Deno.FsFile> {
  for (;;) {
    await Deno.mkdir(folder, { recursive: true });
    try {
      return await Deno.open(path, { write: true, create: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** Whether a file that was opened at a path is still there. */
async function isAt(file: Deno.FsFile, path: string): Promise<boolean> {
  const there = await Deno.stat(path).catch(() => undefined);
  const { ino, dev } = await file.stat();
  return there !== undefined && there.ino === ino && there.dev === dev;
}
