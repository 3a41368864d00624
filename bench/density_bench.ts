/**
 * The density estimate of VAR-Scaling, bandwidth included. The naive version is what array libraries do:
 * standard deviations, the whole N×N matrix of kernel values in memory, then its sums.
 *
 * @module
 */

import {
  type BandwidthArguments,
  type DeviceArray,
  silvermanBandwidth,
  silvermanFactor,
} from "../kernels/mod.ts";
import { runDensity } from "../kernels/candidates/group_density.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import bandwidthWgsl from "./naive/bandwidth.wgsl" with { type: "text" };
import densityWgsl from "./naive/density.wgsl" with { type: "text" };
import deviationWgsl from "./naive/deviation.wgsl" with { type: "text" };
import kernelValuesWgsl from "./naive/kernel_values.wgsl" with { type: "text" };

interface NaiveArguments extends BandwidthArguments {
  deviations: DeviceArray;
  bandwidth: DeviceArray;
  kernelValues: DeviceArray;
  scores: DeviceArray;
}

const naiveDeviation = naive("deviation", deviationWgsl, (args: NaiveArguments) => ({
  arrays: [args.tokens, args.codebook, args.deviations],
  parameters: [["u32", args.images], ["u32", args.draws], ["u32", args.positions], ["u32", args.channels]],
  threads: args.images * args.positions * args.channels,
}));

const naiveBandwidth = naive("bandwidth", bandwidthWgsl, (args: NaiveArguments) => ({
  arrays: [args.deviations, args.bandwidth],
  parameters: [
    ["u32", args.images * args.positions],
    ["u32", args.channels],
    ["f32", silvermanFactor(args.draws, args.channels)],
  ],
  threads: args.images * args.positions,
}));

const naiveKernelValues = naive("kernel_values", kernelValuesWgsl, (args: NaiveArguments) => ({
  arrays: [args.tokens, args.codebook, args.bandwidth, args.kernelValues],
  parameters: [["u32", args.images], ["u32", args.draws], ["u32", args.positions], ["u32", args.channels]],
  threads: args.images * args.positions * args.draws ** 2,
}));

const naiveDensity = naive("density", densityWgsl, (args: NaiveArguments) => ({
  arrays: [args.kernelValues, args.scores],
  parameters: [["u32", args.images], ["u32", args.draws], ["u32", args.positions]],
  threads: args.images * args.draws,
}));

function densityCase(draws: number, positions: number, calls: number): BenchCase {
  const vocabulary = 4096;
  const channels = 32;
  const pairs = positions * draws ** 2;
  return {
    kernel: "bandwidth + density",
    size: `N=${draws}, ${positions} position${positions === 1 ? "" : "s"}, ${channels} channels`,
    calls,
    cost: { operations: 3 * pairs * channels },
    shape: { draws, positions, vocabulary, channels },
    allowed: { webgpu: 0, naive: 1e-5 },
    setUp: (bench) => {
      const { device } = bench;
      // As many different tokens as a truncated distribution leaves.
      const tokens = bench.integers(draws * positions, 900);
      const codebook = bench.codes(vocabulary, channels);
      const bandwidth = bench.allocate(positions);
      const scores = bench.allocate(draws);
      const shape = { images: 1, draws, positions, vocabulary, channels };
      const args = { tokens, codebook, output: bandwidth, ...shape };
      let scratch: { deviations: DeviceArray; kernelValues: DeviceArray } | undefined;
      return {
        kernel: () => {
          device.run(silvermanBandwidth, args);
          runDensity(device, { tokens, codebook, bandwidth, scores, ...shape });
        },
        naive: () => {
          scratch ??= {
            deviations: bench.allocate(positions * channels),
            kernelValues: bench.allocate(pairs),
          };
          for (const step of [naiveDeviation, naiveBandwidth, naiveKernelValues, naiveDensity]) {
            device.run(step, { ...args, ...scratch, bandwidth, scores });
          }
        },
        inputs: { tokens, codebook },
        outputs: [{ array: scores, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  densityCase(50, 4, 16),
  densityCase(1000, 4, 2),
  densityCase(4096, 1, 1),
];

benchCases(cases);
