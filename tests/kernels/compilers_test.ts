/**
 * The kernels under another compiler and another driver than those that all other tests run on, each in a
 * process of its own: Deno's compiler lets pass what WGSL forbids, and one driver's arithmetic proves nothing
 * about the next. `docs/compilers.md` lists what is shown where.
 *
 * @module
 */

import { assert, assertMatch } from "@std/assert";
import { deno } from "../deno_process.ts";
import { requireChromium, requireGpu } from "../required.ts";
import { PROJECT } from "../shaders.ts";

/** Dawn's build for Node, which holds Chrome's compiler. */
const DAWN = "npm:webgpu@0.6.2";
/** Where Debian's package chromium-common puts its Vulkan driver in software. */
const SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json";
/** What tests call it when a kernel gives what its twin or the published code gives, bit by bit. */
const SAME_BITS = /(same bits|bit for bit|same on the GPU|published).*\[webgpu\]/;

// The package is used where it is; its 132 MB are fetched for those who ask for the whole gate.
const { success: hasDawn } = requireGpu
  ? await deno(["cache", "--no-lock", DAWN])
  : await deno(["eval", "--no-lock", "--cached-only", `await import(${JSON.stringify(DAWN)})`]);

Deno.test({
  name: `shaders: Chrome's compiler takes every shader${
    hasDawn ? "" : ` (needs ${DAWN}, which "deno cache --no-lock ${DAWN}" fetches)`
  }`,
  ignore: !hasDawn && !requireGpu,
  fn: async () => {
    const cases = new URL("tint_cases.ts", import.meta.url).href;
    const { success, output } = await deno(["test", "--no-lock", "--no-check", "-A", cases]);
    assert(success, output);
    assertMatch(output, /\b3 passed \| 0 failed/);
  },
});

Deno.test("shaders: the project's lock file does not ask for Chrome's compiler", async () => {
  assert(!(await Deno.readTextFile(new URL("deno.lock", PROJECT))).includes("npm:webgpu"));
});

// A minute or two, so only for those who ask.
Deno.test({
  name: `shaders: kernels give the same bits on SwiftShader${
    requireChromium ? "" : " (asked for by --require-chromium)"
  }`,
  ignore: !requireChromium,
  fn: async () => {
    const env = { VK_DRIVER_FILES: SWIFTSHADER };
    const adapter = await deno([
      "eval",
      "--no-lock",
      "console.log((await navigator.gpu.requestAdapter())?.info.description)",
    ], env);
    assertMatch(adapter.output, /SwiftShader/, `no driver at ${SWIFTSHADER}: ${adapter.output}`);
    const args = [
      "test",
      "--no-check",
      "-A",
      "--filter",
      String(SAME_BITS),
      "tests/kernels",
      "--",
      "--require-gpu",
    ];
    // The report counts, which a run that breaks off does not write: now and then SwiftShader
    // damages the heap while the process ends, after all tests, which says nothing of the kernels.
    const { output } = await deno(args, env);
    // There are 29: tests under new names must not drop out unseen.
    assertMatch(output, /\bok \| (2[5-9]|[3-9]\d) passed \| 0 failed/);
  },
});
