/**
 * The weights of one part of a model as one safetensors file or as several numbered ones: how they are
 * divided, and how they are read together. Where the files lie is left to the model folder.
 *
 * @module
 */

import { requireInteger } from "../../kernels/arguments.ts";
import { SourceBlob } from "../checkpoint/blob.ts";
import {
  layoutSafetensors,
  openSafetensors,
  type SafetensorsCheckpoint,
  type SafetensorsEntry,
  type SafetensorsLayout,
} from "../checkpoint/safetensors.ts";
import type { ByteSource } from "../checkpoint/source.ts";
import {
  byteLength,
  type Checkpoint,
  decodeFloat32,
  type DType,
  type StoredBytes,
  type TensorInfo,
} from "../checkpoint/tensor.ts";
import { ModelFileError } from "../model_file_error.ts";
import type { ElementType, WeightPlaces } from "./weight_places.ts";
import { dequantizeOutputs } from "./output_scales.ts";
import { blockSizes, dequantizeBlocks, SCALES } from "./quantize.ts";

/** Bytes of tensors in one file, at most; a larger tensor has a file of its own. */
export const WEIGHT_FILE_BYTES: number = 2 ** 30;

/** Weights of one part of a model: a checkpoint of one or more files, read when they are asked for. */
export interface WeightFiles extends Checkpoint {
  /**
   * Names and content of the files, as a graph session takes them; they can be read until this is disposed.
   */
  readonly files: readonly { readonly path: string; readonly data: Blob }[];
  /**
   * Tells where the bytes of a tensor lie in {@linkcode files}, for graphs that are built when a model is
   * loaded; of a quantised one the integers, whose scales have a name of their own.
   *
   * @throws {ModelFileError} If there is no such tensor, or graphs know none of its type.
   */
  readonly places: WeightPlaces;
  /**
   * Values of a tensor as float32, also of one that is stored as integers: where these are in blocks, its
   * rows are whole blocks of 32, with zeros at the end.
   *
   * @throws {ModelFileError} If there is no such tensor.
   */
  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>>;
  /**
   * Some rows of a matrix of floats as float32, in the order in which they are asked for. No more of a file
   * is read than these; of a virtual file the whole matrix is produced, and kept until another tensor is
   * read, which may be as many bytes.
   *
   * @throws {ModelFileError} If there is no such tensor.
   * @throws {RangeError} If a row is not there.
   */
  readRows(name: string, rows: readonly number[]): Promise<Float32Array<ArrayBuffer>>;
}

/** A weight as it is stored: one tensor, or the integers and scales of a quantised one together. */
export interface StoredWeight {
  /** Name. */
  readonly name: string;
  /** Element type; Q8 or Q4 for blocks of integers. */
  readonly dtype: DType | "Q8" | "Q4";
  /** Shape; rows of a quantised one are whole blocks of 32. */
  readonly shape: readonly number[];
  /** Bytes, scales included. */
  readonly bytes: number;
}

/**
 * Lists the weights of a checkpoint, or of a file of a model folder.
 *
 * @example
 * ```ts
 * import { describeWeights } from "./weight_files.ts";
 * import { openCheckpoint } from "../checkpoint/mod.ts";
 * import { DEMO_MODEL } from "../load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using checkpoint = await openCheckpoint(new URL("tokenizer.safetensors", DEMO_MODEL));
 * const codebook = describeWeights(checkpoint).find(({ name }) => name === "quantize.embedding.weight");
 * assertEquals(codebook, {
 *   name: "quantize.embedding.weight",
 *   dtype: "F32",
 *   shape: [512, 16],
 *   bytes: 32768,
 * });
 * ```
 */
export function describeWeights({ tensors }: Checkpoint): StoredWeight[] {
  return [...tensors.values()].flatMap(({ name, dtype, shape }): StoredWeight[] => {
    const bytes = byteLength({ dtype, shape });
    if (name.endsWith(SCALES) && tensors.has(name.slice(0, -SCALES.length))) return [];
    const scales = tensors.get(name + SCALES);
    if (scales === undefined) return [{ name, dtype, shape, bytes }];
    const { rows, columns, bits } = blockSizes(shape);
    return [{ name, dtype: `Q${bits}`, shape: [rows, columns], bytes: bytes + byteLength(scales) }];
  });
}

/** A weight file that is still to be written. */
export interface PlannedFile {
  /** Name within the folder. */
  readonly name: string;
  /** Where its tensors will lie. */
  readonly layout: SafetensorsLayout<SafetensorsEntry>;
}

/**
 * Names of a part's weight files among those of a folder, in order.
 *
 * @throws {ModelFileError} If they are numbered and not all there.
 */
export function weightFileNames(names: Iterable<string>, part: string, folder: string): string[] {
  const single = `${part}.safetensors`;
  const found = [...names].filter((name) => isWeightFile(name, part)).sort();
  const first = found[0];
  if (first === undefined || first === single && found.length === 1) return [single];
  const { count } = numbers(found.find((name) => name !== single)!, part)!;
  const wanted = Array.from({ length: count }, (_, i) => numberedName(part, i, count));
  const wrong = wanted.find((name) => !found.includes(name)) ?? found.find((name) => !wanted.includes(name));
  if (wrong === undefined) return wanted;
  throw new ModelFileError("Cannot use the weights of the model as their files do not belong together", {
    file: `${folder}/${wrong}`,
    expected: `${wanted[0]} to ${wanted.at(-1)}`,
    found: found.join(", "),
  });
}

/** Whether a file of a folder is one of a part's weight files, by its name. */
export function isWeightFile(name: string, part: string): boolean {
  return name === `${part}.safetensors` || numbers(name, part) !== undefined;
}

function numbers(name: string, part: string): { count: number } | undefined {
  if (!name.startsWith(`${part}-`)) return undefined;
  const match = /^-\d{5}-of-(\d{5})\.safetensors$/.exec(name.slice(part.length));
  return match === null ? undefined : { count: Number(match[1]) };
}

function numberedName(part: string, index: number, count: number): string {
  const digits = (value: number): string => String(value).padStart(5, "0");
  return `${part}-${digits(index + 1)}-of-${digits(count)}.safetensors`;
}

/**
 * Divides tensors among files of limited size, in their order.
 *
 * @param part Name of the part.
 * @param entries Its tensors.
 * @param limit Bytes of tensors in one file.
 */
export function planWeightFiles(
  part: string,
  entries: Iterable<SafetensorsEntry>,
  limit: number = WEIGHT_FILE_BYTES,
): PlannedFile[] {
  const groups: SafetensorsEntry[][] = [[]];
  let filled = 0;
  for (const entry of entries) {
    const length = byteLength(entry);
    if (filled > 0 && filled + length > limit) {
      groups.push([]);
      filled = 0;
    }
    groups.at(-1)!.push(entry);
    filled += length;
  }
  return groups.map((group, i) => {
    const name = groups.length === 1 ? `${part}.safetensors` : numberedName(part, i, groups.length);
    return { name, layout: layoutSafetensors(group) };
  });
}

const ELEMENT_TYPE_OF: Readonly<Record<string, ElementType>> = {
  F32: "float32",
  F16: "float16",
  I64: "int64",
  U8: "uint8",
  I8: "int8",
};

/** Tells where the tensors of planned files will lie. */
export function weightPlaces(plans: readonly PlannedFile[]): WeightPlaces {
  const places = new Map<string, ReturnType<WeightPlaces>>();
  for (const { name: file, layout } of plans) {
    for (const { entry, offset } of layout.places) {
      const { name, dtype, shape } = entry;
      places.set(name, { file, offset, length: byteLength(entry), type: ELEMENT_TYPE_OF[dtype]!, shape });
    }
  }
  return (name) => places.get(name)!;
}

/**
 * Reads weight files together. The result owns the sources.
 *
 * @param file What error messages call the whole.
 * @param sources The files' names and bytes, in order.
 * @throws {ModelFileError} If one is no safetensors file, or two hold a tensor of the same name.
 */
export async function openWeightFiles(
  file: string,
  sources: readonly { readonly path: string; readonly source: ByteSource }[],
): Promise<WeightFiles> {
  using stack = new DisposableStack();
  for (const { source } of sources) stack.use(source);
  const checkpoints: SafetensorsCheckpoint[] = [];
  for (const { source } of sources) checkpoints.push(await openSafetensors(source));
  const files = sources.map(({ path, source }) => ({ path, data: new SourceBlob(source) }));
  const held = checkpoints.map((checkpoint, i) => ({ checkpoint, path: sources[i]!.path }));
  return new ShardedWeights(file, held, files, stack.move());
}

/** A file of weights that is open. */
interface HeldFile {
  readonly path: string;
  readonly checkpoint: SafetensorsCheckpoint;
}

class ShardedWeights implements WeightFiles {
  readonly file: string;
  readonly format = "safetensors";
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly files: WeightFiles["files"];
  readonly #holders = new Map<string, HeldFile>();
  readonly #owned: Disposable;

  constructor(
    file: string,
    held: readonly HeldFile[],
    files: WeightFiles["files"],
    owned: Disposable,
  ) {
    this.file = file;
    this.files = files;
    this.#owned = owned;
    this.metadata = Object.assign({}, ...held.map(({ checkpoint }) => checkpoint.metadata));
    const tensors = new Map<string, TensorInfo>();
    for (const holder of held) {
      const { checkpoint } = holder;
      for (const [name, tensor] of checkpoint.tensors) {
        if (tensors.has(name)) {
          throw new ModelFileError("Cannot use two tensors of one name", {
            file: checkpoint.file,
            tensor: name,
          });
        }
        tensors.set(name, tensor);
        this.#holders.set(name, holder);
      }
    }
    this.tensors = tensors;
  }

  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#holder(name).checkpoint.read(name);
  }

  async readFloat32(name: string): Promise<Float32Array<ArrayBuffer>> {
    const values = this.#holder(name).checkpoint;
    const scales = this.#holders.get(name + SCALES)?.checkpoint;
    if (scales === undefined) return await values.readFloat32(name);
    const { dtype, shape } = this.tensors.get(name)!;
    const stored = await values.read(name);
    const factors = await scales.readFloat32(name + SCALES);
    if (dtype !== "I8") return dequantizeBlocks({ packed: stored, scales: factors }, blockSizes(shape));
    const [inputs = 0, outputs = 0] = shape;
    return dequantizeOutputs({ integers: new Int8Array(stored.buffer), scales: factors }, {
      outputs,
      inputs,
    });
  }

  stored(name: string): StoredBytes {
    return this.#holder(name).checkpoint.stored(name);
  }

  readonly places: WeightPlaces = (name) => {
    const { path, checkpoint } = this.#holder(name);
    const { dtype, shape } = this.tensors.get(name)!;
    const type = ELEMENT_TYPE_OF[dtype];
    if (type !== undefined) return { file: path, ...checkpoint.locate(name), type, shape };
    throw new ModelFileError("Cannot use the tensor in a graph", {
      file: checkpoint.file,
      tensor: name,
      expected: Object.keys(ELEMENT_TYPE_OF).join(", "),
      found: dtype,
    });
  };

  async readRows(name: string, rows: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    const { checkpoint } = this.#holder(name);
    const { dtype, shape: [count = 0, ...row] } = this.tensors.get(name)!;
    const length = byteLength({ dtype, shape: row });
    const bytes = new Uint8Array(rows.length * length);
    const known = new Map<number, Uint8Array>();
    for (const [i, index] of rows.entries()) {
      requireInteger(index, "a row", `read "${name}"`, { min: 0, max: count - 1 });
      const found = known.get(index) ?? await checkpoint.readPart(name, index * length, length);
      known.set(index, found);
      bytes.set(found, i * length);
    }
    return decodeFloat32(dtype, bytes);
  }

  #holder(name: string): HeldFile {
    const holder = this.#holders.get(name);
    if (holder !== undefined) return holder;
    throw new ModelFileError("Cannot find the tensor", { file: this.file, tensor: name });
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }
}
