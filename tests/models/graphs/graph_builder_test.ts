/** Graphs as they are written: ONNX Runtime takes and computes them, and their outline reads back. */

import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import { WebGpuDevice } from "../../../kernels/device/webgpu_device.ts";
import { encodeFloat16 } from "../../../models/checkpoint/mod.ts";
import { describeGraph, externalRanges, keepHalves } from "../../../models/graphs/graph_file.ts";
import type { ExternalWeight } from "../../../models/weights/weight_places.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { testOnDevices, testOnGpu } from "../../devices.ts";

/** The weights, one after the other: 2×3 in float32, then 3 in float16. */
const MATRIX = new Float32Array([1, 2, 3, -4, 5, -6]);
const HALVES = new Float32Array([0.5, -1, 2]);
const WEIGHTS = new Uint8Array([...new Uint8Array(MATRIX.buffer), ...encodeFloat16(HALVES)]);
const PLACES: Record<string, ExternalWeight> = {
  matrix: { file: "w.bin", offset: 0, length: 24, type: "float32", shape: [2, 3] },
  halves: { file: "w.bin", offset: 24, length: 6, type: "float16", shape: [3] },
};

/** y = quick gelu of (left half of x) Mᵀ + h, and z = 10 · right half of x, reshaped to [-1]. */
function example(): Uint8Array<ArrayBuffer> {
  const graph = new GraphBuilder("example");
  const x = graph.input({ name: "x", type: "float32", shape: ["rows", 4] });
  const [left, right] = graph.split(x, 2, 1) as [string, string];
  const weights = [graph.weight("matrix", PLACES.matrix!), graph.weight("halves", PLACES.halves!)];
  const linear = graph.add("Gemm", [left, ...weights]);
  const y = graph.add("com.microsoft.QuickGelu", [linear], { alpha: { float: 1.5 } });
  const scaled = graph.add("Mul", [right, graph.constant("float32", [10])]);
  graph.output({ name: "y", type: "float32", shape: ["rows", 3] }, y);
  graph.output({ name: "z", type: "float32", shape: ["twice_rows"] }, graph.reshape(scaled, [-1]));
  return graph.bytes();
}

testOnDevices("ONNX Runtime computes what was written", async (device) => {
  await using session = await createGraphSession(device, example(), {
    externalFiles: [{ path: "w.bin", data: WEIGHTS }],
  });
  const x = [1, -2, 3, 4, 0.5, 0.25, -1, 7];
  using array = device.upload(new Float32Array(x));
  const outputs = await session.run({ x: { array, shape: [2, 4] } });
  assertEquals(Object.keys(outputs).sort(), ["y", "z"]);
  using y = outputs.y!;
  using z = outputs.z!;
  const found = await readFloats(y);
  for (let row = 0; row < 2; row++) {
    for (let column = 0; column < 3; column++) {
      let sum = HALVES[column]!;
      for (let i = 0; i < 2; i++) sum += x[row * 4 + i]! * MATRIX[i * 3 + column]!;
      // 1e-6 of the largest value, 13.5: about eight roundings of float32.
      assertAlmostEquals(found[row * 3 + column]!, sum / (1 + Math.exp(-1.5 * sum)), 1.4e-5);
    }
  }
  assertEquals([...await readFloats(z)], [30, 40, -10, 70]);
});

testOnDevices("only the outputs that are wanted are fetched", async (device) => {
  await using session = await createGraphSession(device, example(), {
    externalFiles: [{ path: "w.bin", data: WEIGHTS }],
  });
  using array = device.upload(new Float32Array(4));
  const before = device.counters.liveArrays;
  const { z, ...rest } = await session.run({ x: { array, shape: [1, 4] } }, ["z"]);
  assertEquals([Object.keys(rest), device.counters.liveArrays - before], [[], 1]);
  assertEquals(z!.length, 2);
  z![Symbol.dispose]();
});

testOnDevices("halves that are kept give the numbers of halves that are folded", async (device) => {
  const kept = keepHalves(example());
  assertEquals(describeGraph(kept).inputs, [
    { name: "x", type: "float32", shape: ["rows", 4] },
    { name: "halves", type: "float16", shape: [3] },
  ]);
  assertEquals({ ...describeGraph(kept), inputs: [] }, { ...describeGraph(example()), inputs: [] });
  const files = { externalFiles: [{ path: "w.bin", data: WEIGHTS }] };
  const results: Float32Array[] = [];
  for (const model of [example(), kept]) {
    await using session = await createGraphSession(device, model, files);
    using array = device.upload(new Float32Array([1, -2, 3, 4, 0.5, 0.25, -1, 7]));
    const outputs = await session.run({ x: { array, shape: [2, 4] } });
    using y = outputs.y!;
    outputs.z![Symbol.dispose]();
    results.push(await readFloats(y));
  }
  assertEquals(results[1], results[0]);
});

testOnGpu("kept halves stay halves, and are cast one at a time", async () => {
  using device = await WebGpuDevice.open();
  const width = 512;
  const layers = 8;
  const data = new Uint8Array(width * width * 2);
  const graph = new GraphBuilder("chain");
  let x = graph.input({ name: "x", type: "float32", shape: [1, width] });
  for (let i = 0; i < layers; i++) {
    const place = { file: "w.bin", offset: 0, length: data.length, type: "float16", shape: [width, width] };
    x = graph.add("Relu", [graph.add("Gemm", [x, graph.weight(`w${i}`, place as ExternalWeight)])]);
  }
  graph.output({ name: "y", type: "float32", shape: [1, width] }, x);
  const before = device.counters.liveBytes;
  const held = async (model: Uint8Array): Promise<[number, number]> => {
    await using session = await createGraphSession(device, model, {
      externalFiles: [{ path: "w.bin", data }],
    });
    const loaded = device.counters.liveBytes - before;
    using array = device.upload(new Float32Array(width));
    const { y } = await session.run({ x: { array, shape: [1, width] } });
    await readFloats(y!);
    y![Symbol.dispose]();
    return [loaded, device.counters.liveBytes - before];
  };
  // Besides weights there are vectors of 2 KB, and buffers for uniforms.
  const small = 2 ** 17;
  const [folded, foldedThen] = await held(graph.bytes());
  assert(folded >= 2 * layers * data.length && foldedThen <= 2 * layers * data.length + small);
  const [kept, keptThen] = await held(keepHalves(graph.bytes()));
  assert(kept >= layers * data.length && kept <= layers * data.length + small, `${kept}`);
  assert(keptThen <= (layers + 2) * data.length + small, `${keptThen}`);
});

Deno.test("a graph's outline reads back", () => {
  assertEquals(describeGraph(example()), {
    name: "example",
    operators: { Split: 1, Cast: 1, Gemm: 1, QuickGelu: 1, Mul: 1, Reshape: 1, Identity: 2 },
    inputs: [{ name: "x", type: "float32", shape: ["rows", 4] }],
    outputs: [
      { name: "y", type: "float32", shape: ["rows", 3] },
      { name: "z", type: "float32", shape: ["twice_rows"] },
    ],
  });
});

Deno.test("all types and shapes read back", () => {
  const graph = new GraphBuilder("types");
  for (const type of ["float32", "int64", "float16"] as const) {
    graph.input({ name: `${type} scalar`, type, shape: [] });
    graph.input({ name: type, type, shape: [0, 1, 300, "any size", 2 ** 40] });
  }
  assertEquals(describeGraph(graph.bytes()).inputs, [
    { name: "float32 scalar", type: "float32", shape: [] },
    { name: "float32", type: "float32", shape: [0, 1, 300, "any size", 2 ** 40] },
    { name: "int64 scalar", type: "int64", shape: [] },
    { name: "int64", type: "int64", shape: [0, 1, 300, "any size", 2 ** 40] },
    { name: "float16 scalar", type: "float16", shape: [] },
    { name: "float16", type: "float16", shape: [0, 1, 300, "any size", 2 ** 40] },
  ]);
});

Deno.test("a weight or a constant that is used twice is stored once", () => {
  const graph = new GraphBuilder("once");
  const size = (): number => graph.bytes().length;
  assertEquals(graph.weight("halves", PLACES.halves!), graph.weight("halves", PLACES.halves!));
  assertEquals(graph.constant("float32", [1, 2]), graph.constant("float32", [1, 2]));
  const before = size();
  graph.constant("float32", [1, 2]);
  assertEquals(size(), before);
  assert(graph.constant("float32", [1, 2], [2, 1]) !== graph.constant("float32", [1, 2]), "another shape");
  assert(graph.constant("int64", [1, 2]) !== graph.constant("float32", [1, 2]), "another type");
});

Deno.test("weights lie outside of the graph", () => {
  const write = (shape: readonly number[]): number => {
    const graph = new GraphBuilder("outside");
    const length = shape.reduce((product, size) => product * size, 4);
    graph.weight("w", { file: "w.bin", offset: 100, length, type: "float32", shape });
    return graph.bytes().length;
  };
  // A matrix of 4 GB differs from one of 4 bytes by the digits of its sizes only.
  assert(write([32768, 32768]) - write([1, 1]) < 16);
});

Deno.test("the places of weights can be read back", () => {
  const graph = new GraphBuilder("places");
  const places = [
    { file: "a-00001-of-00002.bin", offset: 0, length: 8 },
    { file: "a-00002-of-00002.bin", offset: 2 ** 33 + 8, length: 2 ** 32 },
  ];
  const weights = places.map((place, i) => {
    return graph.weight(`w${i}`, { ...place, type: i === 0 ? "float32" : "uint8", shape: [place.length] });
  });
  const sum = graph.add("Add", [weights[0]!, graph.constant("float32", [1, 2])]);
  graph.output({ name: "y", type: "float32", shape: [2] }, sum);
  assertEquals(externalRanges(graph.bytes()), places);
  assertThrows(() => externalRanges(new Uint8Array(9)), SyntaxError, "Cannot read the ONNX model");
});

Deno.test("bytes that are no graph are refused", () => {
  const whole = example();
  assertThrows(() => describeGraph(new Uint8Array()), SyntaxError, "Cannot read the ONNX model");
  assertThrows(() => describeGraph(new TextEncoder().encode("<html>not found</html>")), SyntaxError);
  assertThrows(() => describeGraph(new Uint8Array(64).fill(0xff)), SyntaxError);
  // All but the last 23 bytes are the graph and what comes before it; they name the two operator sets.
  for (let length = 0; length < whole.length - 23; length++) {
    assertThrows(() => describeGraph(whole.subarray(0, length)), SyntaxError);
  }
});

Deno.test("damaged graphs are refused or read, and nothing else", () => {
  const whole = example();
  for (let i = 0; i < whole.length; i++) {
    for (const bits of [0x01, 0x80, 0xff]) {
      const damaged = whole.slice();
      damaged[i]! ^= bits;
      try {
        describeGraph(damaged);
      } catch (error) {
        assert(error instanceof SyntaxError, `byte ${i}: ${error}`);
      }
    }
  }
});
