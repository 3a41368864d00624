/**
 * A process of its own that shows its settings, or gets a file: `settings OPTIONS` or
 * `file PLACE NAME OPTIONS`, options as JSON.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { hubFile, parseHubPlace } from "../../../models/hub/mod.ts";
import { hubSettings } from "../../../models/hub/settings.ts";

/** How a child is started. */
export interface ChildOptions {
  /** All of its environment. */
  env?: Record<string, string>;
  /** Its permissions. */
  permissions?: readonly string[];
}

/** Starts a child. */
export function startChild(args: readonly string[], options: ChildOptions = {}): Deno.ChildProcess {
  const { env = {}, permissions = ["-A"] } = options;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-config", ...permissions, fileURLToPath(import.meta.url), ...args],
    clearEnv: true,
    env: { DENO_DIR: Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`, ...env },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs a child to its end: what it printed, and what it complained about. */
export async function runChild(
  args: readonly string[],
  options: ChildOptions = {},
): Promise<{ result: Record<string, unknown>; complaint: string }> {
  const { stdout, stderr } = await startChild(args, options).output();
  const [text, complaint] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)) as [
    string,
    string,
  ];
  return { result: text === "" ? {} : JSON.parse(text), complaint };
}

if (import.meta.main) {
  const [action, ...args] = Deno.args;
  const options = JSON.parse(args.at(-1)!);
  const result = action === "settings"
    ? await hubSettings(options)
    : await hubFile(parseHubPlace(args[0]!)!, args[1]!, options);
  console.log(JSON.stringify(result));
}
