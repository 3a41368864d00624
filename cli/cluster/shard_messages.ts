/**
 * What a worker and the process that computes for it say to each other, a line of JSON each.
 *
 * @module
 */

import type { Shard } from "../options/series_options.ts";
import type { ShardSeries } from "./shard_series.ts";

/** What a worker's machine says of the device, whatever the run says: options of `varscale run`. */
export type DeviceArguments = readonly string[];

/** The first line: what all that follows belongs to. */
export interface OpeningMessage extends ShardSeries {
  readonly device: DeviceArguments;
}

/** Every other line: the part that is wanted. */
export interface ShardMessage {
  readonly shard: Shard;
}

/** What became of a part. */
export type ShardOutcome =
  /** All of its images are there. */
  | { readonly kind: "done"; readonly images: number; readonly made: number }
  /** Something went wrong that may go right another time. */
  | { readonly kind: "failed"; readonly message: string }
  /** The command line is wrong, and stays so. */
  | { readonly kind: "refused"; readonly message: string }
  /** Another process is at it. */
  | { readonly kind: "busy"; readonly message: string };

/** In front of an answer, as hooks of a reader's own may print what they like. */
export const ANSWER_MARK = "\x1e";

/** The lines of a stream, without their ends. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}
