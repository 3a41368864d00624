/**
 * Bits and codes: the quantization of tokenizers whose codebook is all corners of a cube, so that a token is
 * as many bits as a vector has channels and no codebook is needed (binary spherical quantization,
 * https://arxiv.org/abs/2406.07548, as Infinity uses it, https://arxiv.org/abs/2412.04431; with magnitude 1,
 * lookup-free quantization). Codebooks proper are the subject of `lookup.ts` and `nearest.ts`.
 *
 * @module
 */

import { mustBe, requireChoice, requireInteger, requireNumber } from "../arguments.ts";
import bitCodesWgsl from "./bit_codes.wgsl" with { type: "text" };
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import type { FeatureLayout } from "./lookup.ts";
import signBitsWgsl from "./sign_bits.wgsl" with { type: "text" };

/** How bits and feature maps belong together. */
export interface BitsShape {
  /** Number of maps. */
  images: number;
  /** Tokens of one map. */
  tokens: number;
  /** Channels of the feature map. A token has as many bits, or four times as many with patches. */
  channels: number;
  /** Layout of the feature map. */
  layout: FeatureLayout;
  /**
   * Tokens in a line of the map, for tokens that each hold a patch of 2×2 positions (Infinity-8B): bit 4c +
   * 2·dy + dx is channel c of the position dy below and dx to the right of the patch's first. The feature map
   * has two positions for each token in a line, and two lines for each line of tokens. By default a token is
   * one position, and its bit c is channel c.
   */
  patchWidth?: number;
}

/** Arguments of {@linkcode bitCodes}. */
export interface BitCodesArguments extends BitsShape {
  /** The bits, from the lowest of a token's first word on: u32 [images, tokens, ceil(bits / 32)]. */
  bits: DeviceArray;
  /** The vectors, f32 [images, positions, channels] or [images, channels, positions]. */
  output: DeviceArray;
  /**
   * What bits stand for: plus or minus this. Default 1 / sqrt(channels), which makes the vectors' length 1.
   */
  magnitude?: number;
}

/** Arguments of {@linkcode signBits}. */
export interface SignBitsArguments extends BitsShape {
  /** The feature map, f32 [images, positions, channels] or [images, channels, positions]. */
  features: DeviceArray;
  /**
   * The bits, from the lowest of a token's first word on: u32 [images, tokens, ceil(bits / 32)]; those beyond
   * the last become 0.
   */
  bits: DeviceArray;
}

/** Threads of a workgroup and channels it writes of planes, as in the shaders. */
const LANES = 64;
const GROUP_CHANNELS = 8;

/**
 * Writes the vectors that bits stand for: plus or minus a magnitude, channel by channel. Exact.
 *
 * @throws {RangeError} From `plan`, if a number is out of range or an array is too short.
 * @throws {TypeError} From `plan`, if the layout is unknown.
 *
 * @example
 * ```ts
 * import { bitCodes } from "./bits.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using bits = device.upload(new Uint32Array([0b0110, 0b0001]));
 * using output = device.allocate(8);
 * device.run(bitCodes, { bits, output, images: 1, tokens: 2, channels: 4, layout: "rows" });
 * assertEquals([...await readFloats(output)], [-0.5, 0.5, 0.5, -0.5, 0.5, -0.5, -0.5, -0.5]);
 * ```
 */
export const bitCodes: Kernel<BitCodesArguments> = {
  name: "bit_codes",
  wgsl: bitCodesWgsl,
  plan({ bits, output, magnitude, ...shape }) {
    const action = "turn bits into codes";
    const { count, positions, channels, stride, width, planes } = sizes(shape, action);
    const value = magnitude ?? 1 / Math.sqrt(channels);
    requireNumber(value, "magnitude", action, { min: 0, max: 2 ** 127 });
    requireLength(bits, shape.images * shape.tokens * stride, action);
    requireLength(output, count * channels, action);
    const shift = Math.min(3, Math.ceil(Math.log2(channels)));
    return {
      arrays: [bits, output],
      parameters: [
        ["u32", count],
        ["u32", positions],
        ["u32", channels],
        ["u32", stride],
        ["u32", width],
        ["u32", planes ? 1 : 0],
        ["u32", shift],
        ["f32", value],
      ],
      workgroups: planes
        ? blocked(count, Math.ceil(channels / GROUP_CHANNELS))
        : spread(Math.ceil(count * 2 ** shift / LANES)),
    };
  },
  twin({ bits, output, magnitude, ...shape }) {
    const from = words(bits);
    const to = floats(output);
    const value = magnitude ?? 1 / Math.sqrt(shape.channels);
    const { channels, bitStep, placeStep } = sizes(shape, "");
    eachPosition(shape, (word, bit, place) => {
      for (let c = 0; c < channels; c++, bit += bitStep, place += placeStep) {
        to[place] = (from[word + (bit >> 5)]! >>> (bit & 31) & 1) === 1 ? value : -value;
      }
    });
  },
};

/**
 * Writes the bits of feature vectors: 1 where a value is above 0, and 0 for zeros of both signs, NaN and what
 * is below. Exact, and the way back of {@linkcode bitCodes}.
 *
 * @throws {RangeError} From `plan`, if a number is out of range or an array is too short.
 * @throws {TypeError} From `plan`, if the layout is unknown.
 *
 * @example
 * ```ts
 * import { signBits } from "./bits.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using features = device.upload(new Float32Array([-1, 0.1, 7, 0]));
 * using bits = device.allocate(1);
 * device.run(signBits, { features, bits, images: 1, tokens: 1, channels: 4, layout: "rows" });
 * assertEquals([...await readWords(bits)], [0b0110]);
 * ```
 */
export const signBits: Kernel<SignBitsArguments> = {
  name: "sign_bits",
  wgsl: signBitsWgsl,
  plan({ features, bits, ...shape }) {
    const action = "turn features into bits";
    const { count, positions, channels, tokenBits, stride, width, planes } = sizes(shape, action);
    const tokens = shape.images * shape.tokens;
    requireLength(features, count * channels, action);
    requireLength(bits, tokens * stride, action);
    return {
      arrays: [features, bits],
      parameters: [
        ["u32", tokens],
        ["u32", positions],
        ["u32", channels],
        ["u32", tokenBits],
        ["u32", stride],
        ["u32", width],
        ["u32", planes ? 1 : 0],
      ],
      workgroups: blocked(tokens, stride),
    };
  },
  twin({ features, bits, ...shape }) {
    const from = floats(features);
    const to = words(bits);
    const { channels, stride, bitStep, placeStep } = sizes(shape, "");
    to.fill(0, 0, shape.images * shape.tokens * stride);
    eachPosition(shape, (word, bit, place) => {
      for (let c = 0; c < channels; c++, bit += bitStep, place += placeStep) {
        if (from[place]! > 0) to[word + (bit >> 5)]! |= 1 << (bit & 31);
      }
    });
  },
};

/** The numbers that follow from a shape, checked. */
function sizes(shape: BitsShape, action: string) {
  const { images, tokens, channels, layout, patchWidth } = shape;
  requireInteger(images, "images", action, { min: 0 });
  requireInteger(tokens, "tokens", action, { min: 0 });
  // Blocks of channels and words are workgroups along one side.
  requireInteger(channels, "channels", action, { min: 1, max: 65535 });
  requireChoice(layout, ["rows", "planes"], "layout", action);
  if (patchWidth !== undefined) {
    requireInteger(patchWidth, "patchWidth", action, { min: 1 });
    if (tokens % patchWidth !== 0) {
      throw new RangeError(mustBe(`a multiple of patchWidth, ${patchWidth}`, tokens, "tokens", action));
    }
  }
  const perPatch = patchWidth === undefined ? 1 : 4;
  const tokenBits = channels * perPatch;
  return {
    channels,
    tokenBits,
    stride: Math.ceil(tokenBits / 32),
    positions: tokens * perPatch,
    count: images * tokens * perPatch,
    width: patchWidth ?? 0,
    planes: layout === "planes",
    // From a channel of a position to its next.
    bitStep: perPatch,
    placeStep: layout === "planes" ? tokens * perPatch : 1,
  };
}

/**
 * Calls `visit` for each position with its token's first word, and with the bit and the place in the feature
 * map of its channel 0.
 */
function eachPosition(
  shape: BitsShape,
  visit: (word: number, bit: number, place: number) => void,
): void {
  const { count, positions, channels, stride, width, planes } = sizes(shape, "");
  for (let position = 0; position < count; position++) {
    let token = position;
    let bit = 0;
    if (width > 0) {
      // The lines of all images follow one another, and each image has an even number of them.
      const line = Math.floor(position / (2 * width));
      const x = position % (2 * width);
      token = (line >> 1) * width + (x >> 1);
      bit = (line & 1) * 2 + (x & 1);
    }
    const image = Math.floor(position / positions);
    visit(
      token * stride,
      bit,
      planes ? image * channels * positions + position % positions : position * channels,
    );
  }
}

/** Workgroups for `count` items, spread over the x and z sides, times `blocks` along y. */
function blocked(count: number, blocks: number): [x: number, y: number, z: number] {
  const [x, z] = spread(Math.ceil(count / LANES));
  return [x, blocks, z];
}
