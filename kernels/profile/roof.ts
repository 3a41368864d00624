/**
 * Two kernels that do one thing each as fast as it can be done: move words, and multiply and add. What they
 * reach on a device is the roof for every other kernel there. Datasheets promise more; no kernel in the same
 * runtime gets more. The timing is in `profile.ts`.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import copyWgsl from "./copy.wgsl" with { type: "text" };
import fmaWgsl from "./fma.wgsl" with { type: "text" };

/** Threads of a workgroup, as in the shaders. */
const COPY_LANES = 256;
const FMA_LANES = 64;

/** Arguments of {@linkcode copyWords}. */
export interface CopyWordsArguments {
  /** What is copied. */
  readonly input: DeviceArray;
  /** Where it goes. */
  readonly output: DeviceArray;
  /** Number of words, a multiple of 4. */
  readonly count: number;
}

/** Copies words, 16 bytes per thread. */
export const copyWords: Kernel<CopyWordsArguments> = {
  name: "copy",
  wgsl: copyWgsl,
  plan: ({ input, output, count }) => {
    requireInteger(count / 4, "count / 4", "copy words", { min: 0 });
    requireLength(input, count, "copy words");
    requireLength(output, count, "copy words");
    return {
      arrays: [input, output],
      parameters: [["u32", count / 4]],
      workgroups: count === 0 ? [0, 1, 1] : spread(Math.ceil(count / (4 * COPY_LANES))),
    };
  },
  twin: ({ input, output, count }) => words(output).set(words(input).subarray(0, count)),
};

/**
 * Operations of {@linkcode multiplyAdd} per thread and turn: 32 steps of 8 multiply-adds, each of which is
 * two.
 */
export const MULTIPLY_ADD_OPERATIONS = 32 * 8 * 2;

/** Arguments of {@linkcode multiplyAdd}. */
export interface MultiplyAddArguments {
  /** One word per thread, so that the work cannot be left out. */
  readonly output: DeviceArray;
  /** Number of threads, at most 2^22. */
  readonly threads: number;
  /** Turns of the loop in each thread. */
  readonly turns: number;
}

/** Multiplies and adds in registers: {@linkcode MULTIPLY_ADD_OPERATIONS} operations per thread and turn. */
export const multiplyAdd: Kernel<MultiplyAddArguments> = {
  name: "fma",
  wgsl: fmaWgsl,
  plan: ({ output, threads, turns }) => {
    // One side of the grid, and numbers that a float tells apart.
    requireInteger(threads, "threads", "multiply and add", { min: 1, max: 2 ** 22 - FMA_LANES });
    requireInteger(turns, "turns", "multiply and add", { min: 1, max: 65534 });
    requireLength(output, threads, "multiply and add");
    return {
      arrays: [output],
      parameters: [["u32", threads], ["u32", turns]],
      workgroups: [Math.ceil(threads / FMA_LANES), 1, 1],
    };
  },
  // In double precision, which is as fast here; the values settle at m / (1 - m) and agree within the
  // rounding of floats.
  twin: ({ output, threads, turns }) => {
    const out = floats(output);
    for (let thread = 0; thread < threads; thread++) {
      const m = 0.5 + thread * 2 ** -24;
      let [a, b, c, d] = [1 * m, 2 * m, 3 * m, 4 * m];
      let [e, f, g, h] = [5 * m, 6 * m, 7 * m, 8 * m];
      for (let step = 32 * turns; step > 0; step--) {
        a = a * m + m;
        b = b * m + m;
        c = c * m + m;
        d = d * m + m;
        e = e * m + m;
        f = f * m + m;
        g = g * m + m;
        h = h * m + m;
      }
      out[thread] = a + e + (b + f) + (c + g) + (d + h);
    }
  },
};
