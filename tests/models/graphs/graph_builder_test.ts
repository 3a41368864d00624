/** Graphs as they are written: ONNX Runtime takes and computes them. */

import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { describeGraph } from "../../../models/graphs/graph_file.ts";
import { testOnDevices } from "../../devices.ts";
import { example, HALVES, MATRIX, PLACES, WEIGHTS } from "./example_graph.ts";

testOnDevices("createGraphSession: ONNX Runtime computes what was written", async (device) => {
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

testOnDevices("createGraphSession: only the outputs that are wanted are fetched", async (device) => {
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

Deno.test("GraphBuilder: a weight or a constant that is used twice is stored once", () => {
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

testOnDevices(
  "GraphBuilder: sizes that are told stand in the graph, and it computes as before",
  async (device) => {
    const build = (tells: boolean): Uint8Array => {
      const graph = new GraphBuilder("sizes");
      const x = graph.input({ name: "x", type: "float32", shape: ["rows", 4] });
      const halves = graph.reshape(x, [-1, 2]);
      if (tells) assertEquals(graph.sized(halves, ["twice the rows", 2]), halves);
      graph.output({ name: "y", type: "float32", shape: ["n", 2] }, graph.add("Add", [halves, halves]));
      return graph.bytes();
    };
    const told = build(true);
    assert(new TextDecoder("latin1").decode(told).includes("twice the rows"));
    using array = device.upload(new Float32Array([1, 2, 3, 4, 5, 6, 7, 8]));
    const results = await Promise.all([told, build(false)].map(async (bytes) => {
      await using session = await createGraphSession(device, bytes);
      const { y } = await session.run({ x: { array, shape: [2, 4] } });
      using result = y!;
      return [...await readFloats(result)];
    }));
    assertEquals(results, [[2, 4, 6, 8, 10, 12, 14, 16], [2, 4, 6, 8, 10, 12, 14, 16]]);
  },
);

Deno.test("GraphBuilder: weights lie outside of the graph", () => {
  const write = (shape: readonly number[]): number => {
    const graph = new GraphBuilder("outside");
    const length = shape.reduce((product, size) => product * size, 4);
    graph.weight("w", { file: "w.bin", offset: 100, length, type: "float32", shape });
    return graph.bytes().length;
  };
  // A matrix of 4 GB differs from one of 4 bytes by the digits of its sizes only.
  assert(write([32768, 32768]) - write([1, 1]) < 16);
});

Deno.test("GraphBuilder: what is run right before its use comes first, and early outputs come last", () => {
  const graph = new GraphBuilder("order");
  const x = graph.input({ name: "x", type: "float32", shape: ["n"] });
  const sum = graph.add("Add", [x, x]);
  // The runtime begins with the latest node that ends in an output.
  graph.soon(() => graph.output({ name: "early", type: "float32", shape: ["n"] }, graph.add("Abs", [sum])));
  const next = graph.add("Mul", [sum, graph.addFirst("Neg", x)]);
  graph.soon(() => graph.output({ name: "later", type: "float32", shape: ["n"] }, graph.add("Exp", [next])));
  graph.output({ name: "end", type: "float32", shape: ["n"] }, graph.add("Sub", [next, x]));
  const { operators, outputs } = describeGraph(graph.bytes());
  assertEquals(Object.keys(operators), ["Neg", "Add", "Mul", "Sub", "Identity", "Exp", "Abs"]);
  assertEquals(outputs.map(({ name }) => name), ["early", "later", "end"]);
});
