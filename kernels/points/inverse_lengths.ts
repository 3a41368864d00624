/**
 * The inverse lengths of vectors, which cosine distances need once per vector instead of once per pair
 * (`distance.ts`). Scaling the vectors themselves is up to `unit_rows.ts`.
 *
 * @module
 */

import { requireChoice, requireInteger } from "../arguments.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import wgsl from "./inverse_lengths.wgsl" with { type: "text" };

/**
 * How floats lie in memory: as 32-bit words, or as halves, two to a word, the first one in the lower bits.
 */
export type FloatStorage = "f32" | "f16";

/** Arguments of {@linkcode inverseLengths}. */
export interface InverseLengthsArguments {
  /** The vectors, [count, dimensions]. */
  input: DeviceArray;
  /** 1 / length of each, f32 [count]. */
  output: DeviceArray;
  /** Number of vectors. */
  count: number;
  /** Values of one vector, from 1 to 262140. */
  dimensions: number;
  /** How the vectors lie in memory, one after the other without gaps; "f32" by default. */
  storage?: FloatStorage;
}

/**
 * A thread takes four dimensions in a turn, and some software adapters end a thread's loops after 65535
 * turns.
 */
export const MAX_DIMENSIONS = 262140;

const ACTION = "measure lengths";

/** Threads of a workgroup, as in the shader. */
const LANES = 64;

/**
 * Writes `1 / |v|` for every vector v, within (n / 8 + 10) 2^-24 of the true value, relative, for n
 * dimensions. A vector shorter than 2^-50 gets 0; one that is longer than 2^126, or holds NaN or infinity,
 * gets NaN.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 * @throws {TypeError} From `plan`, if the storage is unknown.
 *
 * @example
 * ```ts
 * import { inverseLengths } from "./inverse_lengths.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using input = device.upload(new Float32Array([0, 4, 0, 0]));
 * using output = device.allocate(2);
 * device.run(inverseLengths, { input, output, count: 2, dimensions: 2 });
 * assertEquals([...await readFloats(output)], [0.25, 0]);
 * ```
 */
export const inverseLengths: Kernel<InverseLengthsArguments> = {
  name: "inverse_lengths",
  wgsl,
  plan({ input, output, count, dimensions, storage = "f32" }) {
    requireInteger(count, "count", ACTION, { min: 0 });
    requireInteger(dimensions, "dimensions", ACTION, { min: 1, max: MAX_DIMENSIONS });
    requireChoice(storage, ["f32", "f16"], "storage", ACTION);
    requireLength(input, wordsOf(count * dimensions, storage), ACTION);
    requireLength(output, count, ACTION);
    return {
      arrays: [input, output],
      parameters: [
        ["u32", count],
        ["u32", dimensions],
        ["u32", storage === "f16" ? 1 : 0],
        ["u32", 0x7fc00000],
      ],
      workgroups: spread(Math.ceil(count / LANES)),
    };
  },
  twin({ input, output, count, dimensions, storage = "f32" }) {
    const values = storedFloats(input, count * dimensions, storage);
    const inverses = floats(output);
    for (let row = 0; row < count; row++) {
      let sum = 0;
      for (let i = row * dimensions; i < (row + 1) * dimensions; i++) sum += values[i]! * values[i]!;
      if (sum < 2 ** -100) inverses[row] = 0;
      else inverses[row] = sum <= 2 ** 252 ? 1 / Math.sqrt(sum) : NaN;
    }
  },
};

/** Words that `count` values take. */
export function wordsOf(count: number, storage: FloatStorage): number {
  return storage === "f16" ? Math.ceil(count / 2) : count;
}

/** The first `count` values of an array on the CPU device. */
export function storedFloats(array: DeviceArray, count: number, storage: FloatStorage): Float32Array {
  if (storage === "f32") return floats(array);
  const { buffer, byteOffset } = words(array);
  return new Float32Array(new Float16Array(buffer, byteOffset, count));
}
