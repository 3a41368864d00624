/**
 * A zip archive as PyTorch writes it: members by name, read by range. A stored member is read where it lies;
 * a compressed one is unpacked whole. What the members hold is left to the caller.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { ERR_EOCDR_NOT_FOUND, type FileEntry, Reader, ZipReader } from "npm:@zip.js/zip.js@2.24.0";
import { ModelFileError } from "../model_file_error.ts";
import { type ByteSource, piecesOf } from "./source.ts";
import type { StoredBytes } from "./tensor.ts";

/** A part of a member up to this size is read with the rest of it, so that its checksum can be verified. */
const SMALL_MEMBER = 1 << 16;

/** How much may follow the archive: `torch.load`, too, looks for the list in the last 64 KiB. */
const MAX_APPENDED = 65535;

const STORED = 0;
const DEFLATED = 8;

/** No deflate stream unpacks to more than this many times its size (https://zlib.net/zlib_tech.html). */
const MAX_EXPANSION = 1032;

const LOCAL_HEADER = { signature: 0x04034b50, size: 30, nameLength: 26, extraLength: 28 };

/** Lets zip.js read from a source. */
class SourceReader extends Reader<ByteSource> {
  readonly #source: ByteSource;

  constructor(source: ByteSource) {
    super(source);
    this.#source = source;
    this.size = source.size;
  }

  override readUint8Array(index: number, length: number): Promise<Uint8Array> {
    return this.#source.read(index, Math.max(0, Math.min(length, this.size - index)));
  }
}

/** The members of a zip archive. The source stays the caller's to close. */
export class Archive {
  readonly #source: ByteSource;
  readonly #entries: ReadonlyMap<string, FileEntry>;
  /** Where the data of the stored members begins, once known. */
  readonly #starts = new Map<string, number>();
  /** The members whose checksum is right. */
  readonly #verifiedMembers = new Set<string>();
  /** The last compressed member that was unpacked; views into the same one tend to be read in a row. */
  #unpacked: { name: string; bytes: Uint8Array<ArrayBuffer> } | undefined;

  private constructor(source: ByteSource, entries: ReadonlyMap<string, FileEntry>) {
    this.#source = source;
    this.#entries = entries;
  }

  /**
   * Reads the list of members.
   *
   * @throws {ModelFileError} If it is damaged, or a member cannot be as large as it says, or is encrypted.
   */
  static async open(source: ByteSource): Promise<Archive> {
    const { file } = source;
    const entries = new Map<string, FileEntry>();
    const options = { useWebWorkers: false, maxAppendedDataSize: MAX_APPENDED };
    const reader = new ZipReader(new SourceReader(source), options);
    for (const entry of await zipErrors(source, undefined, () => reader.getEntries())) {
      if (entry.directory) continue;
      const { filename: name, compressedSize, uncompressedSize, compressionMethod: method } = entry;
      if (entries.has(name)) {
        throw new ModelFileError("Cannot read two members of one name", { file, tensor: name });
      }
      if (entry.encrypted) {
        throw new ModelFileError("Cannot read an encrypted member", { file, tensor: name });
      }
      if (method !== STORED && method !== DEFLATED) {
        throw new ModelFileError("Cannot unpack the member", {
          file,
          tensor: name,
          expected: "no compression or deflate",
          found: `method ${method}`,
        });
      }
      const fits = entry.offset + LOCAL_HEADER.size + compressedSize <= source.size;
      const plausible = method === STORED
        ? uncompressedSize === compressedSize
        : uncompressedSize <= MAX_EXPANSION * compressedSize;
      if (!fits || !plausible) {
        throw new ModelFileError("Cannot read the member as its size is wrong", {
          file,
          tensor: name,
          found: `${uncompressedSize} bytes in ${compressedSize} at ${entry.offset} of ${source.size}`,
        });
      }
      entries.set(name, entry);
    }
    return new Archive(source, entries);
  }

  /** Names of the members, in the order of the archive's list. */
  names(): string[] {
    return [...this.#entries.keys()];
  }

  /** Bytes of a member when unpacked; `undefined` if there is none of this name. */
  sizeOf(name: string): number | undefined {
    return this.#entries.get(name)?.uncompressedSize;
  }

  /** CRC-32 of a member when unpacked, as the archive's list has it; `undefined` if there is none. */
  checksumOf(name: string): number | undefined {
    return this.#entries.get(name)?.crc32;
  }

  /**
   * Reads the bytes of a member from `begin` to before `end`, which must lie within it.
   *
   * The checksum is verified when the whole member is read, which is always so for compressed and for small
   * ones. An archive written without checksums (`torch.serialization.set_crc32_options(False)`) has zeros in
   * their place.
   *
   * @param part What error messages call the content; the member by default.
   * @throws {ModelFileError} If the member is damaged.
   */
  async read(
    name: string,
    begin: number,
    end: number,
    part: string = name,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.#entry(name);
    const size = entry.uncompressedSize;
    if (entry.compressionMethod === DEFLATED) {
      if (this.#unpacked?.name !== name) {
        this.#unpacked = undefined;
        this.#unpacked = { name, bytes: this.#verified(entry, await this.#inflate(entry, part), part) };
      }
      return this.#unpacked.bytes.slice(begin, end);
    }
    const start = await this.#start(entry);
    if (end - begin < size && size > SMALL_MEMBER) return await this.#source.read(start + begin, end - begin);
    const bytes = this.#verified(entry, await this.#source.read(start, size), part);
    return end - begin < size ? bytes.slice(begin, end) : bytes;
  }

  /**
   * Reads a member from its beginning to its end, a piece at a time, compressed or not, so that one larger
   * than memory can be gone through. Its checksum is verified at the end. A piece is overwritten by the next
   * one.
   *
   * @param part What error messages call the content; the member by default.
   * @throws {ModelFileError} If there is no such member, or it is damaged.
   */
  async *pieces(name: string, part: string = name): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const entry = this.#entry(name);
    const start = await this.#start(entry);
    const packed = piecesOf(this.#source, start, entry.compressedSize);
    const stored = entry.compressionMethod === STORED;
    let crc = 0;
    let done = 0;
    for await (const piece of stored ? packed : this.#inflated(packed, part)) {
      crc = crc32(piece, crc);
      done += piece.length;
      if (done > entry.uncompressedSize) break;
      yield piece;
    }
    if (done !== entry.uncompressedSize) {
      throw new ModelFileError("Cannot unpack a part of the file", {
        file: this.#source.file,
        tensor: part,
        expected: `${entry.uncompressedSize} bytes`,
        found: done > entry.uncompressedSize ? "more" : `${done}`,
      });
    }
    this.#verify(entry, crc, part);
  }

  /** What compressed pieces unpack to. */
  async *#inflated(
    packed: AsyncIterable<Uint8Array<ArrayBuffer>>,
    part: string,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const owned = async function* (): AsyncGenerator<Uint8Array<ArrayBuffer>> {
      // They share a buffer, and a stream asks for one more than it has passed on.
      for await (const piece of packed) yield piece.slice();
    };
    const stream = ReadableStream.from(owned()).pipeThrough(new DecompressionStream("deflate-raw"));
    try {
      yield* stream;
    } catch (error) {
      if (error instanceof ModelFileError || this.#source.signal?.aborted) throw error;
      throw new ModelFileError("Cannot unpack a part of the file", {
        file: this.#source.file,
        tensor: part,
        found: error instanceof Error ? error.message : String(error),
        cause: error,
      });
    }
  }

  /**
   * The bytes of a member from `begin` to before `end`, which must lie within it, where they are; `undefined`
   * if it is compressed. The checksum is verified where {@linkcode Archive.read} verifies it.
   *
   * @param part What error messages call the content.
   */
  stored(name: string, begin: number, end: number, part: string): StoredBytes | undefined {
    const entry = this.#entries.get(name);
    if (entry?.compressionMethod !== STORED) return undefined;
    const { uncompressedSize: size } = entry;
    const length = end - begin;
    const hasChecksum = (entry.crc32 ?? 0) !== 0 && (length === size || size <= SMALL_MEMBER);
    const check = async (): Promise<void> => {
      if (!hasChecksum || this.#verifiedMembers.has(name)) return;
      let crc = 0;
      for await (const piece of piecesOf(this.#source, await this.#start(entry), size)) {
        crc = crc32(piece, crc);
      }
      this.#verify(entry, crc, part);
    };
    /** How many bytes have been read in order, and their checksum. */
    let done = 0;
    let crc = 0;
    return {
      read: async (from, count, buffer) => {
        const bytes = await this.#source.read(await this.#start(entry) + begin + from, count, buffer);
        if (!hasChecksum) return bytes;
        if (length === size && (from === 0 || from === done)) {
          crc = crc32(bytes, from === 0 ? 0 : crc);
          done = from + count;
          if (done === size) this.#verify(entry, crc, part);
        } else await check();
        return bytes;
      },
      onDisk: async () => {
        const start = await this.#start(entry);
        const place = await this.#source.onDisk?.(start + begin, length);
        if (place !== undefined) await check();
        return place;
      },
    };
  }

  #entry(name: string): FileEntry {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return entry;
    throw new ModelFileError("Cannot find the member", { file: this.#source.file, tensor: name });
  }

  async #start(entry: FileEntry): Promise<number> {
    const known = this.#starts.get(entry.filename);
    if (known !== undefined) return known;
    const header = new DataView((await this.#source.read(entry.offset, LOCAL_HEADER.size)).buffer);
    if (header.getUint32(0, true) !== LOCAL_HEADER.signature) {
      throw new ModelFileError("Cannot find the member where the archive's list has it", {
        file: this.#source.file,
        tensor: entry.filename,
      });
    }
    const start = entry.offset + LOCAL_HEADER.size + header.getUint16(LOCAL_HEADER.nameLength, true) +
      header.getUint16(LOCAL_HEADER.extraLength, true);
    this.#starts.set(entry.filename, start);
    return start;
  }

  async #inflate(entry: FileEntry, part: string): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(entry.uncompressedSize);
    let done = 0;
    // zip.js compares the lengths itself; a chunk too many makes `set` throw before that.
    const sink = new WritableStream<Uint8Array>({
      write(chunk) {
        bytes.set(chunk, done);
        done += chunk.length;
      },
    });
    await zipErrors(this.#source, part, () => entry.getData(sink, { useWebWorkers: false }));
    return bytes;
  }

  #verified(entry: FileEntry, bytes: Uint8Array<ArrayBuffer>, part: string): Uint8Array<ArrayBuffer> {
    this.#verify(entry, crc32(bytes), part);
    return bytes;
  }

  #verify(entry: FileEntry, crc: number, part: string): void {
    const expected = entry.crc32 ?? 0;
    const found = expected === 0 ? 0 : crc;
    if (found === expected) {
      this.#verifiedMembers.add(entry.filename);
      return;
    }
    throw new ModelFileError("Cannot use a part of the file as its bytes have changed", {
      file: this.#source.file,
      tensor: part,
      expected: `checksum ${expected.toString(16).padStart(8, "0")}`,
      found: found.toString(16).padStart(8, "0"),
    });
  }
}

/**
 * Runs a step of zip.js; whatever it throws on a damaged archive becomes the cause of an own error. An abort
 * passes as it is.
 */
async function zipErrors<T>(
  source: ByteSource,
  member: string | undefined,
  step: () => Promise<T>,
): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof ModelFileError || source.signal?.aborted) {
      throw error;
    }
    const message = error instanceof Error ? error.message : String(error);
    throw new ModelFileError("Cannot read the zip archive", {
      file: source.file,
      ...(member === undefined ? {} : { tensor: member }),
      ...(message === ERR_EOCDR_NOT_FOUND
        ? { expected: "a list of what is in it at its end", found: "none: it may be cut off" }
        : { found: message }),
      cause: error,
    });
  }
}
