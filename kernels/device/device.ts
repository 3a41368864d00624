/**
 * What a kernel is and what a device is: the two words everything above is written against. A kernel exists
 * twice, as WGSL and as a TypeScript twin; a device runs one of the two, so the code that calls kernels never
 * asks where it runs.
 *
 * Everything on a device is an array of 32-bit words (`f32` or `u32`, as the kernel reads them). Work is
 * ordered: a kernel sees what the kernels, writes and copies before it have stored. Nothing comes back to the
 * host except by {@linkcode Device.read}, which brings any number of arrays in one readback, because on
 * WebGPU in Deno each readback costs about 11 ms however small it is.
 *
 * The devices themselves live in `cpu_device.ts` and `webgpu_device.ts`.
 *
 * @module
 */

/** Where a device runs its kernels. */
export type DeviceKind = "cpu" | "webgpu";

/** What a device has done and holds, for tests and profiles. */
export interface DeviceCounters {
  /** Times the host waited for data ({@linkcode Device.read}). */
  readonly readbacks: number;
  /** Bytes that came back to the host. */
  readonly bytesRead: number;
  /** Kernels run. */
  readonly dispatches: number;
  /** Arrays that are allocated and not yet disposed. */
  readonly liveArrays: number;
  /**
   * Bytes in all buffers that are alive on the device, those of the graph runtime on the same device
   * included.
   */
  readonly liveBytes: number;
}

/** An array of 32-bit words on a device. Disposing it twice is harmless; using it afterwards is an error. */
export interface DeviceArray extends Disposable {
  /** The device that holds it. */
  readonly device: Device;
  /** Number of 32-bit words. */
  readonly length: number;
  /** Name in error messages and GPU captures. */
  readonly label: string;
}

/** One uniform word of a kernel, in the order of the WGSL struct `Parameters`. */
export type Parameter = readonly ["u32" | "i32" | "f32", number];

/** How one call of a kernel runs on a GPU. */
export interface Plan {
  /** The storage bindings, from `@binding(1)` on; `@binding(0)` is the uniform struct. */
  readonly arrays: readonly DeviceArray[];
  /** The uniform struct, word by word. */
  readonly parameters: readonly Parameter[];
  /** Number of workgroups. No side may exceed 65535; see {@linkcode spread}. */
  readonly workgroups: readonly [x: number, y: number, z: number];
  /**
   * Values of the shader's `override` constants; each distinct set is a pipeline of its own, so keep them
   * few.
   */
  readonly constants?: Readonly<Record<string, number>>;
}

/**
 * A kernel: one WGSL entry point named `main` and its twin.
 *
 * @typeParam Arguments What a caller passes: device arrays and numbers.
 */
export interface Kernel<Arguments> {
  /** Stem of its files. */
  readonly name: string;
  /** Complete WGSL source. */
  readonly wgsl: string;
  /**
   * Every value that a numeric `override` constant may have in a plan, by its name, so that all pipelines of
   * the kernel are known before it runs.
   */
  readonly overrides?: Readonly<Record<string, readonly number[]>>;
  /**
   * Checks the arguments and lays out the GPU call. Runs on both devices, so a bad call fails the same way on
   * each.
   */
  plan(args: Arguments): Plan;
  /** The twin: the same computation on host arrays, the oracle in tests and the engine without an adapter. */
  twin(args: Arguments): void;
}

/** Moments on a device's own clock, for timings that cost no waiting. */
export interface Timeline extends Disposable {
  /** Whose clock the marks are taken from. */
  readonly clock: "webgpu" | "host";
  /** Marks the moment at which all work issued so far is done. */
  mark(): void;
  /**
   * Ends the timeline: the raw marks, to be read back along with everything else, or `undefined` on the
   * host's clock.
   */
  finish(): DeviceArray | undefined;
  /**
   * Milliseconds between consecutive marks.
   *
   * @param ticks The words of what {@linkcode Timeline.finish} returned, if anything.
   * @param total Milliseconds from the first mark to the last on the host's clock. GPU ticks have no known
   * unit in Deno, so they only divide this total.
   */
  durations(ticks: Uint32Array | undefined, total: number): number[];
}

/** A place where kernels run. */
export interface Device extends Disposable {
  /** Which of the two it is. */
  readonly kind: DeviceKind;
  /** Adapter name, or what the CPU path runs on. */
  readonly name: string;
  /** Running totals. */
  readonly counters: DeviceCounters;
  /** Allocates `length` words, zeroed. */
  allocate(length: number, label?: string): DeviceArray;
  /** Allocates an array that holds a copy of `data`. */
  upload(data: Float32Array | Uint32Array, label?: string): DeviceArray;
  /**
   * A stretch of an array as an array of its own, in words: `length` of them from `offset` on, by default all
   * that follow. It shares the memory, so disposing it frees nothing, and it ends with the array it was taken
   * from. Any offset serves; on WebGPU, one that is no multiple of 64 words costs a copy per kernel call.
   */
  view(array: DeviceArray, offset: number, length?: number): DeviceArray;
  /** Overwrites words of `target` from `offset` on. */
  write(target: DeviceArray, data: Float32Array | Uint32Array, offset?: number): void;
  /**
   * Copies words between arrays. Offsets and length are in words; by default all of `source` goes to the
   * start of `target`.
   */
  copy(
    source: DeviceArray,
    target: DeviceArray,
    range?: { sourceOffset?: number; targetOffset?: number; length?: number },
  ): void;
  /**
   * Runs a kernel. On a GPU the call is only recorded; errors of the driver surface at the next
   * {@linkcode Device.read}.
   */
  run<Arguments>(kernel: Kernel<Arguments>, args: Arguments): void;
  /** Hands all recorded work to the device without waiting. */
  flush(): void;
  /** Waits for the work and brings the arrays to the host, all in one readback. */
  read(arrays: readonly DeviceArray[]): Promise<Uint32Array<ArrayBuffer>[]>;
  /** Starts a timeline for at most `capacity` marks. */
  timeline(capacity: number): Timeline;
}

/**
 * Brings one array to the host as floats. Each call is one readback; use {@linkcode Device.read} for several.
 *
 * @example
 * ```ts
 * import { readFloats } from "./device.ts";
 * import { CpuDevice } from "./cpu_device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using array = device.upload(new Float32Array([1, 2.5]));
 * assertEquals([...await readFloats(array)], [1, 2.5]);
 * ```
 */
export async function readFloats(array: DeviceArray): Promise<Float32Array<ArrayBuffer>> {
  const [words] = await array.device.read([array]);
  return new Float32Array(words!.buffer);
}

/**
 * Brings one array to the host as unsigned integers; see {@linkcode readFloats}.
 *
 * @example
 * ```ts
 * import { readWords } from "./device.ts";
 * import { CpuDevice } from "./cpu_device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using array = device.upload(new Uint32Array([7, 0xffffffff]));
 * assertEquals([...await readWords(array)], [7, 0xffffffff]);
 * ```
 */
export async function readWords(array: DeviceArray): Promise<Uint32Array<ArrayBuffer>> {
  const [words] = await array.device.read([array]);
  return words!;
}

/** WebGPU's guaranteed limit of workgroups along one side. */
const MAX_WORKGROUPS = 65535;
/**
 * Lays `count` workgroups out on the x and y sides so that no side exceeds the limit of 65535. The shader
 * finds its own number as `workgroup_id.y * num_workgroups.x + workgroup_id.x` and must stop when that is not
 * below the real count.
 *
 * @example
 * ```ts
 * import { spread } from "./device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(spread(10), [10, 1, 1]);
 * assertEquals(spread(65537), [32769, 2, 1]);
 * ```
 */
export function spread(count: number): [x: number, y: number, z: number] {
  const rows = Math.max(1, Math.ceil(count / MAX_WORKGROUPS));
  return [Math.ceil(count / rows), rows, 1];
}
