/**
 * The first step of a network that looks at pictures: packed pixels become planes of floats, each level
 * replaced by what the network takes for it. How levels are scaled is left to who fills the table.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { requireLength } from "../device/array_checks.ts";
import { words } from "../device/cpu_device.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import wgsl from "./unpack.wgsl" with { type: "text" };

/** Arguments of {@linkcode unpackPixels}. */
export interface UnpackPixelsArguments {
  /** Packed pixels, u32 [images, area]: red in the lowest byte. Alpha is not looked at. */
  pixels: DeviceArray;
  /** What stands for each level of red, green and blue, f32 [3, 256]. */
  levels: DeviceArray;
  /** Red, green and blue planes, f32 [images, 3, area]. */
  planes: DeviceArray;
  /** Number of images. */
  images: number;
  /** Pixels of an image. */
  area: number;
}

const ACTION = "unpack pixels";

/** Threads of a workgroup and levels of a colour, as in the shader. */
const LANES = 64;
const LEVELS = 256;

/**
 * Unpacks images. What stands for a level comes from a table, so that every device gives the same bits,
 * which division on a GPU does not.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 *
 * @example
 * ```ts
 * import { unpackPixels } from "./unpack.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using pixels = device.upload(new Uint32Array([0xff0000ff]));
 * using levels = device.upload(Float32Array.from({ length: 768 }, (_, i) => i % 256 / 255));
 * using planes = device.allocate(3);
 * device.run(unpackPixels, { pixels, levels, planes, images: 1, area: 1 });
 * assertEquals([...await readFloats(planes)], [1, 0, 0]);
 * ```
 */
export const unpackPixels: Kernel<UnpackPixelsArguments> = {
  name: "unpack",
  wgsl,
  plan({ pixels, levels, planes, images, area }) {
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(area, "area", ACTION, { min: 1 });
    requireLength(pixels, images * area, ACTION);
    requireLength(levels, 3 * LEVELS, ACTION);
    requireLength(planes, images * 3 * area, ACTION);
    return {
      arrays: [pixels, levels, planes],
      parameters: [["u32", images * area], ["u32", area]],
      workgroups: spread(Math.ceil(images * area / LANES)),
    };
  },
  twin({ pixels, levels, planes, images, area }) {
    const [packed, table, out] = [words(pixels), words(levels), words(planes)];
    for (let n = 0; n < images; n++) {
      for (let i = 0; i < area; i++) {
        const pixel = packed[n * area + i]!;
        for (let c = 0; c < 3; c++) {
          out[(3 * n + c) * area + i] = table[c * LEVELS + (pixel >> 8 * c & 255)]!;
        }
      }
    }
  },
};
