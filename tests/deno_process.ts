/**
 * Deno in a process of its own, for tests of what one process cannot show: another driver, a library that
 * stays linked, another cache of packages.
 *
 * @module
 */

import { PROJECT } from "./shaders.ts";

/** How a process ended, and what it said: on standard output, on standard error, and both. */
export interface EndedProcess {
  readonly success: boolean;
  readonly out: string;
  readonly err: string;
  readonly output: string;
}

/**
 * Runs Deno, and waits for its end.
 *
 * @param env Variables of its environment beside those of this process.
 * @param cwd Where it works; the project's folder by default.
 */
export async function deno(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd: string | URL = PROJECT,
): Promise<EndedProcess> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1", ...env },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)) as [string, string];
  return { success, out, err, output: out + err };
}
