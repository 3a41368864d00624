/**
 * Files that a command line or a record names, read. What is wrong with them is wrong with the command line.
 *
 * @module
 */

import { decodeImage, ModelFileError, type RgbaImage, systemReason } from "../../mod.ts";
import { UsageError } from "../io.ts";
import { exists } from "../output/whole_file.ts";
import { hubPlace, isUrl } from "./place.ts";

/** Has a file read; where it is missing or holds something else, the message names it. */
async function readGiven<Content>(path: string, read: () => Promise<Content>): Promise<Content> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new UsageError(`Cannot read ${path}: ${systemReason(error)}`);
  }
}

/**
 * Has a model read from places on the disk, or elsewhere. If there is nothing at one of them, that is wrong
 * with the command line; anything else is wrong with the model.
 *
 * @throws {UsageError} If there is nothing.
 */
export async function readPlaces<Content>(
  places: readonly string[],
  read: () => Promise<Content>,
): Promise<Content> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    const paths = places.filter((place) =>
      place !== "demo" && !isUrl(place) && hubPlace(place) === undefined
    );
    const there = await Promise.all(paths.map(exists));
    if (there.every(Boolean)) throw error;
    throw new UsageError(error.message, { cause: error });
  }
}

/**
 * Reads a JSON file.
 *
 * @throws {UsageError} If there is no such file, or it is no JSON.
 */
export function readJson(path: string): Promise<unknown> {
  return readGiven(path, async () => JSON.parse(await Deno.readTextFile(path)));
}

/**
 * Reads a picture: a PNG, JPEG or WebP file.
 *
 * @throws {UsageError} If there is no such file, or it is none.
 */
export function readPicture(path: string): Promise<RgbaImage> {
  return readGiven(path, async () => await decodeImage(await Deno.readFile(path)));
}

/**
 * Reads the names of classes: a JSON list of texts.
 *
 * @throws {UsageError} If the file holds anything else.
 */
export async function readClassNames(path: string): Promise<readonly string[]> {
  const names = await readJson(path);
  if (!Array.isArray(names) || names.some((name) => typeof name !== "string")) {
    throw new UsageError(`Cannot use ${path} for class names: it must be a JSON list of texts`);
  }
  return names;
}
