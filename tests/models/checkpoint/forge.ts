/**
 * Builds zip archives, pickles and safetensors files byte by byte, for tests that need damaged and hostile ones.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import type { ByteSource } from "../../../models/checkpoint/source.ts";

/** One byte per character. */
export function latin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function little(...fields: [bytes: 2 | 4, value: number][]): Uint8Array {
  const parts = fields.map(([size, value]) => {
    const view = new DataView(new ArrayBuffer(size));
    if (size === 2) view.setUint16(0, value, true);
    else view.setUint32(0, value, true);
    return new Uint8Array(view.buffer);
  });
  return concat(...parts);
}

/** A member as it is to be written; the fields after `data` replace the true ones. */
export interface Member {
  name: string;
  data: Uint8Array;
  method?: number;
  flags?: number;
  crc?: number;
  compressedSize?: number;
  uncompressedSize?: number;
  offset?: number;
}

/** A zip archive; local headers are padded to 64 bytes, as PyTorch does it. */
export function zip(members: readonly Member[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  const push = (part: Uint8Array): void => {
    parts.push(part);
    at += part.length;
  };
  for (const member of members) {
    const { data, method = 0, flags = 0, crc = crc32(data) } = member;
    const name = latin1(member.name);
    const compressed = member.compressedSize ?? data.length;
    const uncompressed = member.uncompressedSize ?? data.length;
    const offset = at;
    const padding = 4 + (64 - (at + 34 + name.length) % 64) % 64;
    const common = (extra: number): Uint8Array =>
      little(
        [2, 20],
        [2, flags],
        [2, method],
        [2, 0],
        [2, 0],
        [4, crc],
        [4, compressed],
        [4, uncompressed],
        [2, name.length],
        [2, extra],
      );
    push(little([4, 0x04034b50]));
    push(common(padding));
    push(name);
    push(concat(little([2, 0x4246], [2, padding - 4]), new Uint8Array(padding - 4)));
    push(data);
    directory.push(
      little([4, 0x02014b50], [2, 20]),
      common(0),
      little([2, 0], [2, 0], [2, 0], [4, 0], [4, member.offset ?? offset]),
      name,
    );
  }
  const list = concat(...directory);
  const end = little([4, 0x06054b50], [2, 0], [2, 0], [2, members.length], [2, members.length], [
    4,
    list.length,
  ], [
    4,
    at,
  ], [2, 0]);
  return concat(...parts, list, end);
}

/** A `.pth` file around a pickle given as text, with storages by key. */
export function pth(
  pickle: string,
  storages: Readonly<Record<string, Uint8Array>> = {},
  more: readonly Member[] = [],
): Uint8Array<ArrayBuffer> {
  return zip([
    { name: "a/data.pkl", data: latin1(pickle) },
    ...Object.entries(storages).map(([key, data]) => ({ name: `a/data/${key}`, data })),
    ...more,
  ]);
}

/** Pieces of a pickle of protocol 2; a whole one is `protocol + value + "."`. */
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
  tensor: (storage: string, offset: number, shape: number[], strides: number[]): string =>
    pickle.global("torch._utils", "_rebuild_tensor_v2") +
    pickle.tuple(
      storage,
      pickle.int(offset),
      pickle.tuple(...shape.map(pickle.int)),
      pickle.tuple(...strides.map(pickle.int)),
      "\x89",
      pickle.orderedDict,
    ) + "R",
};

/** A signed little-endian integer, one character per byte. */
function characters(value: number, bytes: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigInt64(0, BigInt(value), true);
  return String.fromCharCode(...new Uint8Array(view.buffer, 0, bytes));
}

/** A safetensors file with any header. */
export function safetensors(header: string, data: Uint8Array = new Uint8Array(0)): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(header);
  return concat(latin1(characters(json.length, 8)), json, data);
}

/** A source in memory that counts what is read of it. */
export class CountingSource implements ByteSource {
  readonly file = "counted";
  readonly size: number;
  readonly signal = undefined;
  /** Bytes read since the last reset. */
  bytesRead = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    this.bytesRead += length;
    return Promise.resolve(new Uint8Array(this.#bytes.subarray(offset, offset + length)));
  }

  [Symbol.dispose](): void {}
}
