/**
 * `varscale generate`: pictures and the record of how they were made, written to a folder as they are
 * finished.
 *
 * @module
 */

import { command } from "../command.ts";
import { REFINER_OPTIONS } from "../generation/collaboration.ts";
import { execute } from "../generation/execute.ts";
import { type GenerationPlan, planOfOptions } from "../generation/plan.ts";
import { planOfRecord, readRepeatable } from "../generation/repeat.ts";
import { type Io, say, UsageError } from "../io.ts";
import { COUNT_OPTIONS, GENERATE_OPTIONS } from "../options/generate_options.ts";
import { inputFile, text } from "../options/kinds.ts";
import { CHECKPOINT_OPTIONS } from "../options/model_options.ts";
import { readPrompts } from "../options/prompts.ts";
import { type Arguments, optionName, section } from "../options/options.ts";
import { list } from "../output/words.ts";

const OPTIONS = {
  ...section("What to generate", {
    labels: {
      kind: text("A,B,…"),
      help:
        "Classes, like the arguments LABEL; these come after them. For a model that takes texts, all of this is one text",
    },
    prompts: {
      kind: inputFile,
      help:
        'More labels from a file or, for -, from standard input: one in each line, or JSON with "prompt", by the line or as a list; blank lines do not count',
    },
    ...COUNT_OPTIONS,
    repeat: {
      kind: text("FILE"),
      help:
        "Repeat a run exactly by its run.json, or a picture by itself: the PNG carries its recipe; only output, model place, device and grid can be given beside it",
    },
  }),
  ...GENERATE_OPTIONS,
  ...REFINER_OPTIONS,
};

/** Options that may stand beside `--repeat`: where to read and write, and nothing that changes an image. */
const WITH_REPEAT: ReadonlySet<string> = new Set<string>([
  "repeat",
  "model",
  ...Object.keys(CHECKPOINT_OPTIONS),
  "weights",
  "classNames",
  "modelDepth",
  "modelSize",
  "refiner",
  "unloadDrafter",
  "textFeatures",
  "without",
  "device",
  "threads",
  "cpuProvider",
  "offload",
  "keepTextEncoder",
  "output",
  "overwrite",
  "recipe",
  "stepwise",
  "tree",
  "grid",
  "columns",
  "json",
  "quiet",
]);

/** The command. */
export const generate = command({
  usage: ["[LABEL …] [OPTIONS]", "--repeat RUN.json|PICTURE.png [OPTIONS]"],
  description: [
    'A LABEL is the name or number of a class, "all" for every class, or "null" for none, which means anything. ' +
    "Without one, classes are drawn at random from the seed. A model that takes texts is told what to paint in any words, and each LABEL is a prompt.",
    "Names of options may be written with dashes or underscores, and the names of published scripts are understood.",
  ],
  options: OPTIONS,
  examples: [
    '"red torus" "blue cone" --count 4 --seed 7',
    '"two red spheres and a blue cone" --model demo-t2i',
    "all --cfg 3 --scaling --samples 50 --output scaled",
    "--prompts - --model demo-t2i --output piped",
    '"green cube" --count 8 --compare --preset published',
    '"two red spheres" --model demo-t2i --method tts-var --tree tree.png',
    '"a cat" --model demo-t2i --method best-of-n,var-scaling --attempts 8',
    '"blue cone" --method beam --verifier evidence --keep 2',
    '"two red spheres" --model demo-t2i --method tts-var --budget 4x',
    "207 --var-ckpt var_d16.pth --vae-ckpt vae_ch160v4096z32.pth --preview all",
    "88 979 --model hf:jiaosiyu1999/FlexVAR --depth 24 --published --patch-numbers 1,2,3,4,5,7,10,13,16",
    "88 --model hf:jiaosiyu1999/FlexVAR --depth 24 --size 512",
    "88 979 --model hf:FoundationVision/var --depth 30 --refiner hf:FoundationVision/var --refiner-depth 16",
    "--repeat out/run.json --output again",
    "--repeat torus.png --output again",
  ],
  run,
});

async function run(args: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { options, operands } = args;
  const plan = options.repeat === undefined
    ? planOfOptions(options, {
      labels: operands,
      listed: options.labels,
      ...(options.prompts === undefined ? {} : { prompts: await readPrompts(options.prompts, io) }),
    })
    : await planOfRecorded(options.repeat, args, io);
  await execute(plan, options, io);
}

async function planOfRecorded(
  path: string,
  { options, given, operands }: Arguments<typeof OPTIONS>,
  io: Io,
): Promise<GenerationPlan> {
  const record = await readRepeatable(path);
  const fixed = [...given].filter((name) => !WITH_REPEAT.has(name)).map(optionName);
  if (operands.length > 0) fixed.unshift("LABEL");
  if (fixed.length > 0) {
    throw new UsageError(`Cannot use ${list(fixed, "and")} with --repeat, which repeats a run as it was`);
  }
  if (record.featuresGiven && options.textFeatures === undefined) {
    say(io, "warning: features of prompts were given, and are the model's own now; see --text-features");
  }
  return await planOfRecord(record, path, { ...options, given });
}
