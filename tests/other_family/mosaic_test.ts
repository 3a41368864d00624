/**
 * A family that is as unlike the others as can be is registered, and nothing else: then the library and the
 * command line generate, search, edit, preview, convert, inspect and repeat with it.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  generate,
  type GenerateRequest,
  loadModel,
  type Model,
  reconstruct,
  registerFamily,
  RgbaImage,
  type ScaleHook,
  varScaling,
  type VarScalingDecision,
} from "../../mod.ts";
import { openModelSource } from "../../models/mod.ts";
import { checkpoint } from "./checkpoint.ts";
import { BITS, bytesNeeded, MOSAIC } from "./mosaic.ts";

registerFamily(MOSAIC);
// The command line makes its options of the families that are registered when it is loaded.
const { filesIn, run, succeed, testInFolder } = await import("../cli/run.ts");

const net = await checkpoint("colors.weight", [3, BITS], 12.9898);
const text = await checkpoint("letters.weight", [128, BITS], 78.233);

async function withModel(test: (model: Model) => Promise<void>): Promise<void> {
  await using model = await loadModel({ net, text }, { device: "cpu" });
  await test(model);
}

Deno.test("MOSAIC: checkpoints of another family are recognised by their tensors", () =>
  withModel(async (model) => {
    assertEquals([model.family, model.name, model.size], ["mosaic", "Mosaic", "tiny"]);
    assertEquals(model.labels, { kind: "texts" });
    await assertRejects(() => loadModel({ net }, { device: "cpu" }), Error, "text");
  }));

Deno.test("MOSAIC: prompts become pictures that are not square, the same in any batch", () =>
  withModel(async (model) => {
    const labels = ["a cat", "a dog", "ships"];
    const { images, trace } = await generate(model, { labels, size: { width: 20, height: 12 }, seed: 3 });
    assertEquals(images.map(({ width, height }) => [width, height]), Array(3).fill([20, 12]));
    assertEquals(images.map(({ caption }) => caption), ["a cat #0", "a dog #1", "ships #2"]);
    assertEquals(images[0]!.tokens.map(({ length }) => length), [2, 2 * 3 * 2, 2 * 5 * 3, 2 * 10 * 6]);
    assertEquals(trace.readbacks, 1);
    const { images: alone } = await generate(model, {
      ...{ labels, size: { width: 20, height: 12 }, seed: 3, batch: 1 },
    });
    assertEquals(alone.map(({ data }) => data), images.map(({ data }) => data));
    assertNotEquals(images[0]!.data, images[1]!.data);
  }));

Deno.test("MOSAIC: where there are no classes, a prompt is needed, and its own options are its own", () =>
  withModel(async (model) => {
    await assertRejects(() => generate(model), TypeError, "prompt");
    await assertRejects(() => generate(model, { labels: 3 }), TypeError, "a prompt must be a text");
    await assertRejects(() => generate(model, { labels: "x", moreSmooth: true }), RangeError, "moreSmooth");
    await assertRejects(
      () => generate(model, { labels: "x", familyOptions: { maxpn: 3 } }),
      TypeError,
      "maxpn",
    );
    await assertRejects(() => generate(model, { labels: "x", published: true }), RangeError, "nothing was");
  }));

Deno.test("MOSAIC: guidance goes by the schedule: constant, scale by scale, and off", () =>
  withModel(async (model) => {
    const weights = async (request: GenerateRequest): Promise<number[]> => {
      const seen: number[] = [];
      const watch: ScaleHook = { name: "watch", choose: (step) => void seen.push(step.guidanceWeight) };
      await generate(model, { labels: "a cat", hooks: [watch], ...request });
      return seen;
    };
    assertEquals(await weights({}), [2, 2, 2, 2]);
    assertEquals(await weights({ cfg: [1, 2, 3, 5] }), [0, 1, 2, 4]);
    assertEquals(await weights({ cfg: [1, 1, 1, 1, 9] }), [0, 0, 0, 0]);
    assertEquals(await weights({ cfg: 1 }), [0, 0, 0, 0]);
    assertEquals(await weights({ labels: null }), [0, 0, 0, 0]);
    assertEquals(await weights({ guidance: "ramp", cfg: 3 }), [0, 1, 2, 3]);
    assertEquals(await weights({ guidance: "ramp", cfg: [9, 6, 3, 1] }), [0, 2, 2, 1]);
  }));

Deno.test("MOSAIC: VAR-Scaling searches among bits, on the scale and with the threshold of the family", () =>
  withModel(async (model) => {
    const request = { labels: ["a cat", "a dog"], seed: 1, cfg: 1, temperature: 1 };
    const { images } = await generate(model, { ...request, hooks: [varScaling({ samples: 20 })] });
    const { images: plain } = await generate(model, request);
    for (const [i, { decisions, tokens }] of images.entries()) {
      assertEquals(decisions.map(({ scale }) => scale), [2]);
      const { samples, alpha, kept, max, mean } = decisions[0]!.value as VarScalingDecision;
      assertEquals([samples, alpha], [20, 1.1]);
      assert(max >= mean && kept.length <= 10);
      assertEquals(tokens.slice(0, 2), plain[i]!.tokens.slice(0, 2));
    }
    assert(images.some(({ tokens }, i) => `${tokens[2]}` !== `${plain[i]!.tokens[2]}`));
    // What is left open is the family's: 30 candidates, of which the 5 densest are kept.
    const { images: [left] } = await generate(model, { ...request, hooks: [varScaling()] });
    const { samples, kept } = left!.decisions[0]!.value as VarScalingDecision;
    assertEquals([samples, kept.length], [30, 5]);
  }));

Deno.test("MOSAIC: pictures of any shape are edited, expanded, previewed, gathered and reconstructed", () =>
  withModel(async (model) => {
    const size = { width: 16, height: 8 };
    const image = new RgbaImage(16, 8);
    for (let i = 0; i < 128; i++) image.data.fill(i % 16 < 8 ? 255 : 0, 4 * i, 4 * i + 3);
    for (let i = 0; i < 128; i++) image.data[4 * i + 3] = 255;
    const { images: [edited] } = await generate(model, {
      ...{ labels: "a cat", size, edit: { image, box: [0, 0.5, 1, 1], fit: "exact" as const } },
    });
    const finest = edited!.tokens[3]!;
    for (let row = 0; row < 4; row++) {
      assertEquals([...finest.subarray(16 * row, 16 * row + 8)], Array(4).fill([0xffffffff, 0xff]).flat());
    }
    const small = new RgbaImage(8, 8);
    small.data.fill(255);
    const { images: [expanded] } = await generate(model, {
      ...{ labels: "a cat", size, edit: { image: small, expand: true } },
    });
    for (let row = 0; row < 4; row++) {
      assertEquals([...expanded!.tokens[3]!.subarray(16 * row + 4, 16 * row + 12)], [
        ...Array(4).fill([0xffffffff, 0xff]).flat(),
      ]);
    }
    const sizes: number[][] = [];
    const first: ScaleHook = {
      name: "first of two",
      lanes: 2,
      scales: [1],
      gather: (step) => [...step.lanes.keys()].filter((row) => step.lanes[row]!.lane === 0),
    };
    for await (
      const event of generate.stream(model, { labels: ["a", "b"], size, previews: [0, 3], hooks: [first] })
    ) {
      if (event.type === "preview") {
        sizes.push(...event.images.map(({ image }) => [image.width, image.height]));
      }
    }
    assertEquals(sizes, Array(6).fill([16, 8]));
    const { images: [copy] } = await reconstruct(model, image, { size, progressive: true, fit: "exact" });
    assertEquals(copy!.stages.map(({ width, height }) => [width, height]), Array(4).fill([16, 8]));
    assertEquals(copy!.tokens[3]!.length, 2 * 8 * 4);
  }));

Deno.test("MOSAIC: the most precise type that fits is taken, by the bytes that the family tells", async () => {
  const needed = bytesNeeded({ bits: BITS, letters: 128 });
  const load = async (memory: number): Promise<[dtype: string, bytes: number]> => {
    await using model = await loadModel({ net, text }, { device: "cpu", memory });
    assertEquals(model.memoryLimit, memory);
    return [model.dtype, model.weightBytes];
  };
  assertEquals(await load(needed("f32")), ["f32", 4 * BITS * 131]);
  assertEquals(await load(needed("f32") - 1), ["f16", 2 * BITS * 131]);
  const error = await assertRejects(() => load(needed("f16") - 1), RangeError, "with one image");
  assertStringIncludes(error.message, `there are ${needed("f16") - 1}`);
  const told = await assertRejects(
    () => loadModel({ net, text }, { device: "cpu", memory: needed("f16"), dtype: "f32" }),
    RangeError,
  );
  assertEquals(
    told.message,
    `Cannot load the model as f32 as it needs ${needed("f32")} bytes with one image and there are ${
      needed("f16")
    }; possible are dtype: "f16"`,
  );
});

Deno.test("MOSAIC: a model folder of another family is written and read", async () => {
  using folder = await openModelSource({ net, text }, { dtype: "f16" });
  assertEquals([folder.manifest.family, folder.manifest.dtype], ["mosaic", "f16"]);
});

testInFolder("MOSAIC: the command line works with a family that it has never heard of", async (folder) => {
  const [netFile, textFile] = [`${folder}/net.safetensors`, `${folder}/text.safetensors`];
  await Deno.writeFile(netFile, net);
  await Deno.writeFile(textFile, text);
  const checkpoints = ["--net-ckpt", netFile, "--text-ckpt", textFile];
  const { out: help } = await succeed("generate", "--help");
  assertMatch(help, /--text-ckpt FILE\s+Checkpoint of the text encoder/);
  assertMatch(help, /--suffix TEXT\s+[^-]*What stands behind every prompt[^-]*Mosaic/);
  assertMatch(help, /--cfg X\|X,…[^-]*1\.5 for VAR[^-]*3\s+for Mosaic/);

  const output = `${folder}/out`;
  const { out } = await succeed(
    ...["generate", "a red cat", "a blue dog", ...checkpoints, "--size", "24x16", "--cfg", "1,2,3,4"],
    ...["--tau", "1,0.5,0.5,0.4", "--suffix", "!"],
    ...["--samples", "20", "--preview", "1", "--device", "cpu", "-o", output],
  );
  assertStringIncludes(out, "Mosaic, 24×16, cfg 1,2,3,4, suffix !");
  assertStringIncludes(out, "VAR-Scaling with 20 samples at scale 2");
  assertEquals(filesIn(output), [
    ...["000_a-red-cat.png", "000_a-red-cat_scale-1.png", "001_a-blue-dog.png", "001_a-blue-dog_scale-1.png"],
    ...["grid.png", "run.json"],
  ]);
  const image = RgbaImage.decode(await Deno.readFile(`${output}/000_a-red-cat.png`));
  assertEquals([image.width, image.height], [24, 16]);
  const { request } = JSON.parse(await Deno.readTextFile(`${output}/run.json`));
  assertEquals([request.cfg, request.temperature], [[1, 2, 3, 4], [1, 0.5, 0.5, 0.4]]);
  const { out: repeated } = await succeed(
    ...["generate", "--repeat", `${output}/run.json`, "-o", `${folder}/again`, "--device", "cpu"],
  );
  assertStringIncludes(repeated, "2 of 2 images with the same tokens, 2 with the same pixels");

  // A text is one, whatever stands in it.
  const listed = ["generate", "--labels", "1,000 cats,, dogs", ...checkpoints, "--device", "cpu", "--json"];
  const { out: printed } = await succeed(...listed, "-q", "-o", `${folder}/listed`);
  assertEquals(JSON.parse(printed).request.labels.map(({ prompt }: { prompt: string }) => prompt), [
    "1,000 cats,, dogs",
  ]);

  const { out: facts } = await succeed("inspect", netFile);
  assertMatch(facts, /family\s+Mosaic/);
  assertMatch(facts, /network\s+40 bits/);
  const converted = `${folder}/model`;
  await succeed("convert", ...checkpoints, "--output", converted);
  assertMatch((await succeed("inspect", converted)).out, /text encoder\s+128 letters/);
  await succeed(
    "generate",
    "a red cat",
    "--model",
    converted,
    "--device",
    "cpu",
    "-o",
    `${folder}/converted`,
  );

  const source = `${folder}/source.png`;
  await Deno.writeFile(source, new RgbaImage(12, 8).png());
  await succeed(
    ...["edit", source, "--label", "a cat", "--box", "0,0,0.5,0.5", "--model", converted, "--device", "cpu"],
    ...["-o", `${folder}/edited`],
  );
  await succeed("reconstruct", source, "--model", converted, "--device", "cpu", "-o", `${folder}/copies`);

  const refused = await run(["run", "--model", converted, "-o", `${folder}/run`, "--device", "cpu"]);
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.err, "classes");
  const all = await run(["generate", "all", "--model", converted, "--device", "cpu", "-o", `${folder}/all`]);
  assertEquals(all.code, 2, all.err);
  assertStringIncludes(all.err, "classes");
  const foreign = await run([
    "generate",
    "7",
    "--suffix",
    "!",
    "--device",
    "cpu",
    "-o",
    `${folder}/demo`,
  ]);
  assertEquals(foreign.code, 2);
  assertStringIncludes(foreign.err, "suffix");
});
