/**
 * What stands before the numbers of a NumPy array in a file: its type, its shape and its order. Formats 1.0
 * to 3.0 are read, 1.0 is written (NumPy's NEP 1). The archive around it is left to `npz.ts`.
 *
 * @module
 */

import { ModelFileError } from "../../models/model_file_error.ts";

/** Types of numbers that are read, as NumPy writes them: bytes, floats and integers, little-endian. */
export type NpyType = "|u1" | "<f2" | "<f4" | "<f8" | "<i4" | "<i8";

/** Bytes of a number. */
const WIDTHS: Readonly<Record<NpyType, number>> = {
  "|u1": 1,
  "<f2": 2,
  "<f4": 4,
  "<f8": 8,
  "<i4": 4,
  "<i8": 8,
};

/** What an array is. */
export interface NpyHeader {
  /** Its type. */
  readonly type: NpyType;
  /** Its shape; empty for a single number. */
  readonly shape: readonly number[];
  /** Whether the first index runs fastest, and not the last. */
  readonly fortran: boolean;
  /** Bytes before the first number. */
  readonly start: number;
}

/** Where {@linkcode parseNpyHeader} reads, for its errors. */
export interface NpyPlace {
  /** The file. */
  readonly file: string;
  /** Name of the array. */
  readonly tensor: string;
}

/** What the file of an array begins with. */
export const NPY_MAGIC = "\x93NUMPY";
/** Longest header that is read: that of any array of numbers is shorter than a hundredth of it. */
export const MAX_NPY_HEADER: number = 1 << 14;
/** Where the numbers begin is a multiple of this. */
const ALIGNMENT = 64;

/** Bytes of all numbers of an array. */
export function npyBytes({ type, shape }: Pick<NpyHeader, "type" | "shape">): number {
  return shape.reduce((product, side) => product * side, WIDTHS[type]);
}

/**
 * Reads a header.
 *
 * @param bytes The beginning of the file: all of it, or {@linkcode MAX_NPY_HEADER} bytes.
 * @throws {ModelFileError} If it is none, or the array is not of numbers that are read.
 */
export function parseNpyHeader(bytes: Uint8Array, place: NpyPlace): NpyHeader {
  const refuse = (expected: string, found: string): never => {
    throw new ModelFileError("Cannot read the array", { ...place, expected, found });
  };
  if (bytes.length < 12 || latin(bytes.subarray(0, NPY_MAGIC.length)) !== NPY_MAGIC) {
    return refuse("a NumPy array", "other bytes");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes[NPY_MAGIC.length]!;
  if (version < 1 || version > 3) return refuse("format 1.0 to 3.0", `${version}.${bytes[7]}`);
  const [before, length] = version === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  const start = before + length;
  if (start > MAX_NPY_HEADER) return refuse(`a header of at most ${MAX_NPY_HEADER} bytes`, `${start}`);
  if (start > bytes.length) return refuse(`a header of ${start} bytes`, `${bytes.length}`);
  const text = latin(bytes.subarray(before, start));
  const [, described] = /'descr':\s*('[^']*'|\[)/.exec(text) ?? [];
  const [, order] = /'fortran_order':\s*(True|False)/.exec(text) ?? [];
  // Python 2 wrote its long integers with an L.
  const [, sides] = /'shape':\s*\(((?:\s*\d+L?\s*,)*\s*(?:\d+L?)?\s*)\)/.exec(text) ?? [];
  if (described === undefined || order === undefined || sides === undefined) {
    return refuse("type, order and shape", "a damaged header");
  }
  const type = described.slice(1, -1);
  if (!isNpyType(type)) return refuse(`numbers (${Object.keys(WIDTHS).join(", ")})`, kindOf(described));
  const shape = sides.split(",").filter((side) => side.trim() !== "").map((side) => parseInt(side));
  if (!Number.isSafeInteger(npyBytes({ type, shape }))) return refuse("a smaller array", `[${shape}]`);
  return { type, shape, fortran: order === "True", start };
}

/** The header of an array in C order. */
export function npyHeader({ type, shape }: Pick<NpyHeader, "type" | "shape">): Uint8Array<ArrayBuffer> {
  const magic = `${NPY_MAGIC}\x01\x00`;
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(", ")}${
    shape.length === 1 ? "," : ""
  }), }`;
  const total = Math.ceil((magic.length + 2 + text.length + 1) / ALIGNMENT) * ALIGNMENT;
  const length = total - magic.length - 2;
  const body = `${magic}${String.fromCharCode(length & 255, length >> 8)}${text.padEnd(length - 1)}\n`;
  return Uint8Array.from(body, (character) => character.charCodeAt(0));
}

function isNpyType(type: string): type is NpyType {
  return Object.hasOwn(WIDTHS, type);
}

/** What a type that is not read is. */
function kindOf(described: string): string {
  if (described === "[") return "records of several fields";
  const type = described.slice(1, -1);
  if (/^\|?O/.test(type)) return "Python objects, which are never loaded";
  if (/^[<>|=]?[US]/.test(type)) return `texts (${type})`;
  return type;
}

function latin(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
