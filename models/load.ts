/**
 * Loading a model by whatever names it: the bundled demo, a model folder on disk or on a web server, a repository of the Hugging Face
 * hub, or a pair of checkpoints. This is also where the families are registered.
 *
 * @module
 */

import { requireChoice, requireInteger, requireOptions } from "../kernels/arguments.ts";
import type { Device } from "../kernels/device.ts";
import { type DeviceChoice, openDevice } from "../kernels/open_device.ts";
import { type Dtype, DTYPES } from "./dtype.ts";
import { type ModelFolder, openModelFolder } from "./folder.ts";
import type { CpuProvider } from "./graph_session.ts";
import { type DownloadProgress, type HubOptions, parseHubPlace } from "./hub/mod.ts";
import type { Model } from "./model.ts";
import { ModelFileError } from "./model_file_error.ts";
import { openVarSource, type VarCheckpoints } from "./var/convert.ts";
import { loadVarModel } from "./var/model.ts";
import { hubModel } from "./var/official.ts";

/** How each family is loaded from its folder. */
const FAMILIES: Readonly<
  Record<string, (folder: ModelFolder, device: Device, options: FamilyOptions) => Promise<Model>>
> = { var: loadVarModel };

/** What a family is told besides the folder and the device. */
interface FamilyOptions {
  threads?: number;
  cpuProvider?: CpuProvider;
  dtype?: Dtype | "auto";
  memory?: number;
  depth?: number;
  ownsDevice?: boolean;
}

/** The bundled demo model, beside this module wherever that lies. */
export const DEMO_MODEL: URL = new URL("./demo/", import.meta.url);

/**
 * What names a model: `"demo"`, a folder's path or URL, `"hf:owner/name"` or `"hf:owner/name@revision"` for a repository of the Hugging
 * Face hub, or a pair of checkpoints.
 */
export type ModelSource = string | URL | VarCheckpoints;

/** Options of {@linkcode loadModel}. */
export interface LoadModelOptions {
  /** Where to run; `"auto"` by default. A {@linkcode Device} of one's own is used and not disposed. */
  device?: DeviceChoice | Device;
  /** Threads on the CPU; all cores by default. For WebAssembly, the first model that is loaded decides for the process. */
  threads?: number;
  /**
   * Who computes the graphs on the CPU: `"wasm"` (default), or `"native"`, ONNX Runtime's native library, which is fetched from npm when it
   * is first asked for.
   */
  cpuProvider?: CpuProvider;
  /** Type of the large weights; by default `"auto"`, the most precise one that fits. See {@linkcode Dtype}. */
  dtype?: Dtype | "auto";
  /** Bytes that the model may take. By default what the device has; WebGPU does not tell, so 4 GiB are assumed there. */
  memory?: number;
  /** Depth that the model must have: which one of a repository with several, and a check otherwise. */
  depth?: number;
  /** Cache, token and endpoint for `"hf:…"`; by default what the environment says, as for Python. */
  hub?: Omit<HubOptions, "signal" | "onProgress">;
  /** Called as files are downloaded. */
  onProgress?: (progress: DownloadProgress) => void;
  /**
   * Names of the classes, for checkpoints, which have none; by default those of ImageNet for models of a published size. A model folder has
   * its own.
   */
  classNames?: readonly string[];
  /** Ends the loading. */
  signal?: AbortSignal | undefined;
}

/**
 * Loads a model.
 *
 * @param source `"demo"` for the bundled model (shaded solids, 64×64, 64 classes), the path or URL of a model folder, or the official
 * checkpoints as `{ var, vae }`, whose tensors are converted as they are read; or `"hf:FoundationVision/var"`, whose checkpoints
 * of the given depth are downloaded to the cache that Python uses too.
 * @throws {ModelFileError} If the files are no model.
 * @throws {HubError} If the files cannot be downloaded.
 * @throws {RangeError} If the model is of another depth, or does not fit into the memory there is.
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
  const { device: choice, signal } = options;
  using stack = new DisposableStack();
  // The model reads on when it is loaded, which whoever limited the time for loading does not mean.
  using loading = follow(signal);
  const found = await download(source, options);
  const folder = stack.use(await openFolder(found, { ...options, signal: loading.signal }));
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
  // From here on the folder is the model's.
  stack.move();
  try {
    const { threads, cpuProvider, dtype, memory, depth } = options;
    const given = Object.entries({ threads, cpuProvider, dtype, memory, depth })
      .filter(([, value]) => value !== undefined);
    return await load(folder, device, { ...Object.fromEntries(given), ownsDevice });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** Brings what lies on the hub to this machine; anything else is left as it is. */
async function download(source: ModelSource, options: LoadModelOptions): Promise<ModelSource> {
  const place = typeof source === "string" ? parseHubPlace(source) : undefined;
  if (place === undefined) return source;
  const { depth, hub, onProgress, signal } = options;
  return await hubModel(place, depth, {
    ...hub,
    signal,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
}

/** A signal that is aborted together with another one, until this is disposed. */
function follow(signal: AbortSignal | undefined): Disposable & { signal: AbortSignal } {
  const controller = new AbortController();
  const abort = (): void => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => signal?.removeEventListener("abort", abort),
  };
}

/** Names of all options, to tell a misspelt one. */
const OPTIONS = [
  "device",
  "threads",
  "cpuProvider",
  "dtype",
  "memory",
  "depth",
  "hub",
  "onProgress",
  "classNames",
  "signal",
] as const satisfies (keyof LoadModelOptions)[];

function requireLoadOptions(options: LoadModelOptions): void {
  requireOptions(options, OPTIONS, "load the model");
  const { device, classNames, dtype, cpuProvider } = options;
  const known = typeof device === "object" && device !== null ||
    [undefined, "auto", "webgpu", "cpu"].includes(device as DeviceChoice | undefined);
  if (!known) {
    throw new TypeError(
      `Cannot load the model as device must be "auto", "webgpu", "cpu" or a device: current value is ${
        Deno.inspect(device)
      }`,
    );
  }
  for (const name of ["threads", "memory", "depth"] as const) {
    if (options[name] !== undefined) requireInteger(options[name], name, "load the model", { min: 1 });
  }
  if (dtype !== undefined) requireChoice(dtype, ["auto", ...DTYPES], "dtype", "load the model");
  if (cpuProvider !== undefined) {
    requireChoice(cpuProvider, ["wasm", "native"], "cpuProvider", "load the model");
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

async function openFolder(source: ModelSource, options: LoadModelOptions): Promise<ModelFolder> {
  const { classNames, dtype = "auto", signal } = options;
  if (source === "") {
    throw new TypeError('Cannot load the model as its source must not be empty: current value is ""');
  }
  if (typeof source === "string" || source instanceof URL) {
    if (classNames !== undefined) {
      throw new TypeError(
        `Cannot load the model with classNames as "${source}" is a model folder, which has its own; convert it to give it others`,
      );
    }
    return await openModelFolder(source === "demo" ? DEMO_MODEL : source, { signal });
  }
  if (source?.var === undefined || source.vae === undefined) {
    throw new TypeError(
      `Cannot load the model as its source must be "demo", a folder, "hf:owner/name", or { var, vae }: current value is ${
        Deno.inspect(source)
      }`,
    );
  }
  return await openVarSource(source, {
    dtype: dtype === "auto" ? "f32" : dtype,
    signal,
    ...(classNames === undefined ? {} : { classNames }),
  });
}
