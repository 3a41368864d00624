/**
 * Files that a command line or a record names, read. What is wrong with them is wrong with the command line.
 *
 * @module
 */

import { BUNDLED_MODELS, decodeImage, ModelFileError, type RgbaImage, systemReason } from "../../mod.ts";
import { type Io, UsageError } from "../io.ts";
import { size } from "../output/units.ts";
import { exists } from "../output/whole_file.ts";
import { hubPlace, isUrl } from "./place.ts";

/** How messages call standard input, which has no path. */
export const STANDARD_INPUT = "standard input";

/** Bytes that a JSON file has at most. */
const JSON_BYTES = 2 ** 28;
/** Bytes that a text has at most. */
const TEXT_BYTES = 2 ** 26;
/** Bytes that the file of a picture has at most. */
const PICTURE_BYTES = 2 ** 29;

/** Has a file read; where it is missing or holds something else, the message names it. */
async function readGiven<Content>(path: string, read: () => Promise<Content>): Promise<Content> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new UsageError(`Cannot read ${path}: ${systemReason(error)}`);
  }
}

/** Reads a regular file: a pipe or a device may have no end, and nothing that is meant here is larger. */
async function readRegular(path: string, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const { isFile, isDirectory, size: bytes } = await Deno.stat(path);
  // Of a folder the system says what it is.
  if (isDirectory) return await Deno.readFile(path);
  if (!isFile) throw new Error("it is no regular file");
  if (bytes > limit) throw new Error(`it must have at most ${size(limit)}: current size is ${size(bytes)}`);
  return await Deno.readFile(path);
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
      !Object.hasOwn(BUNDLED_MODELS, place) && !isUrl(place) && hubPlace(place) === undefined
    );
    const there = await Promise.all(paths.map(exists));
    if (there.every(Boolean)) throw error;
    throw new UsageError(error.message, { cause: error });
  }
}

/**
 * Reads a JSON file.
 *
 * @param path The file.
 * @param limit Bytes that it has at most.
 * @throws {UsageError} If there is no such file, it is too large, or it is no JSON.
 */
export function readJson(path: string, limit: number = JSON_BYTES): Promise<unknown> {
  return readGiven(path, async () => JSON.parse(new TextDecoder().decode(await readRegular(path, limit))));
}

/**
 * Reads a text in UTF-8.
 *
 * @param path The file.
 * @param limit Bytes that it has at most.
 * @throws {UsageError} If there is no such file, it is too large, or it is no such text.
 */
export function readText(path: string, limit: number = TEXT_BYTES): Promise<string> {
  return readGiven(path, async () => {
    return textIn(await readRegular(path, limit));
  });
}

function textIn(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error("it is no text in UTF-8");
  }
}

/**
 * Reads a text in UTF-8 from standard input, to its end.
 *
 * @param io What comes in; a command that is ended waits no longer.
 * @param limit Bytes that it has at most: more are not read.
 * @throws {UsageError} If nothing can come in, it is a terminal, too much comes, or it is no such text.
 */
export async function readInputText(
  { input, signal }: Pick<Io, "input" | "signal">,
  limit: number = TEXT_BYTES,
): Promise<string> {
  return await readGiven(STANDARD_INPUT, async () => {
    if (input === undefined) throw new Error("there is none");
    if (input.terminal) throw new Error("it is a terminal; pipe a text into it, or name a file");
    const reader = input.open().getReader();
    const end = (): void => void reader.cancel(signal.reason).catch(() => {});
    signal.addEventListener("abort", end);
    try {
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      for (;;) {
        signal.throwIfAborted();
        const { value, done } = await reader.read();
        if (done) break;
        bytes += value.length;
        if (bytes > limit) throw new Error(`it must have at most ${size(limit)}: more is coming`);
        chunks.push(value);
      }
      signal.throwIfAborted();
      const whole = new Uint8Array(bytes);
      let at = 0;
      for (const chunk of chunks) {
        whole.set(chunk, at);
        at += chunk.length;
      }
      return textIn(whole);
    } finally {
      signal.removeEventListener("abort", end);
      // Whoever writes more finds that nobody reads.
      await reader.cancel().catch(() => {});
    }
  });
}

/**
 * Reads a file as it is, a picture or a record.
 *
 * @throws {UsageError} If there is no such file, or it is too large.
 */
export function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return readGiven(path, () => readRegular(path, PICTURE_BYTES));
}

/**
 * Reads a picture: a PNG, JPEG or WebP file.
 *
 * @param path The file.
 * @param limit Bytes that it has at most.
 * @throws {UsageError} If there is no such file, it is too large, or it is none.
 */
export function readPicture(path: string, limit: number = PICTURE_BYTES): Promise<RgbaImage> {
  return readGiven(path, async () => await decodeImage(await readRegular(path, limit)));
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
