/**
 * What a checkpoint is to its reader: named tensors of a type and a shape, with the conversions to and from
 * float32. Where the bytes come from is left to the readers of each format.
 *
 * Bytes are little-endian and row-major everywhere, as in both file formats and on every platform that Deno
 * runs on.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import { ModelFileError } from "../model_file_error.ts";
import { float8Values } from "./float8.ts";
import type { ByteSource, DiskPlace } from "./source.ts";

/**
 * Element types, by the names that safetensors gives them: `F8_E4M3` has 4 bits of exponent and 3 of
 * fraction, no infinity and one NaN of each sign; `FNUZ` neither infinity nor negative zero; `F8_E8M0` is a
 * power of two; `F4` is E2M1; `C64` a pair of float32. `C32` and `C128` are PyTorch's alone.
 */
export type DType =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "F8_E5M2"
  | "F8_E5M2FNUZ"
  | "F8_E4M3"
  | "F8_E4M3FNUZ"
  | "F8_E8M0"
  | "F6_E2M3"
  | "F6_E3M2"
  | "F4"
  | "C128"
  | "C64"
  | "C32"
  | "I64"
  | "I32"
  | "I16"
  | "I8"
  | "U64"
  | "U32"
  | "U16"
  | "U8"
  | "BOOL";

/** Name, element type and shape of one tensor. */
export interface TensorInfo {
  /** Name within the checkpoint, for example `blocks.0.attn.proj.weight`. */
  readonly name: string;
  /** Element type as stored. */
  readonly dtype: DType;
  /** Sizes, the slowest axis first; empty for a scalar. */
  readonly shape: readonly number[];
}

/**
 * An opened checkpoint: the list of its tensors is in memory, their values are read when asked for. Disposing
 * it closes the file.
 */
export interface Checkpoint extends Disposable {
  /** Path or address, as error messages give it. */
  readonly file: string;
  /** The container. */
  readonly format: "pytorch" | "safetensors";
  /**
   * Facts beside the tensors. In a safetensors file its metadata, in a `.pth` file the numbers, booleans and
   * strings found next to the tensors, by dotted name (`epoch`, `args.depth`). Integers beyond 2^53 come as
   * decimal text.
   */
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
  /** Every tensor by name, in the order of the file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * Bytes of a tensor, little-endian and row-major, in a buffer of their own.
   *
   * @throws {ModelFileError} If there is no such tensor, the file is damaged, or the tensor is sparse,
   * quantised by PyTorch, without values, or still to be conjugated or negated, which are only listed.
   */
  read(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Values of a tensor as float32: wider floats and integers are rounded to the nearest, booleans become 0
   * and 1.
   *
   * @throws {ModelFileError} If there is no such tensor, the file is damaged, or the values are complex
   * numbers or floats of fewer than 8 bits, which are listed and read as bytes only.
   */
  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>>;
  /**
   * The bytes that {@linkcode Checkpoint.read} gives, where they lie in the file as they are: not compressed,
   * in order and without gaps. `undefined` if they have to be made.
   *
   * @throws {ModelFileError} As reading does.
   */
  stored(name: string): StoredBytes | undefined;
}

/** Bytes of a tensor that lie in a file as they are. */
export interface StoredBytes {
  /**
   * Reads some of them. A checksum is found out as they are read, if that is done in order, and else before,
   * by reading all of them once.
   *
   * @param begin The first byte.
   * @param length How many.
   * @param buffer Memory that may be used again for them, as for {@linkcode ByteSource.read}.
   * @throws {ModelFileError} If the file is damaged; by a checksum, with the last of the bytes.
   */
  read(begin: number, length: number, buffer?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Finds them on the disk, for who maps files into memory. A checksum is verified for it, once.
   *
   * @throws {ModelFileError} If the file is damaged.
   */
  onDisk(): Promise<DiskPlace | undefined>;
}

const ELEMENT_BITS: Readonly<Record<DType, number>> = {
  F64: 64,
  F32: 32,
  F16: 16,
  BF16: 16,
  F8_E5M2: 8,
  F8_E5M2FNUZ: 8,
  F8_E4M3: 8,
  F8_E4M3FNUZ: 8,
  F8_E8M0: 8,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F4: 4,
  C128: 128,
  C64: 64,
  C32: 32,
  I64: 64,
  I32: 32,
  I16: 16,
  I8: 8,
  U64: 64,
  U32: 32,
  U16: 16,
  U8: 8,
  BOOL: 8,
};

/** The name of an element type that the readers know. */
export function isDType(name: unknown): name is DType {
  return typeof name === "string" && Object.hasOwn(ELEMENT_BITS, name);
}

/**
 * Bytes of one element: 1 to 16, or a fraction for floats of 6 and 4 bits, which are packed.
 *
 * @example
 * ```ts
 * import { bytesPerElement } from "./tensor.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(bytesPerElement("BF16"), 2);
 * assertEquals(bytesPerElement("F4"), 0.5);
 * ```
 */
export function bytesPerElement(dtype: DType): number {
  return ELEMENT_BITS[dtype] / 8;
}

/**
 * Elements of a tensor of this shape, without a limit: a product beyond 2^53 is inexact and may be infinite.
 */
export function elementCount(shape: readonly number[]): number {
  return shape.includes(0) ? 0 : shape.reduce((count, size) => count * size, 1);
}

/**
 * Bytes of a whole tensor; not a whole number where packed floats end within a byte, which no file allows.
 *
 * Absurd shapes give a number that no file has, not an error: the caller compares it with the size that is
 * there.
 *
 * @example
 * ```ts
 * import { byteLength } from "./tensor.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(byteLength({ dtype: "BF16", shape: [2, 3] }), 12);
 * assertEquals(byteLength({ dtype: "I64", shape: [] }), 8);
 * ```
 */
export function byteLength(tensor: Pick<TensorInfo, "dtype" | "shape">): number {
  return elementCount(tensor.shape) * bytesPerElement(tensor.dtype);
}

/** What {@linkcode decodeFloat32} knows no value of. */
const WITHOUT_FLOAT32: ReadonlySet<DType> = new Set(["F6_E2M3", "F6_E3M2", "F4", "C128", "C64", "C32"]);

/** The value of each half, once one has been asked for. */
let halfValues: Float32Array | undefined;

function valuesOfHalves(): Float32Array {
  const bits = new Uint16Array(2 ** 16);
  for (let i = 0; i < bits.length; i++) bits[i] = i;
  return new Float32Array(new Float16Array(bits.buffer));
}

/**
 * Writes halves as floats, which are the same values: a look into a table of all of them, 1 to 3 ns each,
 * where `set` with a `Float16Array` takes 5.
 *
 * @param halves Their bits.
 * @param target As many floats, or more.
 */
export function floatsOfHalves(halves: Uint16Array, target: Float32Array): void {
  const values = halfValues ??= valuesOfHalves();
  for (let i = 0; i < halves.length; i++) target[i] = values[halves[i]!]!;
}

/**
 * Converts stored bytes to float32. For F32 the result shares the buffer of `bytes` where its alignment
 * allows.
 *
 * Floats of 16 and 8 bits are converted exactly. 64-bit integers go through float64, so beyond 2^53 they may
 * be rounded twice.
 *
 * @throws {TypeError} If the bytes are not a whole number of elements, or the type is one of complex numbers
 * or of floats of fewer than 8 bits.
 *
 * @example bfloat16 is the upper half of a float32
 * ```ts
 * import { decodeFloat32 } from "./tensor.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(decodeFloat32("BF16", new Uint8Array([0x80, 0x3f, 0x20, 0xc0])), new Float32Array([1, -2.5]));
 * assertEquals(decodeFloat32("F8_E4M3", new Uint8Array([0x38, 0xc2])), new Float32Array([1, -2.5]));
 * ```
 */
export function decodeFloat32(dtype: DType, bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const width = bytesPerElement(dtype);
  if (bytes.length % width !== 0) {
    throw new TypeError(
      `Cannot decode ${dtype} as the bytes must be a multiple of ${width}: current length is ${bytes.length}`,
    );
  }
  const { buffer, byteOffset } = byteAligned(bytes, width);
  const length = bytes.length / width;
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer, byteOffset, length);
    case "F64":
      return new Float32Array(new Float64Array(buffer, byteOffset, length));
    case "F16": {
      const values = new Float32Array(length);
      floatsOfHalves(new Uint16Array(buffer, byteOffset, length), values);
      return values;
    }
    case "BF16": {
      const halves = new Uint16Array(buffer, byteOffset, length);
      const words = new Uint32Array(length);
      for (let i = 0; i < length; i++) words[i] = halves[i]! << 16;
      return new Float32Array(words.buffer);
    }
    case "F8_E5M2":
    case "F8_E5M2FNUZ":
    case "F8_E4M3":
    case "F8_E4M3FNUZ":
    case "F8_E8M0": {
      const known = float8Values(dtype);
      const values = new Float32Array(length);
      for (let i = 0; i < length; i++) values[i] = known[bytes[i]!]!;
      return values;
    }
    case "I64":
    case "U64": {
      const Integers = dtype === "I64" ? BigInt64Array : BigUint64Array;
      const integers = new Integers(buffer, byteOffset, length);
      const values = new Float32Array(length);
      for (let i = 0; i < length; i++) values[i] = Number(integers[i]);
      return values;
    }
    case "I32":
      return new Float32Array(new Int32Array(buffer, byteOffset, length));
    case "I16":
      return new Float32Array(new Int16Array(buffer, byteOffset, length));
    case "I8":
      return new Float32Array(new Int8Array(buffer, byteOffset, length));
    case "U32":
      return new Float32Array(new Uint32Array(buffer, byteOffset, length));
    case "U16":
      return new Float32Array(new Uint16Array(buffer, byteOffset, length));
    case "U8":
      return new Float32Array(bytes);
    case "BOOL":
      return new Float32Array(bytes).map((value) => value === 0 ? 0 : 1);
    default:
      throw new TypeError(
        mustBe("one of real numbers of 8 bits or more", dtype, "its dtype", "decode a tensor"),
      );
  }
}

/**
 * Reads a tensor of a checkpoint as float32.
 *
 * @throws {ModelFileError} If there is no such tensor, the file is damaged, or float32 does not hold such
 * values.
 */
export async function readAsFloat32(
  checkpoint: Pick<Checkpoint, "file" | "tensors" | "read">,
  name: string,
): Promise<Float32Array<ArrayBuffer>> {
  const dtype = checkpoint.tensors.get(name)?.dtype;
  if (dtype !== undefined && WITHOUT_FLOAT32.has(dtype)) {
    throw new ModelFileError("Cannot convert the tensor to float32", {
      file: checkpoint.file,
      tensor: name,
      expected: "real numbers of 8 bits or more",
      found: dtype,
    });
  }
  const bytes = await checkpoint.read(name);
  return decodeFloat32(dtype!, bytes);
}

/**
 * Converts float32 to the bytes of float16: to nearest, ties to even; beyond 65504 to infinity.
 *
 * @example
 * ```ts
 * import { decodeFloat32, encodeFloat16 } from "./tensor.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = encodeFloat16(new Float32Array([2049, 2051, 1e6]));
 * assertEquals(decodeFloat32("F16", bytes), new Float32Array([2048, 2052, Infinity]));
 * ```
 */
export function encodeFloat16(values: Float32Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Float16Array(values).buffer);
}

/** A stretch of a source as a tensor, in a format without checksums. */
export function storedIn(source: ByteSource, offset: number, size: number): StoredBytes {
  return {
    read: (begin, length, buffer) => source.read(offset + begin, length, buffer),
    onDisk: async () => await source.onDisk?.(offset, size),
  };
}

/** The same bytes at an offset where a typed array of this element width may lie. */
function byteAligned(bytes: Uint8Array<ArrayBuffer>, width: number): Uint8Array<ArrayBuffer> {
  return bytes.byteOffset % width === 0 ? bytes : bytes.slice();
}
