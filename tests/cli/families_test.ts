/**
 * The command line with families that it has not been written for, one of which takes texts: their options,
 * their checkpoints, prompts with commas. That they generate, edit and convert, the test of the family itself
 * shows.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { RunRecord } from "../../cli/generation/run_record.ts";
import { generate, loadModel, registerFamily, RgbaImage } from "../../mod.ts";
import type { ScheduleRequest } from "../../models/mod.ts";
import { safetensors } from "../models/flexvar/checkpoints.ts";
import { BITS, MOSAIC } from "../other_family/mosaic.ts";

/** What the options of the family came to. */
const seen: (ScheduleRequest["familyOptions"])[] = [];

registerFamily({
  ...MOSAIC,
  title: "Mosaic",
  publishedHelp: "tiles in one color",
  // Those of the other one are told by names, which are no depths.
  published: {
    ...MOSAIC.published,
    example: "mosaic_1.safetensors",
    sizeOf: (file) => file === "mosaic_1.safetensors" ? 1 : undefined,
  },
  options: {
    ...MOSAIC.options,
    grout: { kind: "boolean", help: "Leave gaps", defaultText: "on" },
    gapWidth: { kind: "number", help: "Width of the gaps", min: 0.5, max: 2 },
    tiles: { kind: "integer", help: "Number of tiles", max: 9 },
    maxpn: { kind: "integer", help: "Side of the largest tile" },
  },
  loading: ["compute", "cacheDtype", "offload"],
  load: async (folder, device, options) => {
    const model = await MOSAIC.load(folder, device, options);
    const { resolveLabel } = model;
    // An empty prompt means something to a text encoder.
    model.resolveLabel = (label) => {
      return label === "" ? { id: null, name: "", prompt: "" } : resolveLabel.call(model, label);
    };
    const { compute = "f32", cacheDtype = "f32", offload = "none" } = options;
    Object.assign(model, { compute, cacheDtype, offload });
    const schedule = model.schedule.bind(model);
    model.schedule = ({ familyOptions, ...request } = {}) => {
      seen.push(familyOptions);
      const { suffix } = familyOptions ?? {};
      const made = schedule({
        ...request,
        ...(suffix === undefined ? {} : { familyOptions: { suffix } }),
      });
      return { ...made, settings: { ...made.settings, familyOptions: familyOptions ?? {} } };
    };
    return model;
  },
});
/** One that is made from the same checkpoints and a third. */
registerFamily({
  ...MOSAIC,
  name: "framed",
  title: "Framed",
  parts: [...MOSAIC.parts, {
    ...MOSAIC.parts[0]!,
    name: "frame",
    weights: "frame",
    title: "the frame",
    isIn: () => false,
  }],
  flexible: [],
  options: {},
});
// The command line makes its options of the families that are registered when it is loaded.
const { run, succeed, testInFolder } = await import("./run.ts");

async function checkpoints(folder: string): Promise<string[]> {
  for (const [name, tensor, rows] of [["net", "colors", 3], ["text", "letters", 128]] as const) {
    const values = Float32Array.from({ length: rows * BITS }, (_, i) => Math.sin((i + 1) * 12.9898 * rows));
    const file = await safetensors([{ name: `${tensor}.weight`, shape: [rows, BITS], values }]);
    await Deno.writeFile(`${folder}/${name}.safetensors`, file);
  }
  return [
    ...["--net-ckpt", `${folder}/net.safetensors`, "--text_ckpt", `${folder}/text.safetensors`],
    ...["--device", "cpu"],
  ];
}

async function readRun(folder: string): Promise<RunRecord> {
  return JSON.parse(await Deno.readTextFile(`${folder}/run.json`));
}

Deno.test("varscale: checkpoints that make no model are refused at once, by what the families are made of", async () => {
  const cases: readonly [string, string][] = [
    ["--net-ckpt a", "Option --text-ckpt is needed too: a model has several checkpoints"],
    ["--text_ckpt a", "Option --net-ckpt is needed too: a model has several checkpoints"],
    ["--frame_ckpt a", "Options --net-ckpt and --text-ckpt are needed too: a model has several checkpoints"],
    ["--frame_ckpt a --text_ckpt a", "Option --net-ckpt is needed too"],
    ["--vae_ckpt a", "Option --var-ckpt or --infinity-ckpt is needed too"],
    ["--vae_ckpt a --net_ckpt a", "Options --vae-ckpt and --net-ckpt do not go together"],
    ["--var_ckpt a --vae_ckpt a --text_ckpt a", "do not go together: no model is made of these"],
    [
      "--net_ckpt a --model demo",
      "Options --model and --var-ckpt, --vae-ckpt, --infinity-ckpt, --t5-ckpt, --net-ckpt, --text-ckpt, --words-ckpt or --frame-ckpt exclude",
    ],
  ];
  for (const command of ["generate 1", "run -o none", "convert -o none"]) {
    for (const [line, message] of cases) {
      const { code, err } = await run(`${command} ${line}`.split(" "));
      assertEquals(code, 2, `${command} ${line}`);
      assertStringIncludes(err, message);
    }
  }
});

Deno.test("varscale: the help tells what each family does", async () => {
  for (const command of ["generate", "edit", "run"]) {
    const { out } = await succeed(command, "--help");
    const text = out.replaceAll(/\s+/g, " ");
    assertStringIncludes(text, "--text-ckpt FILE Checkpoint of the text encoder,");
    assertStringIncludes(text, "--[no-]grout Leave gaps; for Mosaic (default: on)");
    assertStringIncludes(text, "--gap-width X Width of the gaps; for Mosaic --tiles N");
    assertMatch(text, /--maxpn N [^()]*; for FlexVAR\. Side of the largest tile; for Mosaic \(default: 16\)/);
    assertMatch(
      text,
      /--offload none\|blocks Which weights [^;]*; for Infinity and Mosaic \(default: none\)/,
    );
    assertStringIncludes(text, "Mosaic: tiles in one color --steps");
    assertStringIncludes(text, "13,16; for FlexVAR (default: the model's, or those");
    assertStringIncludes(text, "for FlexVAR, Infinity and Mosaic (default: the model's, or that of");
    assertStringIncludes(
      text,
      "(default: ramp for VAR, ramp for FlexVAR, constant for Infinity, constant for Mosaic, constant for Framed)",
    );
  }
  const { out } = await succeed("download", "--help");
  assertMatch(
    out.replaceAll(/\s+/g, " "),
    /in a name like var_d16\.pth, FlexVARd16-epo179\.pth or mosaic_1\.safetensors \(/,
  );
});

testInFolder(
  "varscale: options of a family reach it by its own names, and are recorded and repeated",
  async (folder) => {
    const model = await checkpoints(folder);
    const args = ["--no-grout", "--gap_width", "1.5", "--tiles=9", "--suffix", "1,2"];
    const wanted = { suffix: "1,2", grout: false, gapWidth: 1.5, tiles: 9 };
    seen.length = 0;
    const { out } = await succeed("generate", "a cat", ...model, ...args, "-o", `${folder}/out`);
    assertMatch(out, /: Mosaic, cfg 3, .*grout false.*, seed 0, on CPU/);
    assertEquals(seen.find((options) => options !== undefined), wanted);
    assertEquals((await readRun(`${folder}/out`)).request.familyOptions, wanted);
    seen.length = 0;
    await succeed(
      "generate",
      "--repeat",
      `${folder}/out/run.json`,
      "--device",
      "cpu",
      "-o",
      `${folder}/again`,
    );
    assertEquals(seen.find((options) => options !== undefined), wanted);

    for (
      const [wrong, message] of [
        [["--gap-width", "3"], "Option --gap-width must be a number from 0.5 to 2"],
        [["--tiles", "10"], "Option --tiles must be an integer from -2147483648 to 9"],
        [["--grout=yes"], "Option --grout takes no value"],
      ] as const
    ) {
      const { code, err } = await run(["generate", "x", ...model, ...wrong, "-o", `${folder}/none`]);
      assertEquals(code, 2);
      assertStringIncludes(err, message);
    }
  },
);

testInFolder("varscale: how a model is kept in memory is chosen, recorded and repeated", async (folder) => {
  const model = await checkpoints(folder);
  const choices = ["--cache-dtype", "f16", "--offload", "blocks"];
  const read = async (output: string): Promise<unknown[]> => {
    const { cacheDtype, offload } = (await readRun(`${folder}/${output}`)).model;
    return [cacheDtype, offload];
  };
  await succeed("generate", "a cat", ...model, ...choices, "-q", "-o", `${folder}/out`);
  assertEquals(await read("out"), ["f16", "blocks"]);
  const again = ["generate", "--repeat", `${folder}/out/run.json`, "--device", "cpu", "-q"];
  await succeed(...again, "-o", `${folder}/again`);
  assertEquals(await read("again"), ["f16", "blocks"]);
  // Where the weights lie may change, but not what they come to.
  await succeed(...again, "--offload", "none", "-o", `${folder}/kept`);
  assertEquals(await read("kept"), ["f16", "none"]);
  // Of products only integers are worth a word.
  const products = async (output: string): Promise<unknown> => {
    return (await readRun(`${folder}/${output}`)).model.compute;
  };
  assertEquals(await products("out"), undefined);
  await succeed("generate", "a cat", ...model, "--compute", "int8", "-q", "-o", `${folder}/integers`);
  const repeated = ["generate", "--repeat", `${folder}/integers/run.json`, "--device", "cpu", "-q"];
  await succeed(...repeated, "-o", `${folder}/integers-again`);
  assertEquals([await products("integers"), await products("integers-again")], ["int8", "int8"]);
  // Images of a run are all made in one way.
  await Deno.writeTextFile(`${folder}/prompts.txt`, "a cat\n");
  const series = ["run", "--prompts", `${folder}/prompts.txt`, ...model, "-q", "-o", `${folder}/series`];
  await succeed(...series, "--compute", "int8");
  const other = await run(series);
  assertEquals(other.code, 2);
  assertStringIncludes(other.err, `Cannot go on in ${folder}/series: model.compute`);
  const { code, err } = await run([...again, "--cache-dtype", "f32", "-o", `${folder}/none`]);
  assertEquals(code, 2);
  assertStringIncludes(err, "Cannot use --cache-dtype with --repeat");
  for (
    const [options, message] of [
      [
        ["x", ...model, "--keep-text-encoder"],
        "keepTextEncoder true as Mosaic has no such choice; Infinity has",
      ],
      [
        ["7", "--device", "cpu", "--offload", "blocks"],
        'offload "blocks" as VAR has no such choice; Infinity and Mosaic have',
      ],
    ] as const
  ) {
    const refused = await run(["generate", ...options, "-o", `${folder}/none`]);
    assertEquals(refused.code, 2);
    assertStringIncludes(refused.err, message);
  }
});

testInFolder("varscale: a prompt is any text, and a list of labels one", async (folder) => {
  const model = await checkpoints(folder);
  const output = `${folder}/out`;
  const prompts = ["A cat, sitting", "7"];
  await succeed(
    ...["generate", ...prompts, "--labels", "ships, at sea", "null", ...model, "--count", "2", "-q"],
    ...["-o", output],
  );
  const { request, images } = await readRun(output);
  assertEquals(
    request.labels.filter((_, i) => i % 2 === 0).map(({ prompt = null }) => prompt),
    [...prompts, null, "ships, at sea"],
  );
  await using loaded = await loadModel(
    { net: `${folder}/net.safetensors`, text: `${folder}/text.safetensors` },
    { device: "cpu" },
  );
  const wanted = await generate(loaded, { labels: [...prompts, null, "ships, at sea"], count: 2 });
  assertEquals(
    images.map(({ tokens }) => tokens),
    wanted.images.map(({ tokens }) => tokens.map((map) => [...map])),
  );
  const { out } = await succeed(
    ...["generate", "--repeat", `${output}/run.json`, "--device", "cpu", "-q", "--json"],
    ...["-o", `${folder}/again`],
  );
  assertEquals(JSON.parse(out).repeat, { images: 8, sameTokens: 8, sameFiles: 8 });

  for (
    const [args, message] of [
      [["generate", "all"], 'Cannot generate "all" classes as the model "Mosaic" has none: it takes texts'],
      [["generate"], "prompt"],
      [["run"], 'Cannot make images of all classes as the model "Mosaic" has none: it takes texts'],
    ] as const
  ) {
    const { code, err } = await run([...args, ...model, "-o", `${folder}/none`]);
    assertEquals(code, 2, err);
    assertStringIncludes(err, message);
  }
});

testInFolder("varscale: prompts from a file are labels as they stand there", async (folder) => {
  const model = await checkpoints(folder);
  const output = `${folder}/out`;
  const long = "an astronaut riding a horse, ".repeat(40).trim();
  const file = `${folder}/prompts.jsonl`;
  const prompts = ["all", "", "ドーナツ / ..\\..", "red\u001b[2J\ncube", long, long];
  await Deno.writeTextFile(file, prompts.map((prompt) => `${JSON.stringify({ prompt })}\n`).join(""));
  const { out } = await succeed("generate", "", ...model, "--prompts", file, "-o", output);
  const { request, images } = await readRun(output);
  assertEquals(request.labels.map(({ prompt }) => prompt), ["", ...prompts]);
  assertEquals(images.map(({ file }) => file), [
    "000_image.png",
    "001_all.png",
    "002_image.png",
    "003_image.png",
    "004_red-2j-cube.png",
    "005_an-astronaut-riding-a-horse-an-astronaut.png",
    "006_an-astronaut-riding-a-horse-an-astronaut.png",
  ]);
  assertEquals(out.includes("\u001b"), false);
  // The captions of the sheet are on two lines at most.
  const { height, width } = RgbaImage.decode(await Deno.readFile(`${output}/grid.png`));
  assertEquals(height < width, true, `${width}×${height}`);
  const again = await succeed(
    ...["generate", "--repeat", `${output}/run.json`, "--device", "cpu", "-q", "--json"],
    ...["-o", `${folder}/again`],
  );
  assertEquals(JSON.parse(again.out).repeat, { images: 7, sameTokens: 7, sameFiles: 7 });

  await Deno.writeTextFile(file, "\n");
  for (
    const [args, message] of [
      [["--prompts", file], `Cannot read ${file}: it has no prompts`],
      [["--prompts", `${folder}/none`], `Cannot read ${folder}/none: no such file`],
      [["--repeat", `${output}/run.json`, "--prompts", file], "Cannot use --prompts with --repeat"],
    ] as const
  ) {
    const { code, err } = await run(["generate", ...args, "-o", `${folder}/none`]);
    assertEquals(code, 2, err);
    assertStringIncludes(err, message);
  }
});

testInFolder("varscale: a file of labels names classes, too", async (folder) => {
  await Deno.writeTextFile(`${folder}/labels.txt`, "red torus\n7\n");
  const args = ["--device", "cpu", "-q", "-o", `${folder}/out`];
  await succeed("generate", "blue cone", "--prompts", `${folder}/labels.txt`, ...args);
  const { request } = await readRun(`${folder}/out`);
  assertEquals(request.labels.map(({ name }) => name), ["blue cone", "red torus", "gray sphere"]);
});
