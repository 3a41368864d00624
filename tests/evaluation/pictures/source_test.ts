/** Folders, runs and archives of pictures, as people have them. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { writeNpz } from "../../../evaluation/files/npz.ts";
import { openPictures } from "../../../evaluation/pictures/source.ts";
import { RgbaImage } from "../../../sampler/mod.ts";
import { fixture, testInFolder } from "../../cli/run.ts";

/** Writes pictures of one color each, which tells them apart. */
async function write(folder: string, names: readonly string[], side: number = 2): Promise<void> {
  for (const [i, name] of names.entries()) {
    const image = new RgbaImage(side + i, side);
    image.data.fill(i);
    const path = `${folder}/${name}`;
    await Deno.mkdir(path.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeFile(path, image.png());
  }
}

async function writeRecord(folder: string, record: object): Promise<void> {
  await Deno.writeTextFile(`${folder}/run.json`, JSON.stringify({ version: 1, ...record }));
}

const refused = async (place: string, message: string): Promise<void> => {
  await assertRejects(() => openPictures(place), Error, message);
};

testInFolder("openPictures: numbers in names go by value, and sizes may differ", async (folder) => {
  await write(folder, ["b10.png", "b9.png", "a.PNG", "b010.png"]);
  await Deno.writeTextFile(`${folder}/notes.txt`, "no picture");
  const source = await openPictures(folder);
  assertEquals(source.names, ["a.PNG", "b9.png", "b010.png", "b10.png"]);
  assertEquals([source.count, source.labels, source.groups, source.prompts, source.notes], [
    4,
    undefined,
    undefined,
    undefined,
    [],
  ]);
  const widths = await Array.fromAsync(source.pictures(), ({ image }) => image.width);
  assertEquals(widths, [4, 3, 5, 2]);
  assertEquals(await Array.fromAsync(source.pictures({ from: 2 }), ({ name }) => name), [
    "b010.png",
    "b10.png",
  ]);
  assertEquals((await openPictures(folder)).fingerprint, source.fingerprint);
  await write(folder, ["z.png"]);
  assert((await openPictures(folder)).fingerprint !== source.fingerprint);
});

testInFolder("openPictures: classes come from the names of files and folders", async (folder) => {
  await write(`${folder}/files`, ["class_12_img_0.png", "class_3_img_10.png", "class_3_img_9.png"]);
  assertEquals((await openPictures(`${folder}/files`)).labels, [3, 3, 12]);
  await write(`${folder}/numbers`, ["10/x.png", "9/y.png", "9/z.png"]);
  assertEquals((await openPictures(`${folder}/numbers`)).labels, [9, 9, 10]);
  await write(`${folder}/names`, ["n02/x.png", "n01/y.png"]);
  const named = await openPictures(`${folder}/names`);
  assertEquals([named.labels, named.groups], [undefined, ["n01", "n02"]]);
  await write(`${folder}/mixed`, ["a.png", "b/c.png"]);
  await refused(`${folder}/mixed`, "it has a.png beside pictures in folders, as in b");
});

testInFolder("openPictures: prompts come from GenEval's folders", async (folder) => {
  await write(folder, ["00001/samples/00000.png", "00000/samples/00001.png", "00000/samples/00000.png"]);
  for (const [i, prompt] of ["a bench", "a cow"].entries()) {
    await Deno.writeTextFile(`${folder}/0000${i}/metadata.jsonl`, JSON.stringify({ prompt }));
  }
  const source = await openPictures(folder);
  assertEquals(source.prompts, ["a bench", "a bench", "a cow"]);
  assertEquals(source.names[2], "00001/samples/00000.png");
});

testInFolder(
  "openPictures: of a long run only its pictures count, and missing ones are told",
  async (folder) => {
    await write(folder, ["class_7_img_0.png", "class_7_img_1.png", "class_2_img_1.png", "grid.png"]);
    const model = { name: "demo" };
    const record = { format: "varscale-series", model, classes: [7, 2], imagesPerClass: 2 };
    await writeRecord(folder, record);
    const source = await openPictures(folder);
    assertEquals(source.names, ["class_2_img_1.png", "class_7_img_0.png", "class_7_img_1.png"]);
    assertEquals(source.labels, [2, 7, 7]);
    assertEquals(source.run, { model: "demo", planned: 4 });
    assertEquals(source.notes, ["1 of the 4 pictures of the run are missing"]);
    await writeRecord(folder, { ...record, classes: [8] });
    await refused(folder, "none of its 2 pictures is finished");
    await writeRecord(folder, { ...record, version: 2 });
    await refused(folder, "its run.json has the version 2, and 1 is read");
    await writeRecord(folder, { ...record, imagesPerClass: "many" });
    await refused(folder, "its run.json does not tell of its pictures");
    await Deno.writeTextFile(`${folder}/run.json`, "{");
    await refused(folder, "its run.json is no JSON");
    await Deno.remove(`${folder}/run.json`);
    await refused(folder, "it has grid.png and no run.json that tells which pictures are samples");
  },
);

testInFolder("openPictures: prompts of a long run", async (folder) => {
  await write(folder, ["00000/samples/00000.png", "00001/samples/00000.png"]);
  const prompts = ["a bench", "a cow"];
  await writeRecord(folder, { format: "varscale-series", model: {}, prompts, imagesPerPrompt: 1 });
  assertEquals((await openPictures(folder)).prompts, prompts);
});

testInFolder("openPictures: variants of a generation are gone through one by one", async (folder) => {
  await write(folder, ["0_plain.png", "0_scaling.png"]);
  const images = ["plain", "scaling"].map((variant) => {
    return { file: `0_${variant}.png`, variant, label: { id: 5, name: "x" } };
  });
  await writeRecord(folder, { format: "varscale-run", model: { name: "demo" }, images });
  await refused(folder, "its run has the variants plain, scaling, which are evaluated one by one");
  const source = await openPictures(folder, { variant: "scaling" });
  assertEquals([source.names, source.labels], [["0_scaling.png"], [5]]);
  await assertRejects(
    () => openPictures(folder, { variant: "tts" }),
    Error,
    "has no variant tts, but plain, scaling",
  );
  const changed = images.map((image) => ({ ...image, variant: "plain", sha256: "0".repeat(64) }));
  await writeRecord(folder, { format: "varscale-run", model: { name: "demo" }, images: changed });
  const other = await openPictures(folder);
  await assertRejects(
    () => Array.fromAsync(other.pictures()),
    Error,
    "0_plain.png: it is not the picture that its run.json tells of",
  );
  await writeRecord(folder, { format: "varscale-run", model: {}, images: [{ file: "../secret.png" }] });
  await refused(folder, "does not tell of its pictures");
});

testInFolder("openPictures: a broken picture is named", async (folder) => {
  await write(folder, ["1.png", "2.png"]);
  const bytes = await Deno.readFile(`${folder}/2.png`);
  await Deno.writeFile(`${folder}/2.png`, bytes.subarray(0, bytes.length - 20));
  const source = await openPictures(folder);
  await assertRejects(
    () => Array.fromAsync(source.pictures()),
    Error,
    `Cannot use the picture ${folder}/2.png: Cannot decode the PNG`,
  );
});

testInFolder("openPictures: nothing there, or nothing that is a picture, is an error", async (folder) => {
  await refused(folder, "it has no PNG, JPEG or WebP files");
  await refused(`${folder}/absent`, "no such file or folder");
  await Deno.writeTextFile(`${folder}/a.npz`, "text");
  await refused(`${folder}/a.npz`, "Cannot open the NumPy archive");
});

Deno.test("openPictures: pictures and classes of an archive", async () => {
  const source = await openPictures(fixture("evaluation/npz/pictures.npz"));
  assertEquals([source.count, source.labels, source.names[1]], [5, [3, 1, 4, 1, 5], "arr_0[1]"]);
  const images = await Array.fromAsync(source.pictures(), ({ image }) => image);
  assertEquals(images.map(({ width, height }) => `${width}×${height}`), new Array(5).fill("6×4"));
  // What make.py printed.
  assertEquals([...images[1]!.data.subarray(0, 8)], [230, 197, 94, 255, 115, 124, 94, 255]);
  const last = await Array.fromAsync(source.pictures({ from: 3 }));
  assertEquals(last.map(({ name }) => name), ["arr_0[3]", "arr_0[4]"]);
  assertEquals(last[0]!.image.data, images[3]!.data);
  const other = await openPictures(fixture("evaluation/npz/guided_diffusion.npz"));
  assertEquals([other.labels, other.fingerprint], [undefined, source.fingerprint]);
});

Deno.test("openPictures: an archive of floats, of gray, or of none is refused", async () => {
  const wanted = "expected bytes |u1 [pictures, rows, columns, 3]";
  await refused(fixture("evaluation/npz/floats.npz"), `${wanted}, found <f8 [5, 4, 6, 3]`);
  await refused(fixture("evaluation/npz/gray.npz"), `${wanted}, found |u1 [5, 4, 6]`);
  await refused(fixture("evaluation/npz/pytorch_fid.npz"), "Cannot find the array");
});

testInFolder("openPictures: an archive with wrong classes is refused by what is wrong", async (folder) => {
  const path = `${folder}/a.npz`;
  const classes = async (...values: number[]): Promise<void> => {
    const arr_0 = { shape: [2, 1, 1, 3], values: new Uint8Array(6) };
    await writeNpz(path, { arr_0, arr_1: { shape: [values.length], values: Float64Array.from(values) } });
  };
  await classes(3, -1);
  await refused(path, "2 numbers of classes, one for each picture, found -1 among them");
  await classes(3, 1.5);
  await refused(path, "found 1.5 among them");
  await classes(3);
  await refused(path, "found 1 numbers");
});

testInFolder("openPictures: a signal ends the going through", async (folder) => {
  await write(folder, ["1.png", "2.png", "3.png"]);
  const controller = new AbortController();
  const source = await openPictures(folder);
  const seen: string[] = [];
  await assertRejects(
    async () => {
      for await (const { name } of source.pictures({ signal: controller.signal })) {
        seen.push(name);
        controller.abort(new Error("enough"));
      }
    },
    Error,
    "enough",
  );
  assertEquals(seen, ["1.png"]);
});
