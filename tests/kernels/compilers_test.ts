/**
 * The shaders under a second compiler, Chrome's, in a process of its own: Deno's is not the only one that
 * must take them, and lets pass what WGSL forbids.
 */

import { assert, assertMatch } from "@std/assert";
import { requireGpu } from "../devices.ts";
import { PROJECT } from "../shaders.ts";

const PACKAGE = "npm:webgpu@0.6.2";

/** Runs Deno in the project's folder. */
async function deno(...args: string[]): Promise<{ success: boolean; output: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: PROJECT,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).output();
  return { success, output: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

// The package is used where it is; its 132 MB are fetched for those who ask for the whole gate.
const load = `await import(${JSON.stringify(PACKAGE)})`;
const { success: fetched } = requireGpu
  ? await deno("cache", "--no-lock", PACKAGE)
  : await deno("eval", "--no-lock", "--cached-only", load);
const missing = fetched ? "" : ` (needs ${PACKAGE}, which "deno cache --no-lock ${PACKAGE}" fetches)`;

Deno.test({
  name: `a second compiler takes every shader${missing}`,
  ignore: !fetched && !requireGpu,
  fn: async () => {
    const cases = new URL("tint_cases.ts", import.meta.url).href;
    const { success, output } = await deno("test", "--no-lock", "--no-check", "-A", cases);
    assert(success, output);
    assertMatch(output, /\b3 passed \| 0 failed/);
  },
});

Deno.test("the project's lock file does not ask for the second compiler", async () => {
  assert(!(await Deno.readTextFile(new URL("deno.lock", PROJECT))).includes("npm:webgpu"));
});
