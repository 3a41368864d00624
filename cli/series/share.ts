/**
 * Parts of a long run: which of its images a process makes where several share the work.
 *
 * @module
 */

import type { Shard } from "../options/series_options.ts";
import type { Cell, Subjects } from "./subjects.ts";

/** A part as it stands in file names. */
export function shardName({ part, parts }: Shard): string {
  return `${part}-of-${parts}`;
}

/** The images of a part: equal stretches of all of them, or of all subjects where those must stay whole. */
export function shareOf(
  { cells, each }: Pick<Subjects, "cells" | "each">,
  shard: Shard | undefined,
  coupled: boolean,
): readonly Cell[] {
  if (shard === undefined) return cells;
  const unit = coupled ? each : 1;
  const units = cells.length / unit;
  const [from, to] = [shard.part - 1, shard.part].map((i) => unit * Math.floor(i * units / shard.parts));
  return cells.slice(from, to);
}

/** All images of the classes or prompts of which one is missing. */
export function wholeSubjects(share: readonly Cell[], missing: readonly Cell[]): Cell[] {
  const subjects = new Set(missing.map(({ subject }) => subject));
  return share.filter(({ subject }) => subjects.has(subject));
}
