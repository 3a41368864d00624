import { assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import { addSquaredDistance } from "../../../kernels/exact/exact_sums.ts";
import { nearestCodes, type NearestCodesArguments } from "../../../kernels/codebook/nearest.ts";
import { unitRows } from "../../../kernels/codebook/unit_rows.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

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

testOnDevices("nearestCodes: nearest codes are at the least distance in float64", async (device) => {
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

/** The exact rule without any short cut. */
function exactly(rows: Float32Array, codes: Float32Array, channels: number): number[] {
  return Array.from({ length: rows.length / channels }, (_, row) => {
    let [best, nearest] = [Infinity, 0];
    for (let code = 0; code < codes.length / channels; code++) {
      const sum = addSquaredDistance(0, rows, row * channels, codes, code * channels, channels, Infinity);
      if (sum < best) [best, nearest] = [sum, code];
    }
    return nearest;
  });
}

testOnDevices(
  "nearestCodes: of integers, the first of the codes at the least distance is found",
  async (device) => {
    const random = testRandom(17);
    // Few levels, so that distances, exact integers in every arithmetic, are often equal; ragged rows, codes
    // and channels.
    const shapes = [[9, 1, 2], [17, 5, 1], [8, 130, 3], [1, 700, 4], [33, 513, 5], [16, 300, 64], [
      5,
      129,
      130,
    ]];
    for (const [count, vocabulary, channels] of shapes as [number, number, number][]) {
      const levels = channels > 60 ? 2 : 5;
      const integer = (): number => Math.floor(random() * levels) - 2;
      const rows = Float32Array.from({ length: count * channels }, integer);
      const codes = Float32Array.from({ length: vocabulary * channels }, integer);
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
  },
);

testOnDevices("nearestCodes: every number of channels is compared to the last", async (device) => {
  for (let channels = 1; channels <= 130; channels++) {
    // Codes differ in the last channel only.
    const codes = new Float32Array(3 * channels).fill(0.25);
    codes[channels - 1] = 1;
    codes[2 * channels - 1] = -1;
    codes[3 * channels - 1] = 0;
    const rows = new Float32Array(3 * channels).fill(0.5);
    rows[channels - 1] = -2;
    rows[2 * channels - 1] = 0.25;
    rows[3 * channels - 1] = 3;
    assertEquals(await nearest(device, rows, codes, channels), [1, 2, 0], `${channels} channels`);
  }
});

testOnDevices(
  "nearestCodes: distances closer than float32 resolves are told apart by the exact rule",
  async (device) => {
    const random = testRandom(18);
    for (
      const [count, vocabulary, channels] of [[11, 40, 1], [9, 300, 7], [10, 1100, 32], [
        8,
        200,
        100,
      ]] as const
    ) {
      const scale = 10 ** (random() * 8 - 4);
      const middle = Float32Array.from({ length: channels }, () => (random() - 0.5) * scale);
      // All codes lie at nearly the same place, a few units in the last place apart, and some are the same.
      const codes = Float32Array.from(
        { length: vocabulary * channels },
        (_, i) => middle[i % channels]! * (1 + Math.floor(random() * 5 - 2) * 2 ** -23),
      );
      codes.copyWithin(5 * channels, 0, channels);
      const rows = Float32Array.from({ length: count * channels }, () => (random() - 0.5) * 10 * scale);
      assertEquals(await nearest(device, rows, codes, channels), exactly(rows, codes, channels));
    }
  },
);

testOnDevices(
  "nearestCodes: ill-scaled columns and far-off data are told apart by the exact rule",
  async (device) => {
    const random = testRandom(19);
    const [count, vocabulary, channels] = [21, 400, 9];
    for (const offset of [0, 1e6, -3e18]) {
      const value = (_: unknown, i: number): number =>
        offset + (random() - 0.5) * 10 ** (i % channels - 4) * 4;
      const rows = Float32Array.from({ length: count * channels }, value);
      const codes = Float32Array.from({ length: vocabulary * channels }, value);
      assertEquals(await nearest(device, rows, codes, channels), exactly(rows, codes, channels));
    }
  },
);

testOnDevices(
  "nearestCodes: distances at the end of float32 are finite or not by the exact rule",
  async (device) => {
    const random = testRandom(20);
    const [count, vocabulary, channels] = [40, 150, 4];
    const value = (): number => (random() - 0.5) * 2 ** 64.5;
    const rows = Float32Array.from({ length: count * channels }, value);
    const codes = Float32Array.from({ length: vocabulary * channels }, value);
    assertEquals(await nearest(device, rows, codes, channels), exactly(rows, codes, channels));
    // The first code's square, 2^128, is no float32.
    const edge = new Float32Array([2 ** 64, 0, 2 ** 63, (2 ** 63) * (1 - 2 ** -22)]);
    assertEquals(await nearest(device, new Float32Array(2), edge, 2), [1]);
    // Below 2^-50, differences are none.
    const tiny = new Float32Array([2 ** -51, 2 ** -60, 0, 2 ** -52]);
    assertEquals(await nearest(device, new Float32Array([2 ** -51, 0]), tiny, 1), [0, 0]);
  },
);

testOnDevices(
  "nearestCodes: a large codebook is searched to its end, at odd places in memory, too",
  async (device) => {
    const random = testRandom(21);
    const [count, vocabulary, channels] = [9, 8912, 32];
    const codes = Float32Array.from({ length: vocabulary * channels }, () => random() - 0.5);
    const wanted = [8911, 0, 8703, 8704, 127, 128, 511, 512, 4096];
    const rows = Float32Array.from(wanted.flatMap((code) => {
      return [...codes.subarray(code * channels, (code + 1) * channels)].map((x) =>
        x + (random() - 0.5) / 50
      );
    }));
    assertEquals(await nearest(device, rows, codes, channels), wanted);
    const all = new Float32Array(1 + rows.length + codes.length);
    all.set(rows, 1);
    all.set(codes, 1 + rows.length);
    using memory = device.upload(all);
    using output = device.upload(new Uint32Array(count + 4).fill(0xdeadbeef));
    const features = device.view(memory, 1, rows.length);
    const codebook = device.view(memory, 1 + rows.length, codes.length);
    const tokens = device.view(output, 3, count);
    device.run(nearestCodes, { features, codebook, tokens, count, vocabulary, channels });
    assertEquals([...await readWords(output)], [...Array(3).fill(0xdeadbeef), ...wanted, 0xdeadbeef]);
  },
);

testOnDevices("nearestCodes: equal distances go to the lower code", async (device) => {
  const codes = new Float32Array(300).map((_, i) => i % 3);
  assertEquals(await nearest(device, new Float32Array([0.5, 1.5, 2, -9, 1]), codes, 1), [0, 1, 2, 0, 1]);
});

testOnDevices(
  "nearestCodes: a row at no finite distance gets code 0, a code at none is passed over",
  async (device) => {
    const rows = new Float32Array([NaN, 0, Infinity, 0, 1e30, 1e30, 2, 2]);
    assertEquals(await nearest(device, rows, new Float32Array([5, 5, 1, 1]), 2), [0, 0, 0, 1]);
    const codes = new Float32Array([NaN, 0, Infinity, 0, -Infinity, 0, 4, 0]);
    assertEquals(await nearest(device, new Float32Array([1, 0]), codes, 2), [3]);
  },
);

testOnDevices("unitRows: unit rows have length 1 and the direction they had", async (device) => {
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
      // The squares' sum is off by up to 3 roundings a channel, the norm by half of that; root, inverse and
      // product by one each.
      const limit = (1.5 * channels + 5) * 2 ** -23 * Math.abs(wanted);
      assertEquals(Math.abs(units[i]! - wanted) <= limit, true, `${units[i]}, ${wanted}`);
    }
  }
});

testOnGpu("nearestCodes: nearest codes and unit rows have the same bits on the GPU", async (device) => {
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

Deno.test("nearestCodes: nearest codes refuse bad calls", () => {
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
  refused(
    { vocabulary: 65536, channels: 128 },
    "65536 codes of 128 channels take up to 73928 turns of one thread's loops: the most that all adapters do are 65000",
  );
  refused({ tokens: device.allocate(1, "tokens") }, '"tokens" must hold at least 2 words: it holds 1');
});

Deno.test("unitRows: unit rows refuse bad calls", () => {
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
