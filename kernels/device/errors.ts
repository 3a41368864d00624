/**
 * The errors of a device that a caller may want to catch by class; everything else is a `TypeError` or
 * `RangeError` about an argument.
 *
 * @module
 */

/**
 * No GPU adapter could be had. `device: "auto"` falls back to the CPU instead of throwing this.
 *
 * @example
 * ```ts
 * import { NoAdapterError } from "./errors.ts";
 * import { CpuDevice } from "./cpu_device.ts";
 * import { WebGpuDevice } from "./webgpu_device.ts";
 * import { assert } from "@std/assert";
 *
 * using device = await WebGpuDevice.open().catch((error) => {
 *   if (error instanceof NoAdapterError) return new CpuDevice();
 *   throw error;
 * });
 * assert(device.name.length > 0);
 * ```
 */
export class NoAdapterError extends Error {
  /** Name of the class, which survives minification. */
  override readonly name = "NoAdapterError";
}

/**
 * The GPU device is gone: reset by the driver, out of memory, or destroyed. Open a new device and load the
 * model again.
 *
 * @example
 * ```ts
 * import { DeviceLostError } from "./errors.ts";
 * import { assertEquals } from "@std/assert";
 *
 * // Runs some work, and once more on a new device if the first one is lost.
 * async function twice(work: () => Promise<string>): Promise<string> {
 *   try {
 *     return await work();
 *   } catch (error) {
 *     if (error instanceof DeviceLostError) return await work();
 *     throw error;
 *   }
 * }
 * let runs = 0;
 * const work = async () => {
 *   if (++runs === 1) throw new DeviceLostError("unknown", "the driver was reset");
 *   return await Promise.resolve("done");
 * };
 * assertEquals(await twice(work), "done");
 * ```
 */
export class DeviceLostError extends Error {
  /** Name of the class, which survives minification. */
  override readonly name = "DeviceLostError";
  /** The platform's reason, `"destroyed"` or `"unknown"`. */
  readonly reason: string;

  /**
   * Makes the error.
   *
   * @param reason The platform's reason.
   * @param detail The platform's message.
   */
  constructor(reason: string, detail: string) {
    super(
      `GPU device lost (${reason})${
        detail === "" ? "" : `: ${detail}`
      }; open a new device and load the model again`,
    );
    this.reason = reason;
  }
}

/**
 * A shader that the driver refused; the message holds the driver's own words with line numbers.
 *
 * @example
 * ```ts
 * import { ShaderCompilationError } from "./errors.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new ShaderCompilationError("double", "3:7 unresolved identifier 'lenght'");
 * assertEquals(error.kernel, "double");
 * assertEquals(error.message.split("\n")[1], "3:7 unresolved identifier 'lenght'");
 * ```
 */
export class ShaderCompilationError extends Error {
  /** Name of the class, which survives minification. */
  override readonly name = "ShaderCompilationError";
  /** The kernel whose shader it is. */
  readonly kernel: string;

  /**
   * Makes the error.
   *
   * @param kernel Name of the kernel.
   * @param messages What the driver said.
   */
  constructor(kernel: string, messages: string) {
    super(`Cannot compile the shader of kernel "${kernel}":\n${messages}`);
    this.kernel = kernel;
  }
}

/**
 * The GPU's memory is exhausted. The array that did not fit is unusable; dispose of others, or work in
 * smaller batches.
 *
 * @example
 * ```ts
 * import { OutOfMemoryError } from "./errors.ts";
 * import { assertEquals } from "@std/assert";
 *
 * // The largest batch that some work has memory for: halved until it fits.
 * async function fitting(batch: number, work: (batch: number) => Promise<void>): Promise<number> {
 *   try {
 *     await work(batch);
 *     return batch;
 *   } catch (error) {
 *     if (!(error instanceof OutOfMemoryError) || batch === 1) throw error;
 *     return await fitting(batch >> 1, work);
 *   }
 * }
 * const work = (batch: number): Promise<void> =>
 *   batch > 3 ? Promise.reject(new OutOfMemoryError("logits", batch << 20, 1 << 20)) : Promise.resolve();
 * assertEquals(await fitting(8, work), 2);
 * ```
 */
export class OutOfMemoryError extends Error {
  /** Name of the class, which survives minification. */
  override readonly name = "OutOfMemoryError";
  /** Bytes that were asked for. */
  readonly requestedBytes: number;
  /** Bytes that were in use on the device then. */
  readonly liveBytes: number;

  /**
   * Makes the error.
   *
   * @param label What was to be allocated.
   * @param requestedBytes Its size.
   * @param liveBytes Bytes in use on the device.
   */
  constructor(label: string, requestedBytes: number, liveBytes: number) {
    super(
      `Cannot allocate "${label}" of ${requestedBytes} bytes as the GPU is out of memory: ${liveBytes} bytes are in use here; ` +
        "dispose of arrays, or work in smaller batches",
    );
    this.requestedBytes = requestedBytes;
    this.liveBytes = liveBytes;
  }
}
