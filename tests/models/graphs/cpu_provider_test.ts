/**
 * Who computes on the CPU where nobody says, in processes of their own, with a cache of Deno's that has the
 * native library, and with a copy that lacks it or has a broken one.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { BareCache, lockFile, READ_PROJECT, runScript, testNative } from "./native_processes.ts";

/** Prints who computes for two models, and why not the native library. */
const CHOOSE = `
  import { whyNotNative } from "PROJECT/mod.ts";
  import { resolveCpuProvider } from "PROJECT/models/graphs/cpu_provider.ts";
  const chosen = [await resolveCpuProvider(), await resolveCpuProvider("auto")];
  console.log(JSON.stringify([...chosen, await whyNotNative() ?? null]));
`;

/** Prints who computed, according to a model, the trace of its pictures and its verifier's model. */
const PAINT = `
  import { generate, loadModel } from "PROJECT/mod.ts";
  await using model = await loadModel("demo", { device: "cpu" });
  const { trace } = await generate(model, { labels: "red torus", seed: 7 });
  console.log(JSON.stringify([model.provider, trace.provider]));
`;

const NOT_ALLOWED = "native libraries are not allowed: --allow-ffi allows them";
const NOT_THERE = 'the native library is not there: "varscale setup native" fetches it';

/** The JSON that a script prints, and nothing else. */
async function printed(
  script: string,
  flags: readonly string[],
  env?: Record<string, string>,
): Promise<unknown> {
  const output = await runScript(script, flags, env);
  assert(/^\[.*\]$/.test(output), output);
  return JSON.parse(output);
}

testNative("native: the native library is taken where it is there and allowed", async () => {
  const lock = await lockFile();
  for (const flags of [["-A"], ["-A", "--frozen"], ["-A", "--no-lock"], [...READ_PROJECT, "--allow-ffi"]]) {
    assertEquals(await printed(CHOOSE, flags), ["native", "native", null], flags.join(" "));
  }
  assertEquals(await printed(PAINT, [...READ_PROJECT, "--allow-ffi"]), ["native", "native"]);
  assertEquals(await lockFile(), lock);
});

testNative(
  "native: without the permission WebAssembly computes, and nobody is asked",
  async () => {
    for (const flags of [["--allow-read", "--allow-import"], ["-A", "--deny-ffi"]]) {
      assertEquals(await printed(CHOOSE, flags), ["wasm", "wasm", NOT_ALLOWED], flags.join(" "));
    }
    assertEquals(await printed(PAINT, ["-A", "--deny-ffi"]), ["wasm", "wasm"]);
  },
);

Deno.test("native: a library that is not there is not fetched, and one that does not load is told once", async () => {
  const lock = await lockFile();
  await using cache = await BareCache.make();
  const env = { DENO_DIR: cache.folder };
  for (const flags of [["-A"], ["-A", "--cached-only", "--frozen"]]) {
    assertEquals(await printed(CHOOSE, flags, env), ["wasm", "wasm", NOT_THERE], flags.join(" "));
  }
  await cache.breakLibrary();
  const lines = (await runScript(CHOOSE, ["-A", "--cached-only"], env)).split("\n");
  const [outcome, told] = lines.sort();
  assertEquals(lines.length, 2, lines.join("\n"));
  const broken = "Cannot load the native CPU provider npm:onnxruntime-node@1.30.0 as .*: use the provider";
  assertMatch(told!, new RegExp(`^varscale: ${broken} "wasm"; computing in WebAssembly$`));
  assertMatch(outcome!, new RegExp(`^\\["wasm","wasm","${broken} `));
  assertEquals(await lockFile(), lock);
});
