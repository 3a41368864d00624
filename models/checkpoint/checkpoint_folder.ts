/**
 * Checkpoints that are named by the folder they lie in, as Hugging Face's libraries write them: which of its
 * files is the checkpoint, or the index of its shards. Reading it is left to others.
 *
 * @module
 */

import { join } from "node:path";
import { ModelFileError } from "../model_file_error.ts";
import { addressOf, isOnWeb, isThere, type OpenSourceOptions } from "./source.ts";

/** Names that libraries give, in the order in which they are looked for. */
const USUAL: readonly string[] = [
  "model.safetensors.index.json",
  "pytorch_model.bin.index.json",
  "model.safetensors",
  "pytorch_model.bin",
];
/** Other names, of which there must be one only. */
const OTHERS: readonly RegExp[] = [/\.(safetensors|bin)\.index\.json$/, /\.(safetensors|pth|bin|pt)$/];

/** Files that a message lists. */
const LISTED = 8;

/**
 * The file that holds a checkpoint: of a folder the index of shards or the single file in it, and anything
 * else as it is. A folder on a web server, whose address ends in `/`, is asked for the usual names.
 *
 * @throws {ModelFileError} If the folder holds none, or several and none has a usual name.
 *
 * @example
 * ```ts
 * import { checkpointFile } from "./checkpoint_folder.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${folder}/model.safetensors.index.json`, "{}");
 * await Deno.writeTextFile(`${folder}/config.json`, "{}");
 * assertEquals(await checkpointFile(folder), `${folder}/model.safetensors.index.json`);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function checkpointFile<Place extends string | URL | Uint8Array>(
  place: Place,
  options: OpenSourceOptions = {},
): Promise<Place | string | URL> {
  if (place instanceof Uint8Array) return place;
  const address = addressOf(place);
  if (address !== undefined && isOnWeb(address)) {
    return address.pathname.endsWith("/") ? await fileOnWeb(address, options) : place;
  }
  options.signal?.throwIfAborted();
  // What cannot be looked at is for whoever opens it.
  const isFolder = await Deno.stat(address ?? place).then(({ isDirectory }) => isDirectory, () => false);
  if (!isFolder) return place;
  const entries = await Array.fromAsync(Deno.readDir(address ?? place));
  const name = chosen(entries.filter((entry) => !entry.isDirectory).map((entry) => entry.name).sort(), place);
  if (address === undefined) return join(String(place), name);
  return new URL(encodeURIComponent(name), address.href.replace(/\/*$/, "/"));
}

async function fileOnWeb(folder: URL, options: OpenSourceOptions): Promise<URL> {
  for (const name of USUAL) {
    const file = new URL(name, folder);
    if (await isThere(file, options)) return file;
  }
  throw new ModelFileError("Cannot find a checkpoint in the folder", {
    file: folder.origin + folder.pathname,
    expected: USUAL.join(" or "),
    found: "none of them",
  });
}

function chosen(names: readonly string[], folder: string | URL): string {
  const usual = USUAL.find((name) => names.includes(name));
  if (usual !== undefined) return usual;
  for (const pattern of OTHERS) {
    const [first, ...others] = names.filter((name) => pattern.test(name));
    if (first !== undefined && others.length === 0) return first;
    if (first !== undefined) throw noCheckpoint(folder, [first, ...others]);
  }
  throw noCheckpoint(folder, names);
}

function noCheckpoint(folder: string | URL, names: readonly string[]): ModelFileError {
  const rest = names.length > LISTED ? ` and ${names.length - LISTED} more` : "";
  return new ModelFileError("Cannot find a checkpoint in the folder", {
    file: String(folder),
    expected: `${USUAL.join(" or ")}, or a single checkpoint of another name`,
    found: names.length === 0 ? "no files" : names.slice(0, LISTED).join(", ") + rest,
  });
}
