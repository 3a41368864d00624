/**
 * Reads NumPy's archives, stored or compressed, of any size: arrays whole, or a few rows at a time. Nothing
 * in them is executed, as arrays of Python objects are refused. What the arrays mean is left to the caller.
 *
 * @module
 */

import { requireInteger } from "../../kernels/arguments.ts";
import { Archive } from "../../models/checkpoint/archive.ts";
import { type ByteSource, openSource } from "../../models/checkpoint/source.ts";
import { decodeFloat32 } from "../../models/checkpoint/tensor.ts";
import { ModelFileError } from "../../models/model_file_error.ts";
import { MAX_NPY_HEADER, NPY_MAGIC, npyBytes, type NpyHeader, type NpyType, parseNpyHeader } from "./npy.ts";

export type { NpyType } from "./npy.ts";
export { type NpzArray, type NpzRows, writeNpz } from "./npz_writer.ts";

/**
 * Numbers of an array: each type in its own kind of array, but halves as f32, and integers of 64 bits as f64,
 * which holds those up to 2^53.
 */
export type NpyValues =
  | Uint8Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>;

/** What is told of an array before it is read. */
export interface NpyFacts {
  /** Its type in the file. */
  readonly type: NpyType;
  /** Its shape; empty for a single number. */
  readonly shape: readonly number[];
}

/** An open archive. Disposing it closes the file. */
export interface Npz extends Disposable {
  /** Path of the file. */
  readonly file: string;
  /** Names of the arrays in the order of the archive, without `.npy`. */
  readonly names: readonly string[];
  /**
   * Type and shape of an array.
   *
   * @throws {ModelFileError} If there is none of this name, or it is damaged or of another type.
   */
  describe(name: string): Promise<NpyFacts>;
  /** CRC-32 of an array's bytes as the archive's list has it; 0 if there is no such array. */
  checksum(name: string): number;
  /**
   * All numbers of an array, in C order.
   *
   * @throws {ModelFileError} If there is none of this name, or it is damaged or of another type.
   */
  read(name: string): Promise<NpyFacts & { readonly values: NpyValues }>;
  /**
   * The numbers of an array from its first row to its last, some rows at a time; memory does not grow with
   * the array.
   *
   * @param count Rows at a time; the last may be fewer.
   * @throws {ModelFileError} If there is none of this name, or it is damaged or of another type, or its rows
   * do not lie one after the other.
   * @throws {RangeError} If `count` is no integer of at least 1.
   */
  rows(name: string, count: number): AsyncGenerator<NpyValues>;
}

/**
 * Opens an archive of `numpy.savez` or `numpy.savez_compressed`.
 *
 * @param options `signal` ends every read.
 * @throws {ModelFileError} If it is no such archive, or damaged.
 *
 * @example
 * ```ts
 * import { openNpz, writeNpz } from "./npz.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const path = await Deno.makeTempFile({ suffix: ".npz" });
 * await writeNpz(path, { mu: { shape: [2], values: new Float64Array([0.5, 2]) } });
 * {
 *   using npz = await openNpz(path);
 *   assertEquals(await npz.read("mu"), { type: "<f8", shape: [2], values: new Float64Array([0.5, 2]) });
 * }
 * await Deno.remove(path);
 * ```
 */
export async function openNpz(
  path: string | URL,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Npz> {
  const source = await openFile(path, options.signal);
  try {
    await requireZip(source);
    return new OpenNpz(source, await Archive.open(source));
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

async function openFile(path: string | URL, signal: AbortSignal | undefined): Promise<ByteSource> {
  try {
    return await openSource(path, { signal });
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    const { file, expected, found } = error;
    throw new ModelFileError("Cannot open the NumPy archive", {
      file,
      ...(expected === undefined ? {} : { expected }),
      ...(found === undefined ? {} : { found }),
      cause: error,
    });
  }
}

/** Refuses what is no archive at all; of its end, where an archive has its list, little is to be told. */
async function requireZip(source: ByteSource): Promise<void> {
  const start = String.fromCharCode(...await source.read(0, Math.min(source.size, NPY_MAGIC.length)));
  if (start.startsWith("PK")) return;
  throw new ModelFileError("Cannot open the NumPy archive", {
    file: source.file,
    expected: "an archive of numpy.savez",
    found: start === NPY_MAGIC ? "a single array, as numpy.save writes it" : "another file",
  });
}

/** The beginning of a member's name is that of its array. */
const MEMBER = /^(.+)\.npy$/;

class OpenNpz implements Npz {
  readonly file: string;
  readonly names: readonly string[];
  readonly #source: ByteSource;
  readonly #archive: Archive;
  readonly #headers = new Map<string, NpyHeader>();

  constructor(source: ByteSource, archive: Archive) {
    this.file = source.file;
    this.#source = source;
    this.#archive = archive;
    this.names = archive.names().flatMap((name) => MEMBER.exec(name)?.[1] ?? []);
  }

  async describe(name: string): Promise<NpyFacts> {
    const { type, shape } = await this.#header(name);
    return { type, shape };
  }

  checksum(name: string): number {
    return this.#archive.checksumOf(`${name}.npy`) ?? 0;
  }

  async read(name: string): Promise<NpyFacts & { readonly values: NpyValues }> {
    const header = await this.#header(name);
    const { type, shape, fortran } = header;
    let values = valuesOf(type, new Uint8Array(0), this.#place(name));
    for await (const bytes of this.#chunks(name, header, npyBytes(header))) {
      values = valuesOf(type, bytes, this.#place(name));
    }
    return { type, shape, values: fortran ? inRows(values, shape) : values };
  }

  async *rows(name: string, count: number): AsyncGenerator<NpyValues> {
    requireInteger(count, "count", "read rows", { min: 1 });
    const header = await this.#header(name);
    const { type, shape, fortran } = header;
    if (shape.length === 0 || (fortran && shape.length > 1)) {
      throw new ModelFileError("Cannot read rows", {
        ...this.#place(name),
        expected: "rows one after the other",
        found: fortran ? "columns one after the other: save it with numpy.ascontiguousarray" : "one number",
      });
    }
    const row = npyBytes({ type, shape: shape.slice(1) });
    for await (const bytes of this.#chunks(name, header, row * count)) {
      yield valuesOf(type, bytes, this.#place(name));
    }
  }

  /** The bytes of an array, so many at a time, each time in a buffer of their own. */
  async *#chunks(name: string, header: NpyHeader, size: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    let skip = header.start;
    let left = npyBytes(header);
    let chunk = new Uint8Array(Math.min(size, left));
    let filled = 0;
    for await (const piece of this.#archive.pieces(`${name}.npy`, name)) {
      let at = Math.min(skip, piece.length);
      skip -= at;
      while (at < piece.length) {
        const part = piece.subarray(at, at + chunk.length - filled);
        chunk.set(part, filled);
        filled += part.length;
        at += part.length;
        left -= part.length;
        if (filled < chunk.length) continue;
        // The last goes out when the checksum is known to be right.
        if (left === 0) break;
        yield chunk;
        chunk = new Uint8Array(Math.min(size, left));
        filled = 0;
      }
    }
    if (chunk.length > 0) yield chunk;
  }

  async #header(name: string): Promise<NpyHeader> {
    const known = this.#headers.get(name);
    if (known !== undefined) return known;
    const size = this.#archive.sizeOf(`${name}.npy`);
    if (size === undefined) {
      throw new ModelFileError("Cannot find the array", {
        ...this.#place(name),
        found: this.names.length === 0 ? "no arrays" : this.names.join(", "),
      });
    }
    const beginning = new Uint8Array(Math.min(size, MAX_NPY_HEADER));
    let filled = 0;
    for await (const piece of this.#archive.pieces(`${name}.npy`, name)) {
      const part = piece.subarray(0, beginning.length - filled);
      beginning.set(part, filled);
      filled += part.length;
      if (filled === beginning.length) break;
    }
    const header = parseNpyHeader(beginning, this.#place(name));
    if (header.start + npyBytes(header) !== size) {
      throw new ModelFileError("Cannot read the array as its size does not fit its shape", {
        ...this.#place(name),
        expected: `${npyBytes(header)} bytes for ${header.type} [${header.shape}]`,
        found: `${size - header.start}`,
      });
    }
    this.#headers.set(name, header);
    return header;
  }

  #place(name: string): { readonly file: string; readonly tensor: string } {
    return { file: this.file, tensor: name };
  }

  [Symbol.dispose](): void {
    this.#source[Symbol.dispose]();
  }
}

/** Takes the bytes over. */
function valuesOf(
  type: NpyType,
  bytes: Uint8Array<ArrayBuffer>,
  place: { readonly file: string; readonly tensor: string },
): NpyValues {
  switch (type) {
    case "|u1":
      return bytes;
    case "<i4":
      return new Int32Array(bytes.buffer);
    case "<f2":
      return decodeFloat32("F16", bytes);
    case "<f4":
      return new Float32Array(bytes.buffer);
    case "<f8":
      return new Float64Array(bytes.buffer);
    case "<i8":
      return Float64Array.from(new BigInt64Array(bytes.buffer), (value) => {
        if (Number.isSafeInteger(Number(value))) return Number(value);
        throw new ModelFileError("Cannot read the array", {
          ...place,
          expected: "integers up to 2^53",
          found: `${value}`,
        });
      });
  }
}

/** Puts numbers whose first index runs fastest into an order in which the last one does. */
function inRows(values: NpyValues, shape: readonly number[]): NpyValues {
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, side) => product * side, 1));
  const index = shape.map(() => 0);
  const ordered = values.slice();
  for (let to = 0, from = 0; to < ordered.length; to++) {
    ordered[to] = values[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return ordered;
}
