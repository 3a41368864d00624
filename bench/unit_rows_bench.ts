/**
 * Code vectors at length 1, as VAR-Scaling's cosine option needs them.
 *
 * @module
 */

import { unitRows, type UnitRowsArguments } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/unit_rows.wgsl" with { type: "text" };

const naiveUnitRows = naive("unit_rows", naiveWgsl, (args: UnitRowsArguments) => ({
  arrays: [args.input, args.output],
  parameters: unitRows.plan(args).parameters,
  threads: args.count,
}));

function unitRowsCase(count: number, channels: number): BenchCase {
  return {
    kernel: "unit_rows",
    size: `${count}×${channels}`,
    calls: 16,
    cost: { bytes: 8 * count * channels },
    shape: { count, channels },
    allowed: { webgpu: 0, naive: 1e-6 },
    setUp: (bench) => {
      const input = bench.normal(count * channels);
      const output = bench.allocate(count * channels);
      const args = { input, output, count, channels };
      return {
        kernel: () => bench.device.run(unitRows, args),
        naive: () => bench.device.run(naiveUnitRows, args),
        inputs: { input },
        outputs: [{ array: output, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [unitRowsCase(4096, 32), unitRowsCase(16384, 8)];

benchCases(cases);
