import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { Device, DeviceArray } from "../../../kernels/device/device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import { BUNDLED_MODELS, loadModel } from "../../../models/load.ts";
import { HubError } from "../../../models/hub/mod.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { loadFeatures, loadVerifier } from "../../../models/vision/load.ts";
import { NETWORKS } from "../../../models/vision/networks.ts";
import { FakeHub } from "../hub/fake_hub.ts";
import { packedPicture } from "../../vision_pictures.ts";

const DEMO = BUNDLED_MODELS["demo-t2i"]!;
const FILES = ["verifier.json", "reward.onnx", "text_tokenizer.json"];

/** A folder that holds the demo's verifier and nothing else. */
async function verifierFolder(description: (text: string) => string = (text) => text): Promise<string> {
  const folder = await Deno.makeTempDir();
  for (const name of FILES) await Deno.copyFile(new URL(name, DEMO), `${folder}/${name}`);
  const file = `${folder}/verifier.json`;
  await Deno.writeTextFile(file, description(await Deno.readTextFile(file)));
  return folder;
}

/** What the demo's verifier says of a picture. */
async function scoreOf(place: string | URL, device: Device, options: object = {}): Promise<number> {
  await using verifier = await loadVerifier(place, { device, ...options });
  using array = device.upload(packedPicture(64, 64));
  const pictures = { array, count: 1, width: 64, height: 64 };
  const label = { id: null, name: "a photo of a red cube", prompt: "a photo of a red cube" };
  using scores = await verifier.score(pictures, [label]) as DeviceArray;
  return (await readFloats(scores))[0]!;
}

Deno.test("loadVerifier: a file, a folder, an address and a repository of the hub mean the same", async () => {
  using device = new CpuDevice();
  const folder = await verifierFolder();
  const expected = await scoreOf(new URL("verifier.json", DEMO), device);
  for (const place of [folder, `${folder}/`, `${folder}/verifier.json`, `onnx:${folder}`, DEMO]) {
    assertEquals(await scoreOf(place, device), expected, String(place));
  }
  {
    await using server = Deno.serve({ port: 0, onListen: () => {} }, async (request) => {
      const name = new URL(request.url).pathname.slice(1);
      if (!FILES.includes(name)) return new Response(null, { status: 404 });
      return new Response(await Deno.readFile(`${folder}/${name}`));
    });
    const { port } = server.addr;
    assertEquals(await scoreOf(`http://127.0.0.1:${port}/`, device), expected);
    assertEquals(await scoreOf(`http://127.0.0.1:${port}/verifier.json`, device), expected);
  }
  await using hub = new FakeHub();
  for (const name of FILES) hub.files.set(name, await Deno.readFile(`${folder}/${name}`));
  assertEquals(await scoreOf("hf:owner/name", device, { hub: hub.options() }), expected);
  hub.files.delete("reward.onnx");
  hub.commit = "d0".repeat(20);
  const error = await assertRejects(
    () => loadVerifier("hf:owner/name", { device, hub: hub.options() }),
    HubError,
  );
  assertStringIncludes(error.message, "reward.onnx");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("loadVerifier: a template makes a text of a class", async () => {
  using device = new CpuDevice();
  using array = device.upload(packedPicture(64, 64));
  const pictures = { array, count: 1, width: 64, height: 64 };
  const expected = await scoreOf(DEMO, device);
  await using verifier = await loadVerifier(DEMO, { device, template: "a photo of a {label}" });
  using scores = await verifier.score(pictures, [{ id: 5, name: "red cube" }]) as DeviceArray;
  assertEquals((await readFloats(scores))[0], expected);
});

Deno.test("loadVerifier: what names none, and options that do not suit, are refused with the cure", async () => {
  using device = new CpuDevice();
  const folder = await verifierFolder();
  const cases: [run: () => Promise<unknown>, message: string][] = [
    [() => loadVerifier("", { device }), "Cannot load the verifier as its place must be"],
    [() => loadVerifier(5 as never, { device }), "the place of a description: current value is 5"],
    [
      () => loadVerifier("imagereward", { device }),
      'the place of a description: current value is "imagereward"',
    ],
    [
      () => loadVerifier(DEMO, {}),
      "Cannot load the verifier as the option model must be given, or a device instead: current value is undefined",
    ],
    [() => loadVerifier(DEMO, { device, model: {} as never }), 'current value is "both"'],
    [() => loadVerifier(DEMO, { device, template: "a photo" }), 'template must be a text with "{label}"'],
    [
      () => loadVerifier(DEMO, { device, cpuProvider: "fast" as never }),
      'cpuProvider must be one of "auto", "wasm", "native"',
    ],
    [() => loadVerifier(DEMO, { device, modell: 1 } as never), 'the option "modell" is unknown'],
  ];
  for (const [run, message] of cases) {
    const error = await assertRejects(run, TypeError);
    assertStringIncludes(error.message, message);
  }
  assertEquals(device.counters.liveArrays, 0);
  const missing = await assertRejects(() => loadVerifier(`${folder}/none.json`, { device }), ModelFileError);
  assertEquals(missing.file, `${folder}/none.json`);
  await Deno.remove(`${folder}/verifier.json`);
  const error = await assertRejects(() => loadVerifier(folder, { device }), ModelFileError);
  assertStringIncludes(error.message, 'expected "verifier.json", found none');
  await assertRejects(
    () => loadVerifier(DEMO, { device, signal: AbortSignal.abort(new Error("Enough")) }),
    Error,
    "Enough",
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("loadFeatures: what only judges is refused, and so is a template where no text goes in", async () => {
  using device = new CpuDevice();
  const judge = await verifierFolder((text) => text.replace(/ *"features": .*\n/, ""));
  await assertRejects(() => loadFeatures(judge, { device }), TypeError, "as it judges pictures only");
  await using extractor = await loadFeatures(DEMO, { device });
  assertEquals(extractor.name, "demo-t2i reward");
  await Deno.remove(judge, { recursive: true });

  const folder = await Deno.makeTempDir();
  const graph = new GraphBuilder("mean");
  const x = graph.input({ name: "x", type: "float32", shape: ["n", 3, 2, 2] });
  const mean = graph.add("ReduceMean", [x], { axes: [1, 2, 3], keepdims: 0 });
  graph.output({ name: "mean", type: "float32", shape: ["n"] }, mean);
  await Deno.writeFile(`${folder}/mean.onnx`, graph.bytes());
  const description = { network: "mean.onnx", image: { input: "x", size: 2 }, score: "mean" };
  await Deno.writeTextFile(`${folder}/verifier.json`, JSON.stringify(description));
  await assertRejects(
    () => loadVerifier(folder, { device, template: "a {label}" }),
    TypeError,
    "with a template as it takes no texts",
  );
  await using verifier = await loadVerifier(folder, { device });
  assertEquals([verifier.name, verifier.needsPrompt], ["mean", false]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("loadModel: the bundled text-to-image model judges and describes its own pictures", async () => {
  await using model = await loadModel("demo-t2i", { device: "cpu" });
  const { device } = model;
  const [verifier, same] = await Promise.all([model.verifier!(), model.verifier!()]);
  assert(verifier === same);
  const extractor = await model.extractor!();
  assertEquals([verifier.name, verifier.needsPrompt, verifier.flops], ["demo-t2i reward", true, 22_249_600]);
  using array = device.upload(packedPicture(64, 64));
  const pictures = { array, count: 1, width: 64, height: 64 };
  using scores = await verifier.score(pictures, [model.resolveLabel("a photo of a red cube")]) as DeviceArray;
  assertEquals((await readFloats(scores))[0], await scoreOf(DEMO, device));
  using features = await extractor.features(pictures);
  assertEquals([features.tokens, features.channels], [64, 64]);
});

Deno.test("loadModel: an unloaded model's verifier is refused", async () => {
  const model = await loadModel("demo-t2i", { device: "cpu" });
  const verifier = await model.verifier!();
  await model[Symbol.asyncDispose]();
  await assertRejects(
    async () => await model.verifier!(),
    TypeError,
    'the model "demo-t2i" has been disposed',
  );
  using device = new CpuDevice();
  using array = device.allocate(1);
  await assertRejects(
    async () =>
      await verifier.score({ array, count: 1, width: 1, height: 1 }, [{ id: null, name: "a", prompt: "a" }]),
    TypeError,
    'Cannot judge pictures as the model "demo-t2i reward" has been disposed',
  );
});

Deno.test("NETWORKS: kinds have names of their own, and each says what it makes of which files", () => {
  const names = NETWORKS.map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  for (const { name, makes, files } of NETWORKS) {
    assert(/^[a-z][a-z\d-]*$/.test(name));
    assert(makes.length > 0);
    assertEquals(new Set(files.map(({ role }) => role)).size, files.length);
  }
});
