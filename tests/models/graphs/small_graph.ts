/**
 * The smallest graphs that compute something, for tests of the runtimes.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import type { GraphSession } from "../../../models/graphs/graph_session.ts";
import { ELEMENT_TYPES, GraphBuilder } from "../../../models/graphs/graph_builder.ts";

/** y = x + 1, or with another operator, y = operator(x). */
export function smallGraph(operator: string = "Add"): Uint8Array<ArrayBuffer> {
  const graph = new GraphBuilder("small");
  const x = graph.input({ name: "x", type: "float32", shape: ["n"] });
  const inputs = operator === "Add" ? [x, graph.constant("float32", [1])] : [x];
  graph.output({ name: "y", type: "float32", shape: ["n"] }, graph.add(operator, inputs));
  return graph.bytes();
}

/** Runs it. */
export async function runSmall(
  session: GraphSession,
  device: Device,
  values: readonly number[],
): Promise<number[]> {
  using array = device.upload(new Float32Array(values));
  const { y } = await session.run({ x: { array, shape: [values.length] } });
  using result = y!;
  return [...await readFloats(result)];
}

/** Halves x in, halves 2x out, and x as floats. */
export function halvesGraph(): Uint8Array<ArrayBuffer> {
  const graph = new GraphBuilder("halves");
  const x = graph.input({ name: "x", type: "float16", shape: ["n"] });
  const wide = graph.add("Cast", [x], { to: ELEMENT_TYPES.float32 });
  const twice = graph.add("Cast", [graph.add("Add", [wide, wide])], { to: ELEMENT_TYPES.float16 });
  graph.output({ name: "twice", type: "float16", shape: ["n"] }, twice);
  graph.output({ name: "wide", type: "float32", shape: ["n"] }, wide);
  return graph.bytes();
}

/** Feeds halves of odd and even counts, and compares what comes out bit by bit. */
export async function assertHalves(session: GraphSession, device: Device): Promise<void> {
  for (const count of [0, 1, 2, 3, 8, 33, 1000, 1001]) {
    const halves = Float16Array.from({ length: count }, (_, i) => (-1) ** i * (0.1 + i) * 2 ** (i % 5 - 2));
    // What follows an odd one belongs to nobody.
    const words = new Uint32Array(Math.ceil(count / 2)).fill(0xffffffff);
    new Float16Array(words.buffer).set(halves);
    using array = device.upload(words);
    const { twice, wide } = await session.run({ x: { array, shape: [count], type: "float16" } });
    using result = twice!;
    using floats = wide!;
    assertEquals([result.length, floats.length], [words.length, count]);
    assertEquals(await readFloats(floats), Float32Array.from(halves));
    const found = new Uint16Array((await readWords(result)).buffer, 0, count);
    assertEquals(found, new Uint16Array(halves.map((half) => 2 * half).buffer), `${count} halves`);
    // As they come out they go in again.
    const again = await session.run({ x: { array: result, shape: [count], type: "float16" } }, ["wide"]);
    using widened = again.wide!;
    assertEquals(await readFloats(widened), Float32Array.from(halves, (half) => 2 * half));
  }
}
