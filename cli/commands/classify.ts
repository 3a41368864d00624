/**
 * `varscale classify`: what pictures show, by the likelihood that a model which paints gives them under each
 * label.
 *
 * @module
 */

import {
  type Classification,
  classify as library,
  type ClassifyOptions,
  type ClassifyResult,
  type ClassifyStage,
  type Label,
  type Model,
  type RgbaImage,
} from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, UsageError } from "../io.ts";
import { FIT_OPTION } from "../options/fit_option.ts";
import { readPicture } from "../options/given_files.ts";
import { integer, type Kind, number, seed, text } from "../options/kinds.ts";
import {
  describeDevice,
  DEVICE_OPTIONS,
  deviceRecord,
  load,
  MODEL_OPTIONS,
  modelPlace,
} from "../options/model_options.ts";
import { type Arguments, section, type Values } from "../options/options.ts";
import { JSON_OPTION, quietOption } from "../options/output_options.ts";
import { readPrompts } from "../options/prompts.ts";
import {
  askedFor,
  checkOutline,
  type Labelled,
  labelOf,
  labelsOf,
  listedLabels,
} from "../options/requests.ts";
import { MAP_OPTIONS } from "../options/sampling_options.ts";
import { readFeatures, TEXT_FEATURES_OPTION } from "../options/text_features.ts";
import { formatJson } from "../output/format_json.ts";
import { printableLine } from "../output/printable.ts";
import { Progress } from "../output/progress.ts";
import { textTable } from "../output/text_table.ts";
import { operations } from "../output/units.ts";
import { plural } from "../output/words.ts";

/** Pictures that go through the stages together. */
const TOGETHER = 8;

const labels: Kind<readonly string[]> = {
  placeholder: "A,B,…|all",
  parse: (value) => [text("A").parse(value)],
};

const stages: Kind<readonly ClassifyStage[]> = {
  placeholder: "SCALES:LABELS[xSAMPLES],…",
  parse: (value) =>
    value.split(",").map((stage) => {
      const [, scales, keep, samples] = /^ *(\d{1,4}):(\d{1,9})(?:[x×](\d{1,4}))? *$/.exec(stage) ?? [];
      if (scales === undefined || keep === undefined) {
        throw new RangeError(
          'must be stages, each by its number of scales, how many labels it leaves, and how many samples if several, like "6:10,10:3,10:1x3"',
        );
      }
      return {
        scales: Number(scales),
        keep: Number(keep),
        ...(samples !== undefined && { samples: Number(samples) }),
      };
    }),
};

const OPTIONS = {
  ...section("Classification", {
    labels: {
      kind: labels,
      collects: true,
      help:
        "What the pictures may show: classes by name or number, or all; for a model that takes texts, one prompt each time that it is given",
      defaultText: "all",
    },
    prompts: {
      kind: text("FILE"),
      help: 'More labels from a file: one in each line, or JSON with "prompt", by the line or as a list',
    },
    stages: {
      kind: stages,
      help:
        "How many of the scales count in each stage, how many labels it leaves, and of how many encodings with noise it takes the mean; the last one leaves 1",
      defaultText: "with ten scales 6:10,10:3,10:1x3, and otherwise the same parts",
    },
    noise: {
      kind: number("X", 0, 2 ** 40),
      help: "Standard deviation of the noise in the encoder's features, for more than one sample",
      default: 0.1,
    },
    seed: { kind: seed, short: "s", help: "Seed of that noise", default: 0 },
    fit: FIT_OPTION,
    ...MAP_OPTIONS,
    batch: {
      kind: integer("N", 1),
      short: "b",
      help: "Rows, a picture under a label each, that run together",
      defaultText: "16 or what fits",
    },
  }),
  ...MODEL_OPTIONS,
  ...section("Model", { textFeatures: TEXT_FEATURES_OPTION }),
  ...DEVICE_OPTIONS,
  ...section("Output", { json: JSON_OPTION, quiet: quietOption("the results and errors") }),
};

/** The command. */
export const classify = command({
  usage: ["PICTURE … [OPTIONS]"],
  description: [
    "Tells what pictures show (PNG, JPEG or WebP files): a model that paints is asked how likely it finds their tokens under each label. " +
    "It takes no training, and a model with an encoder. All labels are tried on the coarse scales, and those that are left on all.",
    "What is printed is by how many nats the likeliest label comes before the second one, as the last stage found it.",
  ],
  options: OPTIONS,
  examples: [
    "torus.png --model demo",
    'photos/*.jpg --labels "golden retriever,tabby,88" --model var-d16',
    "photo.png --labels all --stages 6:10,10:1 --model var-d16 --json",
    'scene.png --labels "two red spheres" --labels "a blue cone" --model demo-t2i',
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { json, quiet = false, prompts } = options;
  if (operands.length === 0) throw new UsageError("The pictures to classify are missing: PICTURE …");
  const pictures: RgbaImage[] = [];
  for (const path of operands) pictures.push(await readPicture(path));
  const given = {
    ...options,
    ...(prompts === undefined
      ? {}
      : { listed: (await readPrompts(prompts, io)).map(({ prompt }) => prompt) }),
  };
  const features = options.textFeatures === undefined ? undefined : await readFeatures(options.textFeatures);
  const maps = mapsOf(options);
  await using model = await load(
    modelPlace(options) ?? { folder: "demo" },
    options,
    io,
    (outline) => checkOutline(outline, { ...maps, labels: candidatesOf(outline, given) ?? [] }),
  );
  const candidates = candidatesOf(model, given);
  const { stages, noise, seed, fit = "crop", batch } = options;
  const how: ClassifyOptions = {
    ...{ ...maps, stages, noise, seed, fit, batch, signal: io.signal, textFeatures: features },
  };
  const results: ClassifyResult[] = [];
  const progress = new Progress(io, { total: pictures.length, quiet, noun: "picture" });
  try {
    for (let first = 0; first < pictures.length; first += TOGETHER) {
      const part = pictures.slice(first, first + TOGETHER);
      results.push(await askedFor(() => library(model, part, candidates, how)));
      for (const _ of part) progress.image();
      progress.batch();
    }
  } finally {
    progress.clear();
  }
  const report = reportOf(model, results, operands);
  io.out(json ? `${formatJson(report)}\n` : summary(report));
}

/** The token maps that the options ask for. */
function mapsOf(
  { patchNumbers, size }: Values<typeof MAP_OPTIONS>,
): Pick<ClassifyOptions, "patchNumbers" | "size"> {
  return { ...(patchNumbers && { patchNumbers }), ...(size === undefined ? {} : { size }) };
}

/** The labels that the options name; without any, all classes. */
function candidatesOf(
  model: Labelled,
  { labels, listed = [] }: {
    readonly labels?: readonly string[] | undefined;
    /** Those of a file. */
    readonly listed?: readonly string[];
  },
): readonly Label[] | undefined {
  if (labels === undefined && listed.length === 0) {
    if (model.labels.kind === "classes") return undefined;
    throw new UsageError(
      `Option --labels is needed, at least twice, as the model "${model.name}" takes texts and has no classes`,
    );
  }
  const named = (labels ?? []).flatMap((text) => listedLabels(model, text));
  return [
    ...named.flatMap((label) => labelsOf(model, label)),
    ...listed.map((label) => labelOf(model, label)),
  ];
}

/** What `--json` prints. */
interface Report {
  readonly model: Pick<Model, "name" | "fingerprints">;
  readonly device: ReturnType<typeof deviceRecord>;
  /** Operations that it took, and those of all labels on all scales. */
  readonly flops: number | null;
  readonly fullFlops: number | null;
  readonly images: readonly (Classification & { readonly file: string })[];
}

function reportOf(model: Model, results: readonly ClassifyResult[], files: readonly string[]): Report {
  const sum = (of: (result: ClassifyResult) => number | undefined): number | null => {
    return results.reduce<number | null>((sum, result) => {
      const part = of(result);
      return sum === null || part === undefined ? null : sum + part;
    }, 0);
  };
  return {
    model: { name: model.name, fingerprints: model.fingerprints },
    device: deviceRecord(model),
    flops: sum(({ flops }) => flops),
    fullFlops: sum(({ fullFlops }) => fullFlops),
    images: results.flatMap(({ images }) => images).map((image, i) => ({ file: files[i]!, ...image })),
  };
}

function summary({ model, device, flops, fullFlops, images }: Report): string {
  const work = flops === null || fullFlops === null
    ? ""
    : `, ${operations(flops)}, ${(100 * flops / fullFlops).toFixed(0)} % of all labels on all scales`;
  const head = `${plural(images.length, "picture")}: ${model.name}, on ${describeDevice(device)}${work}`;
  const rows = images.map(({ file, label, margin, ranking }) => {
    return [file, label.name, margin.toFixed(1), ranking[1]!.name];
  });
  return `${printableLine(head)}\n` + textTable(["picture", "shows", "nats", "before"], rows);
}
