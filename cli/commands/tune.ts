/**
 * `varscale tune`: settings of VAR-Scaling that suit a model, found on some seeds and believed on others,
 * and written into the model's folder.
 *
 * @module
 */

import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { oracleVerifier, tune as library, type TuneOptions, writeTuning } from "../../evaluation/mod.ts";
import { BUNDLED_MODELS, type Judge, type Model } from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, say, UsageError } from "../io.ts";
import {
  givenLabels,
  integerList,
  LABEL_OPTIONS,
  numberList,
  PAINTING_OPTIONS,
  paintingOf,
  pictureProgress,
  seeds,
} from "../options/analysis_options.ts";
import { flag, scales, text } from "../options/kinds.ts";
import {
  DEVICE_OPTIONS,
  load,
  MODEL_OPTIONS,
  type ModelPlace,
  modelPlace,
} from "../options/model_options.ts";
import { openVerifier } from "../options/open_search.ts";
import { type Arguments, section, type Values } from "../options/options.ts";
import { JSON_OPTION, OVERWRITE_OPTION, quietOption } from "../options/output_options.ts";
import { hubPlace, isUrl } from "../options/place.ts";
import { askedFor, checkOutline } from "../options/requests.ts";
import { ANALYSIS_FILE, writeAnalysis } from "../output/analysis_record.ts";
import { formatJson } from "../output/format_json.ts";
import { OutputFolder } from "../output/output_folder.ts";
import { printableLine } from "../output/printable.ts";
import { textTable } from "../output/text_table.ts";
import { exists, requireFolder } from "../output/whole_file.ts";

/** The judge of the bundled model of classes, which no search has seen. */
const ORACLE = "demo-oracle";
/** The classes that it tells apart. */
const ORACLE_CLASSES = 64;

const OPTIONS = {
  ...LABEL_OPTIONS,
  ...section("Tuning", {
    verifier: {
      kind: text("PLACE"),
      help:
        "Who judges: own, a network by NAME, NAME:PLACE or FILE.json, or evidence or density, which need none",
      defaultText: "own",
    },
    verifierTemplate: {
      kind: text("TEXT"),
      help: 'The text for a class, for a network that compares pictures with texts: "a photo of a {label}"',
    },
    judge: {
      kind: text("PLACE"),
      help:
        `A second judge, who decides nothing: if it finds worse what the verifier finds better, only the verifier was pleased. As for --verifier, or ${ORACLE}, which knows the classes of demo`,
      defaultText: "none",
    },
    scales: { kind: scales, help: "Scales to try", defaultText: "that of the model's search" },
    samples: {
      kind: integerList("N", 2, 8192),
      help: "Numbers of candidates to try",
      defaultText: "half, once and twice as many as the model's",
    },
    alphas: {
      kind: numberList("X", 0, 2 ** 20),
      help: "Threshold factors to try; more of them take no longer",
      defaultText: "1 to 3 in steps of 0.1, and what suits the model",
    },
    conflicts: {
      kind: numberList("X", 0, 2 ** 40),
      help: "Conflict thresholds to try; 0 is off",
      defaultText: "the model's, and 0",
    },
    seeds: { kind: seeds, help: 'Seeds on which settings are tried, like "0-3,17"', defaultText: "0-3" },
    heldOutSeeds: {
      kind: seeds,
      help: "Other seeds, on which the best settings must beat the model's own",
      defaultText: "1000-1007",
    },
  }),
  ...MODEL_OPTIONS,
  ...DEVICE_OPTIONS,
  ...PAINTING_OPTIONS,
  ...section("Output", {
    write: { kind: flag, help: "Write the settings into the model folder, if they are better" },
    output: {
      kind: text("DIR"),
      short: "o",
      help: "Write them into a copy of the model folder instead, if they are better",
    },
    force: { kind: flag, help: "Write them even if they are not better" },
    report: {
      kind: text("DIR"),
      help: `Folder for scores.svg and ${ANALYSIS_FILE}, with all that was tried`,
    },
    overwrite: OVERWRITE_OPTION,
    json: JSON_OPTION,
    quiet: quietOption("errors and the JSON object"),
  }),
};

/** The command. */
export const tune = command({
  usage: ["[LABEL …] [OPTIONS]"],
  description: [
    "Every setting is tried on the same labels and seeds; the best by the verifier and the model's own are then compared on held-out seeds, picture by picture. " +
    "Settings are better if the whole 95 % interval of the differences says so. Only then, and only with --write or --output, they are written, with what was tried, by whom it was judged, and what came of it. " +
    "Whoever loads the folder searches with them.",
  ],
  options: OPTIONS,
  examples: [
    "--model demo --judge demo-oracle --output demo-tuned",
    "all --model var-d16 --verifier clip --samples 20,50,100 --seeds 0-1 --held-out-seeds 10-13 --write",
    '"a cat" "two dogs" --model infinity --verifier image-reward --scales 2,3,4 --report tuning',
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { json, quiet = false, report, overwrite = false, force = false, output } = options;
  const place = modelPlace(options) ?? { folder: "demo" };
  const target = await targetOf(place, options);
  const labelsOf = await givenLabels(operands, options, io);
  const painting = await paintingOf(options);
  await using folder = report === undefined
    ? undefined
    : await OutputFolder.open(report, { record: ANALYSIS_FILE, overwrite });
  await using model = await load(place, options, io, (outline) => {
    checkOutline(outline, { ...painting, ...labelsOf(outline) });
  });
  const { verifier = "own", verifierTemplate: template } = options;
  await using opened = await openVerifier(verifier, model, { options, io, template });
  await using second = await openSecond(options.judge, model, { options, io });
  using progress = pictureProgress(io, { quiet });
  const tuning: TuneOptions = {
    ...labelsOf(model),
    verifier: opened.judge,
    ...(second === undefined ? {} : { judge: second.judge }),
    ...(options.scales === undefined ? {} : { scales: options.scales }),
    ...(options.samples === undefined ? {} : { samples: options.samples }),
    ...(options.alphas === undefined ? {} : { alphas: options.alphas }),
    ...(options.conflicts === undefined ? {} : { conflictThresholds: options.conflicts }),
    ...(options.seeds === undefined ? {} : { seeds: options.seeds }),
    ...(options.heldOutSeeds === undefined ? {} : { heldOutSeeds: options.heldOutSeeds }),
    date: new Date().toISOString().slice(0, 10),
    ...{ painting, signal: io.signal, onProgress: progress.show },
  };
  const analysis = await askedFor(() => library(model, tuning));
  progress[Symbol.dispose]();
  if (folder !== undefined) {
    const { warning } = await writeAnalysis(folder, analysis, { model, place, signal: io.signal });
    if (warning !== undefined) say(io, `warning: ${warning}`);
  }
  const { better, misled, tuning: settings } = analysis.data;
  const writes = target !== undefined && (force || better);
  const written = writes
    ? await writeTuning(target.folder, settings, {
      ...(output === undefined ? {} : { output, overwrite }),
      signal: io.signal,
    })
    : undefined;
  if (json) {
    io.out(`${formatJson({ written: written ?? null, ...analysis.data, settings: analysis.settings })}\n`);
    return;
  }
  if (misled) say(io, "warning: the judge finds the settings worse that the verifier finds better");
  if (quiet) return;
  io.out(`${printableLine(analysis.title)}\n\n${textTable(analysis.table.columns, analysis.table.rows)}\n`);
  if (written !== undefined) io.out(`written into ${written}/model.json\n`);
  else if (target === undefined) io.out("nothing was written; --write or --output DIR does\n");
  else {io.out(
      "nothing was written, as nothing beats the model's own settings; --force writes all the same\n",
    );}
}

/** Where settings are to be written, if that is wanted and possible. */
async function targetOf(
  place: ModelPlace,
  { write, output, force, overwrite = false }: Values<typeof OPTIONS>,
): Promise<{ readonly folder: string } | undefined> {
  if (write && output !== undefined) {
    throw new UsageError(
      "Options --write and --output exclude each other: it is the folder, or a copy of it",
    );
  }
  if (!write && output === undefined) {
    if (force) throw new UsageError("Option --force goes with --write or --output");
    return undefined;
  }
  if (!("folder" in place) || hubPlace(place.folder) !== undefined) {
    throw new UsageError(
      "Settings can be written into a model folder only: make one of the checkpoints by varscale convert, and name it by --model",
    );
  }
  const { folder } = place;
  if (output !== undefined) {
    if (!overwrite && await exists(output)) {
      throw new UsageError(`Cannot write ${output}: it exists; choose another --output, or --overwrite`);
    }
    await requireFolder(dirname(resolve(output)));
    return { folder };
  }
  if (Object.hasOwn(BUNDLED_MODELS, folder)) {
    throw new UsageError(
      `Cannot write into ${folder}, which belongs to the program; --output DIR writes a copy with the settings`,
    );
  }
  if (isUrl(folder) && !/^file:/i.test(folder)) {
    throw new UsageError(`Cannot write into ${folder}; --output DIR writes a copy with the settings`);
  }
  // Whether it is there and whole is found when it is loaded; that it can be written to, before the work.
  const path = isUrl(folder) ? fileURLToPath(folder) : folder;
  if (await exists(path)) await requireFolder(path, "--model, or --output DIR for a copy");
  return { folder };
}

/** Opens who is asked beside the verifier. */
async function openSecond(
  place: string | undefined,
  model: Model,
  how: { readonly options: Values<typeof OPTIONS>; readonly io: Io },
): Promise<{ readonly judge: Judge } & AsyncDisposable | undefined> {
  if (place === undefined) return undefined;
  if (place !== ORACLE) return await openVerifier(place, model, { ...how, option: "--judge" });
  const { labels, name } = model;
  if (labels.kind !== "classes" || labels.count !== ORACLE_CLASSES) {
    throw new UsageError(
      `Option --judge: ${ORACLE} knows the ${ORACLE_CLASSES} classes of demo, and "${name}" has others`,
    );
  }
  const judge = await oracleVerifier(model.provider === "native" ? { cpuProvider: "native" } : {});
  return { judge, [Symbol.asyncDispose]: () => judge[Symbol.asyncDispose]() };
}
