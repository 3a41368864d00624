/**
 * The command line with a small FlexVAR model of random weights, on the CPU: token maps and sizes of one's
 * own, the released code's rules, edits of pictures that are not square. What it writes is what the library
 * makes of the same request.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import type { RunRecord } from "../../cli/generation/run_record.ts";
import {
  type EditRequest,
  fitImage,
  generate,
  type GenerateRequest,
  loadModel,
  type Model,
  reconstruct,
  RgbaImage,
  varScaling,
} from "../../mod.ts";
import { writeCheckpoint } from "../models/checkpoint_files.ts";
import { filledFlexVar } from "../models/flexvar/checkpoints.ts";
import { filesIn, run, succeed, testInFolder } from "./run.ts";

/** Pixels along a token. */
const PIXELS = 2;

/** Writes the model's checkpoints; the options that name them, and where to run. */
async function checkpoints(folder: string): Promise<string[]> {
  const tensors = filledFlexVar();
  await writeCheckpoint(`${folder}/var.pth`, tensors.var);
  await writeCheckpoint(`${folder}/vae.pth`, tensors.vae);
  return ["--var_ckpt", `${folder}/var.pth`, "--vae_ckpt", `${folder}/vae.pth`, "--device", "cpu"];
}

async function load(folder: string): Promise<Model> {
  return await loadModel({ var: `${folder}/var.pth`, vae: `${folder}/vae.pth` }, { device: "cpu" });
}

async function readRun(folder: string): Promise<RunRecord> {
  return JSON.parse(await Deno.readTextFile(`${folder}/run.json`));
}

async function read(file: string): Promise<RgbaImage> {
  return RgbaImage.decode(await Deno.readFile(file));
}

function tokensOf(images: readonly { readonly tokens: readonly ArrayLike<number>[] }[]): number[][][] {
  return images.map(({ tokens }) => tokens.map((map) => Array.from(map)));
}

/** A light ball on dark ground. */
function ball(width: number, height: number): RgbaImage {
  const image = new RgbaImage(width, height);
  for (let i = 0; i < width * height; i++) {
    const inside = Math.hypot(i % width - 0.6 * width, Math.floor(i / width) - 0.4 * height) < height / 3;
    image.data.set(inside ? [220, 180, 60] : [60, 60, 70], 4 * i);
  }
  return image;
}

/** Repeats a run; the result is the record of the repetition. */
async function repeat(folder: string, model: readonly string[] = ["--device", "cpu"]): Promise<RunRecord> {
  const again = `${folder}-again`;
  const args = ["generate", "--repeat", `${folder}/run.json`, ...model, "--json", "-q", "-o", again];
  const { out } = await succeed(...args);
  const { images } = await readRun(folder);
  const { length } = images;
  assertEquals(JSON.parse(out).repeat, { images: length, sameTokens: length, sameFiles: length });
  assertEquals(filesIn(again), filesIn(folder));
  return await readRun(again);
}

testInFolder(
  "varscale: the flags of FlexVAR's scripts do what they say, and the run is repeated",
  async (folder) => {
    const model = await checkpoints(folder);
    const output = `${folder}/out`;
    const { out } = await succeed(
      ...["generate", "3", "1", ...model, "--depth", "1", "--cfg", "3.5", "--top_k", "40", "--top_p", "0.9"],
      ...["--maxpn", "4", "--infer_patch_nums", "1_2_3_4_5_7", "--batch_size", "2", "--published"],
      ...["--preview", "2-4", "--output_dir", output],
    );
    assertMatch(
      out,
      /^2 images in .*: FlexVAR-d1, 6 scales to 7, cfg 3\.5, as published, maxpn 4, seed 0, on CPU/,
    );
    const record = await readRun(output);
    const { cfg, topK, topP, published, patchNumbers, familyOptions, batch } = record.request;
    assertEquals([cfg, topK, topP, published, batch], [3.5, 40, 0.9, true, 2]);
    assertEquals([patchNumbers, familyOptions], [[1, 2, 3, 4, 5, 7], { maxpn: 4 }]);
    assertEquals([record.model.family, record.model.depth], ["flexvar", 1]);
    assertEquals(record.model.place, { varCkpt: `${folder}/var.pth`, vaeCkpt: `${folder}/vae.pth` });

    await using loaded = await load(folder);
    const request: GenerateRequest = {
      labels: [3, 1],
      cfg: 3.5,
      topK: 40,
      topP: 0.9,
      patchNumbers: patchNumbers!,
    };
    const { images } = await generate(loaded, { ...request, published: true, familyOptions: { maxpn: 4 } });
    assertEquals(tokensOf(record.images), tokensOf(images));
    assertNotEquals(tokensOf(record.images), tokensOf((await generate(loaded, request)).images));
    assertEquals((await read(`${output}/000_class-3.png`)).data, images[0]!.data);

    // Each scale is a picture of its own size.
    for (const [scale, side] of [[2, 3], [3, 4], [4, 5]] as const) {
      const { width, height } = await read(`${output}/001_class-1_scale-${scale}.png`);
      assertEquals([width, height], [PIXELS * side, PIXELS * side]);
    }
    assertEquals((await repeat(output)).request, record.request);
  },
);

testInFolder("varscale: pictures have the size that is asked for, square or not", async (folder) => {
  const model = await checkpoints(folder);
  await using loaded = await load(folder);
  const cases: [args: string[], request: GenerateRequest, recorded: Partial<RunRecord["request"]>][] = [
    [["--size", "12"], { size: 12 }, { size: 12 }],
    [["--size=16x8"], { size: { width: 16, height: 8 } }, { size: { width: 16, height: 8 } }],
    [["--patch-numbers", "1,2,5"], { patchNumbers: [1, 2, 5] }, { patchNumbers: [1, 2, 5] }],
    [
      ["--patch_numbers=1,2,3,4", "--size", "8×16", "--guidance", "constant"],
      { patchNumbers: [1, 2, 3, 4], size: { width: 8, height: 16 }, guidance: "constant" },
      { patchNumbers: [1, 2, 3, 4], size: { width: 8, height: 16 }, guidance: "constant" },
    ],
  ];
  for (const [i, [args, request, recorded]] of cases.entries()) {
    const output = `${folder}/${i}`;
    await succeed("generate", "4", "2", ...model, ...args, "--compare", "--samples", "8", "-o", output, "-q");
    const record = await readRun(output);
    const { images: plain } = await generate(loaded, { labels: [4, 2], ...request });
    const { images: scaled } = await generate(loaded, {
      ...{ labels: [4, 2], ...request, hooks: [varScaling({ samples: 8 })] },
    });
    assertEquals(tokensOf(record.images), tokensOf([...plain, ...scaled]), args.join(" "));
    assertEquals({ ...record.request, ...recorded }, record.request, args.join(" "));
    for (const name of ["patchNumbers", "size"] as const) {
      assertEquals(name in record.request, name in recorded, args.join(" "));
    }
    const { width, height } = await read(`${output}/000_class-4_plain.png`);
    assertEquals([width, height], [plain[0]!.width, plain[0]!.height]);
    // The checkpoints may have been moved.
    assertEquals((await repeat(output, model)).request, record.request);
  }
  const sizes = cases.map((_, i) => i).map(async (i) => {
    const { width, height } = await read(`${folder}/${i}/001_class-2_var-scaling.png`);
    return [width, height];
  });
  assertEquals(await Promise.all(sizes), [[12, 12], [16, 8], [10, 10], [8, 16]]);
});

testInFolder(
  "varscale: what FlexVAR cannot do is refused with the reason, and nothing is written",
  async (folder) => {
    const model = await checkpoints(folder);
    const before = filesIn(folder);
    for (
      const [args, reason] of [
        [["--maxpn", "4"], "published must be true"],
        [["--published", "--size", "16x8"], "squares only"],
        [["--patch-numbers", "2,3"], "begin with 1"],
        [["--patch-numbers", "1,3,2"], "increase"],
        [["--size", "13"], "must be a multiple of 2"],
        [["--more-smooth"], "moreSmooth"],
        [["--patch-numbers", "1,2", "--scaling"], "must be an integer from -2 to 1: current value is 2"],
      ] as const
    ) {
      const { code, err } = await run(["generate", "3", ...model, ...args, "-q", "-o", `${folder}/out`]);
      assertEquals(code, 2, err);
      assertStringIncludes(err, reason);
    }
    const { code, err } = await run(["generate", "3", ...model.slice(0, 2), "-o", `${folder}/out`]);
    assertEquals(code, 2);
    assertStringIncludes(err, "Option --vae-ckpt is needed too");
    assertEquals(filesIn(folder), before);
  },
);

testInFolder(
  "varscale: a region of a picture that is not square is edited, and the run repeated",
  async (folder) => {
    const model = await checkpoints(folder);
    await using loaded = await load(folder);
    const [width, height] = [24, 12];
    const image = ball(30, 20);
    const file = `${folder}/ball.png`;
    await Deno.writeFile(file, image.png());
    const mask = new RgbaImage(30, 20);
    for (let y = 0; y < 20; y++) {
      for (let x = 0; x < 13; x++) {
        mask.data.set([255, 255, 255], 4 * (30 * y + x));
      }
    }
    await Deno.writeFile(`${folder}/mask.png`, mask.png());
    const size = { width, height };
    const cases: [args: string[], edit: Omit<EditRequest, "image">][] = [
      [["--box", "0,0.5,0.5,1"], { box: [0, 0.5, 0.5, 1] }],
      [["--mask", `${folder}/mask.png`, "--outpaint"], { mask, mode: "outpaint" }],
      [["--mask", `${folder}/mask.png`, "--keep-scales", "1-6"], { mask, scales: [1, 2, 3, 4, 5, 6] }],
      [["--keep-scales", "0,2,3"], { scales: [0, 2, 3] }],
      [["--keep_scales", "0-3", "--oversampling", "2"], { scales: [0, 1, 2, 3], oversampling: 2 }],
    ];
    for (const [i, [args, edit]] of cases.entries()) {
      const output = `${folder}/${i}`;
      await succeed(
        ...["edit", file, "--label", "4", ...args, ...model, "--size", "24x12", "-q", "-o", output],
      );
      const record = await readRun(output);
      const { images } = await generate(loaded, { labels: 4, size, edit: { image, ...edit } });
      assertEquals(tokensOf(record.images), tokensOf(images), args.join(" "));
      assertEquals((await read(`${output}/000_class-4.png`)).data, images[0]!.data);
      const { kept } = record.request.edit!;
      assertEquals([kept.length, kept[0]!.length], [height / PIXELS, width / PIXELS]);
    }
    assertEquals((await readRun(`${folder}/0`)).request.edit!.kept, [
      ...Array(3).fill([1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]),
      ...Array(3).fill(Array(12).fill(1)),
    ]);
    assertEquals((await readRun(`${folder}/3`)).request.edit!.given, {
      ...{ image: file, box: null, mask: null, scales: [0, 2, 3] },
    });
    // The last scale that keeps anything: 4×2 tokens, of which all are kept.
    assertEquals(
      await read(`${folder}/3/source.png`),
      fitImage(image, loaded.schedule({ size }).scales[3]!.picture),
    );
    assertEquals((await read(`${folder}/3/region.png`)).data, (await read(`${folder}/3/source.png`)).data);

    const [source, region] = [await read(`${folder}/0/source.png`), await read(`${folder}/0/region.png`)];
    assertEquals([source.width, source.height, region.width, region.height], [24, 12, 24, 12]);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = 4 * (y * width + x);
        const same = source.data.subarray(at, at + 4).every((value, c) => region.data[at + c] === value);
        assertEquals(same, y >= 6 || x < 12, `${x} ${y}`);
      }
    }

    // The original is gone, and what is kept beside the record is enough.
    await Deno.remove(file);
    for (const i of cases.keys()) {
      const { request } = await repeat(`${folder}/${i}`);
      assertEquals(request.edit, (await readRun(`${folder}/${i}`)).request.edit);
    }
  },
);

testInFolder("varscale: a small picture is refined and expanded, and the run repeated", async (folder) => {
  const model = await checkpoints(folder);
  await using loaded = await load(folder);
  const image = ball(12, 8);
  const file = `${folder}/small.png`;
  await Deno.writeFile(file, image.png());
  const size = { width: 24, height: 16 };
  const common = ["edit", file, "--labels", "4,null", ...model, "--size", "24x16", "-q"];
  await succeed(...common, "--expand", "-o", `${folder}/expanded`);
  await succeed(...common, "--refine", "-o", `${folder}/refined`);
  for (const [name, edit] of [["expanded", { expand: true }], ["refined", { refine: true }]] as const) {
    const { images } = await generate(loaded, { labels: [4, null], size, edit: { image, ...edit } });
    const record = await readRun(`${folder}/${name}`);
    assertEquals(tokensOf(record.images), tokensOf(images), name);
    assertEquals((await read(`${folder}/${name}/001_null-class.png`)).data, images[1]!.data, name);
  }
  const { given: expanded, kept } = (await readRun(`${folder}/expanded`)).request.edit!;
  assertEquals(expanded, { image: file, box: null, mask: null, expand: true });
  assertEquals(kept.map((row) => row.reduce((sum, share) => sum + share)), [0, 0, 6, 6, 6, 6, 0, 0]);
  const { given: refined } = (await readRun(`${folder}/refined`)).request.edit!;
  assertEquals(refined, { image: file, box: null, mask: null, refine: true });
  const source = await read(`${folder}/expanded/source.png`);
  const middle = new RgbaImage(12, 8);
  for (let y = 0; y < 8; y++) {
    middle.data.set(source.data.subarray(4 * (24 * (y + 4) + 6), 4 * (24 * (y + 4) + 18)), 4 * 12 * y);
  }
  assertEquals(middle.data, image.data);

  await Deno.remove(file);
  for (const name of ["expanded", "refined"]) await repeat(`${folder}/${name}`);
  await Deno.writeFile(file, ball(24, 16).png());
  const large = await run([...common, "--expand", "-o", `${folder}/none`]);
  assertEquals(large.code, 2);
  assertStringIncludes(large.err, "must be smaller than 24×16");
});

testInFolder("varscale: pictures are reconstructed at any size, each scale by itself", async (folder) => {
  const model = await checkpoints(folder);
  await using loaded = await load(folder);
  const image = ball(30, 20);
  const file = `${folder}/ball.png`;
  await Deno.writeFile(file, image.png());
  const output = `${folder}/out`;
  await succeed(
    ...["reconstruct", file, ...model, "--size", "16x8", "--patch_numbers", "1,2,4", "--progressive"],
    ...["-o", output],
  );
  const { images: [wanted] } = await reconstruct(loaded, image, {
    ...{ size: { width: 16, height: 8 }, patchNumbers: [1, 2, 4], progressive: true },
  });
  const report = JSON.parse(await Deno.readTextFile(`${output}/reconstruct.json`));
  assertEquals([report.size, report.patchNumbers], [{ width: 16, height: 8 }, [1, 2, 4]]);
  assertEquals(report.images[0].tokens, tokensOf([wanted!])[0]);
  assertEquals((await read(`${output}/000_ball.png`)).data, wanted!.data);
  const stages = [0, 1].map(async (scale) => {
    const { width, height } = await read(`${output}/000_ball_scale-${scale}.png`);
    return [width, height];
  });
  assertEquals(await Promise.all(stages), [[2, 2], [8, 4]]);

  const { code, err } = await run(["reconstruct", file, ...model, "--size", "15", "-o", `${folder}/none`]);
  assertEquals(code, 2);
  assertStringIncludes(err, "must be a multiple of 2");
});

testInFolder(
  "varscale: checkpoints are shown and converted, and the folder paints the same",
  async (folder) => {
    const model = await checkpoints(folder);
    const report = JSON.parse((await succeed("inspect", `${folder}/var.pth`, "--json")).out);
    assertEquals([report.family, report.parts, report.problem], ["flexvar", ["var"], null]);
    assertEquals([report.config.depth, report.config.positionSide], [1, 8]);
    const { out } = await succeed("inspect", `${folder}/vae.pth`);
    assertMatch(out, /^family +FlexVAR$/m);
    assertMatch(out, /^tokenizer +48 codes of 4 channels/m);

    const place = `${folder}/model`;
    const { out: converted } = await succeed("convert", ...model.slice(0, 4), "--output", place);
    assertMatch(converted, /^FlexVAR-d1, weights in f32, /);
    const shown = await succeed("inspect", place);
    assertMatch(shown.out, /^family +FlexVAR$/m);
    assertMatch(shown.out, /^transformer +depth 1, width 64, 1 head, 5 classes/m);
    const common = ["generate", "2", "--patch-numbers", "1,2,3", "--json", "-q", "--no-recipe"];
    const direct = JSON.parse((await succeed(...common, ...model, "-o", `${folder}/a`)).out);
    const stored = JSON.parse(
      (await succeed(...common, "--model", place, "--device", "cpu", "-o", `${folder}/b`)).out,
    );
    assertEquals(stored.images[0].sha256, direct.images[0].sha256);
    // A run of the one can be repeated with the other.
    const { err } = await succeed(
      ...["generate", "--repeat", `${folder}/a/run.json`, "--model", place, "--device", "cpu", "-q"],
      ...["-o", `${folder}/c`],
    );
    assertStringIncludes(err, "the weights are not those of the recorded run");
  },
);

testInFolder(
  "varscale: a long run has the experiments' settings, goes on with the same ones alone, and is packed",
  async (folder) => {
    const model = await checkpoints(folder);
    const output = `${folder}/out`;
    const args = ["run", ...model, "-o", output, "-n", "1", "--size", "12x8", "--samples", "8"];
    await succeed(...args, "--classes", "0-1");
    const { settings } = JSON.parse(await Deno.readTextFile(`${output}/run.json`));
    await using loaded = await load(folder);
    const { cfg, alpha, conflictThreshold } = loaded.search.published;
    assertEquals([settings.cfg, settings.topP, settings.size], [cfg, 0.95, { width: 12, height: 8 }]);
    assertEquals([settings.scaling.scale, settings.scaling.alpha], [[2], alpha]);
    assertEquals(settings.scaling.conflictThreshold, conflictThreshold);
    const { images: [wanted] } = await generate(loaded, {
      ...{ labels: 1, indices: [1], cfg, size: { width: 12, height: 8 } },
      hooks: [varScaling({ samples: 8, alpha, conflictThreshold })],
    });
    assertEquals((await read(`${output}/class_1_img_0.png`)).data, wanted!.data);

    const cases: [more: string[], message: string][] = [
      [["--published"], "published is false there and true here"],
      [["--guidance", "constant"], 'guidance is "ramp" there and "constant" here'],
      [["--patch-numbers", "1,2,3,4"], "patchNumbers is none there and [1, 2, 3, 4] here"],
    ];
    for (const [more, message] of cases) {
      const { code, err } = await run([...args, ...more]);
      assertEquals(code, 2, err);
      assertStringIncludes(err, message);
    }
    const square = await run([...args.map((text) => text === "12x8" ? "12" : text)]);
    assertEquals(square.code, 2);
    assertStringIncludes(square.err, "size is given there and 12 here");

    const { out } = await succeed(...args, "--classes", "0-2");
    assertStringIncludes(out, "3 of 3 images are in");
    assertStringIncludes(out, "1 made in");
    const { out: packed } = await succeed("npz", output);
    assertStringIncludes(packed, "out.npz: 3 images, uint8 [3, 8, 12, 3]");
  },
);

testInFolder(
  "varscale: the released code's rules hold in a long run, by the scripts' own flags",
  async (folder) => {
    const model = await checkpoints(folder);
    const output = `${folder}/out`;
    await succeed(
      ...["run", ...model, "--output_dir", output, "--depth", "1", "--cfg", "2.5", "--top_k", "30"],
      ...[
        "--top_p",
        "0.9",
        "--maxpn",
        "3",
        "--infer_patch_nums",
        "1_2_4",
        "--batch_size",
        "3",
        "--published",
      ],
      ...["-n", "1", "--classes", "3", "--no-scaling"],
    );
    const { settings } = JSON.parse(await Deno.readTextFile(`${output}/run.json`));
    assertEquals(settings, {
      ...{ seed: 0, sharedNoise: false, cfg: 2.5, guidance: "ramp", topK: 30, topP: 0.9, minP: 0 },
      ...{ temperature: 1, moreSmooth: false, published: true, patchNumbers: [1, 2, 4] },
      ...{ familyOptions: { maxpn: 3 }, scaling: null },
    });
    await using loaded = await load(folder);
    const request: GenerateRequest = {
      ...{ labels: 3, indices: [3], cfg: 2.5, topK: 30, topP: 0.9, patchNumbers: [1, 2, 4] },
    };
    const { images: [wanted] } = await generate(loaded, {
      ...request,
      published: true,
      familyOptions: { maxpn: 3 },
    });
    const { data } = await read(`${output}/class_3_img_0.png`);
    assertEquals(data, wanted!.data);
    assert((await generate(loaded, request)).images[0]!.data.some((value, i) => value !== data[i]));
  },
);
