/**
 * `varscale npz`: the bytes that NumPy reads, in an order that mixes the classes, and nothing where an image
 * is missing or wrong.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { RgbaImage } from "../../../mod.ts";
import { readArray } from "../read_npz.ts";
import { lockFolder } from "../../../cli/series/folder_lock.ts";
import { filesIn, run, succeed, testInFolder } from "../run.ts";

/** A picture of one color. */
function plain(size: number, color: readonly [number, number, number]): RgbaImage {
  const image = new RgbaImage(size, size);
  for (let i = 0; i < size * size; i++) image.data.set(color, 4 * i);
  return image;
}

/** Writes pictures `class_c_img_i.png` whose color tells class and number. */
async function writeImages(folder: string, classes: number, images: number): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (let classId = 0; classId < classes; classId++) {
    for (let image = 0; image < images; image++) {
      const png = plain(2, [classId, image, 7]).png();
      await Deno.writeFile(`${folder}/class_${classId}_img_${image}.png`, png);
    }
  }
}

/** The two colors that tell class and number, of each 2×2 picture in an archive. */
function cells(data: Uint8Array): [number, number][] {
  return Array.from({ length: data.length / 12 }, (_, i) => [data[12 * i]!, data[12 * i + 1]!]);
}

testInFolder(
  "varscale npz: all images are packed, in an order that mixes the classes and is always the same",
  async (folder) => {
    const images = `${folder}/images`;
    await writeImages(images, 30, 12);
    const pack = async (name: string, ...args: string[]): Promise<[number, number][]> => {
      await succeed("npz", images, "--output", `${folder}/${name}`, "--expect", "360", "--quiet", ...args);
      const { shape, data } = readArray(`${folder}/${name}`);
      assertEquals(shape, "360, 2, 2, 3");
      assertEquals(data[2], 7);
      return cells(data);
    };
    const named = await pack("named.npz", "--order", "name");
    const sorted = Array.from({ length: 360 }, (_, i): [number, number] => [Math.floor(i / 12), i % 12]);
    assertEquals(named, sorted);

    const shuffled = await pack("shuffled.npz");
    assertEquals(shuffled.toSorted(([a, b], [c, d]) => a - c || b - d), sorted);
    assertEquals(await pack("again.npz"), shuffled);
    // By threefry2x32 of each place, written down anew in another language.
    assertEquals(shuffled.slice(0, 4), [[27, 0], [2, 7], [13, 11], [24, 5]]);
    const other = await pack("other.npz", "--seed", "1");
    const matches = shuffled.filter(([a, b], i) => a === other[i]![0] && b === other[i]![1]).length;
    assert(matches < 10, "Seeds give the same order");
    // Among 72 of 360, a class of 12 has 2.4 images on average with a standard deviation of 1.35: none or 9
    // are rare, and far from the 12 or none that the order by name gives.
    for (const split of [0, 1, 2, 3, 4]) {
      const part = shuffled.slice(72 * split, 72 * split + 72);
      const counts = Array.from({ length: 30 }, (_, id) => part.filter(([classId]) => classId === id).length);
      assert(Math.max(...counts) < 9, `${counts}`);
      assert(counts.filter((count) => count > 0).length > 22, `${counts}`);
    }
  },
);

testInFolder(
  "varscale npz: the archive lies beside the folder, and is not replaced unless it may be",
  async (folder) => {
    await writeImages(`${folder}/samples`, 2, 2);
    const { out } = await succeed("npz", `${folder}/samples/`);
    assertEquals(out, `${folder}/samples.npz: 4 images, uint8 [4, 2, 2, 3], 48 bytes\n`);
    const again = await run(["npz", `${folder}/samples`]);
    assertEquals(again.code, 2);
    assertStringIncludes(again.err, `Cannot write ${folder}/samples.npz: it exists`);
    await succeed("npz", `${folder}/samples`, "--overwrite");
    assertEquals(filesIn(folder), ["samples", "samples.npz"]);
  },
);

testInFolder("varscale npz: what is missing, too much or wrong is refused by name", async (folder) => {
  const refused = async (message: string, ...args: string[]): Promise<void> => {
    const { code, err } = await run(["npz", folder, "--output", `${folder}/x.npz`, ...args]);
    assertEquals(code, 2, err);
    assertStringIncludes(err, message);
    assert(!filesIn(folder).some((name) => name.includes(".npz")));
  };
  await refused("it has no PNG files");
  await writeImages(folder, 3, 4);
  await refused("it has 12 images, and 50000 are expected", "--expect", "50000");
  await Deno.remove(`${folder}/class_1_img_2.png`);
  await Deno.remove(`${folder}/class_2_img_0.png`);
  await refused("2 of 12 images are missing: class_1_img_2.png and class_2_img_0.png");
  await writeImages(folder, 3, 4);
  const record = { format: "varscale-series", version: 1, settings: {}, model: {} };
  await Deno.writeTextFile(
    `${folder}/run.json`,
    JSON.stringify({ ...record, classes: [0, 1, 2, 9], imagesPerClass: 6 }),
  );
  await refused("12 of 24 images are missing: class_0_img_4.png, class_0_img_5.png, class_1_img_4.png");
  await refused("class_2_img_4.png and 7 more");
  await Deno.writeTextFile(
    `${folder}/run.json`,
    JSON.stringify({ ...record, classes: [0, 1, 2], imagesPerClass: 4 }),
  );
  await Deno.writeFile(`${folder}/grid.png`, plain(2, [1, 2, 3]).png());
  await refused("among the images of the run there is grid.png");
  await Deno.remove(`${folder}/grid.png`);
  await Deno.writeFile(`${folder}/class_2_img_1.png`, plain(3, [1, 2, 3]).png());
  await refused("class_2_img_1.png is 3×3, and class_");
  await refused("is 2×2; all must have one size");
  await Deno.writeFile(`${folder}/class_2_img_1.png`, new RgbaImage(2, 4).png());
  await refused("class_2_img_1.png is 2×4, and class_");
  await Deno.writeTextFile(`${folder}/class_2_img_1.png`, "no image");
  await refused("class_2_img_1.png is no image: ");
  const clear = plain(2, [1, 2, 3]);
  clear.data[3] = 0;
  await Deno.writeFile(`${folder}/class_2_img_1.png`, clear.png());
  await refused("class_2_img_1.png: it has transparent pixels");
  await writeImages(folder, 3, 4);
  await succeed("npz", folder, "-q", "--output", `${folder}/x.npz`);

  const none = await run(["npz", `${folder}/none`]);
  assertEquals(none.code, 2);
  assertStringIncludes(none.err, "no such folder");
});

testInFolder("varscale npz: pictures that are not square are packed row by row", async (folder) => {
  await Deno.mkdir(`${folder}/a`);
  const image = new RgbaImage(3, 2);
  for (let i = 0; i < 6; i++) image.data.set([i, 10 * i, 255], 4 * i);
  await Deno.writeFile(`${folder}/a/only.png`, image.png());
  const { out } = await succeed("npz", `${folder}/a`);
  assertStringIncludes(out, "1 image, uint8 [1, 2, 3, 3], 18 bytes");
  const { shape, data } = readArray(`${folder}/a.npz`);
  assertEquals(shape, "1, 2, 3, 3");
  assertEquals([...data], Array.from({ length: 6 }, (_, i) => [i, 10 * i, 255]).flat());
});

testInFolder("varscale npz: any folder of pictures can be packed", async (folder) => {
  await Deno.mkdir(`${folder}/a`);
  for (const [i, name] of ["b2.png", "b10.PNG", "a.png"].entries()) {
    await Deno.writeFile(`${folder}/a/${name}`, plain(2, [i, 0, 0]).png());
  }
  // A record of somebody else's.
  await Deno.writeTextFile(`${folder}/a/run.json`, '{ "format": "other", "images": 3 }');
  await succeed("npz", `${folder}/a`, "--order", "name", "--output", `${folder}/a.npz`);
  assertEquals(cells(readArray(`${folder}/a.npz`).data).map(([i]) => i), [2, 0, 1]);
});

testInFolder("varscale npz: Ctrl-C leaves no archive", async (folder) => {
  await writeImages(`${folder}/a`, 2, 2);
  const { code } = await run(["npz", `${folder}/a`], { signal: AbortSignal.abort() });
  assertEquals(code, 130);
  assertEquals(filesIn(folder), ["a"]);
});

testInFolder(
  "varscale npz: samples are what the record tells of, and not what goes with them",
  async (folder) => {
    const common = ["--device", "cpu", "--quiet"];
    const shape = async (name: string): Promise<string> => {
      await succeed("npz", `${folder}/${name}`, "--overwrite", "--quiet");
      return readArray(`${folder}/${name}.npz`).shape;
    };
    await succeed("generate", "32", "--preview", "all", "-o", `${folder}/one`, ...common);
    assertEquals(await shape("one"), "1, 64, 64, 3");
    const painted = `${folder}/one/${filesIn(`${folder}/one`).find((name) => /^000_[^_]*\.png$/.test(name))}`;
    await succeed("generate", "1", "2", "--grid", "-o", `${folder}/two`, ...common);
    assertEquals(await shape("two"), "2, 64, 64, 3");
    await succeed("edit", painted, "--box", "0,0,0.5,1", "-o", `${folder}/edited`, ...common);
    assertEquals(await shape("edited"), "1, 64, 64, 3");
    await succeed("reconstruct", painted, "--progressive", "-o", `${folder}/again`, ...common);
    assertEquals(await shape("again"), "1, 64, 64, 3");

    const refusal = async (): Promise<string> => {
      const { code, err } = await run(["npz", `${folder}/one`, "--overwrite", "--quiet"]);
      assertEquals(code, 2);
      return err;
    };
    await Deno.writeFile(`${folder}/one/other.png`, plain(64, [1, 2, 3]).png());
    assertStringIncludes(await refusal(), "among the images of the run there is other.png");
    await Deno.remove(`${folder}/one/other.png`);
    await Deno.writeFile(painted, plain(64, [1, 2, 3]).png());
    assertStringIncludes(await refusal(), "is not the picture that its run.json tells of");
    await Deno.remove(painted);
    assertStringIncludes(await refusal(), "1 of 1 images are missing: 000_");
    await Deno.writeTextFile(`${folder}/one/run.json`, '{"format":"varscale-run"}');
    assertStringIncludes(await refusal(), "its run.json does not tell of its images");
  },
);

testInFolder(
  "varscale npz: what goes with samples is not packed where no record tells of them",
  async (folder) => {
    const images = `${folder}/a`;
    await Deno.mkdir(images);
    await Deno.writeFile(`${images}/000_snow.png`, plain(2, [1, 2, 3]).png());
    for (const name of ["000_snow_scale-3.png", "source.png", "region.png", "grid.png"]) {
      await Deno.writeFile(`${images}/${name}`, plain(2, [1, 2, 3]).png());
      const { code, err } = await run(["npz", images]);
      assertEquals(code, 2);
      assertStringIncludes(err, `Cannot pack ${images}: it has ${name} and no run.json or reconstruct.json`);
      await Deno.remove(`${images}/${name}`);
    }
    await succeed("npz", images, "--quiet");
  },
);

testInFolder("varscale npz: a folder in which another process is at work is not packed", async (folder) => {
  const images = `${folder}/a`;
  await writeImages(images, 2, 2);
  for (const shard of [undefined, { part: 1, parts: 2 }]) {
    using _busy = await lockFolder(images, shard);
    const { code, err } = await run(["npz", images]);
    assertEquals([code, err], [1, `varscale: Cannot pack ${images}: another process is at work there\n`]);
  }
  assertEquals(filesIn(folder), ["a"]);
  await succeed("npz", images, "--quiet");
});
