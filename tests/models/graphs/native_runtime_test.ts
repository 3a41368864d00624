/**
 * Where the native library lies, which permission it needs, and what is said where it cannot be loaded, in
 * processes of their own.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { lockFile, NATIVE_PACKAGE, READ_PROJECT, runScript, testNative } from "./native_processes.ts";

/** Prints what comes of starting the runtime; `preparation` comes first. */
function starting(preparation: string = ""): string {
  // Whoever opens a session of any kind has this module, so that Deno knows where the runtime for the web is.
  return `${preparation};
    import "PROJECT/models/graphs/web_graph_session.ts";
    const { startNativeRuntime } = await import("PROJECT/models/graphs/native_runtime.ts");
    console.log(await startNativeRuntime().then(() => "started", (error) => error.message));`;
}

testNative("native: one permission is enough, and the lock file stays as it is", async () => {
  const lock = await lockFile();
  assertEquals(await runScript(starting(), [...READ_PROJECT, "--allow-ffi"]), "started");
  assertEquals(await runScript(starting(), ["-A", "--frozen"]), "started");
  assertEquals(await runScript(starting(), ["-A", "--cached-only"]), "started");
  assertEquals(await runScript(starting(), ["-A", "--no-lock"]), "started");
  assertEquals(await lockFile(), lock);
  assert(!lock.includes("onnxruntime-node"));
  assertEquals(
    await runScript(starting(), READ_PROJECT),
    `Cannot load the native CPU provider ${NATIVE_PACKAGE} as native libraries are not allowed: run again with --allow-ffi`,
  );
});

testNative("native: a machine without a native library is told", async () => {
  const foreign =
    `import process from "node:process"; Object.defineProperty(process, "arch", { value: "mips" })`;
  assertEquals(
    await runScript(starting(foreign), ["-A"]),
    `Cannot load the native CPU provider ${NATIVE_PACKAGE} as it has no library for ${Deno.build.os} on ${Deno.build.arch}: use the provider "wasm"`,
  );
});

Deno.test("native: a package that cannot be fetched is no riddle", async () => {
  const cache = await Deno.makeTempDir({ prefix: "varscale-cache-" });
  try {
    const source = starting().replace(/import ".*?";/, "");
    const message = await runScript(source, ["-A", "--no-lock", "--cached-only"], { DENO_DIR: cache });
    assertMatch(
      message,
      /^Cannot load the native CPU provider npm:onnxruntime-node@1.30.0 as .*; "deno cache --no-lock npm:onnxruntime-node@1.30.0" fetches it$/,
    );
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
});
