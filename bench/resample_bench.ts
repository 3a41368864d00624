/**
 * Resizing between the last scales of a 256-pixel VAR: up to full resolution, and down to the next scale's
 * input.
 *
 * @module
 */

import {
  createResampleTable,
  type FeatureLayout,
  resample,
  type ResampleArguments,
  type ResampleMethod,
} from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import areaWgsl from "./naive/area.wgsl" with { type: "text" };
import bicubicWgsl from "./naive/bicubic.wgsl" with { type: "text" };

const naiveBicubic = naive("bicubic", bicubicWgsl, (args: ResampleArguments) => {
  const { from, to } = args.table;
  const total = args.images * args.channels * to ** 2;
  return {
    arrays: [args.input, args.output],
    parameters: [["u32", total], ["u32", from], ["u32", to]],
    threads: total,
  };
});

const naiveArea = naive("area", areaWgsl, (args: ResampleArguments) => {
  const { from, to } = args.table;
  const total = args.images * args.channels * to ** 2;
  return {
    arrays: [args.input, args.output],
    parameters: [["u32", total], ["u32", args.channels], ["u32", from], ["u32", to]],
    threads: total,
  };
});

function resampleCase(method: ResampleMethod, from: number, to: number, layout: FeatureLayout): BenchCase {
  const images = 8;
  const channels = 32;
  const planes = images * channels;
  return {
    kernel: "resample",
    size: `${method} ${from}→${to}, ${images}×${channels} planes`,
    calls: 16,
    cost: { bytes: 4 * planes * (from ** 2 + to ** 2) },
    shape: { planes, from, to },
    allowed: { webgpu: 1e-6, naive: 2e-6 },
    setUp: (bench) => {
      const input = bench.normal(planes * from ** 2);
      const output = bench.allocate(planes * to ** 2);
      const table = bench.use(createResampleTable(bench.device, method, from, to));
      const args = { input, output, table, images, channels, layout };
      const naiveKernel = method === "area" ? naiveArea : naiveBicubic;
      return {
        kernel: () => bench.device.run(resample, args),
        naive: () => bench.device.run(naiveKernel, args),
        inputs: { input },
        outputs: [{ array: output, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  resampleCase("bicubic", 13, 16, "planes"),
  resampleCase("area", 16, 13, "rows"),
];

benchCases(cases);
