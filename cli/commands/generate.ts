/**
 * `varscale generate`: pictures and the record of how they were made, written to a folder as they are
 * finished.
 *
 * @module
 */

import { command } from "../command.ts";
import { recordedEdit } from "../generation/edit_record.ts";
import { execute } from "../generation/execute.ts";
import { type GenerationPlan, planOfOptions } from "../generation/plan.ts";
import { readRunRecord, recordedVariants } from "../generation/run_record.ts";
import { completeSampling } from "../generation/sampling_record.ts";
import { type Io, UsageError } from "../io.ts";
import { COUNT_OPTIONS, GENERATE_OPTIONS } from "../options/generate_options.ts";
import { text } from "../options/kinds.ts";
import { CHECKPOINT_OPTIONS, modelPlace, providerAgain } from "../options/model_options.ts";
import { absolute } from "../options/place.ts";
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
      kind: text("FILE"),
      help:
        'More labels from a file: one in each line, or JSON with "prompt", by the line or as a list; blank lines do not count',
    },
    ...COUNT_OPTIONS,
    repeat: {
      kind: text("RUN.json"),
      help: "Repeat a recorded run exactly; only output, model place, device and grid can be given beside it",
    },
  }),
  ...GENERATE_OPTIONS,
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
  "textFeatures",
  "without",
  "device",
  "threads",
  "cpuProvider",
  "offload",
  "keepTextEncoder",
  "output",
  "overwrite",
  "tree",
  "grid",
  "columns",
  "json",
  "quiet",
]);

/** The command. */
export const generate = command({
  usage: ["[LABEL …] [OPTIONS]", "--repeat RUN.json [OPTIONS]"],
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
    '"green cube" --count 8 --compare --preset published',
    '"two red spheres" --model demo-t2i --method tts-var --tree tree.png',
    '"a cat" --model demo-t2i --method best-of-n,var-scaling --attempts 8',
    '"blue cone" --method beam --verifier evidence --keep 2',
    '"two red spheres" --model demo-t2i --method tts-var --budget 4x',
    "207 --var-ckpt var_d16.pth --vae-ckpt vae_ch160v4096z32.pth --preview all",
    "88 979 --model hf:jiaosiyu1999/FlexVAR --depth 24 --published --patch-numbers 1,2,3,4,5,7,10,13,16",
    "88 --model hf:jiaosiyu1999/FlexVAR --depth 24 --size 512",
    "--repeat out/run.json --output again",
  ],
  run,
});

async function run(args: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { options, operands } = args;
  const plan = options.repeat === undefined
    ? planOfOptions(options, {
      labels: operands,
      listed: options.labels,
      ...(options.prompts === undefined ? {} : { prompts: await readPrompts(options.prompts) }),
    })
    : await planOfRecord(options.repeat, args);
  await execute(plan, options, io);
}

async function planOfRecord(path: string, args: Arguments<typeof OPTIONS>): Promise<GenerationPlan> {
  const record = await readRunRecord(path);
  const { options, given, operands } = args;
  const fixed = [...given].filter((name) => !WITH_REPEAT.has(name)).map(optionName);
  if (operands.length > 0) fixed.unshift("LABEL");
  if (fixed.length > 0) {
    throw new UsageError(`Cannot use ${list(fixed, "and")} with --repeat, which repeats a run as it was`);
  }
  const { labels, seed, batch, previews, edit, textFeatures: _place, ...sampling } = record.request;
  const again = edit === undefined ? undefined : await recordedEdit(edit, path);
  return {
    place: modelPlace(options) ?? record.model.place,
    loading: {
      modelDepth: options.modelDepth ?? record.model.depth,
      modelSize: options.modelSize ?? record.model.size,
      dtype: record.model.dtype ?? options.dtype,
      compute: record.model.compute,
      cacheDtype: record.model.cacheDtype,
      offload: options.offload ?? record.model.offload,
      cpuProvider: providerAgain(options.cpuProvider, record.device),
    },
    variants: recordedVariants(record),
    request: () => ({
      ...completeSampling(sampling),
      batch,
      previews,
      ...(again === undefined ? {} : { edit: again }),
      labels: labels.map(({ id, prompt }) => prompt ?? id),
      seed: typeof seed === "string" ? BigInt(seed) : seed,
    }),
    grid: options.grid ?? record.grid !== null,
    columns: given.has("columns") ? options.columns : record.grid?.columns ?? options.columns,
    edit: edit?.given,
    tree: options.tree,
    textFeatures: options.textFeatures === undefined
      ? record.request.textFeatures
      : absolute(options.textFeatures),
    record,
  };
}
