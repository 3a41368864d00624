/**
 * From what each position adds to a candidate's density to the density itself. The sums of the positions come
 * from `group_density.ts` and `hamming_density.ts`, which spread positions over the device; this is the pass
 * that brings them together.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { EXACT_SUMS_WGSL, MAX_DRAWS, MAX_TERMS, truncate } from "../exact/exact_sums.ts";
import wgsl from "./sum_densities.wgsl" with { type: "text" };

/** Arguments of {@linkcode sumDensities}. */
export interface SumDensitiesArguments {
  /**
   * The sum of each row of each position, u32 [images, positions, rows, 2]: integers in units of 2^-30, low
   * word first. All that are added up for one candidate must stay below 2^53.
   */
  sums: DeviceArray;
  /** The densities, f32 [images, draws]. */
  scores: DeviceArray;
  /** Number of images. */
  images: number;
  /** Candidates of one image, 1 to 8192. */
  draws: number;
  /** Positions of one candidate; `draws * positions` may be 2^23 at most. */
  positions: number;
  /**
   * Which row of `sums` is a candidate's at each position, u32 [images, draws, positions]; by default row a
   * is candidate a's.
   */
  members?: DeviceArray;
  /** Rows of one position; by default there is one per candidate. */
  rows?: number;
  /** Leave out the candidate's own term, which is 1 per position; off by default. */
  leaveOneOut?: boolean;
}

const ACTION = "sum densities";

/** Threads of a workgroup, as in the shader. */
const LANES = 64;

/**
 * Writes, for each candidate, the sum over positions of its rows of `sums`, rounded down to f32. Without
 * `leaveOneOut` a density is at least the number of positions, since every candidate counts itself with 1 at
 * each; with it, it may be 0.
 *
 * To see what single positions contribute, pass `positions: 1` and as many images as there are pairs of image
 * and position: the densities are then those of each position, f32 [images, positions, draws] (of the rows,
 * where there are `members`).
 *
 * @throws {RangeError} From `plan`, if a count is out of range or an array is too short.
 *
 * @example
 * ```ts
 * import { sumDensities } from "./sum_densities.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * const one = 2 ** 30;
 * using sums = device.upload(new Uint32Array([one, 0, one / 2, 1, one, 0, one, 0]));
 * using scores = device.allocate(2);
 * device.run(sumDensities, { sums, scores, images: 1, draws: 2, positions: 2 });
 * assertEquals([...await readFloats(scores)], [2, 5.5]);
 * ```
 */
export const sumDensities: Kernel<SumDensitiesArguments> = {
  name: "sum_densities",
  wgsl: EXACT_SUMS_WGSL + wgsl,
  plan(args) {
    const { sums, scores, images, draws, positions, members, rows = draws, leaveOneOut = false } = args;
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(draws, "draws", ACTION, { min: 1, max: MAX_DRAWS });
    requireInteger(positions, "positions", ACTION, { min: 1 });
    requireInteger(draws * positions, "draws * positions", ACTION, { min: 1, max: MAX_TERMS });
    requireInteger(rows, "rows", ACTION, { min: members === undefined ? draws : 1 });
    requireLength(sums, images * positions * rows * 2, ACTION);
    if (members !== undefined) requireLength(members, images * draws * positions, ACTION);
    requireLength(scores, images * draws, ACTION);
    return {
      arrays: [sums, members ?? sums, scores],
      parameters: [
        ["u32", images],
        ["u32", draws],
        ["u32", positions],
        ["u32", rows],
        ["u32", members === undefined ? 0 : 1],
        ["u32", leaveOneOut ? 1 : 0],
      ],
      workgroups: spread(Math.ceil(images * draws / LANES)),
    };
  },
  twin(args) {
    const { images, draws, positions, rows = draws, leaveOneOut = false } = args;
    const sums = words(args.sums);
    const members = args.members && words(args.members);
    const scores = floats(args.scores);
    const totals = new Float64Array(draws);
    for (let image = 0; image < images; image++) {
      totals.fill(leaveOneOut ? -positions * 2 ** 30 : 0);
      for (let position = 0; position < positions; position++) {
        for (let draw = 0; draw < draws; draw++) {
          const row = members
            ? Math.min(members[(image * draws + draw) * positions + position]!, rows - 1)
            : draw;
          const at = 2 * ((image * positions + position) * rows + row);
          totals[draw]! += sums[at]! + sums[at + 1]! * 2 ** 32;
        }
      }
      for (let draw = 0; draw < draws; draw++) {
        scores[image * draws + draw] = truncate(totals[draw]!) * 2 ** -30;
      }
    }
  },
};

/** Options of `runDensity` and `runHammingDensity`. */
export interface ScratchOptions {
  /**
   * Words of one array that may be allocated in between, 2^25 (128 MiB) by default: the size of a binding
   * that WebGPU guarantees.
   */
  scratch?: number;
}

/**
 * How many images can be computed at once, if one of them needs an array of so many words.
 *
 * @throws {TypeError} If the limit is no number.
 * @throws {RangeError} If it is no integer from 1 on.
 */
export function imagesAtOnce(images: number, wordsOfOne: number, options: ScratchOptions): number {
  const { scratch = 2 ** 25 } = options;
  requireInteger(scratch, "scratch", ACTION, { min: 1 });
  return Math.min(images, Math.floor(scratch / wordsOfOne));
}
