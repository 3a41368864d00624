/**
 * Choosing a device: a GPU where there is a real one, the CPU otherwise.
 *
 * @module
 */

import { mustBe } from "../arguments.ts";
import { CpuDevice } from "./cpu_device.ts";
import type { Device, DeviceKind } from "./device.ts";
import { adapterName, WebGpuDevice } from "./webgpu_device.ts";

/**
 * Where to run: `"webgpu"`, `"cpu"`, or `"auto"`. For {@linkcode openDevice} and models, `"auto"` takes a GPU
 * if there is one and the CPU otherwise; adapters that only imitate a GPU in software count as none, since
 * the CPU path is about ten times as fast for image models. Operations of a single call take the CPU for
 * little work, and for much an adapter: one in software, too, where it is several times as fast as their
 * twins, which it is not for `distances`, `kde` and `nearest`.
 */
export type DeviceChoice = DeviceKind | "auto";

let explained = false;

/**
 * Opens a device. When `"auto"` falls back to the CPU, it says so once on the error stream, with the reason.
 *
 * @throws {NoAdapterError} If `"webgpu"` was asked for and there is no adapter.
 * @throws {RangeError} If the choice is none of the three.
 *
 * @example
 * ```ts
 * import { openDevice } from "./open_device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = await openDevice("cpu");
 * assertEquals(device.kind, "cpu");
 * ```
 */
export async function openDevice(choice: DeviceChoice = "auto"): Promise<Device> {
  if (choice === "cpu") return new CpuDevice();
  if (choice === "webgpu") return await WebGpuDevice.open();
  if (choice !== "auto") {
    throw new RangeError(mustBe('"auto", "webgpu" or "cpu"', choice, "it", "open a device"));
  }
  const found = await findGpu();
  if (typeof found !== "string") return await WebGpuDevice.open(found);
  if (!explained) console.error(`varscale: ${found}; running on the CPU`);
  explained = true;
  return new CpuDevice();
}

/**
 * Why `"auto"` would not run on WebGPU, or `undefined` if it would.
 *
 * @example
 * ```ts
 * import { openDevice, whyNoGpu } from "./open_device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const reason = await whyNoGpu(); // "no WebGPU adapter found", say
 * using device = await openDevice("auto");
 * assertEquals(device.kind, reason === undefined ? "webgpu" : "cpu");
 * ```
 */
export async function whyNoGpu(): Promise<string | undefined> {
  const found = await findGpu();
  return typeof found === "string" ? found : undefined;
}

/** The adapter that `"auto"` takes, or why there is none. */
async function findGpu(): Promise<GPUAdapter | string> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return "no WebGPU adapter found";
  if (adapter.info.isFallbackAdapter) {
    return `the only WebGPU adapter is software (${adapterName(adapter.info)})`;
  }
  return adapter;
}
