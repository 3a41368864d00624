/** What a model may be asked for, before it is loaded. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { IMAGENET_CLASSES } from "../../models/class_conditional/imagenet.ts";
import { familyNamed } from "../../models/families.ts";
import { openModelFolder } from "../../models/folder/model_folder.ts";
import { DEMO_MODEL, loadModel } from "../../models/load.ts";
import { type ModelOutline, outlineOf } from "../../models/outline.ts";
import "../native.ts";

Deno.test("outlineOf: labels and schedules as of the loaded model", async () => {
  using folder = await openModelFolder(DEMO_MODEL);
  const outline = outlineOf(familyNamed("var"), folder)!;
  await using model = await loadModel("demo", { device: "cpu", threads: 1 });
  assertEquals([outline.family, outline.name, outline.size], [model.family, model.name, model.size]);
  assertEquals(outline.labels, model.labels);
  assertEquals(outline.resolveLabel("Red_Torus"), model.resolveLabel("red torus"));
  assertThrows(() => outline.resolveLabel(64), RangeError, "a class from 0 to 63");
  outline.requireSchedule({ cfg: 2, size: 64 });
  assertThrows(() => outline.requireSchedule({ size: 128 }), RangeError, "64");
  assertThrows(() => outline.requireSchedule({ familyOptions: { steps: 4 } }), TypeError, "steps");
});

Deno.test("outlineOf: names of ImageNet have their synonyms, whatever the sizes; texts are taken as they are", async () => {
  using folder = await openModelFolder(DEMO_MODEL);
  const { manifest, location } = folder;
  const config = { ...manifest.config as object, classes: 1000 };
  const named = { ...folder, location, manifest: { ...manifest, config, classNames: [...IMAGENET_CLASSES] } };
  assertEquals(outlineOf(familyNamed("var"), named)!.resolveLabel("n02099601").id, 207);
  const texts = { ...familyNamed("var"), labels: () => ({ kind: "texts" } as const) };
  assertEquals(outlineOf(texts, folder)!.resolveLabel("a fox"), { id: null, name: "a fox", prompt: "a fox" });
  assertEquals(outlineOf({ ...familyNamed("var"), labels: () => undefined }, folder), undefined);
});

Deno.test("loadModel: check refuses before any weights are read", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.copyFile(new URL("model.json", DEMO_MODEL), `${folder}/model.json`);
    const load = (check: (outline: ModelOutline) => unknown) => loadModel(folder, { device: "cpu", check });
    await assertRejects(() => load((outline) => outline.resolveLabel("red tours")), RangeError, "red torus");
    const later = async (outline: ModelOutline): Promise<void> => {
      await Promise.resolve();
      outline.resolveLabel("red tours");
    };
    await assertRejects(() => load(later), RangeError, "red torus");
    await assertRejects(() => load((outline) => outline.resolveLabel("red torus")), Error, "no such file");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
