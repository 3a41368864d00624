/**
 * Writes checkpoints as PyTorch does, one tensor at a time and of any size: the records of a zip archive
 * whose members are stored as they are, each from a multiple of 64 bytes on, and the pieces of a pickle.
 * Tests forge damaged files of the same pieces.
 *
 * @module
 */

import { crc32 } from "node:zlib";

/** One byte per character. */
export function latin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** All bytes in a row. */
export function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function little(...fields: [bytes: 2 | 4 | 8, value: number][]): Uint8Array<ArrayBuffer> {
  const parts = fields.map(([size, value]) => {
    const view = new DataView(new ArrayBuffer(size));
    if (size === 2) view.setUint16(0, value, true);
    else if (size === 4) view.setUint32(0, value, true);
    else view.setBigUint64(0, BigInt(value), true);
    return new Uint8Array(view.buffer);
  });
  return concat(...parts);
}

/** What an archive says of a member. */
export interface MemberRecord {
  /** Path within the archive, of 8-bit characters. */
  readonly name: string;
  /** 0 is stored, 8 deflated. */
  readonly method: number;
  /** Flags of the format. */
  readonly flags: number;
  /** CRC-32 of the unpacked bytes. */
  readonly crc: number;
  /** Bytes in the archive. */
  readonly compressedSize: number;
  /** Bytes when unpacked. */
  readonly uncompressedSize: number;
  /** Where its local header stands. */
  readonly offset: number;
}

/** From the start of a local header to its CRC-32. */
const CRC_OFFSET = 14;

function commonFields(record: MemberRecord, extra: number, version: number): Uint8Array {
  const { name, method, flags, crc, compressedSize, uncompressedSize } = record;
  return little(
    ...[[2, version], [2, flags], [2, method], [2, 0], [2, 0]] as [2, number][],
    ...[[4, crc], [4, compressedSize], [4, uncompressedSize]] as [4, number][],
    ...[[2, name.length], [2, extra]] as [2, number][],
  );
}

/** The header before a member's data, padded so that the data begins at a multiple of 64 bytes. */
export function localHeader(record: MemberRecord): Uint8Array<ArrayBuffer> {
  const { name, offset } = record;
  const padding = (64 - (offset + 34 + name.length) % 64) % 64;
  return concat(
    little([4, 0x04034b50]),
    commonFields(record, 4 + padding, 20),
    latin1(name),
    // PyTorch pads with an extra field of this mark.
    latin1("FB"),
    little([2, padding]),
    new Uint8Array(padding),
  );
}

/** A field of 32 bits that says: look in the ZIP64 record. */
const ELSEWHERE = 0xffffffff;

/** A member's line in the list at the end; a header behind 4 GiB takes ZIP64. */
export function directoryEntry(record: MemberRecord): Uint8Array<ArrayBuffer> {
  const { name, offset } = record;
  const far = offset >= ELSEWHERE;
  return concat(
    little([4, 0x02014b50], [2, 45]),
    commonFields(record, far ? 12 : 0, far ? 45 : 20),
    little([2, 0], [2, 0], [2, 0], [4, 0], [4, far ? ELSEWHERE : offset]),
    latin1(name),
    far ? little([2, 1], [2, 8], [8, offset]) : new Uint8Array(0),
  );
}

/** What stands behind the list of members. */
export function endOfDirectory(
  list: { readonly count: number; readonly size: number; readonly offset: number },
): Uint8Array<ArrayBuffer> {
  const { count, size, offset } = list;
  const far = offset >= ELSEWHERE;
  const zip64 = far
    ? concat(
      little([4, 0x06064b50], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0]),
      little([8, count], [8, count], [8, size], [8, offset]),
      little([4, 0x07064b50], [4, 0], [8, offset + size], [4, 1]),
    )
    : new Uint8Array(0);
  const position = far ? ELSEWHERE : offset;
  const counts: [2, number][] = [[2, 0], [2, 0], [2, count], [2, count]];
  return concat(zip64, little([4, 0x06054b50], ...counts, [4, size], [4, position], [2, 0]));
}

/** Pieces of a pickle of protocol 2, one character per byte. */
export const pickle = {
  protocol: "\x80\x02",
  whole: (value: string): string => `\x80\x02${value}.`,
  global: (module: string, name: string): string => `c${module}\n${name}\n`,
  text: (text: string): string => `X${characters(text.length, 4)}${text}`,
  int: (value: number): string => `\x8a\x08${characters(value, 8)}`,
  tuple: (...items: string[]): string => `(${items.join("")}t`,
  list: (...items: string[]): string => `](${items.join("")}e`,
  dict: (...items: string[]): string => `}(${items.join("")}u`,
  orderedDict: "ccollections\nOrderedDict\n)R",
  storage: (key: string, type: string, count: number): string =>
    `${
      pickle.tuple(
        pickle.text("storage"),
        pickle.global("torch", type),
        pickle.text(key),
        pickle.text("cpu"),
        pickle.int(count),
      )
    }Q`,
  tensor: (storage: string, offset: number, shape: readonly number[], strides: readonly number[]): string =>
    pickle.global("torch._utils", "_rebuild_tensor_v2") +
    pickle.tuple(
      storage,
      pickle.int(offset),
      pickle.tuple(...shape.map(pickle.int)),
      pickle.tuple(...strides.map(pickle.int)),
      "\x89",
      pickle.orderedDict,
    ) + "R",
} as const;

/** A signed little-endian integer, one character per byte. */
export function characters(value: number, bytes: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigInt64(0, BigInt(value), true);
  return String.fromCharCode(...new Uint8Array(view.buffer, 0, bytes));
}

/** A tensor to be written; it lies in a storage of its own. */
export interface PyTorchTensor {
  /** Name in the state dict. */
  readonly name: string;
  /** Type of its elements. */
  readonly dtype: "F32" | "F16" | "I64";
  /** Sizes. */
  readonly shape: readonly number[];
  /** Its bytes in order, in pieces that may share memory: each is written before the next is asked for. */
  bytes(): Iterable<Uint8Array<ArrayBuffer>>;
}

/** A dictionary as PyTorch saves it: tensors, or dictionaries by their keys. */
export type StateDict = readonly PyTorchTensor[] | { readonly [key: string]: StateDict };

function isTensors(state: StateDict): state is readonly PyTorchTensor[] {
  return Array.isArray(state);
}

const STORAGES = {
  F32: { type: "FloatStorage", width: 4 },
  F16: { type: "HalfStorage", width: 2 },
  I64: { type: "LongStorage", width: 8 },
} as const;

function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * Writes a state dict to a new file.
 *
 * @throws {TypeError} If a tensor's bytes are not as many as its shape says.
 */
export function writePyTorch(file: Deno.FsFile, state: StateDict): void {
  const tensors: PyTorchTensor[] = [];
  const pickled = (state: StateDict): string => {
    if (!isTensors(state)) {
      return pickle.dict(
        ...Object.entries(state).flatMap(([key, value]) => [pickle.text(key), pickled(value)]),
      );
    }
    const entries = state.flatMap((tensor) => {
      const { name, dtype, shape } = tensor;
      const key = `${tensors.push(tensor) - 1}`;
      const strides = shape.map((_, axis) => countOf(shape.slice(axis + 1)));
      const storage = pickle.storage(key, STORAGES[dtype].type, countOf(shape));
      return [pickle.text(name), pickle.tensor(storage, 0, shape, strides)];
    });
    return `${pickle.orderedDict}(${entries.join("")}u`;
  };
  const stateDict = pickle.whole(pickled(state));
  const archive = new ArchiveWriter(file);
  archive.add("archive/data.pkl", [latin1(stateDict)]);
  archive.add("archive/byteorder", [latin1("little")]);
  for (const [i, tensor] of tensors.entries()) {
    const length = archive.add(`archive/data/${i}`, tensor.bytes());
    const wanted = countOf(tensor.shape) * STORAGES[tensor.dtype].width;
    if (length !== wanted) {
      throw new TypeError(
        `Cannot write the tensor "${tensor.name}" as its shape takes ${wanted} bytes: current length is ${length}`,
      );
    }
  }
  archive.add("archive/version", [latin1("3\n")]);
  archive.close();
}

/** A zip archive of stored members, each of less than 4 GiB. */
class ArchiveWriter {
  readonly #file: Deno.FsFile;
  readonly #records: MemberRecord[] = [];
  #at = 0;

  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  #write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) done += this.#file.writeSync(bytes.subarray(done));
    this.#at += bytes.length;
  }

  /** Adds a member and gives its length. */
  add(name: string, pieces: Iterable<Uint8Array<ArrayBuffer>>): number {
    const offset = this.#at;
    const empty = { name, offset, method: 0, flags: 0, crc: 0, compressedSize: 0, uncompressedSize: 0 };
    this.#write(localHeader(empty));
    let crc = 0;
    let size = 0;
    for (const piece of pieces) {
      crc = crc32(piece, crc);
      size += piece.length;
      this.#write(piece);
    }
    const record = { ...empty, crc, compressedSize: size, uncompressedSize: size };
    this.#records.push(record);
    this.#file.seekSync(offset + CRC_OFFSET, Deno.SeekMode.Start);
    const end = this.#at;
    this.#write(little([4, crc], [4, size], [4, size]));
    this.#at = end;
    this.#file.seekSync(end, Deno.SeekMode.Start);
    return size;
  }

  /** Adds the list of members. */
  close(): void {
    const offset = this.#at;
    const list = concat(...this.#records.map(directoryEntry));
    this.#write(list);
    this.#write(endOfDirectory({ count: this.#records.length, size: list.length, offset }));
  }
}
