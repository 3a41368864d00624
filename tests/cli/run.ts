/**
 * Runs the command line in the test's own process, with its output collected.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { assertEquals } from "@std/assert";
import { main } from "../../cli/main.ts";
import "../native.ts";

/** What a command left behind. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line. */
export async function run(
  args: readonly string[],
  options: { terminal?: boolean; signal?: AbortSignal } = {},
): Promise<Outcome> {
  const { terminal = false, signal = new AbortController().signal } = options;
  let out = "";
  let err = "";
  const code = await main(args, {
    out: (text) => out += text,
    err: (text) => err += text,
    terminal,
    signal,
  });
  return { code, out, err };
}

/** Runs a command line that must succeed. */
export async function succeed(...args: string[]): Promise<Outcome> {
  const outcome = await run(args);
  assertEquals(outcome.code, 0, outcome.err);
  return outcome;
}

/**
 * Registers a test that gets an empty folder of its own. The graph runtime keeps its threads, so nothing is
 * sanitized.
 */
export function testInFolder(name: string, test: (folder: string) => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "varscale-cli-" });
      try {
        await test(folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** Names of the files in a folder, sorted. */
export function filesIn(folder: string): string[] {
  return Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
}

/** Path of a file in the fixtures. */
export function fixture(path: string): string {
  return fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));
}

/** Folder of the project. */
export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));
