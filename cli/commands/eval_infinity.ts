/**
 * `varscale eval-infinity`: what `scripts/eval.sh` of VAR-Scaling's Infinity runs, GenEval's pictures with
 * the settings of its variables. It is `varscale run` under the names of others; the scoring is left to
 * GenEval's own script.
 *
 * @module
 */

import { type Command, command } from "../command.ts";
import { type Io, say, UsageError } from "../io.ts";
import { requireFacts } from "../options/infinity_facts.ts";
import {
  EVAL_FLAGS,
  INFINITY_FLAGS,
  infinityArguments,
  LOADING_OPTIONS,
  ownArguments,
  withoutEffect,
} from "../options/infinity_flags.ts";
import { METHOD_OPTIONS } from "../options/method_options.ts";
import { DEVICE_OPTIONS } from "../options/model_options.ts";
import { type Arguments, optionName, type OptionTable, refuseOperands, section } from "../options/options.ts";
import { BATCH_OPTIONS } from "../options/sampling_options.ts";
import { SERIES_OPTIONS } from "../options/series_options.ts";
import { TEXT_FEATURES_OPTION } from "../options/text_features.ts";
import { list } from "../output/words.ts";
import { run as series } from "./run.ts";

/** The script's variables that are flags by another name, with its values for them. */
const VARIABLES: Readonly<Record<string, string>> = {
  CFG: "4",
  TAU: "1",
  PN: "1M",
  VAE_TYPE: "32",
  USE_BIT_LABEL: "1",
  // The files tell it, and a model of a size of its own has none.
  MODEL_TYPE: "",
  ROPE2D_EACH_SA_LAYER: "1",
  ROPE2D_NORMALIZED_BY_HW: "2",
  // It has no effect, which is said if it is given.
  USE_SCALE_SCHEDULE_EMBEDDING: "",
  ADD_LVL_EMBEDING_ONLY_FIRST_BLOCK: "1",
  CHECKPOINT_TYPE: "torch",
  TEXT_CHANNELS: "2048",
  APPLY_SPATIAL_PATCHIFY: "0",
  CFG_INSERTION_LAYER: "0",
  REWRITE_PROMPT: "0",
  ENABLE_SCALING: "1",
  SCALING_LAYER_IDX: "3",
  SCALING_NUM_SAMPLES: "3000",
};

/** Its variables for files, which lie in `WEIGHTS_DIR`. */
const FILES: Readonly<Record<string, string>> = {
  INFINITY_MODEL_PATH: "infinity_2b_reg.pth",
  VAE_PATH: "infinity_vae_d32reg.pth",
  TEXT_ENCODER_CKPT: "flan-t5-xl",
};

/** All that is read of the environment. */
const NAMES = [...Object.keys(VARIABLES), ...Object.keys(FILES), "WEIGHTS_DIR", "OUTPUT_ROOT"];

/** The flag that a variable is. */
function flagOf(variable: string): string {
  return variable === "INFINITY_MODEL_PATH" ? "model-path" : variable.toLowerCase().replaceAll("_", "-");
}

/** Flags with their variables, and the script's values, for defaults. */
function withVariables<Table extends OptionTable>(table: Table): Table {
  const variables = new Map([
    ...Object.entries(VARIABLES).map(([name, usual]) => [name, usual] as const),
    ...Object.entries(FILES).map(([name, usual]) => [name, `$WEIGHTS_DIR/${usual}`] as const),
  ].map(([name, usual]) => [`--${flagOf(name)}`, `$${name}${usual === "" ? "" : `, or ${usual}`}`]));
  return Object.fromEntries(
    Object.entries(table).map(([name, { default: usual, ...option }]) => {
      const defaultText = variables.get(optionName(name));
      return [name, defaultText === undefined ? { ...option, default: usual } : { ...option, defaultText }];
    }),
  ) as unknown as Table;
}

/** Options of ours, for what the released script has no flag for. */
const OWN_OPTIONS = {
  ...section("Model", { textFeatures: TEXT_FEATURES_OPTION, ...LOADING_OPTIONS }),
  ...DEVICE_OPTIONS,
  ...section("Device", BATCH_OPTIONS),
  ...METHOD_OPTIONS,
  ...section("Output", { recipe: SERIES_OPTIONS.recipe, quiet: SERIES_OPTIONS.quiet }),
};

const OPTIONS = {
  ...withVariables(EVAL_FLAGS),
  ...section("What to generate", { shard: SERIES_OPTIONS.shard }),
  ...withVariables(INFINITY_FLAGS),
  ...OWN_OPTIONS,
};

/**
 * The flags that the script would run GenEval's with.
 *
 * @param environment Its variables, as far as they are set; an empty one is none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const args = scriptArguments({ CFG: "3", WEIGHTS_DIR: "/models" });
 * assertEquals(args.includes("--cfg=3"), true);
 * assertEquals(args.includes("--vae-path=/models/infinity_vae_d32reg.pth"), true);
 * assertEquals(args.at(-1), "--outdir=output/gen_eval_cfg3_tau1_scaling1_rewrite0/images");
 * ```
 */
export function scriptArguments(environment: Readonly<Record<string, string | undefined>>): string[] {
  const value = (name: string, usual: string): string => environment[name] || usual;
  const flags = Object.entries(VARIABLES).map(([name, usual]) => [name, value(name, usual)] as const);
  const { CFG, TAU, ENABLE_SCALING, REWRITE_PROMPT } = Object.fromEntries(flags);
  const weights = value("WEIGHTS_DIR", "weights");
  const folder = `gen_eval_cfg${CFG}_tau${TAU}_scaling${ENABLE_SCALING}_rewrite${REWRITE_PROMPT}`;
  return [
    ...flags.filter(([, given]) => given !== "").map(([name, given]) => `--${flagOf(name)}=${given}`),
    ...Object.entries(FILES).map(([name, usual]) => {
      return `--${flagOf(name)}=${value(name, `${weights}/${usual}`)}`;
    }),
    `--outdir=${value("OUTPUT_ROOT", "output")}/${folder}/images`,
  ];
}

const flags = command({
  usage: ["[OPTIONS]", "--outdir DIR --metadata_file FILE [OPTIONS]"],
  description: [
    "The variables of the script are read from the environment, with its values for those that are not set: " +
    `${list(NAMES, "and")}. ` +
    "The flags of evaluation/gen_eval/infer4eval.py, with underscores or dashes, come before them.",
    "It is varscale run with these settings: a run that was interrupted goes on, and parts of it can be made by several processes. " +
    "As in the script, picture i of every prompt has the same random numbers. GenEval's evaluate_images.py scores the folder.",
  ],
  options: OPTIONS,
  examples: [
    "",
    "--metadata_file evaluation_metadata.jsonl --outdir images --enable_scaling 0",
    "--pn 0.25M --memory 20GB --shard 1/4",
  ],
  run,
});

/** The command. */
export const evalInfinity: Command = {
  ...flags,
  run: async (title, args, io) => {
    const help = args.includes("--help") || args.includes("-h");
    const environment = help ? {} : Deno.env.toObject();
    const set = NAMES.filter((name) => environment[name]);
    if (set.length > 0 && !args.includes("--quiet") && !args.includes("-q")) {
      const values = set.map((name) => `${name}=${environment[name]}`);
      say(io, `from the environment: ${list(values, "and")}`);
    }
    return await flags.run(title, [...scriptArguments(environment), ...args], io);
  },
};

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<number> {
  refuseOperands(operands, 0);
  if (options.rewritePrompt === "1") {
    throw new UsageError(
      "Option --rewrite-prompt must be 0: a service of others rewrites prompts; rewrite them in the file and name that by --metadata-file: current value is 1",
    );
  }
  await requireFacts(options, io.signal);
  const idle = withoutEffect(options);
  if (idle.length > 0 && !options.quiet) {
    say(io, `without effect on pictures, and so not needed: ${list(idle.map(optionName), "and")}`);
  }
  const title = { name: "run", summary: "" };
  return await series.run(title, [
    ...infinityArguments(options),
    ...[`--seed=${options.seed}`, "--shared-noise", `--metadata=${options.metadataFile}`],
    ...[`--num-images=${options.nSamples}`, `--output=${options.outdir}`],
    ...(options.shard === undefined ? [] : [`--shard=${options.shard.part}/${options.shard.parts}`]),
    ...ownArguments(OWN_OPTIONS, options),
  ], io);
}
