/**
 * Reader and writer of safetensors files: a JSON header of names, types, shapes and offsets, then the bytes.
 *
 * Format: https://github.com/huggingface/safetensors#format
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import { ModelFileError } from "../model_file_error.ts";
import type { ByteSource } from "./source.ts";
import {
  byteLength,
  type Checkpoint,
  type DType,
  isDType,
  readAsFloat32,
  type StoredBytes,
  storedIn,
  type TensorInfo,
} from "./tensor.ts";

/** The limit of the format itself. */
const MAX_HEADER_BYTES = 100_000_000;

/** Where the data begin, and how far the writer aligns each tensor. */
const ALIGNMENT = 64;

/** Key of the header that holds no tensor. */
const METADATA_KEY = "__metadata__";

/** Types that PyTorch has and the format has not. */
const FOREIGN: ReadonlySet<DType> = new Set(["C128", "C32"]);

interface Place {
  readonly info: TensorInfo;
  readonly begin: number;
  readonly end: number;
}

/**
 * Opens a safetensors file. The result owns the source.
 *
 * @throws {ModelFileError} If the header is damaged, or does not account for every byte of the file exactly
 * once.
 */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsCheckpoint> {
  const { file, size } = source;
  if (size < 8) {
    throw new ModelFileError("Cannot read the header", { file, expected: "8 bytes", found: `${size}` });
  }
  const length = new DataView((await source.read(0, 8)).buffer).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES || length > size - 8) {
    throw new ModelFileError("Cannot read the header", {
      file,
      expected: `at most ${Math.min(MAX_HEADER_BYTES, size - 8)} bytes`,
      found: `${length}`,
    });
  }
  const header = parseHeader(await source.read(8, Number(length)), file);
  const start = 8 + Number(length);
  const places = readPlaces(header, file);
  checkCoverage(places, size - start, file);
  return new SafetensorsCheckpoint(source, start, places, readMetadata(header[METADATA_KEY], file));
}

function parseHeader(bytes: Uint8Array, file: string): Record<string, unknown> {
  let header: unknown;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
    refuseDuplicates(text, file);
  } catch (error) {
    if (error instanceof ModelFileError) throw error;
    throw new ModelFileError("Cannot read the header", {
      file,
      expected: "JSON",
      found: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
  if (isRecord(header)) return header;
  throw new ModelFileError("Cannot read the header", {
    file,
    expected: "a JSON object",
    found: "another value",
  });
}

/**
 * `JSON.parse` keeps the last of equal keys and drops the others, so the text, known to be valid, is gone
 * through for its keys.
 */
function refuseDuplicates(text: string, file: string): void {
  const open: (Set<string> | undefined)[] = [];
  let last = "";
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:]/g)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(undefined);
    else if (token === "}" || token === "]") open.pop();
    else if (token !== ":") last = token;
    else {
      const key: string = JSON.parse(last);
      const keys = open.at(-1);
      if (keys?.has(key)) {
        throw new ModelFileError("Cannot read the header as it has a key twice", { file, tensor: key });
      }
      keys?.add(key);
    }
  }
}

function readPlaces(header: Record<string, unknown>, file: string): Place[] {
  const places: Place[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === METADATA_KEY) continue;
    const refuse = (expected: string, value: unknown): never => {
      const found = `${JSON.stringify(value)}`.slice(0, 80);
      throw new ModelFileError("Cannot read the header", { file, tensor: name, expected, found });
    };
    if (!isRecord(entry)) return refuse("an object", entry);
    const { dtype, shape, data_offsets: offsets } = entry;
    if (!isStorable(dtype)) return refuse("a known dtype", dtype);
    if (!isCounts(shape)) return refuse("a shape of integers >= 0", shape);
    if (!isCounts(offsets) || offsets.length !== 2) return refuse("two data_offsets", offsets);
    const [begin, end] = offsets as [number, number];
    const info: TensorInfo = { name, dtype, shape };
    if (end - begin !== byteLength(info)) {
      return refuse(`${byteLength(info)} bytes for ${dtype} [${shape}]`, end - begin);
    }
    places.push({ info, begin, end });
  }
  return places.sort((a, b) => a.begin - b.begin || a.end - b.end);
}

/** The format allows neither gaps nor overlaps, so that a file can be nothing else besides. */
function checkCoverage(places: readonly Place[], size: number, file: string): void {
  let expected = 0;
  for (const { info, begin, end } of places) {
    if (begin !== expected) {
      throw new ModelFileError("Cannot read the header as the tensors do not follow each other", {
        file,
        tensor: info.name,
        expected: `offset ${expected}`,
        found: `${begin}`,
      });
    }
    expected = end;
  }
  if (expected === size) return;
  throw new ModelFileError("Cannot read the file as its size does not fit its header", {
    file,
    expected: `${expected} bytes of data`,
    found: `${size}`,
  });
}

function readMetadata(value: unknown, file: string): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (isRecord(value) && Object.values(value).every((item) => typeof item === "string")) {
    return value as Record<string, string>;
  }
  throw new ModelFileError("Cannot read the header", {
    file,
    tensor: METADATA_KEY,
    expected: "an object of strings",
    found: `${JSON.stringify(value)}`.slice(0, 80),
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStorable(name: unknown): name is DType {
  return isDType(name) && !FOREIGN.has(name);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

/** An open safetensors file, which also knows where its tensors lie. */
export class SafetensorsCheckpoint implements Checkpoint {
  readonly file: string;
  readonly format = "safetensors";
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #source: ByteSource;
  readonly #places: ReadonlyMap<string, Place>;
  readonly #start: number;

  /** Made by {@linkcode openSafetensors}. */
  constructor(
    source: ByteSource,
    start: number,
    places: readonly Place[],
    metadata: Readonly<Record<string, string>>,
  ) {
    this.file = source.file;
    this.metadata = metadata;
    this.tensors = new Map(places.map(({ info }) => [info.name, info]));
    this.#source = source;
    this.#start = start;
    this.#places = new Map(places.map((place) => [place.info.name, place]));
  }

  /**
   * First byte of a tensor in the file, and number of bytes.
   *
   * @throws {ModelFileError} If there is no such tensor.
   */
  locate(name: string): { offset: number; length: number } {
    const place = this.#places.get(name);
    if (place === undefined) {
      throw new ModelFileError("Cannot find the tensor", { file: this.file, tensor: name });
    }
    return { offset: this.#start + place.begin, length: place.end - place.begin };
  }

  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const { offset, length } = this.locate(name);
    return await this.#source.read(offset, length);
  }

  /**
   * Some of the bytes of a tensor.
   *
   * @param begin The first of them.
   * @param length How many.
   * @throws {ModelFileError} If there is no such tensor, or it ends before.
   */
  async readPart(name: string, begin: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const place = this.locate(name);
    if (begin + length <= place.length) return await this.#source.read(place.offset + begin, length);
    throw new ModelFileError("Cannot read past the end of a tensor", {
      file: this.file,
      tensor: name,
      expected: `${length} bytes at ${begin}`,
      found: `${place.length} bytes in all`,
    });
  }

  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>> {
    return readAsFloat32(this, name);
  }

  stored(name: string): StoredBytes {
    const { offset, length } = this.locate(name);
    return storedIn(this.#source, offset, length);
  }

  [Symbol.dispose](): void {
    this.#source[Symbol.dispose]();
  }
}

/** One tensor to write; its bytes are asked for when their turn comes. */
export interface SafetensorsEntry extends TensorInfo {
  /** Supplies the bytes, little-endian and row-major. */
  bytes(): Uint8Array | Promise<Uint8Array>;
  /** The same bytes, if they lie in a file already. */
  readonly stored?: StoredBytes | undefined;
}

/** Options of {@linkcode writeSafetensors}. */
export interface WriteSafetensorsOptions {
  /** Facts beside the tensors. */
  metadata?: Readonly<Record<string, string>>;
  /** Ends the writing; nothing is left behind. */
  signal?: AbortSignal | undefined;
}

/**
 * Writes a safetensors file, one tensor in memory at a time.
 *
 * The format allows no gaps, so tensors cannot be padded. Instead they are written in descending order of the
 * power of two that divides their length (otherwise in the given order): the data begin at a multiple of 64
 * bytes, every tensor of 64·n bytes lies at one, and every other tensor at least at a multiple of its
 * element.
 *
 * A file is written beside its place under a temporary name and then renamed, so a failure leaves no half
 * file. A stream is closed at the end and aborted on failure.
 *
 * @throws {TypeError} If two tensors have one name, a name is reserved, a type is not one of the format, a
 * shape is not of integers >= 0 or not of whole bytes, or bytes of another length than the shape needs are
 * supplied, or metadata are not strings.
 *
 * @example
 * ```ts
 * import { openCheckpoint, writeSafetensors } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
 * const file = new Response(readable).bytes();
 * const bytes = () => new Uint8Array(new Float32Array([1, 2, 3]).buffer);
 * await writeSafetensors(writable, [{ name: "a", dtype: "F32", shape: [3], bytes }], {
 *   metadata: { epoch: "4" },
 * });
 *
 * using checkpoint = await openCheckpoint(await file);
 * assertEquals(await checkpoint.readFloat32("a"), new Float32Array([1, 2, 3]));
 * assertEquals(checkpoint.metadata, { epoch: "4" });
 * ```
 */
export async function writeSafetensors(
  target: string | URL | WritableStream<Uint8Array>,
  entries: Iterable<SafetensorsEntry>,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  const { metadata, signal } = options;
  const layout = layoutSafetensors(entries, metadata);
  if (target instanceof WritableStream) return await writeAll(target, layout, signal);
  const place = target instanceof URL ? target.href : target;
  const temporary = `${place}.${crypto.randomUUID()}.tmp`;
  const path = target instanceof URL ? new URL(temporary) : temporary;
  const handle = await Deno.open(path, { write: true, createNew: true });
  try {
    // Closing and aborting the stream both close the file.
    await writeAll(handle.writable, layout, signal);
    await Deno.rename(path, target);
  } catch (error) {
    await Deno.remove(path);
    throw error;
  }
}

async function writeAll(
  target: WritableStream<Uint8Array>,
  layout: SafetensorsLayout<SafetensorsEntry>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const writer = target.getWriter();
  try {
    signal?.throwIfAborted();
    await writer.write(layout.header);
    for (const { entry } of layout.places) {
      const bytes = await entryBytes(entry);
      signal?.throwIfAborted();
      await writer.write(bytes);
    }
    await writer.close();
  } catch (error) {
    await writer.abort(error).catch(() => {});
    throw error;
  }
}

/**
 * The bytes that an entry supplies.
 *
 * @throws {TypeError} If they are not as many as its shape needs.
 */
export async function entryBytes(entry: SafetensorsEntry): Promise<Uint8Array> {
  const bytes = await entry.bytes();
  if (bytes.length === byteLength(entry)) return bytes;
  throw new TypeError(
    `Cannot write ${entry.name} as ${entry.dtype} [${entry.shape}] needs ${
      byteLength(entry)
    } bytes: current length is ${bytes.length}`,
  );
}

/** Where everything lies in a file that is still to be written. */
export interface SafetensorsLayout<Entry extends TensorInfo> {
  /** The beginning of the file, up to the first tensor. */
  readonly header: Uint8Array<ArrayBuffer>;
  /** The tensors in the order of the file, each with its first byte. */
  readonly places: readonly { readonly entry: Entry; readonly offset: number }[];
  /** Bytes of the whole file. */
  readonly size: number;
}

/**
 * Lays a file out, as {@linkcode writeSafetensors} writes it.
 *
 * @throws {TypeError} If two tensors have one name, a name is reserved, a type is not one of the format, a
 * shape is not of integers >= 0 or not of whole bytes, or metadata are not strings.
 */
export function layoutSafetensors<Entry extends TensorInfo>(
  entries: Iterable<Entry>,
  metadata?: Readonly<Record<string, string>>,
): SafetensorsLayout<Entry> {
  for (const [key, value] of Object.entries(metadata ?? {})) {
    if (typeof value !== "string") {
      throw new TypeError(mustBe("a text", value, key, "write the metadata"));
    }
  }
  const ordered = order([...entries]);
  const header = encodeHeader(ordered, metadata);
  let size = header.length;
  const places = ordered.map((entry) => {
    const offset = size;
    size += byteLength(entry);
    return { entry, offset };
  });
  return { header, places, size };
}

function order<Entry extends TensorInfo>(entries: Entry[]): Entry[] {
  const names = new Set<string>();
  for (const { name, dtype, shape } of entries) {
    if (name === METADATA_KEY || names.has(name)) {
      throw new TypeError(mustBe("new and not reserved", name, "its name", "write a tensor"));
    }
    if (!isStorable(dtype)) {
      throw new TypeError(mustBe("known", dtype, "its dtype", `write ${name}`));
    }
    if (!isCounts(shape)) {
      throw new TypeError(mustBe("integers >= 0", shape, "its shape", `write ${name}`));
    }
    if (byteLength({ dtype, shape }) % 1 !== 0) {
      throw new TypeError(mustBe(`one of whole bytes in ${dtype}`, shape, "its shape", `write ${name}`));
    }
    names.add(name);
  }
  // 0 is divisible by anything: an empty tensor fits everywhere.
  const grain = (entry: TensorInfo): number => greatestPower(byteLength(entry) % ALIGNMENT || ALIGNMENT);
  return entries.sort((a, b) => grain(b) - grain(a));
}

/** The greatest power of two that divides a positive integer below 2^31. */
function greatestPower(value: number): number {
  return value & -value;
}

function encodeHeader(
  entries: readonly TensorInfo[],
  metadata: Readonly<Record<string, string>> | undefined,
): Uint8Array<ArrayBuffer> {
  let end = 0;
  // Built from pairs, so that a tensor may have any name.
  const header = new Map<
    string,
    { dtype: DType; shape: readonly number[]; data_offsets: [number, number] }
  >();
  for (const entry of entries) {
    const { name, dtype, shape } = entry;
    const begin = end;
    end += byteLength(entry);
    header.set(name, { dtype, shape, data_offsets: [begin, end] });
  }
  const members = Object.fromEntries<unknown>([
    ...(metadata === undefined ? [] : [[METADATA_KEY, metadata] as const]),
    ...header,
  ]);
  const json = new TextEncoder().encode(JSON.stringify(members));
  const length = Math.ceil((8 + json.length) / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length - 8), true);
  bytes.set(json, 8);
  return bytes;
}
