/**
 * Loading a model by whatever names it: the bundled demo, a model folder on disk or on a web server, a
 * repository of the Hugging Face hub, or checkpoints.
 *
 * @module
 */

import {
  mustBe,
  requireBoolean,
  requireChoice,
  requireFunction,
  requireInteger,
  requireOptions,
  requireText,
  shown,
} from "../kernels/arguments.ts";
import type { Device } from "../kernels/device/device.ts";
import { type DeviceChoice, openDevice } from "../kernels/device/open_device.ts";
import { type Checkpoints, type OpenModelOptions, openModelSource, withoutParts } from "./convert.ts";
import { type Compute, COMPUTES, type Dtype, DTYPES } from "./weights/dtype.ts";
import { FAMILIES, familiesOfParts, familyOfFolder, knownParts } from "./families.ts";
import type { Family, FamilyLoading } from "./family.ts";
import { type ModelFolder, openModelFolder } from "./folder/model_folder.ts";
import { askedSize } from "./folder/sizes.ts";
import { CACHE_DTYPES, type CacheDtype } from "./graphs/cache_values.ts";
import { resolveCpuProvider } from "./graphs/cpu_provider.ts";
import type { CpuProvider } from "./graphs/graph_session.ts";
import { type DownloadProgress, type HubOptions, parseHubPlace } from "./hub/mod.ts";
import { hubModel } from "./hub_model.ts";
import type { Model } from "./model.ts";
import { type ModelOutline, outlineOf } from "./outline.ts";

/** The bundled demo model, beside this module wherever that lies. */
export const DEMO_MODEL: URL = new URL("./demo/", import.meta.url);

/** The bundled text-to-image model. */
const DEMO_T2I_MODEL: URL = new URL("./demo_t2i/", import.meta.url);

/** The bundled models by name: shaded solids of classes, and of texts. */
export const BUNDLED_MODELS: Readonly<Record<string, URL>> = {
  "demo": DEMO_MODEL,
  "demo-t2i": DEMO_T2I_MODEL,
};

/**
 * What names a model: `"demo"` or `"demo-t2i"`, a folder's path or URL, `"hf:owner/name"` or
 * `"hf:owner/name@revision"` for a repository of the Hugging Face hub, `"hf:owner/name/file.pth"` for one of
 * its transformers with what belongs to it, or checkpoints by part.
 */
export type ModelSource = string | URL | Checkpoints;

/** Options of {@linkcode loadModel}. */
export interface LoadModelOptions {
  /** Where to run; `"auto"` by default. A {@linkcode Device} of one's own is used and not disposed. */
  device?: DeviceChoice | Device;
  /**
   * Threads on the CPU; all cores by default. For WebAssembly, the first model that is loaded decides for the
   * process.
   */
  threads?: number;
  /**
   * Who computes the graphs on the CPU: `"wasm"`, or `"native"`, ONNX Runtime's native library, which is
   * fetched from npm where it is not there yet. By default `"auto"`: native if it is there and `--allow-ffi`
   * is granted, WebAssembly otherwise; nothing is fetched and nobody is asked. {@linkcode Model.provider}
   * tells which.
   */
  cpuProvider?: CpuProvider | "auto";
  /**
   * Type of the large weights; by default `"auto"`, the most precise one that fits. See {@linkcode Dtype}.
   */
  dtype?: Dtype | "auto";
  /**
   * How the large products of the transformer are computed: `"f32"` by default. `"int8"` takes a quarter to
   * a half of their time on processors with products of such integers, by the native provider only, and is
   * refused elsewhere. Logits are off by 1 to 2 % of their deviation. Weights must be stored as f32 or
   * f16, and are rounded when the model is loaded. For families that say so in {@linkcode Family.loading}.
   */
  compute?: Compute;
  /**
   * Bytes that the model may take. By default what the device has; WebGPU does not tell, so 4 GiB are assumed
   * there.
   */
  memory?: number;
  /**
   * `"blocks"` reads the transformer's weights block by block each time one is run, so that all of them need
   * not be in memory together, on the CPU only; `"none"`, the default, keeps them. For families that say so
   * in {@linkcode Family.loading}, as the two options after this one.
   */
  offload?: "none" | "blocks";
  /** Type in which keys and values are kept between two scales; `"f32"` by default, and half with `"f16"`. */
  cacheDtype?: CacheDtype;
  /** Whether the text encoder stays loaded after its use; false by default. */
  keepTextEncoder?: boolean;
  /** Depth that the model must have: which one of a repository with several, and a check otherwise. */
  depth?: number;
  /** The same for a family that tells its models by the name of a size, like `"2B"`. */
  size?: string;
  /** Cache, token and endpoint for `"hf:…"`; by default what the environment says, as for Python. */
  hub?: Omit<HubOptions, "signal" | "onProgress">;
  /** Called as files are downloaded. */
  onProgress?: (progress: DownloadProgress) => void;
  /**
   * Names of the classes, for checkpoints, which have none; by default those of ImageNet for models of a
   * published size. A model folder has its own.
   */
  classNames?: readonly string[];
  /**
   * Called when it is known what the model may be asked for, before anything large is loaded, unless its
   * family cannot tell; the loading waits for it, and ends with what it throws.
   */
  check?: (outline: ModelOutline) => unknown;
  /**
   * Which of several sets of weights a checkpoint's are, where it holds raw and averaged ones: some of what
   * stands in front of their names, like `"ema"`. Without it such a checkpoint is refused with their names.
   */
  weights?: string;
  /**
   * Names of parts to leave out, of those that a model can do without: a text encoder of gigabytes, say,
   * where features of the texts are at hand. They are neither downloaded nor read.
   */
  without?: readonly string[];
  /** Ends the loading. */
  signal?: AbortSignal | undefined;
}

/**
 * Loads a model.
 *
 * @param source `"demo"` for the bundled model of classes (shaded solids, 64×64, 64 classes), `"demo-t2i"`
 * for that of texts (one to three of them in a picture), the path or URL of a model
 * folder, or the official checkpoints as `{ var, vae }`, whose tensors tell the family and are converted as
 * they are read; or `"hf:FoundationVision/var"`, whose checkpoints of the given depth are downloaded to the
 * cache that Python uses too.
 * @throws {ModelFileError} If the files are no model.
 * @throws {HubError} If the files cannot be downloaded.
 * @throws {RangeError} If the model is of another size, cannot do `without` a part, does not fit into the
 * memory there is, or its family has no choice of what is asked for.
 * @throws {NoAdapterError} If `device: "webgpu"` was asked for and there is no adapter.
 *
 * @example
 * ```ts
 * import { loadModel } from "./load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * assertEquals(model.patchNumbers, [1, 2, 3, 4, 6, 8]);
 * assertEquals(model.resolveLabel("red torus"), { id: 32, name: "red torus" });
 * ```
 */
export async function loadModel(source: ModelSource, options: LoadModelOptions = {}): Promise<Model> {
  requireLoadOptions(options);
  const { device: choice, signal } = options;
  using stack = new DisposableStack();
  // The model reads on when it is loaded, which whoever limited the time for loading does not mean.
  using loading = follow(signal);
  const whole = stack.use(await openSourceFolder(source, { ...options, signal: loading.signal }));
  const family = familyOfFolder(whole, "load a model of this family");
  const choices = familyLoading(family, options);
  const folder = withoutParts(family, whole, options);
  if (options.check !== undefined) {
    const outline = outlineOf(family, folder);
    if (outline !== undefined) await options.check(outline);
  }
  signal?.throwIfAborted();
  const ownsDevice = choice === undefined || typeof choice === "string";
  const device = ownsDevice ? await openDevice(choice) : choice;
  // From here on the folder is the model's.
  stack.move();
  try {
    const { threads, dtype, memory, without } = options;
    const cpuProvider = device.kind === "cpu" ? await resolveCpuProvider(options.cpuProvider) : undefined;
    const size = askedSize(options, "load the model");
    const given = Object.entries({ threads, cpuProvider, dtype, memory, size, without })
      .filter(([, value]) => value !== undefined);
    return await family.load(folder, device, { ...Object.fromEntries(given), ...choices, ownsDevice });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** Names of the options that not every family takes. */
const CHOICES = [
  "compute",
  "offload",
  "cacheDtype",
  "keepTextEncoder",
] as const satisfies (keyof FamilyLoading)[];

/**
 * What is asked for of the choices that a family offers.
 *
 * @throws {RangeError} If it is one that the family does not.
 */
function familyLoading({ title, loading }: Family, options: LoadModelOptions): FamilyLoading {
  const given = CHOICES.filter((name) => options[name] !== undefined);
  const refused = given.find((name) => !loading.includes(name));
  if (refused === undefined) return Object.fromEntries(given.map((name) => [name, options[name]]));
  const others = FAMILIES.filter((family) => family.loading.includes(refused)).map((family) => family.title);
  throw new RangeError(
    `Cannot load the model with ${refused} ${shown(options[refused])} as ${title} has no such choice; ` +
      (others.length === 0
        ? "no family has"
        : `${others.join(" and ")} ${others.length === 1 ? "has" : "have"}`),
  );
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
  ...CHOICES,
  "depth",
  "size",
  "hub",
  "onProgress",
  "classNames",
  "check",
  "weights",
  "without",
  "signal",
] as const satisfies (keyof LoadModelOptions)[];

function requireLoadOptions(options: LoadModelOptions): void {
  requireOptions(options, OPTIONS, "load the model");
  const { device, dtype, cpuProvider, compute, offload, cacheDtype, keepTextEncoder } = options;
  const known = typeof device === "object" && device !== null ||
    [undefined, "auto", "webgpu", "cpu"].includes(device as DeviceChoice | undefined);
  if (!known) {
    throw new TypeError(mustBe('"auto", "webgpu", "cpu" or a device', device, "device", "load the model"));
  }
  for (const name of ["threads", "memory", "depth"] as const) {
    if (options[name] !== undefined) requireInteger(options[name], name, "load the model", { min: 1 });
  }
  for (const name of ["size", "weights"] as const) {
    if (options[name] !== undefined) requireText(options[name], name, "load the model");
  }
  askedSize(options, "load the model");
  if (dtype !== undefined) requireChoice(dtype, ["auto", ...DTYPES], "dtype", "load the model");
  if (cpuProvider !== undefined) {
    requireChoice(cpuProvider, ["auto", "wasm", "native"], "cpuProvider", "load the model");
  }
  if (offload !== undefined) requireChoice(offload, ["none", "blocks"], "offload", "load the model");
  if (compute !== undefined) requireChoice(compute, COMPUTES, "compute", "load the model");
  if (compute === "int8") requireWithIntegers(options);
  if (cacheDtype !== undefined) requireChoice(cacheDtype, CACHE_DTYPES, "cacheDtype", "load the model");
  if (keepTextEncoder !== undefined) requireBoolean(keepTextEncoder, "keepTextEncoder", "load the model");
  if (options.check !== undefined) requireFunction(options.check, "check", "load the model");
  for (const name of ["classNames", "without"] as const) {
    const names = options[name];
    if (names === undefined || Array.isArray(names) && names.every((one) => typeof one === "string")) {
      continue;
    }
    throw new TypeError(mustBe("a list of names", names, name, "load the model"));
  }
}

/**
 * Checks that what goes with products of integers is asked for.
 *
 * @throws {RangeError} If it is something else.
 */
function requireWithIntegers({ dtype = "auto", offload = "none" }: LoadModelOptions): void {
  const action = 'load the model with compute "int8"';
  if (dtype !== "auto" && dtype !== "f32") {
    throw new RangeError(
      `Cannot ${action} and dtype "${dtype}" as integers are made of weights that are not rounded yet; leave dtype out, or use compute: "f32"`,
    );
  }
  if (offload === "blocks") {
    throw new RangeError(
      `Cannot ${action} and offload "blocks" as weights would be rounded again each time a block is read; use offload: "none" or compute: "f32"`,
    );
  }
}

/** Opens what names a model as a folder; what lies on the hub is brought to this machine before. */
async function openSourceFolder(source: ModelSource, options: LoadModelOptions): Promise<ModelFolder> {
  const { hub, without = [], onProgress, signal } = options;
  if (source === "") {
    throw new TypeError('Cannot load the model as its source must not be empty: current value is ""');
  }
  if (typeof source !== "string" && !(source instanceof URL)) return await openCheckpoints(source, options);
  const place = typeof source === "string" ? parseHubPlace(source) : undefined;
  if (place === undefined) return await openFolder(source, options);
  const found = await hubModel(place, askedSize(options, "load the model"), {
    ...hub,
    without,
    signal,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  return "folder" in found
    ? await openFolder(found.folder, options)
    : await openCheckpoints(found.checkpoints, { ...options, sha256: found.sha256 });
}

async function openFolder(
  place: string | URL,
  { classNames, weights, signal }: LoadModelOptions,
): Promise<ModelFolder> {
  if (weights !== undefined) {
    throw new TypeError(
      `Cannot load the model with weights ${
        shown(weights)
      } as "${place}" is a model folder, which has one set of them`,
    );
  }
  if (classNames !== undefined) {
    throw new TypeError(
      `Cannot load the model with classNames as "${place}" is a model folder, which has its own; convert it to give it others`,
    );
  }
  const name = String(place);
  const bundled = Object.hasOwn(BUNDLED_MODELS, name) ? BUNDLED_MODELS[name]! : place;
  return await openModelFolder(bundled, { signal });
}

async function openCheckpoints(
  checkpoints: Checkpoints,
  options: LoadModelOptions & Pick<OpenModelOptions, "sha256">,
): Promise<ModelFolder> {
  const { classNames, weights, without = [], dtype = "auto", sha256 = {}, signal } = options;
  const parts = Object.entries(checkpoints ?? {}).flatMap(([part, place]) => place === undefined ? [] : part);
  if (familiesOfParts(parts).length === 0) {
    throw new TypeError(
      mustBe(
        `"demo", a folder, "hf:owner/name", or ${knownParts()}`,
        checkpoints,
        "its source",
        "load the model",
      ),
    );
  }
  return await openModelSource(checkpoints, {
    dtype: dtype === "auto" ? "f32" : dtype,
    sha256,
    without,
    signal,
    ...(classNames === undefined ? {} : { classNames }),
    ...(weights === undefined ? {} : { weights }),
  });
}
