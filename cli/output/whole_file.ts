/**
 * Files that are written whole or not at all, and never over others unasked.
 *
 * @module
 */

import { UsageError } from "../io.ts";

/** Has a file written under a temporary name and then gives it its own, so that no half file is ever seen. */
export async function replaceFile(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await write(temporary);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
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
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
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
