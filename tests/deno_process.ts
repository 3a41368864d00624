/**
 * Deno in a process of its own, for tests of what one process cannot show: another driver, a library that
 * stays linked, another cache of packages.
 *
 * @module
 */

import { PROJECT } from "./shaders.ts";

/** Runs Deno in the project's folder, and waits for its end. */
export async function deno(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ success: boolean; output: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: PROJECT,
    env: { NO_COLOR: "1", ...env },
    stdout: "piped",
    stderr: "piped",
  }).output();
  return { success, output: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}
