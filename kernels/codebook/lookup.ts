/**
 * From token ids to the codebook's vectors, as the feature map of a scale. What happens to the map next is up
 * to `resample.ts` and `residual.ts`.
 *
 * @module
 */

import { requireChoice, requireInteger } from "../arguments.ts";
import { words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { floatBits } from "../exact/exact.ts";
import wgsl from "./lookup.wgsl" with { type: "text" };

/**
 * How a feature map lies in memory: position after position, `rows` [images, positions, channels], or channel
 * after channel, `planes` [images, channels, height, width].
 */
export type FeatureLayout = "rows" | "planes";

/** How codebook words hold values: a float32 each, or two float16, the first in the lower half. */
export type CodebookFormat = "f32" | "f16";

/** Arguments of {@linkcode codebookLookup}. */
export interface CodebookLookupArguments {
  /** Token ids, u32 [images, positions]. */
  tokens: DeviceArray;
  /** The codebook, f32 or f16 [vocabulary, channels]. */
  codebook: DeviceArray;
  /** Where the vectors go, f32 [images, positions, channels] or [images, channels, positions]. */
  output: DeviceArray;
  /** Number of token maps. */
  images: number;
  /** Tokens of one map. */
  positions: number;
  /** Number of codebook vectors. */
  vocabulary: number;
  /** Values of one codebook vector. */
  channels: number;
  /** Layout of `output`. */
  layout: FeatureLayout;
  /** Values of the codebook; default `"f32"`. */
  format?: CodebookFormat;
}

const ACTION = "look up codebook vectors";

/** Threads of a workgroup and channels it writes of planes, as in the shader. */
const LANES = 64;
const GROUP_CHANNELS = 8;

/**
 * Writes the codebook vector of every token. A token that is no index into the codebook, `NO_TOKEN` included,
 * gives a vector of zeros. Words are copied, and float16 values are also float32 values, so the result is
 * exact.
 *
 * @throws {RangeError} From `plan`, if a count is no integer >= 0 or an array is too short.
 * @throws {TypeError} From `plan`, if the layout or the format is unknown.
 *
 * @example
 * ```ts
 * import { codebookLookup } from "./lookup.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using tokens = device.upload(new Uint32Array([1, 0, 9]));
 * using codebook = device.upload(new Float32Array([0.5, 1.5, 2.5, 3.5]));
 * using output = device.allocate(6);
 * const shape = { images: 1, positions: 3, vocabulary: 2, channels: 2 };
 * device.run(codebookLookup, { tokens, codebook, output, ...shape, layout: "planes" });
 * assertEquals([...await readFloats(output)], [2.5, 0.5, 0, 3.5, 1.5, 0]);
 * ```
 */
export const codebookLookup: Kernel<CodebookLookupArguments> = {
  name: "lookup",
  wgsl,
  plan({ tokens, codebook, output, images, positions, vocabulary, channels, layout, format = "f32" }) {
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(positions, "positions", ACTION, { min: 0 });
    requireInteger(vocabulary, "vocabulary", ACTION, { min: 1 });
    requireInteger(channels, "channels", ACTION, { min: 1 });
    requireChoice(layout, ["rows", "planes"], "layout", ACTION);
    requireChoice(format, ["f32", "f16"], "format", ACTION);
    const count = images * positions;
    const values = vocabulary * channels;
    requireLength(tokens, count, ACTION);
    requireLength(codebook, format === "f16" ? Math.ceil(values / 2) : values, ACTION);
    requireLength(output, count * channels, ACTION);
    const shift = Math.min(3, Math.ceil(Math.log2(channels)));
    return {
      arrays: [tokens, codebook, output],
      parameters: [
        ["u32", count],
        ["u32", positions],
        ["u32", vocabulary],
        ["u32", channels],
        ["u32", layout === "planes" ? 1 : 0],
        ["u32", shift],
      ],
      ...(format === "f16" && { constants: { HALF: 1 } }),
      workgroups: layout === "planes"
        ? planesOf(Math.ceil(count / LANES), Math.ceil(channels / GROUP_CHANNELS))
        : spread(Math.ceil(count * 2 ** shift / LANES)),
    };
  },
  twin({ tokens, codebook, output, images, positions, vocabulary, channels, layout, format = "f32" }) {
    const ids = words(tokens);
    const stored = words(codebook);
    const out = words(output);
    const vectors = format === "f16" ? widened(stored, vocabulary * channels) : stored;
    const [step, stride] = layout === "planes" ? [positions, 1] : [1, channels];
    for (let image = 0; image < images; image++) {
      for (let position = 0; position < positions; position++) {
        const token = ids[image * positions + position]!;
        const target = image * positions * channels + position * stride;
        const known = token < vocabulary;
        const source = known ? token * channels : 0;
        for (let c = 0; c < channels; c++) out[target + c * step] = known ? vectors[source + c]! : 0;
      }
    }
  },
};

/** `count` workgroups, spread over the x and z sides, times `blocks` along y. */
function planesOf(count: number, blocks: number): [x: number, y: number, z: number] {
  const [x, z] = spread(count);
  return [x, blocks, z];
}

/** The float32 bits of `length` float16 values. */
function widened(stored: Uint32Array, length: number): Uint32Array {
  const bits = new Uint32Array(length);
  for (let i = 0; i < length; i++) {
    const half = stored[i >> 1]! >>> (16 * (i & 1)) & 0xffff;
    const exponent = half >> 10 & 31;
    const mantissa = half & 0x3ff;
    const magnitude = exponent === 0
      ? floatBits(mantissa * 2 ** -24)
      : (exponent + (exponent === 31 ? 224 : 112)) << 23 | mantissa << 13;
    bits[i] = (half & 0x8000) << 16 | magnitude;
  }
  return bits;
}
