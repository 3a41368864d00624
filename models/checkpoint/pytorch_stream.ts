/**
 * Reader of the files of PyTorch before 1.6, which `torch.save` still writes on demand: five pickles in a row
 * (a magic number, a version, facts about the machine, the value, the keys of the storages), then the
 * storages in the order of the keys, each after its number of elements. It runs nothing of the file. What the
 * pickles mean is left to `pytorch_tensors.ts`.
 *
 * Storages are little-endian, whatever the facts say of the machine; `torch.load` ignores them, too. The
 * format has no checksums.
 *
 * @module
 */

import { ModelFileError } from "../model_file_error.ts";
import { CutPickleError, nameOfValue, PickleError, quote, unpickleFrom } from "./pickle.ts";
import {
  elementBytes,
  MAX_PICKLE_BYTES,
  parseStorageId,
  PyTorchCheckpoint,
  Storage,
  type StorageId,
  torchGlobals,
} from "./pytorch_tensors.ts";
import type { ByteSource } from "./source.ts";
import { type Checkpoint, type StoredBytes, storedIn } from "./tensor.ts";

const MAGIC_NUMBER = 0x1950a86a20f9469cfc6cn;
const PROTOCOL_VERSION = 1001;

/** The magic number as every binary protocol pickles it, with the end of its pickle. */
const MAGIC_BYTES = "\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/** How far from the start it may lie: from protocol 4 on, a frame precedes it. */
const MAX_MAGIC_OFFSET = 11;

/** Where the pickles end is not known beforehand: this much is read at first, then four times as much. */
const FIRST_BYTES = 1 << 16;

/** The number of elements before each storage. */
const COUNT_BYTES = 8;

/** Whether a file that begins like this, one character per byte, is of this format. */
export function isPyTorchStream(head: string): boolean {
  return head.startsWith("\x80") &&
    head.slice(0, MAX_MAGIC_OFFSET + MAGIC_BYTES.length).includes(MAGIC_BYTES);
}

/**
 * Opens a file of PyTorch before 1.6. The result owns the source.
 *
 * @throws {ModelFileError} If the file is damaged or cut off, or its pickles name what is neither a tensor
 * nor harmless.
 */
export async function openPyTorchStream(source: ByteSource): Promise<Checkpoint> {
  const { file } = source;
  try {
    const { value, storages, keys, end } = await readPickles(source);
    storages.place(keys, end);
    return new PyTorchCheckpoint(source, value);
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    const { expected, found } = error;
    throw new ModelFileError("Cannot read the pickle", { file, expected, found, cause: error });
  }
}

interface Pickles {
  readonly value: unknown;
  readonly storages: Storages;
  readonly keys: unknown;
  /** Where the storages begin. */
  readonly end: number;
}

async function readPickles(source: ByteSource): Promise<Pickles> {
  for (let length = FIRST_BYTES;; length *= 4) {
    const bytes = await source.read(0, Math.min(length, source.size));
    try {
      return parsePickles(bytes, source);
    } catch (error) {
      if (!(error instanceof CutPickleError) || bytes.length === source.size) throw error;
      if (length < MAX_PICKLE_BYTES) continue;
      throw new PickleError(`pickles of at most ${MAX_PICKLE_BYTES} bytes`, "more");
    }
  }
}

function parsePickles(bytes: Uint8Array, source: ByteSource): Pickles {
  let end = 0;
  const next = (options?: Parameters<typeof unpickleFrom>[2]): unknown => {
    const pickle = unpickleFrom(bytes, end, options);
    end = pickle.end;
    return pickle.value;
  };
  const magic = next();
  if (magic !== MAGIC_NUMBER) throw new PickleError("the magic number of PyTorch", nameOfValue(magic));
  const version = next();
  if (version !== PROTOCOL_VERSION) {
    throw new PickleError(`version ${PROTOCOL_VERSION} of the format`, nameOfValue(version));
  }
  next();
  const storages = new Storages(source);
  const value = next({
    globals: torchGlobals(),
    persistent: (id) => storages.find(parseStorageId(id)),
  });
  const keys = next();
  return { value, storages, keys, end };
}

/** The storages that the value names, which the keys behind it give their places. */
class Storages {
  readonly #source: ByteSource;
  readonly #roots = new Map<string, StreamStorage>();

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** The storage of this id, the same one for the same key. */
  find(id: StorageId): Storage {
    let root = this.#roots.get(id.key);
    if (root === undefined) {
      root = new StreamStorage(this.#source, id);
      this.#roots.set(id.key, root);
    } else if (root.dtype !== id.dtype || root.bytes !== id.bytes) {
      throw new PickleError(
        `${root.bytes} bytes of ${root.dtype} in storage ${quote(id.key)}`,
        `${id.bytes} of ${id.dtype}`,
      );
    }
    return id.part === undefined ? root : new StoragePart(root, id.part);
  }

  /** Places the storages in the order of the keys, the first one at `begin`. */
  place(keys: unknown, begin: number): void {
    if (!Array.isArray(keys)) throw new PickleError("a list of the keys of storages", nameOfValue(keys));
    let end = begin;
    for (const key of keys) {
      const root = this.#roots.get(key);
      if (root === undefined) throw new PickleError("the key of a storage", nameOfValue(key));
      if (!root.place(end)) throw new PickleError("every key once", `${quote(key)} again`);
      end += COUNT_BYTES + root.bytes;
    }
    if (keys.length < this.#roots.size) {
      throw new PickleError(`the keys of ${this.#roots.size} storages`, `${keys.length}`);
    }
    if (end <= this.#source.size) return;
    throw new ModelFileError("Cannot read the file as it is cut off", {
      file: this.#source.file,
      expected: `${end} bytes`,
      found: `${this.#source.size}`,
    });
  }
}

/** A storage of the file. */
class StreamStorage extends Storage {
  readonly #source: ByteSource;
  readonly #key: string;
  #begin: number | undefined;
  #counted = false;

  constructor(source: ByteSource, { dtype, bytes, key }: StorageId) {
    super(dtype, bytes);
    this.#source = source;
    this.#key = key;
  }

  /** Says where it begins, with its number of elements; false if it has a place already. */
  place(begin: number): boolean {
    if (this.#begin !== undefined) return false;
    this.#begin = begin;
    return true;
  }

  override async read(begin: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.#counted) await this.#checkCount();
    const start = this.#begin! + COUNT_BYTES;
    return await this.#source.read(start + begin, end - begin);
  }

  override stored(begin: number, end: number): StoredBytes {
    const { read, onDisk } = storedIn(this.#source, this.#begin! + COUNT_BYTES + begin, end - begin);
    const counted = async <Result>(get: () => Promise<Result>): Promise<Result> => {
      if (!this.#counted) await this.#checkCount();
      return await get();
    };
    return { read: (...range) => counted(() => read(...range)), onDisk: () => counted(onDisk) };
  }

  /** All places rest on the sizes that the pickle names; where one is wrong, so is the number found here. */
  async #checkCount(): Promise<void> {
    const expected = BigInt(this.bytes / elementBytes(this.dtype));
    const found = new DataView((await this.#source.read(this.#begin!, COUNT_BYTES)).buffer).getBigInt64(
      0,
      true,
    );
    if (found !== expected) {
      throw new ModelFileError("Cannot read a storage as its size is wrong", {
        file: this.#source.file,
        tensor: `storage ${quote(this.#key)}`,
        expected: `${expected} elements`,
        found: `${found}`,
      });
    }
    this.#counted = true;
  }
}

/** A storage within another one, as the oldest files may have it. */
class StoragePart extends Storage {
  readonly #root: Storage;
  readonly #begin: number;

  constructor(root: Storage, { begin, bytes }: { readonly begin: number; readonly bytes: number }) {
    super(root.dtype, bytes);
    if (begin + bytes > root.bytes) {
      throw new PickleError(`a part of a storage of ${root.bytes} bytes`, `${bytes} bytes at ${begin}`);
    }
    this.#root = root;
    this.#begin = begin;
  }

  override read(begin: number, end: number, tensor: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.#root.read(this.#begin + begin, this.#begin + end, tensor);
  }

  override stored(begin: number, end: number, tensor: string): StoredBytes | undefined {
    return this.#root.stored(this.#begin + begin, this.#begin + end, tensor);
  }
}
