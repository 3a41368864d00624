/**
 * Blocks of integers: their layout is ONNX Runtime's, their scales are at least as good as common practice,
 * their extremes are harmless.
 */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import type { ExternalWeight } from "../../../models/weights/weight_places.ts";
import { GraphBuilder, MICROSOFT } from "../../../models/graphs/graph_builder.ts";
import {
  BLOCK,
  type BlockOptions,
  blockShapes,
  blockSizes,
  dequantizeBlocks,
  quantizeBlocks,
} from "../../../models/weights/quantize.ts";
import { testOnDevices } from "../../devices.ts";

/** Normal numbers that are the same every time. */
function normal(count: number, seed: number = 1): Float32Array<ArrayBuffer> {
  let state = seed;
  const uniform = (): number => (state = Math.imul(state, 1664525) + 1013904223 >>> 0) / 2 ** 32 + 2 ** -33;
  return Float32Array.from({ length: count }, () => {
    return Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  });
}

function squaredError(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  return Array.from(wanted, (value, i) => (value - found[i]!) ** 2).reduce((sum, square) => sum + square, 0);
}

/** llama.cpp's Q4_0 and its like for 8 bits: the value of largest magnitude becomes the lowest integer. */
function plainBlock(block: Float32Array, bits: 4 | 8): number[] {
  const half = 2 ** (bits - 1);
  const extreme = block.reduce((most, value) => Math.abs(value) > Math.abs(most) ? value : most, 0);
  const scale = Math.fround(extreme / -half);
  return Array.from(block, (value) => {
    return scale === 0 ? 0 : scale * Math.max(-half, Math.min(half - 1, Math.floor(value / scale + 0.5)));
  });
}

/** The largest value to the highest integer, as many steps to both sides. */
function evenBlock(block: Float32Array, bits: 4 | 8): number[] {
  const top = 2 ** (bits - 1) - 1;
  const scale = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / top;
  return Array.from(block, (value) => scale * Math.round(value / scale));
}

for (const bits of [4, 8] as const) {
  testOnDevices(
    `quantizeBlocks: MatMulNBits multiplies by what the blocks of ${bits} bits stand for`,
    async (device) => {
      for (const [rows, columns] of [[8, 64], [48, 96], [5, 32]] as const) {
        const options: BlockOptions = { rows, columns, bits };
        const { packed, scales } = quantizeBlocks(normal(rows * columns), options);
        const shapes = blockShapes(options);
        const graph = new GraphBuilder("product");
        const place = (file: string, length: number, facts: Pick<ExternalWeight, "type" | "shape">) => {
          return { file, offset: 0, length, ...facts };
        };
        const x = graph.input({ name: "x", type: "float32", shape: ["rows", columns] });
        const y = graph.add(`${MICROSOFT}.MatMulNBits`, [
          x,
          graph.weight("w", place("w", packed.length, { type: "uint8", shape: shapes.packed })),
          graph.weight("s", place("s", scales.byteLength, { type: "float32", shape: shapes.scales })),
        ], { K: columns, N: rows, bits, block_size: BLOCK });
        graph.output({ name: "y", type: "float32", shape: ["rows", rows] }, y);
        await using session = await createGraphSession(device, graph.bytes(), {
          externalFiles: [{ path: "w", data: packed }, { path: "s", data: new Uint8Array(scales.buffer) }],
        });
        const inputs = normal(3 * columns, 2);
        using array = device.upload(inputs);
        const { y: product } = await session.run({ x: { array, shape: [3, columns] } });
        using result = product!;
        const found = await readFloats(result);
        const weights = dequantizeBlocks({ packed, scales }, options);
        for (let i = 0; i < 3; i++) {
          for (let row = 0; row < rows; row++) {
            let wanted = 0;
            let magnitude = 0;
            for (let k = 0; k < columns; k++) {
              const term = inputs[i * columns + k]! * weights[row * columns + k]!;
              wanted += term;
              magnitude += Math.abs(term);
            }
            // A float32 sum of n products is off by at most n + 1 roundings of the sum of magnitudes.
            const bound = (columns + 1) * 2 ** -24 * magnitude;
            assert(Math.abs(found[i * rows + row]! - wanted) <= bound, `${found[i * rows + row]} ${wanted}`);
          }
        }
      }
    },
  );

  Deno.test(`dequantizeBlocks: blocks of ${bits} bits are nowhere worse than the plain ones, and better on the whole`, () => {
    const [rows, columns] = [64, 256];
    const values = normal(rows * columns, 3);
    // Also heavy tails, blocks of one sign, and blocks of very different size.
    for (let i = 0; i < values.length; i++) {
      if (i >> 5 & 1) values[i]! **= 3;
      if (i >> 6 & 1) values[i] = Math.abs(values[i]!);
      values[i]! *= 10 ** ((i >> 7) % 30 - 15);
    }
    const options: BlockOptions = { rows, columns, bits };
    const found = dequantizeBlocks(quantizeBlocks(values, options), options);
    const relative = { found: 0, plain: 0, even: 0 };
    for (let begin = 0; begin < values.length; begin += BLOCK) {
      const block = values.subarray(begin, begin + BLOCK);
      const power = squaredError(new Float32Array(BLOCK), block);
      const error = squaredError(found.subarray(begin, begin + BLOCK), block);
      const plain = squaredError(plainBlock(block, bits), block);
      // The scale is rounded to float32: some 1e-7 of each value.
      assert(error <= plain * (1 + 1e-5) + power * 1e-12, `block ${begin / BLOCK}: ${error}, plain ${plain}`);
      relative.found += error / power;
      relative.plain += plain / power;
      relative.even += squaredError(evenBlock(block, bits), block) / power;
    }
    assert(relative.found < (bits === 4 ? 0.92 : 0.99) * relative.plain, JSON.stringify(relative));
    assert(relative.found < 0.98 * relative.even, JSON.stringify(relative));
  });

  Deno.test(`quantizeBlocks: values that blocks of ${bits} bits can hold come back`, () => {
    const half = 2 ** (bits - 1);
    const options: BlockOptions = { rows: 3, columns: BLOCK, bits };
    const values = new Float32Array(3 * BLOCK);
    for (const [row, scale] of [0.25, -0.375, 2 ** -100].entries()) {
      // The lowest integer is among them, so the scale can only be this one.
      for (let i = 0; i < BLOCK; i++) values[row * BLOCK + i] = scale * (i === 5 ? -half : (i * 7) % half);
    }
    const blocks = quantizeBlocks(values, options);
    assertEquals(dequantizeBlocks(blocks, options), values);
    assertEquals([...blocks.scales], [0.25, -0.375, 2 ** -100]);
  });

  Deno.test(`quantizeBlocks: extremes in blocks of ${bits} bits do no harm`, () => {
    const options: BlockOptions = { rows: 1, columns: BLOCK, bits };
    const through = (...values: number[]) => {
      const all = new Float32Array(BLOCK);
      all.set(values);
      const blocks = quantizeBlocks(all, options);
      return { ...blocks, values: dequantizeBlocks(blocks, options) };
    };
    const zero = through();
    assertEquals([...zero.scales], [0]);
    assert(zero.packed.every((byte) => byte === (bits === 4 ? 0x88 : 0x80)));
    assertEquals(zero.values, new Float32Array(BLOCK));
    // Denormals: of the size that float32 can tell, or nothing.
    for (const tiny of [1e-45, 1e-42, -3e-39]) {
      const { values } = through(tiny);
      assert(Math.abs(values[0]! - Math.fround(tiny)) <= Math.abs(Math.fround(tiny)), `${tiny} ${values[0]}`);
      assert(values.subarray(1).every((value) => value === 0));
    }
    const largest = 3.4028234663852886e38;
    for (const huge of [largest, -largest]) {
      const { values } = through(huge, 1, -1e30);
      assert(Math.abs(values[0]! - huge) <= 2 ** -20 * largest, String(values[0]));
      assertEquals([...values.subarray(1, 3)], [0, 0]);
    }
    for (const value of [NaN, Infinity, -Infinity]) {
      const error = assertThrows(() => through(1, 2, value), RangeError);
      assertEquals(
        error.message,
        `Cannot quantize the values as they must be finite: value 2 is ${value}`,
      );
    }
  });

  Deno.test(`dequantizeBlocks: rows of ${bits} bits are filled up to whole blocks with zeros`, () => {
    for (const columns of [1, 31, 33, 63]) {
      const options: BlockOptions = { rows: 3, columns, bits };
      const values = normal(3 * columns, 4);
      const blocks = quantizeBlocks(values, options);
      const shapes = blockShapes(options);
      const wide = blockSizes(shapes.packed);
      assertEquals(wide, { rows: 3, columns: Math.ceil(columns / BLOCK) * BLOCK, bits });
      assertEquals(blocks.packed.length, shapes.packed.reduce((a, b) => a * b));
      assertEquals(blocks.scales.length, shapes.scales.reduce((a, b) => a * b));
      const whole = dequantizeBlocks(blocks, wide);
      const narrow = dequantizeBlocks(blocks, options);
      for (let i = 0; i < whole.length; i++) {
        const column = i % wide.columns;
        const wanted = column < columns ? narrow[Math.floor(i / wide.columns) * columns + column]! : 0;
        assert(whole[i] === wanted, `${columns} ${i}`);
      }
      assert(squaredError(narrow, values) < 0.01 * squaredError(new Float32Array(values.length), values));
    }
  });
}

Deno.test("quantizeBlocks: 4 bits: the earlier of two values is in the low half of their byte", () => {
  const values = Float32Array.from({ length: BLOCK }, (_, i) => i === 31 ? -8 : i % 8);
  const { packed, scales } = quantizeBlocks(values, { rows: 1, columns: BLOCK, bits: 4 });
  assertEquals([...scales], [1]);
  assertEquals(
    [...packed].map((byte) => byte.toString(16)),
    Array.from({ length: 16 }, (_, i) => i === 15 ? "e" : ["98", "ba", "dc", "fe"][i % 4]!),
  );
});

Deno.test("quantizeBlocks: wrong numbers of values and blocks are refused", () => {
  const error = assertThrows(
    () => quantizeBlocks(new Float32Array(5), { rows: 2, columns: 3, bits: 4 }),
    TypeError,
  );
  assertEquals(
    error.message,
    "Cannot quantize the values as 2 rows of 3 need 6: current length is 5",
  );
  const blocks = quantizeBlocks(new Float32Array(64), { rows: 2, columns: 32, bits: 8 });
  const wrong = assertThrows(() => dequantizeBlocks(blocks, { rows: 2, columns: 33, bits: 8 }), TypeError);
  assertStringIncludes(wrong.message, "current lengths are 64 bytes and 2 scales");
  assertThrows(() => dequantizeBlocks(blocks, { rows: 2, columns: 32, bits: 4 }), TypeError);
});
