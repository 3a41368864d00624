import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { silvermanFactor } from "../../../kernels/candidates/bandwidth.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import {
  hammingBandwidth,
  type HammingBandwidthArguments,
} from "../../../kernels/candidates/hamming_bandwidth.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";
import { BITS_EXPECTED, BITS_SHAPE, bitTokens } from "../../fixtures/var-scaling/bits.ts";

interface Shape {
  images: number;
  draws: number;
  positions: number;
  bits: number;
}

/** Bits that are 1 with a probability of their own, those beyond the last included. */
function randomBits(random: () => number, { images, draws, positions, bits }: Shape): Uint32Array {
  const words = Math.ceil(bits / 32);
  const likely = Float64Array.from({ length: positions * words * 32 }, () => random());
  return Uint32Array.from({ length: images * draws * positions * words }, (_, i) => {
    let word = 0;
    for (let b = 0; b < 32; b++) if (random() < likely[(i % (positions * words)) * 32 + b]!) word |= 1 << b;
    return word >>> 0;
  });
}

async function bandwidths(
  device: Device,
  data: Uint32Array,
  shape: Shape,
  deviation: "population" | "sample" = "population",
): Promise<Float32Array> {
  using tokens = device.upload(data, "tokens");
  using output = device.allocate(shape.images * shape.positions, "output");
  device.run(hammingBandwidth, { tokens, output, ...shape, deviation });
  return await readFloats(output);
}

const SHAPES: readonly Shape[] = [
  { images: 1, draws: 1, positions: 1, bits: 1 },
  { images: 2, draws: 2, positions: 3, bits: 31 },
  { images: 2, draws: 50, positions: 5, bits: 32 },
  { images: 1, draws: 257, positions: 2, bits: 33 },
  { images: 1, draws: 1000, positions: 1, bits: 100 },
];

testOnDevices("hammingBandwidth: bandwidths of bits are the published ones", async (device) => {
  const tokens = bitTokens();
  assertEquals(
    tokens.reduce((sum, token) => sum + token.toString(2).replaceAll("0", "").length, 0),
    BITS_EXPECTED.ones,
  );
  const found = await bandwidths(device, tokens, BITS_SHAPE);
  for (const [i, h] of BITS_EXPECTED.bandwidth.entries()) {
    // Recorded with 7 digits.
    assertAlmostEquals(found[i]! + 1e-6, h, 5e-8 + (BITS_SHAPE.bits + 8) * 2 ** -24 * h);
  }
});

testOnDevices("hammingBandwidth: bandwidths of bits are eq. 3 in float64", async (device) => {
  const random = testRandom(31);
  for (const shape of SHAPES) {
    const { images, draws, positions, bits } = shape;
    const words = Math.ceil(bits / 32);
    const data = randomBits(random, shape);
    for (const deviation of ["population", "sample"] as const) {
      if (deviation === "sample" && draws === 1) continue;
      const found = await bandwidths(device, data, shape, deviation);
      for (let place = 0; place < images * positions; place++) {
        const [image, position] = [Math.floor(place / positions), place % positions];
        let sum = 0;
        for (let c = 0; c < bits; c++) {
          const column = Array.from({ length: draws }, (_, draw) => {
            const word = data[((image * draws + draw) * positions + position) * words + Math.floor(c / 32)]!;
            return word >>> c % 32 & 1;
          });
          const mean = column.reduce((a, b) => a + b, 0) / draws;
          const squares = column.reduce((total, x) => total + (x - mean) ** 2, 0);
          sum += Math.sqrt(squares / (deviation === "sample" ? draws - 1 : draws));
        }
        const wanted = sum / bits * silvermanFactor(draws, bits);
        const off = Math.abs(found[place]! - wanted);
        assert(off <= (bits + 8) * 2 ** -24 * wanted, `${JSON.stringify(shape)}: ${found[place]}, ${wanted}`);
      }
    }
  }
});

testOnDevices(
  "hammingBandwidth: bandwidths of bits do not depend on the order of candidates; those that agree have 0",
  async (device) => {
    const shape = { images: 1, draws: 100, positions: 2, bits: 40 };
    const data = randomBits(testRandom(32), shape);
    const found = await bandwidths(device, data, shape);
    const turned = Uint32Array.from(data, (_, i) => data[(i + 17 * 4) % data.length]!);
    assertEquals(await bandwidths(device, turned, shape), found);
    const same = Uint32Array.from(data, (_, i) => data[i % 4]!);
    assertEquals([...await bandwidths(device, same, shape)], [0, 0]);
  },
);

testOnGpu("hammingBandwidth: bandwidths of bits have the same bits on the GPU", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(33);
  for (let round = 0; round < 20; round++) {
    const shape = {
      images: Math.floor(random() * 4),
      draws: 1 + Math.floor(random() * 400),
      positions: 1 + Math.floor(random() * 6),
      bits: 1 + Math.floor(random() * 130),
    };
    const data = randomBits(random, shape);
    assertEquals(await bandwidths(device, data, shape), await bandwidths(cpu, data, shape));
  }
  const many = { images: 1, draws: 8192, positions: 2, bits: 512 };
  const data = Uint32Array.from({ length: 8192 * 32 }, () => random() * 2 ** 32);
  assertEquals(await bandwidths(device, data, many), await bandwidths(cpu, data, many));
});

Deno.test("hammingBandwidth: bandwidths of bits refuse bad calls", () => {
  using device = new CpuDevice();
  const good: HammingBandwidthArguments = {
    tokens: device.allocate(12, "tokens"),
    output: device.allocate(2, "output"),
    ...{ images: 1, draws: 3, positions: 2, bits: 33 },
  };
  device.run(hammingBandwidth, good);
  const refused = (
    change: Partial<HammingBandwidthArguments>,
    error: typeof RangeError,
    message: string,
  ): void => {
    assertThrows(
      () => device.run(hammingBandwidth, { ...good, ...change }),
      error,
      `Cannot estimate bandwidths of bits as ${message}`,
    );
  };
  refused({ images: -1 }, RangeError, "images must be an integer >= 0: current value is -1");
  refused({ draws: 8193 }, RangeError, "draws must be an integer from 1 to 8192: current value is 8193");
  refused({ positions: 0 }, RangeError, "positions must be an integer >= 1: current value is 0");
  refused({ bits: 0 }, RangeError, "bits must be an integer from 1 to 512: current value is 0");
  refused({ bits: 513 }, RangeError, "bits must be an integer from 1 to 512: current value is 513");
  refused(
    { draws: 1, deviation: "sample" },
    RangeError,
    "a sample's deviation needs at least 2 draws: draws is 1",
  );
  refused(
    { deviation: "robust" as "sample" },
    TypeError,
    'deviation must be one of "population", "sample": current value is "robust"',
  );
  refused({ bits: 65 }, RangeError, '"tokens" must hold at least 18 words: it holds 12');
  refused(
    { output: device.allocate(1, "output") },
    RangeError,
    '"output" must hold at least 2 words: it holds 1',
  );
});
