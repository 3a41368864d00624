/**
 * The GPU as a device: one `GPUDevice`, one command encoder that collects kernel calls until they are needed, one readback for any
 * number of arrays. It counts every buffer that is alive on the `GPUDevice`, also those a graph runtime makes on it.
 *
 * @module
 */

import {
  copyRange,
  type Device,
  type DeviceArray,
  type DeviceCounters,
  hostTimeline,
  type Kernel,
  type Plan,
  requireInteger,
  requireRange,
  requireWords,
  type Timeline,
} from "./device.ts";
import { DeviceLostError, NoAdapterError, ShaderCompilationError } from "./errors.ts";

/** Offsets into the uniform buffer must be multiples of this; 256 is the largest alignment an adapter may ask for. */
const UNIFORM_SLOT = 256;
/** Kernel calls recorded before they are handed over at the latest: 64 KiB of uniforms. */
const UNIFORM_SLOTS = 256;

/** Limits that are raised to what the adapter offers, because the defaults (128 MiB a binding, 8 bindings) stop real models. */
const RAISED_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
  "maxBindGroups",
] as const;

/** Optional features that are used where present: half-precision weights, and timings on the GPU's own clock. */
const WANTED_FEATURES: readonly GPUFeatureName[] = ["shader-f16", "timestamp-query"];

/** A device array in GPU memory. */
export class GpuArray implements DeviceArray {
  readonly device: WebGpuDevice;
  readonly length: number;
  readonly label: string;
  /** The storage buffer; its size is rounded up to 16 bytes, since the graph runtime copies in units of 16. */
  readonly buffer: GPUBuffer;
  #release: ((array: GpuArray) => void) | undefined;

  /** Arrays are made by {@linkcode WebGpuDevice.allocate} or {@linkcode WebGpuDevice.adopt}. */
  constructor(
    device: WebGpuDevice,
    buffer: GPUBuffer,
    length: number,
    label: string,
    release: (array: GpuArray) => void,
  ) {
    this.device = device;
    this.buffer = buffer;
    this.length = length;
    this.label = label;
    this.#release = release;
  }

  /** Whether it has been disposed. */
  get disposed(): boolean {
    return this.#release === undefined;
  }

  /** Frees it; harmless when done twice. */
  [Symbol.dispose](): void {
    this.#release?.(this);
    this.#release = undefined;
  }
}

/** The GPU as a device. Open it with {@linkcode WebGpuDevice.open}. */
export class WebGpuDevice implements Device {
  readonly kind = "webgpu";
  readonly name: string;
  /** The platform's device, shared with the graph runtime. */
  readonly gpu: GPUDevice;
  /** What the adapter says about itself. */
  readonly info: GPUAdapterInfo;

  #counters = { readbacks: 0, bytesRead: 0, dispatches: 0, liveArrays: 0, liveBytes: 0 };
  /** By source and by constants. */
  #pipelines = new Map<string, Map<string, GPUComputePipeline>>();
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #uniforms: GPUBuffer;
  #uniformWords = new ArrayBuffer(UNIFORM_SLOT * UNIFORM_SLOTS);
  #slot = 0;
  #doomed: { destroy(): void }[] = [];
  #failures: Error[] = [];
  #checks: Promise<void>[] = [];
  #lost: GPUDeviceLostInfo | undefined;

  private constructor(gpu: GPUDevice, info: GPUAdapterInfo) {
    this.gpu = gpu;
    this.info = info;
    this.name = info.description || info.vendor || "WebGPU adapter";
    gpu.lost.then((lost) => this.#lost ??= lost);
    gpu.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#failures.push(
        new Error(`The GPU reported an error: ${(event as GPUUncapturedErrorEvent).error.message}`),
      );
    });
    this.#countBuffers();
    this.#uniforms = gpu.createBuffer({
      label: "uniforms",
      size: UNIFORM_SLOT * UNIFORM_SLOTS,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
  }

  /**
   * Opens the adapter's device with its limits raised to what the adapter offers.
   *
   * @throws {NoAdapterError} If there is no adapter.
   */
  static async open(): Promise<WebGpuDevice> {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) {
      throw new NoAdapterError(
        'No WebGPU adapter found; install a Vulkan, Metal or DirectX 12 driver, or use device: "cpu"',
      );
    }
    const requiredLimits: Record<string, number> = {};
    for (const limit of RAISED_LIMITS) requiredLimits[limit] = adapter.limits[limit];
    const requiredFeatures = WANTED_FEATURES.filter((feature) => adapter.features.has(feature));
    const gpu = await adapter.requestDevice({ label: "varscale", requiredFeatures, requiredLimits });
    return new WebGpuDevice(gpu, adapter.info);
  }

  get counters(): DeviceCounters {
    return { ...this.#counters };
  }

  /** Why the device is gone, or `undefined` while it works. */
  get lost(): GPUDeviceLostInfo | undefined {
    return this.#lost;
  }

  /**
   * Throws if the device is gone.
   *
   * @throws {DeviceLostError}
   */
  requireAlive(): void {
    if (this.#lost !== undefined) throw new DeviceLostError(this.#lost.reason, this.#lost.message);
  }

  allocate(length: number, label: string = "array"): GpuArray {
    this.requireAlive();
    requireInteger(length, "length", `allocate "${label}"`, { min: 0 });
    const size = Math.max(16, Math.ceil(length / 4) * 16);
    const limit = Math.min(this.gpu.limits.maxBufferSize, this.gpu.limits.maxStorageBufferBindingSize);
    if (size > limit) {
      throw new RangeError(
        `Cannot allocate "${label}" of ${size} bytes as the adapter's limit for one storage binding is ${limit} bytes`,
      );
    }
    const buffer = this.gpu.createBuffer({
      label,
      size,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    return this.#track(new GpuArray(this, buffer, length, label, (array) => this.#release(array, true)));
  }

  /** Wraps a buffer that somebody else owns; `release` is called when the array is disposed. */
  adopt(buffer: GPUBuffer, length: number, label: string, release: () => void): GpuArray {
    const array = new GpuArray(this, buffer, length, label, (released) => {
      this.flush();
      this.#release(released, false);
      release();
    });
    return this.#track(array);
  }

  upload(data: Float32Array | Uint32Array, label: string = "array"): GpuArray {
    requireWords(data, "upload words");
    const array = this.allocate(data.length, label);
    this.write(array, data);
    return array;
  }

  write(target: DeviceArray, data: Float32Array | Uint32Array, offset: number = 0): void {
    const { buffer } = this.#own(target);
    requireWords(data, "write words");
    requireRange(target, offset, data.length, "write words");
    // Deno 2.9 panics on an empty write.
    if (data.length === 0) return;
    // Queue writes happen before command buffers that are submitted later, so what is recorded must go first.
    this.flush();
    this.gpu.queue.writeBuffer(
      buffer,
      offset * 4,
      data as Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
    );
  }

  copy(
    source: DeviceArray,
    target: DeviceArray,
    range: { sourceOffset?: number; targetOffset?: number; length?: number } = {},
  ): void {
    const from = this.#own(source).buffer;
    const to = this.#own(target).buffer;
    const { sourceOffset, targetOffset, length } = copyRange(source, target, range);
    this.#commands().copyBufferToBuffer(from, sourceOffset * 4, to, targetOffset * 4, length * 4);
  }

  run<Arguments>(kernel: Kernel<Arguments>, args: Arguments): void {
    this.requireAlive();
    const plan = kernel.plan(args);
    const buffers = plan.arrays.map((array) => this.#own(array).buffer);
    if (plan.workgroups.includes(0)) return;
    const pipeline = this.#pipeline(kernel.name, kernel.wgsl, plan.constants ?? {});
    if (this.#slot === UNIFORM_SLOTS) this.flush();
    const offset = this.#slot++ * UNIFORM_SLOT;
    const size = this.#writeUniforms(plan, offset);
    const group = this.gpu.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [
        { binding: 0, resource: { buffer: this.#uniforms, offset, size } },
        ...buffers.map((buffer, i) => ({ binding: i + 1, resource: { buffer } })),
      ],
    });
    this.#encoder ??= this.gpu.createCommandEncoder();
    this.#pass ??= this.#encoder.beginComputePass();
    this.#pass.setPipeline(pipeline);
    this.#pass.setBindGroup(0, group);
    this.#pass.dispatchWorkgroups(...plan.workgroups);
    this.#counters.dispatches++;
  }

  flush(): void {
    if (this.#encoder !== undefined) {
      if (this.#slot > 0) {
        this.gpu.queue.writeBuffer(this.#uniforms, 0, this.#uniformWords, 0, this.#slot * UNIFORM_SLOT);
      }
      this.gpu.queue.submit([this.#commands().finish()]);
      this.#encoder = undefined;
      this.#slot = 0;
    }
    for (const buffer of this.#doomed.splice(0)) buffer.destroy();
  }

  async read(arrays: readonly DeviceArray[]): Promise<Uint32Array<ArrayBuffer>[]> {
    this.requireAlive();
    const buffers = arrays.map((array) => this.#own(array).buffer);
    const sizes = arrays.map((array) => array.length * 4);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const staging = this.gpu.createBuffer({
      label: "readback",
      size: Math.max(4, total),
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    try {
      let offset = 0;
      for (const [i, buffer] of buffers.entries()) {
        this.#commands().copyBufferToBuffer(buffer, 0, staging, offset, sizes[i]!);
        offset += sizes[i]!;
      }
      this.flush();
      await this.#surface();
      try {
        await staging.mapAsync(GPUMapMode.READ);
      } catch (cause) {
        // A lost device shows as a failed mapping first; the loss itself is reported in the next turn.
        await nextTurn();
        await this.#surface();
        throw cause;
      }
      this.#counters.readbacks++;
      this.#counters.bytesRead += total;
      const mapped = staging.getMappedRange();
      let start = 0;
      const copies = sizes.map((size) => new Uint32Array(mapped.slice(start, start += size)));
      staging.unmap();
      await this.#surface();
      return copies;
    } finally {
      staging.destroy();
    }
  }

  timeline(capacity: number): Timeline {
    // Checks the capacity and the number of marks for both clocks.
    const host = hostTimeline(capacity);
    if (!this.gpu.features.has("timestamp-query")) return host;
    const querySet = this.gpu.createQuerySet({ type: "timestamp", count: capacity });
    const resolved = this.gpu.createBuffer({
      label: "timestamps",
      size: capacity * 8,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    const ticks = this.allocate(capacity * 2, "timestamps");
    let marks = 0;
    return {
      clock: "webgpu",
      mark: () => {
        host.mark();
        const encoder = this.#commands();
        encoder.beginComputePass({ timestampWrites: { querySet, beginningOfPassWriteIndex: marks++ } }).end();
      },
      finish: () => {
        const encoder = this.#commands();
        encoder.resolveQuerySet(querySet, 0, marks, resolved, 0);
        encoder.copyBufferToBuffer(resolved, 0, ticks.buffer, 0, marks * 8);
        return ticks;
      },
      durations: (raw, total) => {
        if (marks < 2) return [];
        const clock = new BigUint64Array(raw!.buffer, raw!.byteOffset, marks);
        const span = Number(clock[marks - 1]! - clock[0]!);
        return Array.from({ length: marks - 1 }, (_, i) => {
          return span > 0 ? Number(clock[i + 1]! - clock[i]!) / span * total : total / (marks - 1);
        });
      },
      [Symbol.dispose]: () => {
        ticks[Symbol.dispose]();
        this.#retire(resolved);
        this.#retire(querySet);
      },
    };
  }

  /** Hands over what is recorded and destroys the platform's device. */
  [Symbol.dispose](): void {
    if (this.#lost === undefined) this.flush();
    this.gpu.destroy();
    // The platform reports the end only in a later turn; calls until then must not go to a dead device.
    this.#lost ??= { reason: "destroyed", message: "" };
  }

  /** The encoder, outside of a compute pass. */
  #commands(): GPUCommandEncoder {
    this.#pass?.end();
    this.#pass = undefined;
    return this.#encoder ??= this.gpu.createCommandEncoder();
  }

  #own(array: DeviceArray): GpuArray {
    if (!(array instanceof GpuArray) || array.device !== this) {
      throw new TypeError(`Cannot use "${array.label}" here as it belongs to another device`);
    }
    if (array.disposed) throw new TypeError(`Cannot use "${array.label}" as it has been disposed`);
    return array;
  }

  #track(array: GpuArray): GpuArray {
    this.#counters.liveArrays++;
    return array;
  }

  #release(array: GpuArray, owned: boolean): void {
    this.#counters.liveArrays--;
    if (owned) this.#retire(array.buffer);
  }

  /** Destroys what recorded commands may still name, once they have been submitted. */
  #retire(resource: { destroy(): void }): void {
    if (this.#encoder === undefined) resource.destroy();
    else this.#doomed.push(resource);
  }

  #writeUniforms(plan: Plan, offset: number): number {
    const view = new DataView(this.#uniformWords, offset, UNIFORM_SLOT);
    for (const [i, [type, value]] of plan.parameters.entries()) {
      if (type === "f32") view.setFloat32(i * 4, value, true);
      else if (type === "i32") view.setInt32(i * 4, value, true);
      else view.setUint32(i * 4, value, true);
    }
    return Math.max(16, Math.ceil(plan.parameters.length / 4) * 16);
  }

  #pipeline(name: string, code: string, constants: Record<string, number>): GPUComputePipeline {
    let variants = this.#pipelines.get(code);
    if (variants === undefined) this.#pipelines.set(code, variants = new Map());
    const key = JSON.stringify(constants);
    const known = variants.get(key);
    if (known !== undefined) return known;
    this.gpu.pushErrorScope("validation");
    const module = this.gpu.createShaderModule({ label: name, code });
    const pipeline = this.gpu.createComputePipeline({
      label: `${name} ${key}`,
      layout: "auto",
      compute: { module, entryPoint: "main", constants },
    });
    this.#checks.push(
      this.gpu.popErrorScope().then(async (error) => {
        if (error === null) return;
        variants.delete(key);
        const { messages } = await module.getCompilationInfo();
        const lines = messages.map((m) => `${m.type} at ${m.lineNum}:${m.linePos}: ${m.message}`);
        this.#failures.push(new ShaderCompilationError(name, [...lines, error.message].join("\n")));
      }),
    );
    variants.set(key, pipeline);
    return pipeline;
  }

  /** Throws the cause of the failures that were noticed since the last readback, if there were any. */
  async #surface(): Promise<void> {
    await Promise.all(this.#checks.splice(0));
    this.requireAlive();
    if (this.#failures.length === 0) return;
    // A refused shader makes each command that uses it fail, too; those reports arrive in the next turn and must not outlive it.
    await nextTurn();
    this.requireAlive();
    const failures = this.#failures.splice(0);
    throw failures.find((failure) => failure instanceof ShaderCompilationError) ?? failures[0];
  }

  /** Counts what is created on the platform's device, by whomever, so that a leak anywhere shows. */
  #countBuffers(): void {
    const { gpu } = this;
    const create = gpu.createBuffer.bind(gpu);
    gpu.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      let alive = true;
      this.#counters.liveBytes += descriptor.size;
      buffer.destroy = () => {
        if (alive) this.#counters.liveBytes -= descriptor.size;
        alive = false;
        return destroy();
      };
      return buffer;
    };
  }
}

/** Resolves after the events that are already on their way have been delivered. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
