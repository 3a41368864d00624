/**
 * Builds zip archives, pickles and safetensors files byte by byte, for tests that need damaged and hostile
 * ones.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import {
  characters,
  concat,
  directoryEntry,
  endOfDirectory,
  latin1,
  localHeader,
  pickle,
} from "../../../bench/pytorch_file.ts";
import type { ByteSource, DiskPlace } from "../../../models/checkpoint/source.ts";

export { characters, concat, latin1, pickle };

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
  for (const { data, ...member } of members) {
    const record = {
      ...{
        method: 0,
        flags: 0,
        crc: crc32(data),
        compressedSize: data.length,
        uncompressedSize: data.length,
      },
      ...{ ...member, offset: at },
    };
    push(localHeader(record));
    push(data);
    directory.push(directoryEntry({ ...record, offset: member.offset ?? record.offset }));
  }
  const list = concat(...directory);
  push(list);
  push(endOfDirectory({ count: members.length, size: list.length, offset: at - list.length }));
  return concat(...parts);
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

/** A storage behind the pickles of a stream; `count` replaces the true number of elements. */
export interface StoredStream {
  readonly key: string;
  readonly data: Uint8Array;
  readonly count: number;
}

/** A file of PyTorch before 1.6 around a pickle given as text; the fields replace what belongs there. */
export function stream(
  value: string,
  storages: readonly StoredStream[] = [],
  { version = "M\xe9\x03", keys = pickle.list(...storages.map(({ key }) => pickle.text(key))) } = {},
): Uint8Array<ArrayBuffer> {
  const magic = "\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19";
  const facts = pickle.dict(pickle.text("little_endian"), "\x88");
  return concat(
    ...[magic, version, facts, value, keys].map((item) => latin1(pickle.whole(item))),
    ...storages.flatMap(({ data, count }) => [latin1(characters(count, 8)), data]),
  );
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
  /** Path of a file that holds the same bytes, if there is one. */
  path: string | undefined;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    this.bytesRead += length;
    return Promise.resolve(new Uint8Array(this.#bytes.subarray(offset, offset + length)));
  }

  onDisk(offset: number): Promise<DiskPlace | undefined> {
    return Promise.resolve(this.path === undefined ? undefined : { path: this.path, offset });
  }

  [Symbol.dispose](): void {}
}
