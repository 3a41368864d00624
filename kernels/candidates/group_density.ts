/**
 * Densities of large pools of candidates: equal tokens of a position share their density there, so it is
 * computed per group of `group_tokens.ts`, and `sum_densities.ts` hands it out. The scores are those of
 * `gaussianDensity`, bit for bit; {@linkcode runDensity} takes whichever is the faster.
 *
 * @module
 */

import { requireInteger, requireNumber } from "../arguments.ts";
import { floats, words } from "../device/cpu_device.ts";
import { type DensityArguments, gaussianDensity } from "./density.ts";
import { requireLength } from "../device/array_checks.ts";
import { type Device, type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { EXACT_SUMS_WGSL, exponentFactor, MAX_DRAWS } from "../exact/exact_sums.ts";
import { kernelSums, widthOf } from "./gaussian.ts";
import wgsl from "./group_density.wgsl" with { type: "text" };
import { groupSizes, groupTokens } from "./group_tokens.ts";
import { imagesAtOnce, type ScratchOptions, sumDensities } from "./sum_densities.ts";

/** Arguments of {@linkcode groupDensity}. */
export interface GroupDensityArguments {
  /**
   * Token and count of each group, u32 [images, positions, rows, 2], from `groupTokens`; a count of 0 ends a
   * position's groups.
   */
  groups: DeviceArray;
  /**
   * The code vectors of the groups as `groupTokens` lays them out, f32 [images, positions, ceil(channels /
   * 4), rows, 4].
   */
  vectors: DeviceArray;
  /** What `silvermanBandwidth` wrote, f32 [images, positions]. */
  bandwidth: DeviceArray;
  /**
   * What the densities are added to, u32 [images, positions, rows, 2]: integers in units of 2^-30, low word
   * first.
   */
  sums: DeviceArray;
  /** Number of images. */
  images: number;
  /** Tokens of one candidate. */
  positions: number;
  /** Rows of one position, 1 to 8192. */
  rows: number;
  /** Words of one code vector. */
  channels: number;
  /** Added to each bandwidth; 1e-6 by default. */
  epsilon?: number;
  /** Average each position's bandwidth over all images first; off by default. */
  batchBandwidth?: boolean;
}

const ACTION = "estimate densities of groups";

/** Threads of a workgroup, groups that it compares, and those it compares them with, as in the shader. */
const LANES = 64;
const OWN = 4 * LANES;
const OTHERS = 64;

/**
 * Adds to the sum of each group of each position
 * `sum over groups c of count_c * exp(-|x - x_c|^2 / (2 h^2))`: what each candidate of the group gets from
 * this position. The kernel values, and so the bits, are those of `gaussianDensity`.
 *
 * @throws {RangeError} From `plan`, if a count or epsilon is out of range or an array is too short.
 *
 * @example
 * ```ts
 * import { groupDensity } from "./group_density.ts";
 * import { imagesAtOnce, type ScratchOptions, sumDensities } from "./sum_densities.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * // Token 0 three times, token 8 once.
 * using groups = device.upload(new Uint32Array([0, 3, 8, 1]));
 * using vectors = device.upload(new Float32Array([0, 0, 0, 0, 1, 0, 0, 0]));
 * using bandwidth = device.upload(new Float32Array([1]));
 * using sums = device.allocate(4);
 * device.run(groupDensity, {
 *   groups,
 *   vectors,
 *   bandwidth,
 *   sums,
 *   images: 1,
 *   positions: 1,
 *   rows: 2,
 *   channels: 1,
 *   epsilon: 0,
 * });
 * using scores = device.allocate(2);
 * device.run(sumDensities, { sums, scores, images: 1, draws: 2, positions: 1 });
 * const [often, once] = await readFloats(scores);
 * assertAlmostEquals(often!, 3 + Math.exp(-0.5), 1e-6);
 * assertAlmostEquals(once!, 1 + 3 * Math.exp(-0.5), 1e-6);
 * ```
 */
export const groupDensity: Kernel<GroupDensityArguments> = {
  name: "group_density",
  wgsl: EXACT_SUMS_WGSL + wgsl,
  plan(args) {
    const { groups, vectors, bandwidth, sums, images, positions, rows, channels } = args;
    const { epsilon = 1e-6, batchBandwidth = false } = args;
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(positions, "positions", ACTION, { min: 1 });
    requireInteger(rows, "rows", ACTION, { min: 1, max: MAX_DRAWS });
    requireInteger(channels, "channels", ACTION, { min: 1 });
    requireNumber(epsilon, "epsilon", ACTION, { min: 0 });
    const blocks = Math.ceil(channels / 4);
    requireLength(groups, images * positions * rows * 2, ACTION);
    requireLength(vectors, images * positions * rows * blocks * 4, ACTION);
    requireLength(bandwidth, images * positions, ACTION);
    requireLength(sums, images * positions * rows * 2, ACTION);
    return {
      arrays: [groups, vectors, bandwidth, sums],
      parameters: [
        ["u32", images],
        ["u32", positions],
        ["u32", rows],
        ["u32", blocks],
        ["u32", batchBandwidth ? 1 : 0],
        ["f32", 1 / images],
        ["f32", epsilon],
      ],
      workgroups: spread(images * positions * Math.ceil(rows / OWN) * Math.ceil(rows / OTHERS)),
    };
  },
  twin(args) {
    const { images, positions, rows, channels, epsilon = 1e-6, batchBandwidth = false } = args;
    const groups = words(args.groups);
    const codes = floats(args.vectors);
    const widths = floats(args.bandwidth);
    const out = words(args.sums);
    const size = Math.ceil(channels / 4) * 4;
    for (let place = 0; place < images * positions; place++) {
      const counts: number[] = [];
      while (counts.length < rows && groups[(place * rows + counts.length) * 2 + 1]! > 0) {
        counts.push(groups[(place * rows + counts.length) * 2 + 1]!);
      }
      const vectors = new Float32Array(counts.length * size);
      for (let i = 0; i < vectors.length; i++) {
        const [row, c] = [Math.floor(i / size), i % size];
        vectors[i] = codes[(place * size / 4 + (c >> 2)) * rows * 4 + row * 4 + (c & 3)]!;
      }
      const image = Math.floor(place / positions);
      const at = { images, image, place: place % positions, places: positions, epsilon, batchBandwidth };
      const found = kernelSums(vectors, counts, size, exponentFactor(widthOf(widths, at)));
      for (let row = 0; row < found.length; row++) {
        const word = (place * rows + row) * 2;
        const sum = out[word]! + out[word + 1]! * 2 ** 32 + found[row]!;
        out[word] = sum % 2 ** 32;
        out[word + 1] = Math.floor(sum / 2 ** 32);
      }
    }
  },
};

/** From this number of candidates on, a GPU gains by grouping equal tokens first. */
const GROUPED_FROM = 128;

/**
 * Runs `gaussianDensity`, or where a GPU is to do it for many candidates `groupTokens`, `groupDensity` and
 * `sumDensities`, which give the same scores, bit for bit. What these need in between is allocated and freed
 * here; images take turns where it would be too much.
 *
 * @throws {RangeError} If a count or epsilon is out of range or an array is too short.
 * @throws {TypeError} If an option is unknown.
 *
 * @example
 * ```ts
 * import { runDensity } from "./group_density.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using tokens = device.upload(new Uint32Array([0, 0, 1]));
 * using codebook = device.upload(new Float32Array([0, 9]));
 * using bandwidth = device.upload(new Float32Array([1]));
 * using scores = device.allocate(3);
 * const shape = { images: 1, draws: 3, positions: 1, vocabulary: 2, channels: 1 };
 * runDensity(device, { tokens, codebook, bandwidth, scores, ...shape });
 * assertEquals([...await readFloats(scores)], [2, 2, 1]);
 * ```
 */
export function runDensity(device: Device, args: DensityArguments, options: ScratchOptions = {}): void {
  const { tokens, bandwidth, scores, images, draws, positions } = args;
  const { features = "position", batchBandwidth = false } = args;
  // Checked before anything is allocated.
  gaussianDensity.plan(args);
  const together = imagesAtOnce(images, groupSizes({ ...args, images: 1 }).vectors, options);
  const grouped = device.kind === "webgpu" && features === "position" && draws >= GROUPED_FROM;
  // The average over the batch needs all images at once.
  if (!grouped || together < (batchBandwidth ? images : 1)) {
    device.run(gaussianDensity, args);
    return;
  }
  const { rows, ...lengths } = groupSizes({ ...args, images: together });
  using table = device.allocate(lengths.table, "token table");
  using members = device.allocate(lengths.members, "groups of candidates");
  using groups = device.allocate(lengths.groups, "token groups");
  using vectors = device.allocate(lengths.vectors, "vectors of groups");
  using sums = device.allocate(lengths.sums, "sums of groups");
  for (let first = 0; first < images; first += together) {
    const count = Math.min(together, images - first);
    const part = {
      ...args,
      ...{ table, members, groups, vectors, sums, rows },
      tokens: device.view(tokens, first * draws * positions, count * draws * positions),
      bandwidth: device.view(bandwidth, first * positions, count * positions),
      scores: device.view(scores, first * draws, count * draws),
      images: count,
    };
    device.run(groupTokens, part);
    device.run(groupDensity, part);
    device.run(sumDensities, part);
  }
}
