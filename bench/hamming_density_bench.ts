/**
 * The density estimate of VAR-Scaling for tokens of bits, bandwidth included, at the sizes of its experiments
 * with Infinity: up to 3000 candidates of 36 tokens of 32 bits.
 *
 * @module
 */

import { hammingBandwidth, type HammingBandwidthArguments } from "../kernels/candidates/hamming_bandwidth.ts";
import { runHammingDensity } from "../kernels/candidates/hamming_density.ts";
import { type DeviceArray, silvermanFactor, threefry } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import bandwidthWgsl from "./naive/bandwidth.wgsl" with { type: "text" };
import densityWgsl from "./naive/bit_density.wgsl" with { type: "text" };
import deviationWgsl from "./naive/bit_deviation.wgsl" with { type: "text" };
import sumWgsl from "./naive/sum_positions.wgsl" with { type: "text" };

interface NaiveArguments extends HammingBandwidthArguments {
  deviations: DeviceArray;
  sums: DeviceArray;
  scores: DeviceArray;
}

const naiveDeviation = naive("bit_deviation", deviationWgsl, (args: NaiveArguments) => ({
  arrays: [args.tokens, args.deviations],
  parameters: [["u32", args.draws], ["u32", args.positions], ["u32", args.bits]],
  threads: args.positions * args.bits,
}));

const naiveBandwidth = naive("bandwidth", bandwidthWgsl, (args: NaiveArguments) => ({
  arrays: [args.deviations, args.output],
  parameters: [["u32", args.positions], ["u32", args.bits], ["f32", silvermanFactor(args.draws, args.bits)]],
  threads: args.positions,
}));

const naiveDensity = naive("bit_density", densityWgsl, (args: NaiveArguments) => ({
  arrays: [args.tokens, args.output, args.sums],
  parameters: [["u32", args.draws], ["u32", args.positions], ["u32", args.bits]],
  threads: args.positions * args.draws,
}));

const naiveSum = naive("sum_positions", sumWgsl, (args: NaiveArguments) => ({
  arrays: [args.sums, args.scores],
  parameters: [["u32", args.draws], ["u32", args.positions]],
  threads: args.draws,
}));

/**
 * Bits that are 1 with a probability of 1/2, 1/4, 1/8 or 1/16, by position: from positions where all differ
 * to some where many agree.
 */
function skewedBits(draws: number, positions: number, bits: number): Uint32Array {
  const words = Math.ceil(bits / 32);
  return Uint32Array.from({ length: draws * positions * words }, (_, i) => {
    const [a, b] = threefry([36, 0], [0, i]);
    const [c, d] = threefry([36, 0], [1, i]);
    const position = Math.floor(i / words) % positions;
    const used = i % words === words - 1 ? 0xffffffff >>> (32 * words - bits) : 0xffffffff;
    return ([a, a & b, a & b & c, a & b & c & d][position % 4]! & used) >>> 0;
  });
}

function hammingDensityCase(draws: number, positions: number, bits: number, calls: number): BenchCase {
  const words = Math.ceil(bits / 32);
  return {
    kernel: "hamming density",
    size: `N=${draws}, ${positions} positions, ${bits} bits`,
    calls,
    // A difference, a count, a kernel value looked up and added.
    cost: {
      bytes: 4 * draws * (positions * words + 1),
      operations: positions * draws ** 2 * (2 * words + 2),
    },
    shape: { draws, positions, bits },
    allowed: { webgpu: 0, naive: 1e-5 },
    setUp: (bench) => {
      const { device } = bench;
      const tokens = bench.upload(skewedBits(draws, positions, bits));
      const output = bench.allocate(positions);
      const scores = bench.allocate(draws);
      const shape = { images: 1, draws, positions, bits };
      let scratch: { deviations: DeviceArray; sums: DeviceArray } | undefined;
      return {
        kernel: () => {
          device.run(hammingBandwidth, { tokens, output, ...shape });
          runHammingDensity(device, { tokens, bandwidth: output, scores, ...shape });
        },
        naive: () => {
          scratch ??= {
            deviations: bench.allocate(positions * bits),
            sums: bench.allocate(positions * draws),
          };
          for (const step of [naiveDeviation, naiveBandwidth, naiveDensity, naiveSum]) {
            device.run(step, { tokens, output, scores, ...shape, ...scratch });
          }
        },
        inputs: { tokens },
        outputs: [{ array: scores, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  hammingDensityCase(1000, 36, 32, 2),
  hammingDensityCase(3000, 36, 32, 1),
  hammingDensityCase(1000, 36, 64, 1),
];

benchCases(cases);
