import { assert, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { inverseLengths, type InverseLengthsArguments } from "../../../kernels/points/inverse_lengths.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

async function measure(
  device: Device,
  words: Float32Array | Uint32Array,
  shape: Omit<InverseLengthsArguments, "input" | "output">,
): Promise<number[]> {
  using input = device.upload(words);
  using output = device.upload(new Float32Array(shape.count + 1).fill(-1));
  device.run(inverseLengths, { ...shape, input, output });
  const found = [...await readFloats(output)];
  assertEquals(found.pop(), -1);
  return found;
}

testOnDevices("inverseLengths: inverse lengths are those of float64", async (device) => {
  const random = testRandom(1);
  for (const [count, dimensions] of [[1, 1], [130, 2], [70, 3], [65, 4], [9, 31], [5, 300], [1, 262140]]) {
    // The last factors reach lengths whose squares overflow and underflow.
    for (const scale of [1, 1e-3, 1e7, 2 ** 62, 2 ** 110, 2 ** -46]) {
      const values = Float32Array.from({ length: count! * dimensions! }, () => (0.1 + random()) * scale);
      const shape = { count: count!, dimensions: dimensions! };
      for (const [i, found] of (await measure(device, values, shape)).entries()) {
        const row = values.subarray(i * dimensions!, (i + 1) * dimensions!);
        const wanted = 1 / Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
        const bound = (dimensions! / 8 + 10) * 2 ** -24;
        assert(Math.abs(found / wanted - 1) <= bound, `${dimensions}, ${scale}: ${found}, ${wanted}`);
      }
    }
  }
});

testOnDevices("inverseLengths: halves have the inverse lengths of their values", async (device) => {
  const values = new Float16Array([3, 4, 0, 0, 0, 0, 2, 0, 0, 6e-8, 0, 0, Infinity, 1, 1, NaN]);
  const words = new Uint32Array(values.buffer);
  const found = await measure(device, words, { count: 5, dimensions: 3, storage: "f16" });
  for (const [i, wanted] of [0.2, 0, 0.5, 2 ** 24, NaN].entries()) {
    if (Number.isNaN(wanted)) assertEquals(found[i], wanted);
    else assert(Math.abs(found[i]! - wanted) <= wanted * 11 * 2 ** -24, `${i}: ${found[i]}`);
  }
});

testOnDevices("inverseLengths: too short has no length, and too long none that counts", async (device) => {
  const shortest = 2 ** -50;
  const values = new Float32Array([
    ...[0, 0, shortest * 0.99, 0, shortest, 0, 2 ** 126, 0, 2 ** 126, 2 ** 125, 3e38, 3e38],
    ...[Infinity, 1, 1, -Infinity, NaN, 0, Infinity, NaN],
  ]);
  const found = await measure(device, values, { count: 10, dimensions: 2 });
  assertEquals(found.slice(0, 2), [0, 0]);
  assert(Math.abs(found[2]! * shortest - 1) <= 11 * 2 ** -24);
  assert(Math.abs(found[3]! * 2 ** 126 - 1) <= 11 * 2 ** -24);
  assertEquals(found.slice(4), [NaN, NaN, NaN, NaN, NaN, NaN]);
});

testOnDevices("inverseLengths: no vectors have no lengths", async (device) => {
  assertEquals(await measure(device, new Float32Array(), { count: 0, dimensions: 3 }), []);
});

Deno.test("inverseLengths: inverse lengths refuse bad calls", () => {
  using device = new CpuDevice();
  const input = device.allocate(6, "input");
  const output = device.allocate(2, "output");
  const good: InverseLengthsArguments = { input, output, count: 2, dimensions: 3 };
  const refused = (
    change: Partial<InverseLengthsArguments>,
    error: typeof RangeError,
    message: string,
  ): void => {
    const thrown = assertThrows(() => device.run(inverseLengths, { ...good, ...change }), error);
    assertEquals(thrown.message, `Cannot measure lengths as ${message}`);
  };
  device.run(inverseLengths, good);
  refused({ count: -1 }, RangeError, "count must be an integer >= 0: current value is -1");
  refused(
    { dimensions: 262141 },
    RangeError,
    "dimensions must be an integer from 1 to 262140: current value is 262141",
  );
  refused(
    { storage: "f8" as "f16" },
    TypeError,
    'storage must be one of "f32", "f16": current value is "f8"',
  );
  refused({ dimensions: 4 }, RangeError, '"input" must hold at least 8 words: it holds 6');
  refused({ count: 3, dimensions: 2 }, RangeError, '"output" must hold at least 3 words: it holds 2');
});
