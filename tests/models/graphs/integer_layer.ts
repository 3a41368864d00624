/**
 * A linear layer of integers against one that is computed here, for whichever provider: the rounding and the
 * sums exactly, the scales in f64.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import type { CpuProvider, GraphSession } from "../../../models/graphs/graph_session.ts";
import type { integerProduct } from "../../../models/graphs/integer_product.ts";
import { quantizeOutputs } from "../../../models/weights/output_scales.ts";
import { testRandom } from "../../devices.ts";

/** A layer. */
interface IntegerLayer {
  readonly inputs: number;
  readonly outputs: number;
  /** [outputs, inputs]. */
  readonly weights: Float32Array;
  /** [outputs]; none by default. */
  readonly bias?: Float32Array<ArrayBuffer>;
}

/** What computes layers, and where. */
export interface IntegerProducts {
  readonly product: typeof integerProduct;
  readonly device: CpuDevice;
  readonly cpuProvider: CpuProvider;
}

/** Loads it as a graph from `x` to `y`. */
async function loadLayer(
  layer: IntegerLayer,
  { product, device, cpuProvider }: IntegerProducts,
): Promise<GraphSession> {
  const { inputs, outputs, weights, bias } = layer;
  const { integers, scales } = quantizeOutputs(weights, layer);
  const graph = new GraphBuilder("layer");
  const x = graph.input({ name: "x", type: "float32", shape: ["rows", inputs] });
  const place = { file: "weights", offset: 0, length: integers.length, shape: [inputs, outputs] } as const;
  const y = product(graph, x, {
    weight: graph.weight("weight", { ...place, type: "int8" }),
    scales: graph.constant("float32", [...scales]),
    bias: bias && graph.constant("float32", [...bias]),
  });
  graph.output({ name: "y", type: "float32", shape: ["rows", outputs] }, y);
  return await createGraphSession(device, graph.bytes(), {
    cpuProvider,
    threads: 1,
    externalFiles: [{ path: "weights", data: new Uint8Array(integers.buffer) }],
  });
}

/** Runs it. */
async function runLayer(
  device: CpuDevice,
  session: GraphSession,
  x: Float32Array<ArrayBuffer>,
  rows: number,
): Promise<Float32Array> {
  using array = device.upload(x);
  const { y } = await session.run({ x: { array, shape: [rows, x.length / rows] } });
  using result = y!;
  return await readFloats(result);
}

/**
 * The largest difference from what the definition gives, in units of what rounding to f32 may make of it: of
 * the sum, its two scales and the bias 2⁻²⁴ each, and where a value lies between two integers, one step of
 * its row.
 */
function worstOf(found: Float32Array, x: Float32Array, layer: IntegerLayer): number {
  const { inputs, outputs, bias } = layer;
  const { integers, scales } = quantizeOutputs(layer.weights, layer);
  let worst = 0;
  for (let row = 0; row < x.length / inputs; row++) {
    const values = x.subarray(row * inputs, (row + 1) * inputs);
    const most = values.reduce((most, value) => Math.max(most, Math.abs(value)), Math.fround(1e-30));
    const step = Math.fround(most * Math.fround(1 / 127));
    for (let output = 0; output < outputs; output++) {
      let [sum, slack] = [0, 0];
      for (const [input, value] of values.entries()) {
        const ratio = value / step;
        const level = Math.max(-127, Math.min(127, Math.round(ratio)));
        const weight = integers[input * outputs + output]!;
        sum += level * weight;
        if (Math.abs(Math.abs(ratio - Math.trunc(ratio)) - 0.5) < 1e-4) slack += Math.abs(weight);
      }
      const factor = step * scales[output]!;
      const added = bias?.[output] ?? 0;
      const wanted = sum * factor + added;
      const allowed = 4 * 2 ** -24 * (Math.abs(sum * factor) + Math.abs(added)) + slack * factor + 1e-45;
      worst = Math.max(worst, Math.abs(found[row * outputs + output]! - wanted) / allowed);
      if (Number.isNaN(found[row * outputs + output])) return NaN;
    }
  }
  return worst;
}

function randomLayer(random: () => number, inputs: number, outputs: number, biased: boolean): IntegerLayer {
  const normal = () => Float32Array.from({ length: outputs }, () => 2 * random() - 1);
  return {
    ...{ inputs, outputs },
    weights: Float32Array.from({ length: inputs * outputs }, () => 2 * random() - 1),
    ...(biased ? { bias: normal() } : {}),
  };
}

/** Asserts what layers of random and ragged sizes give, and of extreme rows. */
export async function assertIntegerLayers(products: IntegerProducts): Promise<void> {
  const { device } = products;
  const random = testRandom(5);
  for (
    const [rows, inputs, outputs] of [
      [1, 1, 1],
      [2, 3, 5],
      [7, 64, 64],
      [33, 100, 17],
      [5, 257, 130],
      [64, 1024, 48],
    ] as const
  ) {
    const layer = randomLayer(random, inputs, outputs, rows % 2 === 1);
    await using session = await loadLayer(layer, products);
    // Rows as different as 1e-3 and 1e3.
    const x = Float32Array.from({ length: rows * inputs }, (_, i) => {
      return (2 * random() - 1) * 10 ** (Math.floor(i / inputs) % 7 - 3);
    });
    const worst = worstOf(await runLayer(device, session, x, rows), x, layer);
    assert(worst <= 1, `${rows}×${inputs}×${outputs}: ${worst}`);
  }
  const [inputs, outputs] = [1024, 4];
  // The sums that overflow 16 bits soonest: all of one sign, and as large as can be.
  const weights = Float32Array.from({ length: inputs * outputs }, (_, i) => i < 2 * inputs ? 1 : -1);
  const layer = { inputs, outputs, weights, bias: new Float32Array([1, 2, 3, 4]) };
  await using session = await loadLayer(layer, products);
  const rows = [1, -1, 0, 1e-38, 1e30, -1e30];
  const x = Float32Array.from(rows.flatMap((value) => new Array(inputs).fill(value)));
  const found = await runLayer(device, session, x, rows.length);
  const worst = worstOf(found, x, layer);
  assert(worst <= 1, `extremes: ${worst}`);
  assertEquals([...found.subarray(2 * outputs, 3 * outputs)], [1, 2, 3, 4]);
}

/** Asserts that a row has the same bits alone as beside others, whose values may be far larger. */
export async function assertRowsAlone(products: IntegerProducts): Promise<void> {
  const { device } = products;
  const random = testRandom(6);
  const [rows, inputs, outputs] = [37, 200, 90];
  await using session = await loadLayer(randomLayer(random, inputs, outputs, true), products);
  const x = Float32Array.from({ length: rows * inputs }, (_, i) => {
    return (2 * random() - 1) * (Math.floor(i / inputs) % 5 === 0 ? 1e4 : 1);
  });
  const together = await runLayer(device, session, x, rows);
  for (let row = 0; row < rows; row++) {
    const alone = await runLayer(device, session, x.slice(row * inputs, (row + 1) * inputs), 1);
    assertEquals(alone, together.slice(row * outputs, (row + 1) * outputs), `row ${row}`);
  }
}
