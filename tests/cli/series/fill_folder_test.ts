/** Images of classes, written as they are made. */

import { assertEquals, assertRejects } from "@std/assert";
import { Progress } from "../../../cli/output/progress.ts";
import { fillFolder } from "../../../cli/series/fill_folder.ts";
import { FolderPlace } from "../../../cli/series/folder_place.ts";
import { ClassSubjects } from "../../../cli/series/subjects.ts";
import { FailureList } from "../../../cli/series/series_folder.ts";
import { DeviceLostError, generate, loadModel, RgbaImage } from "../../../mod.ts";
import { changed, tinyCheckpoints } from "../../sampler/models.ts";
import { filesIn, testInFolder } from "../run.ts";

testInFolder("fillFolder: a lost device is replaced, and what was there stays", async (folder) => {
  const files = await tinyCheckpoints();
  await Deno.writeFile(`${folder}/var.safetensors`, files.var);
  await Deno.writeFile(`${folder}/vae.safetensors`, files.vae);
  await using healthy = await loadModel({
    var: `${folder}/var.safetensors`,
    vae: `${folder}/vae.safetensors`,
  }, { device: "cpu" });
  let starts = 0;
  const failing = changed(healthy, {
    start: (options) => {
      if (starts++ < 1) return healthy.start(options);
      return Promise.reject(new DeviceLostError("unknown", "unplugged"));
    },
  });
  let err = "";
  const io = {
    out: () => {},
    err: (text: string) => err += text,
    terminal: false,
    signal: new AbortController().signal,
  };
  const subjects = new ClassSubjects({ classes: [0, 1, 2, 3, 4], imagesPerClass: 1 }, 5);
  const { cells } = subjects;
  const names = cells.map(({ subject }) => `class_${subject}_img_0.png`);
  const output = `${folder}/out`;
  await Deno.mkdir(output);
  const place = new FolderPlace(output);
  let lost = 0;
  await fillFolder(cells, {
    model: failing,
    reopen: () => {
      lost++;
      return Promise.resolve(healthy);
    },
    request: { batch: 2 },
    subjects,
    sharedNoise: false,
    place,
    only: new Set(names),
    failures: new FailureList(place),
    progress: new Progress(io, { total: 5, quiet: true }),
    io,
  });
  assertEquals([lost, err], [1, ""]);
  assertEquals(filesIn(output), names);
  const wanted = await generate(healthy, { labels: [0, 1, 2, 3, 4] });
  for (const [i, name] of names.entries()) {
    assertEquals(RgbaImage.decode(await Deno.readFile(`${output}/${name}`)).data, wanted.images[i]!.data);
  }
  await assertRejects(() =>
    fillFolder(cells, {
      model: failing,
      reopen: () => Promise.resolve(failing),
      request: {},
      subjects,
      sharedNoise: false,
      place,
      only: new Set(names),
      failures: new FailureList(place),
      progress: new Progress(io, { total: 5, quiet: true }),
      io,
    }), DeviceLostError);
});
