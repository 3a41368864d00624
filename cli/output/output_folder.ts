/**
 * The folder of a command that makes pictures and a record of them: one process at a time, no record beside
 * pictures of which it does not tell, and nothing left where nothing came of it. Folders that are filled in
 * several goes are left to the series.
 *
 * @module
 */

import { lockFolder } from "../series/folder_lock.ts";
import {
  exists,
  missingFolders,
  refuseExisting,
  removeEmpty,
  requireFolder,
  writeWhole,
} from "./whole_file.ts";
import { list, plural } from "./words.ts";

/** Pictures that are named at most. */
const NAMED = 5;

/** How an {@linkcode OutputFolder} is opened. */
export interface OutputFolderOptions {
  /** Name of the record. */
  readonly record: string;
  /** Whether files that are there may be replaced. */
  readonly overwrite: boolean;
}

/** A folder to which this process alone writes, until it is disposed. */
export class OutputFolder implements AsyncDisposable {
  readonly #path: string;
  readonly #options: OutputFolderOptions;
  /** The folders that were made for it, the innermost first. */
  readonly #made: readonly string[];
  readonly #lock: AsyncDisposable;
  readonly #written = new Set<string>();

  private constructor(
    path: string,
    options: OutputFolderOptions,
    { made, lock }: { readonly made: readonly string[]; readonly lock: AsyncDisposable },
  ) {
    this.#path = path;
    this.#options = options;
    this.#made = made;
    this.#lock = lock;
  }

  /**
   * Makes the folder if it is not there, and locks it.
   *
   * @throws {Error} If another process is at work there.
   * @throws {UsageError} If it cannot be made or written to, or has a record that must stay.
   */
  static async open(path: string, options: OutputFolderOptions): Promise<OutputFolder> {
    await requireFolder(path);
    const made = await missingFolders(path);
    await Deno.mkdir(path, { recursive: true });
    const folder = new OutputFolder(path, options, { made, lock: await lockOutput(path) });
    try {
      await folder.refuse([options.record]);
      return folder;
    } catch (error) {
      await folder[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Refuses to replace files, unless that is allowed.
   *
   * @throws {UsageError} If one is there.
   */
  async refuse(names: readonly string[]): Promise<void> {
    if (!this.#options.overwrite) await refuseExisting(this.#path, names);
  }

  /**
   * Writes a file whole or not at all. A record that is there goes before the first one: it does not tell of
   * what is written now.
   */
  async write(name: string, content: Uint8Array): Promise<void> {
    if (this.#written.size === 0) {
      const record = `${this.#path}/${this.#options.record}`;
      if (await exists(record)) await Deno.remove(record);
    }
    await writeWhole(`${this.#path}/${name}`, content);
    this.#written.add(name);
  }

  /**
   * Writes the record.
   *
   * @returns A sentence about pictures beside it of which it does not tell, if there are any.
   */
  async finish(record: string): Promise<string | undefined> {
    await writeWhole(`${this.#path}/${this.#options.record}`, record);
    const strangers: string[] = [];
    for await (const { name, isFile } of Deno.readDir(this.#path)) {
      if (isFile && /\.png$/i.test(name) && !this.#written.has(name)) strangers.push(name);
    }
    if (strangers.length === 0) return undefined;
    strangers.sort();
    const named = strangers.slice(0, NAMED);
    if (strangers.length > NAMED) named.push(`${strangers.length - NAMED} more`);
    const pictures = plural(strangers.length, "picture");
    const are = strangers.length === 1 ? "is" : "are";
    return `${this.#path} has ${pictures} beside these that ${are} of another run: ${list(named, "and")}`;
  }

  /** Unlocks the folder; what was made for nothing goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock[Symbol.asyncDispose]();
    await removeEmpty(this.#made);
  }
}

/** A lock whose file goes with it. */
async function lockOutput(path: string): Promise<AsyncDisposable> {
  const lock = await lockFolder(path, undefined);
  return {
    [Symbol.asyncDispose]: async () => {
      // Before anybody else can have the lock; whoever has opened the file by now will see that it is gone.
      await Deno.remove(`${path}/.lock`).catch(() => {});
      lock[Symbol.dispose]();
    },
  };
}
