/**
 * What a PNG file is made of: its chunks, one after the other (W3C PNG specification, third edition, section
 * 5). What stands in them is left to who asks for it.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { fileKind } from "./file_kind.ts";

/** What every PNG file begins with. */
const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Bytes of a chunk around its data: length, type and checksum. */
export const CHUNK_FRAME = 12;

/** A chunk, where it lies in its file. */
export interface PngChunk {
  /** Its type, four letters. */
  readonly type: string;
  /** Its first byte, and the one behind its last. */
  readonly start: number;
  readonly end: number;
  /** What it holds. */
  readonly data: Uint8Array;
}

/**
 * The chunks of a file, up to its end. Their checksums are for {@linkcode requireChecksum}.
 *
 * @throws {Error} If it is no PNG file, or ends before its last chunk does.
 */
export function* pngChunks(png: Uint8Array): Generator<PngChunk, void, void> {
  if (SIGNATURE.some((byte, i) => png[i] !== byte)) {
    const kind = fileKind(png);
    throw new Error(kind === undefined ? "it does not start as a PNG file does" : `it is ${kind}`);
  }
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  for (let start = SIGNATURE.length, type = ""; type !== "IEND";) {
    const size = start + CHUNK_FRAME <= png.length ? view.getUint32(start) : Infinity;
    const end = start + CHUNK_FRAME + size;
    if (end > png.length) throw new Error("it ends too early");
    type = String.fromCharCode(...png.subarray(start + 4, start + 8));
    yield { type, start, end, data: png.subarray(start + 8, end - 4) };
    start = end;
  }
}

/**
 * Checks a chunk.
 *
 * @throws {Error} If what it holds is not what its checksum was made of.
 */
export function requireChecksum(png: Uint8Array, { start, end }: PngChunk): void {
  const stored = new DataView(png.buffer, png.byteOffset + end - 4, 4).getUint32(0);
  if (crc32(png.subarray(start + 4, end - 4)) === stored) return;
  throw new Error(`the checksum of the chunk at byte ${start} is wrong`);
}

/** A chunk with its length and checksum. */
export function makeChunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(data.length + CHUNK_FRAME);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(data, 8);
  view.setUint32(bytes.length - 4, crc32(bytes.subarray(4, bytes.length - 4)));
  return bytes;
}
