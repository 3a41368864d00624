/**
 * Distances between all pairs of two sets of vectors, of any size: in one call from typed arrays, tile by
 * tile where the matrix is too large for the device or for memory, or again and again on a device. The
 * arithmetic is that of `distance.ts` and `hamming.ts`.
 *
 * @module
 */

import { mustBe, requireChoice, requireInteger, requireOptions } from "../arguments.ts";
import { CpuDevice, words as wordsOn } from "../device/cpu_device.ts";
import type { Device, DeviceArray } from "../device/device.ts";
import { DISTANCE_METRICS, distanceMatrix, type DistanceMetric } from "../points/distance.ts";
import { hammingMatrix, MAX_WORDS } from "../points/hamming.ts";
import { type FloatStorage, inverseLengths, MAX_DIMENSIONS, wordsOf } from "../points/inverse_lengths.ts";
import type { DeviceChoice } from "../device/open_device.ts";
import { WebGpuDevice } from "../device/webgpu_device.ts";
import {
  type FloatInput,
  lengthOf,
  takeInput,
  takeOutput,
  type Target,
  withDevice,
  type WordInput,
} from "./input.ts";

/** How floats are compared. */
export interface VectorDistanceOptions {
  /** Values of one vector, from 1 to 262140. */
  dimensions: number;
  /** Which distance, "euclidean" by default, as in SciPy, whose `sqeuclidean` is "squared-euclidean". */
  metric?: DistanceMetric;
  /**
   * How results are stored: as 32-bit floats, which is the default, or as halves, which take half the memory.
   */
  outputStorage?: FloatStorage;
}

/** How bit strings are compared: by the number of bits that differ. */
export interface BitDistanceOptions {
  /** Words of one bit string, 32 bits each, from 1 to 65535. */
  words: number;
  /** The number of bits that differ. */
  metric: "hamming";
}

/** Options of {@linkcode createDistances}. */
export type DistancesOptions =
  | VectorDistanceOptions & {
    /**
     * How inputs are stored; "f16" takes `Float16Array`s and device arrays with two halves to a word. "f32"
     * by default.
     */
    inputStorage?: FloatStorage;
  }
  | BitDistanceOptions;

/** Options of the calls of {@linkcode Distances}. */
export interface DistancesCallOptions {
  /**
   * Vectors in the first set; by default as many as its length makes. Needed for device arrays that are
   * longer.
   */
  rows?: number;
  /** Vectors in the second set, likewise. */
  columns?: number;
  /**
   * Number of pairs of sets, one after the other in each input; 1 by default. `rows` and `columns` are those
   * of one pair.
   */
  batch?: number;
  /** Where the results go, instead of a new array. */
  output?: Target;
}

/** Where a single call runs, and how much at a time. */
export interface DistancesRunOptions {
  /**
   * A device, which stays open, or the kind of device to open; "auto" by default: the CPU for little work, an
   * adapter for much.
   */
  device?: Device | DeviceChoice;
  /**
   * Most bytes of any one array on the device, 64 MiB by default, and never more than its
   * `maxStorageBufferBindingSize`. Larger tasks are cut into tiles.
   */
  tileBytes?: number;
}

/** A rectangle of a distance matrix. */
export interface DistanceTile<Data> {
  /** First row. */
  row: number;
  /** Number of rows. */
  rows: number;
  /** First column. */
  column: number;
  /** Number of columns. */
  columns: number;
  /** The distances, [rows, columns] without gaps. */
  data: Data;
}

/** A vector set in memory, one vector after the other. */
export type Vectors = Float32Array | Float16Array;

/** What a vector set on or for a device may be; bit strings are words. */
export type DistanceInput = FloatInput | Float16Array | WordInput;

type Results = Float32Array<ArrayBuffer> | Float16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

const ACTION = "measure distances";
const TILE_BYTES = 64 * 2 ** 20;
/**
 * Rows that a tile has before it grows beyond some columns: enough to keep the threads of a GPU busy with
 * each column they hold.
 */
const TILE_ROWS = 256;

/**
 * Prepares a device for distances with the same options, any number of times.
 *
 * @throws {TypeError} If an option is unknown or none of its choices.
 * @throws {RangeError} If `dimensions` or `words` is out of range.
 *
 * @example
 * ```ts
 * import { createDistances } from "./distances.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using distances = createDistances(device, { dimensions: 2 });
 * using matrix = distances.between(new Float32Array([0, 0, 3, 4]), new Float32Array([0, 0]));
 * assertEquals([...await readFloats(matrix)], [0, 5]);
 * ```
 */
export function createDistances(device: Device, options: DistancesOptions): Distances {
  return new Distances(device, options);
}

/**
 * Distances on one device; see {@linkcode createDistances}. Disposing it frees what it keeps between calls,
 * but no results.
 *
 * @example
 * ```ts
 * import { createDistances } from "./distances.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using distances = createDistances(device, { metric: "hamming", words: 1 });
 * using matrix = distances.within(new Uint32Array([0b000, 0b001, 0b111]));
 * assertEquals([...await readWords(matrix)], [0, 1, 3, 1, 0, 2, 3, 2, 0]);
 * ```
 */
export class Distances implements Disposable {
  readonly #device: Device;
  readonly #task: Task;
  /** Inverse lengths of the first and second set, for the cosine metric. */
  readonly #inverses: (DeviceArray | undefined)[] = [];
  #disposed = false;

  /** Use {@linkcode createDistances}. */
  constructor(device: Device, options: DistancesOptions) {
    this.#device = device;
    this.#task = taskOf(options, ["inputStorage"]);
  }

  /**
   * The distance of every vector of `a` to every vector of `b`.
   *
   * @returns An array [batch, rows, columns] on the device, which the caller disposes: f32, u32 for
   * "hamming", or f16 if asked for, each row starting at a whole word.
   * @throws {TypeError} If an input is of the wrong type or belongs to another device, or an option is
   * unknown.
   * @throws {RangeError} If lengths do not fit, or the results are larger than the device's limit for one
   * array.
   */
  between(a: DistanceInput, b: DistanceInput, options: DistancesCallOptions = {}): DeviceArray {
    return this.#measure(a, b, options, ["rows", "columns", "batch", "output"]);
  }

  /** The distances between all vectors of `a`; see {@linkcode Distances.between}. */
  within(a: DistanceInput, options: Omit<DistancesCallOptions, "columns"> = {}): DeviceArray {
    return this.#measure(a, a, options, ["rows", "batch", "output"]);
  }

  /** Frees what it keeps on the device; harmless when done twice. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const inverse of this.#inverses.splice(0)) inverse?.[Symbol.dispose]();
  }

  #measure(
    a: DistanceInput,
    b: DistanceInput,
    options: DistancesCallOptions,
    known: readonly string[],
  ): DeviceArray {
    if (this.#disposed) throw new TypeError(`Cannot ${ACTION} as they have been disposed`);
    requireOptions(options, known, ACTION);
    const { batch = 1, output: target } = options;
    requireInteger(batch, "batch", ACTION, { min: 1 });
    const device = this.#device;
    const task = this.#task;
    const rows = countVectors(a, options.rows, { task, batch, name: "a", count: "rows" });
    const columns = a === b
      ? rows
      : countVectors(b, options.columns, { task, batch, name: "b", count: "columns" });
    using stack = new DisposableStack();
    using failed = new DisposableStack();
    const left = stack.use(takeVectors(device, a, task, "a"));
    const right = a === b ? left : stack.use(takeVectors(device, b, task, "b"));
    const length = batch * rows * wordsOf(columns, task.outputStorage);
    const output = failed.use(takeOutput(device, target, { length, name: "output", action: ACTION }));
    const shape = { a: left, b: right, output, rows, columns, batch };
    const { metric, size, inputStorage, outputStorage } = task;
    if (metric === "hamming") {
      device.run(hammingMatrix, { ...shape, words: size });
    } else {
      const args = { ...shape, dimensions: size, metric, inputStorage, outputStorage };
      if (metric === "cosine") {
        const inverseA = this.#inverse(0, left, batch * rows);
        const inverseB = a === b ? inverseA : this.#inverse(1, right, batch * columns);
        device.run(distanceMatrix, { ...args, inverseA, inverseB });
      } else {
        device.run(distanceMatrix, args);
      }
    }
    failed.move();
    return output;
  }

  /** Measures the inverse lengths of a set, in an array that is kept for later calls. */
  #inverse(set: number, input: DeviceArray, count: number): DeviceArray {
    let output = this.#inverses[set];
    if (output === undefined || output.length < count) {
      output?.[Symbol.dispose]();
      this.#inverses[set] = undefined;
      output = this.#inverses[set] = this.#device.allocate(count, "inverse lengths");
    }
    const { size, inputStorage } = this.#task;
    this.#device.run(inverseLengths, { input, output, count, dimensions: size, storage: inputStorage });
    return output;
  }
}

/**
 * The distances between the vectors of a set, or of two sets, as a matrix [rows, columns]: SciPy's
 * `cdist(a, b)`, and `squareform(pdist(a))` where there is no `b`. A matrix that is too large for the device
 * is computed in tiles; one that is too large for memory is for {@linkcode distanceTiles}.
 *
 * Vectors are `Float32Array`s, or `Float16Array`s, which are compared in f32; each holds one vector after the
 * other. The errors are those stated at {@linkcode distanceMatrix}. For "hamming" they are `Uint32Array`s,
 * and the results numbers of bits, not shares as in SciPy.
 *
 * @throws {TypeError} If an input is of the wrong type or an option is unknown.
 * @throws {RangeError} If the length of an input is no multiple of a vector's.
 * @throws {NoAdapterError} If `device` is `"webgpu"` and there is no adapter.
 *
 * @example
 * ```ts
 * import { distances } from "./distances.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const a = new Float32Array([0, 0, 3, 4]);
 * assertEquals([...await distances(a, { dimensions: 2, device: "cpu" })], [0, 5, 5, 0]);
 *
 * const b = new Float32Array([3, 0]);
 * assertEquals([...await distances(a, b, { dimensions: 2, device: "cpu" })], [3, 4]);
 *
 * const bits = new Uint32Array([0b1010, 0b0111]);
 * const options = { metric: "hamming", words: 1, device: "cpu" } as const;
 * assertEquals([...await distances(bits, options)], [0, 3, 3, 0]);
 * ```
 */
export function distances(
  a: Vectors,
  options: VectorDistanceOptions & DistancesRunOptions & { outputStorage: "f16" },
): Promise<Float16Array<ArrayBuffer>>;
/** The same with results in f32. */
export function distances(
  a: Vectors,
  options: VectorDistanceOptions & DistancesRunOptions & { outputStorage?: "f32" },
): Promise<Float32Array<ArrayBuffer>>;
/** The same for bit strings. */
export function distances(
  a: Uint32Array,
  options: BitDistanceOptions & DistancesRunOptions,
): Promise<Uint32Array<ArrayBuffer>>;
/** The same between two sets, with results in f16. */
export function distances(
  a: Vectors,
  b: Vectors | undefined,
  options: VectorDistanceOptions & DistancesRunOptions & { outputStorage: "f16" },
): Promise<Float16Array<ArrayBuffer>>;
/** The same between two sets, with results in f32. */
export function distances(
  a: Vectors,
  b: Vectors | undefined,
  options: VectorDistanceOptions & DistancesRunOptions & { outputStorage?: "f32" },
): Promise<Float32Array<ArrayBuffer>>;
/** The same between two sets of bit strings. */
export function distances(
  a: Uint32Array,
  b: Uint32Array | undefined,
  options: BitDistanceOptions & DistancesRunOptions,
): Promise<Uint32Array<ArrayBuffer>>;
export async function distances(...given: Arguments): Promise<Results> {
  const request = requestOf(given);
  const { rows, columns, task } = request;
  return await withDevice(request.device, workOf(request), async (device) => {
    let matrix: Results | undefined;
    for await (const { row, column, data, ...tile } of measureTiles(device, request)) {
      // One tile is often all.
      if (data.length === rows * columns) return data;
      matrix ??= new (resultsOf(task))(rows * columns);
      for (let i = 0; i < tile.rows; i++) {
        const line = data.subarray(i * tile.columns, (i + 1) * tile.columns);
        matrix.set(line, (row + i) * columns + column);
      }
    }
    return matrix ?? new (resultsOf(task))(0);
  }, twinOf(request));
}

/**
 * The distances of {@linkcode distances}, one tile after the other, rows of tiles from left to right: for
 * matrices that are too large for memory and are reduced, searched or written as they come. Between two tiles
 * no more than `tileBytes` for each input and for the output is held on the device.
 *
 * @throws {TypeError} If an input is of the wrong type or an option is unknown.
 * @throws {RangeError} If the length of an input is no multiple of a vector's, or not even one vector fits
 * into `tileBytes`.
 *
 * @example
 * ```ts
 * import { distanceTiles } from "./distances.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const a = new Float32Array([0, 3, 8]);
 * let largest = 0;
 * for await (const { data } of distanceTiles(a, { dimensions: 1, device: "cpu", tileBytes: 8 })) {
 *   for (const distance of data) largest = Math.max(largest, distance);
 * }
 * assertEquals(largest, 8);
 * ```
 */
export function distanceTiles(
  a: Vectors,
  options: VectorDistanceOptions & DistancesRunOptions & { outputStorage: "f16" },
): AsyncGenerator<DistanceTile<Float16Array<ArrayBuffer>>, void>;
/** The same with results in f32. */
export function distanceTiles(
  a: Vectors,
  options: VectorDistanceOptions & DistancesRunOptions & { outputStorage?: "f32" },
): AsyncGenerator<DistanceTile<Float32Array<ArrayBuffer>>, void>;
/** The same for bit strings. */
export function distanceTiles(
  a: Uint32Array,
  options: BitDistanceOptions & DistancesRunOptions,
): AsyncGenerator<DistanceTile<Uint32Array<ArrayBuffer>>, void>;
/** The same between two sets, with results in f16. */
export function distanceTiles(
  a: Vectors,
  b: Vectors | undefined,
  options: VectorDistanceOptions & DistancesRunOptions & { outputStorage: "f16" },
): AsyncGenerator<DistanceTile<Float16Array<ArrayBuffer>>, void>;
/** The same between two sets, with results in f32. */
export function distanceTiles(
  a: Vectors,
  b: Vectors | undefined,
  options: VectorDistanceOptions & DistancesRunOptions & { outputStorage?: "f32" },
): AsyncGenerator<DistanceTile<Float32Array<ArrayBuffer>>, void>;
/** The same between two sets of bit strings. */
export function distanceTiles(
  a: Uint32Array,
  b: Uint32Array | undefined,
  options: BitDistanceOptions & DistancesRunOptions,
): AsyncGenerator<DistanceTile<Uint32Array<ArrayBuffer>>, void>;
export function distanceTiles(...given: Arguments): AsyncGenerator<DistanceTile<Results>, void> {
  return openTiles(requestOf(given));
}

/** What is measured, whatever it is called with. */
interface Task {
  readonly metric: DistanceMetric | "hamming";
  /** Values or words of one vector. */
  readonly size: number;
  readonly inputStorage: FloatStorage;
  readonly outputStorage: FloatStorage;
}

type HostVectors = Vectors | Uint32Array;
type SingleOptions = DistancesRunOptions & (VectorDistanceOptions | BitDistanceOptions);
type Arguments = [a: HostVectors, b: HostVectors | SingleOptions | undefined, options?: SingleOptions];

/** A single call with everything that can be known before there is a device. */
interface Request {
  readonly task: Task;
  readonly a: HostVectors;
  readonly b: HostVectors;
  readonly rows: number;
  readonly columns: number;
  readonly device: Device | DeviceChoice | undefined;
  readonly tileBytes: number;
}

function taskOf(options: DistancesOptions, more: readonly string[]): Task {
  if (options?.metric === "hamming") {
    const known = more.filter((name) => name !== "inputStorage");
    requireOptions(options, ["metric", "words", ...known], ACTION);
    requireInteger(options.words, "words", ACTION, { min: 1, max: MAX_WORDS });
    return { metric: "hamming", size: options.words, inputStorage: "f32", outputStorage: "f32" };
  }
  requireOptions(options, ["metric", "dimensions", "outputStorage", ...more], ACTION);
  const { metric = "euclidean", dimensions: size, inputStorage = "f32", outputStorage = "f32" } = options;
  requireChoice<string>(metric, [...DISTANCE_METRICS, "hamming"], "metric", ACTION);
  requireInteger(size, "dimensions", ACTION, { min: 1, max: MAX_DIMENSIONS });
  requireChoice(inputStorage, ["f32", "f16"], "inputStorage", ACTION);
  requireChoice(outputStorage, ["f32", "f16"], "outputStorage", ACTION);
  return { metric, size, inputStorage, outputStorage };
}

function requestOf(given: Arguments): Request {
  const a = given[0];
  const alone = given.length < 3 && !ArrayBuffer.isView(given[1]);
  const b = alone ? a : given[1] as HostVectors | undefined ?? a;
  const options = (alone ? given[1] : given[2]) as SingleOptions;
  const { device, tileBytes = TILE_BYTES } = options ?? {};
  const task = { ...taskOf(options, ["device", "tileBytes"]), ...storageOf(a) };
  requireInteger(tileBytes, "tileBytes", ACTION, { min: 4 });
  const rows = countVectors(a, undefined, { task, batch: 1, name: "a", count: "rows" });
  const columns = countVectors(b, undefined, { task, batch: 1, name: "b", count: "columns" });
  return { task, a, b, rows, columns, device, tileBytes };
}

/** In a single call the type of the array says how it is stored. */
function storageOf(input: HostVectors): Pick<Task, "inputStorage"> {
  return { inputStorage: input instanceof Float16Array ? "f16" : "f32" };
}

function typeOf({ metric, inputStorage }: Task): "Float32Array" | "Float16Array" | "Uint32Array" {
  if (metric === "hamming") return "Uint32Array";
  return inputStorage === "f16" ? "Float16Array" : "Float32Array";
}

/** The number of vectors in an input, given or from its length. */
function countVectors(
  input: DistanceInput,
  given: number | undefined,
  { task, batch, name, count }: { task: Task; batch: number; name: string; count: string },
): number {
  const type = typeOf(task);
  const words = lengthOf(input as FloatInput | WordInput);
  if (words === undefined || ArrayBuffer.isView(input) && input.constructor.name !== type) {
    const wanted = `a ${type}, or a device array or GPUBuffer where there is a device`;
    throw new TypeError(mustBe(wanted, input, name, ACTION));
  }
  const halves = task.inputStorage === "f16" && !ArrayBuffer.isView(input);
  const length = halves ? 2 * words : words;
  const size = task.size * batch;
  if (given !== undefined) {
    requireInteger(given, count, ACTION, { min: 0 });
    if (given * size > length) {
      throw new RangeError(
        `Cannot ${ACTION} as ${name} must hold at least ${given * size} values: it holds ${length}`,
      );
    }
    return given;
  }
  // Behind an odd number of halves there is one more in the last word.
  const rest = length % size;
  if (rest !== 0 && !(halves && rest === 1)) {
    const unit = task.metric === "hamming" ? "words" : "dimensions";
    throw new RangeError(
      `Cannot ${ACTION} as the number of values in ${name} must be a multiple of ${
        batch === 1 ? "" : "batch * "
      }${unit}, ${size}: it holds ${length}`,
    );
  }
  return Math.floor(length / size);
}

function takeVectors(device: Device, input: DistanceInput, task: Task, name: string): DeviceArray {
  if (input instanceof Float16Array) return device.upload(packed(input), name);
  const type = task.metric === "hamming" ? "u32" : "f32";
  return takeInput(device, input, { type, name, action: ACTION });
}

/** Halves as words, the last one filled up with 0. */
function packed(halves: Float16Array): Uint32Array {
  const { buffer, byteOffset, length } = halves;
  if (byteOffset % 4 === 0 && length % 2 === 0) return new Uint32Array(buffer, byteOffset, length / 2);
  const words = new Uint32Array(Math.ceil(length / 2));
  new Float16Array(words.buffer).set(halves);
  return words;
}

/** Operations of all pairs. */
function workOf({ rows, columns, task }: Request): number {
  return rows * columns * (task.metric === "hamming" ? 4 : 3) * task.size;
}

/** All but bits are compared four values at a time. */
function twinOf({ task }: Request): { vectors: boolean } {
  return { vectors: task.metric !== "hamming" };
}

function resultsOf(
  { metric, outputStorage }: Task,
): typeof Float32Array | typeof Float16Array | typeof Uint32Array {
  if (metric === "hamming") return Uint32Array;
  return outputStorage === "f16" ? Float16Array : Float32Array;
}

/** The tiles on a device that is opened for them and stays open as long as they are asked for. */
async function* openTiles(request: Request): AsyncGenerator<DistanceTile<Results>, void> {
  const opened = Promise.withResolvers<Device>();
  const finished = Promise.withResolvers<void>();
  const held = withDevice(request.device, workOf(request), async (device) => {
    opened.resolve(device);
    await finished.promise;
  }, twinOf(request));
  held.catch(opened.reject);
  try {
    yield* measureTiles(await opened.promise, request);
  } finally {
    finished.resolve();
    await held;
  }
}

async function* measureTiles(device: Device, request: Request): AsyncGenerator<DistanceTile<Results>, void> {
  const { task, a, b, rows, columns } = request;
  const { size } = task;
  if (rows === 0 || columns === 0) return;
  const side = tileOf(device, request);
  using measure = createDistances(
    device,
    task.metric === "hamming"
      ? { metric: "hamming", words: size }
      : { ...withoutSize(task), metric: task.metric, dimensions: size },
  );
  const whole = side.columns === columns;
  // Columns that all tiles share are uploaded once.
  using right = whole ? takeVectors(device, b, task, "b") : undefined;
  for (let row = 0; row < rows; row += side.rows) {
    const height = Math.min(side.rows, rows - row);
    using left = takeVectors(device, a.subarray(row * size, (row + height) * size), task, "a");
    for (let column = 0; column < columns; column += side.columns) {
      const width = Math.min(side.columns, columns - column);
      using matrix = measure.between(left, right ?? b.subarray(column * size, (column + width) * size), {
        rows: height,
        columns: width,
      });
      // The CPU's memory is at hand: no copy of it is needed.
      const words = device instanceof CpuDevice ? wordsOn(matrix) : (await device.read([matrix]))[0]!;
      yield { row, rows: height, column, columns: width, data: compact(words, height, width, task) };
    }
  }
}

function withoutSize({ inputStorage, outputStorage }: Task): Pick<Task, "inputStorage" | "outputStorage"> {
  return { inputStorage, outputStorage };
}

/** The largest tile that fits: as wide as possible once it is high enough. */
function tileOf(
  device: Device,
  { task, rows, columns, tileBytes }: Request,
): { rows: number; columns: number } {
  let bytes = tileBytes;
  if (device instanceof WebGpuDevice) {
    const { maxStorageBufferBindingSize, maxBufferSize } = device.gpu.limits;
    // Arrays on a GPU take a multiple of 16 bytes.
    bytes = Math.min(bytes, Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / 16) * 16);
  }
  const vectors = Math.floor(bytes / (task.size * (task.inputStorage === "f16" ? 2 : 4)));
  if (vectors === 0) {
    throw new RangeError(
      `Cannot ${ACTION} as one vector of ${task.size} values must fit into a tile: tiles have at most ${bytes} bytes`,
    );
  }
  const results = Math.floor(bytes / 4) * (task.outputStorage === "f16" ? 2 : 1);
  const least = Math.min(rows, vectors, TILE_ROWS);
  const width = Math.min(columns, vectors, Math.max(1, Math.floor(results / least)));
  const pitch = wordsOf(width, task.outputStorage) * 4;
  return { rows: Math.min(rows, vectors, Math.max(1, Math.floor(bytes / pitch))), columns: width };
}

/** The results without the gaps behind rows of an odd number of halves. */
function compact(words: Uint32Array<ArrayBuffer>, rows: number, columns: number, task: Task): Results {
  if (task.outputStorage === "f32") return new (resultsOf(task))(words.buffer);
  const halves = new Float16Array(words.buffer);
  const pitch = 2 * wordsOf(columns, "f16");
  for (let row = 1; row < rows && pitch > columns; row++) {
    halves.copyWithin(row * columns, row * pitch, row * pitch + columns);
  }
  return halves.subarray(0, rows * columns);
}
