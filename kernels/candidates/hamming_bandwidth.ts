/**
 * Silverman's rule for candidates whose tokens are bits, as Infinity's are: the bandwidth that
 * `hamming_density.ts` uses.
 *
 * @module
 */

import { requireChoice, requireInteger } from "../arguments.ts";
import { silvermanFactor } from "./bandwidth.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { EXACT_WGSL, product, squareRoot } from "../exact/exact.ts";
import { MAX_DRAWS } from "../exact/exact_sums.ts";
import wgsl from "./hamming_bandwidth.wgsl" with { type: "text" };

/** The most bits of one token. */
export const MAX_BITS = 512;

/** Arguments of {@linkcode hammingBandwidth}. */
export interface HammingBandwidthArguments {
  /**
   * Candidates as bits, u32 [images, draws, positions, ceil(bits / 32)]: bit c of a token is bit c % 32,
   * counted from the lowest, of word c / 32. What the last word holds beyond the last bit does not matter.
   */
  tokens: DeviceArray;
  /** The bandwidths, f32 [images, positions]. */
  output: DeviceArray;
  /** Number of images. */
  images: number;
  /** Candidates of one image, 1 to 8192. */
  draws: number;
  /** Tokens of one candidate. */
  positions: number;
  /** Bits of one token, 1 to 512. */
  bits: number;
  /** Divide the squared deviations by `draws` (default) or, for a sample's, by `draws - 1`. */
  deviation?: "population" | "sample";
}

const ACTION = "estimate bandwidths of bits";

/**
 * Writes `h = mean over bits of the standard deviation over the candidates * silvermanFactor(draws, bits)`,
 * where a bit that is 1 in a part p of the candidates has the deviation `sqrt(p (1 - p))`: eq. 3 of
 * VAR-Scaling (arXiv 2601.07293) for bits as numbers 0 and 1, as its code for Infinity has it. That code adds
 * 1e-6 and averages over the batch; here the density adds, and images do not depend on each other.
 *
 * The result has the same bits on every device, does not depend on the order of the candidates, and is within
 * a relative (bits + 8) 2^-24 of the true value; where all candidates agree it is exactly 0.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range, an array is too short, or a sample's
 * deviation is asked of 1 draw.
 * @throws {TypeError} From `plan`, if an option is unknown.
 *
 * @example
 * ```ts
 * import { hammingBandwidth } from "./hamming_bandwidth.ts";
 * import { silvermanFactor } from "./bandwidth.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using tokens = device.upload(new Uint32Array([0b00, 0b01]));
 * using output = device.allocate(1);
 * device.run(hammingBandwidth, { tokens, output, images: 1, draws: 2, positions: 1, bits: 2 });
 * assertAlmostEquals((await readFloats(output))[0]!, (0.5 + 0) / 2 * silvermanFactor(2, 2), 1e-7);
 * ```
 */
export const hammingBandwidth: Kernel<HammingBandwidthArguments> = {
  name: "hamming_bandwidth",
  wgsl: EXACT_WGSL + wgsl,
  plan(args) {
    const { tokens, output, images, draws, positions, bits, deviation = "population" } = args;
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(draws, "draws", ACTION, { min: 1, max: MAX_DRAWS });
    requireInteger(positions, "positions", ACTION, { min: 1 });
    requireInteger(bits, "bits", ACTION, { min: 1, max: MAX_BITS });
    requireChoice(deviation, ["population", "sample"], "deviation", ACTION);
    if (deviation === "sample" && draws === 1) {
      throw new RangeError(`Cannot ${ACTION} as a sample's deviation needs at least 2 draws: draws is 1`);
    }
    requireLength(tokens, images * draws * positions * Math.ceil(bits / 32), ACTION);
    requireLength(output, images * positions, ACTION);
    return {
      arrays: [tokens, output],
      parameters: [
        ["u32", images * positions],
        ["u32", draws],
        ["u32", positions],
        ["u32", bits],
        ["u32", Math.ceil(bits / 32)],
        ["f32", scale(args)],
      ],
      workgroups: spread(images * positions),
    };
  },
  twin(args) {
    const { images, draws, positions, bits } = args;
    const tokens = words(args.tokens);
    const output = floats(args.output);
    const stride = positions * Math.ceil(bits / 32);
    const ones = new Uint32Array(32);
    for (let place = 0; place < images * positions; place++) {
      const first = Math.floor(place / positions) * draws * stride + place % positions * stride / positions;
      let sum = 0;
      for (let start = 0; start < bits; start += 32) {
        const at = first + start / 32;
        // Only bits in which candidates differ have a deviation.
        let different = 0;
        for (let i = 1; i < draws; i++) different |= tokens[at]! ^ tokens[at + i * stride]!;
        if (different === 0) continue;
        ones.fill(0);
        for (let i = 0; i < draws; i++) {
          for (let left = tokens[at + i * stride]! & different; left !== 0; left &= left - 1) {
            ones[31 - Math.clz32(left & -left)]!++;
          }
        }
        for (let bit = 0; bit < Math.min(32, bits - start); bit++) {
          sum = Math.fround(sum + squareRoot(ones[bit]! * (draws - ones[bit]!)));
        }
      }
      output[place] = product(sum, scale(args));
    }
  },
};

/** Rounded once, so that both devices multiply by the same number. */
function scale({ draws, bits, deviation }: HammingBandwidthArguments): number {
  const divisor = deviation === "sample" ? Math.sqrt(draws * (draws - 1)) : draws;
  return Math.fround(silvermanFactor(draws, bits) / (bits * divisor));
}
