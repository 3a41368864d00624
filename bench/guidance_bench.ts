/**
 * Guidance: three words of memory per logit.
 *
 * @module
 */

import { guidance, type GuidanceArguments } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/guidance.wgsl" with { type: "text" };

const naiveGuidance = naive("guidance", naiveWgsl, (args: GuidanceArguments) => ({
  arrays: [args.logits, args.guided],
  parameters: guidance.plan(args).parameters,
  threads: args.images * args.positions * args.vocabulary,
}));

function guidanceCase(positions: number, vocabulary: number): BenchCase {
  const count = positions * vocabulary;
  return {
    kernel: "guidance",
    size: `${positions} rows of ${vocabulary}`,
    calls: 8,
    cost: { bytes: 12 * count },
    shape: { rows: positions, vocabulary },
    allowed: { webgpu: 0, naive: 1e-6 },
    setUp: (bench) => {
      const logits = bench.normal(2 * count, 2.5);
      const guided = bench.allocate(count);
      const args = { logits, guided, images: 1, positions, vocabulary, weight: 1.5 };
      return {
        kernel: () => bench.device.run(guidance, args),
        naive: () => bench.device.run(naiveGuidance, args),
        inputs: { logits },
        outputs: [{ array: guided, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [guidanceCase(256, 4096), guidanceCase(64, 65536)];

benchCases(cases);
