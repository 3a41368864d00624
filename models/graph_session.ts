/**
 * A graph that is loaded and can be run: the one face of whatever runtime does it. Which runtime that is follows from the device; nothing
 * outside `ort.ts` knows one by name.
 *
 * @module
 */

import type { Device, DeviceArray } from "../kernels/device.ts";
import { WebGraphSession } from "./ort.ts";

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
}

/** What a {@linkcode GraphSession} is made from. */
export interface GraphSessionOptions {
  /** Files with the weights. */
  externalFiles?: readonly ExternalFile[];
  /** WebAssembly threads on the CPU; fixed by whoever loads the runtime first. Default: all cores. */
  threads?: number;
}

/** A graph that is loaded on a device. All results must have been disposed before it is. */
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

/** Loads a graph; its outputs stay on the device. */
export function createGraphSession(
  device: Device,
  model: Uint8Array,
  options: GraphSessionOptions = {},
): Promise<GraphSession> {
  return WebGraphSession.create(device, model, options);
}
