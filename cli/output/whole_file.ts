/**
 * Files that are written whole or not at all, and never over others unasked. `evaluation/` writes its own, so
 * that nothing of it is loaded for a picture.
 *
 * @module
 */

import { dirname, resolve } from "node:path";
import { systemReason } from "../../mod.ts";
import { UsageError } from "../io.ts";

/**
 * Has a file written under a temporary name and then gives it its own, so that no half file is ever seen.
 *
 * @throws {Error} If the system refuses to, a full disk say, with the file's own name.
 */
export async function replaceFile(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await write(temporary);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw writeFailure(error, path, temporary);
  }
}

/** What the system says of a file that is written tells of its temporary name, or of none. */
function writeFailure(error: unknown, path: string, temporary: string): unknown {
  const [, named = temporary] = /\(os error \d+\)(?:: \w+ '(.*?)')?/.exec(String(error)) ?? [, ""];
  if (named !== temporary || error instanceof Deno.errors.NotCapable) return error;
  return new Error(`Cannot write ${path}: ${systemReason(error)}`, { cause: error });
}

/** Writes a file whole or not at all. */
export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await replaceFile(path, (temporary) => Deno.writeFile(temporary, bytes));
}

/** Whether something is at a path. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    // Below a file there is nothing.
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

/**
 * Refuses a folder that cannot be made, or be written to, before any work is done for it.
 *
 * @param option What names it.
 * @throws {UsageError} Saying why.
 */
export async function requireFolder(folder: string, option: string = "--output"): Promise<void> {
  const refuse = (reason: string): never => {
    throw new UsageError(`Cannot write to ${folder}: ${reason}; choose another ${option}`);
  };
  const wanted = resolve(folder);
  let path = wanted;
  try {
    while (!await exists(path)) path = dirname(path);
    if (!(await Deno.stat(path)).isDirectory) {
      refuse(`${path === wanted ? "it" : path} is a file and no folder`);
    }
    // Whoever may only write to the folder itself is not asked for more.
    const { state } = await Deno.permissions.query({ name: "write", path });
    if (state === "granted") await Deno.remove(await Deno.makeTempFile({ dir: path, prefix: ".varscale-" }));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    if (!(error instanceof Deno.errors.NotCapable)) refuse(systemReason(error));
  }
}

/** The folders that are not there yet, the innermost first, as far as one may look. */
export async function missingFolders(path: string): Promise<string[]> {
  const missing: string[] = [];
  try {
    for (let at = resolve(path); !await exists(at); at = dirname(at)) missing.push(at);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
  }
  return missing;
}

/** Removes folders that were made for nothing, the innermost first, as far as they are empty. */
export async function removeEmpty(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    if (!await Deno.remove(folder).then(() => true, () => false)) break;
  }
}

/**
 * Refuses to replace files in a folder.
 *
 * @throws {UsageError} If one is there.
 */
export async function refuseExisting(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (!await exists(`${folder}/${name}`)) continue;
    throw new UsageError(
      `Cannot write ${folder}/${name}: it exists; choose another --output, or --overwrite`,
    );
  }
}
