import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, type DeviceArray, readFloats, readWords } from "../../../kernels/device/device.ts";
import { hammingBandwidth } from "../../../kernels/candidates/hamming_bandwidth.ts";
import {
  hammingDensity,
  type HammingDensityArguments,
  type HammingScoresArguments,
  runHammingDensity,
} from "../../../kernels/candidates/hamming_density.ts";
import { sumDensities } from "../../../kernels/candidates/sum_densities.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";
import { BITS_EXPECTED, BITS_SHAPE, bitTokens } from "../../fixtures/var-scaling/bits.ts";

interface Shape {
  images: number;
  draws: number;
  positions: number;
  bits: number;
}

/**
 * Bits that are mostly 0, those beyond the last included, so that all distances occur; `rare` is the
 * probability of a 1.
 */
function sparseBits(
  random: () => number,
  { images, draws, positions, bits }: Shape,
  rare: number = 0.1,
): Uint32Array {
  return Uint32Array.from({ length: images * draws * positions * Math.ceil(bits / 32) }, () => {
    let word = 0;
    for (let b = 0; b < 32; b++) if (random() < rare) word |= 1 << b;
    return word >>> 0;
  });
}

async function scoresOf(
  device: Device,
  data: Uint32Array,
  shape: Shape,
  options: { bandwidth?: number; epsilon?: number; leaveOneOut?: boolean; scratch?: number } = {},
): Promise<{ bandwidth: Float32Array; scores: Float32Array }> {
  const { bandwidth: given, scratch, ...rest } = options;
  using tokens = device.upload(data, "tokens");
  const places = shape.images * shape.positions;
  using bandwidth = device.upload(new Float32Array(places).fill(given ?? 0), "bandwidth");
  using scores = device.allocate(shape.images * shape.draws, "scores");
  if (given === undefined) device.run(hammingBandwidth, { tokens, output: bandwidth, ...shape });
  const args = { tokens, bandwidth, scores, ...shape, ...rest };
  runHammingDensity(device, args, scratch === undefined ? {} : { scratch });
  const [h, s] = await device.read([bandwidth, scores]);
  return { bandwidth: new Float32Array(h!.buffer), scores: new Float32Array(s!.buffer) };
}

testOnDevices("runHammingDensity: densities of bits are the published ones", async (device) => {
  const { scores } = await scoresOf(device, bitTokens(), BITS_SHAPE);
  const close = (found: number, wanted: number): void => assertAlmostEquals(found, wanted, 1e-6 * wanted);
  for (const [i, score] of BITS_EXPECTED.first.entries()) close(scores[i]!, score);
  for (const [i, score] of BITS_EXPECTED.last.entries()) close(scores[197 + i]!, score);
  close(scores.reduce((a, b) => a + b), BITS_EXPECTED.sum);
  close(Math.max(...scores), BITS_EXPECTED.max);
  close(Math.min(...scores), BITS_EXPECTED.min);
  const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!);
  assertEquals(order.slice(0, 20), [...BITS_EXPECTED.order]);
});

testOnDevices(
  "runHammingDensity: densities of bits are eq. 2 in float64 without its constant",
  async (device) => {
    const random = testRandom(41);
    const shapes: Shape[] = [
      { images: 1, draws: 1, positions: 1, bits: 1 },
      { images: 2, draws: 5, positions: 3, bits: 7 },
      { images: 1, draws: 130, positions: 2, bits: 32 },
      { images: 1, draws: 70, positions: 2, bits: 45 },
      { images: 1, draws: 40, positions: 1, bits: 200 },
    ];
    for (const shape of shapes) {
      const { images, draws, positions, bits } = shape;
      const words = Math.ceil(bits / 32);
      const data = sparseBits(random, shape);
      // From Silverman's, where only neighbours count, to one in which all do.
      for (const epsilon of [1e-6, 0.3, 2, 20]) {
        for (const leaveOneOut of [false, true]) {
          const { bandwidth, scores } = await scoresOf(device, data, shape, { epsilon, leaveOneOut });
          for (let candidate = 0; candidate < images * draws; candidate++) {
            const image = Math.floor(candidate / draws);
            let wanted = 0;
            let bound = 0;
            for (let position = 0; position < positions; position++) {
              const h = bandwidth[image * positions + position]! + epsilon;
              const bit = (draw: number, c: number): number => {
                const word = data[((image * draws + draw) * positions + position) * words + (c >> 5)]!;
                return word >>> (c & 31) & 1;
              };
              for (let other = 0; other < draws; other++) {
                if (leaveOneOut && other === candidate % draws) continue;
                let distance = 0;
                for (let c = 0; c < bits; c++) distance += (bit(candidate % draws, c) - bit(other, c)) ** 2;
                const t = distance / (2 * h * h);
                wanted += Math.exp(-t);
                if (distance > 0) bound += 2 ** -30 + Math.exp(-t) * (20 * 2 ** -24 * t + 5e-7);
              }
            }
            const found = scores[candidate]!;
            assert(
              Math.abs(found - wanted) <= bound + 2 ** -23 * wanted,
              `${JSON.stringify(shape)}, ${epsilon}, ${leaveOneOut}: ${found}, ${wanted}`,
            );
          }
        }
      }
    }
  },
);

testOnDevices(
  "runHammingDensity: permuting candidates permutes their densities; bits that are not used do not count",
  async (device) => {
    const random = testRandom(42);
    const shape = { images: 1, draws: 150, positions: 3, bits: 37 };
    const data = sparseBits(random, shape, 0.03);
    const { scores } = await scoresOf(device, data, shape);
    const places = Array.from({ length: shape.draws }, (_, i) => i).sort(() => random() - 0.5);
    const permuted = Uint32Array.from(places.flatMap((i) => [...data.subarray(6 * i, 6 * i + 6)]));
    assertEquals([...(await scoresOf(device, permuted, shape)).scores], places.map((i) => scores[i]!));
    const noisy = data.map((word, i) => i % 2 === 1 ? word ^ Math.floor(random() * 2 ** 27) << 5 : word);
    assertEquals((await scoresOf(device, noisy, shape)).scores, scores);
    // Complementing a bit everywhere changes no distance.
    const turned = data.map((word, i) => i % 2 === 0 ? word ^ 0x80000401 : word ^ 0x11);
    assertEquals((await scoresOf(device, turned, shape)).scores, scores);
  },
);

testOnDevices("runHammingDensity: one candidate and candidates that all agree", async (device) => {
  for (const bits of [5, 32, 64]) {
    // From 1021 candidates on, a count of one distance no longer fits into a byte.
    for (const draws of [1, 2, 300, 2100]) {
      const shape = { images: 2, draws, positions: 3, bits };
      const data = new Uint32Array(2 * draws * 3 * Math.ceil(bits / 32)).fill(0xdeadbeef);
      for (const epsilon of [0, 1e-6, 5]) {
        const { bandwidth, scores } = await scoresOf(device, data, shape, { epsilon });
        assert(bandwidth.every((h) => h === 0));
        assert(scores.every((score) => score === 3 * draws));
        const others = await scoresOf(device, data, shape, { epsilon, leaveOneOut: true });
        assert(others.scores.every((score) => score === 3 * (draws - 1)));
      }
    }
  }
});

testOnDevices(
  "runHammingDensity: bandwidths may be averaged over the batch, also where images take turns",
  async (device) => {
    const shape = { images: 5, draws: 40, positions: 3, bits: 35 };
    const data = sparseBits(testRandom(44), shape, 0.1);
    // One image is less spread than the others.
    for (let i = 0; i < data.length / 5; i++) if (i % 3 !== 0) data[i] = 0;
    using tokens = device.upload(data);
    using bandwidth = device.allocate(15);
    using scores = device.allocate(200);
    device.run(hammingBandwidth, { tokens, output: bandwidth, ...shape });
    const widths = await readFloats(bandwidth);
    const mean = Float32Array.from({ length: 15 }, (_, i) => {
      return [0, 1, 2, 3, 4].reduce((sum, image) => sum + widths[3 * image + i % 3]!, 0) / 5;
    });
    assert(mean.some((h, i) => Math.abs(h - widths[i]!) > 0.1 * h));
    using averaged = device.upload(mean);
    const args = { tokens, scores, ...shape, epsilon: 0.3 };
    runHammingDensity(device, { ...args, bandwidth: averaged });
    const wanted = await readFloats(scores);
    let before: Float32Array | undefined;
    for (const scratch of [2 ** 25, 2 * 40 * 3 * 2, 1]) {
      runHammingDensity(device, { ...args, bandwidth, batchBandwidth: true }, { scratch });
      const found = await readFloats(scores);
      // The average is rounded another way than here, by a few parts in 2^24, and the exponent twice that.
      for (const [i, score] of found.entries()) assertAlmostEquals(score, wanted[i]!, 1e-5 * wanted[i]!);
      assertEquals(found, before ?? found);
      before = found;
    }
  },
);

testOnGpu("runHammingDensity: averaged bandwidths give the same bits on the GPU", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(45);
  for (
    const shape of [{ images: 3, draws: 150, positions: 4, bits: 16 }, {
      images: 7,
      draws: 9,
      positions: 2,
      bits: 70,
    }]
  ) {
    const data = sparseBits(random, shape, 0.2);
    const found = await Promise.all([device, cpu].map(async (device) => {
      using tokens = device.upload(data);
      using bandwidth = device.allocate(shape.images * shape.positions);
      using scores = device.allocate(shape.images * shape.draws);
      device.run(hammingBandwidth, { tokens, output: bandwidth, ...shape });
      runHammingDensity(device, { tokens, bandwidth, scores, ...shape, batchBandwidth: true, epsilon: 0.2 });
      return await readFloats(scores);
    }));
    assertEquals(found[0], found[1]);
  }
});

testOnDevices("hammingDensity: sums of single positions add up to the scores", async (device) => {
  const shape = { images: 2, draws: 20, positions: 5, bits: 12 };
  const data = sparseBits(testRandom(43), shape);
  const { scores } = await scoresOf(device, data, shape, { bandwidth: 0.5 });
  using tokens = device.upload(data);
  using bandwidth = device.upload(new Float32Array(10).fill(0.5));
  using sums = device.allocate(2 * 20 * 5 * 2);
  using each = device.allocate(2 * 20 * 5);
  device.run(hammingDensity, { tokens, bandwidth, sums, ...shape });
  device.run(sumDensities, { sums, scores: each, images: 10, draws: 20, positions: 1 });
  const parts = await readFloats(each);
  for (const [candidate, score] of scores.entries()) {
    const image = Math.floor(candidate / 20);
    let sum = 0;
    for (let position = 0; position < 5; position++) {
      sum += parts[(image * 5 + position) * 20 + candidate % 20]!;
    }
    assertAlmostEquals(sum, score, 1e-5);
  }
});

testOnDevices(
  "runHammingDensity: images take turns where scratch is short, with the same densities, and nothing leaks",
  async (device) => {
    const shape = { images: 5, draws: 30, positions: 3, bits: 20 };
    const data = sparseBits(testRandom(44), shape);
    const { scores } = await scoresOf(device, data, shape);
    const before = device.counters;
    for (const scratch of [1, 180, 400, 10000]) {
      assertEquals((await scoresOf(device, data, shape, { scratch })).scores, scores);
    }
    assertEquals(device.counters.liveArrays, before.liveArrays);
    assertEquals(device.counters.liveBytes, before.liveBytes);
  },
);

testOnDevices("runHammingDensity: arrays may be views at any offset", async (device) => {
  const shape = { images: 1, draws: 9, positions: 2, bits: 40 };
  const data = sparseBits(testRandom(45), shape);
  const { scores } = await scoresOf(device, data, shape, { bandwidth: 0.4 });
  using memory = device.upload(new Float32Array(100));
  const at = (offset: number, length: number): DeviceArray => device.view(memory, offset, length);
  device.write(memory, data, 3);
  device.write(memory, new Float32Array([0.4, 0.4]), 41);
  runHammingDensity(device, { tokens: at(3, 36), bandwidth: at(41, 2), scores: at(45, 9), ...shape });
  assertEquals((await readFloats(memory)).subarray(45, 54), scores);
});

testOnGpu("runHammingDensity: densities of bits have the same bits on the GPU", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(46);
  for (let round = 0; round < 40; round++) {
    const shape = {
      images: Math.floor(random() * 3),
      draws: [1, 3, 64, 127, 128, 129, 300][round % 7]!,
      positions: 1 + Math.floor(random() * 4),
      bits: 1 + Math.floor(random() * 100),
    };
    const data = sparseBits(random, shape, random() ** 2);
    const options = {
      epsilon: [0, 1e-6, random(), 10 ** (random() * 20 - 10)][round % 4]!,
      leaveOneOut: random() < 0.5,
    };
    assertEquals(await scoresOf(device, data, shape, options), await scoresOf(cpu, data, shape, options));
  }
  for (const bandwidth of [NaN, Infinity, -1, 1e-30, 1e30]) {
    const shape = { images: 1, draws: 50, positions: 1, bits: 32 };
    const data = sparseBits(random, shape, 0.05);
    const wanted = await scoresOf(cpu, data, shape, { bandwidth });
    assertEquals((await scoresOf(device, data, shape, { bandwidth })).scores, wanted.scores);
  }
  for (
    const [shape, epsilon] of [
      [{ images: 1, draws: 8192, positions: 1, bits: 32 }, 1e-6],
      [{ images: 1, draws: 8192, positions: 1, bits: 20 }, 1],
      [{ images: 1, draws: 1000, positions: 1, bits: 512 }, 3],
      [{ images: 1, draws: 4096, positions: 2, bits: 64 }, 0.1],
    ] as const
  ) {
    const data = sparseBits(random, shape, 0.04);
    assertEquals(
      await scoresOf(device, data, shape, { epsilon }),
      await scoresOf(cpu, data, shape, { epsilon }),
    );
  }
});

testOnGpu(
  "hammingDensity: sums are the same integers on the GPU, however many kernel values are above 0",
  async (device) => {
    using cpu = new CpuDevice();
    const shape = { images: 1, draws: 200, positions: 1, bits: 32 };
    // Distances around 8.
    const data = sparseBits(testRandom(47), shape, 0.14);
    const sumsOf = async (on: Device, h: number): Promise<Uint32Array> => {
      using tokens = on.upload(data);
      using bandwidth = on.upload(new Float32Array([h]));
      using sums = on.allocate(400);
      on.run(hammingDensity, { tokens, bandwidth, sums, ...shape, epsilon: 0 });
      return await readWords(sums);
    };
    for (let last = 0; last < 14; last++) {
      // The kernel is 0 from distance last + 1 on.
      const h = Math.sqrt((last + 0.9) / (62 * Math.LN2));
      assertEquals(await sumsOf(device, h), await sumsOf(cpu, h), `${last}`);
    }
  },
);

Deno.test("hammingDensity: densities of bits refuse bad calls", async () => {
  using device = new CpuDevice();
  const good: HammingDensityArguments & HammingScoresArguments = {
    tokens: device.allocate(12, "tokens"),
    bandwidth: device.allocate(2, "bandwidth"),
    sums: device.allocate(12, "sums"),
    scores: device.allocate(3, "scores"),
    ...{ images: 1, draws: 3, positions: 2, bits: 33 },
  };
  device.run(hammingDensity, good);
  runHammingDensity(device, good);
  assertEquals(
    [...await readWords(good.sums)].filter((_, i) => i % 2 === 0),
    new Array(6).fill(3 * 2 ** 30 % 2 ** 32),
  );
  const live = device.counters.liveArrays;
  const refused = (change: Partial<typeof good>, error: typeof RangeError, message: string): void => {
    const args = { ...good, ...change };
    const full = `Cannot estimate densities of bits as ${message}`;
    if (change.scores === undefined) assertThrows(() => device.run(hammingDensity, args), error, full);
    if (change.sums === undefined) assertThrows(() => runHammingDensity(device, args), error, full);
  };
  refused({ images: 0.5 }, RangeError, "images must be an integer >= 0: current value is 0.5");
  refused({ draws: 0 }, RangeError, "draws must be an integer from 1 to 8192: current value is 0");
  refused({ positions: 0 }, RangeError, "positions must be an integer >= 1: current value is 0");
  refused({ bits: 513 }, RangeError, "bits must be an integer from 1 to 512: current value is 513");
  refused({ epsilon: -1 }, RangeError, "epsilon must be a finite number >= 0: current value is -1");
  refused(
    { draws: 8192, positions: 1025 },
    RangeError,
    "draws * positions must be an integer from 1 to 8388608: current value is 8396800",
  );
  refused({ bits: 65 }, RangeError, '"tokens" must hold at least 18 words: it holds 12');
  refused({ bandwidth: device.allocate(1, "h") }, RangeError, '"h" must hold at least 2 words: it holds 1');
  refused({ sums: device.allocate(11, "s") }, RangeError, '"s" must hold at least 12 words: it holds 11');
  refused({ scores: device.allocate(2, "s") }, RangeError, '"s" must hold at least 3 words: it holds 2');
  assertEquals(device.counters.liveArrays, live + 3);
  assertThrows(
    () => runHammingDensity(device, good, { scratch: 0 }),
    RangeError,
    "Cannot sum densities as scratch must be an integer >= 1: current value is 0",
  );
});
