/**
 * What is shown while the files of a model are downloaded, or checked that were downloaded before.
 *
 * @module
 */

import type { DownloadProgress } from "../../mod.ts";
import type { Io } from "../io.ts";
import { ByteProgress } from "./byte_progress.ts";

/** Shows downloads and checks, one file after the other. */
export class Transfer implements Disposable {
  readonly #io: Io;
  readonly #now: (() => number) | undefined;
  #what: string | undefined;
  #progress: ByteProgress | undefined;

  /** @param io Where to write. @param options Another clock than `performance.now`. */
  constructor(io: Io, options: { now?: () => number } = {}) {
    this.#io = io;
    this.#now = options.now;
  }

  /** Bytes have come, or been checked. */
  readonly report = ({ file, bytes, total, checking }: DownloadProgress): void => {
    const what = `${checking ? "checking" : "downloading"} ${file}`;
    if (what !== this.#what) {
      this.#progress?.[Symbol.dispose]();
      const clock = this.#now === undefined ? {} : { now: this.#now };
      this.#progress = new ByteProgress(this.#io, { what, ...clock });
      this.#what = what;
    }
    this.#progress!.show(bytes, total);
  };

  /** Takes the line away. */
  [Symbol.dispose](): void {
    this.#progress?.[Symbol.dispose]();
  }
}
