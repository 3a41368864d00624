/**
 * The errors of a device that a caller may want to catch by class; everything else is a `TypeError` or `RangeError` about an argument.
 *
 * @module
 */

/** No GPU adapter could be had. `device: "auto"` falls back to the CPU instead of throwing this. */
export class NoAdapterError extends Error {
  /** Name of the class, which survives minification. */
  override readonly name = "NoAdapterError";
}

/** The GPU device is gone: reset by the driver, out of memory, or destroyed. Open a new device and load the model again. */
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

/** A shader that the driver refused; the message holds the driver's own words with line numbers. */
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
