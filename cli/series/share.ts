/**
 * Parts of a long run: which of its images a process makes where several share the work.
 *
 * @module
 */

import type { Shard } from "../options/series_options.ts";
import { type Cell, cellsOf, type SeriesRecord } from "./series_record.ts";

/** A part as it stands in file names. */
export function shardName({ part, parts }: Shard): string {
  return `${part}-of-${parts}`;
}

/** The images of a part: equal stretches of all of them, or of all classes where those must stay whole. */
export function shareOf(
  record: Pick<SeriesRecord, "classes" | "imagesPerClass">,
  shard: Shard | undefined,
  coupled: boolean,
): Cell[] {
  const cells = cellsOf(record);
  if (shard === undefined) return cells;
  const unit = coupled ? record.imagesPerClass : 1;
  const units = cells.length / unit;
  const [from, to] = [shard.part - 1, shard.part].map((i) => unit * Math.floor(i * units / shard.parts));
  return cells.slice(from, to);
}

/** All images of the classes in which one is missing. */
export function wholeClasses(share: readonly Cell[], missing: readonly Cell[]): Cell[] {
  const classes = new Set(missing.map(({ classId }) => classId));
  return share.filter(({ classId }) => classes.has(classId));
}
