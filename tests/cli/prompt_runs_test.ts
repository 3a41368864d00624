/**
 * Long runs of a model that takes texts: the folder is what GenEval's scorer reads, its images are the
 * library's, and it is cut, split, grown and refused like one of classes.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { generate, loadModel, registerFamily, RgbaImage } from "../../mod.ts";
import { checkpoint } from "../other_family/checkpoint.ts";
import { BITS, MOSAIC } from "../other_family/mosaic.ts";

/** Prompts of which no picture can be made. */
const failing = new Set<string>();

registerFamily({
  ...MOSAIC,
  load: async (folder, device, options) => {
    const model = await MOSAIC.load(folder, device, options);
    const start = model.start.bind(model);
    model.start = (options) => {
      const failed = options.labels.find(({ prompt }) => failing.has(prompt!));
      if (failed === undefined) return start(options);
      return Promise.reject(new Error(`Cannot paint ${failed.prompt}`));
    };
    return model;
  },
});
// The command line makes its options of the families that are registered when it is loaded.
const { filesIn, fixture, run, succeed, testInFolder } = await import("./run.ts");

const net = await checkpoint("colors.weight", [3, BITS], 12.9898);
const text = await checkpoint("letters.weight", [128, BITS], 78.233);

async function model(folder: string): Promise<string[]> {
  await Deno.writeFile(`${folder}/net.safetensors`, net);
  await Deno.writeFile(`${folder}/text.safetensors`, text);
  return [
    ...["--net-ckpt", `${folder}/net.safetensors`, "--text-ckpt", `${folder}/text.safetensors`],
    ...["--device", "cpu", "--samples", "8"],
  ];
}

/** The images as GenEval's evaluate_images.py finds them, by path, with what it reads of each prompt. */
async function scored(folder: string): Promise<Record<string, { metadata: unknown; png: string }>> {
  const found: Record<string, { metadata: unknown; png: string }> = {};
  for (const inside of filesIn(folder)) {
    if (!/^\d+$/.test(inside) || !(await Deno.stat(`${folder}/${inside}`)).isDirectory) continue;
    const metadata = JSON.parse(await Deno.readTextFile(`${folder}/${inside}/metadata.jsonl`));
    for (const name of filesIn(`${folder}/${inside}/samples`)) {
      if (!/^\d+\.png/.test(name)) continue;
      const path = `${inside}/samples/${name}`;
      found[path] = { metadata, png: (await Deno.readFile(`${folder}/${path}`)).toHex() };
    }
  }
  return found;
}

/** The first captions of the bundled model's test, as lines. */
async function captions(count: number): Promise<string[]> {
  const content = await Deno.readTextFile(fixture("golden/demo-t2i/captions.jsonl"));
  return content.split("\n").slice(0, count);
}

testInFolder("varscale run: GenEval's metadata becomes the folder that its scorer reads", async (folder) => {
  const lines = await captions(3);
  await Deno.writeTextFile(`${folder}/metadata.jsonl`, `${lines.join("\n")}\n`);
  const output = `${folder}/out`;
  const args = ["run", ...await model(folder), "--metadata", `${folder}/metadata.jsonl`];
  const { out } = await succeed(...args, "-o", output, "--seed", "5", "--batch", "5");
  assertMatch(out, /^12 of 12 images are in .*out: 12 made in /);
  assertEquals(filesIn(output), [".lock", "00000", "00001", "00002", "run.json"]);
  const images = await scored(output);
  assertEquals(Object.keys(images).length, 12);
  assertEquals(images["00002/samples/00003.png"]!.metadata, JSON.parse(lines[2]!));
  assertEquals(await Deno.readTextFile(`${output}/00001/metadata.jsonl`), `${lines[1]}\n`);
  assertEquals(new Set(Object.values(images).map(({ png }) => png)).size, 12);

  const { settings, prompts, imagesPerPrompt } = JSON.parse(await Deno.readTextFile(`${output}/run.json`));
  assertEquals(prompts, lines.map((line) => JSON.parse(line).prompt));
  assertEquals([imagesPerPrompt, settings.seed, settings.sharedNoise], [4, 5, false]);
  await using loaded = await loadModel({ net, text }, { device: "cpu" });
  const { varScaling } = await import("../../mod.ts");
  const { alpha, conflictThreshold, cfg } = loaded.search.published;
  const wanted = await generate(loaded, {
    labels: prompts[2],
    indices: [3 * 2 ** 16 + 2],
    seed: 5,
    cfg,
    hooks: [varScaling({ samples: 8, alpha, conflictThreshold })],
  });
  const { data } = RgbaImage.decode(await Deno.readFile(`${output}/00002/samples/00003.png`));
  assertEquals(data, wanted.images[0]!.data);
});

testInFolder(
  "varscale run: a run of prompts is taken up, split and grown as one of classes",
  async (folder) => {
    const lines = await captions(5);
    const file = async (count: number): Promise<string> => {
      await Deno.writeTextFile(`${folder}/first${count}.jsonl`, `${lines.slice(0, count).join("\n")}\n`);
      return `${folder}/first${count}.jsonl`;
    };
    const args = ["run", ...await model(folder), "--n_samples", "3"];
    await succeed(...args, "--metadata_file", await file(5), "-o", `${folder}/whole`);
    const whole = await scored(`${folder}/whole`);
    assertEquals(Object.keys(whole).length, 15);

    // Each part in a folder of its own, and then all in one.
    const parts: string[] = [];
    for (const part of ["1/4", "2/4", "3/4", "4/4"]) {
      const output = `${folder}/part${part[0]}`;
      await succeed(...args, "--metadata", await file(5), "-o", output, "--shard", part, "--batch", "2");
      for (const [path, image] of Object.entries(await scored(output))) {
        assertEquals(image, whole[path]);
        parts.push(path);
      }
    }
    assertEquals(parts, Object.keys(whole));

    // Fewer prompts and images of each first; one is lost, one half-written, and one is in the making.
    const output = `${folder}/grown`;
    await succeed(...args.slice(0, -1), "2", "--metadata", await file(3), "-o", output);
    const few = await scored(output);
    assertEquals(Object.keys(few).length, 6);
    for (const [path, image] of Object.entries(few)) assertEquals(image, whole[path]);
    const [lost, half] = Object.keys(few) as [string, string];
    await Deno.remove(`${output}/${lost}`);
    await Deno.writeFile(`${output}/${half}`, (await Deno.readFile(`${output}/${half}`)).subarray(0, -3));
    await Deno.writeTextFile(`${output}/${lost}.${crypto.randomUUID()}.tmp`, "half");
    const { out } = await succeed(...args, "--metadata", await file(5), "-o", output);
    assertStringIncludes(out, "15 of 15 images are in");
    assertStringIncludes(out, "11 made in");
    assertEquals(await scored(output), whole);
    assertEquals(filesIn(`${output}/00000/samples`).length, 3);
    const again = await succeed(...args, "--metadata", await file(5), "-o", output);
    assertStringIncludes(again.out, "all of them were");

    // What would shrink it, or mean another prompt.
    await Deno.writeTextFile(`${folder}/other.jsonl`, [...lines.slice(0, 4), lines[0]].join("\n"));
    const { tag: _tag, ...known } = JSON.parse(lines[0]!);
    await Deno.writeTextFile(
      `${folder}/untagged.jsonl`,
      [JSON.stringify(known), ...lines.slice(1)].join("\n"),
    );
    for (
      const [more, message] of [
        [["--metadata", await file(3)], 'prompt 3 is "'],
        [["--metadata", `${folder}/other.jsonl`], 'prompt 4 is "'],
        [["--metadata", `${folder}/untagged.jsonl`], "00000/metadata.jsonl tells something else"],
        [["--metadata", await file(5), "--seed", "1"], "seed is 0 there and 1 here"],
      ] as const
    ) {
      const { code, err } = await run([...args, ...more, "-o", output]);
      assertEquals(code, 2, err);
      assertStringIncludes(err, "Cannot go on in ");
      assertStringIncludes(err, message);
    }
    assertEquals(await scored(output), whole);
  },
);

testInFolder(
  "varscale run: plain prompts are in the same folders, doubles and failures among them",
  async (folder) => {
    const prompts = ["a cat", "nothing at all", "a cat", "ドーナツ, blue\tsea"];
    await Deno.writeTextFile(`${folder}/prompts.txt`, `${prompts.join("\n")}\n`);
    const output = `${folder}/out`;
    const args = [
      "run",
      ...await model(folder),
      "--prompts",
      `${folder}/prompts.txt`,
      "-n",
      "2",
      "-o",
      output,
    ];
    failing.add("nothing at all");
    const { code, out, err } = await run([...args, "--shared-noise"]);
    failing.clear();
    assertEquals(code, 1);
    assertStringIncludes(out, "6 of 8 images are in");
    assertStringIncludes(err, "00001/samples/00000.png failed: Cannot paint nothing at all");
    assertEquals(
      JSON.parse(await Deno.readTextFile(`${output}/failed.json`)),
      [0, 1].map((image) => ({
        file: `00001/samples/0000${image}.png`,
        label: "nothing at all",
        reason: "Cannot paint nothing at all",
      })),
    );
    const images = await scored(output);
    assertEquals(Object.keys(images).length, 6);
    // With shared noise, the same prompt is the same picture.
    assertEquals(images["00000/samples/00001.png"], images["00002/samples/00001.png"]);
    assert(images["00000/samples/00001.png"]!.png !== images["00000/samples/00000.png"]!.png);
    assertEquals(images["00003/samples/00000.png"]!.metadata, { prompt: prompts[3] });

    const again = await succeed(...args, "--shared-noise");
    assertStringIncludes(again.out, "8 of 8 images are in");
    assertEquals(filesIn(output).includes("failed.json"), false);
    for (const pack of [["npz", output], [...args, "--npz"]]) {
      const { code, err } = await run(pack);
      assertEquals(code, 2, err);
      assertMatch(err, /archive has (those|the images) of classes/);
    }
  },
);

testInFolder(
  "varscale run: prompts and classes are not mixed up, and what is refused leaves nothing",
  async (folder) => {
    const texts = await model(folder);
    await Deno.writeTextFile(`${folder}/prompts.txt`, "a cat\n");
    await Deno.writeTextFile(`${folder}/empty.txt`, "\n");
    const before = filesIn(folder);
    const prompts = ["--prompts", `${folder}/prompts.txt`];
    const classes = ["--model", "demo", "--device", "cpu"];
    for (
      const [args, message] of [
        [texts, "it takes texts; use --prompts or --metadata"],
        [
          [...classes, ...prompts],
          'Cannot make images of prompts as the model "demo" takes classes; use --classes',
        ],
        [[...texts, ...prompts, "--classes", "3"], "Options --classes and --prompts exclude each other"],
        [
          [...texts, ...prompts, "--metadata", `${folder}/prompts.txt`],
          "Options --prompts and --metadata exclude each other",
        ],
        [
          [...texts, "--metadata", `${folder}/prompts.txt`],
          "must name a file that tells more than prompts; use --prompts",
        ],
        [[...texts, "--prompts", `${folder}/empty.txt`], "it has no prompts"],
        [[...texts, "--prompts", `${folder}/none`], `Cannot read ${folder}/none: no such file`],
        [[...texts, ...prompts, "-n", "257"], "Option --num-images must be at most 256 for prompts"],
        [
          [...texts, ...prompts, "--bandwidth", "batch", "--batch", "2"],
          "--bandwidth batch couples all images of a prompt",
        ],
      ] as const
    ) {
      const { code, err } = await run(["run", ...args, "-o", `${folder}/a/b`]);
      assertEquals(code, 2, err);
      assertStringIncludes(err, message);
      assertEquals(filesIn(folder), before);
    }
    // The folder of another kind of run, or of images that nobody knows.
    await succeed("run", ...classes, "--classes", "1", "-n", "1", "--no-scaling", "-o", `${folder}/classes`);
    const mixed = await run(["run", ...texts, ...prompts, "--no-scaling", "-o", `${folder}/classes`]);
    assertEquals(mixed.code, 2);
    assertStringIncludes(mixed.err, "its images are of classes there and of prompts here");
    await Deno.mkdir(`${folder}/strange/00000/samples`, { recursive: true });
    const strange = await run(["run", ...texts, ...prompts, "-o", `${folder}/strange`]);
    assertStringIncludes(strange.err, "it has images and no run.json");
  },
);
