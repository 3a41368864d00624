import { assertEquals, assertRejects } from "@std/assert";
import { openModelFolder } from "../../models/folder/model_folder.ts";
import { BUNDLED_MODELS } from "../../models/load.ts";
import { ModelFileError } from "../../models/model_file_error.ts";
import { addVerifier } from "../../tools/add_verifier.ts";

Deno.test("addVerifier: a verifier that is added again changes nothing, and the demo's was added so", async () => {
  const demo = BUNDLED_MODELS["demo-t2i"]!;
  const path = await Deno.makeTempDir();
  for await (const { name } of Deno.readDir(demo)) {
    await Deno.copyFile(new URL(name, demo), `${path}/${name}`);
  }
  const manifest = await Deno.readTextFile(`${path}/model.json`);
  const { files, ...facts } = JSON.parse(manifest);
  const { "verifier.json": _, "reward.onnx": __, ...others } = files;
  await Deno.writeTextFile(`${path}/model.json`, JSON.stringify({ ...facts, files: others }));
  await addVerifier(path, `${path}/verifier.json`);
  assertEquals(await Deno.readTextFile(`${path}/model.json`), manifest);
  await addVerifier(path, `${path}/verifier.json`);
  assertEquals(await Deno.readTextFile(`${path}/model.json`), manifest);
  using folder = await openModelFolder(path);
  assertEquals((await folder.read("reward.onnx")).length, 1_080_973);
  await Deno.writeTextFile(`${path}/bad.json`, "{}");
  await assertRejects(() => addVerifier(path, `${path}/bad.json`), ModelFileError, 'a text as "network"');
  assertEquals(await Deno.readTextFile(`${path}/model.json`), manifest);
  await Deno.remove(path, { recursive: true });
});
