/**
 * An edit on the command line and in the record of a run: what was given, and what is kept beside the images,
 * so that the run can be repeated without the files it came from.
 *
 * @module
 */

import { dirname } from "node:path";
import {
  type Box,
  type EditMode,
  type EditRequest,
  type Fit,
  type ResolvedEdit,
  RgbaImage,
  type Schedule,
} from "../../mod.ts";
import { UsageError } from "../io.ts";
import { readPicture } from "../options/given_files.ts";
import { sha256 } from "../output/sha256.ts";

/** The picture as the model got it. */
export const SOURCE_FILE = "source.png";
/** The same with the generated tokens in red. */
export const REGION_FILE = "region.png";

/** How a picture is edited, its region apart; what was not given is left to the library. */
export interface EditSettings {
  /** Whether the region is generated or kept, if there is one. */
  readonly mode?: EditMode;
  /** What happens to a picture of another size. */
  readonly fit?: Fit;
  /** Whether it lies in the middle of a larger one. */
  readonly expand?: boolean;
  /** Whether all of it is kept on the scales that are not larger than it. */
  readonly refine?: boolean;
  /** The scales on which it is kept. */
  readonly scales?: readonly number[];
  /** At how many times its size it is encoded. */
  readonly oversampling?: 1 | 2;
}

/** What the command line says of an edit. */
export interface GivenEdit extends EditSettings {
  /** Path of the picture. */
  readonly image: string;
  /** The box, if one was given. */
  readonly box: Box | null;
  /** Path of the mask, if one was given. */
  readonly mask: string | null;
}

/** An edit that is to be done. */
export interface PlannedEdit {
  /** As it was given. */
  readonly given: GivenEdit;
  /** For the library. */
  readonly request: EditRequest;
}

/** What `run.json` says of an edit. */
export interface EditRecord {
  /** As it was given. */
  readonly given: GivenEdit;
  /** File within the folder of the run that holds the fitted picture. */
  readonly source: string;
  /** SHA-256 of that file. */
  readonly sha256: string;
  /** How much of each token of the last scale is kept, from 0 to 1, in rows. */
  readonly kept: readonly (readonly number[])[];
  /**
   * The scales on which it is kept; records made before there was a choice are without them, and are of all.
   */
  readonly scales?: readonly number[];
  /**
   * How many times as large as those scales' picture it is; records made before there was a choice are
   * without it.
   */
  readonly oversampling?: number;
}

/** Writes down an edit. */
export async function recordEdit(
  { sources, shares: { width, height, values }, scales, oversampling }: ResolvedEdit,
  given: GivenEdit,
): Promise<EditRecord> {
  return {
    given,
    source: SOURCE_FILE,
    sha256: await sha256(sources[0]!.png()),
    kept: Array.from({ length: height }, (_, row) => [...values.subarray(row * width, (row + 1) * width)]),
    scales,
    oversampling,
  };
}

/**
 * The edit of a recorded run, for the library.
 *
 * @throws {UsageError} If the picture beside the record is not there, or is another one.
 */
export async function recordedEdit(
  { source, sha256: hash, kept, scales, oversampling }: EditRecord,
  record: string,
): Promise<EditRequest> {
  const path = `${dirname(record)}/${source}`;
  const image = await readPicture(path);
  if (await sha256(await Deno.readFile(path)) !== hash) {
    throw new UsageError(`Cannot repeat ${record}: ${path} is not the picture of the recorded run`);
  }
  return {
    image,
    mask: kept,
    mode: "outpaint",
    fit: "exact",
    ...(scales === undefined ? {} : { scales }),
    ...(oversampling === undefined ? {} : { oversampling: oversampling as 1 | 2 }),
  };
}

/** The source with what is generated, on the last scale on which anything is kept, in red. */
export function drawRegion({ sources, kept, scales }: ResolvedEdit, schedule: Schedule): RgbaImage {
  const [source] = sources as [RgbaImage];
  const last = scales.at(-1)!;
  const map = schedule.scales[last]!;
  const { width, height } = source;
  const image = new RgbaImage(width, height, source.data.slice());
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const row = Math.floor(y * map.height / height);
      if (kept[last]![row * map.width + Math.floor(x * map.width / width)] === 1) continue;
      const at = 4 * (y * width + x);
      image.data[at] = (image.data[at]! + 255) / 2;
      image.data[at + 1]! /= 2;
      image.data[at + 2]! /= 2;
    }
  }
  return image;
}
