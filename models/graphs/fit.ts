/**
 * Which type of weights fits into the room that a model has, and the refusal of what does not. How many bytes
 * a model needs as a type is told by its family.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import type { Device } from "../../kernels/device/device.ts";
import { WebGpuDevice } from "../../kernels/device/webgpu_device.ts";
import type { BatchLimit } from "../schedule.ts";
import { type Dtype, DTYPES, type KeptDtype } from "../weights/dtype.ts";
import { ASSUMED_BYTES, type Provider, type Room, WASM_BYTES } from "./room.ts";

/** Bytes of a model's weights as a type, together with those of one guided image at the peak. */
export type BytesNeeded = (dtype: KeptDtype) => number;

/** What {@linkcode chooseDtype} chooses from. */
export interface DtypeChoice {
  /** How the weights are stored. */
  readonly stored: Dtype;
  /** Who computes. */
  readonly provider: Provider;
  /**
   * Bytes there are; where that is not known, {@linkcode ASSUMED_BYTES} are assumed, and what takes least is
   * tried at the worst.
   */
  readonly available: number | undefined;
  /**
   * Whether half-precision weights can be used as they are: on WebGPU, the feature `shader-f16`. True by
   * default.
   */
  readonly halves?: boolean;
  /**
   * Whether the model is so small that its halves are widened everywhere: casts in each run would cost more
   * than memory does. False by default.
   */
  readonly small?: boolean;
}

/**
 * The most precise type whose weights fit with one guided image. It is never more precise than what is
 * stored, except that halves become f32 where that is faster: on the CPU, for small models, and where there
 * are no halves. Integers stay what they are.
 *
 * @throws {RangeError} If it is known that none fits.
 *
 * @example A model of a billion weights and 8 GB
 * ```ts
 * import { chooseDtype } from "./fit.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const bytes = { f32: 4e9, f16: 2e9, q8: 1.125e9, q4: 0.625e9, int8: 1e9 };
 * const choose = (available: number) => {
 *   return chooseDtype((dtype) => bytes[dtype], { stored: "f32", provider: "webgpu", available });
 * };
 * assertEquals([8e9, 3e9, 1e9].map(choose), ["f32", "f16", "q4"]);
 * assertThrows(() => choose(0.5e9), RangeError, "it needs 625000000 bytes with one image");
 * ```
 */
export function chooseDtype(bytesNeeded: BytesNeeded, choice: DtypeChoice): Dtype {
  const { stored, provider, available, halves = true, small = false } = choice;
  const widens = stored === "f16" && (provider !== "webgpu" || !halves || small);
  const begin = widens ? 0 : DTYPES.indexOf(stored);
  const end = isQuantized(stored) ? begin + 1 : DTYPES.length;
  const candidates = DTYPES.slice(begin, end).filter((dtype) => dtype !== "f16" || halves);
  const room = { provider, bytes: available ?? ASSUMED_BYTES };
  const fitting = candidates.find((dtype) => bytesNeeded(dtype) <= room.bytes);
  if (fitting !== undefined) return fitting;
  const least = candidates.at(-1)!;
  if (available !== undefined) requireBytes(bytesNeeded, room, { dtype: least, stored });
  return least;
}

function isQuantized(dtype: Dtype): boolean {
  return dtype === "q8" || dtype === "q4";
}

/** Options of {@linkcode requireFit}. */
export interface FitOptions {
  /** Type of the large weights. */
  readonly dtype: KeptDtype;
  /** How the weights are stored, f32 by default; integers stay what they are. */
  readonly stored?: Dtype;
  /** Bytes of the largest array that one image needs. */
  readonly largestArray: number;
  /** What cannot be done otherwise, for the message: to load the model by default. */
  readonly action?: string;
}

/**
 * Checks that weights fit together with one guided image, and that a GPU's limits admit the largest array
 * that they need.
 *
 * @throws {RangeError} If they do not, naming what would.
 */
export function requireFit(bytesNeeded: BytesNeeded, room: Room, options: FitOptions): void {
  const { device, provider, most } = room;
  if (most !== undefined) requireBytes(bytesNeeded, { provider, bytes: most }, options);
  if (!(device instanceof WebGpuDevice)) return;
  const { largestArray, action = "load the model" } = options;
  for (const limit of SIZE_LIMITS) {
    const offered = device.gpu.limits[limit];
    if (largestArray <= offered) continue;
    throw new RangeError(
      `Cannot ${action} on "${device.name}" as one image needs an array of ${largestArray} bytes and the device's limit ${limit} is ${offered}; use device: "cpu"`,
    );
  }
}

/** Limits of a device on the size of an array. */
const SIZE_LIMITS = ["maxStorageBufferBindingSize", "maxBufferSize"] as const;

/** Bytes that a device admits in one array; `undefined` where nothing limits them. */
export function arrayLimitOn(device: Device): number | undefined {
  if (!(device instanceof WebGpuDevice)) return undefined;
  return Math.min(...SIZE_LIMITS.map((limit) => device.gpu.limits[limit]));
}

/**
 * How many images a GPU's limits admit in one batch; `undefined` where nothing does. ONNX Runtime's norms and
 * softmax are silently wrong beyond the binding size, its convolutions fail there.
 *
 * @param device Where the batch runs.
 * @param bytes Of the largest array of a batch for each of its images.
 */
export function batchLimitOn(device: Device, bytes: number): BatchLimit | undefined {
  if (!(device instanceof WebGpuDevice)) return undefined;
  const { limits } = device.gpu;
  const [limit] = SIZE_LIMITS.toSorted((a, b) => limits[a] - limits[b]) as [typeof SIZE_LIMITS[number]];
  return {
    images: Math.max(1, Math.floor(limits[limit] / bytes)),
    reason: `the limit ${limit} of "${device.name}" is ${limits[limit]} and each image takes ${bytes} bytes`,
  };
}

/**
 * Checks that a batch is within a limit.
 *
 * @param action What cannot be done otherwise, for the message.
 * @throws {RangeError} If it is not, naming the limit.
 */
export function requireBatch(images: number, limit: BatchLimit | undefined, action: string): void {
  if (limit === undefined || images <= limit.images) return;
  const wanted = `at most ${limit.images}, since ${limit.reason}`;
  throw new RangeError(mustBe(wanted, images, "the number of images at once", action));
}

function requireBytes(
  bytesNeeded: BytesNeeded,
  { provider, bytes }: { readonly provider: Provider; readonly bytes: number },
  { dtype, stored = "f32", action = "load the model" }: Omit<FitOptions, "largestArray">,
): void {
  const needed = bytesNeeded(dtype);
  if (needed <= bytes) return;
  // Integers for products are made of what is stored, and are no choice among types.
  const smaller = dtype === "int8" ? [] : DTYPES.slice(DTYPES.indexOf(dtype) + 1)
    .filter((candidate) => !isQuantized(stored) || candidate === stored)
    .filter((candidate) => bytesNeeded(candidate) <= bytes)
    .map((candidate) => `dtype: "${candidate}"`);
  // Where it is not WebAssembly that is too small, nobody else has more.
  const elsewhere = provider === "wasm" && bytes >= WASM_BYTES
    ? ['device: "webgpu"', 'cpuProvider: "native"']
    : [];
  const ways = [...smaller, ...elsewhere];
  throw new RangeError(
    `Cannot ${action} as ${dtype} as it needs ${needed} bytes with one image and there are ${bytes}` +
      (ways.length === 0 ? "" : `; possible are ${ways.join(" or ")}`),
  );
}

/** What {@linkcode resolveDtype} goes by. */
export interface DtypeOptions<Choice extends KeptDtype> {
  /** What was asked for. */
  readonly choice: Choice | "auto";
  /** How the weights are stored. */
  readonly stored: Dtype;
  /** Whether the model is so small that its halves are widened everywhere; false by default. */
  readonly small?: boolean;
  /** Bytes of the largest array that one image needs, by the type of the weights. */
  readonly largestArray: BytesNeeded;
}

/**
 * The type of the large weights: what was asked for, if it fits, or what fits.
 *
 * @throws {RangeError} If it does not fit, or the GPU cannot hold an array that one image needs.
 */
export function resolveDtype<Choice extends KeptDtype>(
  bytesNeeded: BytesNeeded,
  room: Room,
  options: DtypeOptions<Choice>,
): Dtype | Choice {
  const { device, provider, available } = room;
  const { choice, stored, largestArray, small = false } = options;
  const halves = !(device instanceof WebGpuDevice) || device.gpu.features.has("shader-f16");
  const dtype = choice === "auto"
    ? chooseDtype(bytesNeeded, { stored, provider, available, halves, small })
    : choice;
  if (dtype === "f16" && !halves) {
    throw new RangeError(
      `Cannot load the model as f16 as "${device.name}" has no shader-f16; possible are dtype: "f32" or dtype: "q8"`,
    );
  }
  requireFit(bytesNeeded, room, { dtype, stored, largestArray: largestArray(dtype) });
  return dtype;
}
