/**
 * `varscale tts-var`: the command line of TTS-VAR's released `tts-var/main.py` as it stands. One prompt, one
 * picture, one file; what it means as `varscale generate`, which writes a record too, it says.
 *
 * @module
 */

import { join } from "node:path";
import { type Command, command } from "../command.ts";
import { paintPicture } from "../generation/paint_picture.ts";
import { type Io, UsageError } from "../io.ts";
import { requireFacts } from "../options/infinity_facts.ts";
import { LOADING_OPTIONS, ownArguments, withoutEffect } from "../options/infinity_flags.ts";
import { DEVICE_OPTIONS } from "../options/model_options.ts";
import { type Arguments, optionName, refuseOperands, section } from "../options/options.ts";
import { quietOption, RECIPE_OPTION } from "../options/output_options.ts";
import { BATCH_OPTIONS } from "../options/sampling_options.ts";
import { TEXT_FEATURES_OPTION } from "../options/text_features.ts";
import {
  infinityValues,
  joinLists,
  pictureName,
  TTS_VAR_FLAGS,
  ttsVarArguments,
} from "../options/tts_var_flags.ts";
import { list } from "../output/words.ts";

/** Options of ours, for what the released script takes as given: a GPU with enough memory. */
const OWN_OPTIONS = {
  ...section("Model", { textFeatures: TEXT_FEATURES_OPTION, ...LOADING_OPTIONS }),
  ...DEVICE_OPTIONS,
  ...section("Device", { memory: BATCH_OPTIONS.memory }),
  ...section("Output", { recipe: RECIPE_OPTION, quiet: quietOption("errors and warnings") }),
};

const OPTIONS = { ...TTS_VAR_FLAGS, ...OWN_OPTIONS };

const flags = command({
  usage: ["--prompt TEXT [OPTIONS]"],
  description: [
    "The flags of tts-var/main.py, with underscores or dashes; a flag that is given again counts as it was given last. " +
    "Defaults are the script's, and so is what happens: the search does what the released code does. " +
    "Flags that say what the files are like are checked if they are given, and refused if the files say otherwise.",
    "With --model, a model of any kind that takes texts takes the place of the files, and its own verifier that of the networks that are not named.",
    "What it comes to as varscale generate is printed; that command has more settings, and writes a record of what became of each lane.",
  ],
  options: OPTIONS,
  examples: [
    "--prompt 'two cats and a dog' --seed 42 --model_path infinity_2b_reg.pth --vae_path infinity_vae_d32reg.pth --text_encoder_ckpt flan-t5-xl --image_reward_model_path ImageReward.pt",
    "--prompt 'a fox' --reward_type ir --cal_type value --resample_sis 6 9 --extract_type pca --extract_sis 2 5 --bs_sis 8 8 6 6 6 4 2 2 2 1 1 1 1 --lam 10",
    "--prompt 'two red spheres' --model demo-t2i",
  ],
  run,
});

/** The command. */
export const ttsVar: Command = {
  ...flags,
  run: (title, args, io) => flags.run(title, joinLists(args), io),
};

async function run({ options, given, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  refuseOperands(operands, 0);
  const { quiet = false, saveDir, outputFilename, model } = options;
  if (options.prompt === undefined) throw new UsageError("Option --prompt is needed");
  const prompt = options.prompt.trim();
  const seed = options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!;
  if (model === undefined) {
    await requireFacts({ ...infinityValues(options), textFeatures: options.textFeatures }, io.signal);
  } else {
    const files = ["modelPath", "vaePath", "textEncoderCkpt"] as const;
    const named = files.filter((name) => given.has(name)).map(optionName);
    if (named.length > 0) {
      throw new UsageError(`Options --model and ${list(named, "and")} exclude each other`);
    }
  }
  const idle = [
    ...withoutEffect(infinityValues(options)),
    ...(options.batchSizeNamespace === undefined ? [] : ["batchSizeNamespace"]),
    ...unusedNetworks(options),
  ];
  await paintPicture({
    args: [...ttsVarArguments(options), `--seed=${seed}`, ...ownArguments(OWN_OPTIONS, options)],
    prompt,
    file: join(saveDir, pictureName({ prompt, seed, given: outputFilename })),
    notes: [
      ...(idle.length === 0
        ? []
        : [`without effect on pictures, and so not needed: ${list(idle.map(optionName), "and")}`]),
      ...(["value", "no"].includes(options.calType) ? [] : [
        `the released script stops with --cal-type ${options.calType}; here scores of earlier scales count`,
      ]),
    ],
    quiet,
  }, io);
}

/** Networks that were named and are not asked. */
function unusedNetworks(options: Arguments<typeof OPTIONS>["options"]): string[] {
  const { rewardType, extractType } = options;
  const unused = [
    ...(rewardType === "ir" ? [] : ["imageRewardModelPath"] as const),
    ...(rewardType === "aes" ? [] : ["aestheticPredictorPath", "siglipEncoderPath"] as const),
    ...(["pca", "pool"].includes(extractType) ? [] : ["dinov2HubPath"] as const),
  ];
  return unused.filter((name) => options[name] !== undefined);
}
