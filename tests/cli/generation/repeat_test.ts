/** A picture alone is enough to make it again, whatever command made it, and is not trusted beyond that. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { readRecipe, type Recipe, RECIPE_KEYWORD } from "../../../cli/generation/recipe.ts";
import { repeatableRecipe } from "../../../cli/generation/repeat.ts";
import type { RunRecord } from "../../../cli/generation/run_record.ts";
import { generate, loadModel, RgbaImage, withPngText } from "../../../mod.ts";
import { filesIn, run, succeed, testInFolder } from "../run.ts";
import { FIRST_RECIPE } from "./first_recipe.ts";

const CPU = ["--device", "cpu", "--threads", "1", "-q"];

/** Repeats a picture from a folder where nothing else is, and gives what came of it. */
async function repeatAlone(
  file: string,
  folder: string,
): Promise<{ readonly repeat: unknown; readonly files: string[] }> {
  const alone = await Deno.makeTempDir({ dir: folder });
  await Deno.copyFile(file, `${alone}/renamed.bin`);
  const args = ["generate", "--repeat", `${alone}/renamed.bin`, "--device", "cpu", "--json", "-q"];
  const { out } = await succeed(...args, "-o", `${alone}/again`);
  const files = filesIn(`${alone}/again`).filter((name) => name !== "run.json");
  return { repeat: JSON.parse(out).repeat, files: files.map((name) => `${alone}/again/${name}`) };
}

async function assertRepeated(file: string, folder: string, name: string): Promise<void> {
  const { repeat, files } = await repeatAlone(file, folder);
  assertEquals(repeat, { images: 1, sameTokens: 1, sameFiles: 1 }, file);
  assertEquals(files.map((path) => path.split("/").at(-1)), [name]);
  assertEquals(await Deno.readFile(files[0]!), await Deno.readFile(file), file);
}

testInFolder("varscale generate: a picture is repeated by itself, to the byte", async (folder) => {
  const kept = ["--method", "best-of-n", "--attempts", "3", "--keep", "2", "--verifier", "density"];
  await succeed("generate", "red torus", "blue cone", "--seed", "7", ...kept, ...CPU, "-o", `${folder}/kept`);
  const second = `${folder}/kept/001_blue-cone_1.png`;
  await assertRepeated(second, folder, "001_blue-cone.png");

  // The bandwidth couples the pictures of a batch, so that one alone would be another one.
  const coupled = ["--count", "3", "--compare", "--preset", "published", "--samples", "16", "--batch", "2"];
  await succeed(
    "generate",
    "red torus",
    "--seed",
    "18446744073709551615",
    ...coupled,
    ...CPU,
    "-o",
    `${folder}/coupled`,
  );
  const searched = `${folder}/coupled/001_red-torus_var-scaling.png`;
  const { request } = readRecipe(await Deno.readFile(searched))!;
  assertEquals([request.indices, request.batch, request.only], [[0, 1], 2, { index: 1, picture: 0 }]);
  await assertRepeated(searched, folder, "001_red-torus.png");
  const plain = `${folder}/coupled/001_red-torus_plain.png`;
  assertEquals(readRecipe(await Deno.readFile(plain))!.request.indices, [1]);

  // The sheet repeats all of them, and its record repeats them once more.
  const { repeat, files } = await repeatAlone(`${folder}/coupled/grid.png`, folder);
  assertEquals(repeat, { images: 6, sameTokens: 6, sameFiles: 6 });
  for (const path of files) {
    assertEquals(
      await Deno.readFile(path),
      await Deno.readFile(`${folder}/coupled/${path.split("/").at(-1)}`),
    );
  }
  assertEquals(files.length, 7);
});

testInFolder(
  "varscale generate: what was repeated from a picture has a record that repeats it",
  async (folder) => {
    await Deno.writeFile(
      `${folder}/first.png`,
      withPngText(new RgbaImage(1, 1).png(), RECIPE_KEYWORD, JSON.stringify(FIRST_RECIPE)),
    );
    const { err } = await succeed(
      "generate",
      "--repeat",
      `${folder}/first.png`,
      ...CPU,
      "--stepwise",
      "-o",
      `${folder}/a`,
    );
    assertEquals(filesIn(`${folder}/a`), ["005_red-torus.png", "005_red-torus_stepwise.png", "run.json"]);
    assertEquals(err, "");
    await using model = await loadModel("demo", { device: "cpu", threads: 1, cpuProvider: "wasm" });
    const { images: [image] } = await generate(model, { labels: 32, seed: 7, indices: [5] });
    assertEquals(RgbaImage.decode(await Deno.readFile(`${folder}/a/005_red-torus.png`)).data, image!.data);

    const record: RunRecord = JSON.parse(await Deno.readTextFile(`${folder}/a/run.json`));
    assertEquals([record.request.indices, record.request.stepwise], [[5], true]);
    await succeed("generate", "--repeat", `${folder}/a/run.json`, ...CPU, "-o", `${folder}/b`);
    for (const name of ["005_red-torus.png", "005_red-torus_stepwise.png"]) {
      assertEquals(await Deno.readFile(`${folder}/b/${name}`), await Deno.readFile(`${folder}/a/${name}`));
    }
  },
);

testInFolder(
  "varscale run: its pictures are repeated one by one, of classes and of prompts",
  async (folder) => {
    const classes = ["run", "--model", "demo", "--classes", "3,5", "-n", "2", "--samples", "8"];
    await succeed(...classes, ...CPU, "-o", `${folder}/classes`);
    await assertRepeated(`${folder}/classes/class_5_img_1.png`, folder, "069_blue-sphere.png");
    // The bytes are the same in any batch, in parts, and with the same numbers for all classes each its own.
    await succeed(...classes, ...CPU, "--batch", "1", "--shard", "1/2", "-o", `${folder}/parts`);
    await succeed(...classes, ...CPU, "--batch", "3", "--shard", "2/2", "-o", `${folder}/parts`);
    for (const name of filesIn(`${folder}/classes`).filter((name) => name.endsWith(".png"))) {
      assertEquals(
        await Deno.readFile(`${folder}/parts/${name}`),
        await Deno.readFile(`${folder}/classes/${name}`),
      );
    }
    const shared = [
      "run",
      "--model",
      "demo",
      "--classes",
      "3,5",
      "-n",
      "1",
      "--shared-noise",
      "--no-scaling",
    ];
    await succeed(...shared, ...CPU, "-o", `${folder}/shared`);
    await assertRepeated(`${folder}/shared/class_5_img_0.png`, folder, "000_blue-sphere.png");

    await Deno.writeTextFile(`${folder}/prompts.txt`, "two red spheres\na blue cone\n");
    await succeed(
      ...["run", "--model", "demo-t2i", "--prompts", `${folder}/prompts.txt`, "-n", "1", "--no-scaling"],
      ...[...CPU, "-o", `${folder}/prompts`],
    );
    await assertRepeated(`${folder}/prompts/00001/samples/00000.png`, folder, "001_a-blue-cone.png");
  },
);

testInFolder("varscale edit: a picture is repeated beside what it was made of", async (folder) => {
  await Deno.writeFile(`${folder}/photo.png`, new RgbaImage(64, 64).png());
  const args = ["edit", `${folder}/photo.png`, "--label", "red cube", "--box", "0,0.5,1,1", ...CPU];
  await succeed(...args, "-o", `${folder}/out`);
  const file = `${folder}/out/000_red-cube.png`;
  const { out } = await succeed("generate", "--repeat", file, ...CPU, "--json", "-o", `${folder}/again`);
  assertEquals(JSON.parse(out).repeat, { images: 1, sameTokens: 1, sameFiles: 1 });
  assertEquals(await Deno.readFile(`${folder}/again/000_red-cube.png`), await Deno.readFile(file));
  await Deno.rename(file, `${folder}/moved.png`);
  const { code, err } = await run(["generate", "--repeat", `${folder}/moved.png`, "-o", `${folder}/x`]);
  assertEquals([code, err.split("\n")[0]], [
    2,
    `varscale: Cannot repeat ${folder}/moved.png: it was made of another picture, which must lie beside it as source.png`,
  ]);
});

testInFolder(
  "varscale generate: a file that nothing can be repeated from is refused with what is wanted",
  async (folder) => {
    const bare = new RgbaImage(2, 2).png();
    const recipe = (change: (recipe: Recipe) => unknown): Uint8Array<ArrayBuffer> => {
      return withPngText(bare, RECIPE_KEYWORD, JSON.stringify(change(structuredClone(FIRST_RECIPE))));
    };
    const wanted = "it must be a run.json, or a PNG file with the recipe that varscale writes into it: ";
    const cases: readonly (readonly [Uint8Array<ArrayBuffer>, string])[] = [
      [bare, `${wanted}this one has none`],
      [withPngText(bare, "parameters", "a cat, steps: 20"), `${wanted}this one has none`],
      [new Uint8Array([0xff, 0xd8, 0xff, 0xe0]), "it is a JPEG"],
      [
        new TextEncoder().encode("two red spheres\n"),
        `${wanted}Cannot read the text "varscale" of a PNG of 16 bytes: it does not start as a PNG file does`,
      ],
      [bare.subarray(0, 50), "it ends too early"],
      [withPngText(bare, RECIPE_KEYWORD, "{"), "it is no JSON"],
      [recipe((it) => ({ ...it, version: 9 })), "its version must be 1: current value is 9"],
      [
        recipe((it) => ({ ...it, model: { ...it.model, place: { folder: "https://example.org/model" } } })),
        "its model is at https://example.org/model, and no picture is trusted to name an address; name it with --model",
      ],
      [
        recipe((it) => ({
          ...it,
          model: { ...it.model, place: { varCkpt: "\\\\host\\share\\a.pth", vaeCkpt: "b" } },
        })),
        "its model is at \\\\host\\share\\a.pth, and no picture is trusted",
      ],
      [
        recipe((it) => ({
          ...it,
          variants: [{
            name: "best-of-n",
            hooks: [],
            verifier: { name: "x", place: "clip:http://10.0.0.1/x" },
          }],
        })),
        "its verifier is at clip:http://10.0.0.1/x, and no picture is trusted to name an address",
      ],
      [
        recipe((it) => ({
          ...it,
          variants: [{ name: "x", hooks: [{ name: "teleport", settings: {} }] }],
        })),
        'Cannot repeat the run: The hook "teleport" is unknown',
      ],
      [
        recipe((it) => ({ ...it, request: { ...it.request, only: { index: 5, picture: 4 } } })),
        "Cannot make picture 4 of image 5: there are 1 of each of 1 images",
      ],
    ];
    for (const [i, [bytes, message]] of cases.entries()) {
      const file = `${folder}/${i}.png`;
      await Deno.writeFile(file, bytes);
      const { code, err } = await run(["generate", "--repeat", file, ...CPU, "-o", `${folder}/out`]);
      assertEquals(code, 2, err);
      assertStringIncludes(err, message);
    }
    assertEquals(filesIn(folder).includes("out"), false);
    const other = await run(["generate", "--repeat", `${folder}/0.png`, "--seed", "3"]);
    assertStringIncludes(other.err, "this one has none");
  },
);

Deno.test("repeatableRecipe: a model elsewhere is only refused where its place is asked for", () => {
  const far = {
    ...FIRST_RECIPE,
    model: { ...FIRST_RECIPE.model, place: { folder: "http://example.org/m" } },
  };
  const { request, outcomes, device } = repeatableRecipe(far, "far.png");
  assertEquals([request.indices, outcomes[0]!.index, device.name], [[5], 5, "a CPU"]);
  // What a recipe may not ask for does not reach the request.
  const request_ = { ...FIRST_RECIPE.request, count: 1e6, memory: 1, textFeatures: "/etc/passwd", hooks: [] };
  const { request: asked } = repeatableRecipe({ ...FIRST_RECIPE, request: request_ }, "strange.png");
  assertEquals(Object.keys(asked).sort(), Object.keys(FIRST_RECIPE.request).sort());
});

testInFolder(
  "varscale generate: a picture of other weights says so, and what is not the same",
  async (folder) => {
    const other = structuredClone(FIRST_RECIPE) as { model: { fingerprints: Record<string, string> } };
    other.model.fingerprints["transformer.safetensors"] = createHash("sha256").digest("hex");
    const png = withPngText(new RgbaImage(1, 1).png(), RECIPE_KEYWORD, JSON.stringify(other));
    await Deno.writeFile(`${folder}/other.png`, png);
    const { out, err } = await succeed(
      "generate",
      "--repeat",
      `${folder}/other.png`,
      ...CPU,
      "--json",
      "-o",
      `${folder}/out`,
    );
    assertStringIncludes(
      err,
      "the weights are not those of the recorded run: transformer.safetensors differ",
    );
    assertEquals(JSON.parse(out).repeat, { images: 1, sameTokens: 0, sameFiles: 0 });
  },
);
