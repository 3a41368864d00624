/**
 * Nearest codes: the encoder's quantization of a 16×16 map.
 *
 * @module
 */

import { nearestCodes, type NearestCodesArguments } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/nearest.wgsl" with { type: "text" };

const naiveNearest = naive("nearest", naiveWgsl, (args: NearestCodesArguments) => ({
  arrays: [args.features, args.codebook, args.tokens],
  parameters: nearestCodes.plan(args).parameters,
  threads: args.count,
}));

function nearestCase(count: number, vocabulary: number, channels: number): BenchCase {
  return {
    kernel: "nearest",
    size: `${count} vectors, ${vocabulary} codes, ${channels} channels`,
    calls: 2,
    cost: { operations: 3 * count * vocabulary * channels },
    allowed: { webgpu: 0, naive: 0.01 },
    setUp: (bench) => {
      const features = bench.normal(count * channels);
      const codebook = bench.normal(vocabulary * channels);
      const tokens = bench.allocate(count);
      const args = { features, codebook, tokens, count, vocabulary, channels };
      return {
        kernel: () => bench.device.run(nearestCodes, args),
        naive: () => bench.device.run(naiveNearest, args),
        outputs: [{ array: tokens, type: "u32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [nearestCase(256, 4096, 32)];

benchCases(cases);
