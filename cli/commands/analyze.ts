/**
 * `varscale analyze`: the papers' figures about a model, made with it: data, tables and pictures.
 *
 * @module
 */

import {
  type Analysis,
  type AnalysisOptions,
  analyzeBranches,
  analyzeDensities,
  analyzePerturbation,
  analyzeRepresentatives,
  analyzeScales,
} from "../../evaluation/mod.ts";
import type { Model } from "../../mod.ts";
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
import { integer, number, scales, seed, text } from "../options/kinds.ts";
import { DEVICE_OPTIONS, load, MODEL_OPTIONS, modelPlace } from "../options/model_options.ts";
import { nearest } from "../options/nearest.ts";
import { openVerifier } from "../options/open_search.ts";
import { type Arguments, optionName, type OptionTable, section, type Values } from "../options/options.ts";
import { JSON_OPTION, OVERWRITE_OPTION, quietOption } from "../options/output_options.ts";
import { askedFor, checkOutline } from "../options/requests.ts";
import { ANALYSIS_FILE, writeAnalysis } from "../output/analysis_record.ts";
import { formatJson } from "../output/format_json.ts";
import { OutputFolder } from "../output/output_folder.ts";
import { printableLine } from "../output/printable.ts";
import { textTable } from "../output/text_table.ts";
import { list } from "../output/words.ts";

/** Options that only some kinds have. */
const OWN = {
  scale: {
    kind: { ...scales, placeholder: "K" },
    help: "The scale of the candidates, from 0 on, or from -1 back from the last",
    defaultText: "that of the model's search",
  },
  samples: {
    kind: integerList("N", 2, 8192),
    help: "Numbers of candidates; for densities a single one",
    defaultText: "20,50,100; for representatives 10,20,50,100,200; for densities the model's",
  },
  alpha: {
    kind: number("X", 0, 2 ** 20),
    help: "Threshold factor on the mean density",
    defaultText: "what suits the model",
  },
  conflictThreshold: {
    kind: number("X", 0, 2 ** 40),
    help: "Of two candidates closer than this only the first is kept; 0 is off",
    defaultText: "what suits the model",
  },
  alphas: {
    kind: numberList("X", 0, 2 ** 20),
    help: "Threshold factors",
    defaultText: "1 to 3 in steps of 0.1, and what suits the model",
  },
  seeds: { kind: seeds, help: 'Seeds, or ranges of them, like "0-3,17"', defaultText: "0-3" },
  variants: {
    kind: integer("N", 1, 1000),
    help: "Pictures with fresh randomness for each label and scale",
    defaultText: "4",
  },
  sheets: { kind: integer("N", 0), help: "Labels of which a sheet of pictures is made", defaultText: "4" },
  pictures: { kind: integer("N", 2, 10_000), help: "Pictures of each label", defaultText: "8" },
  verifier: {
    kind: text("PLACE"),
    help:
      "Who judges: own, a network by NAME, NAME:PLACE or FILE.json, or evidence or density, which need none",
    defaultText: "own",
  },
  against: {
    kind: text("PLACE"),
    help: "Whose scores of finished pictures count, likewise",
    defaultText: "those of the verifier",
  },
  verifierTemplate: {
    kind: text("TEXT"),
    help: 'The text for a class, for a network that compares pictures with texts: "a photo of a {label}"',
  },
  seed: { kind: seed, short: "s", help: "Seed", defaultText: "0" },
} satisfies OptionTable;

const OPTIONS = {
  ...LABEL_OPTIONS,
  ...section("Analysis", OWN),
  ...MODEL_OPTIONS,
  ...DEVICE_OPTIONS,
  ...PAINTING_OPTIONS,
  ...section("Output", {
    output: {
      kind: text("DIR"),
      short: "o",
      help: `Folder for the pictures and ${ANALYSIS_FILE}`,
      default: "out",
    },
    overwrite: OVERWRITE_OPTION,
    json: JSON_OPTION,
    quiet: quietOption("errors and the JSON object"),
  }),
};

type AnalyzeValues = Values<typeof OPTIONS>;

/** What an analysis is made with. */
interface Job {
  readonly model: Model;
  readonly common: AnalysisOptions;
  readonly options: AnalyzeValues;
  readonly io: Io;
}

/** A kind of analysis. */
interface Kind {
  /** What it shows. */
  readonly help: string;
  /** Those of {@linkcode OWN} that it takes. */
  readonly takes: readonly (keyof typeof OWN)[];
  /** Makes it. */
  run(job: Job): Promise<Analysis>;
}

const KINDS: Readonly<Record<string, Kind>> = {
  perturbation: {
    help: "what is still open when tokens are drawn afresh from a scale on",
    takes: ["seed", "variants", "sheets"],
    run: ({ model, common, options: { variants, sheets } }) => {
      return analyzePerturbation(model, { ...common, ...stated({ variants, sheets }) });
    },
  },
  representatives: {
    help: "what VAR-Scaling's branches take of more and more candidates",
    takes: ["seed", "scale", "samples", "sheets"],
    run: ({ model, common, options: { samples, sheets, scale } }) => {
      return analyzeRepresentatives(model, {
        ...common,
        ...stated({ scale: single("scale", scale), samples, sheets }),
      });
    },
  },
  densities: {
    help: "how dense candidates are, and the branch that follows",
    takes: ["seed", "scale", "samples", "alpha", "conflictThreshold"],
    run: ({ model, common, options: { scale, samples, alpha, conflictThreshold } }) => {
      return analyzeDensities(model, {
        ...common,
        ...stated({
          ...{ scale: single("scale", scale), samples: single("samples", samples) },
          ...{ alpha, conflictThreshold },
        }),
      });
    },
  },
  scales: {
    help: "which scales are worth judging by a verifier",
    takes: ["seed", "pictures", "verifier", "against", "verifierTemplate"],
    run: async ({ model, common, options, io }) => {
      const { verifier = "own", against, verifierTemplate: template, pictures } = options;
      const how = { options, io, template };
      await using opened = await openVerifier(verifier, model, how);
      await using end = against === undefined
        ? undefined
        : await openVerifier(against, model, { ...how, option: "--against" });
      const judges = { verifier: opened.judge, against: end?.judge };
      return await analyzeScales(model, { ...common, ...stated({ pictures, ...judges }) });
    },
  },
  branches: {
    help: "how often VAR-Scaling takes each branch, by α and candidates",
    takes: ["seeds", "scale", "samples", "alphas"],
    run: ({ model, common, options: { seeds, scale, samples, alphas } }) => {
      return analyzeBranches(model, {
        ...common,
        ...stated({ seeds, scale: single("scale", scale), samples, alphas }),
      });
    },
  },
};

/** The command. */
export const analyze = command({
  usage: ["KIND [LABEL …] [OPTIONS]"],
  words: Object.keys(KINDS),
  description: [
    `KIND is ${list(Object.entries(KINDS).map(([name, { help }]) => `${name} (${help})`), "or")}.`,
    "A LABEL is the name or number of a class, or a prompt for a model that takes texts. " +
    `DIR gets the pictures (PNG for what is painted, SVG for curves) and ${ANALYSIS_FILE} with all numbers, settings and seeds.`,
  ],
  options: OPTIONS,
  examples: [
    "perturbation --output perturbation",
    'representatives "red torus" "gray cube" --samples 10,50,200',
    "densities --samples 100 --alpha 1.9",
    "scales --verifier evidence --pictures 16",
    'scales "two red spheres" "a cone" --model demo-t2i',
    "branches --samples 20,50,100 --seeds 0-9 --json",
  ],
  run,
});

async function run({ options, operands, given }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { output, overwrite = false, json, quiet = false } = options;
  const [name, ...named] = operands;
  const kind = kindOf(name, given);
  const labelsOf = await givenLabels(named, options, io);
  const painting = await paintingOf(options);
  const place = modelPlace(options) ?? { folder: "demo" };
  await using folder = await OutputFolder.open(output, { record: ANALYSIS_FILE, overwrite });
  await using model = await load(place, options, io, (outline) => {
    checkOutline(outline, { ...painting, ...labelsOf(outline) });
  });
  using progress = pictureProgress(io, { quiet });
  const common: AnalysisOptions = {
    ...labelsOf(model),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
    ...{ painting, signal: io.signal, onProgress: progress.show },
  };
  const analysis = await askedFor(() => kind.run({ model, common, options, io }));
  progress[Symbol.dispose]();
  const { record, warning } = await writeAnalysis(folder, analysis, { model, place, signal: io.signal });
  if (warning !== undefined) say(io, `warning: ${warning}`);
  if (json) io.out(`${formatJson({ output, ...record })}\n`);
  else if (!quiet) {
    io.out(`${printableLine(analysis.title)}\n\n${textTable(analysis.table.columns, analysis.table.rows)}\n`);
    io.out(`${output}: ${list([...record.pictures, ANALYSIS_FILE], "and")}\n`);
  }
}

/** The kind that is meant, with nothing that it does not take. */
function kindOf(name: string | undefined, given: ReadonlySet<string>): Kind {
  const names = Object.keys(KINDS);
  if (name === undefined) throw new UsageError(`KIND is needed: ${list(names, "or")}`);
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name]! : undefined;
  if (kind === undefined) {
    const near = nearest(name, names);
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    throw new UsageError(`Unknown kind of analysis "${name}": kinds are ${list(names, "and")}${hint}`);
  }
  const stray = Object.keys(OWN).find((option) => {
    return given.has(option) && !kind.takes.includes(option as keyof typeof OWN);
  });
  if (stray === undefined) return kind;
  const takers = names.filter((other) => KINDS[other]!.takes.includes(stray as keyof typeof OWN));
  throw new UsageError(`Option ${optionName(stray)} goes with ${list(takers, "or")}, not with ${name}`);
}

/** The one number of an option that may hold several. */
function single(name: string, values: readonly number[] | undefined): number | undefined {
  if (values === undefined || values.length === 1) return values?.[0];
  throw new UsageError(
    `Option ${optionName(name)} must be a single number here: current value is "${values}"`,
  );
}

/** What was given. */
function stated<Settings extends object>(
  settings: Settings,
): { [Name in keyof Settings]?: Exclude<Settings[Name], undefined> } {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as never;
}
