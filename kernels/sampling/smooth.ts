/**
 * Soft tokens, VAR's `more_smooth`: instead of the code vector of one drawn token, the mean of the code
 * vectors under a sharpened softmax with Gumbel noise. Nicer to look at, never for FID or IS. Which tokens
 * take part is decided before, in `sample.ts`.
 *
 * @module
 */

import { requireInteger, requireNumber } from "../arguments.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import {
  guideRow,
  INFINITE_KEY,
  keyRow,
  LOGIT_WGSL,
  type LogitArguments,
  requireLogits,
  requireTemperature,
  rowScratch,
} from "./logit.ts";
import {
  PURPOSE,
  requireStream,
  type Seed,
  streamKey,
  threefry2x32,
  THREEFRY_WGSL,
} from "../exact/threefry.ts";
import wgsl from "./smooth.wgsl" with { type: "text" };

/** Arguments of {@linkcode smoothCodes}. */
export interface SmoothArguments extends LogitArguments {
  /** What is left of each row, u32 [images, positions, 2], as `sampleAndTruncate` reports it. */
  truncation: DeviceArray;
  /** Code vectors, f32 [vocabulary, channels]. */
  codebook: DeviceArray;
  /** Index of each image in its request, u32 [images]: what its random numbers depend on. */
  lanes: DeviceArray;
  /** Where the mean code vectors go: f32 [images, channels, positions]. */
  output: DeviceArray;
  /** Length of a code vector. */
  channels: number;
  /** As in `sampleTokens`; at 0 one token is left, and its code vector is the result. 1 by default. */
  temperature?: number;
  /**
   * What the logits are multiplied by, from 1e-6 to 1e6; in VAR 1 + ratio, where ratio grows from 0 at the
   * first scale to 1 at the last.
   */
  sharpness: number;
  /**
   * Temperature of the softmax with its noise, from 1e-6 to 1e6; in VAR max(0.27 * (1 - 0.95 * ratio),
   * 0.005).
   */
  tau: number;
  /** The seed; see `seedWords`. */
  seed: Seed;
  /** Index of the scale, 0-based. */
  scale: number;
}

/**
 * Mean code vectors: `softmax((logits / temperature * sharpness + noise) / tau)` over the kept tokens, times
 * the codebook. The logits are guided as in `guidance`; the noise is `-ln(e)` with `e` from the exponential
 * distribution, one per token, from the stream of purpose `noise` at (position, token).
 *
 * A GPU computes in float32 with its own `exp` and `log`: given the guided logits, each weight is right to
 * within a relative `1e-5 * (1 + 1 / tau)`, so a result is off by at most `2e-5 * (1 + 1 / tau)` times the
 * largest code value. Logits of +infinity exclude all others; a position where nothing is kept gets 0.
 *
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If an argument is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { smoothCodes } from "./smooth.ts";
 * import { sampleAndTruncate } from "./sample.ts";
 * import { seedWords } from "../exact/threefry.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assert } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using logits = device.upload(new Float32Array([2, 1, -9]));
 * using codebook = device.upload(new Float32Array([10, 20, 999]));
 * using lanes = device.upload(new Uint32Array([0]));
 * using tokens = device.allocate(1);
 * using truncation = device.allocate(2);
 * using output = device.allocate(1);
 * const row = { logits, lanes, images: 1, positions: 1, vocabulary: 3, seed: seedWords(7), scale: 0 };
 * device.run(sampleAndTruncate, { ...row, tokens, truncation, topK: 2 });
 * device.run(smoothCodes, { ...row, truncation, codebook, output, channels: 1, sharpness: 1, tau: 0.27 });
 * const [mean] = await readFloats(output);
 * assert(mean! >= 10 && mean! <= 20);
 * ```
 */
export const smoothCodes: Kernel<SmoothArguments> = {
  name: "smooth",
  wgsl: LOGIT_WGSL + THREEFRY_WGSL + wgsl,
  plan(args) {
    const { logits, truncation, codebook, lanes, output } = args;
    const { images, positions, vocabulary, channels, sharpness, tau, seed, scale } = args;
    const action = "smooth codes";
    const weight = requireLogits(args, action);
    requireInteger(channels, "channels", action, { min: 1 });
    requireTemperature(args.temperature ?? 1, action);
    requireNumber(sharpness, "sharpness", action, { min: 1e-6, max: 1e6 });
    requireNumber(tau, "tau", action, { min: 1e-6, max: 1e6 });
    requireStream(seed, scale, action);
    const rows = images * positions;
    requireLength(truncation, 2 * rows, action);
    requireLength(codebook, vocabulary * channels, action);
    requireLength(lanes, images, action);
    requireLength(output, rows * channels, action);
    return {
      arrays: [logits, truncation, codebook, lanes, output],
      parameters: [
        ["u32", rows],
        ["u32", positions],
        ["u32", vocabulary],
        ["u32", channels],
        ["f32", weight],
        ["f32", factor(args)],
        ["f32", 1 / tau],
        ["u32", scale],
        ["u32", seed[0]],
        ["u32", seed[1]],
      ],
      workgroups: spread(rows),
    };
  },
  twin(args) {
    const { images, positions, vocabulary, channels, tau, seed, scale } = args;
    const weight = requireLogits(args, "smooth codes");
    const sharpness = factor(args);
    const logits = words(args.logits);
    const truncation = words(args.truncation);
    const codebook = floats(args.codebook);
    const lanes = words(args.lanes);
    const output = floats(args.output);
    const rows = images * positions;
    const row = rowScratch(vocabulary);
    const keys = new Uint32Array(vocabulary);
    const tokens = new Uint32Array(vocabulary);
    const scores = new Float64Array(vocabulary);
    const mean = new Float64Array(channels);
    const pair = new Uint32Array(2);
    for (let r = 0; r < rows; r++) {
      const image = Math.floor(r / positions);
      const position = r % positions;
      const [key0, key1] = streamKey(seed, lanes[image]!, scale, PURPOSE.noise);
      guideRow(logits, row, { at: r * vocabulary, unconditionalAt: (rows + r) * vocabulary, weight });
      const infinite = keyRow(row.u32, keys) === INFINITE_KEY;
      // Beside +infinity nothing else has weight.
      const threshold = Math.max(truncation[2 * r]!, infinite ? INFINITE_KEY : 0);
      const last = truncation[2 * r]! < threshold ? vocabulary : truncation[2 * r + 1]!;
      let kept = 0;
      let best = -Infinity;
      for (let token = 0; token < vocabulary; token++) {
        const key = keys[token]!;
        if (key < threshold || (key === threshold && token > last)) continue;
        threefry2x32(key0, key1, position, token, pair);
        const score = ((infinite ? 0 : row.f32[token]! * sharpness) + gumbel(pair[0]!)) / tau;
        if (score > best) best = score;
        tokens[kept] = token;
        scores[kept] = score;
        kept++;
      }
      mean.fill(0);
      let total = 0;
      for (let i = 0; i < kept; i++) {
        const share = Math.exp(scores[i]! - best);
        // Below the resolution of the sum.
        if (share < 1e-20) continue;
        total += share;
        const at = tokens[i]! * channels;
        for (let channel = 0; channel < channels; channel++) {
          mean[channel]! += share * codebook[at + channel]!;
        }
      }
      for (let channel = 0; channel < channels; channel++) {
        output[(image * channels + channel) * positions + position] = kept > 0 ? mean[channel]! / total : 0;
      }
    }
  },
};

function factor({ sharpness, temperature = 1 }: SmoothArguments): number {
  // At temperature 0 the truncation has left one token, whose weight is 1 in any case.
  return temperature === 0 ? sharpness : sharpness / temperature;
}

/** `-ln(-ln u)` for `u = (n + 1/2) / 2^23`, `n` the upper 23 bits of a random word. */
function gumbel(word: number): number {
  return -Math.log(-Math.log1p(((word >>> 9) - 8388607.5) * 2 ** -23));
}
