/**
 * The native CPU provider, in processes of its own: what it computes, and what is said where it cannot be
 * loaded.
 */

import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertMatch } from "@std/assert";

const PROJECT = new URL("../../../", import.meta.url);

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

// The first time this fetches 113 MB: a few seconds, or never where there is no network.
const { success: fetched } = await deno("cache", "--no-lock", "npm:onnxruntime-node@1.30.0");
const supported = `${Deno.build.os} ${Deno.build.arch}` !== "darwin x86_64";
const missing = !supported
  ? " (there is no library for this machine)"
  : fetched
  ? ""
  : " (needs npm:onnxruntime-node, which cannot be fetched)";

function testNative(name: string, test: () => Promise<void>): void {
  Deno.test({ name: name + missing, ignore: missing !== "", fn: test });
}

testNative("native: the native provider does what the others do", async () => {
  const cases = new URL("native_graph_session_cases.ts", import.meta.url).href;
  const { success, output } = await deno("test", "--no-lock", "--no-check", "-A", cases);
  assert(success, output);
  // Not one was left out, but for the threads where they cannot be counted.
  assertMatch(output, /\b(19|20) passed \| 0 failed/);
});

testNative("native: a text encoder has the recorded features under the native provider, too", async () => {
  const cases = new URL("../text/t5_native_cases.ts", import.meta.url).href;
  const { success, output } = await deno("test", "--no-lock", "--no-check", "-A", cases);
  assert(success, output);
  assertMatch(output, /\b3 passed \| 0 failed/);
});

testNative("native: products of integers do under the native provider what they should", async () => {
  const cases = new URL("integer_product_cases.ts", import.meta.url).href;
  const { success, output } = await deno("test", "--no-lock", "--no-check", "-A", cases);
  assert(success, output);
  assertMatch(output, /\b5 passed \| 0 failed/);
});

/** Prints what comes of loading the runtime; `preparation` comes first. */
function loading(preparation: string = ""): string {
  const module = new URL("models/graphs/native_graph_session.ts", PROJECT).href;
  return `${preparation};
    const { startNativeRuntime } = await import(${JSON.stringify(module)});
    console.log(await startNativeRuntime().then(() => "loaded", (error) => error.message));`;
}

/** Runs a script of its own with these flags. */
async function runScript(source: string, ...flags: string[]): Promise<string> {
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(script, source);
    const config = fileURLToPath(new URL("deno.json", PROJECT));
    const { output } = await deno("run", "--quiet", "--no-prompt", "--config", config, ...flags, script);
    return output.trim();
  } finally {
    await Deno.remove(script);
  }
}

testNative("native: the native provider needs one permission and says which", async () => {
  const importing = [`--allow-read=${fileURLToPath(PROJECT)}`, "--allow-import"];
  assertEquals(await runScript(loading(), "--no-lock", ...importing, "--allow-ffi"), "loaded");
  assertEquals(
    await runScript(loading(), "--no-lock", ...importing),
    "Cannot load the native CPU provider npm:onnxruntime-node@1.30.0 as native libraries are not allowed: run again with --allow-ffi",
  );
});

testNative("native: a machine without a native library is told", async () => {
  const foreign =
    `import process from "node:process"; Object.defineProperty(process, "arch", { value: "mips" })`;
  assertEquals(
    await runScript(loading(foreign), "--no-lock", "-A"),
    `Cannot load the native CPU provider npm:onnxruntime-node@1.30.0 as it has no library for ${Deno.build.os} on ${Deno.build.arch}: use the provider "wasm"`,
  );
});

Deno.test("native: the project's lock file does not ask for the native package, and who keeps to it is told", async () => {
  const lock = await Deno.readTextFile(new URL("deno.lock", PROJECT));
  assert(!lock.includes("onnxruntime-node"));
  const message = await runScript(loading(), "--frozen", "-A");
  assertMatch(
    message,
    /npm:onnxruntime-node@1.30.0 as The lockfile is out of date.*; "deno cache --no-lock npm:onnxruntime-node@1.30.0" fetches it, and "deno run --no-lock" keeps it out of the lock file$/,
  );
  assertEquals(await Deno.readTextFile(new URL("deno.lock", PROJECT)), lock);
});
