/**
 * What a command talks to, standard output and standard error, and how it says that its command line is
 * wrong.
 *
 * @module
 */

import { printableLine } from "./output/printable.ts";

/** Where a command writes, and what ends it. */
export interface Io {
  /** Writes to standard output. */
  out(text: string): void;
  /** Writes to standard error. */
  err(text: string): void;
  /** Whether standard error is a terminal, so that a line can be drawn again. */
  readonly terminal: boolean;
  /** Ends the command; Ctrl-C does. */
  readonly signal: AbortSignal;
}

/** Says a sentence to whoever watches, on a line of its own. */
export function say(io: Pick<Io, "err">, sentence: string): void {
  io.err(`varscale: ${printableLine(sentence)}\n`);
}

/** The command line is wrong: the program ends with exit code 2 and points to the help. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
