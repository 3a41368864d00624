/**
 * Convolutions by Winograd's algorithm against direct ones in f64, within the bound that its rounding errors
 * have, value by value.
 */

import { assert, assertEquals } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { winogradConvolution } from "../../../models/autoencoder/winograd.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { describeGraph } from "../../../models/graphs/graph_file.ts";
import { GraphWeights } from "../../../models/graphs/graph_weights.ts";
import { testRandom } from "../../devices.ts";
import { storeTensors } from "./made_up_weights.ts";

interface Case {
  readonly images: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly height: number;
  readonly width: number;
  readonly doubles: boolean;
  readonly strips?: number;
}

/** Half of the distance of two neighbouring f32 numbers of size 1. */
const UNIT = 2 ** -24;
/** What the sizes of all terms are, at most, beside those of the products of a direct convolution. */
const AMPLIFICATION = 80;

function random(length: number, next: () => number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, () => 2 * next() - 1);
}

function build({ inputs, outputs, doubles, strips }: Case, kernel: Float32Array, bias: Float32Array) {
  const stored = storeTensors(
    new Map([
      ["c.weight", { shape: [outputs, inputs, 3, 3], values: kernel }],
      ["c.bias", { shape: [outputs], values: bias }],
    ]),
  );
  const weights = new GraphWeights("convolution", stored.set, stored.places);
  const x = weights.graph.input({ name: "x", type: "float32", shape: ["images", inputs, "height", "width"] });
  const options = { name: "c", inputs, outputs, doubles, ...(strips === undefined ? {} : { strips }) };
  weights.graph.output(
    { name: "y", type: "float32", shape: ["images", outputs, "rows", "columns"] },
    winogradConvolution(weights, x, options),
  );
  return { graph: weights.graph.bytes(), data: stored.data };
}

/**
 * Convolves in f64.
 *
 * @returns Values, and the sums of the sizes of their terms.
 */
function direct(map: Float32Array, kernel: Float32Array, bias: Float32Array, sizes: Case) {
  const { images, inputs, outputs, height, width, doubles } = sizes;
  const factor = doubles ? 2 : 1;
  const [rows, columns] = [factor * height, factor * width];
  const values = new Float64Array(images * outputs * rows * columns);
  const terms = new Float64Array(values.length);
  for (let at = 0; at < values.length; at++) {
    const column = at % columns;
    const row = Math.floor(at / columns) % rows;
    const output = Math.floor(at / (rows * columns)) % outputs;
    const image = Math.floor(at / (outputs * rows * columns));
    let [sum, size] = [bias[output]!, Math.abs(bias[output]!)];
    for (let k = 0; k < 9; k++) {
      const [r, c] = [row + Math.floor(k / 3) - 1, column + k % 3 - 1];
      if (r < 0 || r >= rows || c < 0 || c >= columns) continue;
      const place = Math.floor(r / factor) * width + Math.floor(c / factor);
      for (let input = 0; input < inputs; input++) {
        const product = map[(image * inputs + input) * height * width + place]! *
          kernel[(output * inputs + input) * 9 + k]!;
        sum += product;
        size += Math.abs(product);
      }
    }
    values[at] = sum;
    terms[at] = size;
  }
  return { values, terms };
}

async function convolve(sizes: Case, scale = 1) {
  const { images, inputs, outputs, height, width } = sizes;
  const next = testRandom(inputs + 7 * height + width);
  const map = random(images * inputs * height * width, next).map((value) => scale * value);
  const kernel = random(outputs * inputs * 9, next);
  const bias = random(outputs, next).map((value) => scale * value);
  using device = new CpuDevice();
  const { graph, data } = build(sizes, kernel, bias);
  await using session = await createGraphSession(device, graph, {
    externalFiles: [{ path: "weights", data }],
  });
  using array = device.upload(map);
  const { y } = await session.run({ x: { array, shape: [images, inputs, height, width] } });
  using result = y!;
  return { found: await readFloats(result), ...direct(map, kernel, bias, sizes) };
}

const CASES: readonly Case[] = [
  { images: 1, inputs: 3, outputs: 5, height: 7, width: 4, doubles: false },
  { images: 2, inputs: 8, outputs: 4, height: 1, width: 1, doubles: false },
  { images: 1, inputs: 64, outputs: 16, height: 5, width: 11, doubles: false },
  { images: 1, inputs: 300, outputs: 3, height: 4, width: 4, doubles: false },
  { images: 2, inputs: 6, outputs: 7, height: 12, width: 8, doubles: false, strips: 1 },
  { images: 2, inputs: 6, outputs: 7, height: 24, width: 4, doubles: false, strips: 2 },
  { images: 1, inputs: 5, outputs: 2, height: 16, width: 20, doubles: false, strips: 4 },
  { images: 1, inputs: 3, outputs: 5, height: 7, width: 4, doubles: true },
  { images: 2, inputs: 8, outputs: 4, height: 1, width: 1, doubles: true },
  { images: 1, inputs: 64, outputs: 16, height: 5, width: 11, doubles: true },
  { images: 2, inputs: 6, outputs: 7, height: 12, width: 8, doubles: true, strips: 2 },
  { images: 1, inputs: 9, outputs: 2, height: 8, width: 10, doubles: true, strips: 4 },
];

for (const sizes of CASES) {
  const { images, inputs, outputs, height, width, doubles, strips } = sizes;
  const words = `${images} × ${inputs} to ${outputs} channels of ${height} by ${width}` +
    `${doubles ? ", doubled" : ""}${strips === undefined ? "" : `, in ${strips} strips`}`;
  Deno.test(`winogradConvolution: ${words} agree with f64`, async () => {
    for (const scale of [1, 1e-20, 1e20]) {
      const { found, values, terms } = await convolve(sizes, scale);
      assertEquals(found.length, values.length);
      for (const [i, value] of found.entries()) {
        const bound = (inputs + 36) * UNIT * AMPLIFICATION * terms[i]!;
        const error = Math.abs(value - values[i]!);
        assert(error <= bound, `${i}: off by ${error} of ${terms[i]}, and ${bound} is admitted`);
      }
    }
  });
}
