import { assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../kernels/cpu_device.ts";
import { type Device, readFloats, readWords } from "../../kernels/device.ts";
import { nearestCodes, type NearestCodesArguments } from "../../kernels/nearest.ts";
import { unitRows } from "../../kernels/unit_rows.ts";
import { testOnDevices, testOnGpu, testRandom } from "../devices.ts";

async function nearest(
  device: Device,
  rows: Float32Array,
  codes: Float32Array,
  channels: number,
): Promise<number[]> {
  const count = rows.length / channels;
  using features = device.upload(rows, "features");
  using codebook = device.upload(codes, "codebook");
  using tokens = device.upload(new Uint32Array(count).fill(0xdeadbeef), "tokens");
  device.run(nearestCodes, {
    features,
    codebook,
    tokens,
    count,
    vocabulary: codes.length / channels,
    channels,
  });
  return [...await readWords(tokens)];
}

testOnDevices("nearest codes are at the least distance in float64", async (device) => {
  const random = testRandom(14);
  for (
    const [count, vocabulary, channels] of [[1, 1, 1], [7, 63, 3], [30, 65, 17], [12, 1000, 32]] as const
  ) {
    const rows = Float32Array.from({ length: count * channels }, () => random() * 2 - 1);
    const codes = Float32Array.from({ length: vocabulary * channels }, () => random() * 2 - 1);
    const wanted = Array.from({ length: count }, (_, row) => {
      const distances = Array.from({ length: vocabulary }, (_, code) => {
        let sum = 0;
        for (let c = 0; c < channels; c++) {
          sum += (rows[row * channels + c]! - codes[code * channels + c]!) ** 2;
        }
        return sum;
      });
      return distances.indexOf(Math.min(...distances));
    });
    assertEquals(await nearest(device, rows, codes, channels), wanted);
  }
});

testOnDevices("equal distances go to the lower code", async (device) => {
  const codes = new Float32Array(300).map((_, i) => i % 3);
  assertEquals(await nearest(device, new Float32Array([0.5, 1.5, 2, -9, 1]), codes, 1), [0, 1, 2, 0, 1]);
});

testOnDevices("a row at no finite distance gets code 0, a code at none is passed over", async (device) => {
  const rows = new Float32Array([NaN, 0, Infinity, 0, 1e30, 1e30, 2, 2]);
  assertEquals(await nearest(device, rows, new Float32Array([5, 5, 1, 1]), 2), [0, 0, 0, 1]);
  const codes = new Float32Array([NaN, 0, Infinity, 0, -Infinity, 0, 4, 0]);
  assertEquals(await nearest(device, new Float32Array([1, 0]), codes, 2), [3]);
});

testOnDevices("unit rows have length 1 and the direction they had", async (device) => {
  const random = testRandom(15);
  const [count, channels] = [70, 33];
  const rows = Float32Array.from(
    { length: count * channels },
    () => (random() - 0.5) * 10 ** (random() * 8 - 4),
  );
  rows.fill(0, 0, channels);
  rows.fill(1e-20, channels, 2 * channels);
  using input = device.upload(rows);
  using output = device.allocate(rows.length);
  device.run(unitRows, { input, output, count, channels });
  const units = await readFloats(output);
  for (let row = 0; row < count; row++) {
    const norm = Math.hypot(...rows.subarray(row * channels, (row + 1) * channels));
    for (let i = row * channels; i < (row + 1) * channels; i++) {
      const wanted = row < 2 ? 0 : rows[i]! / norm;
      // The squares' sum is off by up to 3 roundings a channel, the norm by half of that; root, inverse and product by one each.
      const limit = (1.5 * channels + 5) * 2 ** -23 * Math.abs(wanted);
      assertEquals(Math.abs(units[i]! - wanted) <= limit, true, `${units[i]}, ${wanted}`);
    }
  }
});

testOnGpu("nearest codes and unit rows have the same bits on the GPU", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(16);
  for (let round = 0; round < 40; round++) {
    const count = Math.floor(random() * 20);
    const vocabulary = 1 + Math.floor(random() * 200);
    const channels = 1 + Math.floor(random() * 40);
    const scale = 10 ** (random() * 47 - 30);
    // Few levels make many ties.
    const levels = random() < 0.5 ? 3 : 2 ** 24;
    const value = (): number => Math.floor((random() - 0.5) * levels) / levels * scale;
    const rows = Float32Array.from({ length: count * channels }, value);
    const codes = Float32Array.from({ length: vocabulary * channels }, value);
    assertEquals(await nearest(device, rows, codes, channels), await nearest(cpu, rows, codes, channels));
    const units = await Promise.all([device, cpu].map(async (device) => {
      using input = device.upload(codes);
      using output = device.allocate(codes.length);
      device.run(unitRows, { input, output, count: vocabulary, channels });
      return await readWords(output);
    }));
    assertEquals(units[0], units[1]);
  }
});

Deno.test("nearest codes refuse bad calls", () => {
  using device = new CpuDevice();
  const good: NearestCodesArguments = {
    features: device.allocate(4, "features"),
    codebook: device.allocate(6, "codebook"),
    tokens: device.allocate(2, "tokens"),
    ...{ count: 2, vocabulary: 3, channels: 2 },
  };
  device.run(nearestCodes, good);
  const refused = (change: Partial<NearestCodesArguments>, message: string): void => {
    assertThrows(
      () => device.run(nearestCodes, { ...good, ...change }),
      RangeError,
      `Cannot find nearest codes as ${message}`,
    );
  };
  refused({ count: -1 }, "count must be an integer >= 0: current value is -1");
  refused({ vocabulary: 0 }, "vocabulary must be an integer >= 1: current value is 0");
  refused({ channels: 0 }, "channels must be an integer >= 1: current value is 0");
  refused({ count: 3 }, '"features" must hold at least 6 words: it holds 4');
  refused({ vocabulary: 4 }, '"codebook" must hold at least 8 words: it holds 6');
  refused({ tokens: device.allocate(1, "tokens") }, '"tokens" must hold at least 2 words: it holds 1');
});

Deno.test("unit rows refuse bad calls", () => {
  using device = new CpuDevice();
  const input = device.allocate(4, "input");
  const output = device.allocate(4, "output");
  const run = (count: number, channels: number, target = output) => () =>
    device.run(unitRows, { input, output: target, count, channels });
  run(2, 2)();
  const start = "Cannot scale rows to length 1 as";
  assertThrows(run(-1, 2), RangeError, `${start} count must be an integer >= 0: current value is -1`);
  assertThrows(run(2, 0), RangeError, `${start} channels must be an integer >= 1: current value is 0`);
  assertThrows(run(3, 2), RangeError, `${start} "input" must hold at least 6 words: it holds 4`);
  assertThrows(
    run(2, 2, device.allocate(3, "short")),
    RangeError,
    `${start} "short" must hold at least 4 words: it holds 3`,
  );
  assertThrows(run(2, 2, input), TypeError, `${start} input and output must be two arrays: both are "input"`);
});
