/**
 * The command lines of Infinity's released scripts, as they stand there, on a small family whose parts and
 * options are called as Infinity's.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  bestOfN,
  encodeTextFeatures,
  generate,
  loadModel,
  type Model,
  ownDensity,
  registerFamily,
  RgbaImage,
  TextFeatures,
  varScaling,
} from "../../mod.ts";
import type { ModelWeights, ScheduleRequest } from "../../models/mod.ts";
import { environment } from "../environment.ts";
import { checkpoint } from "../other_family/checkpoint.ts";
import { BITS, MOSAIC } from "../other_family/mosaic.ts";

/** What the model was asked for, of what the family does not know itself. */
const asked: ScheduleRequest[] = [];

/** Prompts of features that it was given. */
const brought: (readonly string[])[] = [];

const T5_NORM = "encoder.final_layer_norm.weight";

/** Sizes by the names that Infinity has for them: a 125M whose tokens hold the bits of one position. */
async function infer(weights: ModelWeights) {
  return {
    ...await MOSAIC.infer(weights),
    ...(weights.net && { depth: 12, width: 768, textChannels: 2048 }),
    ...(weights.text && { tokenizer: { channels: BITS } }),
  };
}

registerFamily({
  ...MOSAIC,
  name: "infinity-like",
  title: "Infinity-like",
  parts: [
    { ...MOSAIC.parts[0]!, name: "infinity" },
    { ...MOSAIC.parts[1]!, name: "vae" },
    {
      name: "t5",
      weights: "text_encoder",
      title: "the text encoder",
      landmark: T5_NORM,
      unused: /^$/,
      isIn: (tensors) => tensors.has(T5_NORM),
    },
  ],
  publishedHelp: "everything",
  options: {
    pn: { kind: "text", help: "Pixels" },
    aspect: { kind: "text", help: "Height by width" },
    cfgInsertionLayer: { kind: "text", help: "Layer" },
    positivePrompt: { kind: "boolean", help: "More words" },
  },
  infer,
  inferAgain: (weights) => infer(weights) as ReturnType<typeof MOSAIC.inferAgain>,
  graphs: (config, weights, places) => {
    weights.text_encoder?.set.take(T5_NORM, [-1, -1]);
    return MOSAIC.graphs(config, weights, places);
  },
  load: async (folder, device, options) => {
    const model = await MOSAIC.load(folder, device, options);
    const schedule = model.schedule.bind(model);
    model.requireTextFeatures = ({ prompts }) => void brought.push(prompts);
    model.schedule = ({ familyOptions = {}, published = false, ...request } = {}) => {
      asked.push({ familyOptions, published, ...request });
      const made = schedule(request);
      return { ...made, settings: { ...made.settings, familyOptions, published } };
    };
    return model;
  },
});
// The command line makes its options of the families that are registered when it is loaded.
const { filesIn, fixture, ROOT, run, succeed, testInFolder } = await import("./run.ts");

const FILES = {
  "infinity_125M_256x256.pth": await checkpoint("colors.weight", [3, BITS], 12.9898),
  "infinity_vae_d16.pth": await checkpoint("letters.weight", [128, BITS], 78.233),
  "flan-t5-xl": await checkpoint(T5_NORM, [1, 1], 1),
};

/** Writes the files of a model to a folder of its own. */
async function weightsIn(folder: string): Promise<string> {
  await Deno.mkdir(`${folder}/weights`);
  for (const [name, content] of Object.entries(FILES)) {
    await Deno.writeFile(`${folder}/weights/${name}`, content);
  }
  return `${folder}/weights`;
}

async function loaded(): Promise<Model> {
  const [infinity, vae, t5] = Object.values(FILES) as [Uint8Array, Uint8Array, Uint8Array];
  return await loadModel({ infinity, vae, t5 }, { device: "cpu" });
}

/** The flags that `scripts/infer.sh` gives, with the files and facts of the small model. */
function released(weights: string): string[] {
  return [
    ...["--cfg", "4", "--tau", "0.5", "--pn", "0.06M"],
    ...["--model_path", `${weights}/infinity_125M_256x256.pth`, "--vae_type", String(BITS)],
    ...["--vae_path", `${weights}/infinity_vae_d16.pth`, "--add_lvl_embeding_only_first_block", "1"],
    ...["--use_bit_label", "1", "--model_type", "infinity_layer12", "--rope2d_each_sa_layer", "1"],
    ...["--rope2d_normalized_by_hw", "2", "--use_scale_schedule_embedding", "0"],
    ...["--cfg", "3", "--tau", "0.75", "--checkpoint_type", "torch"],
    ...["--text_encoder_ckpt", `${weights}/flan-t5-xl`, "--text_channels", "2048"],
    ...["--apply_spatial_patchify", "0"],
  ];
}

const PROMPT = "a woman's portrait, wearing a suit and tie";

testInFolder("varscale run-infinity: the released command line makes its picture", async (folder) => {
  const weights = await weightsIn(folder);
  asked.length = 0;
  const { out, err } = await succeed(
    ...["run-infinity", ...released(weights), "--prompt", PROMPT, "--seed", "1"],
    ...["--save_file", `${folder}/new/tmp.jpg`, "--device", "cpu"],
  );
  assertEquals(out, `${folder}/new/tmp.png: 12×8\n`);
  assertStringIncludes(err, "not needed: --use-scale-schedule-embedding\n");
  assertStringIncludes(
    err,
    `pictures are PNG here: ${folder}/new/tmp.png instead of ${folder}/new/tmp.jpg\n`,
  );
  assertEquals(err.match(/not needed/g)?.length, 1);
  assertEquals(filesIn(`${folder}/new`), ["tmp.png"]);
  const { cfg, temperature, published, familyOptions } = asked.at(-1)!;
  // What was given twice counts as it was given last.
  assertEquals([cfg, temperature, published], [3, 0.75, true]);
  assertEquals(familyOptions, { pn: "0.06M", aspect: "1", cfgInsertionLayer: "0" });
  await using model = await loaded();
  const request = { labels: PROMPT, cfg: 3, temperature: 0.75, seed: 1 };
  const plain = await generate(model, request);
  const { data } = RgbaImage.decode(await Deno.readFile(`${folder}/new/tmp.png`));
  assertEquals(data, plain.images[0]!.data);

  // What it is said to be is that.
  const [, line] = /this is: varscale (.*)\n/.exec(err) ?? [];
  assertMatch(line!, /^generate --infinity-ckpt=.* -- 'a woman'\\''s portrait, wearing a suit and tie'$/);
  const args = line!.replace(/ -- .*/, "").split(" ");
  await succeed(...args, "-o", `${folder}/same`, "--", PROMPT);
  const same = await Deno.readFile(`${folder}/same/000_a-woman-s-portrait-wearing-a-suit-and.png`);
  assertEquals(same, await Deno.readFile(`${folder}/new/tmp.png`));

  // With the flags of VAR-Scaling's copy, over the picture that is there.
  await succeed(
    ...["run-infinity", ...released(weights), "--prompt", PROMPT, "--seed=1", "--enable_scaling", "1"],
    ...["--scaling_layer_idx", "2", "--scaling_num_samples", "20", "--enable_positive_prompt", "1"],
    ...["--h_div_w_template", "1.5", "--cfg_insertion_layer", "-2", "--bf16", "0", "--quiet"],
    ...["--save_file", `${folder}/new/tmp.png`, "--device", "cpu"],
  );
  assertEquals(asked.at(-1)!.familyOptions, {
    ...{ pn: "0.06M", aspect: "1.5", cfgInsertionLayer: "-2", positivePrompt: true },
  });
  const scaled = await generate(model, {
    ...request,
    hooks: [varScaling({ preset: "published", bandwidth: "image", scale: 2, samples: 20 })],
  });
  const found = RgbaImage.decode(await Deno.readFile(`${folder}/new/tmp.png`));
  assertEquals(found.data, scaled.images[0]!.data);
});

testInFolder(
  "varscale run-infinity: a method of ours searches, with or without VAR-Scaling",
  async (folder) => {
    const weights = await weightsIn(folder);
    const search = ["--method", "best-of-n", "--attempts", "3", "--verifier", "density"];
    const args = ["run-infinity", ...released(weights), "--prompt", PROMPT, "--device", "cpu", ...search];
    await succeed(...args, "--save_file", `${folder}/tmp.png`, "--quiet");
    await using model = await loaded();
    const { images: [image] } = await generate(model, {
      ...{ labels: PROMPT, cfg: 3, temperature: 0.75 },
      hooks: [bestOfN({ samples: 3, verifier: ownDensity() })],
    });
    assertEquals(RgbaImage.decode(await Deno.readFile(`${folder}/tmp.png`)).data, image!.data);
    for (
      const [more, message] of [
        [["--enable_scaling", "1"], "is one of VAR-Scaling: add var-scaling to --method"],
        [["--keep", "2"], "Option --keep must be left out, as one picture is written"],
      ] as const
    ) {
      const { code, err } = await run([...args, ...more, "--save_file", `${folder}/no.png`]);
      assertEquals(code, 2);
      assertStringIncludes(err, message);
    }
  },
);

testInFolder(
  "varscale tts-var: the released command line checks its files, and names the network",
  async (folder) => {
    const weights = await weightsIn(folder);
    const files = [
      ...[
        "--model_path",
        `${weights}/infinity_125M_256x256.pth`,
        "--vae_path",
        `${weights}/infinity_vae_d16.pth`,
      ],
      ...[
        "--text_encoder_ckpt",
        `${weights}/flan-t5-xl`,
        "--image_reward_model_path",
        `${folder}/ImageReward.pt`,
      ],
      ...["--prompt", PROMPT, "--save_dir", folder, "--device", "cpu"],
    ];
    const wrong = await run(["tts-var", ...files, "--model_type", "infinity_2b"]);
    assertEquals(wrong.code, 2);
    assertStringIncludes(wrong.err, "--model-type must be infinity_layer12");
    const missing = await run([
      "tts-var",
      ...files,
      "--bs_sis",
      "2",
      "2",
      "2",
      "1",
      "--resample_sis",
      "3",
      "--extract_sis",
    ]);
    assertEquals(missing.code, 2);
    assertStringIncludes(missing.err, `--sizes=2,2,2,1 --resample-scales=3 --cluster-scales=none`);
    assertStringIncludes(
      missing.err,
      `Option --verifier must name a network that is there: current value is "image-reward:${folder}`,
    );
    assertEquals(filesIn(folder), ["weights"]);
  },
);

testInFolder("varscale run-infinity: kept features may be given, as to other commands", async (folder) => {
  const weights = await weightsIn(folder);
  const features = new TextFeatures(2, new Map([[PROMPT, new Float32Array(2)]]));
  await Deno.writeFile(`${folder}/features`, await encodeTextFeatures(features));
  const args = ["run-infinity", ...released(weights), "--prompt", PROMPT, "--device", "cpu"];
  const picture = ["--save_file", `${folder}/a.png`];
  brought.length = 0;
  const { err } = await succeed(...args, ...picture, "--text-features", `${folder}/features`);
  assertStringIncludes(err, ` --text-features=${folder}/features --device=cpu -- `);
  assertEquals(brought.length > 0 && brought.every(([prompt]) => prompt === PROMPT), true);
  const missing = await run([...args, ...picture, "--text-features", `${folder}/none`]);
  assertEquals(missing.code, 2);
  assertStringIncludes(missing.err, `${folder}/none`);
});

testInFolder(
  "varscale run-infinity: what contradicts the files is refused, and nothing is written",
  async (folder) => {
    const weights = await weightsIn(folder);
    const args = released(weights);
    for (
      const [more, message] of [
        ["--model_type infinity_2b", "--model-type must be infinity_layer12, as "],
        ["--model_type infinity_2b", "has 12 blocks of width 768: current value is infinity_2b"],
        ["--model_type infinity_8B", "did you mean infinity_8b?"],
        [
          "--vae_type 32",
          `--vae-type must be ${BITS}, as ${weights}/infinity_vae_d16.pth tells: current value is 32`,
        ],
        ["--text_channels 1024", "--text-channels must be 2048"],
        ["--apply_spatial_patchify 1", "--apply-spatial-patchify must be 0"],
        ["--checkpoint_type torch_shard", "--checkpoint-type must be torch, as "],
        ["--use_bit_label 0", "--use-bit-label must be 1, as the released models were trained"],
        ["--rope2d_each_sa_layer 0", "--rope2d-each-sa-layer must be 1"],
        ["--rope2d_normalized_by_hw 1", "--rope2d-normalized-by-hw must be 2"],
        ["--add_lvl_embeding_only_first_block 0", "--add-lvl-embeding-only-first-block must be 1"],
        ["--pn 2M", "--pn must be 0.06M, 0.25M or 1M"],
        ["--sampling_per_bits 3", "--sampling-per-bits must be 1, 2, 4, 8 or 16"],
        ["--cfg strong", "--cfg must be"],
        ["--gumbel 1", "Unknown option --gumbel"],
        ["fox", 'Unexpected argument "fox"'],
      ] as const
    ) {
      const { code, err } = await run([
        ...[
          "run-infinity",
          ...args,
          ...more.split(" "),
          "--save_file",
          `${folder}/a/b.png`,
          "--device",
          "cpu",
        ],
      ]);
      assertEquals(code, 2, err);
      assertStringIncludes(err, message);
      assertEquals(filesIn(folder), ["weights"]);
    }
    const missing = await run(["run-infinity", "--pn", "1M", "--model_path", "a"]);
    assertEquals(missing.code, 2);
    assertStringIncludes(missing.err, "Options --vae-path and --text-encoder-ckpt are needed");
  },
);

testInFolder(
  "varscale eval-infinity: the script's variables and flags make GenEval's folder",
  async (folder) => {
    const weights = await weightsIn(folder);
    const captions = await Deno.readTextFile(fixture("golden/demo-t2i/captions.jsonl"));
    const lines = captions.split("\n").slice(0, 2);
    await Deno.writeTextFile(`${folder}/metadata.jsonl`, lines.join("\n"));
    const variables: Record<string, string> = {
      ...{ OUTPUT_ROOT: `${folder}/out`, INFINITY_MODEL_PATH: `${weights}/infinity_125M_256x256.pth` },
      ...{ VAE_PATH: `${weights}/infinity_vae_d16.pth`, TEXT_ENCODER_CKPT: `${weights}/flan-t5-xl` },
      ...{ PN: "0.06M", MODEL_TYPE: "infinity_layer12", VAE_TYPE: String(BITS), TAU: "0.5" },
      ...{ SCALING_LAYER_IDX: "1", SCALING_NUM_SAMPLES: "20" },
    };
    const line = ["eval-infinity", "--metadata_file", `${folder}/metadata.jsonl`, "--device", "cpu"];
    {
      using _variables = environment(variables);
      const output = `${folder}/out/gen_eval_cfg4_tau0.5_scaling1_rewrite0/images`;
      const { out, err } = await succeed(...line);
      assertStringIncludes(out, `8 of 8 images are in ${output}`);
      assertStringIncludes(err, "from the environment: TAU=0.5, PN=0.06M, ");
      assertEquals(filesIn(output), [".lock", "00000", "00001", "run.json"]);
      assertEquals(await Deno.readTextFile(`${output}/00001/metadata.jsonl`), `${lines[1]}\n`);
      const { settings } = JSON.parse(await Deno.readTextFile(`${output}/run.json`));
      assertEquals([settings.cfg, settings.temperature, settings.published, settings.sharedNoise], [
        ...[4, 0.5, true, true],
      ]);
      assertEquals([settings.scaling.scale, settings.scaling.samples], [[1], 20]);
      assertEquals(settings.familyOptions, { pn: "0.06M", aspect: "1", cfgInsertionLayer: "0" });

      // Flags come before variables.
      const other = `${folder}/other`;
      await succeed(
        ...line,
        "--enable_scaling",
        "0",
        "--cfg",
        "3",
        "--n_samples",
        "1",
        "--outdir",
        other,
        "-q",
      );
      const plain = JSON.parse(await Deno.readTextFile(`${other}/run.json`));
      assertEquals([plain.settings.cfg, plain.settings.scaling, plain.imagesPerPrompt], [3, null, 1]);

      const rewritten = await run([...line, "--rewrite_prompt", "1"]);
      assertEquals(rewritten.code, 2);
      assertStringIncludes(rewritten.err, "--rewrite-prompt must be 0: a service of others rewrites prompts");
    }
    using _contradiction = environment({ ...variables, VAE_TYPE: "32" });
    const { code, err } = await run(line);
    assertEquals(code, 2);
    assertStringIncludes(err, `--vae-type must be ${BITS}`);
  },
);

testInFolder("varscale run-infinity: facts are those of Infinity's own tensors", async (folder) => {
  const demo = `${ROOT}models/demo_t2i`;
  const args = [
    ...["run-infinity", "--pn", "0.06M", "--model_path", `${demo}/transformer.safetensors`],
    ...["--vae_path", `${demo}/tokenizer.safetensors`, "--text_encoder_ckpt", `${folder}/none`],
    ...["--vae_type", "16", "--text_channels", "128", "--apply_spatial_patchify", "0"],
    ...["--save_file", `${folder}/a.png`, "--device", "cpu"],
  ];
  for (
    const [more, message] of [
      ["--model_type infinity_2b", "--model-type must be left out, as "],
      ["--model_type infinity_2b", "has 4 blocks of width 192: current value is infinity_2b"],
      ["--vae_type 32", "--vae-type must be 16, as "],
      ["--text_channels 2048", "--text-channels must be 128, as "],
      ["--apply_spatial_patchify 1", "--apply-spatial-patchify must be 0, as "],
      // With these right, it gets as far as the text encoder, which is not there.
      ["--use_bit_label 1", `${folder}/none`],
    ] as const
  ) {
    const { code, err } = await run([...args, ...more.split(" ")]);
    assertEquals(code, 2, err);
    assertStringIncludes(err, message);
  }
  assertEquals(filesIn(folder), []);
  // The variables alone name no type of model, which one of this size could not take back.
  await Deno.writeTextFile(`${folder}/a.jsonl`, '{"tag": "colors", "prompt": "a cone"}\n');
  const output = ["--outdir", `${folder}/out`, "--metadata_file", `${folder}/a.jsonl`];
  const { err } = await run(["eval-infinity", ...args.slice(1, -4), ...output]);
  assertStringIncludes(err, `${folder}/none`);
});
