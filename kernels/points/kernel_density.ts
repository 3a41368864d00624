/**
 * Gaussian kernel density at any queries from any points, streamed: for each query and each stretch of the
 * points a partial sum, never the matrix of all pairs. `kernel_density_sum.ts` turns the partial sums into
 * densities; `operations/kde.ts` is the comfortable face of both. The density of candidates given as tokens,
 * with the same bits on every device, is in `density.ts`.
 *
 * @module
 */

import { mustBe, requireInteger } from "../arguments.ts";
import { floats } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import type { DeviceArray, Kernel } from "../device/device.ts";
import { addKernels, KERNEL_COLUMNS, type PairBlock, visitPairs } from "../pairs/pairs.ts";
import wgsl from "./kernel_density.wgsl" with { type: "text" };

/** Arguments of {@linkcode kernelDensity}. */
export interface KernelDensityArguments {
  /** The points, f32 [batch, count, dimensions]; finite. */
  points: DeviceArray;
  /** Where the density is wanted, f32 [batch, queryCount, dimensions]; may be the points. */
  queries: DeviceArray;
  /**
   * Weights of the points, f32 [count], the same for all of the batch, or [batch, count]; from 0 on. Below
   * 2^-126 they count as 0.
   */
  weights: DeviceArray;
  /** 1 / h, f32 [batch], between 2^-60 and 2^60. */
  inverseBandwidths: DeviceArray;
  /** The partial sums, [batch, stretches, block], two words each; see {@linkcode stretchLength}. */
  partials: DeviceArray;
  /** Number of densities side by side, at most 65535. */
  batch: number;
  /** Points of one density. */
  count: number;
  /** Queries of one density. */
  queryCount: number;
  /** Words of one point, a multiple of 4 up to 32768; `whitenRows` fills rows up with zeros. */
  dimensions: number;
  /** First query of this call; 0 by default. */
  first?: number;
  /**
   * Queries of this call, so that the partial sums of many need not fit at once; by default all from `first`
   * on.
   */
  block?: number;
  /** Whether each density has weights of its own; off by default. */
  ownWeights?: boolean;
  /** The queries are the points, and each leaves itself out; off by default. */
  leaveOneOut?: boolean;
}

const ACTION = "sum kernel densities";
/** Rows up to here fit into a thread's registers. */
const MAX_REGISTER_QUADS = 8;
/** The exponent of an empty sum: that of the largest float32, below 0. */
const LOWEST = -(2 - 2 ** -23) * 2 ** 127;
/**
 * Points per partial sum: near the square root of their number, at least 64. It follows from the sizes alone,
 * so that sums always run in the same order.
 *
 * @param count Points of one density.
 * @param dimensions Words of one point.
 *
 * @example
 * ```ts
 * import { stretchLength } from "./kernel_density.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(stretchLength(100_000, 32), 256);
 * ```
 */
export function stretchLength(count: number, dimensions: number): number {
  const root = 2 ** Math.round(Math.log2(Math.max(count, 1)) / 2);
  // Mesa's software Vulkan silently ends a thread's loops after 65535 turns; long rows take a turn per quad
  // and 8 points.
  const most = 2 ** Math.floor(Math.log2(2 ** 18 / Math.ceil(dimensions / 4)));
  return Math.min(Math.max(root, 64), Math.max(most, 32));
}

/**
 * Writes, for each query q and each stretch of the points, `sum of w_j exp(-|q - x_j|^2 / (2 h^2))` as a pair
 * of floats `(top, sum)` that stands for `sum * 2^top`. The integer top follows the largest term, so neither
 * far nor heavy points overflow or vanish; an empty sum is 0. Identical calls give identical bits on one
 * device, and what a query gets does not depend on the other queries.
 *
 * Bound: let t be `|q - x|^2 / (2 h^2) + |ln w|`, averaged over the points by their shares of the density. To
 * first order, the sum over all points is within a relative `2^-24 ((d + 7) t + 31 + c)` of the true one for
 * the same float32 inputs, where c is the longest chain of additions, `17 + stretch / 32` here. Differences
 * are taken before they are squared, so large offsets cost nothing. Of the factor of t, d + 2 are the squared
 * distance and 5 what turns it into an exponent; the 31 are `exp2`, which WGSL promises to within `3 + 2 |x|`
 * units in the last place (x counts from the largest of 32 terms, and is 6 on average at most), and the
 * product with the weight.
 *
 * A query with a NaN gives NaN; an infinite one gives 0.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 *
 * @example
 * ```ts
 * import { kernelDensity } from "./kernel_density.ts";
 * import { kernelDensitySum } from "./kernel_density_sum.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using points = device.upload(new Float32Array([0, 0, 0, 0, 1, 1, 0, 0]));
 * using weights = device.upload(new Float32Array([1, 1]));
 * using inverseBandwidths = device.upload(new Float32Array([1]));
 * using scales = device.upload(new Float32Array([1, 0]));
 * using partials = device.allocate(4);
 * using output = device.allocate(2);
 * const shape = { batch: 1, count: 2, queryCount: 2, dimensions: 4 };
 * device.run(kernelDensity, { points, queries: points, weights, inverseBandwidths, partials, ...shape });
 * device.run(kernelDensitySum, { partials, scales, output, ...shape });
 * assertAlmostEquals((await readFloats(output))[0]!, 1 + Math.exp(-1), 1e-6);
 * ```
 */
export const kernelDensity: Kernel<KernelDensityArguments> = {
  name: "kernel_density",
  wgsl,
  overrides: { QUADS: [...Array(MAX_REGISTER_QUADS + 1).keys()], LANES: [16, 32, 64] },
  plan(args) {
    const { points, queries, weights, inverseBandwidths, partials } = args;
    const { batch, count, queryCount, dimensions, ownWeights = false, leaveOneOut = false } = args;
    requireInteger(batch, "batch", ACTION, { min: 0, max: 65535 });
    requireInteger(count, "count", ACTION, { min: 0 });
    requireInteger(queryCount, "queryCount", ACTION, { min: 0 });
    requireInteger(dimensions, "dimensions", ACTION, { min: 1, max: 32768 });
    if (dimensions % 4 !== 0) {
      throw new RangeError(mustBe("a multiple of 4", dimensions, "dimensions", ACTION));
    }
    const { first, block } = requireBlock(args, ACTION);
    if (leaveOneOut && queryCount !== count) {
      throw new RangeError(
        `Cannot ${ACTION} as leaving one out needs as many queries as points: ${queryCount} and ${count} are given`,
      );
    }
    const stretch = stretchLength(count, dimensions);
    const stretches = stretchCount(count, dimensions, ACTION);
    requireLength(points, batch * count * dimensions, ACTION);
    requireLength(queries, batch * queryCount * dimensions, ACTION);
    requireLength(weights, ownWeights ? batch * count : count, ACTION);
    requireLength(inverseBandwidths, batch, ACTION);
    requireLength(partials, 2 * batch * stretches * block, ACTION);
    const quads = dimensions / 4;
    // Few queries in small workgroups, so that there are enough of these for a GPU.
    const lanes = block <= 64 ? 16 : block <= 4096 ? 32 : 64;
    return {
      arrays: [points, queries, weights, inverseBandwidths, partials],
      parameters: [
        ["u32", count],
        ["u32", queryCount],
        ["u32", quads],
        ["u32", stretch],
        ["u32", first],
        ["u32", block],
        ["u32", ownWeights ? count : 0],
        ["u32", leaveOneOut ? 1 : 0],
        ["f32", Math.LOG2E / 2],
      ],
      workgroups: [Math.ceil(block / (4 * lanes)), stretches, batch],
      constants: { QUADS: quads > MAX_REGISTER_QUADS ? 0 : quads, LANES: lanes },
    };
  },
  twin(args) {
    const { batch, count, queryCount, dimensions, ownWeights = false, leaveOneOut = false } = args;
    const { first, block } = requireBlock(args, ACTION);
    const points = floats(args.points);
    const queries = floats(args.queries);
    const inverses = floats(args.inverseBandwidths);
    const out = floats(args.partials);
    const stretch = stretchLength(count, dimensions);
    const stretches = Math.ceil(count / stretch);
    const piece = Math.min(stretch, KERNEL_COLUMNS);
    for (let i = 0; i < 2 * batch * stretches * block; i += 2) {
      out[i] = LOWEST;
      out[i + 1] = 0;
    }
    for (let element = 0; element < batch; element++) {
      const start = ownWeights ? element * count : 0;
      const { exponents, mantissas } = binary(floats(args.weights).subarray(start, start + count));
      const factor = inverses[element]! ** 2 * Math.LOG2E / 2;
      const own = (element * queryCount + first) * dimensions;
      const sets = {
        left: queries.subarray(own, own + block * dimensions),
        right: points.subarray(element * count * dimensions, (element + 1) * count * dimensions),
      };
      visitPairs({ ...sets, rows: block, columns: count, dimensions, sum: "squares" }, (pairs) => {
        if (leaveOneOut) separate(pairs, first);
        for (let column = 0; column < pairs.columns; column += piece) {
          const begin = pairs.column + column;
          const columns = Math.min(piece, pairs.columns - column);
          const at = 2 * ((element * stretches + Math.floor(begin / stretch)) * block + pairs.row);
          addKernels(pairs, {
            column,
            columns,
            exponents: exponents.subarray(begin, begin + columns),
            mantissas: mantissas.subarray(begin, begin + columns),
            factor,
            pairs: out.subarray(at, at + 2 * pairs.rows),
          });
        }
      });
    }
  },
};

/** Weights as m * 2^e, as the shader reads them. */
function binary(weights: Float32Array): { exponents: Float32Array; mantissas: Float32Array } {
  const bits = new Uint32Array(weights.buffer, weights.byteOffset, weights.length);
  const exponents = new Float32Array(weights.length);
  const mantissas = new Uint32Array(weights.length);
  for (let i = 0; i < bits.length; i++) {
    const counts = weights[i]! >= 2 ** -126;
    exponents[i] = counts ? (bits[i]! >>> 23) - 127 : -Infinity;
    mantissas[i] = counts ? bits[i]! & 0x7fffff | 0x3f800000 : 0;
  }
  return { exponents, mantissas: new Float32Array(mantissas.buffer) };
}

/** Puts every query out of reach of the point that it is; `first` is the block's first query. */
function separate({ row, rows, column, columns, pitch, values }: PairBlock, first: number): void {
  for (let i = 0; i < rows; i++) {
    const own = first + row + i - column;
    if (own >= 0 && own < columns) values[i * pitch + own] = Infinity;
  }
}

/**
 * Stretches of the points, and so partial sums of one query.
 *
 * @throws {RangeError} If there are more than 65535.
 */
export function stretchCount(count: number, dimensions: number, action: string): number {
  const stretches = Math.ceil(count / stretchLength(count, dimensions));
  if (stretches > 65535) {
    throw new RangeError(
      `Cannot ${action} as count is too large for rows of ${dimensions} words: it is ${count}`,
    );
  }
  return stretches;
}

/**
 * The queries of one call with the defaults filled in.
 *
 * @throws {RangeError} If they are not among all queries.
 */
export function requireBlock(
  { queryCount, first = 0, block = queryCount - first }: {
    queryCount: number;
    first?: number;
    block?: number;
  },
  action: string,
): { first: number; block: number } {
  requireInteger(first, "first", action, { min: 0, max: queryCount });
  requireInteger(block, "block", action, { min: 0, max: queryCount - first });
  return { first, block };
}
