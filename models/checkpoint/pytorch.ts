/**
 * Reader of PyTorch's `.pth` and `.pt` files: a zip archive with a pickle that describes the tensors and one
 * member per storage. It runs nothing of the file. What the pickle means is left to `pytorch_tensors.ts`.
 *
 * The layout is that of `torch.serialization` since version 1.6: `<root>/data.pkl`, `<root>/data/<key>`,
 * `<root>/byteorder`.
 *
 * @module
 */

import { ModelFileError } from "../model_file_error.ts";
import { archiveMisfit } from "./misfits.ts";
import { Archive } from "./archive.ts";
import { PickleError, quote, unpickle } from "./pickle.ts";
import {
  MAX_PICKLE_BYTES,
  parseStorageId,
  PyTorchCheckpoint,
  Storage,
  type StorageId,
  torchGlobals,
} from "./pytorch_tensors.ts";
import type { ByteSource } from "./source.ts";
import type { Checkpoint, StoredBytes } from "./tensor.ts";

/**
 * Opens a PyTorch checkpoint. The result owns the source.
 *
 * @throws {ModelFileError} If the archive is damaged, or its pickle names what is neither a tensor nor
 * harmless.
 */
export async function openPyTorch(source: ByteSource): Promise<Checkpoint> {
  const { file } = source;
  const archive = await Archive.open(source);
  const root = rootOf(archive, file);
  const orderMember = `${root}byteorder`;
  if (archive.sizeOf(orderMember) !== undefined) {
    const order = new TextDecoder().decode(await readSmall(archive, file, orderMember, 16));
    if (order !== "little") {
      throw new ModelFileError("Cannot read a checkpoint of this byte order", {
        file,
        expected: "little",
        found: quote(order),
      });
    }
  }
  const pickle = `${root}data.pkl`;
  const bytes = await readSmall(archive, file, pickle, MAX_PICKLE_BYTES);
  try {
    const value = unpickle(bytes, {
      globals: torchGlobals(),
      persistent: (id) => findStorage(archive, root, parseStorageId(id)),
    });
    return new PyTorchCheckpoint(source, value);
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    const { expected, found } = error;
    throw new ModelFileError("Cannot read the pickle", {
      file,
      tensor: pickle,
      expected,
      found,
      cause: error,
    });
  }
}

/** The folder of the archive that holds `data.pkl`, with its slash. */
function rootOf(archive: Archive, file: string): string {
  const names = archive.names();
  const misfit = archiveMisfit(names);
  if (misfit !== undefined) throw new ModelFileError("Cannot open the checkpoint", { file, ...misfit });
  const pickles = names.filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length === 1) return pickles[0]!.slice(0, -"data.pkl".length);
  throw new ModelFileError("Cannot find a PyTorch checkpoint in the zip archive", {
    file,
    expected: "one member <root>/data.pkl",
    found: pickles.length > 1 ? `${pickles.length}` : names.slice(0, 3).map(quote).join(", ") || "no members",
  });
}

async function readSmall(archive: Archive, file: string, member: string, limit: number): Promise<Uint8Array> {
  const size = archive.sizeOf(member) ?? 0;
  if (size <= limit) return await archive.read(member, 0, size);
  throw new ModelFileError("Cannot read the member", {
    file,
    tensor: member,
    expected: `at most ${limit} bytes`,
    found: `${size}`,
  });
}

/** A member of raw bytes. */
class Member extends Storage {
  readonly #archive: Archive;
  readonly #name: string;

  constructor(archive: Archive, name: string, { dtype, bytes }: StorageId) {
    super(dtype, bytes);
    this.#archive = archive;
    this.#name = name;
  }

  override read(begin: number, end: number, tensor: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.#archive.read(this.#name, begin, end, tensor);
  }

  override stored(begin: number, end: number, tensor: string): StoredBytes | undefined {
    return this.#archive.stored(this.#name, begin, end, tensor);
  }
}

function findStorage(archive: Archive, root: string, id: StorageId): Storage {
  if (id.part !== undefined) throw new PickleError("a whole storage", "a part of one");
  const member = `${root}data/${id.key}`;
  const size = archive.sizeOf(member);
  if (size === undefined) throw new PickleError(`a member ${quote(member)}`, "none");
  if (size < id.bytes) throw new PickleError(`${id.bytes} bytes in ${quote(member)}`, `${size}`);
  return new Member(archive, member, id);
}
