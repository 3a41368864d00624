/**
 * What a model takes and what there is for it, before anything of its weights is read: told from the table of
 * published sizes, or from what describes a folder and its checkpoints. Loading is left to `load.ts`, which
 * decides by the same numbers.
 *
 * @module
 */

import { dirname } from "node:path";
import { requireBoolean, requireInteger, requireOptions, shown } from "../kernels/arguments.ts";
import type { Device } from "../kernels/device/device.ts";
import { WebGpuDevice } from "../kernels/device/webgpu_device.ts";
import { openModelSource } from "./convert.ts";
import { FAMILIES, familyOfFolder } from "./families.ts";
import type { Family } from "./family.ts";
import { MANIFEST, type ModelFolder, openModelFolder } from "./folder/model_folder.ts";
import { askedSize, type ModelSize, sizeInWords } from "./folder/sizes.ts";
import { requireFit } from "./graphs/fit.ts";
import type { CpuProvider } from "./graphs/graph_session.ts";
import { measureIntegers, requireFastIntegers } from "./graphs/integer_speed.ts";
import type { Rates } from "./graphs/rates.ts";
import { type Provider, type Room, roomOn } from "./graphs/room.ts";
import { HubError, hubFile, type HubOptions, type HubPlace, parseHubPlace } from "./hub/mod.ts";
import { BUNDLED_MODELS, type ModelSource } from "./load.ts";
import { leastSeconds, type PublishedModel } from "./published_model.ts";
import { type Dtype, DTYPES, type KeptDtype } from "./weights/dtype.ts";

/** What a model takes, whichever way it is known. */
export interface ModelNeeds extends PublishedModel {
  /** Title of its family. */
  readonly family: string;
  /** How its large weights are stored. */
  readonly stored: Dtype;
  /** Whether its large products may be those of integers. */
  readonly integers: boolean;
}

/** Options of {@linkcode modelNeeds}. */
export interface ModelNeedsOptions {
  /** Depth, for a repository with several models. */
  depth?: number;
  /** The same for a family that tells its models by the name of a size, like `"2B"`. */
  size?: string;
  /** Cache, token and endpoint for `"hf:…"`; see `loadModel`. */
  hub?: Omit<HubOptions, "signal" | "onProgress">;
  /** Ends it. */
  signal?: AbortSignal | undefined;
}

const ACTION = "tell what the model takes";

/**
 * What a model takes, without a look at its weights.
 *
 * @param source What {@linkcode loadModel} takes, or the name of a published model, like `"var-d16"`,
 * `"flexvar-d24"` or `"infinity-2B"`, unless something else is there under that name. Of a repository whose
 * checkpoints a family has published nothing is fetched, of another one its `model.json`; of checkpoints on
 * the disk their headers are read. Published sizes are told without a text encoder.
 * @throws {RangeError} If there is no published model of that name or size.
 * @throws {HubError} If nothing is known of a repository, or it cannot be asked.
 * @throws {ModelFileError} If files are no model, or of a family that tells nothing.
 *
 * @example
 * ```ts
 * import { modelNeeds } from "./model_needs.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const needs = await modelNeeds("var-d16");
 * assertEquals(needs.picture, { width: 256, height: 256 });
 * assertEquals(Math.round(needs.weights("q8", "webgpu") / 1e6) < 800, true);
 * assertEquals((await modelNeeds("demo")).stored, "f16");
 * ```
 */
export async function modelNeeds(source: ModelSource, options: ModelNeedsOptions = {}): Promise<ModelNeeds> {
  requireOptions(options, ["depth", "size", "hub", "signal"], ACTION);
  const { depth, signal } = options;
  if (depth !== undefined) requireInteger(depth, "depth", ACTION, { min: 1 });
  const size = askedSize(options, ACTION);
  if (typeof source !== "string" && !(source instanceof URL)) {
    using folder = await openModelSource(source, { signal });
    return await needsOfFolder(folder, size);
  }
  const place = typeof source === "string" ? parseHubPlace(source) : undefined;
  if (place !== undefined) return await needsOfRepository(place, size, options);
  const name = String(source);
  const published = Object.hasOwn(BUNDLED_MODELS, name) ? undefined : await publishedAs(name);
  const isPlace = source instanceof URL || Object.hasOwn(BUNDLED_MODELS, name) || /^\w{2,}:\/\//.test(name);
  if (!isPlace && !await isThere(name)) {
    if (published !== undefined) return ofSize(published, size);
    const known = (await publishedModels()).map(({ model }) => model.name).join(", ");
    throw new RangeError(
      `Cannot ${ACTION} as it must be a folder that is there, "hf:owner/name" or one of ${known}: current value is ${
        shown(source)
      }`,
    );
  }
  using folder = await openModelFolder(BUNDLED_MODELS[name] ?? source, { signal });
  return await needsOfFolder(folder, size);
}

/** A published model with its family. */
interface Published {
  readonly family: Family;
  readonly model: PublishedModel;
}

async function publishedModels(families: readonly Family[] = FAMILIES): Promise<Published[]> {
  const models = await Promise.all(families.map(async (family): Promise<Published[]> => {
    return (await family.published.models?.() ?? []).map((model) => ({ family, model }));
  }));
  return models.flat();
}

/** The published model of a name, in small or capital letters. */
async function publishedAs(name: string): Promise<Published | undefined> {
  const plain = name.toLowerCase();
  return (await publishedModels()).find(({ model }) => model.name.toLowerCase() === plain);
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** What is published is in floats of 32 bits. */
function needsOf({ family, model }: Published, stored: Dtype = "f32"): ModelNeeds {
  return { ...model, family: family.title, stored, integers: family.loading.includes("compute") };
}

function ofSize(published: Published, size: ModelSize | undefined): ModelNeeds {
  const { name, size: own } = published.model;
  if (size === undefined || own === undefined || size === own) return needsOf(published);
  throw new RangeError(
    `Cannot ${ACTION} as the size of ${name} must be its own, ${sizeInWords(own)}: current value is ${
      shown(size)
    }`,
  );
}

async function needsOfRepository(
  place: HubPlace,
  size: ModelSize | undefined,
  { hub, signal }: ModelNeedsOptions,
): Promise<ModelNeeds> {
  const families = FAMILIES.filter(({ published }) => published.repository === place.repository);
  const models = await publishedModels(families);
  const found = models.length === 1 && size === undefined
    ? models[0]
    : models.find(({ model }) => model.size === size);
  if (found !== undefined) return needsOf(found);
  if (models.length > 0) {
    const sizes = models.map(({ model }) => model.size).filter((known) => known !== undefined);
    const wanted = typeof sizes[0] === "string" ? "size" : "depth";
    throw new RangeError(
      `Cannot ${ACTION} as the ${wanted} must be one of ${
        sizes.join(", ")
      }, which hf:${place.repository} has: current value is ${shown(size)}`,
    );
  }
  let manifest: string;
  try {
    manifest = (await hubFile(place, MANIFEST, { ...hub, signal })).path;
  } catch (error) {
    if (!(error instanceof HubError) || error.reason !== "missing") throw error;
    throw new HubError(
      "missing",
      `Cannot ${ACTION} as hf:${place.repository} is no published repository and has no ${MANIFEST}; download it, and name its files`,
      { cause: error },
    );
  }
  using folder = await openModelFolder(dirname(manifest), { signal });
  return await needsOfFolder(folder, size);
}

async function needsOfFolder(folder: ModelFolder, size: ModelSize | undefined): Promise<ModelNeeds> {
  const { manifest, location } = folder;
  const family = familyOfFolder(folder, `${ACTION} of this family`);
  const config = family.requireConfig(manifest.config, `${location}/${MANIFEST}`);
  if (family.needs === undefined) {
    throw new RangeError(`Cannot ${ACTION} as ${family.title} tells nothing of models that are not loaded`);
  }
  const own = family.size(config);
  const model = await family.needs({ name: manifest.name, config }, (part) => folder.hasWeights(part));
  ofSize({ family, model: { ...model, size: own } }, size);
  return needsOf({ family, model: { ...model, size: own } }, manifest.dtype);
}

/** How a model fits as one type of weights. */
export interface TypeFit {
  /** Type of the large weights; `"int8"` is `compute: "int8"`. */
  readonly dtype: KeptDtype;
  /** Bytes of the weights. */
  readonly weights: number;
  /** Bytes of the weights and one guided picture at the peak. */
  readonly bytes: number;
  /** Whether it can be loaded. */
  readonly fits: boolean;
  /** Why not, or what speaks against it, in words. */
  readonly reason?: string;
  /** Seconds that a guided picture takes at the least, if that was measured; see `leastSeconds`. */
  readonly seconds?: number;
}

/** How a model fits into a place. */
export interface ModelFit {
  /** Name of the device. */
  readonly device: string;
  /** Who computes. */
  readonly provider: Provider;
  /** Bytes that are free there; `undefined` where nothing tells, as on a GPU. */
  readonly available: number | undefined;
  /** Each type that there is. */
  readonly types: readonly TypeFit[];
}

/** Options of {@linkcode fitModel}. */
export interface FitModelOptions {
  /** Who computes on the CPU; `"wasm"` by default. */
  cpuProvider?: CpuProvider;
  /** Bytes that the model may take; by default what the device has, as far as it tells. */
  memory?: number;
  /** Whether the device's speed is measured, which takes some seconds; without it no seconds are told. */
  measure?: boolean;
  /** Ends it. */
  signal?: AbortSignal | undefined;
}

/**
 * Which types of weights fit where a model could run: by the memory that is there, the limits of a GPU, and
 * what the runtime can do.
 *
 * @example
 * ```ts
 * import { CpuDevice } from "../kernels/mod.ts";
 * import { fitModel, modelNeeds } from "./model_needs.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * const { types } = await fitModel(await modelNeeds("var-d30"), device, { memory: 8e9 });
 * const fitting = types.filter(({ fits }) => fits).map(({ dtype }) => dtype);
 * assertEquals(fitting, ["f16", "q8", "q4"]); // f32 does not: WebAssembly has 3.75 GiB
 * ```
 */
export async function fitModel(
  needs: ModelNeeds,
  device: Device,
  options: FitModelOptions = {},
): Promise<ModelFit> {
  const action = "tell what fits";
  requireOptions(options, ["cpuProvider", "memory", "measure", "signal"], action);
  const { cpuProvider, memory, measure = false, signal } = options;
  if (memory !== undefined) requireInteger(memory, "memory", action, { min: 1 });
  requireBoolean(measure, "measure", action);
  const room = await roomOn(device, { cpuProvider, memory });
  const speed = measure ? await speedOf(room, { integers: needs.integers, signal }) : undefined;
  const types: readonly KeptDtype[] = needs.integers ? [...DTYPES, "int8"] : DTYPES;
  return {
    device: device.name,
    provider: room.provider,
    available: room.available,
    types: await Promise.all(types.map((dtype) => fitAs(dtype, needs, { room, speed }))),
  };
}

/** What a device does in a second, in 10⁹ operations and bytes. */
interface Speed {
  readonly products: Readonly<Partial<Record<KeptDtype, number>>>;
  readonly convolutions: number;
  readonly gigabytesPerSecond: number;
}

async function speedOf(
  { device, provider }: Room,
  { integers, signal }: { readonly integers: boolean; readonly signal: AbortSignal | undefined },
): Promise<Speed> {
  const { measureRates } = await import("./graphs/rates.ts");
  const cpuProvider = provider === "webgpu" ? {} : { cpuProvider: provider };
  const { products, convolutions }: Rates = await measureRates(device, { ...cpuProvider, signal });
  const { measureRoof } = await import("../kernels/profile/profile.ts");
  const { gigabytesPerSecond } = await measureRoof(device);
  if (!integers || provider !== "native") return { products, convolutions, gigabytesPerSecond };
  const times = await measureIntegers();
  const int8 = products.f32! * times.floats / times.integers;
  return { products: { ...products, int8 }, convolutions, gigabytesPerSecond };
}

async function fitAs(
  dtype: KeptDtype,
  needs: ModelNeeds,
  { room, speed }: { readonly room: Room; readonly speed: Speed | undefined },
): Promise<TypeFit> {
  const { provider, available } = room;
  const weights = needs.weights(dtype, provider);
  const bytes = needs.bytes(dtype, provider);
  const refusal = await refusalOf(dtype, needs, room);
  if (refusal !== undefined) return { dtype, weights, bytes, fits: false, reason: refusal };
  const products = speed?.products[dtype];
  return {
    dtype,
    weights,
    bytes,
    fits: true,
    ...(available !== undefined && bytes > available && { reason: "more than is free now" }),
    ...(speed !== undefined && products !== undefined && {
      seconds: leastSeconds(needs, weights, { ...speed, products }),
    }),
  };
}

/** Why a model cannot be loaded as a type; `undefined` if it can. */
async function refusalOf(dtype: KeptDtype, needs: ModelNeeds, room: Room): Promise<string | undefined> {
  const { stored } = needs;
  const { device, provider, most } = room;
  if ((stored === "q8" || stored === "q4") && dtype !== stored) return `its weights are stored as ${stored}`;
  if (dtype === "f16" && device instanceof WebGpuDevice && !device.gpu.features.has("shader-f16")) {
    return "the GPU has no shader-f16";
  }
  try {
    if (dtype === "int8") await requireFastIntegers(room);
    if (most !== undefined && needs.bytes(dtype, provider) > most) return "more than there is";
    requireFit((type) => needs.bytes(type, provider), room, {
      dtype,
      stored,
      largestArray: needs.largestArray(dtype),
      action: ACTION,
    });
    return undefined;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    // The reason without the sentence around it, and without what else there is, which stands beside it.
    return error.message.replace(/^.*? as (?:\w+ as )?/s, "").replace(/;.*$/s, "");
  }
}
