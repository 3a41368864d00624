/**
 * Packing pixels: a batch of eight 256-pixel images.
 *
 * @module
 */

import { packPixels, type PackPixelsArguments } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/pack.wgsl" with { type: "text" };

const naivePack = naive("pack", naiveWgsl, (args: PackPixelsArguments) => ({
  arrays: [args.image, args.pixels],
  parameters: packPixels.plan(args).parameters,
  threads: args.images * args.width * args.height,
}));

function packCase(images: number, side: number): BenchCase {
  const area = images * side ** 2;
  return {
    kernel: "pack",
    size: `${images}×${side}×${side}`,
    calls: 8,
    cost: { bytes: 16 * area },
    allowed: { webgpu: 0, naive: 0 },
    setUp: (bench) => {
      const image = bench.normal(3 * area);
      const pixels = bench.allocate(area);
      const args = { image, pixels, images, width: side, height: side };
      return {
        kernel: () => bench.device.run(packPixels, args),
        naive: () => bench.device.run(naivePack, args),
        outputs: [{ array: pixels, type: "u32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [packCase(8, 256)];

benchCases(cases);
