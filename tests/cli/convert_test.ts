/**
 * `varscale convert`: a folder that the other commands can use.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { filesIn, fixture, run, succeed, testInFolder } from "./run.ts";

const CHECKPOINTS = [
  ...["--var-ckpt", fixture("golden/var-adaln/var.pth")],
  ...["--vae-ckpt", fixture("golden/var-adaln/vae.pth")],
];

testInFolder("A converted model is whole, named, and generates", async (folder) => {
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

testInFolder(
  "An existing folder stays unless it may be replaced, and failures leave nothing",
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
