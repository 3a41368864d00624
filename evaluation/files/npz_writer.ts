/**
 * Writes NumPy archives: an uncompressed ZIP with a member for each array. Rows that come one after the other
 * go to the disk as they come, so memory does not grow with the archive; what they are is left to the caller.
 *
 * The archive is a ZIP64 one at any size (50,000 pictures of 256×256 are 9.83 GB), so that small files take
 * the same way as large ones.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { npyBytes, npyHeader, type NpyType } from "./npy.ts";
import { replaceFile } from "./whole_file.ts";

/** Where the checksum stands in the header of a member. */
const CRC_OFFSET = 14;
/** 1980-01-01, the first day of ZIP, so that the same numbers give the same bytes. */
const DATE = 0x0021;
/** ZIP64. */
const VERSION = 45;
const UNIX = 3 << 8;
/** Says that the true value stands in the ZIP64 part. */
const ELSEWHERE = 0xffffffff;

/** An array that is in memory: bytes, f32 or f64. */
export interface NpzArray {
  /** Its shape; empty for a single number. */
  readonly shape: readonly number[];
  /** Its numbers, the last index running fastest. */
  readonly values: Uint8Array | Float32Array | Float64Array;
}

/** An array of bytes that comes row by row. */
export interface NpzRows {
  /** Its shape; the first number is the number of rows. */
  readonly shape: readonly number[];
  /** The rows in order, each of as many bytes as the rest of the shape multiplies to. */
  readonly rows: AsyncIterable<Uint8Array>;
}

/**
 * Writes an archive under a temporary name and then gives it its own. The same arrays give the same bytes.
 *
 * @param path Where to; a file that is there is replaced.
 * @param arrays Arrays by name; `numpy.savez` calls one without a name `arr_0`.
 * @throws {RangeError} If values or a row have another length than the shape says, or there are more or fewer
 * rows. Nothing is left behind then.
 *
 * @example
 * ```ts
 * import { openNpz, writeNpz } from "./npz.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const path = await Deno.makeTempFile({ suffix: ".npz" });
 * const rows = async function* () {
 *   for (const value of [7, 8, 9]) yield Uint8Array.of(value, value);
 * };
 * await writeNpz(path, { arr_0: { shape: [3, 2], rows: rows() } });
 * {
 *   using npz = await openNpz(path);
 *   assertEquals([...(await npz.read("arr_0")).values], [7, 7, 8, 8, 9, 9]);
 * }
 * await Deno.remove(path);
 * ```
 */
export async function writeNpz(
  path: string,
  arrays: Readonly<Record<string, NpzArray | NpzRows>>,
): Promise<void> {
  await replaceFile(path, async (temporary) => {
    using file = await Deno.open(temporary, { write: true, createNew: true });
    const members: Member[] = [];
    let offset = 0;
    for (const [name, array] of Object.entries(arrays)) {
      const header = npyHeader({ type: typeOf(array), shape: array.shape });
      const size = header.length + npyBytes({ type: typeOf(array), shape: array.shape });
      const local = localHeader(`${name}.npy`, size);
      await writeAll(file, local);
      let checksum = 0;
      for await (const piece of pieces(header, array, path)) {
        await writeAll(file, piece);
        checksum = crc32(piece, checksum);
      }
      await file.seek(offset + CRC_OFFSET, Deno.SeekMode.Start);
      await writeAll(file, words([checksum]));
      members.push({ name: `${name}.npy`, size, checksum, offset });
      offset += local.length + size;
      await file.seek(offset, Deno.SeekMode.Start);
    }
    await writeAll(file, directory(members, offset));
    await file.syncData();
  });
}

/** What the list at the end says of a member. */
interface Member {
  readonly name: string;
  readonly size: number;
  readonly checksum: number;
  /** First byte of its header. */
  readonly offset: number;
}

function typeOf(array: NpzArray | NpzRows): NpyType {
  if ("rows" in array || array.values instanceof Uint8Array) return "|u1";
  return array.values instanceof Float32Array ? "<f4" : "<f8";
}

/** The bytes of a member, in order. */
async function* pieces(
  header: Uint8Array,
  array: NpzArray | NpzRows,
  path: string,
): AsyncGenerator<Uint8Array> {
  yield header;
  const { shape } = array;
  if (!("rows" in array)) {
    const { buffer, byteOffset, byteLength, length } = array.values;
    const wanted = shape.reduce((product, side) => product * side, 1);
    if (length !== wanted) {
      throw new RangeError(
        `Cannot write ${path} as [${shape.join(", ")}] takes ${wanted} values: there are ${length}`,
      );
    }
    yield new Uint8Array(buffer, byteOffset, byteLength);
    return;
  }
  const [count, ...rest] = shape;
  const length = rest.reduce((product, side) => product * side, 1);
  let written = 0;
  for await (const row of array.rows) {
    if (row.length !== length) {
      throw new RangeError(
        `Cannot write ${path} as row ${written} must have ${length} bytes: it has ${row.length}`,
      );
    }
    yield row;
    written++;
  }
  if (written !== count) {
    throw new RangeError(`Cannot write ${path} as there must be ${count} rows: there are ${written}`);
  }
}

/** Header of a member (APPNOTE 4.3.7); the checksum is filled in behind it. */
function localHeader(name: string, size: number): Uint8Array {
  const text = new TextEncoder().encode(name);
  return concat([
    words([0x04034b50]),
    halves([VERSION, 0, 0, 0, DATE]),
    words([0, ELSEWHERE, ELSEWHERE]),
    halves([text.length, 20]),
    text,
    sizes(size),
  ]);
}

/**
 * What stands behind the members: central directory and the ends of it (APPNOTE 4.3.12, 4.3.14 to 4.3.16).
 */
function directory(members: readonly Member[], start: number): Uint8Array {
  const entries = concat(members.map(entryOf));
  const { length } = members;
  return concat([
    entries,
    words([0x06064b50]),
    longs([44]),
    halves([UNIX | VERSION, VERSION]),
    words([0, 0]),
    longs([length, length, entries.length, start]),
    words([0x07064b50, 0]),
    longs([start + entries.length]),
    words([1]),
    words([0x06054b50]),
    halves([0, 0, length, length]),
    words([entries.length, ELSEWHERE]),
    halves([0]),
  ]);
}

/** A member of the central directory. Only one that does not begin in the first 4 GB has a third size. */
function entryOf({ name, size, checksum, offset }: Member): Uint8Array {
  const text = new TextEncoder().encode(name);
  const far = offset >= ELSEWHERE;
  const extra = far ? concat([halves([1, 24]), longs([size, size, offset])]) : sizes(size);
  return concat([
    words([0x02014b50]),
    halves([UNIX | VERSION, VERSION, 0, 0, 0, DATE]),
    words([checksum, ELSEWHERE, ELSEWHERE]),
    halves([text.length, extra.length, 0, 0, 0]),
    // A plain file that everybody may read.
    words([0o100644 * 2 ** 16, far ? ELSEWHERE : offset]),
    text,
    extra,
  ]);
}

/** The extra field of ZIP64: size, and size when packed, which is the same. */
function sizes(size: number): Uint8Array {
  return concat([halves([1, 16]), longs([size, size])]);
}

function halves(values: readonly number[]): Uint8Array {
  return little(2, values, (view, at, value) => view.setUint16(at, value, true));
}

function words(values: readonly number[]): Uint8Array {
  return little(4, values, (view, at, value) => view.setUint32(at, value, true));
}

function longs(values: readonly number[]): Uint8Array {
  return little(8, values, (view, at, value) => view.setBigUint64(at, BigInt(value), true));
}

function little(
  width: number,
  values: readonly number[],
  set: (view: DataView, at: number, value: number) => void,
): Uint8Array {
  const view = new DataView(new ArrayBuffer(width * values.length));
  for (const [i, value] of values.entries()) set(view, i * width, value);
  return new Uint8Array(view.buffer);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

async function writeAll(file: Deno.FsFile, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length;) at += await file.write(data.subarray(at));
}
