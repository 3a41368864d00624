/**
 * `varscale reconstruct`: pictures through a model's tokenizer and back, with how much they have lost.
 *
 * @module
 */

import { basename, extname } from "node:path";
import {
  type Fit,
  fitImage,
  type Model,
  type PictureSize,
  reconstruct as library,
  type ReconstructedImage,
  type ReconstructOptions,
  type RgbaImage,
  type Schedule,
} from "../../mod.ts";
import { command } from "../command.ts";
import { GRID_FILE, SHEET } from "../generation/layout.ts";
import { type Io, say, UsageError } from "../io.ts";
import { FIT_OPTION } from "../options/fit_option.ts";
import { readPicture } from "../options/given_files.ts";
import { flag, integer, text } from "../options/kinds.ts";
import {
  describeDevice,
  DEVICE_OPTIONS,
  type DeviceRecord,
  deviceRecord,
  load,
  MODEL_OPTIONS,
  modelPlace,
} from "../options/model_options.ts";
import { type Arguments, section, type Values } from "../options/options.ts";
import { JSON_OPTION, OVERWRITE_OPTION, quietOption } from "../options/output_options.ts";
import { asked, checkOutline } from "../options/requests.ts";
import { MAP_OPTIONS } from "../options/sampling_options.ts";
import { columns } from "../output/columns.ts";
import { numberedName } from "../output/file_name.ts";
import { formatJson } from "../output/format_json.ts";
import { OutputFolder } from "../output/output_folder.ts";
import { printableLine } from "../output/printable.ts";
import { plural } from "../output/words.ts";

/** The record of what has been made. */
const RECORD_FILE = "reconstruct.json";
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
  usage: ["IMAGE … [OPTIONS]"],
  description: [
    "Shows what a model's tokenizer makes of a picture (a PNG, JPEG or WebP file), and how far that is from the picture: PSNR in decibels of the resized " +
    "and cropped picture, of 8 bits per channel. reconstruct.json holds these numbers and the tokens.",
  ],
  options: OPTIONS,
  examples: [
    "torus.png --progressive",
    "photos/*.jpg --model var-d16 --output copies",
    "photos/*.png --model hf:jiaosiyu1999/FlexVAR --depth 24 --size 512x256",
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { output, overwrite = false, progressive = false, batch, json, quiet } = options;
  if (operands.length === 0) throw new UsageError("The pictures to reconstruct are missing: IMAGE …");
  const pictures: RgbaImage[] = [];
  for (const path of operands) pictures.push(await readPicture(path));
  const names = operands.map((path, i) => numberedName(i, operands.length, basename(path, extname(path))));
  const grid = operands.length <= GRID_ROWS;
  await using folder = await OutputFolder.open(output, { record: RECORD_FILE, overwrite });
  await folder.refuse([...(grid ? [GRID_FILE] : []), ...names.map((name) => `${name}.png`)]);
  const maps = mapsOf(options);
  await using model = await load(
    modelPlace(options) ?? { folder: "demo" },
    options,
    io,
    (outline) => checkOutline(outline, maps),
  );
  const schedule = asked(() => model.schedule(maps));
  const stages = progressive ? schedule.scales.slice(0, -1).map((_, scale) => `_scale-${scale}.png`) : [];
  await folder.refuse(names.flatMap((name) => stages.map((end) => name + end)));

  const fitted = fitAll(pictures, { paths: operands, size: schedule.picture, fit: options.fit });
  const result = await library(model, fitted, { ...maps, progressive, batch, signal: io.signal });
  for (const [i, image] of result.images.entries()) {
    await folder.write(`${names[i]}.png`, image.png());
    for (const [scale, end] of stages.entries()) {
      await folder.write(`${names[i]}${end}`, image.stages[scale]!.png());
    }
  }
  if (grid) await folder.write(GRID_FILE, result.grid().png(SHEET));
  const report = reportOf(model, schedule, {
    options,
    sources: operands,
    names,
    stages,
    images: result.images,
  });
  const strangers = await folder.finish(`${formatJson(report)}\n`);
  if (strangers !== undefined) say(io, `warning: ${strangers}`);
  if (json) {
    const images = report.images.map(({ tokens: _tokens, ...image }) => image);
    io.out(`${formatJson({ output, ...report, images })}\n`);
  } else if (!quiet) {
    io.out(summary(report, output));
  }
}

/** The token maps that the options ask for. */
function mapsOf(
  { patchNumbers, size }: Values<typeof MAP_OPTIONS>,
): Pick<ReconstructOptions, "patchNumbers" | "size"> {
  return {
    ...(patchNumbers === undefined ? {} : { patchNumbers }),
    ...(size === undefined ? {} : { size }),
  };
}

/** Pictures in the size of a model's. */
function fitAll(
  pictures: readonly RgbaImage[],
  to: { readonly paths: readonly string[]; readonly size: PictureSize; readonly fit: Fit | undefined },
): RgbaImage[] {
  return pictures.map((picture, i) => {
    try {
      return fitImage(picture, to.size, to.fit ?? "crop");
    } catch (error) {
      throw new UsageError(`${to.paths[i]}: ${(error as Error).message}`);
    }
  });
}

/** Content of `reconstruct.json`. */
interface Report {
  readonly model: Pick<Model, "name" | "fingerprints">;
  readonly device: DeviceRecord;
  readonly fit: Fit;
  readonly images: readonly {
    readonly source: string;
    readonly file: string;
    readonly stages: readonly string[];
    readonly mse: number;
    /** JSON has no infinity, which a picture without any error has. */
    readonly psnr: number | null;
    readonly tokens: readonly (readonly number[])[];
  }[];
}

function reportOf(
  model: Model,
  schedule: Schedule,
  facts: {
    readonly options: Values<typeof OPTIONS>;
    readonly sources: readonly string[];
    readonly names: readonly string[];
    readonly stages: readonly string[];
    readonly images: readonly ReconstructedImage[];
  },
): Report {
  const { options, sources, names, stages, images } = facts;
  return {
    model: { name: model.name, fingerprints: model.fingerprints },
    device: deviceRecord(model),
    fit: options.fit ?? "crop",
    ...schedule.settings.maps,
    images: images.map(({ mse, psnr, tokens }, i) => ({
      source: sources[i]!,
      file: `${names[i]}.png`,
      stages: stages.map((end) => names[i] + end),
      mse,
      psnr: Number.isFinite(psnr) ? psnr : null,
      tokens: tokens.map((map) => [...map]),
    })),
  };
}

function summary({ model, device, images }: Report, output: string): string {
  const head = `${plural(images.length, "picture")} in ${output}: ${model.name}, on ${
    describeDevice(device)
  }`;
  return `${printableLine(head)}\n` + columns(
    images.map(({ file, psnr }) => [`${output}/${file}`, `${(psnr ?? Infinity).toFixed(2)} dB`] as const),
    "  ",
  );
}
