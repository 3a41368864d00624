import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type DeviceArray, readFloats } from "../../../kernels/device/device.ts";
import { convertModel } from "../../../models/convert.ts";
import { createModelFolder } from "../../../models/folder/folder_writer.ts";
import { openModelFolder } from "../../../models/folder/model_folder.ts";
import { BUNDLED_MODELS, loadModel } from "../../../models/load.ts";
import type { Model } from "../../../models/model.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { ModelVerifier, verifierFiles } from "../../../models/vision/model_verifier.ts";
import { packedPicture } from "../../vision_pictures.ts";

const DEMO = BUNDLED_MODELS["demo-t2i"]!;
const FILES = ["verifier.json", "reward.onnx", "text_tokenizer.json"];

async function scoreOf(
  { device, ...model }: Pick<Model, "device" | "resolveLabel" | "verifier">,
): Promise<number> {
  const verifier = await model.verifier!();
  using array = device.upload(packedPicture(64, 64));
  const label = { id: null, name: "a red cube", prompt: "a red cube" };
  using scores = await verifier.score({ array, count: 1, width: 64, height: 64 }, [label]) as DeviceArray;
  return (await readFloats(scores))[0]!;
}

Deno.test("verifierFiles: a verifier's files are those that its description names, if they are all there", async () => {
  using folder = await openModelFolder(DEMO);
  assertEquals(await verifierFiles(folder), FILES);
  using plain = await openModelFolder(BUNDLED_MODELS["demo"]!);
  assertEquals((await verifierFiles(plain)).includes("verifier.json"), plain.has("verifier.json"));
});

Deno.test("ModelVerifier: a verifier is no part of what tells a model from others", async () => {
  using folder = await openModelFolder(DEMO);
  assertEquals(Object.keys(folder.fingerprints).sort(), [
    "text_encoder.safetensors",
    "text_tokenizer.json",
    "tokenizer.safetensors",
    "transformer.safetensors",
  ]);
});

Deno.test("ModelVerifier: a model that is converted, on disk or as it is read, takes its verifier along", async () => {
  await using model = await loadModel("demo-t2i", { device: "cpu" });
  const expected = await scoreOf(model);
  const path = await Deno.makeTempDir();
  {
    await using writer = await createModelFolder(`${path}/whole`);
    using whole = await convertModel({ folder: DEMO }, writer, { dtype: "q8" });
    assertEquals(await verifierFiles(whole), FILES);
  }
  await using stored = await loadModel(`${path}/whole`, { device: "cpu" });
  assertEquals(await scoreOf(stored), expected);
  await using read = await loadModel("demo-t2i", { device: "cpu", dtype: "q8" });
  assertEquals(await scoreOf(read), expected);
  // Its tokenizer is the text encoder's; without that, nothing can judge how a picture fits a text.
  await using writer = await createModelFolder(`${path}/mute`);
  using mute = await convertModel({ folder: DEMO }, writer, { without: ["t5"] });
  assertEquals([mute.has("verifier.json"), mute.has("reward.onnx")], [false, false]);
  await Deno.remove(path, { recursive: true });
});

Deno.test("ModelVerifier: files that have changed are refused, and tried again when they are mended", async () => {
  const path = await Deno.makeTempDir();
  for await (const { name } of Deno.readDir(DEMO)) {
    await Deno.copyFile(new URL(name, DEMO), `${path}/${name}`);
  }
  const bytes = await Deno.readFile(`${path}/reward.onnx`);
  await Deno.writeFile(`${path}/reward.onnx`, bytes.map((byte, i) => i === 5000 ? byte ^ 1 : byte));
  await using model = await loadModel(path, { device: "cpu" });
  const error = await assertRejects(async () => await model.verifier!(), ModelFileError);
  assertStringIncludes(error.message, "its SHA-256 is wrong");
  assertEquals(error.file, `${path}/reward.onnx`);
  await Deno.writeFile(`${path}/reward.onnx`, bytes);
  assertEquals((await model.verifier!()).name, "demo-t2i reward");
  await Deno.remove(path, { recursive: true });
});

Deno.test("ModelVerifier: a network that does only one of both is refused as the other", async () => {
  const path = await Deno.makeTempDir();
  for await (const { name } of Deno.readDir(DEMO)) {
    await Deno.copyFile(new URL(name, DEMO), `${path}/${name}`);
  }
  const text = await Deno.readTextFile(`${path}/verifier.json`);
  const { addVerifier } = await import("../../../tools/add_verifier.ts");
  await Deno.writeTextFile(`${path}/own.json`, text.replace(/ *"features": .*\n/, ""));
  await addVerifier(path, `${path}/own.json`);
  using folder = await openModelFolder(path);
  using device = new CpuDevice();
  await using network = new ModelVerifier(folder, device, {});
  assertEquals((await network.verifier()).name, "demo-t2i reward");
  await assertRejects(
    () => network.extractor(),
    TypeError,
    'Cannot use the feature extractor of the model "demo-t2i" as its network only judges pictures',
  );
  await Deno.remove(path, { recursive: true });
});
