/**
 * Writes a NumPy archive as evaluators of generated images read it: an uncompressed ZIP with one member,
 * `arr_0.npy`, of bytes in any number. Row after row goes to the disk, so memory does not grow with the
 * archive; what the rows are is left to the caller.
 *
 * The archive is a ZIP64 one at any size (50,000 pictures of 256×256 are 9.83 GB), so that small files take
 * the same way as large ones.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { replaceFile } from "../output/whole_file.ts";

/** Name of the member: what `numpy.savez` calls an array without a name. */
const MEMBER = "arr_0.npy";
/** Where the checksum stands in the header of the member. */
const CRC_OFFSET = 14;
/** 1980-01-01, the first day of ZIP, so that the same rows give the same bytes. */
const DATE = 0x0021;
/** ZIP64. */
const VERSION = 45;
const UNIX = 3 << 8;
/** Says that the true value stands in the ZIP64 part. */
const ELSEWHERE = 0xffffffff;

/**
 * Writes the archive under a temporary name and then gives it its own.
 *
 * @param path Where to.
 * @param shape Shape of the array; its first number is the number of rows.
 * @param rows The rows in order, each of as many bytes as the rest of the shape multiplies to.
 * @throws {RangeError} If a row has another length, or there are more or fewer of them. Nothing is left
 * behind then.
 */
export async function writeNpz(
  path: string,
  shape: readonly number[],
  rows: AsyncIterable<Uint8Array>,
): Promise<void> {
  const header = npyHeader(shape);
  const [count, ...rest] = shape as [number, ...number[]];
  const length = rest.reduce((a, b) => a * b, 1);
  const size = header.length + count * length;
  await replaceFile(path, async (temporary) => {
    using file = await Deno.open(temporary, { write: true, createNew: true });
    await writeAll(file, localHeader(size));
    await writeAll(file, header);
    let checksum = crc32(header);
    let written = 0;
    for await (const row of rows) {
      if (row.length !== length) {
        throw new RangeError(
          `Cannot write ${path} as row ${written} must have ${length} bytes: it has ${row.length}`,
        );
      }
      await writeAll(file, row);
      checksum = crc32(row, checksum);
      written++;
    }
    if (written !== count) {
      throw new RangeError(`Cannot write ${path} as there must be ${count} rows: there are ${written}`);
    }
    await writeAll(file, directory(size, checksum));
    await file.seek(CRC_OFFSET, Deno.SeekMode.Start);
    await writeAll(file, words([checksum]));
    await file.syncData();
  });
}

/** The NPY header, version 1.0, of bytes in C order (NumPy's format specification). */
function npyHeader(shape: readonly number[]): Uint8Array {
  const magic = "\x93NUMPY\x01\x00";
  const text = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape.join(", ")}${
    shape.length === 1 ? "," : ""
  }), }`;
  // The data start at a multiple of 64 bytes from the magic word.
  const total = Math.ceil((magic.length + 2 + text.length + 1) / 64) * 64;
  const length = total - magic.length - 2;
  const body = `${text.padEnd(length - 1)}\n`;
  return Uint8Array.from([...bytes(magic), length & 255, length >> 8, ...bytes(body)]);
}

/** Header of the member (APPNOTE 4.3.7); the checksum is filled in at the end. */
function localHeader(size: number): Uint8Array {
  return concat([
    words([0x04034b50]),
    halves([VERSION, 0, 0, 0, DATE]),
    words([0, ELSEWHERE, ELSEWHERE]),
    halves([MEMBER.length, 20]),
    bytes(MEMBER),
    sizes(size),
  ]);
}

/** What stands behind the member: central directory and the ends of it (APPNOTE 4.3.12, 4.3.14 to 4.3.16). */
function directory(size: number, checksum: number): Uint8Array {
  const entry = concat([
    words([0x02014b50]),
    halves([UNIX | VERSION, VERSION, 0, 0, 0, DATE]),
    words([checksum, ELSEWHERE, ELSEWHERE]),
    halves([MEMBER.length, 20, 0, 0, 0]),
    // A plain file that everybody may read.
    words([0o100644 * 2 ** 16, 0]),
    bytes(MEMBER),
    sizes(size),
  ]);
  const start = localHeader(size).length + size;
  return concat([
    entry,
    words([0x06064b50]),
    longs([44]),
    halves([UNIX | VERSION, VERSION]),
    words([0, 0]),
    longs([1, 1, entry.length, start]),
    words([0x07064b50, 0]),
    longs([start + entry.length]),
    words([1]),
    words([0x06054b50]),
    halves([0, 0, 1, 1]),
    words([entry.length, ELSEWHERE]),
    halves([0]),
  ]);
}

/** The extra field of ZIP64: size, and size when packed, which is the same. */
function sizes(size: number): Uint8Array {
  return concat([halves([1, 16]), longs([size, size])]);
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
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
