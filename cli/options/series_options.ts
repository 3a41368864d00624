/**
 * The options of long runs: the published script's, and which part of the images is made here.
 *
 * @module
 */

import { flag, inputFile, integer, type Kind, seed, text, texts } from "./kinds.ts";
import { METHOD_OPTIONS } from "./method_options.ts";
import { DEVICE_OPTIONS, MODEL_OPTIONS } from "./model_options.ts";
import { section, type Values } from "./options.ts";
import { quietOption, RECIPE_OPTION } from "./output_options.ts";
import { BATCH_OPTIONS, SAMPLING_OPTIONS } from "./sampling_options.ts";
import { SCALING_OPTIONS } from "./scaling_options.ts";
import { TEXT_FEATURES_OPTION } from "./text_features.ts";

/**
 * What the help says of a setting that the method's authors chose for their experiments with the model,
 * whatever suits it.
 */
const AUTHORS = "that of the published experiments with the model";

/** A part of a whole that is split among several processes. */
export interface Shard {
  /** Number of the part, from 1. */
  readonly part: number;
  /** Number of parts. */
  readonly parts: number;
}

const shard: Kind<Shard> = {
  placeholder: "I/N",
  parse: (value) => {
    const [, part, parts] = /^(\d{1,9})\/(\d{1,9})$/.exec(value) ?? [];
    const parsed = { part: Number(part), parts: Number(parts) };
    if (!(parsed.part >= 1 && parsed.part <= parsed.parts)) {
      throw new RangeError('must be a part and the number of parts, from "1/N" to "N/N"');
    }
    return parsed;
  },
};

/** Which images, how to make them, and where to. */
export const SERIES_OPTIONS = {
  ...section("What to generate", {
    numImagesPerClass: {
      kind: integer("N", 1),
      short: "n",
      help: "Images of each class or prompt",
      defaultText: "50 of a class, 4 of a prompt",
      aliases: ["count", "num-images", "n-samples"],
    },
    classes: {
      kind: texts,
      help: "Only these classes: numbers, ranges such as 0-99, or names",
      defaultText: "all",
    },
    prompts: {
      kind: inputFile,
      help:
        'For a model that takes texts: prompts from a file or, for -, from standard input, one in each line, or JSON with "prompt", by the line or as a list',
    },
    metadata: {
      kind: inputFile,
      help:
        "GenEval's evaluation_metadata.jsonl, or another file of prompts with what a scorer is to know of them",
      aliases: ["metadata-file"],
    },
    shard: { kind: shard, help: "Only part I of N equal parts, for several processes or machines" },
    seed: {
      kind: seed,
      short: "s",
      help: "An image depends on the seed, its class or prompt, and its number alone",
      default: 0,
    },
    sharedNoise: {
      kind: flag,
      help: "Give image i of every class or prompt the same random numbers, as the published scripts do",
    },
  }),
  ...MODEL_OPTIONS,
  ...section("Model", { textFeatures: TEXT_FEATURES_OPTION }),
  ...SAMPLING_OPTIONS,
  cfg: { ...SAMPLING_OPTIONS.cfg, defaultText: AUTHORS },
  ...BATCH_OPTIONS,
  batch: {
    ...BATCH_OPTIONS.batch,
    defaultText:
      `${BATCH_OPTIONS.batch.defaultText}; with --bandwidth batch, all images of a class or prompt`,
  },
  ...METHOD_OPTIONS,
  ...section("Search", { method: { ...METHOD_OPTIONS.method, defaultText: "var-scaling" } }),
  ...SCALING_OPTIONS,
  ...section("VAR-Scaling", {
    scaling: {
      ...SCALING_OPTIONS.scaling,
      help: "Search representative tokens at an early scale; --no-scaling turns it off",
      defaultText: "on, unless --method says otherwise",
    },
    preset: {
      ...SCALING_OPTIONS.preset,
      help:
        "Instead of what this list says: published does what the released code does, paper follows the paper to the letter, default is as in varscale generate",
    },
    alpha: { ...SCALING_OPTIONS.alpha, defaultText: `${AUTHORS}; with --preset, the preset's` },
    conflictThreshold: {
      ...SCALING_OPTIONS.conflictThreshold,
      defaultText: `${AUTHORS}; with --preset, the preset's`,
    },
  }),
  ...DEVICE_OPTIONS,
  ...section("Output", {
    output: {
      kind: text("DIR"),
      short: "o",
      help:
        "Folder for the images, class_C_img_I.png, and the record, run.json; of prompts, PPPPP/samples/IIIII.png with PPPPP/metadata.jsonl. If it has some of the images already, the others are made",
      aliases: ["output-dir"],
    },
    recipe: RECIPE_OPTION,
    npz: { kind: flag, help: "Pack the images into DIR.npz in the end, like varscale npz" },
    quiet: quietOption("errors and warnings"),
  }),
};

/** Their values. */
export type SeriesValues = Values<typeof SERIES_OPTIONS>;
