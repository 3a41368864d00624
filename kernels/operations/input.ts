/**
 * What the operations in this folder have in common: inputs as typed arrays, buffers or device arrays,
 * outputs made here or given by the caller, options without misspelt names, and a device for a single call.
 * What is computed is up to the operations and the kernels.
 *
 * @module
 */

import { mustBe } from "../arguments.ts";
import { CpuDevice } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import type { Device, DeviceArray } from "../device/device.ts";
import { NoAdapterError } from "../device/errors.ts";
import { type DeviceChoice, openDevice, whyNoGpu } from "../device/open_device.ts";
import { WebGpuDevice } from "../device/webgpu_device.ts";

/**
 * Floats where they are: a typed array, an array on a device, or a GPU buffer, whole or from `offset` on for
 * `size` bytes.
 */
export type FloatInput = Float32Array | Target;

/** Unsigned integers where they are; see {@linkcode FloatInput}. */
export type WordInput = Uint32Array | Target;

/**
 * Where results may go: an array on a device, or a GPU buffer, whole or from `offset` on for `size` bytes.
 */
export type Target = DeviceArray | GPUBuffer | GPUBufferBinding;

/** What {@linkcode takeInput} and {@linkcode requireInput} need to know about an input. */
export interface InputOptions {
  /** What a typed array must hold. */
  type: "f32" | "u32";
  /** Name of the argument, for errors and captures. */
  name: string;
  /** What the caller was about to do, for errors. */
  action: string;
  /** Least number of words. */
  length?: number;
  /** What the number of words must be a multiple of. */
  multipleOf?: number;
}

/**
 * Checks an input as far as that goes without a device.
 *
 * @returns The number of words it holds.
 * @throws {TypeError} If it is none or holds other numbers.
 * @throws {RangeError} If its length does not fit.
 */
export function requireInput(input: FloatInput | WordInput, options: InputOptions): number {
  const { type, name, action, length, multipleOf } = options;
  const known = lengthOf(input);
  if (known === undefined || ArrayBuffer.isView(input) && !isTyped(input, type)) {
    const array = type === "f32" ? "Float32Array" : "Uint32Array";
    throw new TypeError(mustBe(`a ${array}, a device array or a GPUBuffer`, input, name, action));
  }
  if (length !== undefined && known < length) {
    throw new RangeError(
      `Cannot ${action} as ${name} must hold at least ${length} values: it holds ${known}`,
    );
  }
  if (multipleOf !== undefined && known % multipleOf !== 0) {
    throw new RangeError(
      `Cannot ${action} as the number of values in ${name} must be a multiple of ${multipleOf}: it holds ${known}`,
    );
  }
  return known;
}

/**
 * An input as an array of the device. Disposing it frees what was uploaded or wrapped here, and nothing of
 * the caller's.
 *
 * @throws {TypeError} If it is none, holds other numbers, or belongs elsewhere.
 * @throws {RangeError} If its length does not fit.
 */
export function takeInput(device: Device, input: FloatInput | WordInput, options: InputOptions): DeviceArray {
  requireInput(input, options);
  if (ArrayBuffer.isView(input)) return device.upload(input, options.name);
  return borrow(device, input, options.name, options.action);
}

/** What {@linkcode takeOutput} needs to know about an output. */
export interface OutputOptions {
  /** Number of words that are written. */
  length: number;
  /** Name of the argument, for errors and captures. */
  name: string;
  /** What the caller was about to do, for errors. */
  action: string;
}

/**
 * The array that results go to: a new one, or the caller's. Disposing it frees a new one only if nobody else
 * is to have it, so the operations return it.
 *
 * @throws {TypeError} If the target is none or belongs elsewhere.
 * @throws {RangeError} If it is too short.
 */
export function takeOutput(
  device: Device,
  target: Target | undefined,
  options: OutputOptions,
): DeviceArray {
  const { length, name, action } = options;
  if (target === undefined) return device.allocate(length, name);
  if (lengthOf(target) === undefined || ArrayBuffer.isView(target)) {
    throw new TypeError(mustBe("a device array or a GPUBuffer", target, name, action));
  }
  const array = borrow(device, target, name, action);
  try {
    requireLength(array, length, action);
  } catch (error) {
    array[Symbol.dispose]();
    throw error;
  }
  return array;
}

/**
 * Operations that a call must have for `"auto"` to look for a GPU: about 0.05 s of a twin, as long as it
 * takes to open a device and read back from it.
 */
const WORTH_A_GPU = 2 ** 28;
/** The same where the twin computes with the CPU's vectors. */
const VECTORS_WORTH_A_GPU = 2 ** 30;

/**
 * The output of {@linkcode takeOutput}, filled by `fill`, and freed if that fails.
 *
 * @throws What `takeOutput` and `fill` throw.
 */
export function fillOutput(
  device: Device,
  target: Target | undefined,
  options: OutputOptions,
  fill: (output: DeviceArray) => void,
): DeviceArray {
  const output = takeOutput(device, target, options);
  try {
    fill(output);
    return output;
  } catch (error) {
    output[Symbol.dispose]();
    throw error;
  }
}

/**
 * Calls `body` with a device: the given one, which stays open, or a new one, which is disposed when the call
 * has ended.
 *
 * `"auto"`, the default, is the CPU for little work and an adapter, if there is one, for much: unlike for
 * models, also one in software, which has all cores and the vectors of the CPU to compute with, where most
 * twins have one thread of JavaScript. Twins that compute with vectors, too, are ahead of it (llvmpipe on 2
 * cores takes twice as long as one thread of theirs, and is still to be opened), so they make way for a real
 * GPU only.
 *
 * @param device A device, or which to open.
 * @param work Operations of 32 bits that the call takes.
 * @param options Whether the twin computes with vectors; off by default.
 * @throws {NoAdapterError} If `"webgpu"` was asked for and there is no adapter.
 * @throws {TypeError} If it is neither a device nor a word.
 * @throws {RangeError} If the word is none of the three.
 */
export async function withDevice<Result>(
  device: Device | DeviceChoice | undefined,
  work: number,
  body: (device: Device) => Promise<Result>,
  { vectors = false }: { vectors?: boolean } = {},
): Promise<Result> {
  if (typeof device === "object" && device !== null && "run" in device) return await body(device);
  if (device !== undefined && typeof device !== "string") {
    throw new TypeError(mustBe('"auto", "webgpu", "cpu" or a device', device, "it", "open a device"));
  }
  using opened = device === undefined || device === "auto"
    ? await openFor(work, vectors)
    : await openDevice(device);
  return await body(opened);
}

async function openFor(work: number, vectors: boolean): Promise<Device> {
  // Sizes that are no numbers are refused by the operation itself.
  if (!(work >= (vectors ? VECTORS_WORTH_A_GPU : WORTH_A_GPU))) return new CpuDevice();
  if (vectors && await whyNoGpu() !== undefined) return new CpuDevice();
  try {
    return await WebGpuDevice.open();
  } catch (error) {
    if (error instanceof NoAdapterError) return new CpuDevice();
    throw error;
  }
}

/** Number of words an input holds, or `undefined` if it is no input. */
export function lengthOf(input: FloatInput | WordInput): number | undefined {
  if (typeof input !== "object" || input === null) return undefined;
  if (ArrayBuffer.isView(input)) return "length" in input ? input.length : undefined;
  if (input instanceof GPUBuffer) return Math.floor(input.size / 4);
  if ("buffer" in input && input.buffer instanceof GPUBuffer && !("device" in input)) {
    const { buffer, offset = 0, size = buffer.size - offset } = input;
    return Math.floor(size / 4);
  }
  return "device" in input && "length" in input ? input.length : undefined;
}

function isTyped(input: ArrayBufferView, type: "f32" | "u32"): boolean {
  return type === "f32" ? input instanceof Float32Array : input instanceof Uint32Array;
}

/** A device array that ends with the caller's, not the other way round. */
function borrow(device: Device, input: Target, name: string, action: string): DeviceArray {
  if ("device" in input) {
    if (input.device !== device) {
      throw new TypeError(`Cannot ${action} as ${name} belongs to another device`);
    }
    return device.view(input, 0);
  }
  if (!(device instanceof WebGpuDevice)) {
    throw new TypeError(`Cannot ${action} as ${name} is a GPUBuffer and the device is the ${device.kind}`);
  }
  return device.wrap(input, name);
}
