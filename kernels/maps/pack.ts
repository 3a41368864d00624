/**
 * The last step on the device: a decoder's planes become RGBA8 pixels, a quarter of the bytes to read back.
 * Files and formats are left to others.
 *
 * @module
 */

import { requireChoice, requireInteger } from "../arguments.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import wgsl from "./pack.wgsl" with { type: "text" };

/**
 * How a value between two of a picture's 256 levels becomes one of them: the lower one, or the nearer one, of
 * which there are two in the middle and the upper one counts.
 */
export type PixelRule = "truncate" | "round";

/** Arguments of {@linkcode packPixels}. */
export interface PackPixelsArguments {
  /** Red, green and blue planes with values from -1 to 1, f32 [images, 3, height, width]. */
  image: DeviceArray;
  /**
   * The pixels, u32 [images, height, width]: red in the lowest byte, alpha 255, so that the bytes read R, G,
   * B, A.
   */
  pixels: DeviceArray;
  /** Number of images. */
  images: number;
  /** Pixels of a line. */
  width: number;
  /** Lines. */
  height: number;
  /** Which level a value becomes; `"truncate"` by default. */
  rule?: PixelRule;
}

const ACTION = "pack pixels";

/** Half levels that are added before whole ones are counted. */
const ADDED: Readonly<Record<PixelRule, number>> = { truncate: 0, round: 1 };

/** Threads of a workgroup, as in the shader. */
const LANES = 64;

const { fround } = Math;

/**
 * Packs images: values are clamped to [-1, 1], mapped to [0, 255] and truncated, as the published VAR code
 * does when it saves an image, or rounded. NaN becomes 0. Every device gives the same bits.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 * @throws {TypeError} From `plan`, if there is no such rule.
 *
 * @example
 * ```ts
 * import { packPixels } from "./pack.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using image = device.upload(new Float32Array([-1, 0, 1]));
 * using pixels = device.allocate(1);
 * device.run(packPixels, { image, pixels, images: 1, width: 1, height: 1 });
 * assertEquals([...new Uint8Array((await readWords(pixels)).buffer)], [0, 127, 255, 255]);
 * device.run(packPixels, { image, pixels, images: 1, width: 1, height: 1, rule: "round" });
 * assertEquals([...new Uint8Array((await readWords(pixels)).buffer)], [0, 128, 255, 255]);
 * ```
 */
export const packPixels: Kernel<PackPixelsArguments> = {
  name: "pack",
  wgsl,
  plan({ image, pixels, images, width, height, rule = "truncate" }) {
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(width, "width", ACTION, { min: 1 });
    requireInteger(height, "height", ACTION, { min: 1 });
    requireChoice(rule, Object.keys(ADDED), "rule", ACTION);
    const area = width * height;
    requireLength(image, images * 3 * area, ACTION);
    requireLength(pixels, images * area, ACTION);
    return {
      arrays: [image, pixels],
      parameters: [["u32", images * area], ["u32", area], ["u32", ADDED[rule]]],
      workgroups: spread(Math.ceil(images * area / LANES)),
    };
  },
  twin({ image, pixels, images, width, height, rule = "truncate" }) {
    const planes = floats(image);
    const out = words(pixels);
    const area = width * height;
    const added = ADDED[rule];
    for (let n = 0; n < images; n++) {
      const red = n * 3 * area;
      for (let i = 0; i < area; i++) {
        const r = level(planes[red + i]!, added);
        const g = level(planes[red + area + i]!, added);
        const b = level(planes[red + 2 * area + i]!, added);
        out[n * area + i] = r | g << 8 | b << 16 | 0xff000000;
      }
    }
  },
};

function level(x: number, added: number): number {
  if (!(x > -1)) return 0;
  if (x >= 1) return 255;
  return (fround(fround(x + 1) * 255) | 0) + added >> 1;
}
