/**
 * `varscale run-infinity`: the command line of Infinity's released `tools/run_infinity.py` as it stands, and
 * that of VAR-Scaling's copy. One prompt, one picture, one file; what it means as `varscale generate`, which
 * writes a record too, it says.
 *
 * @module
 */

import { extname } from "node:path";
import { generate, type GeneratedImage, type GenerateRequest, type Model } from "../../mod.ts";
import { command } from "../command.ts";
import { planOfOptions } from "../generation/plan.ts";
import { type Io, say } from "../io.ts";
import { COUNT_OPTIONS, GENERATE_OPTIONS } from "../options/generate_options.ts";
import { requireFacts } from "../options/infinity_facts.ts";
import {
  INFINITY_FLAGS,
  infinityArguments,
  LOADING_OPTIONS,
  ownArguments,
  RUN_FLAGS,
  withoutEffect,
} from "../options/infinity_flags.ts";
import { DEVICE_OPTIONS, load } from "../options/model_options.ts";
import { type Arguments, optionName, refuseOperands, section } from "../options/options.ts";
import { quietOption } from "../options/output_options.ts";
import { parse } from "../options/parse.ts";
import { checkOutline } from "../options/requests.ts";
import { BATCH_OPTIONS } from "../options/sampling_options.ts";
import { readFeatures, TEXT_FEATURES_OPTION } from "../options/text_features.ts";
import { printableLine } from "../output/printable.ts";
import { Progress } from "../output/progress.ts";
import { requireFolder, writeWhole } from "../output/whole_file.ts";
import { list } from "../output/words.ts";

/** Options of ours, for what the released script takes as given: a GPU with enough memory. */
const OWN_OPTIONS = {
  ...section("Model", { textFeatures: TEXT_FEATURES_OPTION, ...LOADING_OPTIONS }),
  ...DEVICE_OPTIONS,
  ...section("Device", { memory: BATCH_OPTIONS.memory }),
  ...section("Output", { quiet: quietOption("errors and warnings") }),
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
  const { prompt, quiet = false } = options;
  await requireFacts(options, io.signal);
  const file = pngFile(options.saveFile);
  await requireFolder(folderOf(file));
  const args = [
    ...infinityArguments(options),
    `--seed=${options.seed}`,
    ...ownArguments(OWN_OPTIONS, options),
  ];
  const { options: values } = parse({ ...COUNT_OPTIONS, ...GENERATE_OPTIONS }, args);
  const plan = planOfOptions(values, { prompts: [{ prompt, line: JSON.stringify({ prompt }) }] });
  const { textFeatures } = plan;
  const given = textFeatures === undefined ? {} : { textFeatures: await readFeatures(textFeatures) };
  const notice = (text: string): void => {
    if (!quiet) say(io, text);
  };
  for (const note of notes(options, file)) notice(note);
  notice(`this is: varscale generate ${[...args, "--", prompt].map(quoted).join(" ")}`);
  await using model = await load(plan.place, values, io, (outline) => {
    checkOutline(outline, plan.request(outline));
  });
  const image = await makeImage(model, { ...plan.request(model), ...given, hooks: plan.variants[0]!.hooks }, {
    quiet,
    io,
  });
  await Deno.mkdir(folderOf(file), { recursive: true });
  await writeWhole(file, image.png());
  if (!quiet) io.out(`${printableLine(file)}: ${image.width}×${image.height}\n`);
}

/** What a person should know of what was given. */
function notes(options: Arguments<typeof OPTIONS>["options"], file: string): string[] {
  const idle = withoutEffect(options);
  return [
    ...(idle.length === 0 ? [] : [
      `without effect on pictures, and so not needed: ${list(idle.map(optionName), "and")}`,
    ]),
    ...(file === options.saveFile ? [] : [`pictures are PNG here: ${file} instead of ${options.saveFile}`]),
  ];
}

/** The only picture of a request. */
async function makeImage(
  model: Model,
  request: GenerateRequest,
  { quiet, io }: { readonly quiet: boolean; readonly io: Io },
): Promise<GeneratedImage> {
  const progress = new Progress(io, { total: 1, quiet });
  let made: GeneratedImage | undefined;
  try {
    for await (const event of generate.stream(model, { ...request, signal: io.signal })) {
      if (event.type === "scale") progress.draw(`scale ${event.scale + 1}/${event.scales}`);
      if (event.type === "image") made = event.image;
    }
  } finally {
    progress.clear();
  }
  return made!;
}

/** The same file with the ending of what is written. */
function pngFile(path: string): string {
  return path.slice(0, path.length - extname(path).length) + ".png";
}

function folderOf(path: string): string {
  return /^(.*)[/\\]/s.exec(path)?.[1] || ".";
}

/** An argument as a shell takes it. */
function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}
