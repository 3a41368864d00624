import { assert, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { whitenRows, type WhitenRowsArguments } from "../../../kernels/points/whiten.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

interface Case {
  input: Float32Array;
  mean: number[];
  matrix: Float32Array;
  batch: number;
  count: number;
  dimensions: number;
  diagonal: boolean;
}

async function whitened(device: Device, item: Case): Promise<Float32Array> {
  const { batch, count, dimensions, diagonal } = item;
  const high = item.mean.map(Math.fround);
  using input = device.upload(item.input, "input");
  using mean = device.upload(new Float32Array(item.mean.flatMap((x, i) => [high[i]!, x - high[i]!])), "mean");
  using matrix = device.upload(item.matrix, "matrix");
  using output = device.upload(
    new Float32Array(batch * count * Math.ceil(dimensions / 4) * 4).fill(7),
    "output",
  );
  device.run(whitenRows, { input, mean, matrix, output, batch, count, dimensions, diagonal });
  return await readFloats(output);
}

testOnDevices(
  "whitenRows: rows are whitened within the stated bound, with large means too",
  async (device) => {
    const random = testRandom(1);
    for (
      const [batch, count, dimensions] of [[1, 1, 1], [1, 70, 3], [3, 5, 4], [2, 9, 37], [1, 100, 8]] as const
    ) {
      for (const diagonal of [false, true]) {
        // Not numbers of float32, so that the second word of the mean counts.
        const mean = Array.from({ length: batch * dimensions }, () => (random() - 0.5) * 1e6 + 1e6);
        const rows = batch * count;
        const input = Float32Array.from(
          { length: rows * dimensions },
          (_, i) => mean[Math.floor(i / dimensions / count) * dimensions + i % dimensions]! + random() - 0.5,
        );
        const size = diagonal ? dimensions : dimensions ** 2;
        const matrix = Float32Array.from({ length: batch * size }, () => random() * 4 - 2);
        const found = await whitened(device, { input, mean, matrix, batch, count, dimensions, diagonal });
        const stride = Math.ceil(dimensions / 4) * 4;
        for (const [at, value] of found.entries()) {
          const [row, i] = [Math.floor(at / stride), at % stride];
          const element = Math.floor(row / count);
          let [wanted, spread] = [0, 0];
          for (let k = diagonal ? i : 0; k <= i && i < dimensions; k++) {
            const factor = matrix[element * size + (diagonal ? i : i * dimensions + k)]!;
            const term = factor * (input[row * dimensions + k]! - mean[element * dimensions + k]!);
            wanted += term;
            spread += Math.abs(term);
          }
          // 2^-49: what the two words leave of the mean, times the matrix.
          const limit = (i + 5) * 2 ** -24 * spread + (i + 1) * 2 * 2e6 * 2 ** -49;
          assert(Math.abs(value - wanted) <= limit, `${at}: ${value}, ${wanted}, within ${limit}`);
        }
      }
    }
  },
);

testOnDevices("whitenRows: powers of two without a mean are exact", async (device) => {
  const random = testRandom(2);
  const input = Float32Array.from({ length: 35 }, () => (random() - 0.5) * 10 ** (random() * 20 - 10));
  const matrix = new Float32Array(5).fill(2 ** 13);
  const found = await whitened(device, {
    input,
    mean: Array(5).fill(0),
    matrix,
    batch: 1,
    count: 7,
    dimensions: 5,
    diagonal: true,
  });
  assertEquals(
    [...found],
    Array.from({ length: 56 }, (_, i) => i % 8 < 5 ? input[Math.floor(i / 8) * 5 + i % 8]! * 2 ** 13 : 0),
  );
});

testOnDevices(
  "whitenRows: values that are not finite stay so, and an infinity hides no NaN",
  async (device) => {
    const shape = {
      mean: [1, 2],
      matrix: new Float32Array([1, 0, 1, -1]),
      batch: 1,
      count: 5,
      dimensions: 2,
    };
    const input = new Float32Array([
      Infinity,
      0,
      0,
      Infinity,
      NaN,
      Infinity,
      Infinity,
      Infinity,
      -Infinity,
      NaN,
    ]);
    const rows = (found: Float32Array): number[][] =>
      Array.from({ length: 5 }, (_, i) => [...found.subarray(4 * i, 4 * i + 4)]);
    assertEquals(rows(await whitened(device, { ...shape, input, diagonal: false })), [
      [Infinity, Infinity, 0, 0],
      [-1, Infinity, 0, 0],
      [NaN, NaN, 0, 0],
      [Infinity, Infinity, 0, 0],
      [Infinity, NaN, 0, 0],
    ]);
    assertEquals(
      (await whitened(device, { ...shape, input: new Float32Array(0), count: 0, diagonal: false })).length,
      0,
    );
  },
);

Deno.test("whitenRows: whitening refuses bad calls", () => {
  using device = new CpuDevice();
  const input = device.allocate(6, "input");
  const mean = device.allocate(6, "mean");
  const matrix = device.allocate(9, "matrix");
  const output = device.allocate(8, "output");
  const good: WhitenRowsArguments = { input, mean, matrix, output, batch: 1, count: 2, dimensions: 3 };
  device.run(whitenRows, good);
  const refused = (change: Partial<WhitenRowsArguments>, reason: string): void => {
    assertThrows(
      () => device.run(whitenRows, { ...good, ...change }),
      RangeError,
      `Cannot whiten rows as ${reason}`,
    );
  };
  refused({ batch: 0.5 }, "batch must be an integer >= 0: current value is 0.5");
  refused({ count: -2 }, "count must be an integer >= 0: current value is -2");
  refused({ dimensions: 0 }, "dimensions must be an integer from 1 to 32768: current value is 0");
  refused({ count: 3 }, '"input" must hold at least 9 words: it holds 6');
  refused({ mean: device.allocate(5, "short") }, '"short" must hold at least 6 words: it holds 5');
  refused({ matrix: mean }, '"mean" must hold at least 9 words: it holds 6');
  refused({ output: input }, '"input" must hold at least 8 words: it holds 6');
});
