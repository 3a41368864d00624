/**
 * Loading a model by whatever names it: the bundled demo, a model folder on disk or on a web server, or a pair of checkpoints. This is
 * also where the families are registered.
 *
 * @module
 */

import { requireOptions } from "../kernels/arguments.ts";
import type { Device } from "../kernels/device.ts";
import { type DeviceChoice, openDevice } from "../kernels/open_device.ts";
import { createMemoryFolder, type ModelFolder, openModelFolder } from "./folder.ts";
import type { Model } from "./model.ts";
import { ModelFileError } from "./model_file_error.ts";
import { convertVar, type VarCheckpoints } from "./var/convert.ts";
import { loadVarModel } from "./var/model.ts";

/** How each family is loaded from its folder. */
const FAMILIES: Readonly<
  Record<string, (folder: ModelFolder, device: Device, options: FamilyOptions) => Promise<Model>>
> = { var: loadVarModel };

interface FamilyOptions {
  threads?: number;
  ownsDevice?: boolean;
}

/** The bundled demo model, beside this module wherever that lies. */
export const DEMO_MODEL: URL = new URL("./demo/", import.meta.url);

/** What names a model: `"demo"`, a folder's path or URL, or a pair of checkpoints. */
export type ModelSource = string | URL | VarCheckpoints;

/** Options of {@linkcode loadModel}. */
export interface LoadModelOptions {
  /** Where to run; `"auto"` by default. A {@linkcode Device} of one's own is used and not disposed. */
  device?: DeviceChoice | Device;
  /** WebAssembly threads on the CPU; all cores by default. The first model that is loaded decides for the process. */
  threads?: number;
  /** Names of the classes, for checkpoints, which have none. */
  classNames?: readonly string[];
  /** Ends the loading. */
  signal?: AbortSignal | undefined;
}

/**
 * Loads a model.
 *
 * @param source `"demo"` for the bundled model (shaded solids, 64×64, 64 classes), the path or URL of a model folder, or the official
 * checkpoints as `{ var, vae }`, which are converted in memory.
 * @throws {ModelFileError} If the files are no model.
 * @throws {NoAdapterError} If `device: "webgpu"` was asked for and there is no adapter.
 *
 * @example
 * ```ts
 * import { loadModel } from "./load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * assertEquals(model.patchNumbers, [1, 2, 3, 4, 6, 8]);
 * assertEquals(model.classNames[32], "red torus");
 * ```
 */
export async function loadModel(source: ModelSource, options: LoadModelOptions = {}): Promise<Model> {
  requireLoadOptions(options);
  const { device: choice, threads, classNames, signal } = options;
  if (threads !== undefined && (!Number.isInteger(threads) || threads < 1)) {
    throw new RangeError(
      `Cannot load the model as threads must be an integer >= 1: current value is ${threads}`,
    );
  }
  const folder = await openFolder(source, { classNames, signal });
  const family = folder.manifest.family;
  const load = Object.hasOwn(FAMILIES, family) ? FAMILIES[family] : undefined;
  if (load === undefined) {
    throw new ModelFileError("Cannot load a model of this family", {
      file: folder.location,
      expected: Object.keys(FAMILIES).map((known) => `"${known}"`).join(" or "),
      found: `"${family}"`,
    });
  }
  signal?.throwIfAborted();
  const ownsDevice = choice === undefined || typeof choice === "string";
  const device = ownsDevice ? await openDevice(choice) : choice;
  return await load(folder, device, { ownsDevice, ...(threads === undefined ? {} : { threads }) });
}

/** Names of all options, to tell a misspelt one. */
const OPTIONS = ["device", "threads", "classNames", "signal"] as const satisfies (keyof LoadModelOptions)[];

function requireLoadOptions(options: LoadModelOptions): void {
  requireOptions(options, OPTIONS, "load the model");
  const { device, classNames } = options;
  if (device === null || !["undefined", "string", "object"].includes(typeof device)) {
    throw new TypeError(
      `Cannot load the model as device must be "auto", "webgpu", "cpu" or a device: current value is ${device}`,
    );
  }
  if (classNames === undefined) return;
  if (!Array.isArray(classNames) || classNames.some((name) => typeof name !== "string")) {
    throw new TypeError(
      `Cannot load the model as classNames must be a list of names: current value is ${
        Deno.inspect(classNames)
      }`,
    );
  }
}

async function openFolder(
  source: ModelSource,
  options: { classNames: readonly string[] | undefined; signal: AbortSignal | undefined },
): Promise<ModelFolder> {
  const { classNames, signal } = options;
  if (source === "") {
    throw new TypeError('Cannot load the model as its source must not be empty: current value is ""');
  }
  if (source === "demo") return await openModelFolder(DEMO_MODEL, { signal });
  if (typeof source === "string" || source instanceof URL) return await openModelFolder(source, { signal });
  if (source?.var === undefined || source.vae === undefined) {
    throw new TypeError(
      `Cannot load the model as its source must be "demo", a folder, or { var, vae }: current value is ${
        Deno.inspect(source)
      }`,
    );
  }
  const writer = createMemoryFolder(`${shown(source.var)} + ${shown(source.vae)}`);
  return await convertVar(source, writer, { signal, ...(classNames === undefined ? {} : { classNames }) });
}

function shown(file: string | URL | Uint8Array): string {
  return file instanceof Uint8Array ? "bytes in memory" : String(file);
}
