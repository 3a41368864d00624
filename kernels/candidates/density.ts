/**
 * How densely the candidates of an image lie around each of them, in the space of code vectors: the score by
 * which VAR-Scaling tells representative samples from outliers. The bandwidth comes from `bandwidth.ts`; what
 * is done with the scores is up to `select.ts`.
 *
 * @module
 */

import { mustBe, requireChoice, requireInteger, requireNumber } from "../arguments.ts";
import type { FeatureGrouping } from "./bandwidth.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { EXACT_SUMS_WGSL, exponentFactor, MAX_DRAWS, MAX_TERMS, truncate } from "../exact/exact_sums.ts";
import { kernelSums, widthOf } from "./gaussian.ts";
import wgsl from "./density.wgsl" with { type: "text" };

/** Arguments of {@linkcode gaussianDensity}. */
export interface DensityArguments {
  /** Candidates as token ids, u32 [images, draws, positions]. */
  tokens: DeviceArray;
  /**
   * The codebook, f32 [vocabulary, channels]; pass it through `unitRows` to compare directions (VAR-Scaling's
   * cosine option).
   */
  codebook: DeviceArray;
  /** What `silvermanBandwidth` wrote, f32 [images, positions], or [images] for joint features. */
  bandwidth: DeviceArray;
  /** The densities, f32 [images, draws]. */
  scores: DeviceArray;
  /** Number of images. */
  images: number;
  /** Candidates of one image, 1 to 8192. */
  draws: number;
  /** Tokens of one candidate; `draws * positions` may be 2^23 at most. */
  positions: number;
  /** Number of codebook vectors. */
  vocabulary: number;
  /** Words of one codebook vector. */
  channels: number;
  /** Added to each bandwidth; 1e-6 by default. */
  epsilon?: number;
  /**
   * Average each position's bandwidth over all images first, as the published code does; off by default, so
   * that images do not depend on each other.
   */
  batchBandwidth?: boolean;
  /** A density per position, summed (default), or one of the whole map. */
  features?: FeatureGrouping;
  /**
   * Leave out the candidate's own term, which is 1 per position, or 1 with joint features; off by default.
   */
  leaveOneOut?: boolean;
}

const ACTION = "estimate densities";

/** Candidates of a workgroup, as in the shader. */
const OWN = 8;

/**
 * Writes, for each candidate a of each image, the unnormalized Gaussian density
 * `S[a] = sum over positions and candidates c of exp(-|x_a - x_c|^2 / (2 h^2))`, where x are code vectors and
 * h is that position's bandwidth plus epsilon; with joint features, x is the whole map and the sum is over c
 * only (VAR-Scaling, arXiv 2601.07293, eq. 2, as the published code computes it: without the constant, which
 * cancels in all that is done with the scores).
 *
 * The scores have the same bits on every device, and permuting candidates permutes them. A kernel value e^-t
 * of d-dimensional vectors is an integer in units of 2^-30, within 2^-30 plus a relative (3d + 20) 2^-24 t +
 * 5e-7 of the true one for the same bandwidth; the integers are summed exactly, over positions too, and the
 * sum is rounded down to f32. Candidates that agree at a position count each other there with exactly 1, and
 * so does each itself: no score is below the number of positions (1 with joint features), beside which steps
 * of 2^-30 are finer than the last place of its f32. With `leaveOneOut` that number is taken off before
 * rounding, exactly, and a score may be 0.
 *
 * A token that is no code, `NO_TOKEN` say, stands for a vector of zeros. Code values must be finite and below
 * 2^16 in magnitude; a vector that is not finite is near to nothing but its own token. Bandwidths are held
 * between 2^-40 and 2^40.
 *
 * For many candidates on a GPU, `runDensity` of `group_density.ts` computes the same scores several times as
 * fast. Densities of single positions come from a call with `positions: 1` on tokens laid out so, [images *
 * positions, draws, 1].
 *
 * @throws {RangeError} From `plan`, if a count or epsilon is out of range or an array is too short.
 * @throws {TypeError} From `plan`, if an option is unknown.
 *
 * @example
 * ```ts
 * import { gaussianDensity } from "./density.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using tokens = device.upload(new Uint32Array([0, 0, 1]));
 * using codebook = device.upload(new Float32Array([0, 1]));
 * using bandwidth = device.upload(new Float32Array([1]));
 * using scores = device.allocate(3);
 * const shape = { images: 1, draws: 3, positions: 1, vocabulary: 2, channels: 1 };
 * device.run(gaussianDensity, { tokens, codebook, bandwidth, scores, ...shape, epsilon: 0 });
 * const [twice, , once] = await readFloats(scores);
 * assertAlmostEquals(twice!, 2 + Math.exp(-0.5), 1e-6);
 * assertAlmostEquals(once!, 1 + 2 * Math.exp(-0.5), 1e-6);
 * ```
 */
export const gaussianDensity: Kernel<DensityArguments> = {
  name: "density",
  wgsl: EXACT_SUMS_WGSL + wgsl,
  plan(args) {
    const { tokens, codebook, bandwidth, scores, images, draws, positions, vocabulary, channels } = args;
    const { epsilon = 1e-6, batchBandwidth = false, features = "position", leaveOneOut = false } = args;
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(draws, "draws", ACTION, { min: 1, max: MAX_DRAWS });
    requireInteger(positions, "positions", ACTION, { min: 1 });
    requireInteger(vocabulary, "vocabulary", ACTION, { min: 1 });
    requireInteger(channels, "channels", ACTION, { min: 1 });
    requireChoice(features, ["position", "joint"], "features", ACTION);
    requireNumber(epsilon, "epsilon", ACTION, { min: 0 });
    if (draws * positions > MAX_TERMS) {
      throw new RangeError(mustBe(`<= ${MAX_TERMS}`, draws * positions, "draws * positions", ACTION));
    }
    const joint = features === "joint";
    requireLength(tokens, images * draws * positions, ACTION);
    requireLength(codebook, vocabulary * channels, ACTION);
    requireLength(bandwidth, joint ? images : images * positions, ACTION);
    requireLength(scores, images * draws, ACTION);
    return {
      arrays: [tokens, codebook, bandwidth, scores],
      parameters: [
        ["u32", images],
        ["u32", draws],
        ["u32", positions],
        ["u32", vocabulary],
        ["u32", channels],
        ["u32", joint ? 1 : 0],
        ["u32", batchBandwidth ? 1 : 0],
        ["f32", 1 / images],
        ["f32", epsilon],
        ["u32", leaveOneOut ? 1 : 0],
      ],
      workgroups: spread(images * Math.ceil(draws / OWN)),
    };
  },
  twin(args) {
    const { images, draws, positions, vocabulary, channels } = args;
    const { epsilon = 1e-6, batchBandwidth = false, features = "position", leaveOneOut = false } = args;
    const ids = words(args.tokens);
    const codes = floats(args.codebook);
    const widths = floats(args.bandwidth);
    const out = floats(args.scores);
    const places = features === "joint" ? 1 : positions;
    const grouped = positions / places;
    const size = grouped * channels;
    const totals = new Float64Array(draws);
    for (let image = 0; image < images; image++) {
      totals.fill(leaveOneOut ? -places * 2 ** 30 : 0);
      for (let place = 0; place < places; place++) {
        const h = widthOf(widths, { images, image, place, places, epsilon, batchBandwidth });
        // Candidates that agree here share one vector, one row of distances and one sum.
        const { members, firsts, counts } = collapse(ids, {
          draws,
          start: image * draws * positions + place * grouped,
          stride: positions,
          length: grouped,
        });
        const vectors = new Float32Array(firsts.length * size);
        for (let i = 0; i < firsts.length; i++) {
          for (let p = 0; p < grouped; p++) {
            const code = ids[firsts[i]! + p]!;
            if (code >= vocabulary) continue;
            const row = codes.subarray(code * channels, (code + 1) * channels);
            vectors.set(row, i * size + p * channels);
          }
        }
        const sums = kernelSums(vectors, counts, size, exponentFactor(h));
        for (let draw = 0; draw < draws; draw++) totals[draw]! += sums[members[draw]!]!;
      }
      for (let draw = 0; draw < draws; draw++) out[image * draws + draw] = truncate(totals[draw]!) * 2 ** -30;
    }
  },
};

/**
 * ln f of VAR-Scaling's eq. 2 (arXiv 2601.07293), `f = S / (n (2 pi)^(d/2) h^d)`, from a score S of one
 * position or of joint features. In logarithms, as h^d leaves float32 for most codebooks (d = 128 and h = 0.4
 * give 1e-51).
 *
 * @example
 * ```ts
 * import { logDensity } from "./density.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * assertAlmostEquals(
 *   logDensity(2, { draws: 2, dimensions: 1, bandwidth: 1 }),
 *   -Math.log(2 * Math.PI) / 2,
 *   1e-12,
 * );
 * ```
 */
export function logDensity(
  score: number,
  options: {
    /** Number of candidates, n. */
    draws: number;
    /** Length of the vectors, d. */
    dimensions: number;
    /** The bandwidth, h, epsilon included. */
    bandwidth: number;
  },
): number {
  const { draws, dimensions, bandwidth } = options;
  return Math.log(score) - Math.log(draws) - dimensions / 2 * Math.log(2 * Math.PI) -
    dimensions * Math.log(bandwidth);
}

/**
 * Groups equal stretches of tokens: each draw's group, where the first of each group starts, and how many
 * draws each has.
 */
function collapse(
  ids: Uint32Array,
  { draws, start, stride, length }: { draws: number; start: number; stride: number; length: number },
): { members: Uint32Array; firsts: number[]; counts: number[] } {
  const members = new Uint32Array(draws);
  const firsts: number[] = [];
  const counts: number[] = [];
  const groups = new Map<number | string, number>();
  for (let draw = 0; draw < draws; draw++) {
    const at = start + draw * stride;
    const key = length === 1 ? ids[at]! : ids.subarray(at, at + length).join();
    let group = groups.get(key);
    if (group === undefined) {
      group = firsts.length;
      groups.set(key, group);
      firsts.push(at);
      counts.push(0);
    }
    members[draw] = group;
    counts[group]!++;
  }
  return { members, firsts, counts };
}
