/**
 * What the threads of a program and of its model tell each other, and how errors cross: a thread can send
 * what an error says, but not what it is.
 *
 * @module
 */

import { UsageError } from "../io.ts";
import type { HostedEvent, HostedFacts, HostedJob, HostedOptions } from "./hosted_job.ts";

/** To the model's thread. */
export type ToThread =
  | { readonly type: "open"; readonly options: HostedOptions }
  | { readonly type: "generate"; readonly job: number; readonly work: HostedJob }
  | { readonly type: "abort"; readonly job: number }
  | { readonly type: "close" };

/** From the model's thread. */
export type FromThread =
  | { readonly type: "notice"; readonly line: string }
  | { readonly type: "opened"; readonly facts: HostedFacts }
  | { readonly type: "failed"; readonly error: SentError }
  | { readonly type: "event"; readonly job: number; readonly event: HostedEvent }
  | { readonly type: "ended"; readonly job: number; readonly error?: SentError }
  | { readonly type: "closed" };

/** An error on its way. */
export interface SentError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  /** Whether the options are wrong. */
  readonly usage: boolean;
}

/** An error as it is sent. */
export function sentError(error: unknown): SentError {
  const usage = error instanceof UsageError;
  if (!(error instanceof Error)) return { name: "Error", message: String(error), usage };
  const { name, message, stack } = error;
  return { name, message, usage, ...(stack !== undefined && { stack }) };
}

/** An error as it arrives: with its name, its message and where it came from. */
export function arrivedError({ name, message, stack, usage }: SentError): Error {
  const error = usage ? new UsageError(message) : new Error(message);
  if (!usage) Object.defineProperty(error, "name", { value: name, configurable: true });
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** The memory of an event, which its thread does not need any more: it is handed over and not copied. */
export function transferred(event: HostedEvent): ArrayBuffer[] {
  switch (event.type) {
    case "preview":
      return event.images.map(({ png }) => png.buffer);
    case "candidates":
      return [event.points.buffer, event.densities.buffer, event.kept.buffer];
    case "tree":
      return event.branches.flatMap(({ pictures }) => pictures.map(({ png }) => png.buffer));
    case "image":
      return [event.png.buffer];
    case "done":
      return Object.values(event.files).map(({ buffer }) => buffer);
    default:
      return [];
  }
}
