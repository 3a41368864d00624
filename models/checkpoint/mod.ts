/**
 * Checkpoints: named tensors in PyTorch's `.pth` files and in safetensors files, read by range from a path,
 * an address or memory. Which tensors a model needs, and in which shapes, is left to the model.
 *
 * @module
 */

import { requireObject } from "../../kernels/arguments.ts";
import { ModelFileError } from "../model_file_error.ts";
import { checkpointFile } from "./checkpoint_folder.ts";
import { misfitOf } from "./misfits.ts";
import { isPyTorchStream, openPyTorchStream } from "./pytorch_stream.ts";
import { openSafetensors } from "./safetensors.ts";
import { isShardIndex, openShards } from "./shards.ts";
import { type ByteSource, openSource, type OpenSourceOptions } from "./source.ts";
import type { Checkpoint } from "./tensor.ts";

export type { ByteSource, DiskPlace, OpenSourceOptions } from "./source.ts";
export type { Checkpoint, DType, StoredBytes, TensorInfo } from "./tensor.ts";
export { byteLength, bytesPerElement, decodeFloat32, encodeFloat16 } from "./tensor.ts";
export { type SafetensorsEntry, writeSafetensors, type WriteSafetensorsOptions } from "./safetensors.ts";

/**
 * Opens a checkpoint: a path, a `file:`, `http:` or `https:` address, the bytes of a file, or a source, which
 * is the checkpoint's from then on. The format is told by the content. A place whose name ends in
 * `.index.json` says which tensor is in which file beside it, and all of them are opened. Of a folder, on a
 * web server one whose address ends in `/`, it is the index or the single checkpoint in it.
 *
 * Nested containers of a `.pth` file are flattened, their keys and indices joined by dots: a trainer's file
 * has names such as `trainer.var_wo_ddp.pos_start`. A file that is a single tensor names it `tensor`.
 *
 * @throws {TypeError} If it is none of these, or the address is of another scheme.
 * What trainers leave beside the tensors is listed where it is text or a number, and skipped where it is of a
 * type that does nothing (devices, dates, paths, arrays of NumPy and the like). Nothing of a file is run.
 *
 * @throws {ModelFileError} If the file cannot be opened, is damaged, or names a type or function that could
 * do something or is not known.
 *
 * @example
 * ```ts
 * import { openCheckpoint } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const header = `{"bias":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}`;
 * const file = new Uint8Array(8 + header.length + 4);
 * file[0] = header.length;
 * file.set(new TextEncoder().encode(header), 8);
 * file.set([0x00, 0x3c, 0x00, 0xc0], 8 + header.length);
 *
 * using checkpoint = await openCheckpoint(file);
 * assertEquals(checkpoint.tensors.get("bias")?.shape, [2]);
 * assertEquals(await checkpoint.readFloat32("bias"), new Float32Array([1, -2]));
 * ```
 */
export async function openCheckpoint(
  source: string | URL | Uint8Array | ByteSource,
  options: OpenSourceOptions = {},
): Promise<Checkpoint> {
  if (!isPlace(source)) {
    return await openOwned(
      requireObject(source, "its source", "open the checkpoint", "a path, a URL or bytes"),
    );
  }
  const file = await checkpointFile(source, options);
  if (isShardIndex(file)) {
    return await openShards(
      file,
      async (shard) => await openOwned(await openSource(shard, options)),
      options,
    );
  }
  return await openOwned(await openSource(file, options));
}

async function openOwned(bytes: ByteSource): Promise<Checkpoint> {
  try {
    return await openFormat(bytes);
  } catch (error) {
    bytes[Symbol.dispose]();
    throw error;
  }
}

function isPlace(source: string | URL | Uint8Array | ByteSource): source is string | URL | Uint8Array {
  return typeof source === "string" || source instanceof URL || source instanceof Uint8Array;
}

async function openFormat(source: ByteSource): Promise<Checkpoint> {
  const { file, size } = source;
  const head = await source.read(0, Math.min(size, 512));
  if (String.fromCharCode(...head.subarray(0, 4)) === "PK\x03\x04") {
    // Loaded when there is an archive: zip.js would add 12 ms to every import of the library.
    const { openPyTorch } = await import("./pytorch.ts");
    return await openPyTorch(source);
  }
  if (isPyTorchStream(String.fromCharCode(...head))) return await openPyTorchStream(source);
  const isHeader = head[8] === "{".charCodeAt(0);
  // What comes first is the header's length: every 32nd begins like a pickle, but all end in zeros.
  if (isHeader && head.subarray(4, 8).every((byte) => byte === 0)) return await openSafetensors(source);
  const misfit = misfitOf(head);
  if (misfit !== undefined) {
    const { expected, found } = misfit;
    throw new ModelFileError("Cannot open the checkpoint", { file, expected, found });
  }
  if (isHeader) return await openSafetensors(source);
  throw new ModelFileError("Cannot open the checkpoint", {
    file,
    expected: "a .pth or .safetensors file",
    found: size === 0 ? "an empty file" : `a file of ${size} bytes of an unknown format`,
  });
}
