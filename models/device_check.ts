/**
 * A device's first minute: whether it computes what the kernels promise, what it can do at most, how fast it
 * runs what models consist of, and what follows for the published models. Whether whole models give the same
 * there as elsewhere is left to whoever loads one.
 *
 * @module
 */

import { requireFunction, requireInteger, requireOptions } from "../kernels/arguments.ts";
import type { KernelCheck } from "../kernels/check/check.ts";
import type { Device } from "../kernels/device/device.ts";
import type { Roof } from "../kernels/profile/profile.ts";
import { FAMILIES } from "./families.ts";
import { requireFit } from "./graphs/fit.ts";
import type { Rates } from "./graphs/rates.ts";
import { type Room, roomOn } from "./graphs/room.ts";
import { leastSeconds, type PublishedModel } from "./published_model.ts";
import { type Dtype, DTYPES } from "./weights/dtype.ts";

/** What a published model would take on a device, with weights of one type. */
export interface ModelForecast {
  /** Name of the model. */
  readonly model: string;
  /** Size of the picture, as `"256×256"`. */
  readonly picture: string;
  /** Type of the weights. */
  readonly dtype: Dtype;
  /** Bytes that it takes with one guided picture. */
  readonly bytes: number;
  /** Seconds that a guided picture takes at the least; see {@linkcode leastSeconds}. */
  readonly seconds: number;
}

/** What {@linkcode checkDevice} has found. */
export interface DeviceCheck {
  /** The device. */
  readonly device: string;
  /** Each kernel beside its twin. */
  readonly kernels: readonly KernelCheck[];
  /** What the device can do at most, by kernels that do nothing else. */
  readonly roof: Roof;
  /** How fast the graphs' products and convolutions are. */
  readonly rates: Rates;
  /** What fits, by model and type of weights. */
  readonly forecasts: readonly ModelForecast[];
  /** Seconds that the check took. */
  readonly seconds: number;
}

/** Options of {@linkcode checkDevice}. */
export interface CheckDeviceOptions {
  /** Bytes that a model may take there; by default what the device has, as far as it tells. */
  memory?: number;
  /** Called when a part begins. */
  onProgress?: (part: "kernels" | "roof" | "rates") => void;
  /** Ends the check. */
  signal?: AbortSignal | undefined;
}

/**
 * Checks a device. On a real GPU that takes less than a minute, most of it compilation.
 *
 * @throws {DeviceLostError} If the device is lost.
 *
 * @example
 * ```ts no-eval
 * import { checkDevice, openDevice } from "../mod.ts";
 *
 * using device = await openDevice("webgpu");
 * const { kernels, forecasts } = await checkDevice(device);
 * console.log(kernels.filter(({ passed }) => !passed), forecasts);
 * ```
 */
export async function checkDevice(device: Device, options: CheckDeviceOptions = {}): Promise<DeviceCheck> {
  const action = "check a device";
  requireOptions(options, ["memory", "onProgress", "signal"], action);
  const { memory, onProgress = () => {}, signal } = options;
  requireFunction(onProgress, "onProgress", action);
  if (memory !== undefined) requireInteger(memory, "memory", action, { min: 1 });
  const room = await roomOn(device, { memory });
  const begun = performance.now();
  const { checkKernels } = await import("../kernels/check/check.ts");
  const { measureRoof } = await import("../kernels/profile/profile.ts");
  const { measureRates } = await import("./graphs/rates.ts");
  onProgress("kernels");
  const kernels = await checkKernels(device, { signal });
  onProgress("roof");
  const roof = await measureRoof(device);
  onProgress("rates");
  const rates = await measureRates(device, { signal });
  return {
    device: device.name,
    kernels,
    roof,
    rates,
    forecasts: await forecastsOf(room, { rates, roof }),
    seconds: (performance.now() - begun) / 1000,
  };
}

/** What the published models of all families would take in a room. */
export async function forecastsOf(
  room: Room,
  { rates, roof }: Pick<DeviceCheck, "rates" | "roof">,
): Promise<ModelForecast[]> {
  const models = await Promise.all(FAMILIES.map(async ({ published }) => await published.models?.() ?? []));
  return models.flat().flatMap((model) =>
    DTYPES.flatMap((dtype) => {
      const products = rates.products[dtype];
      if (products === undefined || !fits(model, dtype, room)) return [];
      const { picture: { width, height } } = model;
      const weights = model.weights(dtype, room.provider);
      const { gigabytesPerSecond } = roof;
      return [{
        model: model.name,
        picture: `${width}×${height}`,
        dtype,
        bytes: model.bytes(dtype, room.provider),
        seconds: leastSeconds(model, weights, {
          products,
          convolutions: rates.convolutions,
          gigabytesPerSecond,
        }),
      }];
    })
  );
}

function fits(model: PublishedModel, dtype: Dtype, room: Room): boolean {
  try {
    requireFit((type) => model.bytes(type, room.provider), room, {
      dtype,
      largestArray: model.largestArray(dtype),
    });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
