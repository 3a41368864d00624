import { assertEquals, assertThrows } from "@std/assert";
import { succeed, testInFolder } from "../run.ts";
import { UsageError } from "../../../cli/io.ts";
import { RgbaImage } from "../../../mod.ts";
import { readForm } from "../../../cli/studio/job_form.ts";
import { recipeOf, recipeOfPicture } from "../../../cli/studio/recipe.ts";

/** The record that a command line leaves, and what a form of it asks for. */
async function recorded(folder: string, ...args: string[]) {
  await succeed("generate", ...args, "--device", "cpu", "--output", folder, "--quiet", "--overwrite");
  const record = JSON.parse(await Deno.readTextFile(`${folder}/run.json`));
  const { form, notes } = recipeOf(record);
  const picture = recipeOfPicture(await Deno.readFile(`${folder}/${record.images[0].file}`));
  return { form, notes, picture, values: readForm(form).parts.at(-1)!.options };
}

testInFolder(
  "recipeOf: a form asks for what was recorded, whatever was left to the model",
  async (folder) => {
    const { form, values, notes, picture } = await recorded(
      folder,
      ...["red torus", "--seed", "18446744073709551615", "--cfg", "2", "--method", "beam,var-scaling"],
      ...["--beams", "1", "--beam-width", "2", "--beam-scales", "2,3", "--samples", "9"],
      ...["--verifier", "evidence", "--density-features", "joint"],
    );
    assertEquals(form.labels, ["red torus"]);
    const { count, seed, cfg, method, beams, beamWidth, beamScales, samples, verifier, densityFeatures } =
      values;
    assertEquals({
      count,
      seed,
      cfg,
      method,
      beams,
      beamWidth,
      beamScales,
      samples,
      verifier,
      densityFeatures,
    }, {
      ...{ count: 1, seed: 2n ** 64n - 1n, cfg: 2, method: ["var-scaling", "beam"], beams: 1, beamWidth: 2 },
      ...{ beamScales: [2, 3], samples: 9, verifier: "evidence", densityFeatures: "joint" },
    });
    assertEquals(notes, ["made with demo"]);
    // The picture itself says the same.
    assertEquals(picture, { form, notes });
  },
);

/** A record of plain pictures, as far as a form is made of it. */
function recordOf(names: readonly (string | null)[]) {
  return {
    format: "varscale-run",
    version: 1,
    request: {
      labels: names.map((name) => name === null ? { id: null, name: "none" } : { id: 3, name }),
      ...{
        seed: 5,
        cfg: [1, 2],
        topK: 0,
        topP: 0,
        temperature: 1,
        moreSmooth: false,
        batch: 8,
        previews: [],
      },
    },
    variants: [{ name: "plain", hooks: [] as unknown[] }],
  };
}

Deno.test("recipeOf: the form of a comparison compares", () => {
  const { variants: [plain], ...record } = recordOf(["red torus"]);
  const settings = { preset: "preset", samples: 5, features: "joint" };
  const scaled = { name: "var-scaling", hooks: [{ name: "var-scaling", settings }] };
  const { form } = recipeOf({ ...record, variants: [plain, scaled] });
  assertEquals(form.compare, true);
  assertEquals([form.options.method, form.options.samples], ["var-scaling", "5"]);
  assertEquals(form.options.densityFeatures, "joint");
  assertEquals("preset" in form.options, false);
});

Deno.test("recipeOf: settings of methods go by the names that options have", () => {
  const hooks = [
    { name: "tts-var", settings: { preset: "published", potential: "topk_3", clusterScales: [], keep: 2 } },
  ];
  const search = { hooks, verifier: { name: "own", place: "own" }, features: { name: "f", place: "latent" } };
  const { options } =
    recipeOf({ ...recordOf(["red torus"]), variants: [{ name: "tts-var", ...search }] }).form;
  const { ttsPreset, potential, top, clusterScales, keep, features, verifier } = options;
  assertEquals({ ttsPreset, potential, top, clusterScales, keep, features, verifier }, {
    ...{ ttsPreset: "published", potential: "topk", top: "3", clusterScales: "none", keep: "2" },
    ...{ features: "latent", verifier: undefined },
  });
});

Deno.test("recipeOf: images of a label that stand together are counted", () => {
  const { form } = recipeOf(recordOf(["a", "a", "b", "b"]));
  assertEquals([form.labels, form.options.count], [["a", "b"], "2"]);
});

Deno.test("recipeOf: classes drawn at random and plain pictures", () => {
  const { form } = recipeOf(recordOf([null, "green cube", null]));
  // They do not stand together, so that it is no count.
  assertEquals(form.labels, ["null", "green cube", "null"]);
  assertEquals(form.options, {
    ...{ cfg: "1,2", guidance: "ramp", topK: "0", topP: "0", minP: "0", temperature: "1" },
    ...{ seed: "5", count: "1", method: "none" },
  });
});

Deno.test("recipeOf: networks of others and hooks of their own are said, and not taken over", () => {
  const hooks = [{ name: "best-of-n", settings: { samples: 3, keep: 1 } }, { name: "mine", settings: {} }];
  const verifier = { name: "net", place: "https://example.com/net.json" };
  const search = { name: "best-of-n", hooks, verifier };
  const { form, notes } = recipeOf({ ...recordOf(["red torus"]), variants: [search] });
  assertEquals([form.options.method, form.options.verifier], ["best-of-n", undefined]);
  assertEquals(notes, [
    "without its hook mine",
    "without --verifier https://example.com/net.json, which you may set yourself",
  ]);
});

Deno.test("recipeOfPicture: what is no picture, or has no recipe, is refused", () => {
  assertThrows(() => recipeOfPicture(new Uint8Array(64)), UsageError, "PNG");
  const plain = new RgbaImage(1, 1, new Uint8ClampedArray(4)).png();
  assertThrows(() => recipeOfPicture(plain), UsageError, "The picture has no recipe");
});

Deno.test("recipeOf: what is no record is refused", () => {
  const whole = {
    format: "varscale-run",
    version: 1,
    request: { labels: [], seed: 1 },
    variants: [{ hooks: [] }],
  };
  const cases: [unknown, string][] = [
    [null, "This is not the run.json of a generation"],
    ["text", "This is not the run.json of a generation"],
    [{ format: "other" }, "This is not the run.json of a generation"],
    [{ format: "varscale-run" }, "The run.json is not complete"],
    [{ ...whole, variants: [] }, "The run.json is not complete"],
    [{ ...whole, request: { labels: [], seed: "x" } }, "The run.json is not complete"],
    [{ ...whole, request: { labels: [], seed: -1 } }, "The run.json is not complete"],
  ];
  for (const [given, problem] of cases) {
    assertEquals(assertThrows(() => recipeOf(given), UsageError).message, problem);
  }
});
