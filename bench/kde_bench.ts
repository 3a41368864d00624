/**
 * Gaussian densities of points of one's own, as plain sums at a given bandwidth: fitted once, evaluated at
 * the points or at queries on the device. The naive version has one thread per query.
 *
 * @module
 */

import { CpuDevice, type DeviceArray, floats } from "../kernels/mod.ts";
import { Kde } from "../kernels/operations/kde.ts";
import { Workbench } from "../kernels/check/workbench.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/kde.wgsl" with { type: "text" };

interface NaiveArguments {
  points: DeviceArray;
  queries: DeviceArray;
  output: DeviceArray;
  first: number;
  end: number;
  queryCount: number;
  dimensions: number;
  bandwidth: number;
}

const naiveKde = naive("kde", naiveWgsl, (args: NaiveArguments) => ({
  arrays: [args.points, args.queries, args.output],
  parameters: [
    ["u32", args.first],
    ["u32", args.end],
    ["u32", args.queryCount],
    ["u32", args.dimensions],
    ["f32", 1 / (2 * args.bandwidth ** 2)],
  ],
  threads: args.queryCount,
}));

/** Without a number of queries, the density is evaluated at the points. */
function kdeCase(
  points: number,
  queries: number | undefined,
  options: { dimensions: number; bandwidth: number; calls: number },
): BenchCase {
  const { dimensions, bandwidth, calls } = options;
  const queryCount = queries ?? points;
  return {
    kernel: "kde",
    size: `${queries === undefined ? "" : `${queries} queries, `}N=${points}, d=${dimensions}`,
    calls,
    cost: { operations: 3 * points * queryCount * dimensions },
    shape: { points, queries: queryCount, dimensions, bandwidth },
    // Exponents lose (d + 12) 2^-24 of themselves, and those that matter are near 10.
    allowed: { webgpu: 3e-5, naive: 1e-4 },
    setUp: (bench) => {
      const { device } = bench;
      const data = normal(points * dimensions);
      const at = queries === undefined ? undefined : bench.normal(queries * dimensions);
      const given = bench.upload(data);
      const output = bench.allocate(queryCount);
      const density = bench.use(
        new Kde(device, data, { dimensions, bandwidth, covariance: "identity", normalize: false }),
      );
      const args = { points: given, queries: at ?? given, output, queryCount, dimensions, bandwidth };
      const step = Math.floor(30_000 / (dimensions + 1));
      return {
        kernel: () => density.run(at, { output })[Symbol.dispose](),
        naive: () => {
          for (let first = 0; first < points; first += step) {
            device.run(naiveKde, { ...args, first, end: Math.min(first + step, points) });
          }
        },
        inputs: at === undefined ? { points: given } : { points: given, queries: at },
        outputs: [{ array: output, type: "f32" }],
      };
    },
  };
}

/** Normally distributed values on the host, since a density is fitted there. */
function normal(length: number): Float32Array {
  using cpu = new CpuDevice();
  using bench = new Workbench(cpu);
  return floats(bench.normal(length)).slice();
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  kdeCase(1000, undefined, { dimensions: 32, bandwidth: 2, calls: 8 }),
  kdeCase(4096, undefined, { dimensions: 32, bandwidth: 2, calls: 1 }),
  kdeCase(16384, undefined, { dimensions: 32, bandwidth: 2, calls: 1 }),
  kdeCase(16384, undefined, { dimensions: 2, bandwidth: 0.2, calls: 1 }),
  kdeCase(100_000, 1000, { dimensions: 32, bandwidth: 2, calls: 1 }),
];

benchCases(cases);
