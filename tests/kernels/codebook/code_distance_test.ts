import { assert, assertEquals, assertThrows } from "@std/assert";
import { codeDistances, type CodeDistancesArguments } from "../../../kernels/codebook/code_distance.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

interface Data {
  rows: Float32Array;
  codes: Float32Array;
  ids: Uint32Array;
  channels: number;
}

async function measured(device: Device, { rows, codes, ids, channels }: Data): Promise<Float32Array> {
  using features = device.upload(rows);
  using codebook = device.upload(codes);
  using tokens = device.upload(ids);
  using distances = device.upload(new Float32Array(ids.length).fill(-1));
  const shape = { count: ids.length, vocabulary: codes.length / channels, channels };
  device.run(codeDistances, { features, codebook, tokens, distances, ...shape });
  return await readFloats(distances);
}

function randomData(random: () => number, count: number, vocabulary: number, channels: number): Data {
  const scale = 10 ** (random() * 20 - 10);
  const value = (): number => (random() - 0.5) * scale * 10 ** (random() * 6 - 3);
  return {
    rows: Float32Array.from({ length: count * channels }, value),
    codes: Float32Array.from({ length: vocabulary * channels }, value),
    ids: Uint32Array.from({ length: count }, () => Math.floor(random() * vocabulary)),
    channels,
  };
}

testOnDevices("codeDistances: distances to codes are those of float64", async (device) => {
  const random = testRandom(31);
  for (
    const [count, vocabulary, channels] of [[1, 1, 1], [70, 9, 33], [200, 300, 130], [65, 8912, 4]] as const
  ) {
    const data = randomData(random, count, vocabulary, channels);
    const found = await measured(device, data);
    for (let row = 0; row < count; row++) {
      let wanted = 0;
      for (let c = 0; c < channels; c++) {
        wanted += (data.rows[row * channels + c]! - data.codes[data.ids[row]! * channels + c]!) ** 2;
      }
      // Each difference is rounded and squared, each square adds three roundings; differences below 2^-50
      // count as 0.
      const bound = (3 * channels + 2) * 2 ** -24 * wanted * 1.001 + channels * 2 ** -100;
      assert(Math.abs(found[row]! - wanted) <= bound, `${found[row]}, ${wanted}`);
    }
  }
});

testOnDevices("codeDistances: what is not finite, and no code, is at infinity", async (device) => {
  const codes = new Float32Array([0, NaN, Infinity, 1e30]);
  const rows = new Float32Array([0, 0, 0, 0, Infinity, 0, NaN, 3]);
  const ids = new Uint32Array([0, 1, 2, 3, 2, 4, 0, 0xffffffff]);
  const wanted = [0, ...Array(7).fill(Infinity)];
  assertEquals([...await measured(device, { rows, codes, ids, channels: 1 })], wanted);
  assertEquals((await measured(device, { rows, codes, ids: new Uint32Array(0), channels: 2 })).length, 0);
});

testOnGpu("codeDistances: distances to codes have the same bits on the GPU", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(32);
  for (let round = 0; round < 20; round++) {
    const channels = 1 + Math.floor(random() * 50);
    const data = randomData(random, Math.floor(random() * 200), 1 + Math.floor(random() * 20), channels);
    const [wanted, found] = [await measured(cpu, data), await measured(device, data)];
    assertEquals(new Uint32Array(found.buffer), new Uint32Array(wanted.buffer));
  }
});

Deno.test("codeDistances: distances to codes refuse bad calls", async () => {
  using device = new CpuDevice();
  const good: CodeDistancesArguments = {
    features: device.allocate(4, "features"),
    codebook: device.allocate(6, "codebook"),
    tokens: device.allocate(2, "tokens"),
    distances: device.allocate(2, "distances"),
    ...{ count: 2, vocabulary: 3, channels: 2 },
  };
  device.run(codeDistances, good);
  const refused = (change: Partial<CodeDistancesArguments>, message: string): void => {
    const error = assertThrows(() => device.run(codeDistances, { ...good, ...change }), RangeError);
    assertEquals((error as Error).message, `Cannot measure distances to codes as ${message}`);
  };
  refused({ count: -1 }, "count must be an integer >= 0: current value is -1");
  refused({ vocabulary: 0 }, "vocabulary must be an integer >= 1: current value is 0");
  refused({ channels: 0 }, "channels must be an integer from 1 to 65535: current value is 0");
  refused({ count: 3 }, '"features" must hold at least 6 words: it holds 4');
  refused({ vocabulary: 4 }, '"codebook" must hold at least 8 words: it holds 6');
  refused({ tokens: device.allocate(1, "tokens") }, '"tokens" must hold at least 2 words: it holds 1');
  refused({ distances: device.allocate(1, "short") }, '"short" must hold at least 2 words: it holds 1');
  assertEquals([...await readWords(good.tokens)], [0, 0]);
});
