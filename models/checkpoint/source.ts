/**
 * Random access to the bytes of a model file, wherever it lies: on disk, in memory or on a web server. What
 * the bytes mean is left to the readers.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import { createHash } from "node:crypto";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ModelFileError } from "../model_file_error.ts";
import { systemReason } from "../system_reason.ts";
import { WebAnswer } from "./web_answer.ts";

/** Bytes that can be read from any place. Disposing it closes the file. */
export interface ByteSource extends Disposable {
  /** Path or address, as error messages give it. */
  readonly file: string;
  /** Bytes in all. */
  readonly size: number;
  /** Once aborted, every read throws its reason. */
  readonly signal: AbortSignal | undefined;
  /**
   * Reads `length` bytes from `offset` on.
   *
   * @param buffer Memory that may be used again for them; a source that has no use for it ignores it. Without
   * it they come in a buffer of their own.
   * @throws {ModelFileError} If the file has fewer bytes, or cannot be read.
   */
  read(
    offset: number,
    length: number,
    buffer?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Finds these bytes in a file on the disk, where they lie as they are, for who maps files into memory. They
   * have been checked then as far as they would have been by reading them. A source that is on no disk has no
   * such method.
   */
  onDisk?(offset: number, length: number): Promise<DiskPlace | undefined>;
}

/** Where bytes lie on the disk. */
export interface DiskPlace {
  /** Absolute path of a file, without links. */
  readonly path: string;
  /** First byte. */
  readonly offset: number;
}

/** Options of everything that opens a file. */
export interface OpenSourceOptions {
  /** Ends the opening and every later read. */
  signal?: AbortSignal | undefined;
  /** Milliseconds of silence after which a web server counts as gone; 10 s by default. */
  timeout?: number | undefined;
}

/** The size that a file must have, or may have at most. */
interface SourceSize {
  readonly bytes?: number;
  readonly most?: number;
}

/** The address that names a file, or `undefined` for a path. */
export function addressOf(place: string | URL): URL | undefined {
  if (place instanceof URL) return place;
  return /^(https?|file):\/\//i.test(place) ? new URL(place) : undefined;
}

/** Whether an address leads to a web server. */
export function isOnWeb({ protocol }: URL): boolean {
  return protocol === "http:" || protocol === "https:";
}

/** The place of a file in the same folder as another. */
export function placeBeside(place: string | URL, name: string): string | URL {
  const address = addressOf(place);
  return address === undefined
    ? join(dirname(String(place)), name)
    : new URL(encodeURIComponent(name), address);
}

/**
 * Whether there is a file at a path or an address. A server that refuses to say, as one does that lists
 * nothing, counts as having none.
 *
 * @throws {ModelFileError} If nobody answers, or the system refuses to tell.
 */
export async function isThere(
  place: string | URL,
  { signal, timeout }: OpenSourceOptions = {},
): Promise<boolean> {
  const address = addressOf(place);
  try {
    if (address === undefined || !isOnWeb(address)) {
      await Deno.stat(address ?? place);
      return true;
    }
    using answer = await WebAnswer.to(address, { headers: { range: "bytes=0-0" }, signal, timeout });
    const { status } = answer.response;
    // An empty file has no first byte.
    return status < 400 || status === 416 || status >= 500;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    const file = address === undefined ? String(place) : withoutQuery(address);
    throw readFailure(error, "Cannot look for a model file", file, signal);
  }
}

/**
 * Opens a path, a `file:`, `http:` or `https:` address, or bytes in memory.
 *
 * A web server is asked for ranges; where it answers with the whole file, the file is kept in memory, up to
 * 64 MiB if the server does not say how large it is. Of what is on the disk only regular files are opened: a
 * pipe or a device may have no end.
 *
 * @param options `label` is what error messages call the file, `bytes` the size that it must have, and `most`
 * the largest one that it may have.
 * @throws {TypeError} If the address is of another scheme.
 * @throws {ModelFileError} If the file cannot be opened, or has another size.
 *
 * @example
 * ```ts
 * import { openSource } from "./source.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using source = await openSource(new Uint8Array([1, 2, 3, 4]));
 * assertEquals(await source.read(1, 2), new Uint8Array([2, 3]));
 * ```
 */
export async function openSource(
  from: string | URL | Uint8Array,
  options: OpenSourceOptions & SourceSize & { label?: string } = {},
): Promise<ByteSource> {
  const source = await openAny(from, options);
  const { bytes, most = Infinity } = options;
  try {
    if (bytes !== undefined) requireSize(source.file, bytes, source.size);
    if (source.size > most) throw tooLarge(source.file, most, source.size);
    return source;
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

/**
 * Checks the size of a file.
 *
 * @param wanted Bytes that it must have.
 * @param found Bytes that it has, or a word for it.
 * @throws {ModelFileError} If that is another number.
 */
export function requireSize(file: string, wanted: number, found: number | "more"): void {
  if (found === wanted) return;
  throw new ModelFileError("Cannot use a file of the model as its size is wrong", {
    file,
    expected: `${wanted} bytes`,
    found: `${found}`,
  });
}

function tooLarge(file: string, most: number, found: number | "more"): ModelFileError {
  return new ModelFileError("Cannot use a file of the model as it is too large", {
    file,
    expected: `at most ${most} bytes`,
    found: `${found}`,
  });
}

async function openAny(
  from: string | URL | Uint8Array,
  options: OpenSourceOptions & SourceSize & { label?: string },
): Promise<ByteSource> {
  const { signal, label } = options;
  signal?.throwIfAborted();
  if (from instanceof Uint8Array) return new MemorySource(label ?? "bytes in memory", from, signal);
  const url = addressOf(from);
  if (url === undefined || url.protocol === "file:") {
    return await FileSource.open(url ?? from, signal, label);
  }
  if (!isOnWeb(url)) {
    throw new TypeError(mustBe("http, https or file", url.protocol, "its address", "open the model file"));
  }
  return await openWeb(url, options);
}

/**
 * Read at once by {@linkcode piecesOf}. From 1 MiB on a piece of a file costs nothing but its bytes, but on a
 * web server it is a request.
 */
const PIECE_BYTES = 1 << 22;

/**
 * Reads a stretch of a source from its beginning to its end, a piece at a time. All pieces share one buffer,
 * as fresh pages take longer than the bytes: 0.37 against 0.12 s of 1 GB; it is given back at the end.
 *
 * @param begin The first byte.
 * @param length How many.
 */
export async function* piecesOf(
  source: ByteSource,
  begin: number = 0,
  length: number = source.size,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(Math.min(PIECE_BYTES, length));
  try {
    for (let done = 0; done < length; done += PIECE_BYTES) {
      yield await source.read(begin + done, Math.min(PIECE_BYTES, length - done), buffer);
    }
  } finally {
    buffer.buffer.transfer(0);
  }
}

/** SHA-256 of bytes in hexadecimal. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Bytes up to which a source is hashed as a whole, by another thread. */
const HASHED_BYTES = 1 << 25;

/** SHA-256 of a source in hexadecimal, with at most 32 MiB of it in memory. */
export async function sourceSha256(source: ByteSource): Promise<string> {
  // Web Crypto hashes whole buffers only, and a model may be larger than memory.
  if (source.size <= HASHED_BYTES) return await sha256(await source.read(0, source.size));
  const hash = createHash("sha256");
  for await (const piece of piecesOf(source)) hash.update(piece);
  return hash.digest("hex");
}

/**
 * Makes what finds out the SHA-256 of a file on the disk when somebody asks, 0.6 s per GB. Whoever reads the
 * file meanwhile can be sure that it is the same one, as far as its size and times tell.
 *
 * @returns The checksum in hexadecimal; throws a {@linkcode ModelFileError} if the file has changed or cannot
 * be read.
 */
export async function sha256Later(path: string | URL): Promise<() => string> {
  const file = path.toString();
  const place = path instanceof URL ? path : resolve(path);
  const first = stampOf(await Deno.stat(place));
  return () => {
    try {
      using handle = Deno.openSync(place, { read: true });
      const hash = createHash("sha256");
      const buffer = new Uint8Array(PIECE_BYTES);
      for (let count: number | null; (count = handle.readSync(buffer)) !== null;) {
        hash.update(buffer.subarray(0, count));
      }
      if (stampOf(handle.statSync()) === first) return hash.digest("hex");
    } catch (error) {
      throw readFailure(error, "Cannot find out the SHA-256 of the file", file, undefined);
    }
    throw new ModelFileError(
      "Cannot find out the SHA-256 of the file as it has changed since it was opened",
      { file },
    );
  };
}

function stampOf({ size, mtime, ino, dev }: Deno.FileInfo): string {
  return [size, mtime?.getTime(), ino, dev].join();
}

/** What every source has in common: the bounds and the signal are checked before anything is allocated. */
export abstract class Source implements ByteSource {
  /** What error messages call it. */
  readonly file: string;
  /** Bytes in all. */
  readonly size: number;
  /** Ends every read. */
  readonly signal: AbortSignal | undefined;

  /** A source of `size` bytes that error messages call `file`. */
  constructor(file: string, size: number, signal: AbortSignal | undefined) {
    this.file = file;
    this.size = size;
    this.signal = signal;
  }

  /** Reads `length` bytes from `offset` on. */
  async read(
    offset: number,
    length: number,
    buffer?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    this.signal?.throwIfAborted();
    const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
    if (!valid || offset + length > this.size) {
      throw new ModelFileError("Cannot read past the end of the file", {
        file: this.file,
        expected: `${length} bytes at ${offset}`,
        found: `${this.size} bytes in all`,
      });
    }
    try {
      return await this.load(offset, length, buffer);
    } catch (error) {
      throw readFailure(error, "Cannot read the file", this.file, this.signal);
    }
  }

  /** Reads a range that is known to lie within the file, into the buffer if that is of any use. */
  protected abstract load(
    offset: number,
    length: number,
    buffer?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>>;

  /** Closes the file, where there is one. */
  [Symbol.dispose](): void {}
}

class MemorySource extends Source {
  readonly #bytes: Uint8Array;

  constructor(file: string, bytes: Uint8Array, signal: AbortSignal | undefined) {
    super(file, bytes.length, signal);
    this.#bytes = bytes;
  }

  protected override load(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return Promise.resolve(new Uint8Array(this.#bytes.subarray(offset, offset + length)));
  }
}

/** So many bytes of a file are read before a thread that reads them would have begun. */
const BYTES_AT_ONCE = 1 << 20;
/**
 * So many are where all of a file are asked for, 0.3 ms for each 2^20: where all cores compute, a thread gets
 * its turn 10 ms later.
 */
const FILE_AT_ONCE = 1 << 25;
/** A read that takes longer, from a distant disk say, is the last for which everything else stands still. */
const SLOW_MILLISECONDS = 20;

class FileSource extends Source {
  readonly #handle: Deno.FsFile;
  readonly #path: string;
  #slow = false;
  // A file has one position, so a seek and its read must not mix with another's.
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    { handle, path, size }: { readonly handle: Deno.FsFile; readonly path: string; readonly size: number },
    file: string,
    signal: AbortSignal | undefined,
  ) {
    super(file, size, signal);
    this.#handle = handle;
    this.#path = path;
  }

  static async open(
    path: string | URL,
    signal: AbortSignal | undefined,
    file: string = path.toString(),
  ): Promise<FileSource> {
    let handle: Deno.FsFile | undefined;
    try {
      // Opening a pipe would wait for somebody to write into it.
      requireRegular(await Deno.stat(path), file);
      handle = await Deno.open(path, { read: true });
      const { size } = requireRegular(await handle.stat(), file);
      const absolute = path instanceof URL ? fileURLToPath(path) : resolve(path);
      return new FileSource({ handle, path: absolute, size }, file, signal);
    } catch (error) {
      handle?.close();
      throw readFailure(error, "Cannot open the model file", file, signal);
    }
  }

  protected override load(
    offset: number,
    length: number,
    buffer: Uint8Array<ArrayBuffer> = new Uint8Array(length),
  ): Promise<Uint8Array<ArrayBuffer>> {
    const turn = this.#last.then(() => this.#readAt(offset, buffer.subarray(0, length)));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #readAt(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const { length } = bytes;
    const handle = this.#handle;
    const few = length <= (length === this.size ? FILE_AT_ONCE : BYTES_AT_ONCE);
    if (few && !this.#slow) handle.seekSync(offset, Deno.SeekMode.Start);
    else await handle.seek(offset, Deno.SeekMode.Start);
    for (let done = 0; done < length;) {
      this.signal?.throwIfAborted();
      const count = few && !this.#slow
        ? this.#readAtOnce(bytes.subarray(done, done + BYTES_AT_ONCE))
        : await handle.read(bytes.subarray(done));
      if (count === null) {
        throw new ModelFileError("Cannot read the file as it has become shorter", { file: this.file });
      }
      done += count;
    }
    return bytes;
  }

  #readAtOnce(piece: Uint8Array<ArrayBuffer>): number | null {
    const start = performance.now();
    const count = this.#handle.readSync(piece);
    this.#slow ||= performance.now() - start > SLOW_MILLISECONDS;
    return count;
  }

  onDisk(offset: number): Promise<DiskPlace | undefined> {
    // Asked for each of a hundred weights and more, for which a thread each time takes 20 ms together.
    try {
      const path = Deno.realPathSync(this.#path);
      const [there, own] = [Deno.statSync(path), this.#handle.statSync()];
      // Another file may have taken its place; this one is still open, and can be read.
      const same = there.ino === own.ino && there.dev === own.dev && own.size === this.size;
      return Promise.resolve(same ? { path, offset } : undefined);
    } catch {
      return Promise.resolve(undefined);
    }
  }

  override [Symbol.dispose](): void {
    this.#handle[Symbol.dispose]();
  }
}

function requireRegular(info: Deno.FileInfo, file: string): Deno.FileInfo {
  if (info.isFile) return info;
  const found = info.isDirectory
    ? "a folder"
    : info.isFifo
    ? "a pipe"
    : info.isCharDevice || info.isBlockDevice
    ? "a device"
    : "something else";
  throw new ModelFileError("Cannot open the model file", { file, expected: "a regular file", found });
}

/** Fewer bytes than this are not worth a request of their own: neighbours are fetched along and kept. */
const BLOCK_BYTES = 1 << 16;

class WebSource extends Source {
  readonly #url: URL;
  readonly #tag: string | null;
  readonly #options: OpenSourceOptions;
  #block: { offset: number; bytes: Uint8Array };

  constructor(
    url: URL,
    file: string,
    first: Uint8Array,
    size: number,
    tag: string | null,
    options: OpenSourceOptions,
  ) {
    super(file, size, options.signal);
    this.#url = url;
    this.#block = { offset: 0, bytes: first };
    this.#tag = tag;
    this.#options = options;
  }

  protected override async load(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const kept = this.#block;
    if (offset >= kept.offset && offset + length <= kept.offset + kept.bytes.length) {
      return new Uint8Array(kept.bytes.subarray(offset - kept.offset, offset - kept.offset + length));
    }
    const wanted = Math.min(Math.max(length, BLOCK_BYTES), this.size - offset);
    using answer = await requestRange(this.#url, { offset, length: wanted, tag: this.#tag }, this.#options);
    const { response } = answer;
    const range = contentRange(response);
    if (response.status !== 206 || range?.offset !== offset || range.size !== this.size) {
      throw new ModelFileError("Cannot read a part of the file", {
        file: this.file,
        expected: `status 206 with bytes ${offset}-${offset + wanted - 1}/${this.size}`,
        found: `status ${response.status} with ${response.headers.get("content-range") ?? "no range"}`,
      });
    }
    const bytes = await bodyOf(answer, wanted, this.file);
    if (wanted > BLOCK_BYTES) return bytes;
    this.#block = { offset, bytes };
    return bytes.slice(0, length);
  }
}

/** Bytes of a whole file that is kept in memory though nobody has said how large it is. */
const UNTOLD_BYTES = 1 << 26;

async function openWeb(
  url: URL,
  options: OpenSourceOptions & SourceSize & { label?: string },
): Promise<Source> {
  const { signal, label: file = withoutQuery(url) } = options;
  try {
    using answer = await requestRange(url, { offset: 0, length: BLOCK_BYTES }, options);
    const { response } = answer;
    if (response.status === 200) {
      return new MemorySource(file, await wholeBody(answer, file, options), signal);
    }
    const range = contentRange(response);
    if (response.status !== 206 || range?.offset !== 0) {
      throw new ModelFileError("Cannot open the model file", {
        file,
        expected: "status 200 or 206",
        found: `status ${response.status}`,
      });
    }
    const first = await bodyOf(answer, Math.min(BLOCK_BYTES, range.size), file);
    // A weak tag does not promise equal bytes, so it must not be sent with If-Range (RFC 9110, section
    // 13.1.5).
    const tag = response.headers.get("etag");
    return new WebSource(url, file, first, range.size, tag?.startsWith('"') ? tag : null, options);
  } catch (error) {
    throw readFailure(error, "Cannot open the model file", file, signal);
  }
}

/** A file that has come though a part was asked for. */
async function wholeBody(
  answer: WebAnswer,
  file: string,
  { bytes: wanted, most }: SourceSize,
): Promise<Uint8Array<ArrayBuffer>> {
  const body = await answer.body(wanted ?? most ?? answer.told ?? UNTOLD_BYTES);
  if (body !== undefined) return body;
  if (wanted !== undefined) requireSize(file, wanted, answer.told ?? "more");
  if (most !== undefined) throw tooLarge(file, most, answer.told ?? "more");
  throw new ModelFileError("Cannot open the model file", {
    file,
    expected: "a server that sends parts of it, or says how large it is",
    found: `more than ${answer.told ?? UNTOLD_BYTES} bytes`,
  });
}

function requestRange(
  url: URL,
  { offset, length, tag = null }: {
    readonly offset: number;
    readonly length: number;
    readonly tag?: string | null;
  },
  { signal, timeout }: OpenSourceOptions,
): Promise<WebAnswer> {
  const headers = new Headers({
    range: `bytes=${offset}-${offset + length - 1}`,
    "accept-encoding": "identity",
  });
  if (tag !== null) headers.set("if-range", tag);
  return WebAnswer.to(url, { headers, signal, timeout });
}

/** First byte and size of the whole file, of an answer to a range request. */
function contentRange(response: Response): { offset: number; size: number } | undefined {
  const match = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
  return match === null ? undefined : { offset: Number(match[1]), size: Number(match[2]) };
}

async function bodyOf(answer: WebAnswer, length: number, file: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await answer.body(length);
  if (bytes?.length === length) return bytes;
  throw new ModelFileError("Cannot read a part of the file", {
    file,
    expected: `${length} bytes`,
    found: bytes === undefined ? "more" : `${bytes.length} bytes`,
  });
}

/** Signed addresses carry secrets in their query, which have no place in messages. */
function withoutQuery(url: URL): string {
  return url.origin + url.pathname;
}

/**
 * The error to throw for a failed access: an own one and an abort as they are, anything else as the cause of
 * an own one.
 */
function readFailure(error: unknown, action: string, file: string, signal: AbortSignal | undefined): unknown {
  if (error instanceof ModelFileError || signal?.aborted) return error;
  return new ModelFileError(action, {
    file,
    found: systemReason(error),
    cause: error,
  });
}
