/**
 * Distances between vectors and the codes they were given.
 *
 * @module
 */

import { codeDistances, type CodeDistancesArguments } from "../kernels/codebook/code_distance.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/code_distance.wgsl" with { type: "text" };

const naiveDistances = naive("code_distance", naiveWgsl, (args: CodeDistancesArguments) => ({
  arrays: [args.features, args.codebook, args.tokens, args.distances],
  parameters: codeDistances.plan(args).parameters,
  threads: args.count,
}));

function codeDistanceCase(count: number, vocabulary: number, channels: number): BenchCase {
  return {
    kernel: "code_distance",
    size: `${count} vectors, ${channels} channels`,
    calls: 16,
    cost: { bytes: 4 * count * (2 * channels + 2) },
    shape: { count, vocabulary, channels },
    allowed: { webgpu: 0, naive: 1e-5 },
    setUp: (bench) => {
      const features = bench.normal(count * channels);
      const codebook = bench.normal(vocabulary * channels);
      const tokens = bench.integers(count, vocabulary);
      const distances = bench.allocate(count);
      const args = { features, codebook, tokens, distances, count, vocabulary, channels };
      return {
        kernel: () => bench.device.run(codeDistances, args),
        naive: () => bench.device.run(naiveDistances, args),
        inputs: { features, codebook, tokens },
        outputs: [{ array: distances, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [codeDistanceCase(4096, 4096, 32)];

benchCases(cases);
