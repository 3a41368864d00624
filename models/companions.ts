/**
 * Files that lie beside a checkpoint and belong to its part: found, read and kept in the model folder. What
 * they must hold, the families say.
 *
 * @module
 */

import { mustBe } from "../kernels/arguments.ts";
import { isThere, openSource, type OpenSourceOptions, placeBeside } from "./checkpoint/source.ts";
import type { CheckpointPart, Companion, CompanionFile } from "./family.ts";
import { MANIFEST, type ModelFolder } from "./folder/model_folder.ts";
import type { LeftOut } from "./folder/partial_folder.ts";
import { ModelFileError, type ModelFileErrorDetails } from "./model_file_error.ts";

/** Bytes that such a file may have: the largest tokenizers have half of it. */
const MAX_BYTES = 1 << 26;

/** A file that was found, with what it is of. */
export interface FoundCompanion extends CompanionFile {
  /** What it is. */
  readonly companion: Companion;
}

/**
 * Reads the files beside a checkpoint that belong to a part.
 *
 * @param place The checkpoint's file, or its bytes, which have nothing beside them.
 * @throws {TypeError} If there are bytes only, and the part needs a file beside them.
 * @throws {ModelFileError} If a file that the part needs is not there, or one is too large.
 */
export async function readCompanions(
  { name: part, title, companions = [] }: CheckpointPart,
  place: string | URL | Uint8Array,
  options: OpenSourceOptions = {},
): Promise<FoundCompanion[]> {
  if (place instanceof Uint8Array) {
    const needed = companions.find(({ required }) => required);
    if (needed === undefined) return [];
    throw new TypeError(
      mustBe(`a path or URL, as ${needed.name} is read beside ${title}`, place, part, "make the model"),
    );
  }
  const found: FoundCompanion[] = [];
  for (const companion of companions) {
    const beside = placeBeside(place, companion.name);
    if (!companion.required && !await isThere(beside, options)) continue;
    using source = await openSource(beside, { ...options, most: MAX_BYTES }).catch((cause) => {
      options.signal?.throwIfAborted();
      throw new ModelFileError(`Cannot use ${title} without the file that belongs beside it`, {
        file: String(beside),
        ...factsOf(cause),
        cause,
      });
    });
    found.push({ companion, file: source.file, bytes: await source.read(0, source.size) });
  }
  return found;
}

/** What was wanted and found as an error tells it, whose own sentence would stand within another. */
function factsOf(error: unknown): Pick<ModelFileErrorDetails, "expected" | "found"> {
  if (!(error instanceof ModelFileError)) return { found: (error as Error).message };
  const { expected, found } = error;
  return { ...(expected !== undefined && { expected }), found: found ?? error.message };
}

/**
 * Reads the files of a part that a model folder keeps.
 *
 * @throws {ModelFileError} If one that the part needs is not there, or is not what the folder says.
 */
export async function keptCompanions(
  { title, companions = [] }: CheckpointPart,
  folder: ModelFolder,
): Promise<FoundCompanion[]> {
  const found: FoundCompanion[] = [];
  for (const companion of companions) {
    const { as, required } = companion;
    if (as === undefined) continue;
    if (folder.manifest.files[as] !== undefined) {
      found.push({ companion, file: `${folder.location}/${as}`, bytes: await folder.read(as) });
    } else if (required) {
      throw new ModelFileError(`Cannot use ${title} without a file that belongs to it`, {
        file: `${folder.location}/${MANIFEST}`,
        expected: `"${as}"`,
        found: "none",
      });
    }
  }
  return found;
}

/** Names in a model folder of the files that belong to a part. */
export function companionNames({ companions = [] }: CheckpointPart): string[] {
  return companions.flatMap(({ as }) => as ?? []);
}

/** What a folder is without these parts. */
export function leftOut(parts: readonly CheckpointPart[]): LeftOut {
  return { weights: parts.map(({ weights }) => weights), files: parts.flatMap(companionNames) };
}
