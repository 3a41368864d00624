/** What pictures can be compared with. */

import { assertEquals, assertRejects } from "@std/assert";
import { writeRows } from "../../evaluation/files/rows_file.ts";
import { loadMetricNetwork } from "../../evaluation/networks/load.ts";
import { judgeOfModel, openBundledReference, openReference } from "../../evaluation/reference.ts";
import { RgbaImage } from "../../sampler/mod.ts";
import { fixture, testInFolder } from "../cli/run.ts";

testInFolder("openReference: a folder, kept features, statistics, and an archive of both", async (folder) => {
  await Deno.writeFile(`${folder}/1.png`, new RgbaImage(2, 2).png());
  const pictures = await openReference(folder);
  assertEquals([pictures.pictures?.count, pictures.statistics], [1, undefined]);

  const network = { name: "own", fingerprint: "1" };
  const features = { values: new Float32Array(4), count: 2, dimensions: 2 };
  await writeRows(`${folder}/a.safetensors`, { network, pictures: "a", rows: { features } });
  const kept = await openReference(`${folder}/a.safetensors`);
  assertEquals(kept.statistics, { network, rows: features, count: 2 });

  const both = await openReference(fixture("evaluation/npz/guided_diffusion.npz"));
  assertEquals([both.pictures?.count, both.statistics?.spatial?.dimensions], [5, 3]);
  const archive = await openReference(fixture("evaluation/npz/pictures.npz"));
  assertEquals([archive.pictures?.count, archive.statistics], [5, undefined]);
  await assertRejects(() => openReference(`${folder}/absent.npz`), Error, "Cannot open the NumPy archive");
});

Deno.test("openBundledReference: the judges of the bundled models have one, of their own", async () => {
  for (const model of ["demo", "demo-t2i"]) {
    // They are of the very networks that are bundled: whoever changes one has to take them anew.
    await using network = await loadMetricNetwork(judgeOfModel(model)!);
    const { place, statistics } = (await openBundledReference(network))!;
    const { name, fingerprint } = network;
    assertEquals(
      await openBundledReference({ name, fingerprint: "that of a copy with other weights" }),
      undefined,
    );
    assertEquals([place, statistics?.network], [
      `${model.replace("-", "_")}_reference.npz`,
      { name, fingerprint },
    ]);
    assertEquals([statistics?.features?.dimensions, statistics?.count, statistics?.rows?.count], [
      192,
      8192,
      768,
    ]);
  }
  assertEquals(judgeOfModel("constructor"), undefined);
  assertEquals(await openBundledReference({ name: "clip", fingerprint: "" }), undefined);
});
