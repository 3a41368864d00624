/**
 * `varscale tts-var`: the command line of TTS-VAR's released script as it stands, on the bundled model and on
 * the flags alone.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { UsageError } from "../../../cli/io.ts";
import { parse } from "../../../cli/options/parse.ts";
import {
  joinLists,
  pictureName,
  TTS_VAR_FLAGS,
  ttsVarArguments,
} from "../../../cli/options/tts_var_flags.ts";
import { generate, loadModel, RgbaImage, ttsVar } from "../../../mod.ts";
import { filesIn, run, succeed, testInFolder } from "../run.ts";

/** What `run.bash` gives. */
const RELEASED = [
  ...["--model_path", "./pretrained_models/infinity_2b_reg.pth"],
  ...["--vae_path", "./pretrained_models/infinity_vae_d32reg.pth"],
  ...["--text_encoder_ckpt", "./pretrained_models/flan-t5-xl", "--seed", "42"],
  ...["--reward_type", "ir", "--cal_type", "value", "--resample_sis", "6", "9"],
  ...["--extract_type", "pca", "--extract_sis", "2", "5"],
  ...["--bs_sis", "8", "8", "6", "6", "6", "4", "2", "2", "2", "1", "1", "1", "1"],
  ...["--save_dir", "./output", "--prompt", "A cat.", "--pn", "1M", "--h_div_w", "1.0"],
  ...["--cfg", "3.0", "--tau", "0.5"],
  ...["--image_reward_model_path", "./pretrained_models/ImageReward.pt"],
  ...["--dinov2_hub_path", "facebookresearch/dinov2"],
];

function argumentsOf(...args: string[]): string[] {
  return ttsVarArguments(parse(TTS_VAR_FLAGS, joinLists(args)).options);
}

Deno.test("ttsVarArguments: the released command line, and the script's defaults, mean the same search", () => {
  const search = [
    ...["--method=tts-var", "--tts-preset=published"],
    ...["--verifier=image-reward:./pretrained_models/ImageReward.pt", "--features=dinov2"],
    ...["--sizes=8,8,6,6,6,4,2,2,2,1,1,1,1", "--resample-scales=6,9", "--cluster-scales=2,5"],
    ...["--potential=value", "--lambda=10"],
  ];
  const sampling = ["--published", "--pn=1M", "--aspect=1", "--cfg=3.0", "--temperature=0.5"];
  assertEquals(argumentsOf(...RELEASED), [
    ...["--infinity-ckpt=./pretrained_models/infinity_2b_reg.pth"],
    ...["--vae-ckpt=./pretrained_models/infinity_vae_d32reg.pth", "--t5-ckpt=./pretrained_models/flan-t5-xl"],
    ...[...sampling, "--cfg-insertion-layer=0", "--no-scaling", ...search],
  ]);
  const defaults = argumentsOf("--prompt", "A cat.");
  assertEquals(defaults.slice(-search.length), search);
  assertEquals(defaults[0], "--infinity-ckpt=./pretrained_models/Infinity/infinity_2b_reg.pth");
});

Deno.test("ttsVarArguments: each flag of the search is honoured", () => {
  const others = argumentsOf(
    ...[
      "--prompt",
      "x",
      "--extract_type",
      "inception",
      "--resample_sis",
      "--cal_type",
      "max",
      "--lam",
      "2.5",
    ],
  );
  assertEquals(others.slice(-8), [
    ...["--verifier=image-reward:./pretrained_models/ImageReward.pt", "--features=inception"],
    ...["--sizes=8,8,6,6,6,4,2,2,2,1,1,1,1", "--resample-scales=none", "--cluster-scales=2,5"],
    ...["--point=pool", "--potential=max", "--lambda=2.5"],
  ]);
  const none = argumentsOf("--prompt", "x", "--extract_type", "no", "--cal_type", "no");
  assertEquals(none.slice(-5).slice(0, 4), [
    "--features=latent",
    "--sizes=8,8,6,6,6,4,2,2,2,1,1,1,1",
    "--resample-scales=none",
    "--cluster-scales=none",
  ]);
  // What the predictor says is divided by ten there.
  const aesthetic = argumentsOf(
    ...["--prompt", "x", "--reward_type", "aes", "--aesthetic_predictor_path", "siglip/predictor.pth"],
    ...["--siglip_encoder_path", "./siglip", "--dinov2_hub_path", "dino.pth", "--extract_type", "pool"],
  );
  assertEquals(aesthetic.filter((argument) => /verifier|features|lambda|point/.test(argument)), [
    "--verifier=aesthetic:siglip/predictor.pth",
    "--features=dinov2:dino.pth",
    "--point=pool",
    "--lambda=1",
  ]);
  const preference = argumentsOf("--prompt", "x", "--reward_type", "hps");
  assertEquals(preference.filter((argument) => argument.startsWith("--verifier")), [
    "--verifier=clip:hf:xswu/HPSv2",
  ]);
  for (
    const [args, words] of [
      [
        ["--reward_type", "no"],
        "Option --reward-type must be ir, aes or hps, as nobody would choose the picture",
      ],
      [
        ["--reward_type", "aes"],
        "Option --siglip-encoder-path must be the folder of --aesthetic-predictor-path",
      ],
    ] as const
  ) assertThrows(() => argumentsOf("--prompt", "x", ...args), UsageError, words);
});

Deno.test("pictureName: fifty letters of the prompt, with those that are none as underscores", () => {
  const name = (prompt: string, given?: string): string => pictureName({ prompt, seed: 3, given });
  assertEquals(name("a".repeat(60)), `${"a".repeat(50)}_3.png`);
  assertEquals(name("Zwei Käfer, groß!"), "Zwei_Käfer__groß_3.png");
  assertEquals([name("x", "a.JPG"), name("x", "a.b")], ["a.JPG", "a.b.png"]);
});

testInFolder(
  "varscale tts-var: on the bundled model it is the published search with its own reward",
  async (folder) => {
    const { out, err } = await succeed(
      ...["tts-var", "--model", "demo-t2i", "--prompt", " two red spheres. ", "--seed", "42", "--lam", "3"],
      ...["--bs_sis", "4", "4", "3", "2", "2", "--extract_sis", "2", "--resample_sis", "3"],
      ...["--save_dir", folder, "--device", "cpu", "--bf16", "1", "--siglip_encoder_path", "siglip"],
    );
    assertEquals(filesIn(folder), ["two_red_spheres_42.png"]);
    assertEquals(out, `${folder}/two_red_spheres_42.png: 64×64\n`);
    assertStringIncludes(
      err,
      "without effect on pictures, and so not needed: --bf16 and --siglip-encoder-path",
    );
    assertMatch(
      err,
      /this is: varscale generate --model=demo-t2i .*--tts-preset=published .* -- 'two red spheres\.'/,
    );
    await using model = await loadModel("demo-t2i", { device: "cpu" });
    const hook = ttsVar({
      ...{
        preset: "published",
        verifier: await model.verifier!(),
        features: await model.extractor!(),
        lambda: 3,
      },
      ...{ sizes: [4, 4, 3, 2, 2], clusterScales: [2], resampleScales: [3] },
    });
    const { images: [image] } = await generate(model, {
      ...{ labels: "two red spheres.", seed: 42, cfg: 3, temperature: 0.5, published: true, hooks: [hook] },
    });
    const painted = RgbaImage.decode(await Deno.readFile(`${folder}/two_red_spheres_42.png`));
    assertEquals(painted.data, image!.data);
  },
);

testInFolder(
  "varscale tts-var: without a seed one is drawn, and files and contradictions are named",
  async (folder) => {
    const { err } = await succeed(
      ...[
        "tts-var",
        "--model",
        "demo-t2i",
        "--prompt",
        "a cone",
        "--cal_type",
        "sum",
        "--output_filename",
        "a.jpg",
      ],
      ...["--save_dir", folder, "--device", "cpu"],
    );
    assertMatch(err, /--seed=\d+/);
    assertStringIncludes(
      err,
      "the released script stops with --cal-type sum; here scores of earlier scales count",
    );
    assertStringIncludes(err, `pictures are PNG here: ${folder}/a.png instead of ${folder}/a.jpg`);
    for (
      const [args, words] of [
        [[], "Option --prompt is needed"],
        [
          ["--prompt", "x", "--model", "demo-t2i", "--vae_path", "a"],
          "Options --model and --vae-path exclude each other",
        ],
        [["--prompt", "x", "--bs_sis", "8", "9.5"], 'Unexpected argument "9.5"'],
        [
          ["--prompt", "x", "--model", "demo-t2i", "--bs_sis", "2", "4", "4", "4", "4"],
          "size 1 must be at most 2",
        ],
        [["--prompt", "x", "--model_path", `${folder}/no.pth`, "--seed", "1"], `${folder}/no.pth`],
        [["--prompt", "x", "--model", "demo", "--seed", "1"], "Cannot find the class"],
      ] as const
    ) {
      const { code, err } = await run(["tts-var", ...args, "--save_dir", folder, "--device", "cpu"]);
      assertEquals(code, 2, `${args.join(" ")}: ${err}`);
      assertStringIncludes(err, words);
    }
    assertEquals(filesIn(folder), ["a.png"]);
  },
);
