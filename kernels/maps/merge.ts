/**
 * Putting what shall stay into maps that were made anew: editing keeps the tokens of a picture where its mask
 * says so. Where a mask comes from is left to the sampler.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { words } from "../device/cpu_device.ts";
import { requireDistinct, requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import wgsl from "./merge.wgsl" with { type: "text" };

/** Arguments of {@linkcode mergeMaps}. */
export interface MergeMapsArguments {
  /**
   * What is changed in place, [images, repeats, channels, positions] words of any kind: tokens have one
   * channel.
   */
  target: DeviceArray;
  /** Where kept words come from, [sourceRows, channels, positions]; an array other than `target`. */
  source: DeviceArray;
  /** Which source row belongs to each image, u32 [images]. */
  rows: DeviceArray;
  /** Where the source is kept, u32 [positions]; 0 leaves the target as it is. */
  keep: DeviceArray;
  /** Number of images. */
  images: number;
  /** Maps per image; 1 by default. */
  repeats?: number;
  /** Words of one position; 1 by default. */
  channels?: number;
  /** Positions of a map. */
  positions: number;
  /** Number of source maps. */
  sourceRows: number;
}

const ACTION = "merge maps";

/** Words that a workgroup looks at, as in the shader. */
const GROUP_WORDS = 1024;

/**
 * Copies the source's words over the target's at all kept positions: `keep · source + (1 - keep) · target`,
 * as zero-shot editing with VAR does on every scale (Tian et al. 2024, arXiv:2404.02905, section 5.2). An
 * image whose row is not below `sourceRows` stays as it is. Words are copied, so the result is exact.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 * @throws {TypeError} From `plan`, if source and target are the same array.
 *
 * @example
 * ```ts
 * import { mergeMaps } from "./merge.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using target = device.upload(new Uint32Array([1, 2, 3, 4, 5, 6])); // two maps of one image
 * using source = device.upload(new Uint32Array([7, 8, 9]));
 * using rows = device.upload(new Uint32Array([0]));
 * using keep = device.upload(new Uint32Array([1, 0, 1]));
 * const shape = { images: 1, repeats: 2, positions: 3, sourceRows: 1 };
 * device.run(mergeMaps, { target, source, rows, keep, ...shape });
 * assertEquals([...await readWords(target)], [7, 2, 9, 7, 5, 9]);
 * ```
 */
export const mergeMaps: Kernel<MergeMapsArguments> = {
  name: "merge",
  wgsl,
  plan({ target, source, rows, keep, images, repeats = 1, channels = 1, positions, sourceRows }) {
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(repeats, "repeats", ACTION, { min: 1 });
    requireInteger(channels, "channels", ACTION, { min: 1 });
    requireInteger(positions, "positions", ACTION, { min: 1 });
    requireInteger(sourceRows, "sourceRows", ACTION, { min: 0 });
    requireDistinct({ source, target }, ACTION);
    const stride = repeats * channels * positions;
    requireLength(target, images * stride, ACTION);
    requireLength(source, sourceRows * channels * positions, ACTION);
    requireLength(rows, images, ACTION);
    requireLength(keep, positions, ACTION);
    return {
      arrays: [source, rows, keep, target],
      parameters: [
        ["u32", images * stride],
        ["u32", positions],
        ["u32", channels],
        ["u32", stride],
        ["u32", sourceRows],
      ],
      workgroups: spread(Math.ceil(images * stride / GROUP_WORDS)),
    };
  },
  twin({ target, source, rows, keep, images, repeats = 1, channels = 1, positions, sourceRows }) {
    const to = words(target);
    const from = words(source);
    const chosen = words(rows);
    const kept = words(keep).subarray(0, positions);
    const size = channels * positions;
    for (let image = 0, at = 0; image < images; image++) {
      const row = chosen[image]!;
      for (let repeat = 0; repeat < repeats; repeat++, at += size) {
        if (row >= sourceRows) continue;
        for (let i = 0; i < size; i++) {
          if (kept[i % positions] !== 0) to[at + i] = from[row * size + i]!;
        }
      }
    }
  },
};
