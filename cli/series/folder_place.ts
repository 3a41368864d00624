/**
 * A folder as the place of a long run, locked against others that would do the same work.
 *
 * @module
 */

import { basename, dirname } from "node:path";
import { readText } from "../options/given_files.ts";
import type { Shard } from "../options/series_options.ts";
import { exists, missingFolders, removeEmpty, writeWhole } from "../output/whole_file.ts";
import { lockFolder } from "./folder_lock.ts";
import type { SeriesPlace } from "./series_place.ts";
import { readSeriesRecord } from "./series_record.ts";

/** What a PNG file ends with: the chunk IEND, which is empty. */
const PNG_END = [0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82];

/** Files of a folder. */
export class FolderPlace implements SeriesPlace {
  readonly name: string;
  readonly #close: () => Promise<void>;

  /**
   * @param folder Its path.
   * @param close What is done when it is disposed.
   */
  constructor(folder: string, close: () => Promise<void> = () => Promise.resolve()) {
    this.name = folder;
    this.#close = close;
  }

  /**
   * Makes the folder if it is not there, and locks it. If it has no record of a run when it is disposed, as
   * the run was refused, the files of the locks go, and so do folders that were made for nothing.
   *
   * @throws {FolderBusyError} If another process is at work there.
   */
  static async open(folder: string, shard: Shard | undefined): Promise<FolderPlace> {
    const made = await missingFolders(folder);
    await Deno.mkdir(folder, { recursive: true });
    const lock = await lockFolder(folder, shard);
    return new FolderPlace(folder, async () => {
      lock[Symbol.dispose]();
      // Why the run was refused is to be told, and not why something is left of it.
      await removeLocks(folder).catch(() => {});
      await removeEmpty(made);
    });
  }

  async read(file: string): Promise<string | undefined> {
    const path = this.#pathOf(file);
    return await exists(path) ? await readText(path) : undefined;
  }

  async write(file: string, content: Uint8Array<ArrayBuffer> | string): Promise<void> {
    await writeWhole(this.#pathOf(file), content);
  }

  async folder(path: string): Promise<void> {
    await Deno.mkdir(this.#pathOf(path), { recursive: true });
  }

  async remove(file: string): Promise<void> {
    if (await exists(this.#pathOf(file))) await Deno.remove(this.#pathOf(file));
  }

  async *names(): AsyncGenerator<string> {
    for await (const { name } of Deno.readDir(this.name)) yield name;
  }

  async whole(files: readonly string[]): Promise<ReadonlySet<string>> {
    const there = new Set<string>();
    for (const [inside, own] of Map.groupBy(files, (file) => dirname(this.#pathOf(file)))) {
      if (!await exists(inside)) continue;
      const byName = new Map(own.map((file) => [basename(file), file]));
      for await (const { name, isFile } of Deno.readDir(inside)) {
        const file = byName.get(name);
        if (isFile && file !== undefined && isWhole(`${inside}/${name}`)) there.add(file);
        const [, target] = /^(.+\.png)\.[0-9a-f-]{36}\.tmp$/.exec(name) ?? [];
        if (target !== undefined && byName.has(target)) await Deno.remove(`${inside}/${name}`);
      }
    }
    return there;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  #pathOf(file: string): string {
    return `${this.name}/${file}`;
  }
}

/** Removes the files of the locks in a folder that is no run's, unless another process is at work there. */
async function removeLocks(folder: string): Promise<void> {
  const place = new FolderPlace(folder);
  if (await readSeriesRecord(place) !== undefined) return;
  // Whoever has all of it may remove the locks of parts, too: each part begins with the lock of all.
  using _whole = await lockFolder(folder, undefined);
  if (await readSeriesRecord(place) !== undefined) return;
  const names = await Array.fromAsync(place.names());
  const parts = names.filter((name) => /^\.lock-\d+-of-\d+$/.test(name));
  for (const name of [...parts, ".lock"]) await Deno.remove(`${folder}/${name}`);
}

/** Whether a PNG file has its end, which it may lack after a power failure. */
function isWhole(path: string): boolean {
  using file = Deno.openSync(path);
  const { size } = file.statSync();
  if (size <= PNG_END.length) return false;
  file.seekSync(-PNG_END.length, Deno.SeekMode.End);
  const end = new Uint8Array(PNG_END.length);
  return file.readSync(end) === end.length && PNG_END.every((byte, i) => end[i] === byte);
}
