/**
 * The door to ONNX Runtime: nothing else imports onnxruntime-web. It loads the runtime the one way that gives
 * Deno both WebAssembly threads and WebGPU, shares our `GPUDevice` with it, and speaks in device arrays.
 *
 * Two things about the runtime shape this file: creating, running and releasing sessions must never overlap
 * (two overlapping runs dead-lock the event loop), so all of it goes through one lock; and an exception from
 * the GPU inside its WebAssembly ends the whole instance, so calls that may fail when a device is lost are
 * made harmless.
 *
 * @module
 */

import type * as Ort from "npm:onnxruntime-web@1.30.0";
import { SourceBlob } from "../checkpoint/blob.ts";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { ShaderCompilationError } from "../../kernels/device/errors.ts";
import { nextTurn } from "../../kernels/device/next_turn.ts";
import { separateFarWeights } from "./graph_file.ts";
import {
  type ExternalFile,
  type GraphSession,
  type GraphSessionOptions,
  type GraphTensor,
  memoryOptions,
  optimizationOptions,
  refuseGraph,
  sizeOf,
  valuesOf,
  wordsOf,
} from "./graph_session.ts";
import { LateThreads } from "./late_threads.ts";
import { boundTiles, isLlvmpipe } from "./llvmpipe_loops.ts";
import { farBytes, readAll, readSmallFiles, withFloats } from "./near_weights.ts";
import { GpuArray, WebGpuDevice } from "../../kernels/device/webgpu_device.ts";

/** Version of ONNX Runtime that is loaded. */
export const RUNTIME_VERSION = "1.30.0";

/** Severity of messages that are printed: fatal ones. All others come as exceptions, too. */
const SILENT = 4;

/** What the runtime has to do so far; whatever comes next waits for it. */
let queue: Promise<unknown> = Promise.resolve();

function exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
  const result = queue.then(work, work);
  queue = result.catch(() => {});
  return result;
}

/**
 * The runtime comes built in two ways, each with memory of its own; one process may need both.
 *
 * - `"plain"`: WebAssembly alone, with weights that lie in memory.
 * - `"jspi"`: where calls may wait, for a GPU, or for a stretch of a file of weights.
 *
 * Of the bundled model the first picture takes 0.23 s with the plain one and 0.6 s with the other, later ones
 * 0.10 and 0.11, and its start 0.3 instead of 0.4 s (two cores of an Intel Xeon, medians of five).
 */
export type RuntimeBuild = "plain" | "jspi";

/** A runtime that has been loaded. */
interface Runtime {
  readonly ort: typeof Ort;
  readonly threads: LateThreads;
}

const runtimes = new Map<RuntimeBuild, Promise<Runtime>>();

/**
 * Milliseconds of computing after which a build begins another thread. For small models the second of two
 * takes 30 ms and spares 0.2 of the time; large ones need all of them at once.
 */
const PATIENCE = { plain: 150, jspi: 0 } as const satisfies Record<RuntimeBuild, number>;

/** Memory of the runtime in pages of 64 KiB, one less than 4 GiB so that its size is a 32-bit number. */
const MAX_MEMORY_PAGES = 65535;

/** An identity graph of 67 bytes: the smallest model that makes the runtime start its threads. */
const IDENTITY_MODEL =
  "CAcSADo3ChAKAXgSAXkiCElkZW50aXR5EgFnWg8KAXgSCgoICAESBAoCCAFiDwoBeRIKCggIARIECgIIAUIECgAQDQ==";

/** Where the files of a build are, and how its JavaScript is imported. */
const BUILDS = {
  plain: {
    mjs: () => import.meta.resolve("npm:onnxruntime-web@1.30.0/ort-wasm-simd-threaded.mjs"),
    wasm: () => import.meta.resolve("npm:onnxruntime-web@1.30.0/ort-wasm-simd-threaded.wasm"),
    load: () => import("npm:onnxruntime-web@1.30.0/wasm"),
  },
  jspi: {
    mjs: () => import.meta.resolve("npm:onnxruntime-web@1.30.0/ort-wasm-simd-threaded.jspi.mjs"),
    wasm: () => import.meta.resolve("npm:onnxruntime-web@1.30.0/ort-wasm-simd-threaded.jspi.wasm"),
    load: () => import("npm:onnxruntime-web@1.30.0/jspi"),
  },
} as const;

async function loadRuntime(build: RuntimeBuild, count: number): Promise<Runtime> {
  // In a worker the build resolves URLs against an origin that is the text "null", and its import fails.
  if ("WorkerGlobalScope" in globalThis) Reflect.deleteProperty(globalThis, "location");
  const [mjs, wasm] = [BUILDS[build].mjs(), BUILDS[build].wasm()];
  // The glue would read the WebAssembly, and have it compiled, only after it has started its threads. Read at
  // once, it is compiled while everything else goes on; the loop would come to it 10 ms later.
  const compiling = Promise.try(() => WebAssembly.compile(Deno.readFileSync(new URL(wasm))));
  compiling.catch(() => {});
  const ort = await BUILDS[build].load() as typeof Ort;
  Object.assign(ort.env.wasm, {
    numThreads: count,
    wasmPaths: { mjs, wasm },
    wasmBinary: new Uint8Array(),
  });
  ort.env.logLevel = "fatal";
  // With threads the runtime imports its own glue as a blob: URL, which Deno's npm loader refuses; hand it
  // the real file instead.
  const createObjectUrl = URL.createObjectURL;
  URL.createObjectURL = () => mjs;
  // When shared memory grows, V8 tells other threads of its new size only at their next interrupt check. A
  // worker that is handed a pointer into the new part before that traps and ends, and the main thread then
  // waits for it for ever: 5 of 12 runs of the demo model. Memory that starts at its maximum never grows;
  // untouched pages cost address space only.
  const { Memory, instantiate } = WebAssembly;
  // The glue puts Node's worker threads in the place of web workers. It makes all its threads at once, so
  // afterwards the page's own `new Worker` can be what it was.
  const { Worker } = globalThis;
  const workerThreads = (await import("node:worker_threads")).default;
  const { Worker: NodeWorker } = workerThreads;
  const threads = new LateThreads({ patience: PATIENCE[build] });
  workerThreads.Worker = threads.Worker as unknown as typeof NodeWorker;
  WebAssembly.Memory = class extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      const { maximum = descriptor.initial, shared } = descriptor;
      super(shared ? { ...descriptor, initial: Math.min(maximum, MAX_MEMORY_PAGES) } : descriptor);
    }
  };
  WebAssembly.instantiate = (async (_empty: BufferSource, imports: WebAssembly.Imports) => {
    const module = await compiling;
    return { module, instance: await instantiate(module, imports) };
  }) as typeof instantiate;
  try {
    const model = Uint8Array.from(atob(IDENTITY_MODEL), (character) => character.charCodeAt(0));
    const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    await session.release();
  } finally {
    URL.createObjectURL = createObjectUrl;
    WebAssembly.Memory = Memory;
    WebAssembly.instantiate = instantiate;
    globalThis.Worker = Worker;
    workerThreads.Worker = NodeWorker;
  }
  return { ort, threads };
}

/**
 * Starts the runtime, if it has not been started; takes 0.3 to 0.5 s, most of it the first run of code that
 * is compiled on the way.
 */
export function startRuntime(
  build: RuntimeBuild,
  threads: number = navigator.hardwareConcurrency,
): Promise<Runtime> {
  let runtime = runtimes.get(build);
  if (runtime === undefined) {
    runtime = exclusively(() => loadRuntime(build, threads)).catch((error) => {
      // Somebody may mend the cause, a missing permission say, and try again.
      runtimes.delete(build);
      throw error;
    });
    runtimes.set(build, runtime);
  }
  return runtime;
}

/** Most bytes of files of which weights are brought to memory for the plain build. */
const NEAR_BYTES = 1 << 26;

/** The build for a graph on a device whose files that are not in memory have as many bytes. */
export function buildFor(device: Device, farBytes: number): RuntimeBuild {
  if (device instanceof WebGpuDevice || farBytes > NEAR_BYTES) return "jspi";
  // Who paints on a GPU, too, has no use for another one.
  return runtimes.has("jspi") && !runtimes.has("plain") ? "jspi" : "plain";
}

/** Shaders that have been made since the runtime last began to work, by device that has been prepared. */
const prepared = new WeakMap<
  GPUDevice,
  { descriptor: GPUShaderModuleDescriptor; module: GPUShaderModule }[]
>();

/**
 * Makes a device safe to share: when it is lost, Deno throws from `getMappedRange` of buffers that were
 * mapped at creation, and the exception would end the runtime's WebAssembly instance for good. Such a buffer
 * goes nowhere anyway, so it gets plain memory. Shaders are noted, as the runtime does not tell what the
 * driver says about one that it refuses, and one driver gets some of them in other words.
 */
function prepareDevice(device: GPUDevice): void {
  if (prepared.has(device)) return;
  const shaders: { descriptor: GPUShaderModuleDescriptor; module: GPUShaderModule }[] = [];
  prepared.set(device, shaders);
  const compile = device.createShaderModule.bind(device);
  const mended = isLlvmpipe(device.adapterInfo) ? boundTiles : (code: string) => code;
  device.createShaderModule = (given) => {
    const descriptor = { ...given, code: mended(given.code) };
    const module = compile(descriptor);
    shaders.push({ descriptor, module });
    return module;
  };
  const create = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const buffer = create(descriptor);
    if (!descriptor.mappedAtCreation) return buffer;
    const getMappedRange = buffer.getMappedRange.bind(buffer);
    const unmap = buffer.unmap.bind(buffer);
    buffer.getMappedRange = (offset, size) => {
      try {
        return getMappedRange(offset, size);
      } catch {
        return new ArrayBuffer(size ?? descriptor.size - (offset ?? 0));
      }
    };
    buffer.unmap = () => {
      try {
        unmap();
      } catch { /* The device is gone, and the buffer with it. */ }
    };
    return buffer;
  };
}

/**
 * Throws the driver's own words about a shader it refused, if it did.
 *
 * @throws {ShaderCompilationError}
 */
async function requireShaders(device: WebGpuDevice, cause: unknown): Promise<void> {
  for (const { descriptor: { label, code }, module } of prepared.get(device.gpu) ?? []) {
    const { messages } = await module.getCompilationInfo();
    const errors = messages.filter(({ type }) => type === "error");
    if (errors.length === 0) continue;
    const lines = code.split("\n");
    const shown = errors.map(({ lineNum, linePos, message }) => {
      const line = lines[lineNum - 1];
      return line === undefined ? message.trim() : `${lineNum}:${linePos}: ${message.trim()}\n  ${line}`;
    });
    const error = new ShaderCompilationError(`${label || "a graph"}`, shown.join("\n"));
    error.cause = cause;
    throw error;
  }
}

/**
 * Works with the runtime on a device, alone.
 *
 * @throws {DeviceLostError} If the device is lost meanwhile, whatever the runtime makes of it.
 * @throws {ShaderCompilationError} If the driver refuses a shader that the runtime made.
 */
async function onDevice<Result>(device: Device, work: () => Promise<Result>): Promise<Result> {
  const requireAlive = (): void => {
    if (device instanceof WebGpuDevice) device.requireAlive();
  };
  try {
    const result = await exclusively(() => {
      if (device instanceof WebGpuDevice) prepared.get(device.gpu)!.length = 0;
      return work();
    });
    requireAlive();
    return result;
  } catch (error) {
    // The platform reports a loss in a later turn than the failures that come of it.
    await nextTurn();
    requireAlive();
    if (device instanceof WebGpuDevice) await requireShaders(device, error);
    throw error;
  }
}

/**
 * A file of weights whose failures are kept for us. The runtime prints what a stream throws, stack and all,
 * and throws a sentence of its own about a file that cannot be copied; of a stream that merely ends too early
 * it prints nothing.
 */
class WatchedBlob extends Blob {
  readonly #blob: Blob;
  readonly #failed: (error: unknown) => void;

  constructor(blob: Blob, failed: (error: unknown) => void) {
    super();
    this.#blob = blob;
    this.#failed = failed;
  }

  override get size(): number {
    return this.#blob.size;
  }

  override slice(start?: number, end?: number): Blob {
    return new WatchedBlob(this.#blob.slice(start, end), this.#failed);
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    // The runtime has copied a piece when it asks for the next one.
    const blob = this.#blob;
    const pieces = (blob instanceof SourceBlob ? blob.pieces() : blob.stream())[Symbol.asyncIterator]();
    return new ReadableStream({
      pull: async (controller) => {
        try {
          const { done, value } = await pieces.next();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          this.#failed(error);
          controller.close();
        }
      },
    }, { highWaterMark: 0 });
  }
}

/** The runtime counts the bytes of a file in 32 bits. */
const FILE_BYTES = 2 ** 32;

/** A model and its files with all that lies beyond {@linkcode FILE_BYTES} of one in files of its own. */
function withinReach(
  model: Uint8Array,
  files: readonly ExternalFile[],
): { model: Uint8Array; files: { path: string; data: Uint8Array | Blob }[] } {
  const plain = files.map(({ path, data }) => ({ path, data }));
  if (plain.every(({ data }) => bytesOf(data) <= FILE_BYTES)) return { model, files: plain };
  const { model: near, files: views } = separateFarWeights(model, FILE_BYTES);
  const reached = plain.map(({ path, data }) => ({ path, data: part(data, 0, FILE_BYTES) }));
  for (const [path, { file, offset, length }] of views) {
    const data = plain.find((candidate) => candidate.path === file)?.data;
    if (data !== undefined) reached.push({ path, data: part(data, offset, offset + length) });
  }
  return { model: near, files: reached };
}

function bytesOf(data: Uint8Array | Blob): number {
  return data instanceof Blob ? data.size : data.length;
}

function part(data: Uint8Array | Blob, begin: number, end: number): Uint8Array | Blob {
  return data instanceof Blob ? data.slice(begin, end) : data.subarray(begin, end);
}

/** Words that a tensor takes in a buffer. */
function wordCount({ type, size }: Ort.Tensor): number {
  return type === "float16" ? Math.ceil(size / 2) : size;
}

/** A graph that is loaded on a device. */
export class WebGraphSession implements GraphSession {
  readonly #session: Ort.InferenceSession;
  readonly #runtime: Runtime;
  readonly #device: Device;
  readonly #file: string | undefined;
  /** Results in the runtime's buffers. */
  readonly #results = new Set<DeviceArray>();
  #released = false;

  private constructor(
    runtime: Runtime,
    session: Ort.InferenceSession,
    { device, file }: { readonly device: Device; readonly file: string | undefined },
  ) {
    this.#runtime = runtime;
    this.#session = session;
    this.#device = device;
    this.#file = file;
  }

  /**
   * Loads a graph; its outputs stay on the device.
   *
   * @throws {ModelFileError} If the weights cannot be read, or the runtime refuses the file of the graph.
   */
  static async create(
    device: Device,
    model: Uint8Array,
    options: GraphSessionOptions = {},
  ): Promise<WebGraphSession> {
    const { file, externalFiles = [], threads, mixed = false } = options;
    const { prepack = true, lean = false, optimize = true } = options;
    const build = buildFor(device, farBytes(externalFiles));
    // WebAssembly is compiled while weights are read.
    const starting = startRuntime(build, threads);
    starting.catch(() => {});
    const widens = device instanceof CpuDevice && !optimize;
    let near = { model, files: [...externalFiles] };
    try {
      if (widens) near = await withFloats(model, externalFiles);
      else near.files = await readSmallFiles(model, externalFiles);
      if (build === "plain" && farBytes(near.files) > 0) near.files = await readAll(near.model, near.files);
    } catch (error) {
      // What is no graph is refused by the runtime.
      if (!(error instanceof SyntaxError)) throw error;
    }
    const runtime = await starting;
    const failures: unknown[] = [];
    const watch = (data: Uint8Array | Blob): Uint8Array | Blob => {
      return data instanceof Blob ? new WatchedBlob(data, (error) => failures.push(error)) : data;
    };
    const reached = withinReach(near.model, near.files);
    const settings: Ort.InferenceSession.SessionOptions = {
      externalData: reached.files.map(({ path, data }) => ({ path, data: watch(data) })),
      logSeverityLevel: SILENT,
    };
    if (device instanceof WebGpuDevice) {
      device.requireAlive();
      prepareDevice(device.gpu);
      settings.executionProviders = [
        { name: "webgpu", device: device.gpu } as Ort.InferenceSession.WebGpuExecutionProviderOption,
      ];
      settings.preferredOutputLocation = "gpu-buffer";
      // A node that falls back to the CPU would cost a readback of 11 ms on each run; better to hear about it
      // when loading.
      if (!mixed) settings.extra = { session: { disable_cpu_ep_fallback: "1" } };
    } else {
      settings.executionProviders = ["wasm"];
      if (!prepack) settings.extra = { session: { disable_prepacking: "1" } };
      Object.assign(settings, memoryOptions(lean), optimizationOptions(optimize));
    }
    const session = await onDevice(device, async () => {
      try {
        return await runtime.ort.InferenceSession.create(reached.model, settings);
      } catch (error) {
        if (failures.length > 0) throw failures[0];
        return refuseGraph(error, "load", file);
      }
    });
    return new WebGraphSession(runtime, session, { device, file });
  }

  /**
   * Runs the graph. The results belong to the caller, who disposes them.
   *
   * @param inputs What to feed, by name.
   * @param wanted Names of the outputs to fetch; all by default.
   */
  async run(
    inputs: Readonly<Record<string, GraphTensor>>,
    wanted: readonly string[] = this.#session.outputNames,
  ): Promise<Record<string, DeviceArray>> {
    const device = this.#device;
    const feeds: Record<string, Ort.Tensor> = {};
    for (const [name, tensor] of Object.entries(inputs)) feeds[name] = this.#tensor(tensor);
    device.flush();
    const compute = (): Promise<Ort.InferenceSession.ReturnType> => {
      return this.#session.run(feeds, wanted, { logSeverityLevel: SILENT })
        .catch((error) => refuseGraph(error, "run", this.#file));
    };
    const outputs = await onDevice(device, () => {
      return device instanceof WebGpuDevice ? compute() : this.#runtime.threads.compute(compute);
    });
    const results: Record<string, DeviceArray> = {};
    for (const [name, tensor] of Object.entries(outputs)) {
      // What is empty stays on the host.
      if (tensor.size === 0) results[name] = device.allocate(0, name);
      else if (device instanceof WebGpuDevice) {
        const buffer = tensor.gpuBuffer as unknown as GPUBuffer;
        const array = device.adopt(buffer, wordCount(tensor), name, () => {
          this.#results.delete(array);
          tensor.dispose();
        });
        this.#results.add(array);
        results[name] = array;
      } else {
        results[name] = (device as CpuDevice).adopt(wordsOf(tensor.data as Float32Array), name);
      }
    }
    return results;
  }

  #tensor(given: GraphTensor): Ort.Tensor {
    const { Tensor } = this.#runtime.ort;
    const { array, shape, type = "float32" } = given;
    if (!("device" in array)) return new Tensor("int64", BigInt64Array.from(array, BigInt), shape);
    // An empty array needs no buffer on the device, and WebGPU could not bind one.
    if (sizeOf(shape) === 0) return new Tensor(type, [], shape);
    if (array instanceof GpuArray) {
      if (array.offset !== 0) {
        throw new TypeError(
          `Cannot run a graph on "${array.label}" as it begins ${array.offset} bytes into its buffer`,
        );
      }
      return Tensor.fromGpuBuffer(array.buffer as never, { dataType: type, dims: [...shape] });
    }
    return new Tensor(type, valuesOf(array, given) as Float32Array, shape);
  }

  /** Unloads the graph, and disposes the results that are left: their buffers are the session's. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    await exclusively(() => {
      for (const array of this.#results) array[Symbol.dispose]();
      return this.#session.release();
    });
  }
}
