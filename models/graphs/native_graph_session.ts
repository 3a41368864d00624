/**
 * Graphs on ONNX Runtime's native build for the CPU, to which `native_runtime.ts` is the door. It computes
 * what WebAssembly computes up to the order of sums, with the widest vectors of the processor, and in all
 * memory of the machine instead of 4 GiB.
 *
 * @module
 */

import { basename, dirname } from "node:path";
import type * as Ort from "npm:onnxruntime-web@1.30.0";
import { SourceBlob } from "../checkpoint/blob.ts";
import type { CpuDevice } from "../../kernels/device/cpu_device.ts";
import type { DeviceArray } from "../../kernels/device/device.ts";
import {
  type ExternalFile,
  type GraphSession,
  type GraphSessionOptions,
  type GraphTensor,
  memoryOptions,
  optimizationOptions,
  refuseGraph,
  valuesOf,
  wordsOf,
} from "./graph_session.ts";
import { type ExternalRange, externalRanges, moveWeights } from "./graph_file.ts";
import { readRanges } from "./near_weights.ts";
import { type NativeSession, type NativeTensor, startNativeRuntime } from "./native_runtime.ts";

/** Where a weight must begin to be used where it lies: at a whole element of any type. */
const ALIGNMENT = 8;

/** Severity of messages that are printed: fatal ones. All others come as exceptions, too. */
const SILENT = 4;

/** A graph that is loaded into the native runtime. */
export class NativeGraphSession implements GraphSession {
  readonly #session: NativeSession;
  readonly #device: CpuDevice;
  readonly #file: string | undefined;
  #released = false;

  private constructor(
    session: NativeSession,
    { device, file }: { readonly device: CpuDevice; readonly file: string | undefined },
  ) {
    this.#session = session;
    this.#device = device;
    this.#file = file;
  }

  /**
   * Loads a graph. Weights that all lie in files of one folder on the disk are mapped into memory and
   * rearranged for the processor from there; otherwise they are read first.
   *
   * @throws {Error} If the runtime cannot be loaded.
   * @throws {ModelFileError} If the weights cannot be read, or the runtime refuses the file of the graph.
   */
  static async create(
    device: CpuDevice,
    model: Uint8Array,
    options: GraphSessionOptions = {},
  ): Promise<NativeGraphSession> {
    const { file, externalFiles = [], threads = navigator.hardwareConcurrency } = options;
    const { prepack = true, lean = false, optimize = true } = options;
    const runtime = await startNativeRuntime();
    const load = async (graph: Uint8Array): Promise<NativeGraphSession> => {
      const session = await runtime.load(graph, settings)
        .catch((error) => refuseGraph(error, "load", file));
      return new NativeGraphSession(session, { device, file });
    };
    // Each graph has threads of its own. They would wait busily for some time after a run, on cores that the
    // next graph needs: the bundled model's image took 46 ms instead of 33, and 1.6 times the processor's
    // time (two threads on two cores of an Intel Xeon, 80 turns), one of depth 16 as long as it does.
    const entries: Record<string, string> = { force_spinning_stop: "1" };
    if (!prepack) entries.disable_prepacking = "1";
    const settings: Ort.InferenceSession.SessionOptions = {
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
      logSeverityLevel: SILENT,
      extra: { session: entries },
      ...optimizationOptions(optimize),
      ...memoryOptions(lean),
    };
    const ranges = rangesOf(model, file);
    const folder = await findFolder(ranges, externalFiles);
    if (folder !== undefined) {
      entries.model_external_initializers_file_folder_path = folder.path;
      return await load(moveWeights(model, (range) => folder.places.get(keyOf(range))!));
    }
    const read: Uint8Array<ArrayBuffer>[] = [];
    try {
      const externalData: { path: string; data: Uint8Array }[] = [];
      for (const { path, data } of externalFiles) {
        if (!(data instanceof Blob)) externalData.push({ path, data });
        else {
          const bytes = await readRanges(data, ranges.filter(({ file }) => file === path));
          read.push(bytes);
          externalData.push({ path, data: bytes });
        }
      }
      settings.externalData = externalData;
      return await load(model);
    } finally {
      // The runtime has made copies; a gigabyte should not wait for the garbage collector.
      for (const { buffer } of read) buffer.transfer(0);
    }
  }

  /**
   * Runs the graph. The results belong to the caller, who disposes them. The event loop stands still
   * meanwhile, as it does with WebAssembly.
   *
   * @param inputs What to feed, by name.
   * @param wanted Names of the outputs to fetch; all by default.
   */
  async run(
    inputs: Readonly<Record<string, GraphTensor>>,
    wanted: readonly string[] = this.#session.outputNames,
  ): Promise<Record<string, DeviceArray>> {
    const feeds: Record<string, NativeTensor> = {};
    for (const [name, tensor] of Object.entries(inputs)) feeds[name] = nativeTensor(tensor);
    const outputs = await this.#session.run(feeds, wanted, { logSeverityLevel: SILENT })
      .catch((error) => refuseGraph(error, "run", this.#file));
    const results: Record<string, DeviceArray> = {};
    for (const [name, { data }] of Object.entries(outputs)) {
      results[name] = this.#device.adopt(wordsOf(data as Float32Array), name);
    }
    return results;
  }

  /** Unloads the graph. */
  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#released) this.#session.release();
    this.#released = true;
    return Promise.resolve();
  }
}

function nativeTensor(given: GraphTensor): NativeTensor {
  const { array, shape, type = "float32" } = given;
  if (!("device" in array)) {
    return { type: "int64", data: BigInt64Array.from(array, BigInt), dims: shape, location: "cpu" };
  }
  const values = valuesOf(array, given);
  const { buffer, byteOffset, length } = values;
  const data = values instanceof Float32Array ? values : new Uint16Array(buffer, byteOffset, length);
  return { type, data, dims: shape, location: "cpu" };
}

function rangesOf(model: Uint8Array, file: string | undefined): ReturnType<typeof externalRanges> {
  try {
    return externalRanges(model);
  } catch (error) {
    return refuseGraph(error, "load", file);
  }
}

/** The folder from which the runtime can map all weights, and where each lies in it, if there is one. */
async function findFolder(
  ranges: readonly ExternalRange[],
  files: readonly ExternalFile[],
): Promise<{ path: string; places: ReadonlyMap<string, ExternalRange> } | undefined> {
  const places = new Map<string, ExternalRange>();
  let path: string | undefined;
  for (const range of ranges) {
    const data = files.find((file) => file.path === range.file)?.data;
    const place = data instanceof SourceBlob ? await data.onDisk(range.offset, range.length) : undefined;
    if (place === undefined) return undefined;
    path ??= dirname(place.path);
    if (dirname(place.path) !== path || place.offset % ALIGNMENT !== 0) return undefined;
    places.set(keyOf(range), { ...range, file: basename(place.path), offset: place.offset });
  }
  return path === undefined ? undefined : { path, places };
}

function keyOf({ file, offset }: ExternalRange): string {
  return `${offset} ${file}`;
}
