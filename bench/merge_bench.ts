/**
 * Merging kept positions: the tokens and the code vectors of a scale that is edited.
 *
 * @module
 */

import { mergeMaps, type MergeMapsArguments } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/merge.wgsl" with { type: "text" };

const naiveMerge = naive("merge", naiveWgsl, (args: MergeMapsArguments) => {
  const { images, repeats = 1, channels = 1, positions } = args;
  const stride = repeats * channels * positions;
  return {
    arrays: [args.source, args.rows, args.keep, args.target],
    parameters: [["u32", images * stride], ["u32", positions], ["u32", channels], ["u32", stride]],
    threads: images * stride,
  };
});

function mergeCase(size: string, shape: { images: number; repeats: number; channels: number }): BenchCase {
  const { images, repeats, channels } = shape;
  const positions = 256;
  const count = images * repeats * channels * positions;
  return {
    kernel: "merge",
    size,
    calls: 8,
    // Half of the positions are kept: read and written.
    cost: { bytes: 4 * count },
    shape: { ...shape, positions },
    allowed: { webgpu: 0, naive: 0 },
    setUp: (bench) => {
      const source = bench.integers(images * channels * positions, 4096);
      const target = bench.integers(count, 4096);
      const rows = bench.integers(images, images);
      const keep = bench.upload(Uint32Array.from({ length: positions }, (_, i) => i >> 3 & 1));
      const args = { target, source, rows, keep, ...shape, positions, sourceRows: images };
      return {
        kernel: () => bench.device.run(mergeMaps, args),
        naive: () => bench.device.run(naiveMerge, args),
        outputs: [{ array: target, type: "u32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  mergeCase("16×50 maps of 256 tokens", { images: 16, repeats: 50, channels: 1 }),
  mergeCase("64×256 vectors of 32 channels", { images: 64, repeats: 1, channels: 32 }),
];

benchCases(cases);
