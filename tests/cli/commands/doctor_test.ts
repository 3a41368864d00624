/**
 * `varscale doctor`.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import config from "../../../deno.json" with { type: "json" };
import { loadModel, nativeLibrary, RUNTIME_VERSION, whyNoGpu } from "../../../mod.ts";
import { hasGpu, stubAdapter } from "../../devices.ts";
import { deno } from "../../deno_process.ts";
import { BareCache, testNative } from "../../models/graphs/native_processes.ts";
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

Deno.test("varscale doctor: which types of a model's weights fit is told from its name", async () => {
  const { out, err } = await succeed("doctor", "--model", "var-d30", "--memory", "2GB", "--quick");
  assertEquals(err, "");
  assertMatch(out, /^model +VAR-d30: VAR, pictures of 256×256, weights stored as f32$/m);
  assertMatch(out, /^ {2}wasm +CPU \(.*\), wasm: 1\.9 GiB free$/m);
  assertMatch(out, /^ {4}f32 +✗ \d\.\d GiB, \d\.\d GiB; more than there is$/m);
  assertMatch(out, /^ {4}q4 +✓ 1\.\d GiB, 1\.\d GiB$/m);
  assertMatch(out, /^ {4}int8 +✗ .*; WebAssembly gains too little by them, /m);
  assertMatch(out, /^left out +.*; how long a picture takes$/m);
  assert(!/demo model|run on/.test(out));

  const report = JSON.parse((await succeed("doctor", "--model", "demo-t2i", "--quick", "--json")).out);
  assertEquals(report.model.needs, {
    ...{ name: "demo-t2i", family: "Infinity", picture: { width: 64, height: 64 }, stored: "f16" },
  });
  const wasm = report.model.places.at(-1);
  assertEquals(wasm.provider, "wasm");
  await using model = await loadModel("demo-t2i", { device: "cpu", cpuProvider: "wasm" });
  assertEquals(wasm.types[0].weights, model.weightBytes);
  assertEquals([report.demo, report.trials, report.leftOut.length], [null, [], 3]);

  const cases: readonly (readonly [readonly string[], string])[] = [
    [["--model", "var-d17"], "one of VAR-d16, VAR-d20, VAR-d24"],
    [["--model", "hf:FoundationVision/var"], "the depth must be one of 16, 20, 24, 30, 36"],
    [["--var-ckpt", "none.pth"], "Option --vae-ckpt is needed too"],
    [["--var-ckpt", "none.pth", "--vae-ckpt", "none.pth"], "none.pth (found no such file)"],
  ];
  for (const [args, message] of cases) {
    const { code, err } = await run(["doctor", ...args, "--quick"]);
    assertEquals(code, 2, err);
    assertStringIncludes(err, message);
  }
});

Deno.test("varscale doctor: what is done because of an adapter is told", async () => {
  const adapterCalled = (description: string): Promise<GPUAdapter> => {
    const info = { description, vendor: "", isFallbackAdapter: true };
    return Promise.resolve({ info, limits: {}, features: new Set() } as unknown as GPUAdapter);
  };
  const note = async (description: string): Promise<string | undefined> => {
    using _ = stubAdapter(() => adapterCalled(description));
    const { out } = await succeed("doctor", "--quick");
    return /^ +note +(.*)$/m.exec(out)?.[1];
  };
  assertMatch(await note("llvmpipe (LLVM 15.0.6, 256 bits)") ?? "", /^convolutions are rewritten, as Mesa /);
  assertEquals(await note("SwiftShader Device (LLVM 10.0.0)"), undefined);
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
    assertMatch(out, /^ +nodes +all on wasm: condition \d+, transformer \d+$/m);
    if (hasGpu) {
      assertMatch(out, /^ +nodes +all on webgpu: condition \d+, transformer \d+$/m);
      assertMatch(out, /^run on webgpu +✓ loaded in /m);
      assertMatch(out, /^same tokens +✓ in all runs$/m);
    }
  },
});

Deno.test({
  name: "varscale doctor: the check of a GPU names every kernel and every model that fits",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const { check, leftOut, trials } = JSON.parse(
      (await succeed("doctor", "--no-run", "--check", "--json")).out,
    );
    assertEquals(trials, []);
    if (!hasGpu) {
      assertEquals([check, leftOut.at(-1)], [null, "the check of a GPU, as there is none"]);
      return;
    }
    assert(check.kernels.length > 30 && check.kernels.every(({ passed }: { passed: boolean }) => passed));
    assert(check.forecasts.some(({ model }: { model: string }) => model === "VAR-d16"));
    assert(check.rates.convolutions > 0 && check.roof.gigabytesPerSecond > 0);
  },
});

Deno.test("varscale doctor: the quick form checks nothing", async () => {
  const { code, err } = await run(["doctor", "--quick", "--check"]);
  assertEquals([code, err.split("\n")[0]], [2, "varscale: Options --quick and --check exclude each other"]);
});

testNative("varscale doctor: the native library is told, and tried beside WebAssembly", async () => {
  const args = ["run", "-A", "--no-check", "cli/main.ts", "doctor"];
  const { success, output } = await deno(args);
  assert(success, output);
  assertMatch(output, /^native +✓ loads: .*onnxruntime-node.1\.30\.0$/m);
  assertMatch(output, /^run on cpu, native +✓ loaded in .*, first image .*, second /m);
  assertMatch(output, /^ +nodes +all on wasm: .*$/m);
  assertMatch(output, /^ +nodes +all on native: condition \d+, transformer \d+$/m);
  assertMatch(output, /^same tokens +✓ in all runs$/m);
  await using cache = await BareCache.make();
  await cache.breakLibrary();
  const broken = await deno([...args, "--no-run"], { DENO_DIR: cache.folder });
  assert(!broken.success);
  assertMatch(broken.output, /^native +✗ Cannot load the native CPU provider /m);
});
