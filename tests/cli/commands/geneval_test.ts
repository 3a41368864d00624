/**
 * `varscale geneval`: pictures that the bundled model has painted, scored in their folder; results that go
 * on, and what is wrong with either.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parseMetadata } from "../../../evaluation/geneval/metadata.ts";
import { parseGenEvalResults } from "../../../evaluation/geneval/results_file.ts";
import { CaptionOracle } from "../../../evaluation/judges/caption_oracle.ts";
import { decodeImage, RgbaImage } from "../../../mod.ts";
import { boxesModel, DESCRIBED, plain } from "../../evaluation/geneval/tiny_detectors.ts";
import { CLIP_TOKENIZER, publishedFile } from "../../models/vision/published_networks.ts";
import { filesIn, fixture, run, succeed, testInFolder } from "../run.ts";

const CAPTIONS = fixture("golden/demo-t2i/captions.jsonl");
const OFFICIAL = fixture("evaluation/geneval/results.jsonl");
const ORACLE = ["--detector", "demo-t2i-oracle", "--device", "cpu"];

/** Writes every 20th caption, and paints it twice. */
async function paint(folder: string): Promise<{ readonly metadata: string; readonly images: string }> {
  const [metadata, images] = [`${folder}/metadata.jsonl`, `${folder}/images`];
  const lines = (await Deno.readTextFile(CAPTIONS)).trim().split("\n").filter((_, i) => i % 20 === 0);
  await Deno.writeTextFile(metadata, `${lines.join("\n")}\n`);
  const args = ["--metadata", metadata, "--num-images", "2", "--device", "cpu", "--quiet"];
  await succeed("run", "--model", "demo-t2i", ...args, "--output", images);
  return { metadata, images };
}

testInFolder("varscale geneval: pictures of the bundled model, as its judge sees them", async (folder) => {
  const { metadata, images } = await paint(folder);
  const { out, err } = await succeed("geneval", images, ...ORACLE, "--metadata", metadata);
  assertStringIncludes(out, "GenEval-like, judged by demo-t2i-oracle ");
  assertStringIncludes(err, `20 results are in ${images}/results.jsonl`);
  const results = parseGenEvalResults(await Deno.readTextFile(`${images}/results.jsonl`));
  assertEquals(results.length, 20);
  await using oracle = await CaptionOracle.open();
  const prompts = parseMetadata(await Deno.readTextFile(metadata));
  const pictures = await Promise.all(
    results.map(async ({ filename }) => decodeImage(await Deno.readFile(filename))),
  );
  const judged = await oracle.judge(pictures, results.map((_, i) => prompts[Math.floor(i / 2)]!));
  assertEquals(results.map(({ correct }) => correct), judged.map(({ right }) => right));
  assertEquals(results.map(({ reason }) => reason === ""), judged.map(({ right }) => right));
  // The model is good: what is wrong is a few pictures.
  const right = results.filter(({ correct }) => correct).length;
  assert(right > 14, `${right} of 20`);
  assertStringIncludes(out, `${(100 * right / 20).toFixed(2)} % of 20 pictures are right`);

  const shown = await succeed("geneval", "--read", `${images}/results.jsonl`);
  assertEquals(shown.out, out);

  // Half of a line and all that came after it are made anew, and come to the same.
  const text = await Deno.readTextFile(`${images}/results.jsonl`);
  await Deno.writeTextFile(`${images}/results.jsonl.part`, text.slice(0, Math.floor(text.length / 2)));
  await Deno.remove(`${images}/results.jsonl`);
  const again = await succeed("geneval", images, ...ORACLE);
  assertEquals(again.out, out);
  assertStringIncludes(again.err, "of them from before");
  assertEquals(await Deno.readTextFile(`${images}/results.jsonl`), text);
  assert(!filesIn(images).includes("results.jsonl.part"));

  const json = await succeed("geneval", images, ...ORACLE, "--json", "--quiet");
  assertEquals(json.err, "");
  const table = JSON.parse(json.out);
  assertEquals([table.title, table.images, table.prompts, table.tags.length], ["GenEval-like", 20, 10, 6]);

  // Another picture in the same place is another picture.
  await Deno.writeFile(`${images}/00000/samples/00001.png`, new RgbaImage(64, 64).png());
  const refused = await run(["geneval", images, ...ORACLE]);
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.err, "must have results of these pictures: it has one of another ");
  const anew = await succeed("geneval", images, ...ORACLE, "--overwrite", "--quiet");
  assert(anew.out !== out);
});

testInFolder("varscale geneval: shows the results of GenEval's own script", async () => {
  const { out } = await succeed("geneval", "--read", OFFICIAL);
  assertStringIncludes(out, "GenEval\n\nsingle_object  0.875  ");
  assertStringIncludes(out, "overall        0.425  ");
  assertStringIncludes(out, "45.57 % of 79 pictures are right; of 80.95 % of 21 prompts one is\n");
});

/** Writes pictures of one colour with their prompts, and a detector that sees the colour as a class. */
async function write(
  folder: string,
  prompts: readonly { readonly class: string; readonly color?: string }[],
): Promise<string> {
  for (const [i, requirement] of prompts.entries()) {
    const place = `${folder}/images/0000${i}`;
    await Deno.mkdir(`${place}/samples`, { recursive: true });
    const include = [{ count: 1, ...requirement }];
    const line = JSON.stringify({
      tag: requirement.color ? "colors" : "single_object",
      include,
      prompt: `${i}`,
    });
    await Deno.writeTextFile(`${place}/metadata.jsonl`, `${line}\n`);
    await Deno.writeFile(`${place}/samples/0000.png`, plain([255, 0, 0]).png());
  }
  await Deno.writeFile(`${folder}/tiny.onnx`, boxesModel());
  const description = { ...DESCRIBED, output: { kind: "boxes" }, labels: ["cone", "cup", "dog"] };
  await Deno.writeTextFile(`${folder}/detector.json`, JSON.stringify(description));
  return `${folder}/images`;
}

testInFolder(
  "varscale geneval: a detector of one's own, with CLIP for the colours or without any",
  async (folder) => {
    const images = await write(folder, [{ class: "cone" }, { class: "cup" }, {
      class: "cone",
      color: "red",
    }]);
    const detector = ["--detector", `${folder}/detector.json`, "--device", "cpu"];
    const none = await succeed(
      "geneval",
      images,
      ...detector,
      "--colors",
      "none",
      "--results",
      `${folder}/none.jsonl`,
    );
    assertStringIncludes(none.err, "left out, as nobody tells colours: 1 picture");
    assertStringIncludes(none.out, "GenEval-like, judged by tiny ");
    assertStringIncludes(none.out, ", no colours\n\nsingle_object  0.500");
    const results = parseGenEvalResults(await Deno.readTextFile(`${folder}/none.jsonl`));
    assertEquals(results.map(({ correct, reason }) => [correct, reason]), [[true, ""], [
      false,
      "cup: 1 wanted, 0 found",
    ]]);

    await Deno.mkdir(`${folder}/clip`);
    await Deno.writeFile(`${folder}/clip/model.safetensors`, await publishedFile("clip_hf"));
    await Deno.copyFile(CLIP_TOKENIZER, `${folder}/clip/tokenizer.json`);
    const { out } = await succeed("geneval", images, ...detector, "--colors", `clip:${folder}/clip`);
    assertStringIncludes(out, ", colours by clip ");
    assertStringIncludes(out, "of 3 pictures are right");

    const other = await run(["geneval", images, ...detector, "--colors", "none"]);
    assertEquals(other.code, 2);
    assertStringIncludes(other.err, "must have results by tiny ");
  },
);

testInFolder(
  "varscale geneval: what cannot be scored is refused before anything is written",
  async (folder) => {
    const images = await write(folder, [{ class: "fox" }, { class: "owl" }, {
      class: "cone",
      color: "beige",
    }]);
    const detector = ["--detector", `${folder}/detector.json`, "--device", "cpu", "--quiet"];
    const refuse = async (words: string, code: number, ...args: string[]): Promise<void> => {
      const outcome = await run(["geneval", ...args]);
      assertEquals([outcome.code, outcome.out], [code, ""], outcome.err);
      assertStringIncludes(outcome.err, words);
      assert(!filesIn(images).some((name) => name.startsWith("results")));
    };
    await refuse('the classes "fox", "owl" and the colours "beige"', 2, images, ...detector);
    await refuse('the classes "fox", "owl"\n', 2, images, ...detector, "--colors", "none");
    await refuse("Option --detector is needed", 2, images);
    await refuse("FOLDER is needed", 2);
    await refuse(
      "no such file",
      2,
      images,
      "--detector",
      `${folder}/none.json`,
      "--device",
      "cpu",
      "--quiet",
    );
    await refuse("must be clip, clip:PLACE or none", 2, images, ...detector, "--colors", "eyes");
    await refuse(`Cannot read ${folder}/none: no such file`, 2, `${folder}/none`, ...detector);
    await refuse("--read only shows results", 2, "--read", OFFICIAL, "--detector", "x");
    await refuse('Unexpected argument "more"', 2, images, "more", ...detector);
    await refuse("line 1 of", 2, "--read", `${folder}/detector.json`);
    await refuse(
      "choose another --results",
      2,
      images,
      ...detector,
      "--results",
      `${folder}/tiny.onnx/results.jsonl`,
    );
    await Deno.remove(`${images}/00001/samples/0000.png`);
    await refuse("each prompt must have 1 of 1 pictures", 2, images, ...detector);
    await Deno.writeTextFile(`${folder}/bad.jsonl`, "{}\n");
    await refuse("line 1 of", 2, images, ...detector, "--metadata", `${folder}/bad.jsonl`);
    await Deno.remove(`${images}/00001/metadata.jsonl`);
    await refuse("00001/metadata.jsonl is missing", 2, images, ...detector);
  },
);
