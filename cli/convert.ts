/**
 * `varscale convert`: from the two checkpoints of a model, or from a model folder, to a model folder.
 *
 * @module
 */

import {
  convertVar,
  createModelFolder,
  DEMO_MODEL,
  hubModel,
  type ModelFolder,
  type VarSource,
} from "../mod.ts";
import { ByteProgress } from "./byte_progress.ts";
import { command, type Io } from "./command.ts";
import { columns, duration, exists, formatJson, readClassNames, size } from "./files.ts";
import { hubPlace, Transfer } from "./hub_model.ts";
import { type Arguments, choice, flag, integer, number, section, text, UsageError } from "./options.ts";

const OPTIONS = {
  ...section("From", {
    varCkpt: { kind: text("FILE"), help: "The transformer: .pth or .safetensors, path or URL" },
    vaeCkpt: { kind: text("FILE"), help: "The tokenizer; the same file again where one holds both" },
    model: {
      kind: text("PLACE"),
      short: "m",
      help:
        'Instead of checkpoints a model folder with weights in f32 or f16, as a path or URL, "hf:OWNER/NAME" for a repository of the Hugging Face hub, or "demo"',
    },
    modelDepth: {
      kind: integer("N", 1),
      help: "Depth that the model must have: which one of a repository with several, and a check otherwise",
      aliases: ["depth"],
    },
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
      defaultText: "that of --model, or VAR-d and the depth",
    },
    classNames: { kind: text("FILE"), help: "JSON list with the names of the classes in order" },
    tunedAlpha: {
      kind: number("X", 0, 2 ** 20),
      help: "VAR-Scaling's alpha that suits the model at scale 1 with 50 samples, to be its default",
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
  name: "convert",
  summary: "Convert PyTorch checkpoints, or the weights of a model folder, to a model folder",
  usage: [
    "--var-ckpt FILE --vae-ckpt FILE --output DIR [OPTIONS]",
    "--model PLACE --output DIR [OPTIONS]",
  ],
  description: [
    "The folder holds everything that a model needs, with checksums, and loads faster than checkpoints. Nothing in a " +
    "checkpoint is executed. One tensor is in memory at a time, however large the model.",
    "Until it is complete the folder is DIR.partial. Ctrl-C and failures leave nothing behind. A conversion that is killed leaves " +
    "DIR.partial; the same command then goes on with it, and any other for the same DIR begins anew.",
  ],
  options: OPTIONS,
  examples: [
    "--var-ckpt var_d16.pth --vae-ckpt vae_ch160v4096z32.pth --output var-d16",
    "--var-ckpt ar-ckpt-best.pth --vae-ckpt ar-ckpt-best.pth --output mine --dtype f16",
    "--model var-d16 --dtype q4 --output var-d16-q4",
    "--model hf:FoundationVision/var --depth 30 --dtype q8 --output var-d30-q8",
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { overwrite = false, dtype, name, json } = options;
  if (operands.length > 0) throw new UsageError(`Unexpected argument "${operands[0]}"`);
  const output = required("--output", options.output);
  if (!overwrite && await exists(output)) {
    throw new UsageError(`Cannot write ${output}: it exists; choose another --output, or --overwrite`);
  }
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
  await using writer = await createModelFolder(output, { overwrite, signal: io.signal });
  const folder = await convertVar(source, writer, {
    dtype,
    onProgress: (done, total) => progress.show(done, total),
    signal: io.signal,
    ...(Object.keys(tuning).length === 0 ? {} : { tuning }),
    ...(name === undefined ? {} : { name }),
    ...(options.modelDepth === undefined ? {} : { depth: options.modelDepth }),
    ...(classNames === undefined ? {} : { classNames }),
  });
  progress[Symbol.dispose]();
  const { files, ...facts } = folder.manifest;
  if (json) io.out(`${formatJson({ output, ...facts, files })}\n`);
  else io.out(summary(folder, output, performance.now() - begun));
}

async function sourceOf(options: Arguments<typeof OPTIONS>["options"], io: Io): Promise<VarSource> {
  const { varCkpt, vaeCkpt, model, modelDepth } = options;
  if (model === undefined) {
    return { var: required("--var-ckpt", varCkpt), vae: required("--vae-ckpt", vaeCkpt) };
  }
  if (varCkpt !== undefined || vaeCkpt !== undefined) {
    throw new UsageError("Options --model and --var-ckpt or --vae-ckpt exclude each other");
  }
  const place = hubPlace(model);
  if (place === undefined) return { folder: model === "demo" ? DEMO_MODEL : model };
  using transfer = new Transfer(io);
  const found = await hubModel(place, modelDepth, { onProgress: transfer.report, signal: io.signal });
  return typeof found === "string" ? { folder: found } : found;
}

function required(option: string, value: string | undefined): string {
  if (value === undefined) throw new UsageError(`Option ${option} is needed`);
  return value;
}

function summary({ manifest: { name, dtype, files } }: ModelFolder, output: string, time: number): string {
  const rows = Object.entries(files).map(([file, { bytes }]) => [file, size(bytes)] as const);
  const total = Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0);
  return `${name}, weights in ${dtype}, ${size(total)}, in ${duration(time)}: ${output}\n${
    columns(rows, "  ")
  }`;
}
