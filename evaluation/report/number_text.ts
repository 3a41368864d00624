/**
 * Numbers as tables and axes write them: with as many digits as a column needs, intervals in brackets, signs
 * on differences. What stands in a table is left to `tables.ts`.
 *
 * @module
 */

import type { Measured } from "../sweep/results.ts";

/**
 * Digits after the point for values of one column: two from 1 on, as papers print FID, one from 100 on, as
 * they print IS, and three that count below 1.
 */
export function decimalsOf(values: readonly number[]): number {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (largest === 0 || largest >= 100) return largest === 0 ? 0 : 1;
  return largest >= 1 ? 2 : Math.min(2 - Math.floor(Math.log10(largest)), 10);
}

/** A value with so many digits; nothing is negative that is written as 0. */
export function fixed(value: number, decimals: number): string {
  const text = value.toFixed(decimals);
  return /^-0\.?0*$/.test(text) ? text.slice(1) : text;
}

/** A difference: the same, with its sign unless it is written as 0. */
export function signed(value: number, decimals: number): string {
  const text = fixed(value, decimals);
  return text.startsWith("-") || !/[1-9]/.test(text) ? text : `+${text}`;
}

/** A value with its interval: `7.12 [6.90, 7.31]`. */
export function withInterval(
  { value, low, high }: Measured,
  decimals: number,
  write: (value: number, decimals: number) => string = fixed,
): string {
  const text = write(value, decimals);
  if (low === undefined && high === undefined) return text;
  const end = (bound: number | undefined) => bound === undefined ? "?" : write(bound, decimals);
  return `${text} [${end(low)}, ${end(high)}]`;
}

/** A share in percent, with as many digits as it has: `95 %`. */
export function percent(share: number): string {
  return `${Number((100 * share).toFixed(10))} %`;
}

/** A probability; of one below a thousandth no more is said than that. */
export function probability(p: number): string {
  return p < 0.001 ? "< 0.001" : fixed(p, p < 0.1 ? 3 : 2);
}

/** Three digits that count, and the largest unit that leaves something before the point: `597 GFLOP`. */
export function operations(flops: number): string {
  const units = ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP"];
  let unit = 0;
  let amount = flops;
  // 999.5 would be written as 1000.
  for (; amount >= 999.5 && unit < units.length - 1; unit++) amount /= 1000;
  return `${counted(amount)} ${units[unit]}`;
}

/** Three digits that count, without an exponent. */
export function counted(value: number): string {
  if (value === 0) return "0";
  // Rounded first: 0.9996 is written as 1.00.
  const power = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(3)))));
  return fixed(value, Math.max(0, Math.min(2 - power, 10)));
}
