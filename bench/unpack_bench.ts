/**
 * Unpacking pixels: a batch of eight 224-pixel images, as networks that judge take them.
 *
 * @module
 */

import { unpackPixels, type UnpackPixelsArguments } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/unpack.wgsl" with { type: "text" };

const naiveUnpack = naive("unpack", naiveWgsl, (args: UnpackPixelsArguments) => ({
  arrays: [args.pixels, args.planes],
  parameters: unpackPixels.plan(args).parameters,
  threads: args.images * args.area,
}));

function unpackCase(images: number, side: number): BenchCase {
  const area = side ** 2;
  return {
    kernel: "unpack",
    size: `${images}×${side}×${side}`,
    calls: 8,
    cost: { bytes: 16 * images * area },
    allowed: { webgpu: 0, naive: 1e-6 },
    setUp: (bench) => {
      const pixels = bench.integers(images * area, 2 ** 24);
      const levels = bench.upload(Float32Array.from({ length: 768 }, (_, i) => (i % 256 / 255 - 0.5) / 0.5));
      const planes = bench.allocate(3 * images * area);
      const args = { pixels, levels, planes, images, area };
      return {
        kernel: () => bench.device.run(unpackPixels, args),
        naive: () => bench.device.run(naiveUnpack, args),
        outputs: [{ array: planes, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [unpackCase(8, 224)];

benchCases(cases);
