/**
 * A graph with one weight at the beginning of a file and one beyond 4 GiB, for tests of the runtimes. What
 * lies between is made up when it is read.
 *
 * @module
 */

import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { SourceBlob } from "../../../models/checkpoint/blob.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import type { ExternalFile, GraphSession } from "../../../models/graphs/graph_session.ts";

/** Where the second weight begins. */
export const FAR_OFFSET = 2 ** 32 + 4096;

/** y = [1, 2] x + [10, 20]. */
export function farGraph(): Uint8Array<ArrayBuffer> {
  const graph = new GraphBuilder("far");
  const x = graph.input({ name: "x", type: "float32", shape: [2] });
  const place = { file: "weights", type: "float32", length: 8, shape: [2] } as const;
  const near = graph.weight("near", { ...place, offset: 0 });
  const far = graph.weight("far", { ...place, offset: FAR_OFFSET });
  const y = graph.add("Add", [graph.add("Mul", [x, near]), far]);
  graph.output({ name: "y", type: "float32", shape: [2] }, y);
  return graph.bytes();
}

/** Its weights. */
export function farFile(): ExternalFile {
  const places: [number, Float32Array][] = [[0, Float32Array.of(1, 2)], [
    FAR_OFFSET,
    Float32Array.of(10, 20),
  ]];
  const data = new SourceBlob({
    file: "weights",
    signal: undefined,
    size: FAR_OFFSET + 8,
    read: (offset, length) => {
      const bytes = new Uint8Array(length);
      for (const [begin, values] of places) {
        for (const [i, byte] of new Uint8Array(values.buffer).entries()) {
          const at = begin + i - offset;
          if (at >= 0 && at < length) bytes[at] = byte;
        }
      }
      return Promise.resolve(bytes);
    },
    [Symbol.dispose]: () => {},
  });
  return { path: "weights", data };
}

/** What the graph makes of [3, 4], which is [13, 28]. */
export async function runFar(session: GraphSession, device: Device): Promise<number[]> {
  using array = device.upload(Float32Array.of(3, 4));
  const { y } = await session.run({ x: { array, shape: [2] } });
  using result = y!;
  return [...await readFloats(result)];
}
