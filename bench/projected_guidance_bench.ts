/**
 * Guidance without its part along the conditional logits: VAR's last map as a whole, and its positions apart.
 *
 * @module
 */

import { type DeviceArray, type ProjectedGuidanceArguments, runProjectedGuidance } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import guidanceWgsl from "./naive/projected_guidance.wgsl" with { type: "text" };
import sumsWgsl from "./naive/projection_sums.wgsl" with { type: "text" };

type NaiveArguments = ProjectedGuidanceArguments & { readonly sums: DeviceArray };

const naiveSums = naive("projection_sums", sumsWgsl, (args: NaiveArguments) => ({
  arrays: [args.conditional, args.unconditional, args.sums],
  parameters: [["u32", args.rows], ["u32", args.length]],
  workgroups: args.rows,
}));

const naiveGuidance = naive("projected_guidance", guidanceWgsl, (args: NaiveArguments) => ({
  arrays: [args.conditional, args.unconditional, args.sums, args.guided],
  parameters: [
    ["u32", args.rows * args.length],
    ["u32", args.length],
    ["f32", args.weight],
    ["f32", 1 - args.eta],
    ["f32", args.normThreshold! * Math.sqrt(args.length)],
  ],
  threads: args.rows * args.length,
}));

function guidanceCase(rows: number, length: number): BenchCase {
  const count = rows * length;
  return {
    kernel: "projected guidance",
    size: rows === 1 ? `a map of ${length}` : `${rows} rows of ${length}`,
    calls: 4,
    cost: { bytes: 20 * count },
    shape: { rows, length },
    allowed: { webgpu: 0, naive: 1e-4 },
    setUp: (bench) => {
      const conditional = bench.normal(count, 2.5);
      const unconditional = bench.normal(count, 2.5);
      const guided = bench.allocate(count);
      const sums = bench.allocate(3 * rows);
      const rule = { rows, length, weight: 1.5, eta: 0, normThreshold: 1 };
      const args = { conditional, unconditional, guided, ...rule };
      return {
        kernel: () => runProjectedGuidance(bench.device, args),
        naive: () => {
          bench.device.run(naiveSums, { ...args, sums });
          bench.device.run(naiveGuidance, { ...args, sums });
        },
        inputs: { conditional, unconditional },
        outputs: [{ array: guided, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [guidanceCase(1, 256 * 4096), guidanceCase(256, 4096)];

benchCases(cases);
