/**
 * The residual step of the multi-scale quantiser: what a scale's feature map adds to the image so far, after
 * its small convolution. Bringing the map to full resolution is left to `resample.ts`.
 *
 * @module
 */

import { mustBe, requireInteger, requireNumber } from "../arguments.ts";
import { floats } from "../device/cpu_device.ts";
import { requireDistinct, requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import wgsl from "./residual.wgsl" with { type: "text" };

/** Arguments of {@linkcode residualUpdate}. */
export interface ResidualUpdateArguments {
  /** The scale's map h at full resolution, f32 [images, channels, side, side]. */
  features: DeviceArray;
  /** What is updated in place, f32 [images, channels, side, side]; an array other than `features`. */
  state: DeviceArray;
  /** Convolution weights, f32 [channels, channels, 3, 3], output channel first. */
  weight: DeviceArray;
  /** Convolution bias, f32 [channels]. */
  bias: DeviceArray;
  /** Number of images. */
  images: number;
  /** Number of channels. */
  channels: number;
  /** Side of the maps. */
  side: number;
  /** Share of the convolution against the plain map; 0.5 by default, the published residual ratio. */
  blend?: number;
  /** 1 adds to the state (decoding; the default), -1 subtracts (the encoder's remainder). */
  sign?: 1 | -1;
}

const ACTION = "update the residual";

/** Side of the tile that a workgroup computes, as in the shader. */
const TILE = 8;

/**
 * `state += sign · ((1 - blend) · h + blend · (conv3x3(h) + bias))`, zero padded: Phi of VAR (Tian et al.
 * 2024, arXiv:2404.02905, section 3.2), added up. With n = 9·channels the update is off by at most (n +
 * 6)·2^-24 of the sum of its terms' magnitudes.
 *
 * @throws {RangeError} From `plan`, if a count or factor is out of range or an array is too short.
 * @throws {TypeError} From `plan`, if features and state are the same array.
 *
 * @example
 * ```ts
 * import { residualUpdate } from "./residual.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using features = device.upload(new Float32Array([1, 2, 3, 4]));
 * using state = device.upload(new Float32Array([10, 10, 10, 10]));
 * using weight = device.upload(new Float32Array(9).fill(1)); // each output is the sum of its neighbourhood
 * using bias = device.upload(new Float32Array([2]));
 * device.run(residualUpdate, { features, state, weight, bias, images: 1, channels: 1, side: 2 });
 * assertEquals([...await readFloats(state)], [16.5, 17, 17.5, 18]);
 * ```
 */
export const residualUpdate: Kernel<ResidualUpdateArguments> = {
  name: "residual",
  wgsl,
  plan({ features, state, weight, bias, images, channels, side, blend = 0.5, sign = 1 }) {
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(channels, "channels", ACTION, { min: 1 });
    requireInteger(side, "side", ACTION, { min: 1 });
    requireNumber(blend, "blend", ACTION);
    if (sign !== 1 && sign !== -1) {
      throw new RangeError(mustBe("1 or -1", sign, "sign", ACTION));
    }
    requireDistinct({ features, state }, ACTION);
    const size = images * channels * side * side;
    requireLength(features, size, ACTION);
    requireLength(state, size, ACTION);
    requireLength(weight, channels * channels * 9, ACTION);
    requireLength(bias, channels, ACTION);
    const count = Math.ceil(side / TILE) ** 2 * Math.ceil(channels / 4) * images;
    return {
      arrays: [features, weight, bias, state],
      parameters: [
        ["u32", count],
        ["u32", channels],
        ["u32", side],
        ["f32", sign * (1 - blend)],
        ["f32", sign * blend],
      ],
      workgroups: spread(count),
    };
  },
  twin({ features, state, weight, bias, images, channels, side, blend = 0.5, sign = 1 }) {
    const h = floats(features);
    const out = floats(state);
    const taps = floats(weight);
    const offsets = floats(bias);
    const area = side * side;
    const line = side + 2;
    // The border of zeros is laid around the input once, so that the inner loop has no edges.
    const padded = new Float64Array(channels * line * line);
    const sums = new Float64Array(area);
    for (let image = 0; image < images; image++) {
      const begin = image * channels * area;
      for (let row = 0; row < channels * side; row++) {
        const target = (row + 2 * Math.floor(row / side) + 1) * line + 1;
        padded.set(h.subarray(begin + row * side, begin + (row + 1) * side), target);
      }
      for (let output = 0; output < channels; output++) {
        sums.fill(offsets[output]!);
        for (let input = 0; input < channels; input++) {
          convolve(padded, input * line * line, side, taps, (output * channels + input) * 9, sums);
        }
        const place = begin + output * area;
        for (let i = 0; i < area; i++) {
          out[place + i]! += sign * ((1 - blend) * h[place + i]! + blend * sums[i]!);
        }
      }
    }
  },
};

/**
 * Adds the 3x3 convolution of one padded map to `sums`; weights stay in registers, and each input value is
 * loaded once a row.
 */
function convolve(
  padded: Float64Array,
  start: number,
  side: number,
  taps: Float32Array,
  tap: number,
  sums: Float64Array,
): void {
  const a0 = taps[tap]!, a1 = taps[tap + 1]!, a2 = taps[tap + 2]!;
  const b0 = taps[tap + 3]!, b1 = taps[tap + 4]!, b2 = taps[tap + 5]!;
  const c0 = taps[tap + 6]!, c1 = taps[tap + 7]!, c2 = taps[tap + 8]!;
  const line = side + 2;
  for (let y = 0; y < side; y++) {
    const above = start + y * line;
    const here = above + line;
    const below = here + line;
    let p0 = padded[above]!, p1 = padded[above + 1]!;
    let q0 = padded[here]!, q1 = padded[here + 1]!;
    let r0 = padded[below]!, r1 = padded[below + 1]!;
    for (let x = 0; x < side; x++) {
      const p2 = padded[above + x + 2]!, q2 = padded[here + x + 2]!, r2 = padded[below + x + 2]!;
      sums[y * side + x]! += a0 * p0 + a1 * p1 + a2 * p2 + b0 * q0 + b1 * q1 + b2 * q2 + c0 * r0 + c1 * r1 +
        c2 * r2;
      p0 = p1, p1 = p2, q0 = q1, q1 = q2, r0 = r1, r1 = r2;
    }
  }
}
