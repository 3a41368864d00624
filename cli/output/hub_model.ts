/**
 * Models of the Hugging Face hub on the command line: their places, and what is shown while their files are
 * downloaded.
 *
 * @module
 */

import { type DownloadProgress, type HubPlace, parseHubPlace } from "../../mod.ts";
import { type Io, UsageError } from "../io.ts";
import { ByteProgress } from "./byte_progress.ts";
import { isUrl } from "./files.ts";

/**
 * The repository that a text names, or `undefined` if it names something else.
 *
 * @throws {UsageError} If it begins like the name of a repository and is none.
 */
export function hubPlace(text: string): HubPlace | undefined {
  if (isUrl(text)) return undefined;
  try {
    return parseHubPlace(text);
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

/** Shows downloads, one file after the other. */
export class Transfer implements Disposable {
  readonly #io: Io;
  readonly #now: (() => number) | undefined;
  #file: string | undefined;
  #progress: ByteProgress | undefined;

  /** @param io Where to write. @param options Another clock than `performance.now`. */
  constructor(io: Io, options: { now?: () => number } = {}) {
    this.#io = io;
    this.#now = options.now;
  }

  /** Bytes have come. */
  readonly report = ({ file, bytes, total }: DownloadProgress): void => {
    if (file !== this.#file) {
      this.#progress?.[Symbol.dispose]();
      const clock = this.#now === undefined ? {} : { now: this.#now };
      this.#progress = new ByteProgress(this.#io, { what: `downloading ${file}`, ...clock });
      this.#file = file;
    }
    this.#progress!.show(bytes, total);
  };

  /** Takes the line away. */
  [Symbol.dispose](): void {
    this.#progress?.[Symbol.dispose]();
  }
}
