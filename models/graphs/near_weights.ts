/**
 * Weights of small graphs, brought to memory before WebAssembly asks for them: there each tensor of a file
 * costs a way out and back, and each half a cast by code that has not been optimized yet.
 *
 * @module
 */

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
    floats.set(new Float16Array(bytes.buffer), done);
    done += length / 2;
  }
  return new Uint8Array(floats.buffer);
}
