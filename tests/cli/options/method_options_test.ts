/**
 * Methods that search, on the command line: what they write is what the library makes of the same hooks, and
 * it can be repeated and taken up again.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { RunRecord } from "../../../cli/generation/run_record.ts";
import { METHOD_OPTIONS, type MethodValues, searchOf } from "../../../cli/options/method_options.ts";
import { hooksOf, standInsFor } from "../../../cli/options/search.ts";
import {
  beamSearch,
  bestOfN,
  costOf,
  generate,
  loadModel,
  ownDensity,
  ownEvidence,
  plan,
  RgbaImage,
  type ScaleHook,
  ttsSchedule,
  ttsVar,
  varScaling,
} from "../../../mod.ts";
import { filesIn, ROOT, run, succeed, testInFolder } from "../run.ts";

const COMMON = ["--device", "cpu", "--seed", "7"];

async function recordIn(folder: string): Promise<RunRecord> {
  return JSON.parse(await Deno.readTextFile(`${folder}/run.json`));
}

/** Tokens of each image as a record has them. */
function tokensOf(images: readonly { readonly tokens: readonly ArrayLike<number>[] }[]): number[][][] {
  return images.map(({ tokens }) => tokens.map((map) => Array.from(map)));
}

/** Repeats what a folder records, into another one; how much of it came out the same. */
async function repeated(out: string, again: string): Promise<unknown> {
  const { out: json } = await succeed(
    ...["generate", "--repeat", `${out}/run.json`, "--device", "cpu", "--json", "-q", "-o", again],
  );
  return JSON.parse(json).repeat;
}

testInFolder(
  "varscale generate: a search is that of the library, its record tells every lane, and it repeats",
  async (folder) => {
    const out = `${folder}/out`;
    const search = [
      "--method",
      "tts-var",
      "--verifier",
      "evidence",
      "--lambda",
      "1",
      "--draw",
      "systematic",
      "--potential",
      "max",
    ];
    const { out: said } = await succeed(
      "generate",
      "blue cone",
      "red torus",
      ...search,
      ...COMMON,
      "-o",
      out,
    );
    assertMatch(said, /TTS-VAR, judged by evidence: 2 of \d+ lanes are left, with scores from .* to /);
    const { images, variants: [variant], timings } = await recordIn(out);

    await using model = await loadModel("demo", { device: "cpu" });
    const hook = ttsVar({ verifier: ownEvidence(), lambda: 1, draw: "systematic", potential: "max" });
    const result = await generate(model, { labels: ["blue cone", "red torus"], seed: 7, hooks: [hook] });
    assertEquals(tokensOf(images), tokensOf(result.images));
    assertEquals(images.map(({ attempt }) => attempt), result.images.map(({ attempt }) => attempt));
    assertEquals(
      images.map(({ attempts }) => attempts),
      JSON.parse(JSON.stringify(result.images)).map(
        ({ attempts }: { attempts: unknown }) => attempts,
      ),
    );
    assertEquals(timings.variants["tts-var"]!.cost.passes, result.trace.cost.passes);
    const { name, hooks: [{ settings } = { settings: {} }], verifier } = variant!;
    assertEquals([name, verifier], ["tts-var", { name: "evidence", place: "evidence" }]);
    // Nothing is left to a later version to decide.
    const { sizes, clusterScales, resampleScales } = settings as Record<string, unknown>;
    assertEquals({ sizes, clusterScales, resampleScales }, { ...ttsSchedule(6) });

    assertEquals(await repeated(out, `${folder}/again`), { images: 2, sameTokens: 2, sameFiles: 2 });
    assertEquals((await recordIn(`${folder}/again`)).variants, [variant]);
  },
);

testInFolder(
  "varscale generate: several pictures of an image, and previews of its lanes, have numbers",
  async (folder) => {
    const out = `${folder}/out`;
    await succeed(
      ...["generate", "blue cone", "--method", "best-of-n", "--attempts", "3", "--keep", "2"],
      ...["--verifier", "density", "--preview", "1,5", ...COMMON, "-o", out, "-q"],
    );
    assertEquals(filesIn(out), [
      ...["000_blue-cone_0.png", "000_blue-cone_1.png"],
      // After the last scale two are left.
      ...[0, 1, 2].map((lane) => `000_blue-cone_scale-1_${lane}.png`),
      ...[0, 1].map((lane) => `000_blue-cone_scale-5_${lane}.png`),
      ...["grid.png", "run.json"],
    ]);
    await using model = await loadModel("demo", { device: "cpu" });
    const hooks = [bestOfN({ samples: 3, keep: 2, verifier: ownDensity() })];
    const { images } = await generate(model, { labels: "blue cone", seed: 7, hooks });
    for (const [i, { data }] of images.entries()) {
      assertEquals(RgbaImage.decode(await Deno.readFile(`${out}/000_blue-cone_${i}.png`)).data, data);
    }
    assertEquals(await repeated(out, `${folder}/again`), { images: 2, sameTokens: 2, sameFiles: 2 });
    assertEquals(filesIn(`${folder}/again`), filesIn(out));
  },
);

testInFolder(
  "varscale generate: methods go together in any order, beside plain images with --compare",
  async (folder) => {
    const out = `${folder}/out`;
    await succeed(
      ...["generate", "blue cone", "--method", "beam,var-scaling", "--beams", "1", "--width", "2"],
      ...["--beam-scales", "2", "--samples", "20", "--verifier", "evidence", "--compare", ...COMMON],
      ...["-o", out, "-q"],
    );
    const { images, variants } = await recordIn(out);
    assertEquals(variants.map(({ name }) => name), ["plain", "var-scaling+beam"]);
    assertEquals(variants[1]!.hooks.map(({ name }) => name), ["var-scaling", "beam"]);
    assertEquals(variants[0], { name: "plain", hooks: [] });
    await using model = await loadModel("demo", { device: "cpu" });
    const request = { labels: "blue cone", seed: 7 };
    const hooks = [
      varScaling({ samples: 20 }),
      beamSearch({ beams: 1, width: 2, scales: [2], verifier: ownEvidence() }),
    ];
    const [plain, searched] = [await generate(model, request), await generate(model, { ...request, hooks })];
    assertEquals(tokensOf(images), tokensOf([...plain.images, ...searched.images]));
  },
);

testInFolder(
  "varscale generate: --tree draws the search of each image to a file of its own",
  async (folder) => {
    const search = ["--method", "best-of-n", "--attempts", "2", "--verifier", "density", ...COMMON];
    const tree = ["generate", "blue cone", ...search, "--tree", `${folder}/trees/tree.png`];
    const { out } = await succeed(...tree, "-o", `${folder}/one`);
    assertStringIncludes(out, `${folder}/trees/tree.png  the search`);
    const { width } = RgbaImage.decode(await Deno.readFile(`${folder}/trees/tree.png`));
    assertEquals(width, 32 + 7 * 152);
    const { images: [image] } = await recordIn(`${folder}/one`);
    // Pictures are in files; the record has what was decided.
    assertEquals(
      new Set(image!.attempts!.flatMap(({ decisions }) => decisions.map(({ hook }) => hook))),
      new Set(["best-of-n"]),
    );
    const again = await run([...tree, "-o", `${folder}/other`]);
    assertEquals(again.code, 2);
    assertStringIncludes(again.err, `Cannot write ${folder}/trees/tree.png: it exists`);

    const { err } = await succeed(
      ...[
        "generate",
        "blue cone",
        "red torus",
        ...search,
        "--tree",
        `${folder}/two/tree.png`,
        "-o",
        `${folder}/two`,
      ],
    );
    assertEquals(err.includes("warning"), false, err);
    assertEquals(filesIn(`${folder}/two`).filter((name) => name.startsWith("tree")), [
      "tree_000_blue-cone.png",
      "tree_001_red-torus.png",
    ]);
  },
);

testInFolder("varscale generate: a budget chooses the settings, which the record has", async (folder) => {
  const out = `${folder}/out`;
  const { err } = await succeed(
    ...[
      "generate",
      "blue cone",
      "--method",
      "tts-var",
      "--verifier",
      "evidence",
      "--budget",
      "3x",
      ...COMMON,
    ],
    ...["-o", out],
  );
  assertMatch(err, /for 3x: TTS-VAR with sizes [\d,]+, .*, 2\.\d+ times the .* of a plain image/);
  await using model = await loadModel("demo", { device: "cpu" });
  const request = { labels: "blue cone", seed: 7 };
  const judges = { verifier: ownEvidence() };
  const { searches: [found] } = await plan(model, { budget: "3x", methods: ["tts-var"], request, ...judges });
  const { variants: [variant], timings } = await recordIn(out);
  const settings = variant!.hooks[0]!.settings as Record<string, unknown>;
  for (const [name, value] of Object.entries(found!.options)) assertEquals(settings[name], value, name);
  assertEquals(variant!.budget, "3x");
  assertEquals(
    timings.variants["tts-var"]!.cost.flops,
    (await costOf(model, { ...request, hooks: found!.hooks })).flops,
  );
  // Repeated, it is the settings that count.
  assertEquals(await repeated(out, `${folder}/again`), { images: 1, sameTokens: 1, sameFiles: 1 });
});

testInFolder(
  "varscale generate: a verifier from a file judges as the model's own that it is",
  async (folder) => {
    const search = ["--model", "demo-t2i", "--method", "best-of-n", "--attempts", "2", ...COMMON, "-q"];
    await succeed("generate", "two red spheres", ...search, "-o", `${folder}/own`);
    const file = `${ROOT}models/demo_t2i/verifier.json`;
    await succeed("generate", "two red spheres", ...search, "--verifier", file, "-o", `${folder}/file`);
    const [own, named] = [await recordIn(`${folder}/own`), await recordIn(`${folder}/file`)];
    assertEquals(named.images.map(({ attempts }) => attempts), own.images.map(({ attempts }) => attempts));
    assertEquals(own.variants[0]!.verifier!.place, "own");
    assertEquals(named.variants[0]!.verifier!.place, file);
    assertEquals(named.variants[0]!.verifier!.name, own.variants[0]!.verifier!.name);
  },
);

testInFolder("varscale edit: a search goes through what is generated anew", async (folder) => {
  await Deno.writeFile(`${folder}/source.png`, new RgbaImage(64, 64).png());
  await succeed(
    ...[
      "edit",
      `${folder}/source.png`,
      "--box",
      "0,0.5,1,1",
      "--label",
      "blue cone",
      "--method",
      "best-of-n",
    ],
    ...["--attempts", "2", "--verifier", "evidence", ...COMMON, "-q", "-o", `${folder}/out`],
  );
  assertEquals(await repeated(`${folder}/out`, `${folder}/again`), {
    images: 1,
    sameTokens: 1,
    sameFiles: 1,
  });
});

testInFolder("varscale run: a search is recorded, taken up again, and the same in parts", async (folder) => {
  const whole = `${folder}/whole`;
  const search = ["--method", "best-of-n", "--attempts", "2", "--verifier", "evidence"];
  const command = ["run", "--model", "demo", "--classes", "3,5", "-n", "2", "--device", "cpu"];
  await succeed(...command, ...search, "-o", whole, "-q");
  const { settings } = JSON.parse(await Deno.readTextFile(`${whole}/run.json`));
  assertEquals([settings.scaling, settings.search.method, settings.search.settings.samples], [
    null,
    "best-of-n",
    2,
  ]);
  assertEquals(settings.search.verifier, { name: "evidence", place: "evidence" });

  const image = `${whole}/class_3_img_1.png`;
  const before = await Deno.readFile(image);
  await Deno.remove(image);
  const { out } = await succeed(...command, ...search, "-o", whole);
  assertStringIncludes(out, "4 of 4 images");
  assertEquals(await Deno.readFile(image), before);

  const three = ["--method", "best-of-n", "--attempts", "3", "--verifier", "evidence"];
  const other = await run([...command, ...three, "-o", whole]);
  assertEquals(other.code, 2);
  assertStringIncludes(other.err, "search.settings.samples is 2 there and 3 here");
  const none = await run([...command, "--method", "none", "-o", whole]);
  assertEquals(none.code, 2);
  assertStringIncludes(none.err, "search is given there and none here");

  for (const part of ["1/2", "2/2"]) {
    await succeed(...command, ...search, "--shard", part, "-o", `${folder}/parts`, "-q");
  }
  for (const name of filesIn(whole).filter((file) => file.endsWith(".png"))) {
    assertEquals(
      await Deno.readFile(`${folder}/parts/${name}`),
      await Deno.readFile(`${whole}/${name}`),
      name,
    );
  }

  await using model = await loadModel("demo", { device: "cpu" });
  const hooks: ScaleHook[] = [bestOfN({ samples: 2, verifier: ownEvidence() })];
  const { images: [library] } = await generate(model, {
    ...{ labels: 5, indices: [model.labels.kind === "classes" ? model.labels.count + 5 : 0], hooks },
    cfg: model.search.published.cfg,
  });
  assertEquals(RgbaImage.decode(await Deno.readFile(`${whole}/class_5_img_1.png`)).data, library!.data);
});

Deno.test("searchOf: every choice that TTS-VAR's options offer reaches its hook", () => {
  const settingsOf = (given: Partial<MethodValues>): Readonly<Record<string, unknown>> => {
    const search = searchOf({ method: ["tts-var"], ...given } as MethodValues, false);
    return hooksOf(search, standInsFor(search))[0]!.settings!;
  };
  for (const name of ["point", "potential", "draw"] as const) {
    const { kind } = METHOD_OPTIONS[name];
    for (const choice of kind.choices!) {
      const expected = choice === "topk" ? "topk_2" : choice;
      assertEquals(settingsOf({ [name]: choice })[name], expected);
    }
  }
  assertEquals(settingsOf({ potential: "topk", top: 3 }).potential, "topk_3");
});

testInFolder(
  "varscale generate: options of a search that say nothing, or too much, are refused",
  async (folder) => {
    const demo = ["generate", "blue cone", "--device", "cpu", "-o", `${folder}/out`];
    const judged = ["--verifier", "evidence"];
    const rows: readonly (readonly [args: readonly string[], words: string])[] = [
      [
        ["--method", "tts"],
        "Option --method must be none, or of adaptive-guidance, prefix-guidance, spatial-guidance, var-scaling, tts-var, best-of-n and beam",
      ],
      [["--method", "none,beam"], "Option --method must be none, or of"],
      [["--method", "tts-var,beam"], "at most one of tts-var, best-of-n and beam"],
      [["--sizes", "8,4,2,1"], "Option --sizes is one of TTS-VAR: add --method tts-var"],
      [["--attempts", "2"], "Option --attempts is one of Best-of-N: add --method best-of-n"],
      [
        ["--method", "beam", "--attempts", "2"],
        "Option --attempts is one of Best-of-N: add best-of-n to --method",
      ],
      [
        ["--method", "beam", "--samples", "2"],
        "Option --samples is one of VAR-Scaling: add var-scaling to --method",
      ],
      [
        ["--method", "var-scaling", "--no-scaling"],
        "Options --no-scaling and --method var-scaling exclude each other",
      ],
      [["--method", "none", "--compare"], "Options --compare and --method none exclude each other"],
      [["--verifier", "evidence"], "Option --verifier goes with --method tts-var, best-of-n or beam"],
      [["--keep", "2"], "Option --keep goes with --method"],
      [["--budget", "4x"], "Option --budget goes with --method var-scaling, tts-var, best-of-n or beam"],
      [["--budget", "much"], 'Option --budget must be so many plain images, like "4x"'],
      [
        ["--method", "beam", "--budget", "4x", "--beams", "2"],
        "Options --budget and --beams exclude each other",
      ],
      [["--method", "best-of-n", ...judged, "--budget", "1.2x"], "Option --budget must allow"],
      [["--method", "tts-var", ...judged, "--sizes", "4,8,8,2,1,1"], "size 1 must be at most 4"],
      [
        ["--method", "tts-var", ...judged, "--sizes", "4,2,1"],
        "sizes must be one number for each of 6 scales",
      ],
      [["--method", "tts-var", ...judged, "--top", "3"], "Option --top goes with --potential topk"],
      [
        ["--method", "tts-var", ...judged, "--top", "3", "--potential", "sum"],
        "Option --top goes with --potential topk",
      ],
      [["--method", "tts-var", ...judged, "--sizes", "a"], "Option --sizes must be numbers of lanes"],
      [
        ["--method", "tts-var", ...judged, "--sizes", "4,4,4,4,4,1", "--cluster-scales", "2"],
        "less than 4 to cluster",
      ],
      [
        ["--method", "tts-var", ...judged, "--tts-preset", "published"],
        "features must be given to do what is published",
      ],
      [["--method", "best-of-n", ...judged, "--keep", "9"], "keep must be at most 4, the samples"],
      [["--method", "beam", ...judged, "--beam-scales", "9"], "a scale of the beam search must be"],
      [["--method", "beam", "--verifier", "nobody"], "Option --verifier: "],
      [["--method", "beam", "--verifier", `${folder}/none.json`], `${folder}/none.json`],
      [
        ["--features", "joint", "--density-features", "joint"],
        "Options --features and --density-features are the same",
      ],
      [
        ["--method", "beam", ...judged, "--tree", `${folder}/tree.jpg`],
        "Option --tree must name a .png file",
      ],
    ];
    for (const [args, words] of rows) {
      const { code, err } = await run([...demo, ...args]);
      assertEquals(code, 2, `${args.join(" ")}: ${err}`);
      assertStringIncludes(err, words);
      assertEquals(filesIn(folder), [], args.join(" "));
    }
    const series = [
      "run",
      "--model",
      "demo",
      "--device",
      "cpu",
      "-o",
      `${folder}/out`,
      "--method",
      "beam",
      ...judged,
    ];
    for (
      const [args, words] of [
        [["--keep", "2"], "Option --keep must be left out, as each image of a run has one file"],
        [["--budget", "8s"], "Option --budget must be so many plain images, or floating-point operations"],
      ] as const
    ) {
      const { code, err } = await run([...series, ...args]);
      assertEquals(code, 2, err);
      assertStringIncludes(err, words);
    }
  },
);

testInFolder("varscale generate: of a model that brings no network, one must be named", async (folder) => {
  await Deno.mkdir(`${folder}/model`);
  const own = ["verifier.json", "reward.onnx"];
  for (const name of filesIn(`${ROOT}models/demo`).filter((name) => !own.includes(name))) {
    if (name !== "model.json") await Deno.symlink(`${ROOT}models/demo/${name}`, `${folder}/model/${name}`);
  }
  const facts = JSON.parse(await Deno.readTextFile(`${ROOT}models/demo/model.json`));
  for (const name of own) delete facts.files[name];
  await Deno.writeTextFile(`${folder}/model/model.json`, JSON.stringify(facts));
  const command = [
    "generate",
    "blue cone",
    "--model",
    `${folder}/model`,
    "--device",
    "cpu",
    "-o",
    `${folder}/out`,
  ];
  for (
    const [args, words] of [
      [["--method", "tts-var"], 'Option --verifier is needed, as the model "demo" brings none of its own'],
      [
        ["--method", "tts-var", "--verifier", "evidence", "--features", "own"],
        'Option --features must name a network, as the model "demo" brings none of its own',
      ],
    ] as const
  ) {
    const { code, err } = await run([...command, ...args]);
    assertEquals(code, 2, err);
    assertStringIncludes(err, words);
  }
  assertEquals(filesIn(folder), ["model"]);
});

testInFolder("varscale generate: what was VAR-Scaling's --features still is", async (folder) => {
  const common = ["generate", "blue cone", "--samples", "10", ...COMMON, "-q"];
  await succeed(...common, "--features", "joint", "-o", `${folder}/a`);
  await succeed(...common, "--density-features", "joint", "--method", "var-scaling", "-o", `${folder}/b`);
  const [a, b] = [await recordIn(`${folder}/a`), await recordIn(`${folder}/b`)];
  assertEquals((a.variants[0]!.hooks[0]!.settings as { features: string }).features, "joint");
  assertEquals(a.variants, b.variants);
  assert(a.images.every(({ attempts }) => attempts === undefined));
});

testInFolder(
  "varscale generate: another model's likelihood judges, recorded and repeated",
  async (folder) => {
    const out = `${folder}/out`;
    const search = ["--method", "best-of-n", "--attempts", "2", "--verifier", "evidence:demo"];
    await succeed("generate", "blue cone", "--cfg", "0", ...search, ...COMMON, "-q", "-o", out);
    const { images, variants: [variant] } = await recordIn(out);
    assertEquals(variant!.verifier, { name: "evidence of demo", place: "evidence:demo" });
    await using model = await loadModel("demo", { device: "cpu" });
    const hooks = [bestOfN({ samples: 2, verifier: ownEvidence({ model }) })];
    const result = await generate(model, { labels: "blue cone", seed: 7, cfg: 0, hooks });
    assertEquals(tokensOf(images), tokensOf(result.images));
    assertEquals(await repeated(out, `${folder}/again`), { images: 1, sameTokens: 1, sameFiles: 1 });
    const { code, err } = await run([
      "generate",
      "blue cone",
      ...search.slice(0, 4),
      "--verifier",
      "evidence:./none",
    ]);
    assertEquals(code, 2);
    assertStringIncludes(err, "Option --verifier must name a network that is there");
  },
);
