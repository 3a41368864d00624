/**
 * The door to ONNX Runtime's native build for the CPU: nothing else imports onnxruntime-node. The package has
 * 113 MB and needs `--allow-ffi`, so it is fetched when somebody asks for it and not before. It computes what
 * WebAssembly computes up to the order of sums, with the widest vectors of the processor, and in all memory
 * of the machine instead of 4 GiB.
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
  refuseGraph,
  valuesOf,
  wordsOf,
} from "./graph_session.ts";
import { type ExternalRange, externalRanges, moveWeights } from "./graph_file.ts";

/**
 * In a variable, as Deno fetches every package whose name it finds in an import, and every one in a lock
 * file.
 */
const PACKAGE: string = "npm:onnxruntime-node@1.30.0";

/** Severity of messages that are printed: fatal ones. All others come as exceptions, too. */
const SILENT = 4;

/** Where a weight must begin to be used where it lies: at a whole element of any type. */
const ALIGNMENT = 8;

let runtime: Promise<typeof Ort> | undefined;

/**
 * Loads the runtime, if it has not been loaded.
 *
 * @throws {Error} If it cannot be loaded, with what to do about it.
 */
export function startNativeRuntime(): Promise<typeof Ort> {
  return runtime ??= loadRuntime().catch((error) => {
    // Somebody may mend the cause, a missing network say, and try again.
    runtime = undefined;
    throw error;
  });
}

async function loadRuntime(): Promise<typeof Ort> {
  try {
    const ort = await import(PACKAGE) as typeof Ort;
    ort.env.logLevel = "fatal";
    return ort;
  } catch (cause) {
    throw new Error(`Cannot load the native CPU provider ${PACKAGE} as ${explain(cause)}`, { cause });
  }
}

function explain(cause: unknown): string {
  if (cause instanceof Deno.errors.NotCapable) {
    return "native libraries are not allowed: run again with --allow-ffi";
  }
  const { message, code } = cause as Error & { code?: string };
  // The package itself is there, the library for this machine is not in it.
  if (code === "MODULE_NOT_FOUND") {
    return `it has no library for ${Deno.build.os} on ${Deno.build.arch}: use the provider "wasm"`;
  }
  const [reason] = message.split("\n");
  return `${reason}; "deno cache --no-lock ${PACKAGE}" fetches it, and "deno run --no-lock" keeps it out of the lock file`;
}

/** A graph that is loaded into the native runtime. */
export class NativeGraphSession implements GraphSession {
  readonly #ort: typeof Ort;
  readonly #session: Ort.InferenceSession;
  readonly #device: CpuDevice;
  readonly #file: string | undefined;
  #released = false;

  private constructor(
    ort: typeof Ort,
    session: Ort.InferenceSession,
    { device, file }: { readonly device: CpuDevice; readonly file: string | undefined },
  ) {
    this.#ort = ort;
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
    const { prepack = true, lean = false } = options;
    const ort = await startNativeRuntime();
    const load = async (model: Uint8Array): Promise<NativeGraphSession> => {
      const session = await ort.InferenceSession.create(model, settings)
        .catch((error) => refuseGraph(error, "load", file));
      return new NativeGraphSession(ort, session, { device, file });
    };
    const entries: Record<string, string> = prepack ? {} : { disable_prepacking: "1" };
    const settings: Ort.InferenceSession.SessionOptions = {
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
      logSeverityLevel: SILENT,
      extra: { session: entries },
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
    const feeds: Record<string, Ort.Tensor> = {};
    for (const [name, tensor] of Object.entries(inputs)) feeds[name] = this.#tensor(tensor);
    const outputs = await this.#session.run(feeds, wanted, { logSeverityLevel: SILENT })
      .catch((error) => refuseGraph(error, "run", this.#file));
    const results: Record<string, DeviceArray> = {};
    for (const [name, { data }] of Object.entries(outputs)) {
      results[name] = this.#device.adopt(wordsOf(data as Float32Array), name);
    }
    return results;
  }

  #tensor(given: GraphTensor): Ort.Tensor {
    const { Tensor } = this.#ort;
    const { array, shape, type = "float32" } = given;
    if (!("device" in array)) return new Tensor("int64", BigInt64Array.from(array, BigInt), shape);
    const values = valuesOf(array, given);
    const tensor = new Tensor(type, values as Float32Array, shape);
    if (values instanceof Float32Array) return tensor;
    // The library finds no byte in a Float16Array ("expected 6, got 0"), and takes words of 16 bits instead.
    const { buffer, byteOffset, length } = values;
    return Object.defineProperty(tensor, "data", { value: new Uint16Array(buffer, byteOffset, length) });
  }

  /** Unloads the graph. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    await this.#session.release();
  }
}

function rangesOf(model: Uint8Array, file: string | undefined): ExternalRange[] {
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

/** The bytes of a blob, zeros outside the ranges: pages that nobody writes to take no memory. */
async function readRanges(
  blob: Blob,
  ranges: readonly ExternalRange[],
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(blob.size);
  for (const { offset, length } of ranges) {
    const target = bytes.subarray(offset, offset + length);
    if (blob instanceof SourceBlob) await blob.readInto(target, offset);
    else target.set(await blob.slice(offset, offset + length).bytes());
  }
  return bytes;
}
