/**
 * `varscale convert`: from the checkpoints of a model, or from a model folder, to a model folder.
 *
 * @module
 */

import { dirname, resolve } from "node:path";
import {
  BUNDLED_MODELS,
  type ConversionSource,
  convertModel,
  createModelFolder,
  hubModel,
  type ModelFolder,
} from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, UsageError } from "../io.ts";
import { readClassNames, readPlaces } from "../options/given_files.ts";
import { choice, flag, number, text } from "../options/kinds.ts";
import {
  CHECKPOINT_OPTIONS,
  checkpointsOf,
  DEPTH_OPTION,
  modelPlace,
  sayHubNotice,
  SIZE_OPTION,
  WEIGHTS_OPTION,
  WITHOUT_OPTION,
} from "../options/model_options.ts";
import { type Arguments, optionName, refuseOperands, section } from "../options/options.ts";
import { hubPlace } from "../options/place.ts";
import { perFamily } from "../options/sampling_options.ts";
import { ByteProgress } from "../output/byte_progress.ts";
import { columns } from "../output/columns.ts";
import { formatJson } from "../output/format_json.ts";
import { printableLine } from "../output/printable.ts";
import { Transfer } from "../output/transfer.ts";
import { duration, size } from "../output/units.ts";
import { exists, requireFolder } from "../output/whole_file.ts";

const OPTIONS = {
  ...section("From", {
    ...CHECKPOINT_OPTIONS,
    weights: WEIGHTS_OPTION,
    model: {
      kind: text("PLACE"),
      short: "m",
      help:
        'Instead of checkpoints a model folder with weights in f32 or f16, as a path or URL, "hf:OWNER/NAME" for a repository of the Hugging Face hub, or "demo" or "demo-t2i"',
    },
    modelDepth: DEPTH_OPTION,
    modelSize: SIZE_OPTION,
    without: WITHOUT_OPTION,
  }),
  ...section("Model folder", {
    output: { kind: text("DIR"), short: "o", help: "Where to write the folder" },
    dtype: {
      kind: choice(["f32", "f16", "q8", "q4"]),
      help:
        "How large weights are stored: as floats of 32 or 16 bits, or in blocks of integers of 8 or 4 bits",
      default: "f32",
    },
    name: {
      kind: text("NAME"),
      help: "Name of the model",
      defaultText: "that of --model, or the family's name and the depth",
    },
    classNames: { kind: text("FILE"), help: "JSON list with the names of the classes in order" },
    tunedAlpha: {
      kind: number("X", 0, 2 ** 20),
      help: `VAR-Scaling's alpha that suits the model with 50 samples at scale ${
        perFamily(({ search }) => search.scale)
      }, or with what its folder has been tuned to instead, to be its default`,
    },
    tunedConflictThreshold: {
      kind: number("X", 0, 2 ** 40),
      help: "VAR-Scaling's conflict threshold that suits the model's codebook, to be its default",
    },
    overwrite: { kind: flag, help: "Replace a folder that is there already; without it that is an error" },
    json: { kind: flag, help: "Print one JSON object: path, name, configuration, files" },
  }),
};

/** The command. */
export const convert = command({
  usage: [
    "--var-ckpt FILE --vae-ckpt FILE --output DIR [OPTIONS]",
    "--model PLACE --output DIR [OPTIONS]",
  ],
  description: [
    "The folder holds everything that a model needs, with checksums, and loads faster than checkpoints. Nothing in a " +
    "checkpoint is executed. One tensor is in memory at a time, however large the model. A file that holds several parts of a model is " +
    "named for each of them.",
    "Until it is complete the folder is DIR.partial. Ctrl-C and failures leave nothing behind. A conversion that is killed, or " +
    "does not come to an end within a second of Ctrl-C, leaves DIR.partial; the same command then goes on with it, and any other for the same DIR begins anew.",
  ],
  options: OPTIONS,
  examples: [
    "--var-ckpt var_d16.pth --vae-ckpt vae_ch160v4096z32.pth --output var-d16",
    "--var-ckpt ar-ckpt-best.pth --vae-ckpt ar-ckpt-best.pth --output mine --dtype f16",
    "--model var-d16 --dtype q4 --output var-d16-q4",
    "--model hf:FoundationVision/var --depth 30 --dtype q8 --output var-d30-q8",
    "--model hf:jiaosiyu1999/FlexVAR --depth 24 --dtype f16 --output flexvar-d24",
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { overwrite = false, dtype, name, json } = options;
  refuseOperands(operands, 0);
  const output = required("--output", options.output);
  if (!overwrite && await exists(output)) {
    throw new UsageError(`Cannot write ${output}: it exists; choose another --output, or --overwrite`);
  }
  await requireFolder(dirname(resolve(output)));
  const classNames = options.classNames === undefined ? undefined : await readClassNames(options.classNames);
  const source = await sourceOf(options, io);
  const begun = performance.now();
  const tuning = {
    ...(options.tunedAlpha === undefined ? {} : { alpha: options.tunedAlpha }),
    ...(options.tunedConflictThreshold === undefined
      ? {}
      : { conflictThreshold: options.tunedConflictThreshold }),
  };
  using progress = new ByteProgress(io, { what: "converting" });
  await using writer = await createModelFolder(output, { overwrite, signal: io.signal })
    .catch(refuseOccupied);
  const folder = await readPlaces(Object.values(source).map(String), () =>
    convertModel(source, writer, {
      dtype,
      onProgress: (done, total) => progress.show(done, total),
      signal: io.signal,
      ...(Object.keys(tuning).length === 0 ? {} : { tuning }),
      ...(name === undefined ? {} : { name }),
      ...(options.weights === undefined ? {} : { weights: options.weights }),
      ...(options.modelDepth === undefined ? {} : { depth: options.modelDepth }),
      ...(options.modelSize === undefined ? {} : { size: options.modelSize }),
      ...(options.without === undefined ? {} : { without: options.without }),
      ...(classNames === undefined ? {} : { classNames }),
    }));
  progress[Symbol.dispose]();
  const { files, ...facts } = folder.manifest;
  if (json) io.out(`${formatJson({ output, ...facts, files })}\n`);
  else io.out(summary(folder, output, performance.now() - begun));
}

/** What is in the way of a folder is wrong with the command line. */
function refuseOccupied(error: unknown): never {
  if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  throw new UsageError(error.message, { cause: error });
}

async function sourceOf(options: Arguments<typeof OPTIONS>["options"], io: Io): Promise<ConversionSource> {
  const { classNames: _names, ...places } = options;
  const source = modelPlace(places);
  if (source === undefined) {
    const [first] = Object.keys(CHECKPOINT_OPTIONS) as [string];
    throw new UsageError(`Option ${optionName(first)} is needed, or --model`);
  }
  if (!("folder" in source)) return checkpointsOf(source);
  const { folder } = source;
  const place = hubPlace(folder);
  if (place === undefined) {
    return { folder: Object.hasOwn(BUNDLED_MODELS, folder) ? BUNDLED_MODELS[folder]! : folder };
  }
  sayHubNotice(place, io, { quiet: false });
  using transfer = new Transfer(io);
  const found = await hubModel(place, options.modelSize ?? options.modelDepth, {
    onProgress: transfer.report,
    signal: io.signal,
    ...(options.without === undefined ? {} : { without: options.without }),
  });
  return "folder" in found ? found : found.checkpoints;
}

function required(option: string, value: string | undefined): string {
  if (value === undefined) throw new UsageError(`Option ${option} is needed`);
  return value;
}

function summary({ manifest: { name, dtype, files } }: ModelFolder, output: string, time: number): string {
  const rows = Object.entries(files).map(([file, { bytes }]) => [file, size(bytes)] as const);
  const total = Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0);
  const head = `${name}, weights in ${dtype}, ${size(total)}, in ${duration(time)}: ${output}`;
  return `${printableLine(head)}\n${columns(rows, "  ")}`;
}
