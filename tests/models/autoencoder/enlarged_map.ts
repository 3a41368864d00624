/**
 * A doubled and convolved map held against the same in f64, for tests on every provider.
 *
 * @module
 */

import { type Device, readFloats } from "../../../kernels/device/device.ts";
import type { enlargingConvolution } from "../../../models/autoencoder/enlarging.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import type { CpuProvider } from "../../../models/graphs/graph_session.ts";
import { GraphWeights } from "../../../models/graphs/graph_weights.ts";
import { testRandom } from "../../devices.ts";
import { storeTensors } from "./made_up_weights.ts";

/** Maps of odd sizes, one as large as the kernels of the phases, and one of a single value. */
export const ENLARGED_MAPS = [
  { inputs: 3, outputs: 5, height: 7, width: 4 },
  { inputs: 32, outputs: 32, height: 5, width: 9 },
  { inputs: 64, outputs: 16, height: 1, width: 6 },
  { inputs: 8, outputs: 4, height: 2, width: 2 },
  { inputs: 8, outputs: 4, height: 1, width: 2 },
  { inputs: 1, outputs: 2, height: 1, width: 1 },
] as const;
/**
 * Of the sum of the products' sizes: summed weights are rounded by up to 1.8e-7 of theirs, and sums of at
 * most 256 products in f32 by a few times 6e-8.
 */
export const ENLARGING_TOLERANCE = 1e-6;

/**
 * The greatest error of a value.
 *
 * @param byRows Whether the rows above and below are given with the map, zeros here, as if it were a stretch
 * of a larger one.
 */
export async function worstEnlarged(
  enlarge: typeof enlargingConvolution,
  device: Device,
  { inputs, outputs, height, width }: typeof ENLARGED_MAPS[number],
  { byRows, cpuProvider = "wasm" }: { readonly byRows: boolean; readonly cpuProvider?: CpuProvider },
): Promise<number> {
  const random = testRandom(inputs + height);
  const fill = (length: number): Float32Array<ArrayBuffer> => {
    return Float32Array.from({ length }, () => 2 * random() - 1);
  };
  const map = fill(inputs * height * width);
  const kernel = fill(outputs * inputs * 9);
  const bias = fill(outputs);
  const stored = storeTensors(
    new Map([
      ["c.weight", { shape: [outputs, inputs, 3, 3], values: kernel }],
      ["c.bias", { shape: [outputs], values: bias }],
    ]),
  );
  const weights = new GraphWeights("enlarging", stored.set, stored.places);
  const { graph } = weights;
  const x = graph.input({ name: "x", type: "float32", shape: [1, inputs, "height", "width"] });
  const slice = (begin: number, end: number): string => {
    const places = [[begin], [end], [2]].map((place) => graph.constant("int64", place));
    return graph.add("Slice", [x, ...places]);
  };
  const rows = { rows: [slice(0, -1), slice(1, height + 2)] as const };
  const sizes = { name: "c", inputs, outputs };
  graph.output(
    { name: "y", type: "float32", shape: [1, outputs, "rows", "columns"] },
    enlarge(weights, x, byRows ? { ...sizes, ...rows } : sizes),
  );
  await using session = await createGraphSession(device, graph.bytes(), {
    externalFiles: [{ path: "weights", data: stored.data }],
    cpuProvider,
  });
  const framed = new Float32Array(inputs * (height + 2) * width);
  for (let c = 0; c < inputs; c++) {
    const plane = map.subarray(c * height * width, (c + 1) * height * width);
    framed.set(plane, (c * (height + 2) + 1) * width);
  }
  using array = device.upload(byRows ? framed : map);
  const { y } = await session.run({ x: { array, shape: [1, inputs, height + (byRows ? 2 : 0), width] } });
  using result = y!;
  const found = await readFloats(result);
  if (found.length !== outputs * 4 * height * width) throw new Error(`There are ${found.length} values`);

  let worst = 0;
  for (const [i, value] of found.entries()) {
    const column = i % (2 * width);
    const row = Math.floor(i / (2 * width)) % (2 * height);
    const output = Math.floor(i / (4 * height * width));
    let sum = bias[output]!;
    let sizes = Math.abs(sum);
    for (let input = 0; input < inputs; input++) {
      for (let k = 0; k < 9; k++) {
        const r = (row + Math.floor(k / 3) - 1) >> 1;
        const c = (column + k % 3 - 1) >> 1;
        if (r < 0 || r >= height || c < 0 || c >= width) continue;
        const product = map[(input * height + r) * width + c]! * kernel[(output * inputs + input) * 9 + k]!;
        sum += product;
        sizes += Math.abs(product);
      }
    }
    worst = Math.max(worst, Math.abs(value - sum) / sizes);
  }
  return worst;
}
