/**
 * The residual step with its convolution, at full resolution of a 256-pixel VAR.
 *
 * @module
 */

import { residualUpdate, type ResidualUpdateArguments } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/residual.wgsl" with { type: "text" };

const naiveResidual = naive("residual", naiveWgsl, (args: ResidualUpdateArguments) => {
  const count = args.images * args.channels * args.side ** 2;
  const [, ...rest] = residualUpdate.plan(args).parameters;
  return {
    arrays: [args.features, args.weight, args.bias, args.state],
    parameters: [["u32", count], ...rest],
    threads: count,
  };
});

function residualCase(images: number, channels: number, side: number): BenchCase {
  const size = images * channels * side ** 2;
  return {
    kernel: "residual",
    size: `${images}×${channels}×${side}×${side}`,
    calls: 8,
    cost: { bytes: 12 * size, operations: 2 * 9 * channels * size },
    allowed: { webgpu: 1e-5, naive: 1e-5 },
    setUp: (bench) => {
      const features = bench.normal(size);
      const state = bench.normal(size);
      const weight = bench.normal(9 * channels ** 2, 0.05);
      const bias = bench.normal(channels);
      const args = { features, state, weight, bias, images, channels, side };
      return {
        kernel: () => bench.device.run(residualUpdate, args),
        naive: () => bench.device.run(naiveResidual, args),
        outputs: [{ array: state, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [residualCase(8, 32, 16)];

benchCases(cases);
