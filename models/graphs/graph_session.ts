/**
 * A graph that is loaded and can be run: the one face of whatever runtime does it. Which runtime that is, is
 * left to `create_session.ts`.
 *
 * @module
 */

import type { DeviceArray } from "../../kernels/device/device.ts";

/** An array with a shape: what goes into a graph and comes out. */
export interface GraphTensor {
  /** The words; for `int64` labels, plain numbers on the host. */
  readonly array: DeviceArray | readonly number[];
  /** Shape. */
  readonly shape: readonly number[];
}

/** A file that a graph refers to for its weights. */
export interface ExternalFile {
  /** Name in the graph. */
  readonly path: string;
  /** Content; a blob is read piece by piece when its turn comes. */
  readonly data: Uint8Array | Blob;
  /**
   * Folder on the disk in which it lies under this name, for a runtime that maps files; it stays as it is
   * while a session lives.
   */
  readonly folder?: string;
}

/**
 * Who computes on the CPU: WebAssembly, which is always there, or a native library, several times faster,
 * that is fetched when asked for.
 */
export type CpuProvider = "wasm" | "native";

/** What a {@linkcode GraphSession} is made from. */
export interface GraphSessionOptions {
  /** Files with the weights. */
  externalFiles?: readonly ExternalFile[];
  /**
   * Threads on the CPU; all cores by default. Those of WebAssembly are fixed by whoever loads the runtime
   * first.
   */
  threads?: number;
  /** Who computes when the device is the CPU; `"wasm"` by default. */
  cpuProvider?: CpuProvider;
}

/** A graph that is loaded on a device. Unloading it disposes the results that are left on a GPU. */
export interface GraphSession extends AsyncDisposable {
  /**
   * Runs the graph. The results belong to the caller, who disposes them.
   *
   * @param inputs What to feed, by name.
   * @param wanted Names of the outputs to fetch; all by default.
   */
  run(
    inputs: Readonly<Record<string, GraphTensor>>,
    wanted?: readonly string[],
  ): Promise<Record<string, DeviceArray>>;
}
