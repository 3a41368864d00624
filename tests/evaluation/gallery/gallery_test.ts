/**
 * The gallery: what a measurement is made of, and that the pages of `docs/gallery/` are those that the code
 * of today would make.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { GALLERY } from "../../../evaluation/gallery/entries.ts";
import {
  makeGallery,
  paintPairs,
  readGalleryResults,
  tokensHash,
} from "../../../evaluation/gallery/gallery.ts";
import { galleryIndex, galleryPage } from "../../../evaluation/gallery/page.ts";
import { PairedPictures } from "../../../evaluation/gallery/paired_effect.ts";
import { RgbaImage, type ScaleHook, varScaling } from "../../../mod.ts";
import { METHODS } from "../../../cli/options/search.ts";
import { loadModel } from "../../../models/load.ts";
import { filesIn, ROOT } from "../../cli/run.ts";

const FOLDER = `${ROOT}docs/gallery`;

Deno.test("GALLERY: every method of the command line has an entry", () => {
  const names = GALLERY.map(({ name }) => name);
  assertEquals(METHODS.filter((method) => !names.includes(method)), []);
  assertEquals(new Set(names).size, names.length);
});

Deno.test("GALLERY: the pages are those of the numbers beside them, and nothing else is there", async () => {
  const results = (await readGalleryResults(FOLDER))!;
  assertEquals(results.entries.map(({ name }) => name), GALLERY.map(({ name }) => name));
  for (const [i, { name, title, what, command, paper, more }] of GALLERY.entries()) {
    const { models: _, ...about } = results.entries[i]!;
    assertEquals(about, { name, title, what, command, ...(paper && { paper }), ...(more && { more }) });
  }
  assertEquals(await Deno.readTextFile(`${FOLDER}/README.md`), galleryIndex(results));
  const files = ["README.md", "results.json"];
  for (const entry of results.entries) {
    assertEquals(await Deno.readTextFile(`${FOLDER}/${entry.name}.md`), galleryPage(entry, results));
    files.push(`${entry.name}.md`);
    if (Object.values(entry.models).some(({ tokens }) => tokens !== undefined)) {
      files.push(`${entry.name}.png`);
    }
  }
  assertEquals(filesIn(FOLDER), files.sort());
});

for (const name of ["demo", "demo-t2i"]) {
  Deno.test({
    name: `GALLERY: pairs of ${name} are painted today as the pages show them`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const results = (await readGalleryResults(FOLDER))!;
      await using model = await loadModel(name, { device: "cpu", cpuProvider: "wasm" });
      for (const entry of GALLERY) {
        const { tokens, refused } = results.entries.find((one) => one.name === entry.name)!.models[name] ??
          {};
        if (tokens === undefined) {
          assert(refused !== undefined, entry.name);
          continue;
        }
        const painted = await paintPairs(model, entry.hooks(model));
        assertEquals(await Promise.all(painted.map(tokensHash)), tokens, entry.name);
      }
    },
  });
}

Deno.test({
  name: "PairedPictures: a hook that does nothing changes nothing, one that spoils pictures is found out",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using model = await loadModel("demo", { device: "cpu" });
    await using pictures = await PairedPictures.open(model, { subjects: 8, seed: 3 });
    const nothing = await pictures.effectOf([{ name: "nothing", guide() {} }]);
    assertEquals([nothing.pictures, nothing.subjects, nothing.seed], [8, 8, 3]);
    assertEquals(nothing.cost, { flops: 1, passes: 1 });
    for (const number of [nothing.right!, nothing.logProbability!, nothing.reward!]) {
      assertEquals([number.method, number.difference.mean], [number.plain, 0]);
      assert(number.difference.low <= 0 && number.difference.high >= 0);
    }
    // All tokens the same: a picture of nothing.
    const spoil: ScaleHook = {
      name: "spoil",
      choose: (step) => step.choose(step.allocate(step.lanes.length * step.positions)),
    };
    const spoilt = await pictures.effectOf([spoil]);
    assertEquals(spoilt.right!.plain, nothing.right!.plain);
    assert(spoilt.right!.method < 0.3 && spoilt.right!.difference.high < 0);
    assertEquals(
      spoilt.logProbability!.difference.mean.toFixed(9),
      (spoilt.logProbability!.method - spoilt.logProbability!.plain).toFixed(9),
    );
    const several: ScaleHook = { name: "several", lanes: 2, gather: () => undefined };
    await assertRejects(
      () => pictures.effectOf([several]),
      RangeError,
      "a method must leave one picture of each image: current number is 16 for 8",
    );
  },
});

Deno.test({
  name: "makeGallery: a method of one's own gets the page of the others, which stay",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const mine = {
        name: "mine",
        title: "Mine",
        what: "Three candidates.",
        command: "--hook ./mine.ts",
        hooks: () => [varScaling({ samples: 3 })],
      };
      const refusing = {
        ...mine,
        name: "never",
        hooks: (): never => {
          throw new RangeError("Cannot do this");
        },
      };
      await makeGallery({ folder, only: ["mine"], more: [mine], subjects: 1 });
      const page = await Deno.readTextFile(`${folder}/mine.md`);
      const { results } = await makeGallery({ folder, only: ["never"], more: [mine, refusing], subjects: 1 });
      assertEquals(results.entries.map(({ name }) => name), ["mine", "never"]);
      assertEquals(filesIn(folder), ["README.md", "mine.md", "mine.png", "never.md", "results.json"]);
      assertEquals(await Deno.readTextFile(`${folder}/mine.md`), page);
      assert((await Deno.readTextFile(`${folder}/never.md`)).includes("`demo`: Cannot do this."));
      const { width, height } = RgbaImage.decode(await Deno.readFile(`${folder}/mine.png`));
      assert(width > 4 * 128 && height > 4 * 128);
      const again = { ...mine, name: "beam" };
      await assertRejects(
        () => makeGallery({ folder, more: [again] }),
        RangeError,
        'the name of a method must be unlike the others: current value is "beam"',
      );
      await assertRejects(
        () => makeGallery({ folder, only: ["none"] }),
        RangeError,
        "a method must be of spatial-guidance, ",
      );
      await Deno.writeTextFile(`${folder}/results.json`, "{}");
      await assertRejects(() => makeGallery({ folder, only: [] }), TypeError, "choose another folder");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
