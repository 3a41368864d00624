/**
 * `varscale encode-text`: features of prompts, made once by a model's text encoder and kept in a file, so
 * that the encoder need not be where pictures are made.
 *
 * @module
 */

import { dirname, resolve } from "node:path";
import { encodeTextFeatures } from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, UsageError } from "../io.ts";
import { choice, text } from "../options/kinds.ts";
import { DEVICE_OPTIONS, load, MODEL_OPTIONS, modelPlace } from "../options/model_options.ts";
import { type Arguments, refuseOperands, section } from "../options/options.ts";
import { OVERWRITE_OPTION, quietOption } from "../options/output_options.ts";
import { readPrompts } from "../options/prompts.ts";
import { askedFor } from "../options/requests.ts";
import { BATCH_OPTIONS } from "../options/sampling_options.ts";
import { encodeTexts, requireTexts } from "../options/text_features.ts";
import { printableLine } from "../output/printable.ts";
import { size } from "../output/units.ts";
import { exists, requireFolder, writeWhole } from "../output/whole_file.ts";
import { plural } from "../output/words.ts";

const { dtype: _ofWeights, ...MODEL } = MODEL_OPTIONS;

const OPTIONS = {
  ...MODEL,
  ...DEVICE_OPTIONS,
  ...section("Device", { memory: BATCH_OPTIONS.memory }),
  ...section("Output", {
    output: { kind: text("FILE"), short: "o", help: "The file, a .safetensors" },
    dtype: { kind: choice(["f32", "f16"]), help: "Type of the features", default: "f32" },
    overwrite: OVERWRITE_OPTION,
    quiet: quietOption("errors and warnings"),
  }),
};

/** The command. */
export const encodeText = command({
  usage: ["PROMPTS --model PLACE --output FILE [OPTIONS]"],
  description: [
    'PROMPTS is a file of prompts, or - for standard input: one in each line, or JSON with "prompt", by the line or as a list. Equal ones are encoded once. ' +
    "A negative prompt is one of them.",
    "The other commands take the file as --text-features. It is written when all prompts are encoded, and knows by which encoder: features of another one are refused.",
  ],
  options: OPTIONS,
  examples: [
    "prompts.txt --model demo-t2i --output features.safetensors",
    "evaluation_metadata.jsonl --model hf:FoundationVision/Infinity --model-size 2B --dtype f16 -o geneval.safetensors",
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { output, overwrite = false, quiet = false, dtype, ...others } = options;
  const [file] = operands;
  refuseOperands(operands, 1);
  if (file === undefined) throw new UsageError("PROMPTS is needed: a file of prompts");
  if (output === undefined) throw new UsageError("Option --output is needed: the file for the features");
  if (!overwrite && await exists(output)) {
    throw new UsageError(`Cannot write ${output}: it exists; choose another --output, or --overwrite`);
  }
  await requireFolder(dirname(resolve(output)));
  const prompts = [...new Set((await readPrompts(file, io)).map(({ prompt }) => prompt))];
  const place = modelPlace(others) ?? { folder: "demo" };
  await using model = await load(place, { ...others, dtype: "auto", quiet }, io, requireTexts);
  const features = await encodeTexts(model, prompts, { quiet, io });
  const content = await askedFor(() => encodeTextFeatures(features, { dtype, signal: io.signal }));
  await Deno.mkdir(dirname(resolve(output)), { recursive: true });
  await writeWhole(output, content);
  if (quiet) return;
  const facts = [
    plural(prompts.length, "prompt"),
    `${features.channels} channels in ${dtype}`,
    size(content.length),
  ];
  io.out(`${printableLine(output)}: ${facts.join(", ")}\n`);
}
