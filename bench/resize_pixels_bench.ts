/**
 * Resizing pixels as networks that judge want them: a batch of 256-pixel images to 224, of which each pass is
 * timed, and a large one down.
 *
 * @module
 */

import {
  createPixelTable,
  type PixelFilter,
  resizePixels,
  type ResizePixelsArguments,
} from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/resize_pixels.wgsl" with { type: "text" };

const naiveResize = naive("resize_pixels", naiveWgsl, (args: ResizePixelsArguments) => ({
  arrays: [args.input, args.table.array, args.output],
  parameters: resizePixels.plan(args).parameters,
  threads: args.lines * args.table.to * (args.step ?? 1),
}));

interface Size {
  readonly images: number;
  readonly from: number;
  readonly to: number;
  readonly axis: "across" | "down";
}

function resizeCase(filter: PixelFilter, { images, from, to, axis }: Size): BenchCase {
  const other = axis === "across" ? from : to;
  return {
    kernel: "resize_pixels",
    size: `${filter} ${from}→${to} ${axis}, ${images} images`,
    calls: 16,
    cost: { bytes: 4 * images * other * (from + to) },
    // Plain floats land on another level now and then.
    allowed: { webgpu: 0, naive: 0.01 },
    setUp: (bench) => {
      const input = bench.integers(images * other * from, 2 ** 24);
      const output = bench.allocate(images * other * to);
      const table = bench.use(createPixelTable(bench.device, filter, from, to));
      const lines = axis === "across" ? images * other : images;
      const args = { input, output, table, lines, step: axis === "across" ? 1 : other };
      return {
        kernel: () => bench.device.run(resizePixels, args),
        naive: () => bench.device.run(naiveResize, args),
        outputs: [{ array: output, type: "u32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  resizeCase("bicubic", { images: 8, from: 256, to: 224, axis: "across" }),
  resizeCase("bicubic", { images: 8, from: 256, to: 224, axis: "down" }),
  resizeCase("bicubic", { images: 2, from: 1024, to: 224, axis: "down" }),
];

benchCases(cases);
