/**
 * How guidance lies to what it guides: sums over conditional logits and their differences from the
 * unconditional ones, from which the part of the difference along the logits follows, and its length. What is
 * done with them is left to `projected_guidance.ts`.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import { requireLength } from "../device/array_checks.ts";
import { floats, words } from "../device/cpu_device.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { bitsFloat } from "../exact/exact.ts";
import { canonical, floatsOf, LOGIT_WGSL } from "./logit.ts";
import projectionWgsl from "./projection.wgsl" with { type: "text" };
import wgsl from "./projection_sums.wgsl" with { type: "text" };

/** The WGSL side of what kernels of projections agree on, with what it needs. */
export const PROJECTION_WGSL: string = LOGIT_WGSL + projectionWgsl;

/** Arguments of {@linkcode projectionSums}. */
export interface ProjectionSumsArguments {
  /** The conditional logits, f32 [rows, length]. */
  conditional: DeviceArray;
  /** The unconditional ones, f32 [rows, length]. */
  unconditional: DeviceArray;
  /** Where the sums go, f32 [rows, {@linkcode sumsOfRow}, 3]. */
  sums: DeviceArray;
  /** Number of rows: what is projected as a whole. */
  rows: number;
  /** Values of a row, from 1 to 2^24. */
  length: number;
}

const ACTION = "sum up projections";

/** Threads of a workgroup, as in the shader. */
export const THREADS = 256;
/** Values of a sum, as in the shader. */
export const CHUNK = 4096;
/** Most values of a row: sums of their squares stay finite. */
const MAX_LENGTH = 2 ** 24;
/** What makes compilers round a product, as they do not know it. */
export const ALL_BITS = 0xffffffff;
const INFINITE_BITS = 0x7f800000;
/** Sizes between which values count as they are. */
const LEAST = 2 ** -40;
const LARGEST = 2 ** 38;

const { fround } = Math;

/**
 * In how many sums of at most 4096 values each a row of so many comes.
 *
 * @example
 * ```ts
 * import { sumsOfRow } from "./projection_sums.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([sumsOfRow(1), sumsOfRow(4096), sumsOfRow(4097)], [1, 1, 2]);
 * ```
 */
export function sumsOfRow(length: number): number {
  return Math.ceil(length / CHUNK);
}

/**
 * Sums up, for stretches of 4096 values of each row, `difference · conditional`, `conditional²` and
 * `difference²`, where the difference is `conditional - unconditional`. The same bits on every device; with
 * those of a row added up, right to within 3e-6 of the sum of the sizes.
 *
 * Pairs of which one is NaN or infinite do not count. A value below 2^-40 in size counts as 0, one beyond
 * 2^38 as 2^38.
 *
 * @throws {TypeError} From `plan`, if an argument has the wrong type.
 * @throws {RangeError} From `plan`, if a count is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { projectionSums } from "./projection_sums.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using conditional = device.upload(new Float32Array([1, 2]));
 * using unconditional = device.upload(new Float32Array([0, 3]));
 * using sums = device.allocate(3);
 * device.run(projectionSums, { conditional, unconditional, sums, rows: 1, length: 2 });
 * assertEquals([...await readFloats(sums)], [1 - 2, 1 + 4, 1 + 1]);
 * ```
 */
export const projectionSums: Kernel<ProjectionSumsArguments> = {
  name: "projection_sums",
  wgsl: PROJECTION_WGSL + wgsl,
  plan({ conditional, unconditional, sums, rows, length }) {
    requireRows({ conditional, unconditional, rows, length }, ACTION);
    const chunks = sumsOfRow(length);
    const items = rows * chunks;
    requireLength(sums, 3 * items, ACTION);
    return {
      arrays: [conditional, unconditional, sums],
      parameters: [["u32", length], ["u32", chunks], ["u32", items], ["u32", ALL_BITS]],
      workgroups: spread(items),
    };
  },
  twin({ conditional, unconditional, sums, rows, length }) {
    const [a, b, to] = [words(conditional), words(unconditional), floats(sums)];
    const chunks = sumsOfRow(length);
    const threads = new ThreadSums();
    for (let item = 0; item < rows * chunks; item++) {
      const begin = item % chunks * CHUNK;
      const first = Math.floor(item / chunks) * length;
      threads.clear();
      threads.addPairs(a, b, first + begin, first + Math.min(begin + CHUNK, length));
      to.set(threads.total(), 3 * item);
    }
  },
};

/**
 * Checks rows of conditional and unconditional logits.
 *
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If a count is out of range or an array too short.
 */
export function requireRows(
  { conditional, unconditional, rows, length }: Omit<ProjectionSumsArguments, "sums">,
  action: string,
): void {
  requireInteger(rows, "rows", action, { min: 0 });
  requireInteger(length, "length", action, { min: 1, max: MAX_LENGTH });
  requireLength(conditional, rows * length, action);
  requireLength(unconditional, rows * length, action);
}

/** A finite value as it counts in sums. */
export function held(x: number): number {
  if (x > LARGEST) return LARGEST;
  if (x < -LARGEST) return -LARGEST;
  return x < LEAST && x > -LEAST ? 0 : x;
}

/**
 * Whether a value counts in sums as it is, and so much that what is no canonical logit does not change it.
 */
function isPlainlyHeld(x: number): boolean {
  const size = Math.abs(x);
  return size >= 2 ** -30 && size <= LARGEST;
}

/** Three sums of each of the threads of a workgroup, in the order in which those add. */
export class ThreadSums {
  readonly #products = new Float32Array(THREADS);
  readonly #values = new Float32Array(THREADS);
  readonly #differences = new Float32Array(THREADS);

  /** Starts anew. */
  clear(): void {
    for (const sums of [this.#products, this.#values, this.#differences]) sums.fill(0);
  }

  /** Adds what the pairs from `begin` to `end` count. */
  addPairs(conditional: Uint32Array, unconditional: Uint32Array, begin: number, end: number): void {
    const [products, values, differences] = [this.#products, this.#values, this.#differences];
    const floats = floatsOf(conditional, begin, end - begin);
    const others = floatsOf(unconditional, begin, end - begin);
    for (let i = 0; i < floats.length; i++) {
      let value = floats[i]!;
      let difference = fround(value - others[i]!);
      // Most pairs count as they are. With a NaN or an infinity in it a difference is one, too.
      if (!(isPlainlyHeld(value) && isPlainlyHeld(difference))) {
        const bits = canonical(conditional[begin + i]!);
        const otherBits = canonical(unconditional[begin + i]!);
        if ((bits & 0x7fffffff) >= INFINITE_BITS || (otherBits & 0x7fffffff) >= INFINITE_BITS) continue;
        value = bitsFloat(bits);
        difference = held(fround(value - bitsFloat(otherBits)));
        value = held(value);
      }
      const thread = i % THREADS;
      products[thread]! += fround(difference * value);
      values[thread]! += fround(value * value);
      differences[thread]! += fround(difference * difference);
    }
  }

  /** Adds three sums to those of a thread. */
  add(thread: number, sums: Float32Array, at: number): void {
    this.#products[thread]! += sums[at]!;
    this.#values[thread]! += sums[at + 1]!;
    this.#differences[thread]! += sums[at + 2]!;
  }

  /** What all threads come to; they are spent then. */
  total(): [products: number, values: number, differences: number] {
    for (const sums of [this.#products, this.#values, this.#differences]) {
      for (let reach = THREADS / 2; reach >= 1; reach /= 2) {
        for (let thread = 0; thread < reach; thread++) sums[thread]! += sums[thread + reach]!;
      }
    }
    return [this.#products[0]!, this.#values[0]!, this.#differences[0]!];
  }
}
