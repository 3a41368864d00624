/**
 * The matrix of Hamming distances between two sets of bit strings, such as tokens of binary quantizers or
 * hashes. Densities over bits do not need it: they sum over distances without storing them (`density.ts`).
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { words as wordsOf } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import wgsl from "./hamming.wgsl" with { type: "text" };

/** Arguments of {@linkcode hammingMatrix}. */
export interface HammingMatrixArguments {
  /** One set, u32 [batch, rows, words]. */
  a: DeviceArray;
  /** The other set, u32 [batch, columns, words]; may be the same array. */
  b: DeviceArray;
  /** The distances, u32 [batch, rows, columns]. */
  output: DeviceArray;
  /** Rows of `a`, in each matrix of the batch. */
  rows: number;
  /** Rows of `b`, in each matrix of the batch. */
  columns: number;
  /**
   * Words of a row, 32 bits each, from 1 to 65535; bits that are not used must be the same in all rows, 0 for
   * example.
   */
  words: number;
  /** Pairs of sets, 1 by default. */
  batch?: number;
}

const ACTION = "count differing bits";
/** Threads of a workgroup; each holds four rows. */
const LANES = 64;
/**
 * A thread counts eight rows of four words in a turn, and some software adapters end a thread's loops after
 * 65535 turns.
 */
export const MAX_WORDS = 65535;

/**
 * Writes the number of bits that differ between every row of `a` and every row of `b`, exactly, as unsigned
 * integers. Divide by the number of bits for SciPy's `hamming`, which is a share.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 *
 * @example
 * ```ts
 * import { hammingMatrix } from "./hamming.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using a = device.upload(new Uint32Array([0b1010, 0b0111]));
 * using output = device.allocate(4);
 * device.run(hammingMatrix, { a, b: a, output, rows: 2, columns: 2, words: 1 });
 * assertEquals([...await readWords(output)], [0, 3, 3, 0]);
 * ```
 */
export const hammingMatrix: Kernel<HammingMatrixArguments> = {
  name: "hamming",
  wgsl,
  overrides: { STEPS: [...Array(5).keys()] },
  plan({ a, b, output, rows, columns, words, batch = 1 }) {
    requireInteger(rows, "rows", ACTION, { min: 0 });
    requireInteger(columns, "columns", ACTION, { min: 0 });
    requireInteger(words, "words", ACTION, { min: 1, max: MAX_WORDS });
    requireInteger(batch, "batch", ACTION, { min: 0 });
    requireLength(a, batch * rows * words, ACTION);
    requireLength(b, batch * columns * words, ACTION);
    requireLength(output, batch * rows * columns, ACTION);
    // Threads hold the larger set, unless that is `a` by little: stores are fastest along the columns.
    const swapped = rows > columns && columns < 4 * LANES;
    const [own, others] = swapped ? [rows, columns] : [columns, rows];
    const steps = words <= 16 ? Math.ceil(words / 4) : 0;
    const across = Math.ceil(own / (4 * LANES));
    const down = Math.ceil(others / (steps > 0 ? 32 : 8));
    return {
      arrays: swapped ? [a, b, output] : [b, a, output],
      parameters: [
        ["u32", own],
        ["u32", others],
        ["u32", words],
        ["u32", batch],
        ["u32", across],
        ["u32", down],
        ["u32", Math.ceil(own / (4 * Math.max(1, across)))],
        ["u32", swapped ? columns : 1],
        ["u32", swapped ? 1 : columns],
        ["u32", rows * columns],
      ],
      constants: { STEPS: steps, ALIGNED: Number(words % 4 === 0) },
      workgroups: spread(across * down * batch),
    };
  },
  twin({ a, b, output, rows, columns, words, batch = 1 }) {
    const left = wordsOf(a);
    const right = wordsOf(b);
    const out = wordsOf(output);
    for (let row = 0; row < batch * rows; row++) {
      const first = row * words;
      let p = Math.floor(row / rows) * columns * words;
      for (let i = row * columns; i < (row + 1) * columns; i++) {
        let count = 0;
        for (let k = 0; k < words; k++) count += ones(left[first + k]! ^ right[p++]!);
        out[i] = count;
      }
    }
  },
};

/** The number of bits that are set: sums of neighbours, of pairs, of fours, then all bytes at once. */
function ones(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
