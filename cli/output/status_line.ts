/**
 * The line of a terminal that says how far a command has come, drawn again and again and taken away in the
 * end.
 *
 * @module
 */

import type { Io } from "../io.ts";
import { printableLine } from "./printable.ts";
import { cutColumns } from "./text_width.ts";

/** Columns of the line: one less than a terminal has at least, as the last one would begin another line. */
const WIDTH = 79;
/** To the first column, and erase the line. */
export const ERASE = "\r\x1b[2K";

/** A line that is there or not. */
export class StatusLine {
  readonly #io: Io;
  #drawn = false;

  /** @param io Where to write. */
  constructor(io: Io) {
    this.#io = io;
  }

  /** Draws the line, as far as it fits. */
  draw(text: string): void {
    this.#io.err(`${ERASE}${cutColumns(printableLine(text), WIDTH)}`);
    this.#drawn = true;
  }

  /** Takes it away, if it is there. */
  clear(): void {
    if (this.#drawn) this.#io.err(ERASE);
    this.#drawn = false;
  }
}
