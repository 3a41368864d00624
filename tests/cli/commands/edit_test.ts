/**
 * `varscale edit` on the CPU with the bundled model: what it writes is what the library makes of the same
 * request.
 */

import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import type { RunRecord } from "../../../cli/generation/run_record.ts";
import { generate, type GenerateRequest, loadModel, RgbaImage } from "../../../mod.ts";
import { filesIn, run, succeed, testInFolder } from "../run.ts";

/** A light ball on dark ground, wider than high. */
function picture(): RgbaImage {
  const [width, height] = [90, 70];
  const image = new RgbaImage(width, height);
  for (let i = 0; i < width * height; i++) {
    const inside = Math.hypot(i % width - 50, Math.floor(i / width) - 35) < 20;
    image.data.set(inside ? [220, 180, 60] : [60, 60, 70], 4 * i);
  }
  return image;
}

async function readRun(folder: string): Promise<RunRecord> {
  return JSON.parse(await Deno.readTextFile(`${folder}/run.json`));
}

async function read(file: string): Promise<RgbaImage> {
  return RgbaImage.decode(await Deno.readFile(file));
}

testInFolder(
  "varscale edit: a picture is edited by box and mask, and the run repeated without it",
  async (folder) => {
    const image = picture();
    const file = `${folder}/ball.png`;
    await Deno.writeFile(file, image.png());
    const mask = new RgbaImage(90, 70);
    for (let y = 0; y < 70; y++) mask.data.fill(255, 4 * 90 * y, 4 * 90 * y + 4 * 45);
    await Deno.writeFile(`${folder}/mask.png`, mask.png());
    const common = ["--device", "cpu", "--seed", "4", "--cfg", "2"];
    const [boxed, masked] = [`${folder}/boxed`, `${folder}/masked`];
    const { out } = await succeed(
      ...["edit", file, "--label", "red cube,null", "--box", "0,0.5,1,1", "--samples", "20", ...common],
      ...["--output", boxed],
    );
    assertMatch(out, /^2 images in .*: demo, cfg 2, seed 4, on CPU/);
    assertStringIncludes(out, `${boxed}/region.png  what is generated`);
    await succeed("edit", file, "--mask", `${folder}/mask.png`, "--outpaint", ...common, "-q", "-o", masked);
    assertEquals(filesIn(boxed), [
      ...["000_red-cube.png", "001_null-class.png", "grid.png", "region.png", "run.json", "source.png"],
    ]);
    assertEquals(filesIn(masked), ["000_null-class.png", "region.png", "run.json", "source.png"]);

    await using model = await loadModel("demo", { device: "cpu" });
    const request: GenerateRequest = { seed: 4, cfg: 2 };
    const { images: [byMask] } = await generate(model, {
      ...{ ...request, labels: null, edit: { image, mask, mode: "outpaint" } },
    });
    assertEquals((await read(`${masked}/000_null-class.png`)).data, byMask!.data);
    const record = await readRun(boxed);
    assertEquals(record.request.edit!.given, {
      ...{ image: file, box: [0, 0.5, 1, 1], mask: null, mode: "inpaint" },
    });
    assertEquals(record.request.edit!.kept, Array(8).fill([1, 1, 1, 1, 0, 0, 0, 0]));

    // Red where something is generated, the source elsewhere.
    const source = await read(`${boxed}/source.png`);
    const region = await read(`${boxed}/region.png`);
    assertEquals([source.width, source.height], [64, 64]);
    for (let i = 0; i < 64 * 64; i++) {
      const [a, b] = [source, region].map(({ data }) => [...data.subarray(4 * i, 4 * i + 4)]) as [
        number[],
        number[],
      ];
      if (i % 64 < 32) assertEquals(b, a);
      else {assert(
          b[0]! >= 127 && b[1]! <= a[1]! / 2 + 1 && b[2]! <= a[2]! / 2 + 1 && b[3] === 255,
          `${a} ${b}`,
        );}
    }

    // The original is gone, and what is kept beside the record is enough.
    await Deno.remove(file);
    for (const first of [boxed, masked]) {
      const again = `${first}-again`;
      const { out: repeated } = await succeed(
        ...["generate", "--repeat", `${first}/run.json`, "--device", "cpu", "-q", "--json", "-o", again],
      );
      const { images } = await readRun(first);
      const { length } = images;
      assertEquals(JSON.parse(repeated).repeat, { images: length, sameTokens: length, sameFiles: length });
      assertEquals(filesIn(again), filesIn(first));
      assertEquals((await readRun(again)).request.edit, (await readRun(first)).request.edit);
    }
    // A record from before scales could be chosen.
    const { scales: _scales, oversampling: _oversampling, ...before } = record.request.edit!;
    assertEquals([_scales, _oversampling], [[0, 1, 2, 3, 4, 5], 1]);
    await Deno.writeTextFile(
      `${boxed}/old.json`,
      JSON.stringify({ ...record, request: { ...record.request, edit: before } }),
    );
    const { out: old } = await succeed(
      ...[
        "generate",
        "--repeat",
        `${boxed}/old.json`,
        "--device",
        "cpu",
        "-q",
        "--json",
        "-o",
        `${folder}/old`,
      ],
    );
    assertEquals(JSON.parse(old).repeat, { images: 2, sameTokens: 2, sameFiles: 2 });
    await Deno.writeFile(`${boxed}/source.png`, image.png());
    const other = await run(["generate", "--repeat", `${boxed}/run.json`, "-o", `${folder}/x`]);
    assertEquals(other.code, 2);
    assertStringIncludes(other.err, "source.png is not the picture of the recorded run");
  },
);

testInFolder(
  "varscale edit: editing shares the options of generating, and refuses what cannot be",
  async (folder) => {
    const file = `${folder}/ball.png`;
    await Deno.writeFile(file, picture().png());
    const base = ["edit", file, "--box", "0.1,0.1,0.9,0.9", "--device", "cpu", "-q"];
    await succeed(...base, "--compare", "--count", "2", "--no-grid", "--preview", "1", "-o", `${folder}/a`);
    assertEquals(filesIn(`${folder}/a`).filter((name) => name.startsWith("00")).length, 2 * 2 * 2);
    const { images } = await readRun(`${folder}/a`);
    assertEquals(images.map(({ label }) => label.name), Array(4).fill("null class"));
    assertNotEquals(images[0]!.tokens, images[2]!.tokens);

    // A small box leaves nothing to choose on the second scale, and the summary says so.
    const { out } = await succeed(
      ...["edit", file, "--box", "0.2,0.2,0.8,0.8", "--scaling", "--device", "cpu", "-o", `${folder}/small`],
    );
    assertStringIncludes(
      out,
      "VAR-Scaling with 50 samples at scale 1: nothing to choose, as all of it is kept",
    );

    const exists = await run([...base, "-o", `${folder}/a`]);
    assertEquals(exists.code, 2);
    assertStringIncludes(exists.err, "run.json: it exists");
    const exact = await run([...base, "--fit", "exact", "-o", `${folder}/b`]);
    assertEquals(exact.code, 2);
    assertStringIncludes(exact.err, "Cannot fit the picture as it must have 64×64 pixels: it has 90×70");
    await Deno.mkdir(`${folder}/c`);
    await Deno.writeTextFile(`${folder}/c/region.png`, "mine");
    const mine = await run([...base, "-o", `${folder}/c`]);
    assertEquals(mine.code, 2);
    assertStringIncludes(mine.err, "region.png: it exists");
  },
);

testInFolder("varscale edit: a box by name, in any order, is the one by its edges", async (folder) => {
  const file = `${folder}/ball.png`;
  await Deno.writeFile(file, picture().png());
  const edges = [
    "0.1,0.2,0.4,0.9",
    "left=0.2,top=0.1,right=0.9,bottom=0.4",
    "height=0.3,y=0.1,width=0.7,x=0.2",
  ];
  for (const [i, box] of edges.entries()) {
    await succeed("edit", file, "--box", box, "--device", "cpu", "-q", "-o", `${folder}/${i}`);
    assertEquals((await readRun(`${folder}/${i}`)).request.edit!.given.box, [0.1, 0.2, 0.4, 0.9]);
  }
  // To the border, which a sum of decimals misses.
  const border = ["--box", "x=0.7,y=0.1,width=0.3,height=0.9", "--device", "cpu", "-q"];
  await succeed("edit", file, ...border, "-o", `${folder}/border`);
  assertEquals((await readRun(`${folder}/border`)).request.edit!.given.box, [0.1, 0.7, 1, 1]);
});
