/**
 * `varscale convert`: from the two checkpoints of a model to a model folder.
 *
 * @module
 */

import { convertVar, createModelFolder, type ModelFolder } from "../mod.ts";
import { command, type Io } from "./command.ts";
import { columns, duration, exists, formatJson, readClassNames, size } from "./files.ts";
import { type Arguments, choice, flag, number, section, text, UsageError } from "./options.ts";

const OPTIONS = {
  ...section("Checkpoints", {
    varCkpt: { kind: text("FILE"), help: "The transformer: .pth or .safetensors, path or URL" },
    vaeCkpt: { kind: text("FILE"), help: "The tokenizer; the same file again where one holds both" },
  }),
  ...section("Model folder", {
    output: { kind: text("DIR"), short: "o", help: "Where to write the folder" },
    dtype: {
      kind: choice(["f32", "f16", "q8", "q4"]),
      help: "How large weights are stored",
      default: "f32",
    },
    name: { kind: text("NAME"), help: "Name of the model", defaultText: "VAR-d and the depth" },
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
  summary: "Convert PyTorch checkpoints to a model folder",
  usage: ["--var-ckpt FILE --vae-ckpt FILE --output DIR [OPTIONS]"],
  description: [
    "The folder holds everything that a model needs, with checksums, and loads faster than checkpoints. Nothing in a " +
    "checkpoint is executed, and the folder appears at its place only when it is complete.",
  ],
  options: OPTIONS,
  examples: [
    "--var-ckpt var_d16.pth --vae-ckpt vae_ch160v4096z32.pth --output var-d16",
    "--var-ckpt ar-ckpt-best.pth --vae-ckpt ar-ckpt-best.pth --output mine --dtype f16",
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { overwrite = false, dtype, name, json } = options;
  if (operands.length > 0) throw new UsageError(`Unexpected argument "${operands[0]}"`);
  const varCkpt = required("--var-ckpt", options.varCkpt);
  const vaeCkpt = required("--vae-ckpt", options.vaeCkpt);
  const output = required("--output", options.output);
  if (!overwrite && await exists(output)) {
    throw new UsageError(`Cannot write ${output}: it exists; choose another --output, or --overwrite`);
  }
  const classNames = options.classNames === undefined ? undefined : await readClassNames(options.classNames);
  const begun = performance.now();
  const tuning = {
    ...(options.tunedAlpha === undefined ? {} : { alpha: options.tunedAlpha }),
    ...(options.tunedConflictThreshold === undefined
      ? {}
      : { conflictThreshold: options.tunedConflictThreshold }),
  };
  await using writer = await createModelFolder(output, { overwrite, signal: io.signal });
  const folder = await convertVar({ var: varCkpt, vae: vaeCkpt }, writer, {
    dtype,
    tuning,
    signal: io.signal,
    ...(name === undefined ? {} : { name }),
    ...(classNames === undefined ? {} : { classNames }),
  });
  const { files, ...facts } = folder.manifest;
  if (json) io.out(`${formatJson({ output, ...facts, files })}\n`);
  else io.out(summary(folder, output, performance.now() - begun));
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
