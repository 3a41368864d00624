import { assertEquals, assertThrows } from "@std/assert";
import { silvermanBandwidth } from "../../../kernels/candidates/bandwidth.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type DensityArguments, gaussianDensity } from "../../../kernels/candidates/density.ts";
import { type Device, type DeviceArray, readFloats } from "../../../kernels/device/device.ts";
import {
  groupDensity,
  type GroupDensityArguments,
  runDensity,
} from "../../../kernels/candidates/group_density.ts";
import { groupSizes, groupTokens } from "../../../kernels/candidates/group_tokens.ts";
import { sumDensities } from "../../../kernels/candidates/sum_densities.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";
import { type Pool, randomPool, shapeOf } from "../../var_scaling.ts";

type Options = Partial<
  Pick<DensityArguments, "epsilon" | "batchBandwidth" | "features" | "leaveOneOut"> & { scratch: number }
>;

/** Scores of `gaussianDensity` (`"direct"`), of the three kernels, or of whichever `runDensity` takes. */
async function scoresOf(
  device: Device,
  pool: Pool,
  way: "direct" | "grouped" | "run",
  options: Options = {},
): Promise<Float32Array> {
  const { scratch, ...rest } = options;
  const shape = shapeOf(pool);
  using owned = new DisposableStack();
  const tokens = owned.use(device.upload(pool.tokens, "tokens"));
  const codebook = owned.use(device.upload(pool.codebook, "codebook"));
  const bandwidth = owned.use(device.allocate(pool.images * pool.positions, "bandwidth"));
  const scores = owned.use(device.allocate(pool.images * pool.draws, "scores"));
  // Bandwidths of codes that are no numbers are not defined; densities are.
  const finite = owned.use(device.upload(pool.codebook.map((x) => Number.isFinite(x) ? x : 0)));
  const { features } = rest;
  device.run(silvermanBandwidth, {
    tokens,
    codebook: finite,
    output: bandwidth,
    ...shape,
    ...(features && { features }),
  });
  const args = { tokens, codebook, bandwidth, scores, ...shape, ...rest };
  if (way === "direct") device.run(gaussianDensity, args);
  else if (way === "run") runDensity(device, args, scratch === undefined ? {} : { scratch });
  else {
    const { rows, ...lengths } = groupSizes(shape);
    const arrays = Object.fromEntries(
      Object.entries(lengths).map(([name, length]) => [name, owned.use(device.allocate(length, name))]),
    ) as Record<keyof typeof lengths, DeviceArray>;
    device.run(groupTokens, { ...args, ...arrays });
    device.run(groupDensity, { ...args, ...arrays, rows });
    device.run(sumDensities, { ...args, ...arrays, rows });
  }
  return await readFloats(scores);
}

testOnDevices("groupDensity: densities of groups are those of candidates, bit for bit", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(51);
  const draws = [1, 2, 63, 64, 65, 130, 257, 300];
  for (let round = 0; round < 32; round++) {
    const vocabulary = 1 + Math.floor(random() * 400);
    const pool = randomPool(random, {
      images: Math.floor(random() * 4),
      draws: draws[round % draws.length]!,
      positions: 1 + Math.floor(random() * 4),
      vocabulary,
      channels: 1 + Math.floor(random() * 20),
    }, 1 + Math.floor(random() * vocabulary));
    const scale = 10 ** (random() * 10 - 6);
    pool.codebook.forEach((x, i) => pool.codebook[i] = x * scale);
    // Tokens that are no code, and codes that are no numbers.
    if (round % 4 === 0) {
      pool.tokens.forEach((_, i) => random() < 0.1 && (pool.tokens[i] = 0xffffffff - i % 3));
    }
    if (round % 8 === 1) pool.codebook[Math.floor(random() * pool.codebook.length)] = NaN;
    if (round % 8 === 5) pool.codebook[Math.floor(random() * pool.codebook.length)] = Infinity;
    const options = {
      batchBandwidth: random() < 0.5,
      leaveOneOut: random() < 0.5,
      epsilon: random() < 0.5 ? 1e-6 : scale * random() * 3,
    };
    const wanted = await scoresOf(cpu, pool, "direct", options);
    assertEquals(await scoresOf(device, pool, "direct", options), wanted);
    assertEquals(await scoresOf(device, pool, "grouped", options), wanted);
    assertEquals(await scoresOf(device, pool, "run", options), wanted);
  }
});

testOnGpu("groupDensity: large pools have the same bits on the GPU", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(52);
  for (
    const [draws, positions, vocabulary, channels] of [
      [8192, 1, 700, 12],
      [1000, 3, 4096, 6],
      [200, 70, 30, 5],
      [500, 1, 90, 33],
    ] as const
  ) {
    const pool = randomPool(random, { images: 1, draws, positions, vocabulary, channels });
    for (const epsilon of [1e-6, 0.4]) {
      assertEquals(
        await scoresOf(device, pool, "run", { epsilon }),
        await scoresOf(cpu, pool, "run", { epsilon }),
      );
    }
  }
});

testOnDevices("groupDensity: images take turns where scratch is short, and nothing leaks", async (device) => {
  const random = testRandom(53);
  const pool = randomPool(random, { images: 5, draws: 140, positions: 3, vocabulary: 60, channels: 6 });
  const one = groupSizes({ ...shapeOf(pool), images: 1 }).vectors;
  const before = device.counters;
  for (const batchBandwidth of [false, true]) {
    const wanted = await scoresOf(device, pool, "direct", { batchBandwidth });
    for (const scratch of [1, one - 1, one, 2 * one, 100 * one]) {
      assertEquals(await scoresOf(device, pool, "run", { batchBandwidth, scratch }), wanted);
    }
  }
  const joint = await scoresOf(device, pool, "direct", { features: "joint" });
  assertEquals(await scoresOf(device, pool, "run", { features: "joint" }), joint);
  assertEquals(device.counters.liveArrays, before.liveArrays);
  assertEquals(device.counters.liveBytes, before.liveBytes);
});

Deno.test("groupDensity: densities of groups refuse bad calls", () => {
  using device = new CpuDevice();
  const good: GroupDensityArguments = {
    groups: device.allocate(16, "groups"),
    vectors: device.allocate(64, "vectors"),
    bandwidth: device.allocate(2, "bandwidth"),
    sums: device.allocate(16, "sums"),
    ...{ images: 1, positions: 2, rows: 4, channels: 5 },
  };
  device.run(groupDensity, good);
  const refused = (change: Partial<GroupDensityArguments>, message: string): void => {
    assertThrows(
      () => device.run(groupDensity, { ...good, ...change }),
      RangeError,
      `Cannot estimate densities of groups as ${message}`,
    );
  };
  refused({ images: -1 }, "images must be an integer >= 0: current value is -1");
  refused({ positions: 0 }, "positions must be an integer >= 1: current value is 0");
  refused({ rows: 8193 }, "rows must be an integer from 1 to 8192: current value is 8193");
  refused({ channels: 0 }, "channels must be an integer >= 1: current value is 0");
  refused({ epsilon: Infinity }, "epsilon must be a finite number >= 0: current value is Infinity");
  refused({ channels: 9 }, '"vectors" must hold at least 96 words: it holds 64');
  refused({ rows: 5 }, '"groups" must hold at least 20 words: it holds 16');
  refused({ bandwidth: device.allocate(1, "h") }, '"h" must hold at least 2 words: it holds 1');
  refused({ sums: device.allocate(15, "s") }, '"s" must hold at least 16 words: it holds 15');

  const live = device.counters.liveArrays;
  const pool = {
    tokens: device.allocate(256, "tokens"),
    codebook: device.allocate(8, "codebook"),
    bandwidth: device.allocate(1, "bandwidth"),
    scores: device.allocate(255, "scores"),
    ...{ images: 1, draws: 256, positions: 1, vocabulary: 4, channels: 2 },
  };
  assertThrows(
    () => runDensity(device, pool),
    RangeError,
    'Cannot estimate densities as "scores" must hold at least 256 words: it holds 255',
  );
  assertEquals(device.counters.liveArrays, live + 4);
});
