/**
 * How much memory there is for a model where it is to run, and who computes there. What fits into it is left
 * to `fit.ts`.
 *
 * @module
 */

import type { Device } from "../../kernels/device/device.ts";
import { WebGpuDevice } from "../../kernels/device/webgpu_device.ts";
import type { CpuProvider } from "./graph_session.ts";

/** Who computes the graphs. */
export type Provider = "webgpu" | CpuProvider;

/**
 * Bytes of weights and activations that WebAssembly's 4 GiB have room for beside the runtime itself: 3840 MiB
 * of f32 weights, 3840 of f16 and 3420 of 8-bit ones were loaded and run; 3968 were not.
 */
export const WASM_BYTES: number = 3840 * 2 ** 20;

/**
 * What is assumed to be free where nothing tells: WebGPU does not, and the host only with the
 * permission `--allow-sys`.
 */
export const ASSUMED_BYTES: number = 4 * 2 ** 30;

/** Who computes the graphs of a model on a device. */
function providerOf(device: Device, cpuProvider: CpuProvider = "wasm"): Provider {
  return device instanceof WebGpuDevice ? "webgpu" : cpuProvider;
}

/** Where a model is to run, and with how many bytes. */
export interface Room {
  /** Where. */
  readonly device: Device;
  /** Who computes there. */
  readonly provider: Provider;
  /** Bytes that are free, by which a type of weights is chosen; `undefined` where nothing tells. */
  readonly available: number | undefined;
  /**
   * Bytes beyond which nothing is tried; `undefined` where nothing tells. A host may have more than is free
   * just now; WebAssembly has not, and whoever tells the memory means it.
   */
  readonly most: number | undefined;
}

/**
 * The room that there is on a device.
 *
 * @param device Where a model is to run.
 * @param options Who computes on the CPU, and what the caller knows, which counts before all else except
 * WebAssembly's own limit.
 */
export async function roomOn(
  device: Device,
  options: { cpuProvider?: CpuProvider | undefined; memory?: number | undefined } = {},
): Promise<Room> {
  const { cpuProvider, memory } = options;
  const provider = providerOf(device, cpuProvider);
  const onHost = provider !== "webgpu" || isSoftware(device as WebGpuDevice);
  const host = onHost && memory === undefined ? await hostBytes() : undefined;
  const available = memory ?? host?.available;
  if (provider !== "wasm") return { device, provider, available, most: memory ?? host?.most };
  const bytes = Math.min(available ?? WASM_BYTES, WASM_BYTES);
  return { device, provider, available: bytes, most: bytes };
}

/** Whether an adapter is a program on the CPU. */
function isSoftware({ info }: WebGpuDevice): boolean {
  return info.isFallbackAdapter || /llvmpipe|swiftshader|basic render/i.test(info.description);
}

/** Memory of the host that is free, and all that it has, if it may be asked. */
async function hostBytes(): Promise<Pick<Room, "available" | "most"> | undefined> {
  const { state } = await Deno.permissions.query({ name: "sys", kind: "systemMemoryInfo" });
  if (state !== "granted") return undefined;
  const { available, total, swapTotal } = Deno.systemMemoryInfo();
  return { available, most: total + swapTotal };
}
