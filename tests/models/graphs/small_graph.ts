/**
 * The smallest graph that computes something, for tests of the runtimes.
 *
 * @module
 */

import { type Device, readFloats } from "../../../kernels/device/device.ts";
import type { GraphSession } from "../../../models/graphs/graph_session.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";

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
