/**
 * Positions at which no token of bits can be drawn. Where tokens are indices a draw marks them by `NO_TOKEN`;
 * all patterns of bits are tokens, so here it takes a look of its own.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { requireLength } from "../device/array_checks.ts";
import { words } from "../device/cpu_device.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { LOGIT_WGSL } from "./logit.ts";
import wgsl from "./missing_bits.wgsl" with { type: "text" };

/** Arguments of {@linkcode missingBits}. */
export interface MissingBitsArguments {
  /**
   * The logits of the values 0 and 1 of each bit, f32 [images, positions, bits, 2]. Of guided logits the
   * conditional ones decide: guidance leaves a value that is not finite as it is.
   */
  logits: DeviceArray;
  /** Where the positions go, u32 [images]; {@linkcode NONE_MISSING} where nothing is missing. */
  missing: DeviceArray;
  /** Number of images. */
  images: number;
  /** Positions of one token map. */
  positions: number;
  /** Bits of a token, from 1 to 65536. */
  bits: number;
}

/** What stands for an image in which every bit can be drawn. */
export const NONE_MISSING = 0xffffffff;

const ACTION = "find missing bits";

/**
 * Writes for each image the first position at which a bit has no value to draw, as both its logits are NaN or
 * -infinity. `sampleBits` draws 0 there.
 *
 * @throws {TypeError} From `plan`, if an argument has the wrong type.
 * @throws {RangeError} From `plan`, if a count is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { missingBits, NONE_MISSING } from "./missing_bits.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * // Two images of two tokens of one bit.
 * using logits = device.upload(new Float32Array([0, 1, NaN, -Infinity, 0, NaN, 1, 1]));
 * using missing = device.allocate(2);
 * device.run(missingBits, { logits, missing, images: 2, positions: 2, bits: 1 });
 * assertEquals([...await readWords(missing)], [1, NONE_MISSING]);
 * ```
 */
export const missingBits: Kernel<MissingBitsArguments> = {
  name: "missing_bits",
  wgsl: LOGIT_WGSL + wgsl,
  plan({ logits, missing, images, positions, bits }) {
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(positions, "positions", ACTION, { min: 1 });
    requireInteger(bits, "bits", ACTION, { min: 1, max: 65536 });
    requireLength(logits, images * positions * bits * 2, ACTION);
    requireLength(missing, images, ACTION);
    return {
      arrays: [logits, missing],
      parameters: [["u32", images], ["u32", positions], ["u32", bits]],
      workgroups: spread(images),
    };
  },
  twin({ logits, missing, images, positions, bits }) {
    const from = words(logits);
    const to = words(missing);
    const row = 2 * bits;
    for (let image = 0; image < images; image++) {
      const start = image * positions * row;
      let i = start;
      const end = start + positions * row;
      while (i < end && !(isImpossible(from[i]!) && isImpossible(from[i + 1]!))) i += 2;
      to[image] = i < end ? Math.floor((i - start) / row) : NONE_MISSING;
    }
  },
};

/** Whether these are the bits of NaN or -infinity. */
function isImpossible(bits: number): boolean {
  return (bits & 0x7fffffff) > 0x7f800000 || bits === 0xff800000;
}
