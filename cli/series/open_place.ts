/**
 * The place that `--output` of a long run names: a folder, or a bucket of an object store that speaks S3.
 * What reaches S3 is loaded when it is asked for.
 *
 * @module
 */

import type { Shard } from "../options/series_options.ts";
import { requireFolder } from "../output/whole_file.ts";
import { FolderPlace } from "./folder_place.ts";
import type { SeriesPlace } from "./series_place.ts";

/** Whether `--output` names a bucket, and no folder. */
export function isBucket(output: string): boolean {
  return /^s3:\/\//i.test(output);
}

/**
 * Opens a place for one part of the work, or for all of it.
 *
 * @throws {UsageError} If nothing can be written there.
 * @throws {FolderBusyError} If another process is at this work in the folder.
 */
export async function openPlace(
  output: string,
  shard: Shard | undefined,
  signal: AbortSignal,
): Promise<SeriesPlace> {
  if (isBucket(output)) {
    const { S3Place } = await import("./s3_place.ts");
    return await S3Place.open(output, signal);
  }
  await requireFolder(output);
  return await FolderPlace.open(output, shard);
}
