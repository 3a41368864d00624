/**
 * `varscale doctor`.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import config from "../../../deno.json" with { type: "json" };
import { nativeLibrary, RUNTIME_VERSION, whyNoGpu } from "../../../mod.ts";
import { hasGpu } from "../../devices.ts";
import { BareCache, deno, testNative } from "../../models/graphs/native_processes.ts";
import { run, succeed } from "../run.ts";

Deno.test("varscale doctor: the facts about this machine, without a run", async () => {
  const report = JSON.parse((await succeed("doctor", "--no-run", "--json")).out);
  assertEquals(report.versions, {
    varscale: config.version,
    deno: Deno.version.deno,
    "onnxruntime-web": RUNTIME_VERSION,
  });
  assertEquals(report.adapter !== null, hasGpu);
  const reason = await whyNoGpu() ?? null;
  const auto = reason === null ? ["webgpu", "webgpu"] : ["cpu", "wasm"];
  assertEquals(report.auto, { device: auto[0], provider: auto[1], reason });
  assertEquals(report.native, JSON.parse(JSON.stringify(await nativeLibrary())));
  assert(["absent", "forbidden"].includes(report.native.state), report.native.state);
  assertEquals(report.demo.problem, null);
  assertEquals([report.trials, report.agree], [[], null]);
  assert(report.threads);
});

Deno.test("varscale doctor: the quick form says what it leaves out", async () => {
  const { out } = await succeed("doctor", "--quick");
  assertMatch(out, /^auto +(cpu|webgpu)/m);
  assertMatch(out, /^native +none; (the native library is not there|native libraries are not allowed): /m);
  assertMatch(
    out,
    /^left out +the checksums of the bundled model; images of it on each device, and whether /m,
  );
  assert(!/demo model|run on|same tokens/.test(out));
  const { demo, trials, leftOut } = JSON.parse((await succeed("doctor", "--quick", "--json")).out);
  assertEquals([demo, trials, leftOut.length], [null, [], 2]);
  const { code, err } = await run(["doctor", "--quick", "--run"]);
  assertEquals([code, err.split("\n")[0]], [2, "varscale: Options --quick and --run exclude each other"]);
});

Deno.test({
  name: "varscale doctor: every device that is there runs the bundled model, and all draw the same tokens",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const { out } = await succeed("doctor");
    assertMatch(out, /^demo model +✓ intact, 16\.4 MiB$/m);
    assertMatch(out, /^run on cpu +✓ loaded in .*, first image .*, second /m);
    assertMatch(out, /^ +nodes +all on wasm: condition \d+, transformer \d+, decoder \d+$/m);
    if (hasGpu) {
      assertMatch(out, /^ +nodes +all on webgpu: condition \d+, transformer \d+, decoder \d+$/m);
      assertMatch(out, /^run on webgpu +✓ loaded in /m);
      assertMatch(out, /^same tokens +✓ in all runs$/m);
    }
  },
});

testNative("varscale doctor: the native library is told, and tried beside WebAssembly", async () => {
  const args = ["run", "-A", "--no-check", "cli/main.ts", "doctor"];
  const { success, output } = await deno(args);
  assert(success, output);
  assertMatch(output, /^native +✓ loads: .*onnxruntime-node.1\.30\.0$/m);
  assertMatch(output, /^run on cpu, native +✓ loaded in .*, first image .*, second /m);
  assertMatch(output, /^ +nodes +all on wasm: .*$/m);
  assertMatch(output, /^ +nodes +all on native: condition \d+, transformer \d+, decoder \d+$/m);
  assertMatch(output, /^same tokens +✓ in all runs$/m);
  await using cache = await BareCache.make();
  await cache.breakLibrary();
  const broken = await deno([...args, "--no-run"], { DENO_DIR: cache.folder });
  assert(!broken.success);
  assertMatch(broken.output, /^native +✗ Cannot load the native CPU provider /m);
});
