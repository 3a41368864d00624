/**
 * The options of all commands that generate: how many images and which, how, and where to. What is generated
 * is each command's own.
 *
 * @module
 */

import { flag, imageNumbers, integer, scalesOrAll, seed, text, toggle } from "./kinds.ts";
import { METHOD_OPTIONS } from "./method_options.ts";
import { DEVICE_OPTIONS, MODEL_OPTIONS } from "./model_options.ts";
import { section, type Values } from "./options.ts";
import { OVERWRITE_OPTION, quietOption, RECIPE_OPTION } from "./output_options.ts";
import { BATCH_OPTIONS, SAMPLING_OPTIONS } from "./sampling_options.ts";
import { SCALING_OPTIONS } from "./scaling_options.ts";
import { TEXT_FEATURES_OPTION } from "./text_features.ts";

/** More images than this have no grid unless one is asked for. */
export const GRID_IMAGES = 64;
/** More than this have none at all: a picture of all of them would not fit into memory. */
export const MAX_GRID_IMAGES = 512;

/** How many images, and which: options of all commands that generate. */
export const COUNT_OPTIONS = {
  count: {
    kind: integer("N", 1),
    short: "n",
    help: "Images per label",
    default: 1,
    aliases: ["num-images-per-class"],
  },
  seed: {
    kind: seed,
    short: "s",
    help: "Image i depends on the seed and i alone, not on the batch it is in",
    default: 0,
  },
  indices: {
    kind: imageNumbers,
    help:
      "Numbers of the images, one for each: so 5 makes image 5 of a larger run alone, and 7,7 two that share their noise",
    defaultText: "0, 1, 2, …",
  },
};

/** How to generate and where to: options of all commands that generate. */
export const GENERATE_OPTIONS = {
  ...MODEL_OPTIONS,
  ...section("Model", { textFeatures: TEXT_FEATURES_OPTION }),
  ...SAMPLING_OPTIONS,
  ...BATCH_OPTIONS,
  ...METHOD_OPTIONS,
  ...SCALING_OPTIONS,
  ...DEVICE_OPTIONS,
  ...section("Output", {
    output: {
      kind: text("DIR"),
      short: "o",
      help: "Folder for the images, grid.png and run.json",
      default: "out",
      aliases: ["output-dir"],
    },
    overwrite: OVERWRITE_OPTION,
    compare: {
      kind: flag,
      help: "Make each image plain and with --method, from the same seed; without one, with VAR-Scaling",
    },
    grid: {
      kind: toggle,
      help: "Write all images on one labelled sheet, grid.png",
      defaultText: `for 2 to ${GRID_IMAGES} images`,
    },
    columns: { kind: integer("N", 1, MAX_GRID_IMAGES), help: "Images in a row of the grid", default: 8 },
    preview: { kind: scalesOrAll, help: "Write what the images look like after these scales, too" },
    stepwise: {
      kind: flag,
      help:
        "Write a strip of each image, too: what it looked like after each scale. Decodes all lanes after each scale, which the recorded cost has",
    },
    tree: {
      kind: text("FILE.png"),
      help:
        "Draw the search for each image: scales across, lanes down, who was dropped and why; of several images, to numbered files. Decodes all lanes after each scale, which the recorded cost has",
    },
    recipe: RECIPE_OPTION,
    json: { kind: flag, help: "Print one JSON object: paths, decisions, timings" },
    quiet: quietOption("errors, warnings and the JSON object"),
  }),
};

/** Values of the options of all commands that generate. */
export type GenerateValues = Values<typeof COUNT_OPTIONS & typeof GENERATE_OPTIONS>;
