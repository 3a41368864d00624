import { assertEquals, assertRejects } from "@std/assert";
import { fileURLToPath } from "node:url";
import { writeTuning } from "../../../evaluation/analyses/tuned_folder.ts";
import { openModelFolder } from "../../../models/folder/model_folder.ts";
import { DEMO_MODEL, loadModel } from "../../../models/load.ts";
import { generate } from "../../../sampler/generate.ts";
import { varScaling } from "../../../sampler/methods/var_scaling.ts";
import { testInFolder } from "../../cli/run.ts";

const TUNING = { scale: 2, samples: 30, alpha: 1.33, conflictThreshold: 0.25 };

testInFolder("writeTuning: whoever loads the folder searches with its settings", async (folder) => {
  const copy = `${folder}/copy`;
  const tuning = { ...TUNING, evidence: { verifier: { name: "somebody" }, better: true } };
  assertEquals(await writeTuning("demo", tuning, { output: copy }), copy);
  const manifest = JSON.parse(await Deno.readTextFile(`${copy}/model.json`));
  assertEquals(manifest.tuning, tuning);
  // Everything else is the model's.
  const demo = JSON.parse(await Deno.readTextFile(new URL("model.json", DEMO_MODEL)));
  assertEquals({ ...manifest, tuning: undefined }, { ...demo, tuning: undefined });

  await using model = await loadModel(copy, { device: "cpu" });
  assertEquals(model.tuning, TUNING);
  const search = varScaling();
  const { images: [image] } = await generate(model, { labels: "red torus", hooks: [search] });
  const [found] = image!.decisionsOf(search);
  assertEquals([found!.scale, found!.value.samples, found!.value.alpha], [2, 30, 1.33]);
  // The same as with the settings given, threshold included.
  const given = varScaling(TUNING);
  const { images: [same] } = await generate(model, { labels: "red torus", hooks: [given] });
  assertEquals(image!.tokens, same!.tokens);
  // What was published stays so.
  const published = varScaling({ preset: "published" });
  const { images: [other] } = await generate(model, { labels: "red torus", hooks: [published] });
  const [decision] = other!.decisionsOf(published);
  assertEquals([decision!.scale, decision!.value.samples, decision!.value.alpha], [1, 50, 2.3]);
});

testInFolder("writeTuning: a folder is changed in its place, at once and nowhere else", async (folder) => {
  const copy = await writeTuning("demo", {}, { output: `${folder}/copy` });
  const names = [...Deno.readDirSync(copy)].map(({ name }) => name).sort();
  assertEquals(await writeTuning(copy, TUNING), copy);
  assertEquals([...Deno.readDirSync(copy)].map(({ name }) => name).sort(), names);
  using opened = await openModelFolder(copy);
  assertEquals(opened.manifest.tuning, TUNING);
  const before = await Deno.readTextFile(`${copy}/model.json`);
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => writeTuning(copy, {}, { signal }), Error, "enough");
  await assertRejects(() => writeTuning(copy, {}, { signal, output: `${folder}/other` }), Error, "enough");
  assertEquals(await Deno.readTextFile(`${copy}/model.json`), before);
  assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["copy"]);
});

testInFolder("writeTuning: what must stay as it is is refused", async (folder) => {
  const message = "output must be given, as a bundled model stays as it is";
  await assertRejects(() => writeTuning("demo", TUNING), TypeError, message);
  await assertRejects(() => writeTuning(fileURLToPath(DEMO_MODEL), TUNING), TypeError, message);
  await assertRejects(() => writeTuning("http://127.0.0.1:9/m", TUNING), TypeError, "a web server");
  await assertRejects(() => writeTuning(folder, TUNING), Error, "model.json");
  const nonsense = [
    [{ alpha: NaN }, 'a number "tuning.alpha" from 0 to 1048576, found NaN'],
    [{ samples: 0 }, 'an integer "tuning.samples" from 1 to 8192, found 0'],
    [{ evidence: [] }, 'an object "tuning.evidence", found []'],
    [undefined, 'an object "tuning", found undefined'],
  ] as const;
  for (const [tuning, message] of nonsense) {
    await assertRejects(
      () => writeTuning("demo", tuning as object, { output: `${folder}/a` }),
      RangeError,
      message,
    );
  }
  assertEquals([...Deno.readDirSync(folder)], []);
  await Deno.writeTextFile(`${folder}/notes.txt`, "mine");
  await assertRejects(() => writeTuning("demo", TUNING, { output: folder }), Deno.errors.AlreadyExists);
  await assertRejects(
    () => writeTuning("demo", TUNING, { output: folder, overwrite: true }),
    Deno.errors.AlreadyExists,
    "as it is no model folder",
  );
  await assertRejects(
    () => writeTuning("demo", TUNING, { write: true } as object),
    TypeError,
    '"write" is unknown',
  );
});
