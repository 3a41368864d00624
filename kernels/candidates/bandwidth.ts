/**
 * How wide the kernel of a density estimate should be: Silverman's rule, from the spread of the candidates
 * themselves. The density that uses it is in `density.ts`.
 *
 * @module
 */

import { requireChoice, requireInteger } from "../arguments.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { floatBits, product, squareRoot } from "../exact/exact.ts";
import { EXACT_SUMS_WGSL, MAX_DRAWS, truncate, truncateWide } from "../exact/exact_sums.ts";
import wgsl from "./bandwidth.wgsl" with { type: "text" };

/**
 * What the density of a map is taken over: `"position"`, each token's code vector by itself, or `"joint"`,
 * the code vectors of all positions together as one long vector.
 */
export type FeatureGrouping = "position" | "joint";

/** Arguments of {@linkcode silvermanBandwidth}. */
export interface BandwidthArguments {
  /** Candidates as token ids, u32 [images, draws, positions]. */
  tokens: DeviceArray;
  /**
   * The codebook, f32 [vocabulary, channels]; pass it through `unitRows` for the spread of directions
   * (VAR-Scaling's cosine option).
   */
  codebook: DeviceArray;
  /** The bandwidths, f32 [images, positions], or [images] for joint features. */
  output: DeviceArray;
  /** Number of images. */
  images: number;
  /** Candidates of one image, 1 to 8192. */
  draws: number;
  /** Tokens of one candidate. */
  positions: number;
  /** Number of codebook vectors. */
  vocabulary: number;
  /** Words of one codebook vector. */
  channels: number;
  /** Divide the squared deviations by `draws` (default) or, for a sample's, by `draws - 1`. */
  deviation?: "population" | "sample";
  /** One bandwidth per position (default) or one for the whole map. */
  features?: FeatureGrouping;
}

const ACTION = "estimate bandwidths";

/**
 * Silverman's factor `(n (d + 2) / 4)^(-1 / (d + 4))` for n points in d dimensions (VAR-Scaling, arXiv
 * 2601.07293, eq. 3).
 *
 * @example
 * ```ts
 * import { silvermanFactor } from "./bandwidth.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * assertAlmostEquals(silvermanFactor(50, 32), 0.84525782, 1e-8);
 * ```
 */
export function silvermanFactor(points: number, dimensions: number): number {
  return (points * (dimensions + 2) / 4) ** (-1 / (dimensions + 4));
}

/**
 * Writes the bandwidth h (VAR-Scaling, arXiv 2601.07293, eq. 3): the standard deviation over the candidates,
 * averaged over the dimensions, times `silvermanFactor(draws, dimensions)`. The published code adds 1e-6;
 * here the density does, since it may average over the batch first.
 *
 * The result has the same bits on every device and does not depend on the order of the candidates; where all
 * candidates agree it is exactly 0. Per dimension the values are rounded to 2^-24 of their range. A token
 * that is no code, `NO_TOKEN` say, stands for a vector of zeros. Code values must be finite and below 2^60 in
 * magnitude; a range below 2^-50 counts as 0.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range, an array is too short, or a sample's
 * deviation is asked of 1 draw.
 * @throws {TypeError} From `plan`, if an option is unknown.
 *
 * @example
 * ```ts
 * import { silvermanBandwidth, silvermanFactor } from "./bandwidth.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using tokens = device.upload(new Uint32Array([0, 1]));
 * using codebook = device.upload(new Float32Array([-1, 1]));
 * using output = device.allocate(1);
 * const shape = { images: 1, draws: 2, positions: 1, vocabulary: 2, channels: 1 };
 * device.run(silvermanBandwidth, { tokens, codebook, output, ...shape });
 * assertAlmostEquals((await readFloats(output))[0]!, silvermanFactor(2, 1), 1e-6);
 * ```
 */
export const silvermanBandwidth: Kernel<BandwidthArguments> = {
  name: "bandwidth",
  wgsl: EXACT_SUMS_WGSL + wgsl,
  plan(args) {
    const { tokens, codebook, output, images, draws, positions, vocabulary, channels } = args;
    const { deviation = "population", features = "position" } = args;
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(draws, "draws", ACTION, { min: 1, max: MAX_DRAWS });
    requireInteger(positions, "positions", ACTION, { min: 1 });
    requireInteger(vocabulary, "vocabulary", ACTION, { min: 1 });
    requireInteger(channels, "channels", ACTION, { min: 1 });
    requireChoice(deviation, ["population", "sample"], "deviation", ACTION);
    requireChoice(features, ["position", "joint"], "features", ACTION);
    if (deviation === "sample" && draws === 1) {
      throw new RangeError(`Cannot ${ACTION} as a sample's deviation needs at least 2 draws: draws is 1`);
    }
    const joint = features === "joint";
    const outputs = joint ? images : images * positions;
    requireLength(tokens, images * draws * positions, ACTION);
    requireLength(codebook, vocabulary * channels, ACTION);
    requireLength(output, outputs, ACTION);
    return {
      arrays: [tokens, codebook, output],
      parameters: [
        ["u32", images],
        ["u32", draws],
        ["u32", positions],
        ["u32", vocabulary],
        ["u32", channels],
        ["u32", joint ? 1 : 0],
        ["f32", factors(args).oneOverDraws],
        ["f32", factors(args).oneOverDivisor],
        ["f32", factors(args).scale],
      ],
      workgroups: spread(outputs),
    };
  },
  twin(args) {
    const { images, draws, positions, vocabulary, channels, features = "position" } = args;
    const ids = words(args.tokens);
    const codes = floats(args.codebook);
    const out = floats(args.output);
    const { oneOverDraws, oneOverDivisor, scale } = factors(args);
    const grouped = features === "joint" ? positions : 1;
    const values = new Float32Array(draws);
    for (let index = 0; index < images * positions / grouped; index++) {
      const first = index * grouped;
      let sum = 0;
      for (let place = first; place < first + grouped; place++) {
        const image = Math.floor(place / positions);
        const start = image * draws * positions + place % positions;
        for (let channel = 0; channel < channels; channel++) {
          for (let i = 0; i < draws; i++) {
            const token = ids[start + i * positions]!;
            values[i] = token < vocabulary ? codes[token * channels + channel]! : 0;
          }
          sum = Math.fround(sum + standardDeviation(values, oneOverDraws, oneOverDivisor));
        }
      }
      out[index] = product(sum, scale);
    }
  },
};

/** The divisions, made once and rounded to float32, so that both devices multiply by the same numbers. */
function factors(
  { draws, positions, channels, deviation, features }: BandwidthArguments,
): { oneOverDraws: number; oneOverDivisor: number; scale: number } {
  const dimensions = features === "joint" ? channels * positions : channels;
  return {
    oneOverDraws: Math.fround(1 / draws),
    oneOverDivisor: Math.fround(1 / (deviation === "sample" ? draws - 1 : draws)),
    scale: Math.fround(silvermanFactor(draws, dimensions) / dimensions),
  };
}

function standardDeviation(values: Float32Array, oneOverDraws: number, oneOverDivisor: number): number {
  let least = values[0]!;
  let greatest = least;
  for (let i = 1; i < values.length; i++) {
    const x = values[i]!;
    if (x < least) least = x;
    if (x > greatest) greatest = x;
  }
  const range = Math.fround(greatest - least);
  if (!(range >= 2 ** -50)) return 0;
  const toUnits = 2 ** (150 - (floatBits(range) >>> 23));
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    sum += Math.trunc(Math.fround(values[i]! - least) * toUnits);
  }
  const mean = Math.trunc(product(truncate(sum), oneOverDraws));
  let high = 0;
  let low = 0;
  for (let i = 0; i < values.length; i++) {
    const d = Math.trunc(Math.fround(values[i]! - least) * toUnits) - mean;
    const square = d * d;
    const top = Math.floor(square * 2 ** -24);
    high += top;
    low += square - top * 2 ** 24;
  }
  return squareRoot(product(truncateWide(high, low), oneOverDivisor)) / toUnits;
}
