/**
 * Time spans, amounts of memory and of work in the units that suit them.
 *
 * @module
 */

/**
 * A time span: `340 ms`, `12.3 s`, `4 min 05 s`, `31 h 02 min`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([340, 12_300, 245_000].map(duration), ["340 ms", "12.3 s", "4 min 05 s"]);
 * ```
 */
export function duration(milliseconds: number): string {
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/**
 * A number of bytes: `812 bytes`, `15.4 MiB`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([812, 15.4 * 2 ** 20].map(size), ["812 bytes", "15.4 MiB"]);
 * ```
 */
export function size(bytes: number): string {
  const units = ["KiB", "MiB", "GiB", "TiB"];
  if (bytes < 1024) return `${bytes} bytes`;
  let value = bytes / 1024;
  while (value >= 1023.95 && units.length > 1) {
    value /= 1024;
    units.shift();
  }
  return `${value.toFixed(1)} ${units[0]}`;
}

/**
 * A number of floating-point operations: `812 MFLOP`, `1.53 TFLOP`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([0, 8.12e8, 1.534e12].map(operations), ["0 FLOP", "812 MFLOP", "1.53 TFLOP"]);
 * ```
 */
export function operations(flops: number): string {
  const units = ["", "k", "M", "G", "T", "P"];
  const power = flops < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(flops) / 3));
  return `${Number((flops / 1000 ** power).toPrecision(3))} ${units[power]}FLOP`;
}
