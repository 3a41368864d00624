/**
 * A graph that is loaded and can be run: the one face of whatever runtime does it. Which runtime that is, is
 * left to `create_session.ts`.
 *
 * @module
 */

import { floats, words } from "../../kernels/device/cpu_device.ts";
import type { DeviceArray } from "../../kernels/device/device.ts";
import { ModelFileError } from "../model_file_error.ts";

/** An array with a shape: what goes into a graph and comes out. */
export interface GraphTensor {
  /** The words; for `int64` labels, plain numbers on the host. */
  readonly array: DeviceArray | readonly number[];
  /** Shape. */
  readonly shape: readonly number[];
  /**
   * `"float16"` for halves, two to a word, the first in the lower 16 bits; an odd one at the end is followed
   * by 16 bits that nobody reads. Otherwise the words are float32.
   */
  readonly type?: "float16";
}

/**
 * As many values of an array on the CPU as a tensor has, as a runtime takes them; fewer where the array is
 * too short, which the runtime refuses.
 */
export function valuesOf(array: DeviceArray, { shape, type }: GraphTensor): Float32Array | Float16Array {
  const size = sizeOf(shape);
  if (type === undefined) return floats(array).subarray(0, size);
  const { buffer, byteOffset, length } = words(array);
  return new Float16Array(buffer, byteOffset, 2 * length).subarray(0, size);
}

/** Number of values of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

/** The words of what a runtime has computed on the CPU; halves are two to a word, with zeros at the end. */
export function wordsOf(values: Float32Array | Float16Array): Float32Array<ArrayBuffer> {
  if (values instanceof Float32Array) return values as Float32Array<ArrayBuffer>;
  const { buffer, byteOffset, length } = values;
  if (length % 2 === 0) return new Float32Array(buffer as ArrayBuffer, byteOffset, length / 2);
  const padded = new Float16Array(length + 1);
  padded.set(values);
  return new Float32Array(padded.buffer);
}

/** A file that a graph refers to for its weights. */
export interface ExternalFile {
  /** Name in the graph. */
  readonly path: string;
  /**
   * Content; a blob is read piece by piece when its turn comes. What a {@linkcode SourceBlob} finds on the
   * disk stays there as it is while a session lives, as a runtime may map it.
   */
  readonly data: Uint8Array | Blob;
}

/**
 * Who computes on the CPU: WebAssembly, which is always there, or a native library, several times faster,
 * that is fetched once.
 */
export type CpuProvider = "wasm" | "native";

/** What a {@linkcode GraphSession} is made from. */
export interface GraphSessionOptions {
  /** Path or URL of the graph, which is blamed if a runtime refuses it; none for a graph built here. */
  file?: string;
  /** Files with the weights. */
  externalFiles?: readonly ExternalFile[];
  /**
   * Threads on the CPU; all cores by default. Those of WebAssembly are fixed by whoever loads the runtime
   * first.
   */
  threads?: number;
  /** Who computes when the device is the CPU; `"wasm"` by default. */
  cpuProvider?: CpuProvider;
  /**
   * Whether weights are rearranged for the CPU when the graph is loaded; true by default. Of 270 MB that
   * takes the native library 0.3 s and a copy of them, and its products are 1.1 times as fast with many rows
   * and 1.8 times with two; where it is not worth it, mapped weights are used where they lie. Sums are in
   * another order.
   */
  prepack?: boolean;
  /**
   * Whether a run on the CPU gives back the memory of its activations instead of keeping it for the next one:
   * slower, but what many sessions have kept adds up. False by default. On WebGPU all of them share theirs.
   */
  lean?: boolean;
  /**
   * Whether a runtime on the CPU looks for a better graph when it loads one; true by default. In WebAssembly
   * that is half the time that a small graph takes to load. Without it constants are computed in each run,
   * but halves are widened before, as casts in each run would cost too much. With `"basic"` it does not look
   * for layouts that suit direct convolutions, which pays where there are hardly any: a decoder by Winograd's
   * algorithm takes 0.3 instead of 0.7 s to load then, and runs as fast.
   */
  optimize?: boolean | "basic";
  /**
   * Whether nodes that WebGPU does not compute may run on the CPU: graphs from elsewhere compute shapes
   * there, which costs nothing, but a value that goes there and back costs 11 ms a run. False by default, so
   * that whoever builds a graph hears about it when it is loaded.
   */
  mixed?: boolean;
}

/** What a runtime is told about the memory of activations on the CPU. */
export function memoryOptions(lean: boolean): { enableCpuMemArena: boolean; enableMemPattern: boolean } {
  return { enableCpuMemArena: !lean, enableMemPattern: !lean };
}

/** How far a runtime on the CPU goes to make a graph better. */
export function optimizationOptions(
  optimize: boolean | "basic",
): { graphOptimizationLevel?: "disabled" | "basic" } {
  if (optimize === true) return {};
  return { graphOptimizationLevel: optimize || "disabled" };
}

/**
 * Throws what a runtime has thrown about a graph, as an error of the file that the graph comes from.
 *
 * @param action What could not be done.
 * @param file Path or URL; `undefined` for a graph that was built here, whose error stays as it is.
 * @throws {ModelFileError} With the runtime's words.
 */
export function refuseGraph(error: unknown, action: "load" | "run", file: string | undefined): never {
  const message = error instanceof Error ? error.message : String(error);
  // Nothing is wrong with a graph for which there is no memory.
  if (file === undefined || /bad_alloc|out of memory|allocat/i.test(message)) throw error;
  throw new ModelFileError(`Cannot ${action} a graph of the model, which may be damaged`, {
    file,
    found: message,
    cause: error,
  });
}

/** A graph that is loaded on a device. Unloading it disposes the results that are left on a GPU. */
export interface GraphSession extends AsyncDisposable {
  /**
   * Runs the graph. The results belong to the caller, who disposes them; those of float16 are two to a word.
   *
   * @param inputs What to feed, by name.
   * @param wanted Names of the outputs to fetch; all by default.
   */
  run(
    inputs: Readonly<Record<string, GraphTensor>>,
    wanted?: readonly string[],
  ): Promise<Record<string, DeviceArray>>;
}
