/**
 * The second half of a streamed kernel density: partial sums become densities or their logarithms. The first
 * half is `kernel_density.ts`; what the densities are scaled by is up to the caller.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { floats } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import type { DeviceArray, Kernel } from "../device/device.ts";
import { requireBlock, stretchCount } from "./kernel_density.ts";
import wgsl from "./kernel_density_sum.wgsl" with { type: "text" };

/**
 * Arguments of {@linkcode kernelDensitySum}. Sizes, `first` and `block` are those given to `kernelDensity`.
 */
export interface KernelDensitySumArguments {
  /** What `kernelDensity` wrote. */
  partials: DeviceArray;
  /** What the sums are multiplied by, f32 [batch, 2]: m in [1, 2) and an integer e for m * 2^e. */
  scales: DeviceArray;
  /**
   * What the sums are divided by, f32 [queryCount] or [batch, queryCount], above 0 wherever the sum is;
   * nothing by default.
   */
  shares?: DeviceArray;
  /** The densities, f32 [batch, queryCount]. */
  output: DeviceArray;
  /** Number of densities side by side, at most 65535. */
  batch: number;
  /** Points of one density. */
  count: number;
  /** Queries of one density. */
  queryCount: number;
  /** Words of one point. */
  dimensions: number;
  /** First query of this call; 0 by default. */
  first?: number;
  /** Queries of this call; by default all from `first` on. */
  block?: number;
  /** Whether each density has shares of its own; off by default. */
  ownShares?: boolean;
  /** Write natural logarithms; off by default. */
  log?: boolean;
}

const ACTION = "add up kernel densities";

/** 2^-i, for tops that are not far apart: half of the twin's time went into powers. */
const POWERS = Float64Array.from({ length: 64 }, (_, i) => 2 ** -i);

/** Queries of a workgroup, as in the shader. */
const WIDTH = 16;

/**
 * Writes `scale * sum / share` for each query, or its natural logarithm, in a fixed order of additions.
 *
 * The sum adds `ceil(stretches / 16) + 16` to the longest chain of additions that `kernelDensity` states its
 * bound with. Scaling adds a relative 2^-23, or 2^-21 where the sum is divided; a logarithm is within that
 * bound of the sum, plus 2^-21 and 2^-22 |result|. A density above the range of float32 becomes infinite and
 * one below 2^-126 may become 0; logarithms have no such limits. An empty sum is 0, and its logarithm
 * -infinity, whatever its share.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 *
 * @example
 * ```ts
 * import { kernelDensitySum } from "./kernel_density_sum.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using partials = device.upload(new Float32Array([-2, 1.5]));
 * using scales = device.upload(new Float32Array([1.5, 3]));
 * using output = device.allocate(1);
 * device.run(kernelDensitySum, {
 *   partials,
 *   scales,
 *   output,
 *   batch: 1,
 *   count: 1,
 *   queryCount: 1,
 *   dimensions: 4,
 * });
 * assertEquals([...await readFloats(output)], [1.5 * 2 ** -2 * 1.5 * 2 ** 3]);
 * ```
 */
export const kernelDensitySum: Kernel<KernelDensitySumArguments> = {
  name: "kernel_density_sum",
  wgsl,
  plan(args) {
    const { partials, scales, shares, output } = args;
    const { batch, count, queryCount, dimensions, ownShares = false, log = false } = args;
    requireInteger(batch, "batch", ACTION, { min: 0, max: 65535 });
    requireInteger(count, "count", ACTION, { min: 0 });
    requireInteger(queryCount, "queryCount", ACTION, { min: 0 });
    requireInteger(dimensions, "dimensions", ACTION, { min: 1, max: 32768 });
    const { first, block } = requireBlock(args, ACTION);
    const stretches = stretchCount(count, dimensions, ACTION);
    requireLength(partials, 2 * batch * stretches * block, ACTION);
    requireLength(scales, 2 * batch, ACTION);
    if (shares !== undefined) requireLength(shares, ownShares ? batch * queryCount : queryCount, ACTION);
    requireLength(output, batch * queryCount, ACTION);
    return {
      arrays: [partials, scales, shares ?? scales, output],
      parameters: [
        ["u32", queryCount],
        ["u32", stretches],
        ["u32", first],
        ["u32", block],
        ["u32", log ? 1 : 0],
        ["u32", shares === undefined ? 0 : 1],
        ["u32", ownShares ? queryCount : 0],
      ],
      workgroups: [Math.ceil(block / WIDTH), batch, 1],
    };
  },
  twin(args) {
    const { batch, count, queryCount, dimensions, ownShares = false, log = false } = args;
    const { first, block } = requireBlock(args, ACTION);
    const stretches = stretchCount(count, dimensions, ACTION);
    const partials = floats(args.partials);
    const scales = floats(args.scales);
    const shares = args.shares === undefined ? undefined : floats(args.shares);
    const out = floats(args.output);
    for (let element = 0; element < batch; element++) {
      const start = 2 * element * stretches * block;
      const mantissa = scales[2 * element]!;
      const exponent = scales[2 * element + 1]!;
      for (let place = 0; place < block; place++) {
        let top = -Infinity;
        for (let i = start + 2 * place, s = 0; s < stretches; s++, i += 2 * block) {
          top = Math.max(top, partials[i]!);
        }
        let sum = 0;
        for (let i = start + 2 * place, s = 0; s < stretches; s++, i += 2 * block) {
          sum += partials[i + 1]! * (POWERS[top - partials[i]!] ?? 2 ** (partials[i]! - top));
        }
        const query = first + place;
        const share = shares === undefined ? 1 : shares[(ownShares ? element * queryCount : 0) + query]!;
        const scaled = sum === 0 ? 0 : sum * mantissa / share;
        const power = top + exponent;
        // Twice, since 2^power alone may leave float64.
        out[element * queryCount + query] = log
          ? (scaled === 0 ? -Infinity : (power + Math.log2(scaled)) * Math.LN2)
          : scaled === 0
          ? 0
          : scaled * 2 ** Math.trunc(power / 2) * 2 ** (power - Math.trunc(power / 2));
      }
    }
  },
};
