/**
 * The options that name a model and a device, shared by the commands that load one.
 *
 * @module
 */

import { type DeviceKind, loadModel, type Model, whyNoGpu } from "../mod.ts";
import type { Io } from "./command.ts";
import { absolute, readClassNames } from "./files.ts";
import { choice, integer, section, text, UsageError } from "./options.ts";

/** Which model. */
export const MODEL_OPTIONS = section("Model", {
  model: {
    kind: text("PLACE"),
    short: "m",
    help: 'Model folder, as a path or URL, or "demo" for the bundled model',
    defaultText: "demo",
  },
  varCkpt: {
    kind: text("FILE"),
    help:
      "Checkpoint of the transformer (.pth or .safetensors, path or URL), used with --vae-ckpt instead of --model",
  },
  vaeCkpt: { kind: text("FILE"), help: "Checkpoint of the tokenizer" },
  classNames: { kind: text("FILE"), help: "JSON list of class names, for checkpoints, which have none" },
  modelDepth: {
    kind: integer("N", 1),
    help: "Depth that the model must have, as a check; it is read from the model itself",
  },
});

/** Where to run. */
export const DEVICE_OPTIONS = section("Device", {
  device: {
    kind: choice(["auto", "webgpu", "cpu"]),
    help: "Where to run; auto takes a GPU if there is a real one, and the CPU otherwise",
    default: "auto",
  },
  threads: { kind: integer("N", 1, 1024), help: "WebAssembly threads on the CPU", defaultText: "all cores" },
});

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
  return { folder: model === "demo" ? model : absolute(model) };
}

/** Loads a model where the options say, and says so. */
export async function load(
  place: ModelPlace,
  options: {
    device: DeviceKind | "auto";
    threads: number | undefined;
    notice: (text: string) => void;
    io: Io;
  },
): Promise<Model> {
  const { device, threads, notice, io: { signal } } = options;
  const kind = device === "auto" ? await chooseDevice(notice) : device;
  const common = { device: kind, signal, ...(threads === undefined ? {} : { threads }) };
  if ("folder" in place) {
    notice(`loading ${place.folder}`);
    return await loadModel(place.folder, common);
  }
  const classNames = place.classNames === undefined ? undefined : await readClassNames(place.classNames);
  notice(`loading ${place.varCkpt} and ${place.vaeCkpt}`);
  return await loadModel(
    { var: place.varCkpt, vae: place.vaeCkpt },
    { ...common, ...(classNames === undefined ? {} : { classNames }) },
  );
}

async function chooseDevice(notice: (text: string) => void): Promise<DeviceKind> {
  const reason = await whyNoGpu();
  if (reason === undefined) return "webgpu";
  notice(`${reason}; running on the CPU`);
  return "cpu";
}
