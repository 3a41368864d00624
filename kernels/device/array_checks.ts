/**
 * What both devices check of arrays and data before they touch them: lengths, ranges, element types, and that
 * a kernel does not write what it reads elsewhere.
 *
 * @module
 */

import { mustBe, requireInteger } from "../arguments.ts";
import type { DeviceArray } from "./device.ts";

/**
 * Checks that `length` words from `offset` on lie within an array.
 *
 * @throws {TypeError} If one of them is not a number.
 * @throws {RangeError} If they do not.
 */
export function requireRange(array: DeviceArray, offset: number, length: number, action: string): void {
  requireInteger(offset, "offset", action, { min: 0 });
  requireInteger(length, "length", action, { min: 0 });
  if (offset + length > array.length) {
    throw new RangeError(
      `Cannot ${action} as offset + length must be <= ${array.length}, the words of "${array.label}": ` +
        `offset is ${offset} and length is ${length}`,
    );
  }
}

/**
 * The range of a copy with its defaults filled in, checked against both arrays.
 *
 * @throws {TypeError} If source and target are the same array, which WebGPU forbids.
 * @throws {RangeError} If the range does not lie within both.
 */
export function copyRange(
  source: DeviceArray,
  target: DeviceArray,
  range: { sourceOffset?: number; targetOffset?: number; length?: number },
): { sourceOffset: number; targetOffset: number; length: number } {
  const { sourceOffset = 0, targetOffset = 0, length = source.length - sourceOffset } = range;
  requireDistinct({ source, target }, "copy words");
  requireRange(source, sourceOffset, length, "copy words");
  requireRange(target, targetOffset, length, "copy words");
  return { sourceOffset, targetOffset, length };
}

/**
 * Checks that what is read and what is written are two arrays.
 *
 * @param arrays The two, by the names of the arguments.
 * @throws {TypeError} If they are the same.
 */
export function requireDistinct(arrays: Readonly<Record<string, DeviceArray>>, action: string): void {
  const [[one, a], [other, b]] = Object.entries(arrays) as [[string, DeviceArray], [string, DeviceArray]];
  if (a !== b) return;
  throw new TypeError(`Cannot ${action} as ${one} and ${other} must be two arrays: both are "${a.label}"`);
}

/** Which storage bindings of a kernel's shader are written, from `@binding(1)` on. */
export function writtenBindings(wgsl: string): readonly boolean[] {
  let written = writtenBySource.get(wgsl);
  if (written === undefined) {
    written = [];
    for (const [, binding, access] of wgsl.matchAll(STORAGE_BINDING)) {
      written[Number(binding) - 1] = access === "read_write";
    }
    writtenBySource.set(wgsl, written);
  }
  return written;
}

const STORAGE_BINDING = /@binding\((\d+)\)\s*var<storage(?:,\s*(\w+))?>/g;
const writtenBySource = new Map<string, boolean[]>();

/**
 * Checks that no word which a kernel writes is bound a second time in the same call: what it would read there
 * differs between devices.
 *
 * @param stretches Where the arrays of the plan lie: a token for the memory, and the first and last byte but
 * one.
 * @throws {TypeError} If one is.
 */
export function requireDisjoint(
  kernel: { readonly name: string; readonly wgsl: string },
  arrays: readonly DeviceArray[],
  stretches: readonly { readonly memory: unknown; readonly start: number; readonly end: number }[],
): void {
  const written = writtenBindings(kernel.wgsl);
  for (const [i, a] of stretches.entries()) {
    if (!written[i]) continue;
    for (const [j, b] of stretches.entries()) {
      if (i === j || a.memory !== b.memory || a.start >= b.end || b.start >= a.end) continue;
      throw new TypeError(
        `Cannot run "${kernel.name}" as it writes "${arrays[i]!.label}", which shares words with "${
          arrays[j]!.label
        }" in the same call`,
      );
    }
  }
}

/**
 * Checks that data are words as a device stores them; other arrays would be converted silently.
 *
 * @throws {TypeError} If they are not.
 */
export function requireWords(data: Float32Array | Uint32Array, action: string): void {
  if (data instanceof Float32Array || data instanceof Uint32Array) return;
  throw new TypeError(mustBe("a Float32Array or Uint32Array", data, "the data", action));
}

/**
 * Checks that an array holds at least `length` words.
 *
 * @throws {RangeError} If it is shorter.
 */
export function requireLength(array: DeviceArray, length: number, action: string): void {
  if (array.length < length) {
    throw new RangeError(
      `Cannot ${action} as "${array.label}" must hold at least ${length} words: it holds ${array.length}`,
    );
  }
}
