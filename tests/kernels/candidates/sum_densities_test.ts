import { assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { sumDensities, type SumDensitiesArguments } from "../../../kernels/candidates/sum_densities.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

testOnDevices(
  "sumDensities: sums of positions are added as integers and rounded down once",
  async (device) => {
    const random = testRandom(71);
    for (const [images, draws, positions, rows] of [[1, 1, 1, 1], [2, 5, 3, 4], [1, 130, 7, 200]] as const) {
      for (const grouped of [false, true]) {
        const count = grouped ? rows : draws;
        const sums = Array.from(
          { length: images * positions * count },
          () => BigInt(Math.floor(random() * 2 ** 43)) + 2n ** 30n,
        );
        const members = Uint32Array.from({ length: images * draws * positions }, () => random() * count);
        using words = device.upload(
          Uint32Array.from(sums.flatMap((sum) => [Number(sum & 0xffffffffn), Number(sum >> 32n)])),
        );
        using table = device.upload(members);
        using scores = device.allocate(images * draws);
        for (const leaveOneOut of [false, true]) {
          const way = grouped ? { members: table, rows } : {};
          device.run(sumDensities, { sums: words, scores, images, draws, positions, leaveOneOut, ...way });
          const wanted = Array.from({ length: images * draws }, (_, candidate) => {
            let total = leaveOneOut ? -BigInt(positions) << 30n : 0n;
            for (let position = 0; position < positions; position++) {
              const row = grouped ? members[candidate * positions + position]! : candidate % draws;
              total += sums[(Math.floor(candidate / draws) * positions + position) * count + row]!;
            }
            // All but the upper 24 bits dropped.
            const drop = BigInt(Math.max(0, total.toString(2).length - 24));
            return Number(total >> drop << drop) / 2 ** 30;
          });
          assertEquals([...await readFloats(scores)], wanted);
        }
      }
    }
  },
);

Deno.test("sumDensities: summing densities refuses bad calls", () => {
  using device = new CpuDevice();
  const good: SumDensitiesArguments = {
    sums: device.allocate(12, "sums"),
    scores: device.allocate(3, "scores"),
    ...{ images: 1, draws: 3, positions: 2 },
  };
  device.run(sumDensities, good);
  const refused = (change: Partial<SumDensitiesArguments>, message: string): void => {
    assertThrows(
      () => device.run(sumDensities, { ...good, ...change }),
      RangeError,
      `Cannot sum densities as ${message}`,
    );
  };
  refused({ images: -1 }, "images must be an integer >= 0: current value is -1");
  refused({ draws: 0 }, "draws must be an integer from 1 to 8192: current value is 0");
  refused({ positions: 0 }, "positions must be an integer >= 1: current value is 0");
  refused(
    { draws: 8192, positions: 1025 },
    "draws * positions must be an integer from 1 to 8388608: current value is 8396800",
  );
  refused({ rows: 2 }, "rows must be an integer >= 3: current value is 2");
  refused({ rows: 0, members: device.allocate(6) }, "rows must be an integer >= 1: current value is 0");
  refused({ members: device.allocate(5, "m") }, '"m" must hold at least 6 words: it holds 5');
  refused({ sums: device.allocate(11, "s") }, '"s" must hold at least 12 words: it holds 11');
  refused({ scores: device.allocate(2, "s") }, '"s" must hold at least 3 words: it holds 2');
});
