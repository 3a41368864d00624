/**
 * Weights of small graphs, brought to memory before WebAssembly asks for them: there each tensor of a file
 * costs a way out and back, if the build has one, and each half a cast by code that has not been optimized
 * yet.
 *
 * @module
 */

import { SourceBlob } from "../checkpoint/blob.ts";
import { floatsOfHalves } from "../checkpoint/tensor.ts";
import { type ExternalRange, externalRanges, widenHalves } from "./graph_file.ts";
import type { ExternalFile } from "./graph_session.ts";

/** A file of up to this size is read at once; a larger one would be in memory twice for a while. */
const WHOLE_BYTES = 1 << 25;

/**
 * The same files; those that are small, and of which a graph takes half or more, lie in memory.
 *
 * @throws {SyntaxError} If the bytes are no ONNX model.
 */
export function readSmallFiles(model: Uint8Array, files: readonly ExternalFile[]): Promise<ExternalFile[]> {
  const ranges = externalRanges(model);
  return Promise.all(files.map(async (file) => {
    const { path, data } = file;
    if (!(data instanceof Blob) || data.size > WHOLE_BYTES) return file;
    const taken = ranges.reduce((sum, { file, length }) => file === path ? sum + length : sum, 0);
    return 2 * taken < data.size ? file : { ...file, data: await data.bytes() };
  }));
}

/** Bytes of those files that are not in memory. */
export function farBytes(files: readonly ExternalFile[]): number {
  return files.reduce((sum, { data }) => data instanceof Blob ? sum + data.size : sum, 0);
}

/**
 * The same files in memory, with zeros where the graph takes nothing: pages that nobody writes to take none.
 *
 * @throws {SyntaxError} If the bytes are no ONNX model.
 */
export async function readAll(model: Uint8Array, files: readonly ExternalFile[]): Promise<ExternalFile[]> {
  const ranges = externalRanges(model);
  return await Promise.all(files.map(async ({ path, data }) => {
    if (!(data instanceof Blob)) return { path, data };
    return { path, data: await readRanges(data, ranges.filter(({ file }) => file === path)) };
  }));
}

/** The bytes of a blob in some ranges, and zeros outside. */
export async function readRanges(
  blob: Blob,
  ranges: readonly ExternalRange[],
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(blob.size);
  for (const { offset, length } of ranges) {
    const target = bytes.subarray(offset, offset + length);
    if (blob instanceof SourceBlob) await blob.readInto(target, offset);
    else target.set(await blob.slice(offset, offset + length).bytes());
  }
  return bytes;
}

/**
 * A graph with its files in which halves have been widened to floats, which are the same values.
 *
 * @throws {SyntaxError} If the bytes are no ONNX model.
 */
export async function withFloats(
  model: Uint8Array,
  files: readonly ExternalFile[],
): Promise<{ model: Uint8Array; files: ExternalFile[] }> {
  const widened = widenHalves(model);
  const near = await readSmallFiles(model, files);
  for (const [path, ranges] of widened.files) {
    near.push({ path, data: await floatsOf(ranges, new Map(near.map(({ path, data }) => [path, data]))) });
  }
  return { model: widened.model, files: near };
}

async function floatsOf(
  ranges: readonly ExternalRange[],
  files: ReadonlyMap<string, Uint8Array | Blob>,
): Promise<Uint8Array> {
  const floats = new Float32Array(ranges.reduce((sum, { length }) => sum + length / 2, 0));
  let done = 0;
  for (const { file, offset, length } of ranges) {
    const data = files.get(file)!;
    // A copy, as halves in a file may lie at any byte.
    const bytes = data instanceof Blob
      ? await data.slice(offset, offset + length).bytes()
      : data.slice(offset, offset + length);
    floatsOfHalves(new Uint16Array(bytes.buffer, bytes.byteOffset, length / 2), floats.subarray(done));
    done += length / 2;
  }
  return new Uint8Array(floats.buffer);
}
