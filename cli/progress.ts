/**
 * What a long command shows on the way: on a terminal one line that is drawn again and again, otherwise a short line now and then.
 *
 * @module
 */

import type { Io } from "./command.ts";
import { duration, plural } from "./files.ts";

/** Tells a person how far a generation has come. */
export class Progress {
  readonly #io: Io;
  readonly #quiet: boolean;
  readonly #total: number;
  readonly #begun = performance.now();
  #done = 0;
  #drawn = false;

  /** @param io Where to write. @param options How many images there will be, and whether to say anything at all. */
  constructor(io: Io, options: { total: number; quiet: boolean }) {
    this.#io = io;
    this.#quiet = options.quiet;
    this.#total = options.total;
  }

  /** Images that are done. */
  get done(): number {
    return this.#done;
  }

  /** An image is done. */
  image(): void {
    this.#done++;
  }

  /** Draws the line again. */
  draw(place: string): void {
    if (this.#quiet || !this.#io.terminal) return;
    const facts = [place, `images ${this.#done}/${this.#total}`, duration(performance.now() - this.#begun)];
    this.#io.err(`\r\x1b[2K${facts.join("  ").slice(0, 79)}`);
    this.#drawn = true;
  }

  /** A batch is done. */
  batch(): void {
    if (this.#quiet || this.#io.terminal) return;
    const time = duration(performance.now() - this.#begun);
    this.#io.err(`varscale: ${this.#done} of ${plural(this.#total, "image")}, ${time}\n`);
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#drawn) this.#io.err("\r\x1b[2K");
    this.#drawn = false;
  }
}
