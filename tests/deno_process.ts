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

/** Runs Deno in the project's folder, and waits for its end. */
export async function deno(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<EndedProcess> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: PROJECT,
    env: { NO_COLOR: "1", ...env },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)) as [string, string];
  return { success, out, err, output: out + err };
}
