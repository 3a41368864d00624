/**
 * The devices tests run on. Every test of behaviour runs on the CPU and, where there is an adapter, on
 * WebGPU; without an adapter the second half is reported as ignored, or fails when the command line says
 * `--require-gpu`.
 *
 * @module
 */

import { CpuDevice } from "../kernels/device/cpu_device.ts";
import type { Device } from "../kernels/device/device.ts";
import { WebGpuDevice } from "../kernels/device/webgpu_device.ts";
import "./native.ts";
import { requireGpu } from "./required.ts";
import { overridesOf } from "./shaders.ts";

export { requireGpu };

/** Whether this machine has an adapter. */
export const hasGpu: boolean = await navigator.gpu.requestAdapter() !== null;

let shared: Promise<WebGpuDevice> | undefined;

/** One WebGPU device for all tests of a file, so that shaders compile once. */
export async function sharedGpu(): Promise<WebGpuDevice> {
  shared ??= openStrict();
  const device = await shared;
  if (device.lost === undefined) return device;
  return await (shared = openStrict());
}

/**
 * A WebGPU device on which a kernel may only run with constants that it names, since those are what the other
 * compilers are asked about.
 */
async function openStrict(): Promise<WebGpuDevice> {
  const device = await WebGpuDevice.open();
  const run: Device["run"] = device.run.bind(device);
  device.run = (kernel, args) => {
    const named = overridesOf(kernel);
    for (const [name, value] of Object.entries(kernel.plan(args).constants ?? {})) {
      if (named[name]?.includes(value)) continue;
      throw new RangeError(`The kernel "${kernel.name}" names no value ${value} of its constant ${name}`);
    }
    run(kernel, args);
  };
  return device;
}

/** Registers a test that needs WebGPU. */
export function testOnGpu(name: string, test: (device: WebGpuDevice) => void | Promise<void>): void {
  Deno.test({
    name: `${name} [webgpu]`,
    ignore: !hasGpu && !requireGpu,
    fn: async () => await test(await sharedGpu()),
    sanitizeOps: false,
    sanitizeResources: false,
  });
}

/** Registers a test once per device. */
export function testOnDevices(name: string, test: (device: Device) => void | Promise<void>): void {
  Deno.test(`${name} [cpu]`, async () => {
    using device = new CpuDevice();
    await test(device);
  });
  testOnGpu(name, test);
}

/** A small deterministic generator for test data (mulberry32), independent of the one under test. */
export function testRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Lowers limits that a device states until it is disposed; what the driver admits stays as it is. */
export function lowerLimits(
  { gpu }: WebGpuDevice,
  lowered: Partial<Record<"maxStorageBufferBindingSize" | "maxBufferSize", number>>,
): Disposable {
  const { limits } = gpu;
  const value = new Proxy(limits, {
    get: (_, name) => lowered[name as keyof typeof lowered] ?? Reflect.get(limits, name, limits),
  });
  Object.defineProperty(gpu, "limits", { value, configurable: true });
  return { [Symbol.dispose]: () => Reflect.deleteProperty(gpu, "limits") };
}

/** Replaces the platform's search for adapters, and collects what is written to stderr. */
export function stubAdapter(find: () => Promise<GPUAdapter | null>): Disposable & { lines: string[] } {
  const lines: string[] = [];
  const { error } = console;
  console.error = (line: string) => lines.push(line);
  Object.defineProperty(navigator.gpu, "requestAdapter", { value: find, configurable: true });
  return {
    lines,
    [Symbol.dispose]: () => {
      console.error = error;
      Reflect.deleteProperty(navigator.gpu, "requestAdapter");
    },
  };
}
