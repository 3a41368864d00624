/**
 * Files that are written whole or not at all: under a temporary name beside their place first. What is
 * written is left to the caller. The command line has the same for itself, as a command that paints loads
 * nothing of evaluation.
 *
 * @module
 */

import { systemReason } from "../../models/system_reason.ts";

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
    if (!/\(os error \d+\)/.test(String(error)) || error instanceof Deno.errors.NotCapable) throw error;
    throw new Error(`Cannot write ${path}: ${systemReason(error)}`, { cause: error });
  }
}
