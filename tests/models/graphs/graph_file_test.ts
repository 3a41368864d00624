/** Graphs as files: their outline and the places of their weights read back, and halves can be kept. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import { WebGpuDevice } from "../../../kernels/device/webgpu_device.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import {
  describeGraph,
  externalRanges,
  keepHalves,
  separateFarWeights,
  withFloats,
} from "../../../models/graphs/graph_file.ts";
import type { ExternalWeight } from "../../../models/weights/weight_places.ts";
import { testOnDevices, testOnGpu } from "../../devices.ts";
import { example, WEIGHTS } from "./example_graph.ts";

testOnDevices(
  "keepHalves: halves that are kept give the numbers of halves that are folded",
  async (device) => {
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
  },
);

testOnGpu("keepHalves: kept halves stay halves, and are cast one at a time", async () => {
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

Deno.test("describeGraph: a graph's outline reads back", () => {
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

Deno.test("describeGraph: all types and shapes read back", () => {
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

Deno.test("externalRanges: the places of weights can be read back", () => {
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

Deno.test("describeGraph: bytes that are no graph are refused", () => {
  const whole = example();
  assertThrows(() => describeGraph(new Uint8Array()), SyntaxError, "Cannot read the ONNX model");
  assertThrows(() => describeGraph(new TextEncoder().encode("<html>not found</html>")), SyntaxError);
  assertThrows(() => describeGraph(new Uint8Array(64).fill(0xff)), SyntaxError);
  // All but the last 23 bytes are the graph and what comes before it; they name the two operator sets.
  for (let length = 0; length < whole.length - 23; length++) {
    assertThrows(() => describeGraph(whole.subarray(0, length)), SyntaxError);
  }
});

Deno.test("describeGraph: damaged graphs are refused or read, and nothing else", () => {
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

Deno.test("separateFarWeights: what ends beyond the limit gets a file of its own, all else stays as it is", () => {
  const whole = separateFarWeights(example(), 30);
  assertEquals([whole.model, whole.files.size], [example(), 0]);
  const { model, files } = separateFarWeights(keepHalves(example()), 29);
  assertEquals([...files], [["w.bin from 24", { file: "w.bin", offset: 24, length: 6 }]]);
  assertEquals(externalRanges(model), [
    { file: "w.bin", offset: 0, length: 24 },
    { file: "w.bin from 24", offset: 0, length: 6 },
  ]);
  assertEquals(describeGraph(model), describeGraph(keepHalves(example())));
});

testOnDevices("withFloats: an output of integers comes as floats, and others stay", async (device) => {
  const graph = new GraphBuilder("numbers");
  const x = graph.input({ name: "x", type: "float32", shape: ["n"] });
  graph.output({ name: "y", type: "float32", shape: ["n"] }, graph.add("Neg", [x]));
  graph.output({ name: "whole", type: "int64", shape: ["n"] }, graph.add("Cast", [x], { to: 7 }));
  const { model, name } = withFloats(graph.bytes(), "whole");
  assertEquals(describeGraph(model).outputs.map(({ type, shape }) => [type, shape]), [
    ["float32", ["n"]],
    ["int64", ["n"]],
    ["float32", ["n"]],
  ]);
  await using session = await createGraphSession(device, model, { mixed: true });
  using array = device.upload(new Float32Array([1.5, -2, 7]));
  const outputs = await session.run({ x: { array, shape: [3] } }, ["y", name]);
  using y = outputs.y!;
  using whole = outputs[name]!;
  assertEquals([[...await readFloats(y)], [...await readFloats(whole)]], [[-1.5, 2, -7], [1, -2, 7]]);
  assertThrows(() => withFloats(new Uint8Array(3), "whole"), SyntaxError);
});
