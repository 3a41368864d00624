/** What a picture carries: what happened, nothing of the machine, and nothing that is believed blindly. */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { readRecipe, type Recipe, RECIPE_KEYWORD } from "../../../cli/generation/recipe.ts";
import type { RunRecord } from "../../../cli/generation/run_record.ts";
import { readPngText, RgbaImage, withPngText } from "../../../mod.ts";
import { ROOT, succeed, testInFolder } from "../run.ts";
import { FIRST_RECIPE } from "./first_recipe.ts";

const CPU = ["--device", "cpu", "--threads", "1", "-q"];

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function recipeIn(file: string): Promise<Recipe> {
  return readRecipe(await Deno.readFile(file))!;
}

testInFolder("readRecipe: a picture tells what run.json tells of it", async (folder) => {
  const out = `${folder}/out`;
  const search = ["--method", "best-of-n", "--attempts", "2", "--verifier", "evidence"];
  await succeed("generate", "red torus", "blue cone", "--seed", "7", ...search, ...CPU, "-o", out);
  const record: RunRecord = JSON.parse(await Deno.readTextFile(`${out}/run.json`));
  for (const [i, { file, sha256: whole, pixels, tokens, attempt }] of record.images.entries()) {
    const png = await Deno.readFile(`${out}/${file}`);
    const bare = withPngText(png, RECIPE_KEYWORD, undefined);
    assertEquals([sha256(png), sha256(bare)], [whole, pixels]);
    assertEquals(RgbaImage.decode(png).data, RgbaImage.decode(bare).data);
    // Without it, the file is what the library writes of the pixels.
    assertEquals(RgbaImage.decode(png).png(), bare);
    const recipe = readRecipe(png)!;
    assertEquals(recipe.model, record.model);
    const { name: _name, threads: _threads, ...device } = record.device;
    assertEquals(recipe.device, device);
    const { labels, batch: _batch, previews: _previews, ...request } = record.request;
    assertEquals(recipe.request, { ...request, labels: [labels[i]!], indices: [i] } as Recipe["request"]);
    assertEquals(recipe.variants, record.variants);
    assertEquals(recipe.versions, { varscale: record.versions.varscale });
    const words = new Uint8Array(Uint32Array.from(tokens.flat()).buffer);
    assertEquals(
      recipe.images,
      [{ variant: "best-of-n", index: i, attempt, tokens: sha256(words), pixels }] as unknown,
    );
  }
  const sheet = await recipeIn(`${out}/grid.png`);
  assertEquals(sheet.request.labels, record.request.labels);
  assertEquals([sheet.request.indices, sheet.grid], [[0, 1], { columns: 8 }]);
  assertEquals(sheet.images.map(({ pixels }) => pixels), record.images.map(({ pixels }) => pixels));
});

testInFolder("readRecipe: nothing tells of the machine but where a model is", async (folder) => {
  const source = `${folder}/photo-of-ada.png`;
  await Deno.writeFile(source, new RgbaImage(64, 64).png());
  const models = `${ROOT}models/demo`;
  const args = ["edit", source, "--label", "red cube", "--box", "0,0.5,1,1", "--model", models, ...CPU];
  await succeed(...args, "-o", `${folder}/edited`);
  const text = readPngText(await Deno.readFile(`${folder}/edited/000_red-cube.png`), RECIPE_KEYWORD)!;
  for (
    const word of [
      folder,
      "ada",
      Deno.hostname(),
      `${navigator.hardwareConcurrency} threads`,
      Deno.version.deno,
    ]
  ) {
    assert(!text.includes(word), `${word} in ${text}`);
  }
  const { model, request: { edit } } = JSON.parse(text) as Recipe;
  assertEquals(model.place, { folder: models.replace(/^(\/home\/[^/]+|\/Users\/[^/]+|\/root)(?=\/)/, "~") });
  assertEquals(edit!.given, { image: "source.png", box: [0, 0.5, 1, 1], mask: null, mode: "inpaint" });
  assertEquals(edit!.sha256, sha256(await Deno.readFile(`${folder}/edited/source.png`)));
  // What goes with it has no recipe of its own.
  for (const name of ["source.png", "region.png"]) {
    assertEquals(readRecipe(await Deno.readFile(`${folder}/edited/${name}`)), undefined);
  }
});

testInFolder("varscale generate: --no-recipe leaves it out, and run.json is as it was", async (folder) => {
  const args = ["generate", "red torus", "blue cone", ...CPU, "--no-recipe", "-o", folder];
  await succeed(...args);
  const { images }: RunRecord = JSON.parse(await Deno.readTextFile(`${folder}/run.json`));
  for (const file of [...images.map(({ file }) => file), "grid.png"]) {
    const png = await Deno.readFile(`${folder}/${file}`);
    const filters = file === "grid.png" ? "paeth" : "all";
    assertEquals(RgbaImage.decode(png).png({ filters }), png, file);
  }
  assertEquals(images.map((image) => "pixels" in image), [false, false]);
});

Deno.test("readRecipe: what is no recipe is told from one that is damaged", () => {
  const bare = new RgbaImage(2, 2).png();
  const with_ = (value: unknown): Uint8Array => {
    return withPngText(bare, RECIPE_KEYWORD, typeof value === "string" ? value : JSON.stringify(value));
  };
  assertEquals(readRecipe(bare), undefined);
  assertEquals(readRecipe(withPngText(bare, "parameters", "a cat, steps: 20")), undefined);
  const whole = FIRST_RECIPE;
  assertEquals(readRecipe(with_(whole)), whole);
  const cases: readonly (readonly [unknown, string])[] = [
    ["{", "it is no JSON"],
    [null, 'its format must be "varscale-recipe": current value is undefined'],
    ["[]", 'its format must be "varscale-recipe"'],
    [{ ...whole, format: "varscale-run" }, 'current value is "varscale-run"'],
    [{ ...whole, version: 2 }, "its version must be 1: current value is 2"],
    [{ ...whole, model: { ...whole.model, place: "demo" } }, "model is missing in it, or of another kind"],
    [{ ...whole, device: { kind: "quantum" } }, "device is missing"],
    [{ ...whole, request: { ...whole.request, labels: [] } }, "request.labels is missing"],
    [{ ...whole, request: { ...whole.request, labels: [null] } }, "request.labels is missing"],
    [{ ...whole, request: { ...whole.request, indices: [1, 2] } }, "request.indices is missing"],
    [{ ...whole, request: { ...whole.request, seed: "seven" } }, "request.seed is missing"],
    [{ ...whole, request: { ...whole.request, edit: {} } }, "request.edit is missing"],
    [{ ...whole, variants: [{ name: "plain" }] }, "variants is missing"],
    [{ ...whole, images: undefined }, "images is missing"],
    [{ ...whole, versions: undefined }, "versions is missing"],
  ];
  for (const [value, message] of cases) {
    const error = assertThrows(() => readRecipe(with_(value)), TypeError, message);
    assertMatch(error.message, /^Cannot read the recipe of a PNG as /);
  }
  // Longer than any that is written.
  assertThrows(() => readRecipe(with_(`{${" ".repeat(2 ** 20)}}`)), TypeError, "at most 1048576 bytes");
});
