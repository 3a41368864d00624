/**
 * From the tensors of a model's parts to a model folder: graphs are built, weights are copied tensor by
 * tensor under their own names, as f32 or with the large ones in a smaller type. Which family a source is of,
 * and how it is named and opened, is left to `convert.ts`.
 *
 * @module
 */

import { byteLength, type Checkpoint, encodeFloat16, type SafetensorsEntry } from "./checkpoint/mod.ts";
import { shown } from "../kernels/arguments.ts";
import { companionNames, type FoundCompanion, keptCompanions } from "./companions.ts";
import type { Dtype, KeptDtype } from "./weights/dtype.ts";
import type { Family, ModelWeights } from "./family.ts";
import { type FolderTuning, MANIFEST, type ModelFolder, type ModelTuning } from "./folder/model_folder.ts";
import type { FolderWriter, WriteTensorsOptions } from "./folder/folder_writer.ts";
import { classNamesOf } from "./label.ts";
import { ModelFileError } from "./model_file_error.ts";
import { type PartPlace, partPlaces } from "./part_places.ts";
import { quantizeOutputs } from "./weights/output_scales.ts";
import type { WeightPlaces } from "./weights/weight_places.ts";
import { type BlockOptions, blockShapes, quantizeBlocks, SCALES } from "./weights/quantize.ts";
import { askedSize, requireModelSize } from "./folder/sizes.ts";
import { createVirtualFolder } from "./folder/virtual_folder.ts";
import { WeightSet } from "./weights/weight_set.ts";

/** Options of a conversion. */
export interface ConvertOptions {
  /** How the large weights are stored; `"f32"` by default. */
  dtype?: Dtype;
  /**
   * Name for people; its family's name with its depth by default, or the name of the folder it is made from.
   */
  name?: string;
  /**
   * Names of the classes in order. By default those of the folder it is made from, else those of ImageNet for
   * a model of a published size, else none.
   */
  classNames?: readonly string[];
  /**
   * Search settings that suit the model; those that are left out are of the folder it is made from, if it is
   * made from one.
   */
  tuning?: ModelTuning;
  /**
   * Which of several sets of weights a checkpoint's are: some of what stands in front of their names, like
   * `"ema"`. Where there are several and nothing is said, that is an error that names them.
   */
  weights?: string;
  /** Depth that the model must have, of a family that tells its models by it; any by default. */
  depth?: number;
  /** Name of the size that the model must have, of a family that tells its models by such; any by default. */
  size?: string;
  /** Names of parts that the model is to be made without, of those that a model can do without. */
  without?: readonly string[];
  /** Called whenever a tensor has been written, with the bytes of tensors written so far and in all. */
  onProgress?: (done: number, total: number) => void;
  /** Ends the conversion. */
  signal?: AbortSignal | undefined;
}

/**
 * The same for a folder that is stored nowhere, whose large weights may be as products of integers take them.
 */
export interface OpenFolderOptions extends Omit<ConvertOptions, "dtype" | "onProgress"> {
  /** How the large weights are read; `"f32"` by default. */
  dtype?: KeptDtype;
}

/** What whoever writes the folder adds to it. */
type ConversionOptions = OpenFolderOptions & Pick<ConvertOptions, "onProgress"> & {
  readonly writer: FolderWriter;
};

/** What a model is made from, and what is known of it beside the tensors. */
export interface OpenParts {
  /** What each part is read from, by the name of its weights in a folder. */
  readonly checkpoints: Readonly<Record<string, Checkpoint>>;
  /** Where it lies there, by the same names. */
  readonly places: Readonly<Record<string, PartPlace>>;
  /** Files that lie beside them and belong to the parts. */
  readonly companions: readonly FoundCompanion[];
  /** Its sizes, where they are known from elsewhere than the tensors. */
  readonly config?: unknown;
  /** What it has unless something else is asked for. */
  readonly defaults: Pick<ConvertOptions, "name" | "classNames"> & { readonly tuning?: FolderTuning };
  /** Tells these bytes from others; nobody can for what comes from memory or a web server. */
  readonly origin: (() => string) | undefined;
}

/**
 * Raised whenever other bytes come of the same checkpoint, so that a conversion that was killed before is not
 * continued with them.
 */
const CONVERSION = 1;

/** The tensors of the parts that are there, by the names that weights have in a folder. */
export function weightsOf(
  { checkpoints, places }: {
    readonly checkpoints: Readonly<Record<string, Pick<Checkpoint, "file" | "readFloat32">>>;
    readonly places: OpenParts["places"];
  },
): ModelWeights {
  return Object.fromEntries(
    Object.entries(places).map(([part, { prefix, tensors }]) => {
      const checkpoint = checkpoints[part]!;
      const set = new WeightSet(checkpoint.file, tensors, (name) => tensors.get(name)?.name ?? prefix + name);
      return [part, { set, readFloat32: (name) => checkpoint.readFloat32(set.fullName(name)) }];
    }),
  );
}

/**
 * Checks that the sizes that a folder's description gives are those of its tensors, whose list is all that is
 * read for it. Nothing is built from the sizes before: a depth of a million would be.
 *
 * @returns Where the parts lie.
 * @throws {ModelFileError} If a part that the model needs is not there, or naming the first size that is
 * another one.
 */
export async function requireOwnSizes<Config>(
  family: Family<Config>,
  folder: ModelFolder,
  config: Config,
): Promise<OpenParts["places"]> {
  const lists: Record<string, Pick<Checkpoint, "file" | "tensors" | "readFloat32">> = {};
  const places: Record<string, PartPlace> = {};
  for (const [i, { weights: part, landmark, optional = false }] of family.parts.entries()) {
    if (optional && !folder.hasWeights(part)) continue;
    const list = lists[part] = {
      file: `${folder.location}/${part}`,
      tensors: await folder.tensors(part),
      readFloat32: async (name) => {
        using weights = await folder.weights(part);
        return await weights.readFloat32(name);
      },
    };
    const [place] = partPlaces(family.parts, list)[i]!;
    if (place === undefined) throw partNotFound(list, [landmark].flat());
    places[part] = place;
  }
  const found = await family.inferAgain(weightsOf({ checkpoints: lists, places }), config);
  const difference = firstDifference(found, config, "config");
  if (difference === undefined) return places;
  const { place, own, given } = difference;
  throw new ModelFileError("Cannot use the sizes of the model as they are not those of its tensors", {
    file: `${folder.location}/${MANIFEST}`,
    expected: `"${place}": ${shown(own)}`,
    found: shown(given),
  });
}

/** The first place at which plain data is not what it should be. */
function firstDifference(
  own: unknown,
  given: unknown,
  place: string,
): { place: string; own: unknown; given: unknown } | undefined {
  const group = (value: unknown): value is object => typeof value === "object" && value !== null;
  if (!group(own) || !group(given)) return Object.is(own, given) ? undefined : { place, own, given };
  const listed = Array.isArray(own);
  if (listed && own.length !== (given as { length?: number }).length) return { place, own, given };
  for (const [key, value] of Object.entries(own)) {
    const inner = listed ? `${place}[${key}]` : `${place}.${key}`;
    const found = firstDifference(value, (given as Record<string, unknown>)[key], inner);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The error of a checkpoint that does not hold what it should, of which the landmarks would tell. */
export function partNotFound(
  { file, tensors }: Pick<Checkpoint, "file" | "tensors">,
  landmarks: readonly string[],
): ModelFileError {
  const names = [...tensors.keys()].slice(0, 3).map((name) => `"${name}"`).join(", ");
  return new ModelFileError("Cannot find the model in the checkpoint", {
    file,
    expected: `a tensor ${landmarks.map((landmark) => `"${landmark}"`).join(" or ")}`,
    found: names === "" ? "no tensors" : `${names} …`,
  });
}

/**
 * Converts a model whose parts are open, one tensor in memory at a time.
 *
 * @throws {ModelFileError} If the tensors, or the files beside them, do not make a model of the family.
 * @throws {RangeError} If the model is of another size, or has another number of classes than there are
 * names.
 */
export async function convertParts(
  family: Family,
  { checkpoints, places: sets, companions, config: known, defaults, origin }: OpenParts,
  { writer, ...options }: ConversionOptions,
): Promise<ModelFolder> {
  const { dtype = "f32", onProgress } = options;
  const weights = weightsOf({ checkpoints, places: sets });
  const config = known === undefined ? await family.infer(weights) : await family.inferAgain(weights, known);
  const labels = family.labels(config);
  const {
    classNames = defaults.classNames ?? classNamesOf(labels),
    name = defaults.name ?? family.modelName(config),
  } = options;
  const tuning = tuningOf(defaults.tuning, options.tuning);
  requireModelSize({ name, size: family.size(config) }, askedSize(options, "convert the model"), "convert");
  const classes = labels?.kind === "classes" ? labels.count : 0;
  if (classNames.length !== 0 && classNames.length !== classes) {
    throw new RangeError(
      `Cannot convert the model as it has ${classes} classes: the number of class names is ${classNames.length}`,
    );
  }

  // Building the graphs asserts every tensor; the places of the bytes are known only once they are written.
  const nowhere: WeightPlaces = () => ({ file: "", offset: 0, length: 0, type: "float32", shape: [] });
  const parts = family.parts.filter((part) => sets[part.weights] !== undefined);
  family.graphs(config, weights, Object.fromEntries(parts.map((part) => [part.weights, nowhere])));
  // One file may hold all parts, side by side; each set sees its own tensors only.
  for (const { weights: part, unused } of parts) weights[part]!.set.requireAllTaken(unused);
  await family.requireCompanions?.(
    config,
    Object.fromEntries(companions.map(({ companion, ...file }) => [companion.name, file])),
  );

  const entriesOf = new Map(parts.map(({ weights: part }) => {
    return [part, entries(family, { checkpoint: checkpoints[part]!, set: weights[part]!.set, dtype })];
  }));
  const total = [...entriesOf.values()].flat().reduce((sum, entry) => sum + byteLength(entry), 0);
  let done = 0;
  const writing: WriteTensorsOptions = {
    ...(origin && { origin: () => `conversion ${CONVERSION} to ${dtype} of ${origin()}` }),
    onBytes: (count) => onProgress?.(done += count, total),
  };
  const places: Record<string, WeightPlaces> = {};
  for (const [part, tensors] of entriesOf) places[part] = await writer.writeTensors(part, tensors, writing);
  for (const [file, bytes] of family.graphs(config, weights, places)) await writer.write(file, bytes);
  for (const { companion: { as }, bytes } of companions) {
    if (as !== undefined) await writer.write(as, bytes);
  }
  const described = dtype === "int8" ? "f32" : dtype;
  return await writer.finish({ family: family.name, name, dtype: described, config, classNames, tuning });
}

/** Settings of a search that a model keeps; how they were found is said of them and of no others. */
function tuningOf(before: FolderTuning = {}, { ...given }: ModelTuning = {}): FolderTuning {
  const { evidence, ...settings } = before;
  const changed = Object.entries(given).some(([key, value]) => Reflect.get(settings, key) !== value);
  return { ...settings, ...given, ...(evidence !== undefined && !changed && { evidence }) };
}

/**
 * Converts the weights of a model folder to another type.
 *
 * @throws {ModelFileError} If its weights are quantized, or do not make a model of the family and of the
 * sizes that its description gives.
 */
export async function convertFolder(
  family: Family,
  folder: ModelFolder,
  options: ConversionOptions,
): Promise<ModelFolder> {
  const { dtype, name, classNames, tuning = {}, config } = folder.manifest;
  const file = `${folder.location}/${MANIFEST}`;
  if (options.weights !== undefined) {
    throw new TypeError(
      `Cannot convert the model with weights ${
        shown(options.weights)
      } as ${folder.location} is a model folder, which has one set of them`,
    );
  }
  if (dtype !== "f32" && dtype !== "f16") {
    throw new ModelFileError(
      "Cannot convert weights that are quantized, as what is lost would be lost twice",
      {
        file,
        expected: "weights in f32 or f16, or the original checkpoints",
        found: dtype,
      },
    );
  }
  const known = family.requireConfig(config, file);
  const places = await requireOwnSizes(family, folder, known);
  const checkpoints: Record<string, Checkpoint> = {};
  const companions: FoundCompanion[] = [];
  for (const part of family.parts) {
    if (places[part.weights] === undefined) continue;
    checkpoints[part.weights] = options.writer.own(await folder.weights(part.weights));
    companions.push(...await keptCompanions(part, folder));
  }
  return await convertParts(family, {
    checkpoints,
    places,
    companions,
    config: known,
    defaults: { name, classNames, tuning },
    origin: () => JSON.stringify(folder.fingerprints),
  }, options);
}

/**
 * Opens a model folder whose weights are to have another type as one that is stored nowhere: each tensor is
 * converted when it is read.
 *
 * @param family The family that the model is of.
 * @param folder The folder, which stays the caller's.
 * @throws {ModelFileError} If its weights are quantized, or do not make a model of the family.
 *
 * @example
 * ```ts
 * import { openFolderAs } from "./folder_conversion.ts";
 * import { familyNamed } from "./families.ts";
 * import { openModelFolder } from "./folder/model_folder.ts";
 * import { DEMO_MODEL } from "./load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using original = await openModelFolder(DEMO_MODEL);
 * using widened = await openFolderAs(familyNamed("var")!, original, { dtype: "f32" });
 * assertEquals([original.manifest.dtype, widened.manifest.dtype], ["f16", "f32"]);
 * ```
 */
export async function openFolderAs(
  family: Family,
  folder: ModelFolder,
  options: OpenFolderOptions = {},
): Promise<ModelFolder> {
  const { dtype = "f32", signal } = options;
  const kept = new Set(family.parts.flatMap(companionNames));
  const fingerprints = (): Record<string, string> => {
    const named = Object.entries(folder.fingerprints).map(([file, hash]): [string, string] => {
      return [kept.has(file) ? file : `${file.replace(/ as \w+$/, "")} as ${dtype}`, hash];
    });
    return Object.fromEntries(named);
  };
  await using writer = createVirtualFolder(folder.location, {
    signal,
    beside: folder,
    fingerprints,
  });
  return await convertFolder(family, folder, { ...options, writer });
}

/** A part's tensors as they are stored. */
function entries(
  family: Family,
  { checkpoint, set, dtype }: { checkpoint: Checkpoint; set: WeightSet; dtype: KeptDtype },
): SafetensorsEntry[] {
  return set.taken().flatMap((name): SafetensorsEntry[] => {
    const source = set.fullName(name);
    const tensor = checkpoint.tensors.get(source)!;
    const { shape } = tensor;
    const kept = family.storedDtype(name, shape, dtype);
    const read: ReadValues = () => checkpoint.readFloat32(source);
    if (kept !== "f32" && kept !== "f16") {
      const place = { file: checkpoint.file, tensor: source };
      return quantizedEntries(name, quantization(shape, kept), { ...place, read });
    }
    const type = kept === "f32" ? "F32" : "F16";
    const bytes = async (): Promise<Uint8Array> => {
      if (type === tensor.dtype) return await checkpoint.read(source);
      return kept === "f32" ? bytesOf(await read()) : await made(read, encodeFloat16);
    };
    const stored = type === tensor.dtype ? checkpoint.stored(source) : undefined;
    return [{ name, dtype: type, shape, bytes, stored }];
  });
}

/** How a matrix becomes integers and scales. */
interface Quantization {
  readonly dtype: "U8" | "I8";
  readonly shapes: { readonly packed: readonly number[]; readonly scales: readonly number[] };
  quantize(values: Float32Array): { packed: Uint8Array; scales: Float32Array<ArrayBuffer> };
}

function quantization(shape: readonly number[], dtype: "q8" | "q4" | "int8"): Quantization {
  const [rows = 0, columns = 0] = shape;
  if (dtype === "int8") {
    return {
      dtype: "I8",
      shapes: { packed: [columns, rows], scales: [rows] },
      quantize: (values) => {
        const { integers, scales } = quantizeOutputs(values, { outputs: rows, inputs: columns });
        return { packed: new Uint8Array(integers.buffer), scales };
      },
    };
  }
  const options: BlockOptions = { rows, columns, bits: dtype === "q4" ? 4 : 8 };
  return {
    dtype: "U8",
    shapes: blockShapes(options),
    quantize: (values) => quantizeBlocks(values, options),
  };
}

/** Reads the values of a tensor into a buffer of their own. */
type ReadValues = () => Promise<Float32Array<ArrayBuffer>>;

/** Makes something of values whose memory is given back at once: 100 MB should not wait for the collector. */
async function made<Result>(read: ReadValues, make: (values: Float32Array) => Result): Promise<Result> {
  const values = await read();
  try {
    return make(values);
  } finally {
    values.buffer.transfer(0);
  }
}

/** Integers and scales of a matrix. */
function quantizedEntries(
  name: string,
  { dtype, shapes, quantize }: Quantization,
  { file, tensor, read }: { file: string; tensor: string; read: ReadValues },
): SafetensorsEntry[] {
  // The scales tend to be asked for right after the integers, and are a small part of them.
  let scales: Float32Array<ArrayBuffer> | undefined;
  const blocksOf = (values: Float32Array): ReturnType<Quantization["quantize"]> => {
    try {
      return quantize(values);
    } catch (cause) {
      throw new ModelFileError("Cannot quantize a tensor of the model", {
        file,
        tensor,
        expected: "finite values",
        found: (cause as Error).message,
        cause,
      });
    }
  };
  const packedBytes = async (): Promise<Uint8Array> => {
    const blocks = await made(read, blocksOf);
    scales = blocks.scales;
    return blocks.packed;
  };
  const scaleBytes = async (): Promise<Uint8Array> => {
    const known = scales ?? (await made(read, blocksOf)).scales;
    scales = undefined;
    return bytesOf(known);
  };
  return [
    { name, dtype, shape: shapes.packed, bytes: packedBytes },
    { name: name + SCALES, dtype: "F32", shape: shapes.scales, bytes: scaleBytes },
  ];
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
