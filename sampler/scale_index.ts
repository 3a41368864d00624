/**
 * Scales by their numbers: from 0 on, or, if negative, from the end, -1 being the last one, as Python counts.
 *
 * @module
 */

import { requireInteger } from "../kernels/arguments.ts";

/** Numbers that a scale may have before it is known how many there are. */
export const SCALE_NUMBERS = { min: -1000, max: 1000 } as const;

/**
 * The index of a scale that is named by number.
 *
 * @param scale Its number.
 * @param count How many scales there are.
 * @param name What names it, for the message.
 * @param action What it is named for, for the message.
 * @throws {TypeError} If it is no number.
 * @throws {RangeError} If there is no such scale.
 *
 * @example
 * ```ts
 * import { scaleIndex } from "./scale_index.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * assertEquals([0, 9, -1, -10].map((scale) => scaleIndex(scale, 10, "scale", "search")), [0, 9, 9, 0]);
 * assertThrows(() => scaleIndex(-11, 10, "scale", "search"), RangeError, "from -10 to 9");
 * ```
 */
export function scaleIndex(scale: number, count: number, name: string, action: string): number {
  requireInteger(scale, name, action, { min: -count, max: count - 1 });
  return (scale + count) % count;
}
