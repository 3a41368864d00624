/**
 * Gathering rows, as lanes are regrouped.
 *
 * @module
 */

import { gatherRows, type GatherRowsArguments } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/gather.wgsl" with { type: "text" };

const naiveGather = naive("gather", naiveWgsl, (args: GatherRowsArguments) => ({
  arrays: [args.input, args.rows, args.output],
  parameters: [["u32", args.count], ["u32", args.stride]],
  threads: args.count,
}));

function gatherCase(count: number, stride: number): BenchCase {
  return {
    kernel: "gather",
    size: `${count} rows of ${stride}`,
    calls: 8,
    cost: { bytes: 8 * count * stride },
    shape: { count, stride },
    allowed: { webgpu: 0, naive: 0 },
    setUp: (bench) => {
      const input = bench.normal(count * stride);
      const rows = bench.integers(count, count);
      const output = bench.allocate(count * stride);
      const args = { input, output, rows, count, stride, inputRows: count };
      return {
        kernel: () => bench.device.run(gatherRows, args),
        naive: () => bench.device.run(naiveGather, args),
        inputs: { input, rows },
        outputs: [{ array: output, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [gatherCase(512, 4096), gatherCase(4096, 100)];

benchCases(cases);
