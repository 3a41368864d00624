/**
 * Guidance that keeps only some of its part along the conditional logits, and does not grow beyond a length:
 * adaptive projected guidance (Sadat et al., arXiv 2410.02416). Which rows are projected as a whole, a map or
 * a position, is left to who guides.
 *
 * @module
 */

import { mustBe, requireNumber } from "../arguments.ts";
import { requireLength } from "../device/array_checks.ts";
import { floats, words } from "../device/cpu_device.ts";
import { type Device, type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { bitsFloat, product, reciprocal, squareRoot, upper } from "../exact/exact.ts";
import { canonical, floatsOf, isPlain, rowScratch } from "./logit.ts";
import {
  ALL_BITS,
  held,
  PROJECTION_WGSL,
  projectionSums,
  type ProjectionSumsArguments,
  requireRows,
  sumsOfRow,
  THREADS,
  ThreadSums,
} from "./projection_sums.ts";
import wgsl from "./projected_guidance.wgsl" with { type: "text" };

/** How strongly is guided, and by what. */
export interface ProjectionRule {
  /**
   * Weight t in `conditional + t · (rest + eta · parallel)`: 0, or from 2^-30 to 2^32 in size; a smaller one
   * counts as 0.
   */
  weight: number;
  /** Share η of the parallel part that is kept, from -1024 to 1024: 1 is ordinary guidance. */
  eta: number;
  /**
   * Root mean square that the differences of a row are shortened to if theirs is larger: from 1e-6 to 2^20,
   * or 0 (default) for never.
   */
  normThreshold?: number;
}

/** Arguments of {@linkcode projectedGuidance}. */
export interface ProjectedGuidanceArguments extends ProjectionSumsArguments, ProjectionRule {
  /** Where the guided logits go, f32 [rows, length]. */
  guided: DeviceArray;
}

const ACTION = "guide logits by a projection";

const INFINITE_BITS = 0x7f800000;

const { fround } = Math;

/**
 * Guides by the part of a difference that stands at right angles to the conditional logits, and a share of
 * the rest: with `d = conditional - unconditional`, shortened to `normThreshold · √length` where it is
 * longer, `conditional + weight · (d - (1 - eta) · (d·conditional / conditional²) · conditional)`, all
 * products over a whole row. The sums are those of `projectionSums`; {@linkcode runProjectedGuidance} makes
 * both. The same bits on every device.
 *
 * - With eta 1 and no threshold it gives what `guidance` gives, to the bit.
 * - The share that is taken away is right to within 4e-6 of `Σ|d · conditional| / Σ conditional²`, and what
 *   lies below 2^-30 of it is nothing; a length is right to a relative 4e-6, and not shortened more than
 *   2^30 times.
 * - A conditional NaN or infinity passes through. Where only the unconditional value is one, the conditional
 *   value is the result.
 *
 * @throws {TypeError} From `plan`, if an argument has the wrong type.
 * @throws {RangeError} From `plan`, if an argument is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { projectedGuidance } from "./projected_guidance.ts";
 * import { projectionSums } from "./projection_sums.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using conditional = device.upload(new Float32Array([2, 0]));
 * using unconditional = device.upload(new Float32Array([1, -1]));
 * using sums = device.allocate(3);
 * using guided = device.allocate(2);
 * const row = { conditional, unconditional, sums, rows: 1, length: 2 };
 * device.run(projectionSums, row);
 * // Of the difference (1, 1) the second value stands at right angles to (2, 0).
 * device.run(projectedGuidance, { ...row, guided, weight: 3, eta: 0 });
 * assertEquals([...await readFloats(guided)], [2, 3]);
 * ```
 */
export const projectedGuidance: Kernel<ProjectedGuidanceArguments> = {
  name: "projected_guidance",
  wgsl: PROJECTION_WGSL + wgsl,
  plan(args) {
    const { conditional, unconditional, sums, guided, rows, length } = args;
    const { weight, removed, longest } = requireRule(args);
    const chunks = sumsOfRow(length);
    const items = rows * chunks;
    requireLength(sums, 3 * items, ACTION);
    requireLength(guided, rows * length, ACTION);
    return {
      arrays: [conditional, unconditional, sums, guided],
      parameters: [
        ["u32", length],
        ["u32", chunks],
        ["u32", items],
        ["f32", weight],
        ["f32", removed],
        ["f32", longest],
        ["u32", ALL_BITS],
      ],
      workgroups: spread(items),
    };
  },
  twin(args) {
    const { rows, length } = args;
    const rule = requireRule(args);
    const [a, b, to] = [words(args.conditional), words(args.unconditional), words(args.guided)];
    const [sums, out] = [floats(args.sums), floats(args.guided)];
    const chunks = sumsOfRow(length);
    const threads = new ThreadSums();
    const { f32, u32 } = rowScratch(1);
    for (let row = 0; row < rows; row++) {
      threads.clear();
      for (let i = 0; i < chunks; i++) threads.add(i % THREADS, sums, 3 * (row * chunks + i));
      const [along, square, squares] = threads.total();
      const share = shareOf(along, square, rule);
      const weight = weightOf(squares, rule);
      const weightHigh = upper(weight);
      const weightLow = weight - weightHigh;
      const begin = row * length;
      const values = floatsOf(a, begin, length);
      const others = floatsOf(b, begin, length);
      for (let i = 0; i < length; i++) {
        let value = values[i]!;
        let other = others[i]!;
        if (!isPlain(value) || !isPlain(other)) {
          const bits = canonical(a[begin + i]!);
          const otherBits = canonical(b[begin + i]!);
          if ((bits & 0x7fffffff) >= INFINITE_BITS || (otherBits & 0x7fffffff) >= INFINITE_BITS) {
            to[begin + i] = bits;
            continue;
          }
          value = bitsFloat(bits);
          other = bitsFloat(otherBits);
        }
        const rest = fround(fround(value - other) - fround(held(value) * share));
        // `product` of exact.ts, inlined with the halves of the weight at hand; products of doubles are
        // exact.
        f32[0] = rest;
        u32[0]! &= 0xfffff000;
        const high = f32[0]!;
        const low = rest - high;
        const moved = fround(
          value + fround(fround(fround(high * weight) + low * weightHigh) + low * weightLow),
        );
        out[begin + i] = moved;
        if (!isPlain(moved)) to[begin + i] = canonical(to[begin + i]!);
      }
    }
  },
};

/** A rule as it is computed with. */
interface PlainRule {
  readonly weight: number;
  /** The share of the parallel part that is taken away. */
  readonly removed: number;
  /** The longest that a difference may be; 0 for any length. */
  readonly longest: number;
}

/** Checks the arguments, and returns the rule as it will be used. */
function requireRule(args: ProjectedGuidanceArguments): PlainRule {
  const { length, weight, eta, normThreshold = 0 } = args;
  requireRows(args, ACTION);
  requireNumber(weight, "weight", ACTION, { min: -(2 ** 32), max: 2 ** 32 });
  requireEta(eta, ACTION);
  requireNormThreshold(normThreshold, ACTION);
  return {
    weight: Math.abs(weight) < 2 ** -30 ? 0 : fround(weight),
    removed: fround(1 - eta),
    longest: fround(normThreshold * Math.sqrt(length)),
  };
}

/**
 * Checks a share of the parallel part.
 *
 * @throws {TypeError} If it is not a number.
 * @throws {RangeError} If it is out of bounds.
 */
export function requireEta(eta: number, action: string): void {
  requireNumber(eta, "eta", action, { min: -1024, max: 1024 });
}

/**
 * Checks a threshold: 0, or from 1e-6 to 2^20.
 *
 * @throws {TypeError} If it is not a number.
 * @throws {RangeError} If it is out of bounds.
 */
export function requireNormThreshold(normThreshold: number, action: string): void {
  requireNumber(normThreshold, "normThreshold", action, { min: 0, max: 2 ** 20 });
  if (normThreshold === 0 || normThreshold >= 1e-6) return;
  throw new RangeError(mustBe("0 or at least 1e-6", normThreshold, "normThreshold", action));
}

/** Twin of `share_of`. */
function shareOf(x: number, y: number, { removed }: PlainRule): number {
  if (y === 0 || Math.abs(x) < y * 2 ** -40) return 0;
  const share = product(product(x, reciprocal(y)), removed);
  if (Math.abs(share) < 2 ** -30) return 0;
  return Math.max(-(2 ** 32), Math.min(share, 2 ** 32));
}

/** Twin of `weight_of`. */
function weightOf(squares: number, { weight, longest }: PlainRule): number {
  const length = squareRoot(squares);
  if (longest === 0 || length <= longest) return weight;
  return product(weight, Math.max(product(longest, reciprocal(length)), 2 ** -30));
}

/**
 * Runs `projectionSums` and `projectedGuidance`. What is needed in between is allocated and freed here.
 *
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If an argument is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { runProjectedGuidance } from "./projected_guidance.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using conditional = device.upload(new Float32Array([3, 4]));
 * using unconditional = device.upload(new Float32Array([0, 0]));
 * using guided = device.allocate(2);
 * // All of the difference lies along the logits, so nothing is left of it.
 * const row = { conditional, unconditional, guided, rows: 1, length: 2 };
 * runProjectedGuidance(device, { ...row, weight: 1, eta: 0 });
 * assertEquals([...await readFloats(guided)].map(Math.round), [3, 4]);
 * ```
 */
export function runProjectedGuidance(device: Device, args: Omit<ProjectedGuidanceArguments, "sums">): void {
  const { rows, length, guided } = args;
  // Checked before anything is allocated.
  requireRule({ ...args, sums: guided });
  requireLength(guided, rows * length, ACTION);
  using sums = device.allocate(3 * rows * sumsOfRow(length), "sums of projections");
  const { conditional, unconditional } = args;
  device.run(projectionSums, { conditional, unconditional, sums, rows, length });
  device.run(projectedGuidance, { ...args, sums });
}
