/**
 * The options that name a model and a device, shared by the commands that load one.
 *
 * @module
 */

import { type CpuProvider, type DeviceKind, type Dtype, loadModel, type Model, whyNoGpu } from "../mod.ts";
import type { Io } from "./command.ts";
import { absolute, readClassNames } from "./files.ts";
import { hubPlace, Transfer } from "./hub_model.ts";
import { choice, integer, section, text, UsageError } from "./options.ts";

/** Which model. */
export const MODEL_OPTIONS = section("Model", {
  model: {
    kind: text("PLACE"),
    short: "m",
    help:
      'Model folder, as a path or URL; "hf:OWNER/NAME" for a repository of the Hugging Face hub, which is downloaded once; or "demo" for the bundled model',
    defaultText: "demo",
  },
  varCkpt: {
    kind: text("FILE"),
    help:
      "Checkpoint of the transformer (.pth or .safetensors, path or URL), used with --vae-ckpt instead of --model",
  },
  vaeCkpt: { kind: text("FILE"), help: "Checkpoint of the tokenizer" },
  classNames: {
    kind: text("FILE"),
    help: "JSON list of class names, for checkpoints, which have none",
    defaultText: "those of ImageNet for published sizes",
  },
  modelDepth: {
    kind: integer("N", 1),
    help: "Depth that the model must have: which one of a repository with several, and a check otherwise",
    aliases: ["depth"],
  },
  dtype: {
    kind: choice(["auto", "f32", "f16", "q8", "q4"]),
    help: "Type of the large weights; auto is the most precise one that fits",
    default: "auto",
  },
});

/** Where to run. */
export const DEVICE_OPTIONS = section("Device", {
  device: {
    kind: choice(["auto", "webgpu", "cpu"]),
    help: "Where to run; auto takes a GPU if there is a real one, and the CPU otherwise",
    default: "auto",
  },
  threads: { kind: integer("N", 1, 1024), help: "Threads on the CPU", defaultText: "all cores" },
  cpuProvider: {
    kind: choice(["wasm", "native"]),
    help:
      "Who computes on the CPU: native is ONNX Runtime's own library, faster, and fetched from npm when first asked for",
    default: "wasm",
  },
});

/** What a record says of where a model ran. */
export interface DeviceRecord {
  /** CPU or GPU. */
  readonly kind: DeviceKind;
  /** Which one. */
  readonly name: string;
  /** Who computed on the CPU; records made before there was a choice are without it. */
  readonly cpuProvider?: CpuProvider;
}

/** Writes down where a model runs. */
export function deviceRecord(
  { device: { kind, name } }: Model,
  { cpuProvider }: { readonly cpuProvider: CpuProvider },
): DeviceRecord {
  return { kind, name, ...(kind === "cpu" ? { cpuProvider } : {}) };
}

/** A device in a few words. */
export function describeDevice({ name, cpuProvider }: DeviceRecord): string {
  return cpuProvider === "native" ? `${name}, native` : name;
}

/** What names a model on the command line and in the record of a run. */
export type ModelPlace =
  | { readonly folder: string }
  | { readonly varCkpt: string; readonly vaeCkpt: string; readonly classNames?: string };

/** Values of the options that name a model. */
export interface ModelValues {
  readonly model?: string | undefined;
  readonly varCkpt?: string | undefined;
  readonly vaeCkpt?: string | undefined;
  readonly classNames?: string | undefined;
}

/**
 * Which model the options name, with absolute paths, or `undefined` if none of them was given.
 *
 * @throws {UsageError} If they contradict each other.
 */
export function modelPlace(values: ModelValues): ModelPlace | undefined {
  const { model, varCkpt, vaeCkpt, classNames } = values;
  if (varCkpt !== undefined || vaeCkpt !== undefined) {
    if (model !== undefined) {
      throw new UsageError("Options --model and --var-ckpt or --vae-ckpt exclude each other");
    }
    if (varCkpt === undefined || vaeCkpt === undefined) {
      const missing = varCkpt === undefined ? "--var-ckpt" : "--vae-ckpt";
      throw new UsageError(`Option ${missing} is needed too: a model has two checkpoints`);
    }
    return {
      varCkpt: absolute(varCkpt),
      vaeCkpt: absolute(vaeCkpt),
      ...(classNames === undefined ? {} : { classNames: absolute(classNames) }),
    };
  }
  if (classNames !== undefined) {
    throw new UsageError(
      "Option --class-names goes with --var-ckpt and --vae-ckpt: a model folder has its own",
    );
  }
  if (model === undefined) return undefined;
  return { folder: model === "demo" || hubPlace(model) !== undefined ? model : absolute(model) };
}

/** Values of the options that say how to load a model. */
export interface LoadValues {
  readonly device: DeviceKind | "auto";
  readonly dtype: Dtype | "auto";
  readonly cpuProvider: CpuProvider;
  readonly threads?: number | undefined;
  readonly memory?: number | undefined;
  readonly modelDepth?: number | undefined;
  /** Whether to say nothing on the way. */
  readonly quiet?: boolean | undefined;
}

/**
 * Loads a model where the options say, and says so.
 *
 * @throws {UsageError} If the model is of another depth or does not fit.
 */
export async function load(
  place: ModelPlace,
  values: LoadValues,
  io: Io,
): Promise<Model> {
  const { device, dtype, cpuProvider, threads, memory, modelDepth, quiet = false } = values;
  const notice = (text: string): void => {
    if (!quiet) io.err(`varscale: ${text}\n`);
  };
  const kind = device === "auto" ? await chooseDevice(notice) : device;
  using transfer = new Transfer(io);
  const common = {
    device: kind,
    dtype,
    cpuProvider,
    signal: io.signal,
    ...(quiet ? {} : { onProgress: transfer.report }),
    ...(threads === undefined ? {} : { threads }),
    ...(memory === undefined ? {} : { memory }),
    ...(modelDepth === undefined ? {} : { depth: modelDepth }),
  };
  const { source, classNames } = "folder" in place
    ? { source: place.folder }
    : { source: { var: place.varCkpt, vae: place.vaeCkpt }, classNames: place.classNames };
  notice(`loading ${typeof source === "string" ? source : `${source.var} and ${source.vae}`}`);
  try {
    const names = classNames === undefined ? {} : { classNames: await readClassNames(classNames) };
    const model = await loadModel(source, { ...common, ...names });
    if (dtype === "auto" && model.dtype !== "f32") {
      notice(`weights as ${model.dtype}, the most precise type that fits; see --dtype and --memory`);
    }
    return model;
  } catch (error) {
    // A depth or type that the model cannot have.
    if (error instanceof RangeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

async function chooseDevice(notice: (text: string) => void): Promise<DeviceKind> {
  const reason = await whyNoGpu();
  if (reason === undefined) return "webgpu";
  notice(`${reason}; running on the CPU`);
  return "cpu";
}
