/**
 * Weights of small graphs, brought to memory before WebAssembly asks for them: there each tensor of a file
 * costs a way out and back, and each half a cast by code that has not been optimized yet.
 *
 * @module
 */

import { type ExternalRange, widenHalves } from "./graph_file.ts";
import type { ExternalFile } from "./graph_session.ts";

/** A file of up to this size is read at once; a larger one would be in memory twice for a while. */
const WHOLE_BYTES = 1 << 25;

/** The same files, of which those that are small lie in memory. */
export function readSmallFiles(files: readonly ExternalFile[]): Promise<ExternalFile[]> {
  return Promise.all(files.map(async (file) => {
    const { data } = file;
    return data instanceof Blob && data.size <= WHOLE_BYTES ? { ...file, data: await data.bytes() } : file;
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
  const near = await readSmallFiles(files);
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
