/**
 * `varscale reconstruct`: pictures through a model's tokenizer and back, with how much they have lost.
 *
 * @module
 */

import { basename, extname } from "node:path";
import { fitImage, reconstruct as library, type ReconstructedImage, type RgbaImage } from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, UsageError } from "../io.ts";
import { FIT_OPTION } from "../options/fit_option.ts";
import { readPicture } from "../options/given_files.ts";
import { flag, integer, text } from "../options/kinds.ts";
import {
  describeDevice,
  DEVICE_OPTIONS,
  deviceRecord,
  load,
  MODEL_OPTIONS,
  modelPlace,
} from "../options/model_options.ts";
import { type Arguments, section } from "../options/options.ts";
import { JSON_OPTION, OVERWRITE_OPTION, quietOption } from "../options/output_options.ts";
import { asked } from "../options/requests.ts";
import { MAP_OPTIONS } from "../options/sampling_options.ts";
import { columns } from "../output/columns.ts";
import { formatJson } from "../output/format_json.ts";
import { slug } from "../output/slug.ts";
import { refuseExisting, writeWhole } from "../output/whole_file.ts";
import { plural } from "../output/words.ts";

/** A sheet with more rows than this is hardly looked at. */
const GRID_ROWS = 64;

const OPTIONS = {
  ...section("Reconstruction", {
    progressive: { kind: flag, help: "Write what the tokens show after each scale, too" },
    fit: FIT_OPTION,
    ...MAP_OPTIONS,
    batch: { kind: integer("N", 1), short: "b", help: "Pictures that run together", default: 8 },
  }),
  ...MODEL_OPTIONS,
  ...DEVICE_OPTIONS,
  ...section("Output", {
    output: {
      kind: text("DIR"),
      short: "o",
      help: `Folder for the pictures, reconstruct.json, and for up to ${GRID_ROWS} pictures grid.png`,
      default: "out",
    },
    overwrite: OVERWRITE_OPTION,
    json: JSON_OPTION,
    quiet: quietOption("errors and the JSON object"),
  }),
};

/** The command. */
export const reconstruct = command({
  name: "reconstruct",
  summary: "Encode pictures to tokens and decode them again",
  usage: ["IMAGE.png … [OPTIONS]"],
  description: [
    "Shows what a model's tokenizer makes of a picture, and how far that is from the picture: PSNR in decibels of the resized " +
    "and cropped picture, of 8 bits per channel. reconstruct.json holds these numbers and the tokens.",
  ],
  options: OPTIONS,
  examples: [
    "torus.png --progressive",
    "photos/*.png --model var-d16 --output copies",
    "photos/*.png --model hf:jiaosiyu1999/FlexVAR --depth 24 --size 512x256",
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { output, overwrite = false, progressive = false, fit = "crop", batch, json, quiet } = options;
  if (operands.length === 0) throw new UsageError("The pictures to reconstruct are missing: IMAGE.png …");
  const pictures = [];
  for (const path of operands) pictures.push(await readPicture(path));
  const digits = Math.max(3, String(operands.length - 1).length);
  const names = operands.map((path, i) => {
    return `${String(i).padStart(digits, "0")}_${slug(basename(path, extname(path)))}`;
  });
  const grid = operands.length <= GRID_ROWS;
  if (!overwrite) {
    await refuseExisting(output, [
      "reconstruct.json",
      ...(grid ? ["grid.png"] : []),
      ...names.map((name) => `${name}.png`),
    ]);
  }
  await using model = await load(modelPlace(options) ?? { folder: "demo" }, options, io);
  const { patchNumbers, size } = options;
  const maps = {
    ...(patchNumbers === undefined ? {} : { patchNumbers }),
    ...(size === undefined ? {} : { size }),
  };
  const schedule = asked(() => model.schedule(maps));
  const fitted = (picture: RgbaImage, i: number): RgbaImage => {
    try {
      return fitImage(picture, schedule.picture, fit);
    } catch (error) {
      throw new UsageError(`${operands[i]}: ${(error as Error).message}`);
    }
  };
  const earlier = progressive ? schedule.scales.slice(0, -1).map((_, scale) => `_scale-${scale}.png`) : [];
  if (!overwrite) await refuseExisting(output, names.flatMap((name) => earlier.map((end) => name + end)));
  const result = await library(model, pictures.map(fitted), {
    ...maps,
    progressive,
    batch,
    signal: io.signal,
  });
  await Deno.mkdir(output, { recursive: true });
  for (const [i, image] of result.images.entries()) {
    await writeWhole(`${output}/${names[i]}.png`, image.png());
    for (const [scale, end] of earlier.entries()) {
      await writeWhole(`${output}/${names[i]}${end}`, image.stages[scale]!.png());
    }
  }
  if (grid) await writeWhole(`${output}/grid.png`, result.grid().png());
  const report = {
    model: { name: model.name, fingerprints: model.fingerprints },
    device: deviceRecord(model, options),
    fit,
    ...schedule.settings.maps,
    images: result.images.map((image, i) => ({
      source: operands[i]!,
      file: `${names[i]}.png`,
      stages: earlier.map((end) => names[i] + end),
      // JSON has no infinity, which a picture without any error has.
      mse: image.mse,
      psnr: Number.isFinite(image.psnr) ? image.psnr : null,
      tokens: image.tokens.map((map) => [...map]),
    })),
  };
  await writeWhole(`${output}/reconstruct.json`, `${formatJson(report)}\n`);
  if (json) {
    const images = report.images.map(({ tokens: _tokens, ...image }) => image);
    io.out(`${formatJson({ output, ...report, images })}\n`);
  } else if (!quiet) {
    io.out(
      `${plural(operands.length, "picture")} in ${output}: ${model.name}, on ${
        describeDevice(report.device)
      }\n`,
    );
    const line = (image: ReconstructedImage, i: number): [string, string] => {
      return [`${output}/${names[i]}.png`, `${image.psnr.toFixed(2)} dB`];
    };
    io.out(columns(result.images.map(line), "  "));
  }
}
