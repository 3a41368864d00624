/**
 * What the pickle of a PyTorch file says: tensors as views of storages, within containers that nest at will
 * and whose keys become dotted names. Where the bytes of a storage lie is left to the reader of each
 * container.
 *
 * @module
 */

import { ModelFileError } from "../model_file_error.ts";
import { HARMLESS_TYPES } from "./harmless_types.ts";
import { nameOfValue, PickleError, PickleGlobal, PickleTuple } from "./pickle.ts";
import type { ByteSource } from "./source.ts";
import {
  bytesPerElement,
  type Checkpoint,
  type DType,
  elementCount,
  readAsFloat32,
  type StoredBytes,
  type TensorInfo,
} from "./tensor.ts";

/** Storage classes, without the module, and the element type that each one holds: integers if quantised. */
const STORAGE_TYPES: Readonly<Record<string, DType>> = {
  DoubleStorage: "F64",
  FloatStorage: "F32",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  ComplexDoubleStorage: "C128",
  ComplexFloatStorage: "C64",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
  UntypedStorage: "U8",
  QInt32Storage: "I32",
  QInt8Storage: "I8",
  QUInt8Storage: "U8",
  QUInt4x2Storage: "U8",
  QUInt2x4Storage: "U8",
};

/** `torch.load` looks at the class alone; these are the modules that have such classes. */
const STORAGE_MODULES = ["torch", "torch.storage", "torch.cuda"];

/**
 * Element types of module `torch`, named by tensors whose storage has none. Fields of bits, of which PyTorch
 * knows no values, are the unsigned integers that hold them.
 */
const ELEMENT_TYPES: Readonly<Record<string, DType>> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
  float8_e5m2: "F8_E5M2",
  float8_e5m2fnuz: "F8_E5M2FNUZ",
  float8_e4m3fn: "F8_E4M3",
  float8_e4m3fnuz: "F8_E4M3FNUZ",
  float8_e8m0fnu: "F8_E8M0",
  float4_e2m1fn_x2: "F4",
  complex128: "C128",
  complex64: "C64",
  complex32: "C32",
  int64: "I64",
  int32: "I32",
  int16: "I16",
  int8: "I8",
  uint64: "U64",
  uint32: "U32",
  uint16: "U16",
  uint8: "U8",
  bool: "BOOL",
  bits16: "U16",
  bits8: "U8",
  bits4x2: "U8",
  bits2x4: "U8",
  bits1x8: "U8",
};

/** The class of a storage, by which a stream says what its bytes are. */
class StorageType extends PickleGlobal {
  readonly dtype: DType;

  constructor(name: string, dtype: DType) {
    super(name);
    this.dtype = dtype;
  }
}

/** An element type as a value. */
class ElementType extends PickleGlobal {
  readonly dtype: DType;

  constructor(name: string, dtype: DType) {
    super(name);
    this.dtype = dtype;
  }
}

/** The pickle describes tensors, it does not hold them: 446 tensors take 60 kB. */
export const MAX_PICKLE_BYTES: number = 1 << 26;

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

/** Raw bytes, and the type of elements that they are made of. */
export abstract class Storage {
  /** Type of its elements, where a tensor names no other. */
  readonly dtype: DType;
  /** Bytes in all. */
  readonly bytes: number;

  /** A storage of this type and size. */
  constructor(dtype: DType, bytes: number) {
    this.dtype = dtype;
    this.bytes = bytes;
  }

  /**
   * Reads the bytes from `begin` to before `end`, which must lie within it.
   *
   * @param tensor For whom, as errors say.
   * @throws {ModelFileError} If the file is damaged.
   */
  abstract read(begin: number, end: number, tensor: string): Promise<Uint8Array<ArrayBuffer>>;

  /**
   * The bytes from `begin` to before `end`, if they lie in the file as they are.
   *
   * @param tensor For whom, as errors say.
   */
  abstract stored(begin: number, end: number, tensor: string): StoredBytes | undefined;
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

/** A tensor whose values are not the bytes of a storage: it is listed, and refused when it is read. */
class UnreadableTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** What it is, for messages. */
  readonly kind: string;

  constructor(dtype: DType, shape: readonly number[], kind: string) {
    this.dtype = dtype;
    this.shape = shape;
    this.kind = kind;
  }
}

type Tensor = View | UnreadableTensor;

function isTensor(value: unknown): value is Tensor {
  return value instanceof View || value instanceof UnreadableTensor;
}

/** The functions and types of PyTorch that a checkpoint may name. */
export function torchGlobals(): PickleGlobal[] {
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
  /** PyTorch sets the bits "conj" and "neg" in the facts when that is still to be done to the values. */
  const asStored = (view: View, facts: unknown): Tensor => {
    if (!(facts instanceof Map) || facts.size === 0) return view;
    return new UnreadableTensor(view.dtype, view.shape, "one still to be conjugated or negated");
  };
  const parameter = ([tensor]: readonly unknown[]): Tensor => {
    if (isTensor(tensor)) return tensor;
    throw new PickleError("a tensor within a parameter", nameOfValue(tensor));
  };
  const makers = [
    new PickleGlobal("torch._utils._rebuild_tensor", (args) => rebuild(args)),
    new PickleGlobal("torch._utils._rebuild_tensor_v2", (args) => asStored(rebuild(args), args[6])),
    new PickleGlobal("torch._utils._rebuild_tensor_v3", (args) => {
      return asStored(rebuild(args, args[6] ?? null), args[7]);
    }),
    new PickleGlobal("torch._utils._rebuild_parameter", parameter),
    new PickleGlobal("torch._utils._rebuild_parameter_with_state", parameter),
    new PickleGlobal("torch.nn.parameter.Parameter", parameter),
    new PickleGlobal("torch._utils._rebuild_sparse_tensor", ([, parts]) => {
      // Indices in one tensor or two, the values, the shape.
      const items = parts instanceof PickleTuple ? parts.items : [];
      const last = items.findIndex((item) => item instanceof PickleTuple);
      const values = items[last - 1];
      if (!isTensor(values)) throw new PickleError("the values of a sparse tensor", nameOfValue(values));
      const shape = integers(items[last], "the shape of a tensor");
      return new UnreadableTensor(values.dtype, shape, "a sparse one");
    }),
    new PickleGlobal("torch._utils._rebuild_qtensor", (args) => {
      const { dtype, shape } = rebuild(args);
      return new UnreadableTensor(dtype, shape, "a quantised one");
    }),
    new PickleGlobal("torch._utils._rebuild_meta_tensor_no_storage", ([dtype, shape]) => {
      const sizes = integers(shape, "the shape of a tensor");
      return new UnreadableTensor(elementType(dtype), sizes, "one without values");
    }),
  ];
  // A tensor with attributes, or of a class of its own such as a buffer: the function that makes the tensor,
  // the class, the function's arguments, the attributes.
  const ofType = new PickleGlobal("torch._tensor._rebuild_from_type_v2", ([maker, , args]) => {
    const known = makers.find((global) => global === maker);
    if (known?.call === undefined) throw new PickleError("a function that makes tensors", nameOfValue(maker));
    if (!(args instanceof PickleTuple)) throw new PickleError("a tuple of arguments", nameOfValue(args));
    return known.call(args.items);
  });
  return [
    ...HARMLESS_TYPES,
    ...STORAGE_MODULES.flatMap((module) =>
      Object.entries(STORAGE_TYPES).map(([name, dtype]) => new StorageType(`${module}.${name}`, dtype))
    ),
    ...Object.entries(ELEMENT_TYPES).map(([name, dtype]) => new ElementType(`torch.${name}`, dtype)),
    new PickleGlobal("torch.Size", ([sizes]) => new PickleTuple(integers(sizes, "the sizes of torch.Size"))),
    ...makers,
    ofType,
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
  if (value instanceof ElementType) return value.dtype;
  throw new PickleError("an element type", nameOfValue(value));
}

/** Bytes of one element as PyTorch counts them: it packs two numbers of 4 bits into one. */
export function elementBytes(dtype: DType): number {
  return Math.ceil(bytesPerElement(dtype));
}

/** What a persistent id says of a storage. */
export interface StorageId {
  /** Type of its elements. */
  readonly dtype: DType;
  /** Its name within the file. */
  readonly key: string;
  /** Bytes in all. */
  readonly bytes: number;
  /** The part of it that is meant, where it is not the whole. */
  readonly part: { readonly begin: number; readonly bytes: number } | undefined;
}

/**
 * Reads the persistent id `("storage", type, key, location, number of elements)`. Before version 1.6 it has a
 * sixth item: None or, for a part of the storage, `(key, offset, number of elements)`.
 *
 * @throws {PickleError} If it is another one.
 */
export function parseStorageId(id: unknown): StorageId {
  const [kind, type, key, , count, part] = id instanceof PickleTuple ? id.items : [];
  if (kind !== "storage" || !(type instanceof StorageType) || typeof key !== "string" || !isCount(count)) {
    throw new PickleError(
      "the id of a storage",
      id instanceof PickleTuple ? `(${id.items.slice(0, 5).map(nameOfValue).join(", ")})` : nameOfValue(id),
    );
  }
  const width = elementBytes(type.dtype);
  return { dtype: type.dtype, key, bytes: count * width, part: parsePart(part, width) };
}

function parsePart(part: unknown, width: number): StorageId["part"] {
  if (part === undefined || part === null) return undefined;
  const [, offset, count] = part instanceof PickleTuple ? part.items : [];
  if (isCount(offset) && isCount(count)) return { begin: offset * width, bytes: count * width };
  throw new PickleError("a part of a storage", nameOfValue(part));
}

/** Gives everything in nested containers a name of its own. */
class Flattener {
  readonly #file: string;
  readonly #views = new Map<string, Tensor>();
  readonly #metadata = new Map<string, string | number | boolean>();
  #characters = 0;

  constructor(file: string) {
    this.#file = file;
  }

  run(value: unknown): { views: Map<string, Tensor>; metadata: Map<string, string | number | boolean> } {
    const isContainer = value instanceof Map || value instanceof PickleTuple || Array.isArray(value);
    if (!isContainer && !isTensor(value)) throw new PickleError("tensors", nameOfValue(value));
    this.#visit(value, isContainer ? "" : "tensor", 0);
    return { views: this.#views, metadata: this.#metadata };
  }

  /** @param name Undefined below a key that names nothing. */
  #visit(value: unknown, name: string | undefined, depth: number): void {
    if (depth > MAX_DEPTH) throw new PickleError(`containers at most ${MAX_DEPTH} deep`, "deeper ones");
    if (value instanceof Map) {
      for (const [key, item] of value) this.#child(item, name, keyName(key), depth);
    } else if (Array.isArray(value)) {
      value.forEach((item, index) => this.#child(item, name, `${index}`, depth));
    } else if (value instanceof PickleTuple) {
      value.items.forEach((item, index) => this.#child(item, name, `${index}`, depth));
    } else if (isTensor(value)) {
      if (name === undefined) {
        throw new PickleError("keys that are text or numbers above tensors", "another key");
      }
      this.#claim(name);
      if (value instanceof View) this.#checkBounds(value, name);
      this.#views.set(name, value);
    } else if (name !== undefined) {
      this.#note(value, name);
    }
  }

  /** None, bytes, sets, skipped values and names of types say nothing about the tensors. */
  #note(value: unknown, name: string): void {
    const fact = typeof value === "bigint" ? `${value}` : value;
    if (typeof fact !== "string" && typeof fact !== "number" && typeof fact !== "boolean") return;
    this.#claim(name);
    this.#metadata.set(name, fact);
  }

  #child(value: unknown, parent: string | undefined, key: string | undefined, depth: number): void {
    // The 16 stands for the visit itself, so that empty keys count, too.
    this.#characters += (parent?.length ?? 0) + (key?.length ?? 0) + 16;
    if (this.#characters > MAX_NAME_CHARACTERS) {
      throw new PickleError(`names of at most ${MAX_NAME_CHARACTERS} characters in all`, "more");
    }
    const name = parent === undefined || key === undefined
      ? undefined
      : parent === ""
      ? key
      : `${parent}.${key}`;
    this.#visit(value, name, depth + 1);
  }

  #claim(name: string): void {
    if (!this.#views.has(name) && !this.#metadata.has(name)) return;
    throw new ModelFileError("Cannot tell two values of one name apart", { file: this.#file, tensor: name });
  }

  #checkBounds(view: View, name: string): void {
    const capacity = Math.floor(view.storage.bytes / elementBytes(view.dtype));
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

/** What a key of a dict is called in names; undefined for one that is no text and no number. */
function keyName(key: unknown): string | undefined {
  if (typeof key === "string") return key;
  if (key === null || ["number", "bigint", "boolean"].includes(typeof key)) return nameOfValue(key);
  return undefined;
}

/** An open PyTorch file, whatever its container. */
export class PyTorchCheckpoint implements Checkpoint {
  readonly file: string;
  readonly format = "pytorch";
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #source: ByteSource;
  readonly #views: ReadonlyMap<string, Tensor>;

  /**
   * @param source The file, which is the checkpoint's from then on.
   * @param value What its pickle holds.
   * @throws {PickleError} If that is neither a tensor nor a container, or has a tensor below a key that names
   * nothing.
   * @throws {ModelFileError} If a tensor reaches past its storage.
   */
  constructor(source: ByteSource, value: unknown) {
    const { views, metadata } = new Flattener(source.file).run(value);
    this.file = source.file;
    this.#source = source;
    this.#views = views;
    this.tensors = new Map(
      Array.from(views, ([name, view]): [string, TensorInfo] => {
        return [name, { name, dtype: view.dtype, shape: listedShape(view) }];
      }),
    );
    // Defines own properties, also for a key such as "__proto__".
    this.metadata = Object.fromEntries(metadata);
  }

  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const view = this.#view(name);
    if (view.shape.includes(0)) return new Uint8Array(0);
    const { begin, end } = view.span;
    const width = elementBytes(view.dtype);
    const bytes = await view.storage.read(begin * width, end * width, name);
    return view.contiguous ? bytes : gather(bytes, view);
  }

  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>> {
    return readAsFloat32(this, name);
  }

  stored(name: string): StoredBytes | undefined {
    const view = this.#view(name);
    if (!view.contiguous || view.shape.includes(0)) return undefined;
    const { begin, end } = view.span;
    const width = elementBytes(view.dtype);
    return view.storage.stored(begin * width, end * width, name);
  }

  #view(name: string): View {
    const view = this.#views.get(name);
    if (view === undefined) {
      throw new ModelFileError("Cannot find the tensor", { file: this.file, tensor: name });
    }
    if (view instanceof View) return view;
    throw new ModelFileError("Cannot read the tensor", {
      file: this.file,
      tensor: name,
      expected: "a dense one, as it is stored",
      found: view.kind,
    });
  }

  [Symbol.dispose](): void {
    this.#source[Symbol.dispose]();
  }
}

/** The shape in numbers, as safetensors lists it: PyTorch's own counts the bytes of two numbers of F4. */
function listedShape({ dtype, shape }: Tensor): readonly number[] {
  return dtype === "F4" ? [...shape.slice(0, -1), 2 * (shape.at(-1) ?? 1)] : shape;
}

/** Copies the elements of a view, whose span `bytes` holds, into row-major order. */
function gather(bytes: Uint8Array<ArrayBuffer>, view: View): Uint8Array<ArrayBuffer> {
  const width = elementBytes(view.dtype);
  // No typed array has elements of 16 bytes; such a number is a row of two.
  const parts = width / Math.min(width, 8);
  const shape = parts === 1 ? view.shape : [...view.shape, parts];
  const strides = parts === 1 ? view.strides : [...view.strides.map((stride) => stride * parts), 1];
  const Elements = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[width / parts]!;
  const from = new Elements(bytes.buffer);
  const result = new Uint8Array(elementCount(view.shape) * width);
  const to = new Elements(result.buffer);
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
