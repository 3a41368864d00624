/** What a model takes and where it fits, told from names and descriptions, held against loaded models. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import { FAMILIES, registerFamily } from "../../models/families.ts";
import { HubError } from "../../models/hub/mod.ts";
import { BUNDLED_MODELS, loadModel } from "../../models/load.ts";
import { fitModel, type ModelFit, modelNeeds } from "../../models/model_needs.ts";
import { lowerLimits, testOnGpu } from "../devices.ts";
import "../native.ts";
import { FakeHub } from "./hub/fake_hub.ts";
import { goldenCheckpoints } from "../fixtures/golden/golden.ts";

function fitting({ types }: ModelFit): string[] {
  return types.filter(({ fits }) => fits).map(({ dtype }) => dtype);
}

Deno.test("modelNeeds: the bundled models take what they take when they are loaded", async () => {
  for (const name of Object.keys(BUNDLED_MODELS)) {
    const needs = await modelNeeds(name);
    await using model = await loadModel(name, { device: "cpu", cpuProvider: "wasm" });
    assertEquals(needs.weights(model.dtype, "wasm"), model.weightBytes, name);
    const schedule = model.schedule();
    assertEquals(needs.picture, schedule.picture, name);
    const flops = model.flops!(schedule, true);
    assertEquals(needs.scales, flops.scales, name);
    assertEquals(needs.decoder, flops.decode(schedule.scales.length - 1), name);
    assertEquals([needs.stored, needs.size, needs.integers], [model.storedDtype, model.size, true], name);
  }
});

Deno.test("modelNeeds: of a folder only its description is read", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.copyFile(new URL("model.json", BUNDLED_MODELS["demo"]), `${folder}/model.json`);
    const needs = await modelNeeds(folder);
    const whole = await modelNeeds("demo");
    assertEquals(needs.bytes("q8", "native"), whole.bytes("q8", "native"));
    await assertRejects(
      () => modelNeeds(folder, { depth: 5 }),
      RangeError,
      "the size of demo must be its own, depth 4",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("modelNeeds: checkpoints tell by their headers, and take what the model of them takes", async () => {
  const checkpoints = goldenCheckpoints("var-adaln");
  const needs = await modelNeeds(checkpoints);
  await using model = await loadModel(checkpoints, { device: "cpu", cpuProvider: "wasm" });
  assertEquals([needs.name, needs.family, needs.stored], [model.name, "VAR", "f32"]);
  assertEquals(needs.weights("f32", "wasm"), model.weightBytes);
});

Deno.test("modelNeeds: published models are known by name, and by repository and size", async () => {
  const models = (await Promise.all(FAMILIES.map(({ published }) => published.models?.() ?? []))).flat();
  const bytes = new Map(models.map((model) => [model.name, model.bytes("f16", "webgpu")]));
  await using hub = new FakeHub();
  const options = { hub: hub.options() };
  for (
    const [source, size, name] of [
      ["var-d16", {}, "VAR-d16"],
      ["VAR-d36", { depth: 36 }, "VAR-d36"],
      ["infinity-2b", {}, "Infinity-2B"],
      ["hf:FoundationVision/var", { depth: 20 }, "VAR-d20"],
      ["hf:jiaosiyu1999/FlexVAR@main", { depth: 24 }, "FlexVAR-d24"],
      ["hf:FoundationVision/Infinity", { size: "8B" }, "Infinity-8B"],
    ] as const
  ) {
    const needs = await modelNeeds(source, { ...options, ...size });
    assertEquals([needs.name, needs.stored], [name, "f32"]);
    assertEquals(needs.bytes("f16", "webgpu"), bytes.get(name));
  }
  // Nobody was asked.
  assertEquals(hub.transfers, []);
  await assertRejects(
    () => modelNeeds("hf:FoundationVision/var", options),
    RangeError,
    "the depth must be one of 16, 20, 24, 30, 36, which hf:FoundationVision/var has: current value is undefined",
  );
  await assertRejects(
    () => modelNeeds("hf:FoundationVision/Infinity", { ...options, depth: 16 }),
    RangeError,
    "the size must be one of 125M, 2B, 8B",
  );
  await assertRejects(() => modelNeeds("var-d17"), RangeError, "one of VAR-d16, VAR-d20, ");
  await assertRejects(
    () => modelNeeds("var-d16", { depth: 20 }),
    RangeError,
    "VAR-d16 must be its own, depth 16",
  );
});

Deno.test("modelNeeds: of another repository the description alone is fetched", async () => {
  await using hub = new FakeHub();
  hub.files.set("model.json", await Deno.readFile(new URL("model.json", BUNDLED_MODELS["demo"])));
  const needs = await modelNeeds("hf:owner/name", { hub: hub.options() });
  assertEquals(needs.name, "demo");
  hub.files.delete("model.json");
  hub.files.set("var_d16.pth", new Uint8Array(200));
  await assertRejects(
    () => modelNeeds("hf:owner/other", { hub: hub.options() }),
    HubError,
    "hf:owner/other is no published repository and has no model.json; download it",
  );
});

Deno.test("modelNeeds: a family that tells nothing is refused by name", async () => {
  const { needs: _needs, ...silent } = FAMILIES[0]!;
  registerFamily({ ...silent, name: "silent", title: "Silent" });
  const folder = await Deno.makeTempDir();
  try {
    const manifest = JSON.parse(await Deno.readTextFile(new URL("model.json", BUNDLED_MODELS["demo"])));
    await Deno.writeTextFile(`${folder}/model.json`, JSON.stringify({ ...manifest, family: "silent" }));
    await assertRejects(
      () => modelNeeds(folder),
      RangeError,
      "Silent tells nothing of models that are not loaded",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("fitModel: what fits goes by bytes, by how weights are stored, and by who computes", async () => {
  using device = new CpuDevice();
  const needs = await modelNeeds("var-d30");
  const bytes = needs.bytes("f16", "native");
  // Products of integers would be tried out by the native library, which may not be there.
  const floats = { ...needs, integers: false };
  const exact = await fitModel(floats, device, { cpuProvider: "native", memory: bytes });
  const less = await fitModel(floats, device, { cpuProvider: "native", memory: bytes - 1 });
  assertEquals([exact, less].map(fitting), [["f16", "q8", "q4"], ["q8", "q4"]]);
  assertEquals(less.types[1], {
    dtype: "f16",
    weights: needs.weights("f16", "native"),
    bytes,
    fits: false,
    reason: "more than there is",
  });
  assertEquals([exact.provider, exact.available], ["native", bytes]);
  const stored = await fitModel({ ...needs, stored: "q8" }, device, { memory: 1e12 });
  assertEquals(fitting(stored), ["q8"]);
  assertEquals(stored.types[0]!.reason, "its weights are stored as q8");
  assert(stored.types[4]!.reason !== undefined);
  const wasm = await fitModel(needs, device, { memory: 1e12 });
  assertEquals(
    wasm.types[4]!.reason,
    "WebAssembly gains too little by them, 1.2 to 1.7 times the speed of one product",
  );
  assertEquals(wasm.types.map(({ seconds }) => seconds), [...Array(5)].fill(undefined));
  assertEquals(exact.types.map(({ dtype }) => dtype), ["f32", "f16", "q8", "q4"]);
  await assertRejects(
    () => fitModel(needs, device, { memory: 0 }),
    RangeError,
    "memory must be an integer >= 1",
  );
  await assertRejects(() => fitModel(needs, device, { quick: true } as never), TypeError, "quick");
});

Deno.test("fitModel: measured, each type that fits has its seconds", async () => {
  using device = new CpuDevice();
  const needs = await modelNeeds("demo");
  const { types } = await fitModel({ ...needs, stored: "q8" }, device, { measure: true });
  for (const { dtype, fits, seconds } of types) {
    assertEquals([fits, seconds !== undefined], [dtype === "q8", dtype === "q8"], dtype);
    if (fits) assert(seconds! > 0 && Number.isFinite(seconds));
  }
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => fitModel(needs, device, { measure: true, signal }), Error, "enough");
});

testOnGpu("fitModel: a GPU's limits are named", async (gpu) => {
  using _ = lowerLimits(gpu, { maxStorageBufferBindingSize: 2 ** 20, maxBufferSize: 2 ** 21 });
  const { types, provider } = await fitModel(await modelNeeds("var-d16"), gpu, { memory: 1e12 });
  assertEquals(provider, "webgpu");
  const { reason } = types[0]!;
  assert(
    /one image needs an array of \d+ bytes and the device's limit maxStorageBufferBindingSize is 1048576$/
      .test(reason!),
    reason,
  );
  assertEquals(types[4]!.reason, "ONNX Runtime has no such products on WebGPU");
});
