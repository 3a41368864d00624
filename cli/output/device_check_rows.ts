/**
 * What a check of a device has found, in rows of words.
 *
 * @module
 */

import type { DeviceCheck, KernelCheck, ModelForecast } from "../../mod.ts";
import { duration } from "./units.ts";

/** Names with what is to be said of them. */
export function deviceCheckRows(
  { kernels, roof, rates, forecasts, seconds }: DeviceCheck,
): [string, string][] {
  const exact = kernels.filter(({ promise }) => promise === "bits").length;
  const failed = kernels.filter(({ passed }) => !passed);
  const products = Object.entries(rates.products).map(([dtype, rate]) => `${dtype} ${number(rate)}`);
  return [
    [
      "kernels",
      failed.length === 0
        ? `✓ ${kernels.length} calls give what their twins give, ${exact} of them bit for bit`
        : `✗ ${failed.length} of ${kernels.length} calls do not give what their twins give`,
    ],
    ...failed.map((result): [string, string] => [`  ${result.kernel}`, failure(result)]),
    ["roof", `${number(roof.gigabytesPerSecond)} GB/s copied, ${number(roof.gigaopsPerSecond)} Gop/s`],
    ["products", `${products.join(", ")} Gop/s; convolutions ${number(rates.convolutions)}`],
    ["a picture takes", forecasts.length === 0 ? "no published model fits" : "at the least, with guidance"],
    ...forecastRows(forecasts),
    ["checked in", duration(1000 * seconds)],
  ];
}

function failure({ promise, off, error }: KernelCheck): string {
  if (error !== undefined) return `✗ ${error.split("\n").slice(0, 2).join(" ")}`;
  return promise === "bits"
    ? `✗ ${number(100 * off)} % of the words differ`
    : `✗ off by ${number(off)} of the largest value, allowed are ${promise}`;
}

/** One row for each model, with the time of each type of weights that fits. */
function forecastRows(forecasts: readonly ModelForecast[]): [string, string][] {
  const models = Map.groupBy(forecasts, ({ model }) => model);
  return [...models].map(([model, types]) => {
    const times = types.map(({ dtype, seconds }) => `${dtype} ${duration(1000 * seconds)}`);
    return [`  ${model}`, `${types[0]!.picture}: ${times.join(", ")}`];
  });
}

/** Three digits. */
function number(value: number): string {
  return String(Number(value.toPrecision(3)));
}
