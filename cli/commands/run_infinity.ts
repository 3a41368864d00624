/**
 * `varscale run-infinity`: the command line of Infinity's released `tools/run_infinity.py` as it stands, and
 * that of VAR-Scaling's copy. One prompt, one picture, one file; what it means as `varscale generate`, which
 * writes a record too, it says.
 *
 * @module
 */

import { command } from "../command.ts";
import { paintPicture } from "../generation/paint_picture.ts";
import type { Io } from "../io.ts";
import { requireFacts } from "../options/infinity_facts.ts";
import {
  INFINITY_FLAGS,
  infinityArguments,
  LOADING_OPTIONS,
  ownArguments,
  RUN_FLAGS,
  withoutEffect,
} from "../options/infinity_flags.ts";
import { METHOD_OPTIONS } from "../options/method_options.ts";
import { DEVICE_OPTIONS } from "../options/model_options.ts";
import { type Arguments, optionName, refuseOperands, section } from "../options/options.ts";
import { quietOption, RECIPE_OPTION } from "../options/output_options.ts";
import { BATCH_OPTIONS } from "../options/sampling_options.ts";
import { TEXT_FEATURES_OPTION } from "../options/text_features.ts";
import { list } from "../output/words.ts";

/** Options of ours, for what the released script takes as given: a GPU with enough memory. */
const OWN_OPTIONS = {
  ...section("Model", { textFeatures: TEXT_FEATURES_OPTION, ...LOADING_OPTIONS }),
  ...DEVICE_OPTIONS,
  ...section("Device", { memory: BATCH_OPTIONS.memory }),
  ...METHOD_OPTIONS,
  ...section("Output", { recipe: RECIPE_OPTION, quiet: quietOption("errors and warnings") }),
};

const OPTIONS = { ...RUN_FLAGS, ...INFINITY_FLAGS, ...OWN_OPTIONS };

/** The command. */
export const runInfinity = command({
  usage: ["--pn PN --model_path FILE --vae_path FILE --text_encoder_ckpt DIR …"],
  description: [
    "The flags of tools/run_infinity.py, with underscores or dashes; a flag that is given again counts as it was given last. " +
    "Defaults are the script's. Flags that say what the files are like are checked if they are given, and refused if the files say otherwise.",
    "What it comes to as varscale generate is printed; that command makes many pictures at once, and a record of how they were made.",
  ],
  options: OPTIONS,
  examples: [
    "--pn 0.06M --model_path infinity_125M_256x256.pth --model_type infinity_layer12 --vae_path infinity_vae_d16.pth --vae_type 16 --text_encoder_ckpt flan-t5-xl --cfg 4 --tau 0.5 --prompt 'a fox' --save_file fox.png",
    "--pn 1M --model_path infinity_2b_reg.pth --vae_path infinity_vae_d32reg.pth --text_encoder_ckpt flan-t5-xl --enable_scaling 1 --scaling_layer_idx 3 --scaling_num_samples 3000",
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  refuseOperands(operands, 0);
  const { prompt, quiet = false, saveFile, seed } = options;
  await requireFacts(options, io.signal);
  const idle = withoutEffect(options);
  await paintPicture({
    args: [...infinityArguments(options), `--seed=${seed}`, ...ownArguments(OWN_OPTIONS, options)],
    prompt,
    file: saveFile,
    notes: idle.length === 0
      ? []
      : [`without effect on pictures, and so not needed: ${list(idle.map(optionName), "and")}`],
    quiet,
  }, io);
}
