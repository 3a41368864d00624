/**
 * `varscale convert`: a folder that the other commands can use.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { openCheckpoint, writeSafetensors } from "../../../models/checkpoint/mod.ts";
import { filesIn, fixture, run, succeed, testInFolder } from "../run.ts";

const CHECKPOINTS = [
  ...["--var-ckpt", fixture("golden/var-adaln/var.pth")],
  ...["--vae-ckpt", fixture("golden/var-adaln/vae.pth")],
];

testInFolder("varscale convert: a converted model is whole, named, and generates", async (folder) => {
  const names = Array.from({ length: 10 }, (_, i) => `thing ${i}`);
  await Deno.writeTextFile(`${folder}/names.json`, JSON.stringify(names));
  const place = `${folder}/model`;
  const options = ["--name", "tiny", "--dtype", "f16", "--class-names", `${folder}/names.json`];
  const { out } = await succeed("convert", ...CHECKPOINTS, "--output", place, ...options);
  assertMatch(out, /^tiny, weights in f16, /);

  const report = JSON.parse((await succeed("inspect", place, "--json")).out);
  const { name, dtype, classNames } = report.manifest;
  assertEquals([name, dtype, classNames], ["tiny", "f16", names]);
  assert(report.files.every(({ problem }: { problem: unknown }) => problem === null));

  const output = ["--output", `${folder}/out`, "--device", "cpu", "--model", place];
  await succeed("generate", "thing 4", ...output);
  assertEquals(filesIn(`${folder}/out`), ["000_thing-4.png", "run.json"]);
});

testInFolder("varscale convert: the bundled models are found by their names", async (folder) => {
  for (const name of ["demo", "demo-t2i"]) {
    const place = `${folder}/${name}`;
    const { out } = await succeed("convert", "--model", name, "--dtype", "q8", "--output", place);
    assertMatch(out, new RegExp(`^${name}, weights in q8, `));
  }
});

testInFolder(
  "varscale convert: a folder is converted to another type, and keeps its names",
  async (folder) => {
    const names = Array.from({ length: 10 }, (_, i) => `thing ${i}`);
    await Deno.writeTextFile(`${folder}/names.json`, JSON.stringify(names));
    const settings = ["--name", "tiny", "--class-names", `${folder}/names.json`, "--tuned-alpha", "3"];
    await succeed("convert", ...CHECKPOINTS, "--output", `${folder}/f32`, ...settings);
    const from = ["--model", `${folder}/f32`];
    const { out } = await succeed("convert", ...from, "--dtype", "q4", "--output", `${folder}/q4`);
    assertMatch(out, /^tiny, weights in q4, /);
    const { manifest, files } = JSON.parse((await succeed("inspect", `${folder}/q4`, "--json")).out);
    assertEquals([manifest.name, manifest.dtype, manifest.classNames], ["tiny", "q4", names]);
    assertEquals(manifest.tuning, { alpha: 3 });
    const { tensors } = files.find(({ file }: { file: string }) => file === "transformer.safetensors");
    const types = new Map<string, string>(
      tensors.map(({ name, dtype }: { name: string; dtype: string }) => [name, dtype]),
    );
    assertEquals(
      ["blocks.0.attn.proj.weight", "head.weight", "class_emb.weight", "blocks.0.attn.proj.weight.scales"]
        .map((name) => types.get(name)),
      ["Q4", "Q8", "F32", undefined],
    );
    const shown = await succeed("inspect", `${folder}/q4`, "--tensors");
    assertMatch(
      shown.out,
      /^weights +q4, transformer [\d.]+ [KM]iB in 1 file, tokenizer [\d.]+ [KM]iB in 1 file$/m,
    );
    assertMatch(shown.out, /^ +blocks\.0\.attn\.proj\.weight +Q4 +\[128, 128\]$/m);

    const again = await run([
      "convert",
      "--model",
      `${folder}/q4`,
      "--dtype",
      "q8",
      "--output",
      `${folder}/q8`,
    ]);
    assertEquals(again.code, 1);
    assertStringIncludes(again.err, "Cannot convert weights that are quantized");
    for (const wrong of [[...from, ...CHECKPOINTS], CHECKPOINTS.slice(0, 2), []]) {
      const { code, err } = await run(["convert", ...wrong, "--output", `${folder}/q8`]);
      assertEquals(code, 2);
      assertMatch(err, wrong.length > 2 ? /exclude each other/ : /Option --(var|vae)-ckpt is needed/);
    }
    for (const source of [from, CHECKPOINTS]) {
      const { code, err } = await run(["convert", ...source, "--depth", "16", "--output", `${folder}/q8`]);
      assertEquals(code, 1);
      assertStringIncludes(err, "depth must be its own, 2: current value is 16");
    }
    assertEquals(filesIn(folder), ["f32", "names.json", "q4"]);
  },
);

testInFolder("varscale convert: a conversion that is ended by Ctrl-C leaves nothing", async (folder) => {
  const controller = new AbortController();
  const { open } = Deno;
  // In the middle: when the tokenizer's file is begun.
  Deno.open = async (path, options) => {
    if (String(path).endsWith("content/tokenizer.safetensors")) {
      assertEquals(filesIn(folder), ["model.partial"]);
      controller.abort(new Error("Interrupted"));
    }
    return await open(path, options);
  };
  try {
    const args = ["convert", ...CHECKPOINTS, "--output", `${folder}/model`];
    const { code } = await run(args, { signal: controller.signal });
    assert(code !== 0);
  } finally {
    Deno.open = open;
  }
  assertEquals(filesIn(folder), []);
});

testInFolder(
  "varscale convert: an existing folder stays unless it may be replaced, and failures leave nothing",
  async (folder) => {
    const place = `${folder}/model`;
    await Deno.mkdir(place);
    const args = ["convert", ...CHECKPOINTS, "--output", place];
    assertEquals((await run(args)).code, 2);
    const replaced = JSON.parse((await succeed(...args, "--overwrite", "--json")).out);
    assertEquals([replaced.output, replaced.name, replaced.dtype], [place, "VAR-d2", "f32"]);
    assertEquals(Object.keys(replaced.files).sort(), filesIn(place).filter((file) => file !== "model.json"));

    const swapped = [
      "--var-ckpt",
      fixture("golden/var-adaln/vae.pth"),
      "--vae-ckpt",
      fixture("golden/var-adaln/var.pth"),
    ];
    const { code, err } = await run(["convert", ...swapped, "--output", `${folder}/wrong`]);
    assertEquals(code, 1);
    assertStringIncludes(err, 'expected a tensor "pos_start"');
    assertEquals(filesIn(folder), ["model"]);
  },
);

testInFolder("varscale convert: of several sets of weights one is chosen by --weights", async (folder) => {
  using raw = await openCheckpoint(fixture("golden/var-adaln/var.pth"));
  const entries = ["model.", "ema.module."].flatMap((prefix) =>
    Array.from(raw.tensors.values(), ({ name, dtype, shape }) => {
      return { name: prefix + name, dtype, shape, bytes: () => raw.read(name) };
    })
  );
  const file = `${folder}/both.safetensors`;
  await writeSafetensors(file, entries);
  const args = ["--var-ckpt", file, ...CHECKPOINTS.slice(2)];
  const output = ["--output", `${folder}/model`];
  const { code, err } = await run(["convert", ...args, ...output]);
  assertEquals(code, 1);
  assertStringIncludes(err, 'option "weights"');
  assertStringIncludes(err, 'expected "model" or "ema.module"');
  await succeed("convert", ...args, ...output, "--weights", "ema");
  assertMatch((await succeed("inspect", file)).out, /^transformer weights +2 sets: "model", "ema.module"$/m);
  const alone = await run(["convert", "--model", "demo", "--output", `${folder}/demo`, "--weights", "ema"]);
  assertEquals(alone.code, 2);
  assertStringIncludes(
    alone.err,
    "Option --weights goes with --var-ckpt, --vae-ckpt, --infinity-ckpt or --t5-ckpt:",
  );
  // A record names the weights, too.
  const run1 = [...args, "--weights", "ema", "--device", "cpu", "--output", `${folder}/out`];
  await succeed("generate", "4", ...run1);
  assertEquals(JSON.parse(await Deno.readTextFile(`${folder}/out/run.json`)).model.place.weights, "ema");
  await succeed("generate", "--repeat", `${folder}/out/run.json`, "--output", `${folder}/again`);
});
