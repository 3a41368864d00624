/**
 * The GPU as a device: one `GPUDevice`, one command encoder that collects kernel calls until they are needed,
 * one readback for any number of arrays. It counts every buffer that is alive on the `GPUDevice`, also those
 * a graph runtime makes on it.
 *
 * @module
 */

import { mustBe, requireInteger } from "../arguments.ts";
import { copyRange, requireDisjoint, requireRange, requireWords, writtenBindings } from "./array_checks.ts";
import type { Device, DeviceArray, DeviceCounters, Kernel, Plan, Timeline } from "./device.ts";
import { hostTimeline } from "./host_timeline.ts";
import { DeviceLostError, NoAdapterError, OutOfMemoryError, ShaderCompilationError } from "./errors.ts";
import { nextTurn } from "./next_turn.ts";

/**
 * Offsets into the uniform buffer must be multiples of this; 256 is the largest alignment an adapter may ask
 * for.
 */
const UNIFORM_SLOT = 256;
/** Kernel calls recorded before they are handed over at the latest: 64 KiB of uniforms. */
const UNIFORM_SLOTS = 256;

/**
 * Limits that are raised to what the adapter offers, because the defaults (128 MiB a binding, 8 bindings)
 * stop real models.
 */
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

/**
 * Optional features that are used where present: half-precision weights, and timings on the GPU's own clock.
 */
const WANTED_FEATURES: readonly GPUFeatureName[] = ["shader-f16", "timestamp-query"];

/** Where an array lies in GPU memory. */
export interface GpuPlace {
  /** The storage buffer. */
  readonly buffer: GPUBuffer;
  /** In bytes. */
  readonly offset: number;
  /**
   * Whether only padding up to a multiple of 16 bytes follows in the buffer, so that shaders may be given all
   * the rest.
   */
  readonly padded: boolean;
  /** The array it is a view of. */
  readonly owner?: GpuArray;
}

/**
 * A device array in GPU memory.
 *
 * @example
 * ```ts
 * import { WebGpuDevice } from "./webgpu_device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const adapter = await navigator.gpu?.requestAdapter();
 * if (adapter) {
 *   using device = await WebGpuDevice.open(adapter);
 *   using array = device.allocate(5, "scores");
 *   assertEquals(array.buffer.label, "scores"); // a GPUBuffer, for pipelines of one's own
 *   assertEquals(array.buffer.size, 32);
 * }
 * ```
 */
export class GpuArray implements DeviceArray {
  readonly device: WebGpuDevice;
  readonly length: number;
  readonly label: string;
  /**
   * The storage buffer. Of buffers that the device makes, the size is rounded up to 16 bytes, as the graph
   * runtime copies in units of 16.
   */
  readonly buffer: GPUBuffer;
  /** Where the array begins in the buffer, in bytes. */
  readonly offset: number;
  readonly #place: GpuPlace;
  #release: ((array: GpuArray) => void) | undefined;

  /**
   * Arrays are made by {@linkcode WebGpuDevice.allocate}, {@linkcode WebGpuDevice.adopt},
   * {@linkcode WebGpuDevice.wrap} or {@linkcode WebGpuDevice.view}.
   */
  constructor(
    device: WebGpuDevice,
    place: GpuPlace,
    length: number,
    label: string,
    release: (array: GpuArray) => void,
  ) {
    this.device = device;
    this.buffer = place.buffer;
    this.offset = place.offset;
    this.length = length;
    this.label = label;
    this.#place = place;
    this.#release = release;
  }

  /** Whether it has been disposed, or the array it is a view of. */
  get disposed(): boolean {
    return this.#release === undefined || this.#place.owner?.disposed === true;
  }

  /**
   * The stretch of the buffer that a kernel can be given as it is, or `undefined` if WebGPU's rules for
   * offsets and sizes forbid one.
   *
   * @param alignment What offsets must be multiples of.
   */
  binding(alignment: number): GPUBufferBinding | undefined {
    const { buffer, offset, padded } = this.#place;
    if (offset % alignment !== 0 || this.length === 0 && offset > 0) return undefined;
    if (padded) return { buffer, offset };
    // A shader may see the words as vectors of four.
    if (this.length === 0 || this.length % 4 !== 0) return undefined;
    return { buffer, offset, size: this.length * 4 };
  }

  /** Where `length` of its words from `offset` on lie. */
  stretch(offset: number, length: number): GpuPlace {
    const padded = this.#place.padded && offset + length === this.length;
    return { buffer: this.buffer, offset: this.offset + offset * 4, padded, owner: this };
  }

  /** Frees it; harmless when done twice. */
  [Symbol.dispose](): void {
    this.#release?.(this);
    this.#release = undefined;
  }
}

/**
 * The GPU as a device. Open it with {@linkcode WebGpuDevice.open}.
 *
 * @example
 * ```ts
 * import { WebGpuDevice } from "./webgpu_device.ts";
 * import { readFloats } from "./device.ts";
 * import { unitRows } from "../codebook/unit_rows.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const adapter = await navigator.gpu?.requestAdapter();
 * if (adapter) {
 *   using device = await WebGpuDevice.open(adapter);
 *   using rows = device.upload(new Float32Array([3, 4]));
 *   using unit = device.allocate(2, "unit");
 *   device.run(unitRows, { input: rows, output: unit, count: 1, channels: 2 });
 *   assertEquals([...await readFloats(unit)].map((value) => value.toFixed(4)), ["0.6000", "0.8000"]);
 *   assertEquals(device.counters.readbacks, 1);
 * }
 * ```
 */
export class WebGpuDevice implements Device {
  readonly kind = "webgpu";
  readonly name: string;
  /** The platform's device, shared with the graph runtime. */
  readonly gpu: GPUDevice;
  /** What the adapter says about itself. */
  readonly info: GPUAdapterInfo;

  #counters = { readbacks: 0, bytesRead: 0, dispatches: 0, liveArrays: 0, liveBytes: 0 };
  #createBuffer: GPUDevice["createBuffer"];
  /** Whether the platform's device ends with this one. */
  #owned: boolean;
  #listening = new AbortController();
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

  private constructor(gpu: GPUDevice, info: GPUAdapterInfo, owned: boolean) {
    this.gpu = gpu;
    this.#owned = owned;
    this.info = info;
    this.name = adapterName(info);
    gpu.lost.then((lost) => this.#lost ??= lost);
    gpu.addEventListener("uncapturederror", (event) => {
      if (owned) event.preventDefault();
      this.#failures.push(
        new Error(`The GPU reported an error: ${(event as GPUUncapturedErrorEvent).error.message}`),
      );
    }, { signal: this.#listening.signal });
    this.#createBuffer = this.#counting(gpu.createBuffer.bind(gpu));
    // What others create on a device of our own is counted, too, so that a leak anywhere shows.
    if (owned) gpu.createBuffer = this.#createBuffer;
    this.#uniforms = this.#createBuffer({
      label: "uniforms",
      size: UNIFORM_SLOT * UNIFORM_SLOTS,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
  }

  /**
   * Opens the adapter's device with its limits raised to what the adapter offers.
   *
   * @param adapter The adapter; by default the platform's fastest.
   * @throws {NoAdapterError} If there is no adapter.
   */
  static async open(adapter?: GPUAdapter): Promise<WebGpuDevice> {
    adapter ??= await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }) ?? undefined;
    if (adapter === undefined) {
      throw new NoAdapterError(
        'No WebGPU adapter found; install a Vulkan, Metal or DirectX 12 driver, or use device: "cpu"',
      );
    }
    const requiredLimits: Record<string, number> = {};
    for (const limit of RAISED_LIMITS) requiredLimits[limit] = adapter.limits[limit];
    const requiredFeatures = WANTED_FEATURES.filter((feature) => adapter.features.has(feature));
    const gpu = await adapter.requestDevice({ label: "varscale", requiredFeatures, requiredLimits });
    return new WebGpuDevice(gpu, adapter.info, true);
  }

  /**
   * Runs kernels on a `GPUDevice` of the caller's, within the limits it was made with, beside whatever else
   * it does. Disposing the result leaves that device alone; errors that others cause on it may surface here,
   * too, as WebGPU does not say whose they are.
   *
   * @throws {TypeError} If it is no `GPUDevice`.
   */
  static from(gpu: GPUDevice): WebGpuDevice {
    if (!(gpu instanceof GPUDevice)) {
      throw new TypeError(mustBe("a GPUDevice", gpu, "it", "run on a device"));
    }
    return new WebGpuDevice(gpu, gpu.adapterInfo, false);
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
    for (const limit of ["maxStorageBufferBindingSize", "maxBufferSize"] as const) {
      if (size <= this.gpu.limits[limit]) continue;
      throw new RangeError(
        `Cannot allocate "${label}" of ${size} bytes as the device's limit ${limit} is ${
          this.gpu.limits[limit]
        } bytes`,
      );
    }
    const place = { buffer: this.#createStorage(size, label), offset: 0, padded: true };
    return this.#track(new GpuArray(this, place, length, label, (array) => this.#release(array, true)));
  }

  /** Wraps a buffer that the graph runtime made; `release` is called when the array is disposed. */
  adopt(buffer: GPUBuffer, length: number, label: string, release: () => void): GpuArray {
    const array = new GpuArray(this, { buffer, offset: 0, padded: true }, length, label, (released) => {
      this.flush();
      this.#release(released, false);
      release();
    });
    return this.#track(array);
  }

  /**
   * Makes a buffer of the caller's, or a stretch of one, an array of this device, without a copy. Disposing
   * the array frees nothing.
   *
   * @param source A `GPUBuffer` of the same `GPUDevice` with usage `STORAGE`, or `{ buffer, offset, size }`
   * in bytes, multiples of 4. An offset that is no multiple of 256 costs a copy per kernel call, which needs
   * usages `COPY_SRC` and `COPY_DST`, as reading and writing do.
   * @throws {TypeError} If it is no buffer or lacks the usage.
   * @throws {RangeError} If offset or size do not fit.
   */
  wrap(source: GPUBuffer | GPUBufferBinding, label: string = "buffer"): GpuArray {
    this.requireAlive();
    const action = `use the buffer "${label}"`;
    const { buffer, offset = 0, size } = source instanceof GPUBuffer
      ? { buffer: source, size: undefined }
      : source;
    if (!(buffer instanceof GPUBuffer)) {
      throw new TypeError(mustBe("a GPUBuffer", buffer, "it", action));
    }
    requireUsage(buffer, "STORAGE", action);
    requireInteger(offset, "offset", action, { min: 0, max: buffer.size });
    const bytes = size ?? buffer.size - offset;
    requireInteger(bytes, "size", action, { min: 0, max: buffer.size - offset });
    if (offset % 4 !== 0 || bytes % 4 !== 0) {
      throw new RangeError(
        `Cannot ${action} as offset and size must be multiples of 4 bytes: offset is ${offset} and size is ${bytes}`,
      );
    }
    return this.#track(
      new GpuArray(this, { buffer, offset, padded: false }, bytes / 4, label, (array) => {
        this.#release(array, false);
      }),
    );
  }

  view(array: DeviceArray, offset: number, length: number = array.length - offset): GpuArray {
    const owner = this.#own(array);
    requireRange(array, offset, length, "view words");
    return new GpuArray(this, owner.stretch(offset, length), length, array.label, () => {});
  }

  upload(data: Float32Array | Uint32Array, label: string = "array"): GpuArray {
    requireWords(data, "upload words");
    const array = this.allocate(data.length, label);
    this.write(array, data);
    return array;
  }

  write(target: DeviceArray, data: Float32Array | Uint32Array, offset: number = 0): void {
    const { buffer, offset: start } = this.#own(target);
    requireWords(data, "write words");
    requireRange(target, offset, data.length, "write words");
    // Deno 2.9 panics on an empty write.
    if (data.length === 0) return;
    requireUsage(buffer, "COPY_DST", `write to "${target.label}"`);
    // Queue writes happen before command buffers that are submitted later, so what is recorded must go first.
    this.flush();
    this.gpu.queue.writeBuffer(
      buffer,
      start + offset * 4,
      data as Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
    );
  }

  copy(
    source: DeviceArray,
    target: DeviceArray,
    range: { sourceOffset?: number; targetOffset?: number; length?: number } = {},
  ): void {
    const from = this.#own(source);
    const to = this.#own(target);
    const { sourceOffset, targetOffset, length } = copyRange(source, target, range);
    this.#copyBytes(from, to, { from: sourceOffset * 4, to: targetOffset * 4, size: length * 4 });
  }

  run<Arguments>(kernel: Kernel<Arguments>, args: Arguments): void {
    this.requireAlive();
    const plan = kernel.plan(args);
    const arrays = plan.arrays.map((array) => this.#own(array));
    requireDisjoint(
      kernel,
      arrays,
      arrays.map(({ buffer, offset, length }) => ({
        memory: buffer,
        start: offset,
        end: offset + length * 4,
      })),
    );
    if (plan.workgroups.includes(0)) return;
    const pipeline = this.#pipeline(kernel.name, kernel.wgsl, plan.constants ?? {});
    if (this.#slot === UNIFORM_SLOTS) this.flush();
    const offset = this.#slot++ * UNIFORM_SLOT;
    const size = this.#writeUniforms(plan, offset);
    using bound = this.#bind(kernel.wgsl, arrays);
    const group = this.gpu.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [
        { binding: 0, resource: { buffer: this.#uniforms, offset, size } },
        ...bound.resources.map((resource, i) => ({ binding: i + 1, resource })),
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
    const sources = arrays.map((array) => this.#own(array));
    for (const { buffer, label } of sources) requireUsage(buffer, "COPY_SRC", `read "${label}"`);
    const sizes = arrays.map((array) => array.length * 4);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (total > this.gpu.limits.maxBufferSize) {
      throw new RangeError(
        `Cannot read ${total} bytes at once as the device's limit maxBufferSize is ${this.gpu.limits.maxBufferSize} bytes`,
      );
    }
    const staging = this.#createBuffer({
      label: "readback",
      size: Math.max(4, total),
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    try {
      let offset = 0;
      for (const source of sources) {
        const size = source.length * 4;
        this.#commands().copyBufferToBuffer(source.buffer, source.offset, staging, offset, size);
        offset += size;
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
    const resolved = this.#createBuffer({
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

  /** Hands over what is recorded; then ends the platform's device, unless that is the caller's. */
  [Symbol.dispose](): void {
    if (this.#lost === undefined) this.flush();
    this.#listening.abort();
    this.#uniforms.destroy();
    if (this.#owned) this.gpu.destroy();
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

  /** A storage buffer; if there is no memory for it, the next readback says so. */
  #createStorage(size: number, label: string): GPUBuffer {
    const inUse = this.#counters.liveBytes;
    this.gpu.pushErrorScope("out-of-memory");
    const buffer = this.#createBuffer({
      label,
      size,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    const check = this.gpu.popErrorScope().then((error) => {
      if (error !== null) this.#failures.push(new OutOfMemoryError(label, size, inUse));
    }, () => {/* The device is gone, which is reported by itself. */});
    this.#checks.push(check);
    return buffer;
  }

  /**
   * The arrays of a kernel call as bindings. What WebGPU would not bind where it lies goes through a buffer
   * of its own: stretches at odd places, and arrays that are read while another stretch of the same buffer is
   * written. Disposing copies back what was written.
   */
  #bind(wgsl: string, arrays: readonly GpuArray[]): { resources: GPUBufferBinding[] } & Disposable {
    const written = writtenBindings(wgsl);
    const alignment = this.gpu.limits.minStorageBufferOffsetAlignment;
    const results: { array: GpuArray; scratch: GpuArray }[] = [];
    const scratches: GpuArray[] = [];
    const resources = arrays.map((array, i) => {
      const shared = !written[i] && arrays.some((other, j) => written[j] && other.buffer === array.buffer);
      const direct = shared ? undefined : array.binding(alignment);
      if (direct !== undefined) return direct;
      const scratch = this.allocate(array.length, array.label);
      this.#copyBytes(array, scratch, { from: 0, to: 0, size: array.length * 4 });
      scratches.push(scratch);
      if (written[i]) results.push({ array, scratch });
      return { buffer: scratch.buffer };
    });
    return {
      resources,
      [Symbol.dispose]: () => {
        for (const { array, scratch } of results) {
          this.#copyBytes(scratch, array, { from: 0, to: 0, size: array.length * 4 });
        }
        for (const scratch of scratches) scratch[Symbol.dispose]();
      },
    };
  }

  /** Records a copy; offsets count from where the arrays begin. */
  #copyBytes(source: GpuArray, target: GpuArray, bytes: { from: number; to: number; size: number }): void {
    requireUsage(source.buffer, "COPY_SRC", `copy "${source.label}"`);
    requireUsage(target.buffer, "COPY_DST", `copy to "${target.label}"`);
    if (source.buffer === target.buffer) {
      // WebGPU copies between two buffers only.
      using scratch = this.allocate(bytes.size / 4, source.label);
      this.#copyBytes(source, scratch, { ...bytes, to: 0 });
      this.#copyBytes(scratch, target, { ...bytes, from: 0 });
      return;
    }
    this.#commands().copyBufferToBuffer(
      source.buffer,
      source.offset + bytes.from,
      target.buffer,
      target.offset + bytes.to,
      bytes.size,
    );
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
    // A refused shader makes each command that uses it fail, too; those reports arrive in the next turn and
    // must not outlive it.
    await nextTurn();
    this.requireAlive();
    const failures = this.#failures.splice(0);
    throw failures.find((failure) => failure instanceof ShaderCompilationError) ?? failures[0];
  }

  /** The same function, counting the bytes of the buffers that it makes until they are destroyed. */
  #counting(create: GPUDevice["createBuffer"]): GPUDevice["createBuffer"] {
    return (descriptor) => {
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

/** What an adapter is called: in a page, which gets no description, by its vendor and architecture. */
export function adapterName({ description, vendor, architecture }: GPUAdapterInfo): string {
  return description || [vendor, architecture].filter(Boolean).join(" ") || "WebGPU adapter";
}

/**
 * Checks that a buffer may be used in a way.
 *
 * @throws {TypeError} If it was made without that usage.
 */
function requireUsage(buffer: GPUBuffer, usage: "STORAGE" | "COPY_SRC" | "COPY_DST", action: string): void {
  if ((buffer.usage & GPUBufferUsage[usage]) !== 0) return;
  throw new TypeError(`Cannot ${action} as its buffer must have been made with GPUBufferUsage.${usage}`);
}
