/**
 * Reader of PyTorch's `.pth` and `.pt` files: a zip archive with a pickle that describes the tensors and one
 * member per storage. It runs nothing of the file. Containers nest at will; names are joined by dots.
 *
 * The layout is that of `torch.serialization` since version 1.6: `<root>/data.pkl`, `<root>/data/<key>`,
 * `<root>/byteorder`.
 *
 * @module
 */

import { ModelFileError } from "../model_file_error.ts";
import { archiveMisfit } from "./misfits.ts";
import { Archive } from "./archive.ts";
import { nameOfValue, PickleError, PickleGlobal, PickleTuple, quote, unpickle } from "./pickle.ts";
import type { ByteSource } from "./source.ts";
import {
  byteLength,
  bytesPerElement,
  type Checkpoint,
  decodeFloat32,
  type DType,
  elementCount,
  type TensorInfo,
} from "./tensor.ts";

/** Storage classes of module `torch`, and the element type that each one holds. */
const STORAGE_TYPES: Readonly<Record<string, DType>> = {
  "torch.DoubleStorage": "F64",
  "torch.FloatStorage": "F32",
  "torch.HalfStorage": "F16",
  "torch.BFloat16Storage": "BF16",
  "torch.LongStorage": "I64",
  "torch.IntStorage": "I32",
  "torch.ShortStorage": "I16",
  "torch.CharStorage": "I8",
  "torch.ByteStorage": "U8",
  "torch.BoolStorage": "BOOL",
  "torch.UntypedStorage": "U8",
  "torch.storage.UntypedStorage": "U8",
};

/** Element types, named by tensors whose storage has none. */
const ELEMENT_TYPES: Readonly<Record<string, DType>> = {
  "torch.float64": "F64",
  "torch.float32": "F32",
  "torch.float16": "F16",
  "torch.bfloat16": "BF16",
  "torch.int64": "I64",
  "torch.int32": "I32",
  "torch.int16": "I16",
  "torch.int8": "I8",
  "torch.uint8": "U8",
  "torch.bool": "BOOL",
};

/** The pickle describes tensors, it does not hold them: 446 tensors take 60 kB. */
const MAX_PICKLE_BYTES = 1 << 26;

/** PyTorch's own operations handle no more. */
const MAX_AXES = 64;

/**
 * Expanded tensors (stride 0) may hold more elements than their storage, up to this many: 64 MiB of float32.
 */
const MAX_EXPANDED = 1 << 24;

/** Real files nest five deep. */
const MAX_DEPTH = 32;

/**
 * Containers can be shared, so a small file can name the same tensor endlessly; this bounds the text of all
 * names.
 */
const MAX_NAME_CHARACTERS = 1 << 26;

/** A member of raw bytes and the type of its elements. */
class Storage {
  readonly member: string;
  readonly dtype: DType;
  readonly bytes: number;

  constructor(member: string, dtype: DType, bytes: number) {
    this.member = member;
    this.dtype = dtype;
    this.bytes = bytes;
  }
}

/** A view of a storage; offset and strides count elements. */
class View {
  readonly storage: Storage;
  readonly dtype: DType;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(
    storage: Storage,
    dtype: DType,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    this.storage = storage;
    this.dtype = dtype;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }

  /** From the first element of the storage to behind the last one that the view reaches. */
  get span(): { begin: number; end: number } {
    if (this.shape.includes(0)) return { begin: 0, end: 0 };
    const last = this.shape.reduce((sum, size, axis) => sum + (size - 1) * this.strides[axis]!, this.offset);
    return { begin: this.offset, end: last + 1 };
  }

  /** Whether the elements lie in row-major order without gaps. Strides of axes of size 1 say nothing. */
  get contiguous(): boolean {
    let step = 1;
    for (let axis = this.shape.length - 1; axis >= 0; axis--) {
      const size = this.shape[axis]!;
      if (size !== 1 && this.strides[axis] !== step) return false;
      step *= size;
    }
    return true;
  }
}

/** The functions and types of PyTorch that a checkpoint may name. */
function torchGlobals(): PickleGlobal[] {
  const rebuild = (args: readonly unknown[], dtype?: unknown): View => {
    const [storage, offset, shape, strides] = args;
    if (!(storage instanceof Storage)) throw new PickleError("a storage of a tensor", nameOfValue(storage));
    const sizes = integers(shape, "the shape of a tensor");
    const steps = integers(strides, "the strides of a tensor");
    if (!isCount(offset)) throw new PickleError("the offset of a tensor", nameOfValue(offset));
    if (sizes.length !== steps.length || sizes.length > MAX_AXES) {
      throw new PickleError(
        `as many strides as sizes, at most ${MAX_AXES}`,
        `${steps.length} and ${sizes.length}`,
      );
    }
    return new View(storage, dtype === undefined ? storage.dtype : elementType(dtype), offset, sizes, steps);
  };
  const parameter = ([view]: readonly unknown[]): View => {
    if (view instanceof View) return view;
    throw new PickleError("a tensor within a parameter", nameOfValue(view));
  };
  return [
    ...[...Object.keys(STORAGE_TYPES), ...Object.keys(ELEMENT_TYPES)].map((name) => new PickleGlobal(name)),
    new PickleGlobal("torch.Size", ([sizes]) => new PickleTuple(integers(sizes, "the sizes of torch.Size"))),
    new PickleGlobal("torch._utils._rebuild_tensor", (args) => rebuild(args)),
    new PickleGlobal("torch._utils._rebuild_tensor_v2", (args) => {
      const facts = args[6];
      // PyTorch sets the bits "conj" and "neg" here when the values are still to be negated.
      if (facts instanceof Map && facts.size > 0) {
        throw new PickleError("a tensor as stored", "a lazily negated one");
      }
      return rebuild(args);
    }),
    new PickleGlobal("torch._utils._rebuild_tensor_v3", (args) => rebuild(args, args[6] ?? null)),
    new PickleGlobal("torch._utils._rebuild_parameter", parameter),
    new PickleGlobal("torch._utils._rebuild_parameter_with_state", parameter),
  ];
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function integers(value: unknown, what: string): readonly number[] {
  if (!(value instanceof PickleTuple)) throw new PickleError(`${what} as a tuple`, nameOfValue(value));
  return value.items.map((item) => {
    if (isCount(item)) return item;
    throw new PickleError(`${what} >= 0`, nameOfValue(item));
  });
}

function elementType(value: unknown): DType {
  const dtype = value instanceof PickleGlobal ? ELEMENT_TYPES[value.name] : undefined;
  if (dtype !== undefined) return dtype;
  throw new PickleError("an element type", nameOfValue(value));
}

/**
 * Opens a PyTorch checkpoint. The result owns the source.
 *
 * @throws {ModelFileError} If the archive is damaged, or its pickle holds anything but tensors and plain
 * containers.
 */
export async function openPyTorch(source: ByteSource): Promise<Checkpoint> {
  const { file } = source;
  const archive = await Archive.open(source);
  const root = rootOf(archive, file);
  const orderMember = `${root}byteorder`;
  if (archive.sizeOf(orderMember) !== undefined) {
    const order = new TextDecoder().decode(await readSmall(archive, file, orderMember, 16));
    if (order !== "little") {
      throw new ModelFileError("Cannot read a checkpoint of this byte order", {
        file,
        expected: "little",
        found: quote(order),
      });
    }
  }
  const pickle = `${root}data.pkl`;
  const bytes = await readSmall(archive, file, pickle, MAX_PICKLE_BYTES);
  try {
    const value = unpickle(bytes, {
      globals: torchGlobals(),
      persistent: (id) => findStorage(archive, root, id),
    });
    const { views, metadata } = new Flattener(file).run(value);
    return new PyTorchCheckpoint(source, archive, views, metadata);
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    const { expected, found } = error;
    throw new ModelFileError("Cannot read the pickle", {
      file,
      tensor: pickle,
      expected,
      found,
      cause: error,
    });
  }
}

/** The folder of the archive that holds `data.pkl`, with its slash. */
function rootOf(archive: Archive, file: string): string {
  const names = archive.names();
  const misfit = archiveMisfit(names);
  if (misfit !== undefined) throw new ModelFileError("Cannot open the checkpoint", { file, ...misfit });
  const pickles = names.filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length === 1) return pickles[0]!.slice(0, -"data.pkl".length);
  throw new ModelFileError("Cannot find a PyTorch checkpoint in the zip archive", {
    file,
    expected: "one member <root>/data.pkl",
    found: pickles.length > 1 ? `${pickles.length}` : names.slice(0, 3).map(quote).join(", ") || "no members",
  });
}

async function readSmall(archive: Archive, file: string, member: string, limit: number): Promise<Uint8Array> {
  const size = archive.sizeOf(member) ?? 0;
  if (size <= limit) return await archive.read(member, 0, size);
  throw new ModelFileError("Cannot read the member", {
    file,
    tensor: member,
    expected: `at most ${limit} bytes`,
    found: `${size}`,
  });
}

/** Resolves the persistent id `("storage", type, key, location, number of elements)`. */
function findStorage(archive: Archive, root: string, id: unknown): Storage {
  const [kind, type, key, , count] = id instanceof PickleTuple ? id.items : [];
  const dtype = type instanceof PickleGlobal ? STORAGE_TYPES[type.name] : undefined;
  if (kind !== "storage" || dtype === undefined || typeof key !== "string" || !isCount(count)) {
    throw new PickleError(
      "the id of a storage",
      id instanceof PickleTuple ? `(${id.items.slice(0, 5).map(nameOfValue).join(", ")})` : nameOfValue(id),
    );
  }
  const member = `${root}data/${key}`;
  const bytes = count * bytesPerElement(dtype);
  const size = archive.sizeOf(member);
  if (size === undefined) throw new PickleError(`a member ${quote(member)}`, "none");
  if (size < bytes) throw new PickleError(`${bytes} bytes in ${quote(member)}`, `${size}`);
  return new Storage(member, dtype, bytes);
}

/** Gives everything in nested containers a name of its own. */
class Flattener {
  readonly #file: string;
  readonly #views = new Map<string, View>();
  readonly #metadata = new Map<string, string | number | boolean>();
  #characters = 0;

  constructor(file: string) {
    this.#file = file;
  }

  run(value: unknown): { views: Map<string, View>; metadata: Map<string, string | number | boolean> } {
    const isContainer = value instanceof Map || value instanceof PickleTuple || Array.isArray(value);
    if (!isContainer && !(value instanceof View)) throw new PickleError("tensors", nameOfValue(value));
    this.#visit(value, isContainer ? "" : "tensor", 0);
    return { views: this.#views, metadata: this.#metadata };
  }

  #visit(value: unknown, name: string, depth: number): void {
    if (depth > MAX_DEPTH) throw new PickleError(`containers at most ${MAX_DEPTH} deep`, "deeper ones");
    if (value instanceof Map) {
      for (const [key, item] of value) this.#child(item, name, this.#key(key, name), depth);
    } else if (Array.isArray(value)) {
      value.forEach((item, index) => this.#child(item, name, `${index}`, depth));
    } else if (value instanceof PickleTuple) {
      value.items.forEach((item, index) => this.#child(item, name, `${index}`, depth));
    } else if (value instanceof View) {
      this.#claim(name);
      this.#checkBounds(value, name);
      this.#views.set(name, value);
    } else if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      this.#claim(name);
      this.#metadata.set(name, value);
    } else if (typeof value === "bigint") {
      this.#claim(name);
      this.#metadata.set(name, `${value}`);
    }
    // None, bytes, sets and names of types say nothing about the tensors.
  }

  #child(value: unknown, parent: string, key: string, depth: number): void {
    // The 16 stands for the visit itself, so that empty keys count, too.
    this.#characters += parent.length + key.length + 16;
    if (this.#characters > MAX_NAME_CHARACTERS) {
      throw new PickleError(`names of at most ${MAX_NAME_CHARACTERS} characters in all`, "more");
    }
    this.#visit(value, parent === "" ? key : `${parent}.${key}`, depth + 1);
  }

  #key(key: unknown, parent: string): string {
    if (typeof key === "string") return key;
    if (key === null || ["number", "bigint", "boolean"].includes(typeof key)) return nameOfValue(key);
    throw new PickleError(`keys that are text or numbers in ${quote(parent)}`, nameOfValue(key));
  }

  #claim(name: string): void {
    if (!this.#views.has(name) && !this.#metadata.has(name)) return;
    throw new ModelFileError("Cannot tell two values of one name apart", { file: this.#file, tensor: name });
  }

  #checkBounds(view: View, name: string): void {
    const capacity = Math.floor(view.storage.bytes / bytesPerElement(view.dtype));
    const { end } = view.span;
    if (end > capacity) {
      throw new ModelFileError("Cannot use the tensor as it reaches past its storage", {
        file: this.#file,
        tensor: name,
        expected: `at most ${capacity} elements`,
        found: `${end}`,
      });
    }
    const count = elementCount(view.shape);
    if (count > Math.max(capacity, MAX_EXPANDED)) {
      throw new ModelFileError("Cannot use the tensor as it is expanded too far", {
        file: this.#file,
        tensor: name,
        expected: `at most ${Math.max(capacity, MAX_EXPANDED)} elements`,
        found: `${count}`,
      });
    }
  }
}

class PyTorchCheckpoint implements Checkpoint {
  readonly file: string;
  readonly format = "pytorch";
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #source: ByteSource;
  readonly #archive: Archive;
  readonly #views: ReadonlyMap<string, View>;

  constructor(
    source: ByteSource,
    archive: Archive,
    views: ReadonlyMap<string, View>,
    metadata: ReadonlyMap<string, string | number | boolean>,
  ) {
    this.file = source.file;
    this.#source = source;
    this.#archive = archive;
    this.#views = views;
    this.tensors = new Map(
      Array.from(views, ([name, { dtype, shape }]): [string, TensorInfo] => [name, { name, dtype, shape }]),
    );
    // Defines own properties, also for a key such as "__proto__".
    this.metadata = Object.fromEntries(metadata);
  }

  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const view = this.#views.get(name);
    if (view === undefined) {
      throw new ModelFileError("Cannot find the tensor", { file: this.file, tensor: name });
    }
    if (view.shape.includes(0)) return new Uint8Array(0);
    const { begin, end } = view.span;
    const width = bytesPerElement(view.dtype);
    const bytes = await this.#archive.read(view.storage.member, begin * width, end * width);
    return view.contiguous ? bytes : gather(bytes, view);
  }

  async readFloat32(name: string): Promise<Float32Array<ArrayBuffer>> {
    const bytes = await this.read(name);
    return decodeFloat32(this.tensors.get(name)!.dtype, bytes);
  }

  [Symbol.dispose](): void {
    this.#source[Symbol.dispose]();
  }
}

/** Copies the elements of a view, whose span `bytes` holds, into row-major order. */
function gather(bytes: Uint8Array<ArrayBuffer>, view: View): Uint8Array<ArrayBuffer> {
  const Elements =
    { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[bytesPerElement(view.dtype)];
  const from = new Elements(bytes.buffer);
  const result = new Uint8Array(byteLength(view));
  const to = new Elements(result.buffer);
  const { shape, strides } = view;
  const position = new Array<number>(shape.length).fill(0);
  let place = 0;
  for (let i = 0; i < to.length; i++) {
    to[i] = from[place]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place += strides[axis]!;
      if (++position[axis]! < shape[axis]!) break;
      place -= shape[axis]! * strides[axis]!;
      position[axis] = 0;
    }
  }
  return result;
}
