/** Weights are brought to memory before the runtime asks for them, and halves become the floats they are. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import { describeGraph, externalRanges, keepHalves } from "../../../models/graphs/graph_file.ts";
import { farBytes, readAll, readSmallFiles, withFloats } from "../../../models/graphs/near_weights.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { testOnDevices } from "../../devices.ts";
import { example, WEIGHTS } from "./example_graph.ts";

/** All halves, from an odd byte of a file on. */
const EVERY_HALF = new Uint8Array(1 + 2 ** 17);
new Uint16Array(EVERY_HALF.buffer.slice(1)).forEach((_, half) => {
  EVERY_HALF[1 + 2 * half] = half & 255;
  EVERY_HALF[2 + 2 * half] = half >> 8;
});

/** The value of a half by its definition. */
function halfValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

Deno.test("withFloats: every half becomes the float of its value, wherever it lies", async () => {
  const graph = new GraphBuilder("halves");
  const count = 2 ** 16;
  const place = { file: "w.bin", offset: 1, length: 2 * count, type: "float16", shape: [count] } as const;
  graph.output({ name: "y", type: "float32", shape: [count] }, graph.weight("w", place));
  for (const data of [EVERY_HALF, new Blob([EVERY_HALF])]) {
    const { model, files } = await withFloats(graph.bytes(), [{ path: "w.bin", data }]);
    assertEquals(describeGraph(model).operators, { Identity: 1 });
    const [range] = externalRanges(model);
    assertEquals(range, { file: files[1]!.path, offset: 0, length: 4 * count });
    const floats = new Float32Array((files[1]!.data as Uint8Array<ArrayBuffer>).buffer);
    assertEquals(floats, Float32Array.from({ length: count }, (_, half) => halfValue(half)));
  }
});

Deno.test("withFloats: halves that are used as such, or are to be kept, stay", async () => {
  const graph = new GraphBuilder("both");
  const place = { file: "w.bin", offset: 0, length: 4, type: "float16", shape: [2] } as const;
  graph.output({ name: "y", type: "float32", shape: [2] }, graph.weight("w", place));
  graph.output({ name: "z", type: "float16", shape: [2] }, "w");
  const data = new Uint8Array(4);
  for (const bytes of [graph.bytes(), keepHalves(example())]) {
    const { model, files } = await withFloats(bytes, [{ path: "w.bin", data }]);
    assertEquals(model, bytes);
    assertEquals(files, [{ path: "w.bin", data }]);
  }
});

Deno.test("readSmallFiles: blobs are read that are small and of which the graph takes half", async () => {
  class Sized extends Blob {
    override readonly size: number;
    constructor(size: number) {
      super();
      this.size = size;
    }
  }
  const near = new Blob([WEIGHTS]);
  const [read, ...left] = await Promise.all(
    [near, new Sized(2 * near.size + 1), new Sized(2 ** 25 + 1)].map(async (data) => {
      return (await readSmallFiles(example(), [{ path: "w.bin", data }]))[0]!.data;
    }),
  );
  assertEquals(read, WEIGHTS);
  assert(left.every((data) => data instanceof Sized));
});

Deno.test("readAll: what the graph takes is in memory, and zeros in the place of the rest", async () => {
  const file = Uint8Array.from([...WEIGHTS, 1, 2, 3]);
  const [far, near] = await readAll(example(), [
    { path: "w.bin", data: new Blob([file]) },
    { path: "other.bin", data: file },
  ]);
  const wanted = new Uint8Array(file.length);
  for (const { offset, length } of externalRanges(example())) {
    wanted.set(file.subarray(offset, offset + length), offset);
  }
  assertEquals([far!.data, near!.data], [wanted, file]);
});

Deno.test("farBytes: files that are in memory do not count", () => {
  const [data, blob] = [new Uint8Array(5), new Blob([new Uint8Array(7)])];
  const files = [{ path: "a", data }, { path: "b", data: blob }, { path: "c", data: blob }];
  assertEquals([farBytes(files), farBytes([])], [14, 0]);
});

testOnDevices("createGraphSession: a graph that is not optimized gives the same numbers", async (device) => {
  const results: Float32Array[] = [];
  for (const optimize of [true, false]) {
    for (const data of [WEIGHTS, new Blob([WEIGHTS])]) {
      await using session = await createGraphSession(device, example(), {
        externalFiles: [{ path: "w.bin", data }],
        optimize,
      });
      using array = device.upload(new Float32Array([1, -2, 3, 4, 0.5, 0.25, -1, 7]));
      const { y, z } = await session.run({ x: { array, shape: [2, 4] } });
      z![Symbol.dispose]();
      results.push(await readFloats(y!));
      y![Symbol.dispose]();
    }
  }
  for (const result of results) assertEquals(result, results[0]);
});

Deno.test("createGraphSession: a file that is no graph is named, also where halves are looked for", async () => {
  using device = new CpuDevice();
  for (const optimize of [true, false]) {
    await assertRejects(
      () => createGraphSession(device, new Uint8Array(9), { file: "a/b.onnx", optimize }),
      ModelFileError,
      "a/b.onnx",
    );
  }
});
