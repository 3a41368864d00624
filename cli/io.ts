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
  /** Standard input; a program that calls commands need not give one. */
  readonly input?: StandardInput | undefined;
  /** Whether standard error is a terminal, so that a line can be drawn again. */
  readonly terminal: boolean;
  /** Ends the command; Ctrl-C and SIGTERM do, with an {@linkcode Interruption}. */
  readonly signal: AbortSignal;
}

/** What comes into a command. */
export interface StandardInput {
  /** Whether somebody would have to type it. */
  readonly terminal: boolean;
  /** Its bytes, which can be read once. */
  open(): ReadableStream<Uint8Array>;
}

/** Says a sentence to whoever watches, on a line of its own. */
export function say(io: Pick<Io, "err">, sentence: string): void {
  io.err(`varscale: ${printableLine(sentence)}\n`);
}

/** Why a command was ended from outside. */
export class Interruption extends Error {
  override readonly name = "AbortError";
  /** With what the program ends: 128 and the number of the signal, as shells have it. */
  readonly code: number;

  /** @param signal What came. */
  constructor(signal: "SIGINT" | "SIGTERM") {
    super(signal === "SIGINT" ? "interrupted" : "terminated");
    this.code = signal === "SIGINT" ? 130 : 143;
  }
}

/**
 * Waits for work that nothing would be gained by ending in an orderly way, until the command is ended: the
 * graph runtime, whose loading cannot be broken off, would complain at length of what it no longer gets.
 */
export async function untilEnded<Result extends AsyncDisposable>(
  signal: AbortSignal,
  work: Promise<Result>,
): Promise<Result> {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const end = (): void => reject(signal.reason);
  signal.addEventListener("abort", end);
  try {
    if (signal.aborted) end();
    return await Promise.race([work, ended]);
  } catch (error) {
    // Whoever goes on, as a program that calls the commands does, is not left with what comes too late.
    if (signal.aborted) work.then((result) => result[Symbol.asyncDispose](), () => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", end);
  }
}

/** The command line is wrong: the program ends with exit code 2 and points to the help. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
