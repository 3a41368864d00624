/**
 * Convolutions by Winograd's algorithm against direct ones in f64, within the bound that its rounding errors
 * have, value by value.
 */

import { assert, assertEquals } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { winogradConvolution } from "../../../models/autoencoder/winograd.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
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
  /** Whether the graph tells how large values are. */
  readonly sized?: boolean;
}

/** Half of the distance of two neighbouring f32 numbers of size 1. */
const UNIT = 2 ** -24;

/** Finite points of the algorithm; the last one is infinity. */
const POINTS = [0, 5 / 8, -5 / 8, 3 / 2, -3 / 2];

/** The product of (z - point) of all points, lowest power first. */
function polynomial(points: readonly number[]): number[] {
  return points.reduce((product, point) => {
    return [...product, 0].map((_, k) => (product[k - 1] ?? 0) - point * (product[k] ?? 0));
  }, [1]);
}

const powers = (point: number, count: number): number[] =>
  Array.from({ length: count }, (_, k) => point ** k);

/** Transforms of a tile and a kernel, a row for each point, and of results, a row for each point likewise. */
const TILE = [
  ...POINTS.map((point) => [...polynomial(POINTS.filter((other) => other !== point)), 0]),
  polynomial(POINTS),
];
const KERNEL = [
  ...POINTS.map((point) => {
    const value = POINTS.filter((other) => other !== point).reduce(
      (product, other) => product * (point - other),
      1,
    );
    return powers(point, 3).map((power) => power / value);
  }),
  [0, 0, 1],
];
const RESULT = [...POINTS.map((point) => powers(point, 4)), [0, 0, 0, 1]];

/** Values of a square of `side` by `side` transformed from both sides by six rows, everything by its size. */
function sizesOf(
  rows: readonly (readonly number[])[],
  side: number,
  value: (r: number, c: number) => number,
): number[] {
  return rows.flatMap((up) =>
    rows.map((across) => {
      let sum = 0;
      for (let r = 0; r < side; r++) {
        for (let c = 0; c < side; c++) sum += Math.abs(up[r]! * across[c]! * value(r, c));
      }
      return sum;
    })
  );
}

function random(length: number, next: () => number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, () => 2 * next() - 1);
}

function build(
  { inputs, outputs, doubles, strips, sized = false }: Case,
  kernel: Float32Array,
  bias: Float32Array,
) {
  const stored = storeTensors(
    new Map([
      ["c.weight", { shape: [outputs, inputs, 3, 3], values: kernel }],
      ["c.bias", { shape: [outputs], values: bias }],
    ]),
  );
  const weights = new GraphWeights("convolution", stored.set, stored.places);
  const x = weights.graph.input({ name: "x", type: "float32", shape: ["images", inputs, "height", "width"] });
  const size = sized ? "any" : undefined;
  const options = { name: "c", inputs, outputs, doubles, size, ...(strips === undefined ? {} : { strips }) };
  weights.graph.output(
    { name: "y", type: "float32", shape: ["images", outputs, "rows", "columns"] },
    winogradConvolution(weights, x, options),
  );
  return { graph: weights.graph.bytes(), data: stored.data };
}

interface Values {
  readonly map: Float32Array;
  readonly kernel: Float32Array;
  readonly bias: Float32Array;
}

/** Convolves directly, in f64. */
function direct({ map, kernel, bias }: Values, sizes: Case): Float64Array {
  const { images, inputs, outputs, height, width, doubles } = sizes;
  const factor = doubles ? 2 : 1;
  const [rows, columns] = [factor * height, factor * width];
  return Float64Array.from({ length: images * outputs * rows * columns }, (_, at) => {
    const column = at % columns;
    const row = Math.floor(at / columns) % rows;
    const output = Math.floor(at / (rows * columns)) % outputs;
    const image = Math.floor(at / (outputs * rows * columns));
    let sum = bias[output]!;
    for (let k = 0; k < 9; k++) {
      const [r, c] = [row + Math.floor(k / 3) - 1, column + k % 3 - 1];
      if (r < 0 || r >= rows || c < 0 || c >= columns) continue;
      const place = Math.floor(r / factor) * width + Math.floor(c / factor);
      for (let input = 0; input < inputs; input++) {
        sum += map[(image * inputs + input) * height * width + place]! *
          kernel[(output * inputs + input) * 9 + k]!;
      }
    }
    return sum;
  });
}

/** What all terms of each result add up to by their sizes, in the order of the results. */
function termSizes({ map, kernel, bias }: Values, sizes: Case): Float64Array {
  const { images, inputs, outputs, height, width, doubles } = sizes;
  const factor = doubles ? 2 : 1;
  const [rows, columns] = [factor * height, factor * width];
  const kernels = Array.from({ length: outputs * inputs }, (_, i) => {
    return sizesOf(KERNEL, 3, (r, c) => kernel[9 * i + 3 * r + c]!);
  });
  const found = new Float64Array(images * outputs * rows * columns);
  for (let image = 0; image < images; image++) {
    for (let top = 0; top < rows; top += 4) {
      for (let left = 0; left < columns; left += 4) {
        const tiles = Array.from({ length: inputs }, (_, input) => {
          return sizesOf(TILE, 6, (r, c) => {
            const [row, column] = [top + r - 1, left + c - 1];
            if (row < 0 || row >= rows || column < 0 || column >= columns) return 0;
            const place = Math.floor(row / factor) * width + Math.floor(column / factor);
            return map[(image * inputs + input) * height * width + place]!;
          });
        });
        for (let output = 0; output < outputs; output++) {
          const products = Array.from({ length: 36 }, (_, at) => {
            return tiles.reduce(
              (sum, tile, input) => sum + tile[at]! * kernels[output * inputs + input]![at]!,
              0,
            );
          });
          for (let row = top; row < Math.min(rows, top + 4); row++) {
            for (let column = left; column < Math.min(columns, left + 4); column++) {
              const size = products.reduce((sum, product, at) => {
                const [up, across] = [RESULT[Math.floor(at / 6)]!, RESULT[at % 6]!];
                return sum + Math.abs(up[row - top]! * across[column - left]!) * product;
              }, Math.abs(bias[output]!));
              found[((image * outputs + output) * rows + row) * columns + column] = size;
            }
          }
        }
      }
    }
  }
  return found;
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
  const values = { map, kernel, bias };
  return { found: await readFloats(result), wanted: direct(values, sizes), terms: termSizes(values, sizes) };
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
  { images: 2, inputs: 4, outputs: 3, height: 3, width: 5, doubles: true, strips: 4 },
  { images: 1, inputs: 4, outputs: 3, height: 9, width: 6, doubles: false, strips: 16 },
  { images: 2, inputs: 4, outputs: 3, height: 45, width: 6, doubles: false, strips: 5, sized: true },
  { images: 1, inputs: 4, outputs: 4, height: 23, width: 9, doubles: true, strips: 8, sized: true },
];

for (const sizes of CASES) {
  const { images, inputs, outputs, height, width, doubles, strips, sized = false } = sizes;
  const words = `${images} × ${inputs} to ${outputs} channels of ${height} by ${width}` +
    `${doubles ? ", doubled" : ""}${strips === undefined ? "" : `, in ${strips} strips`}` +
    (sized ? " of known size" : "");
  Deno.test(`winogradConvolution: ${words} agree with f64`, async () => {
    for (const scale of [1, 1e-20, 1e20]) {
      const { found, wanted, terms } = await convolve(sizes, scale);
      assertEquals(found.length, wanted.length);
      let [errors, admitted] = [0, 0];
      for (const [i, value] of found.entries()) {
        const error = Math.abs(value - wanted[i]!);
        const bound = (inputs + 54) * UNIT * terms[i]!;
        assert(error <= bound, `${i}: off by ${error}, and ${bound} is admitted`);
        errors += (error / scale) ** 2;
        admitted += (UNIT * terms[i]! / scale) ** 2;
      }
      // Errors of as many signs cancel: all together are a fraction of one rounding of every term.
      assert(errors <= admitted / 16, `${Math.sqrt(errors / admitted)} roundings`);
    }
  });
}
