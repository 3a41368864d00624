/**
 * Nearest codes: the encoder's quantization of maps from 16×16 to 128×128.
 *
 * @module
 */

import { nearestCodes, type NearestCodesArguments } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/nearest.wgsl" with { type: "text" };

const naiveNearest = naive("nearest", naiveWgsl, (args: NearestCodesArguments) => ({
  arrays: [args.features, args.codebook, args.tokens],
  parameters: [["u32", args.count], ["u32", args.vocabulary], ["u32", args.channels]],
  threads: args.count,
}));

function nearestCase(count: number, vocabulary: number, channels: number): BenchCase {
  return {
    kernel: "nearest",
    size: `${count} vectors, ${vocabulary} codes, ${channels} channels`,
    calls: Math.max(1, Math.floor(512 / count)),
    cost: { operations: 3 * count * vocabulary * channels },
    shape: { count, vocabulary, channels },
    allowed: { webgpu: 0, naive: 0.01 },
    setUp: (bench) => {
      const features = bench.normal(count * channels);
      const codebook = bench.normal(vocabulary * channels);
      const tokens = bench.allocate(count);
      const args = { features, codebook, tokens, count, vocabulary, channels };
      return {
        kernel: () => bench.device.run(nearestCodes, args),
        naive: () => bench.device.run(naiveNearest, args),
        inputs: { features, codebook },
        outputs: [{ array: tokens, type: "u32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  nearestCase(256, 4096, 32),
  nearestCase(1000, 4096, 32),
  nearestCase(4096, 4096, 32),
  nearestCase(16384, 4096, 32),
];

benchCases(cases);
