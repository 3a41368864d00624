/**
 * What the generation of any transformer keeps between two scales: which scale comes next, and the keys and
 * values of all tokens so far, to which each scale adds its own and which follow the lanes when a batch is
 * rearranged. What else a graph is fed, conditions and features, is left to the families.
 *
 * @module
 */

import { requireInteger } from "../../kernels/arguments.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { gatherRows, type GatherRowsArguments } from "../../kernels/maps/gather.ts";
import { type CacheDtype, newNames, pastNames } from "./cache_values.ts";
import type { GraphSession, GraphTensor } from "./graph_session.ts";

/** Arrays by the names under which graphs are fed. */
export type NamedArrays = Readonly<Record<string, DeviceArray>>;

/**
 * Rows that a graph gets at the least where each is one token: fewer are filled up with zeros. ONNX Runtime
 * multiplies a single row by another kernel natively, and up to three rows by blocks of integers on WebGPU,
 * so an image alone would differ in its last bits from itself in a batch.
 */
export const FEWEST_ROWS = 4;

/** What {@linkcode KeyValueCaches} are kept for. */
export interface KeyValueCachesOptions {
  /** Where they are kept. */
  readonly device: Device;
  /** Blocks, each with keys and values of its own. */
  readonly depth: number;
  /** Heads of a block. */
  readonly heads: number;
  /** Numbers of a key, or of a value, of one head. */
  readonly headWidth: number;
  /** Type of its keys and values, which the graph must have been built for; `"f32"` by default. */
  readonly dtype?: CacheDtype;
  /** Images in the batch. */
  readonly images: number;
  /** Whether each image has an unconditional row, too: all of these after all conditional ones. */
  readonly guided: boolean;
  /** Tokens of each scale. */
  readonly lengths: readonly number[];
}

/**
 * The caches of a batch of images between two scales. Disposing them frees all that they keep.
 *
 * Each block has one array for its keys and one for its values, [tokens, rows, heads * headWidth], with room
 * for more tokens than there are: the first of them are a tensor by themselves, and those of a scale are
 * written behind them. Of one block alone there is ever a second copy, while its array is replaced.
 */
export class KeyValueCaches implements Disposable {
  /** Whether there are unconditional rows, too. */
  readonly guided: boolean;
  readonly #options: KeyValueCachesOptions;
  /** Words of a token of one row. */
  readonly #words: number;
  #images: number;
  /** Scales that have been ended. */
  #done = 0;
  /** Tokens in the caches. */
  #past = 0;
  /** By the names under which graphs are fed, from the first scale on. */
  #caches: Record<string, DeviceArray> = {};

  /**
   * Begins with the first scale and empty caches.
   *
   * @throws {RangeError} If a token's halves are no whole words.
   */
  constructor(options: KeyValueCachesOptions) {
    const { heads, headWidth, dtype = "f32" } = options;
    // Rows are rearranged by words.
    if (dtype === "f16" && heads * headWidth % 2 === 1) {
      throw new RangeError(
        `Cannot keep caches of f16 as the width of a token must be even: current value is ${
          heads * headWidth
        }`,
      );
    }
    this.#options = options;
    this.#words = heads * headWidth / (dtype === "f16" ? 2 : 1);
    this.#images = options.images;
    this.guided = options.guided;
  }

  /** Images in the batch. */
  get images(): number {
    return this.#images;
  }

  /** Rows of the batch: one of each image or, guided, two. */
  get rows(): number {
    return this.guided ? 2 * this.#images : this.#images;
  }

  /**
   * Index of the scale that comes next.
   *
   * @throws {RangeError} If none does.
   */
  get scale(): number {
    if (this.#done < this.#options.lengths.length) return this.#done;
    throw new RangeError(`Cannot go on as all ${this.#done} scales are done`);
  }

  /**
   * Checks that a scale has been ended.
   *
   * @param action What cannot be done otherwise, for the message.
   * @throws {TypeError} If none has.
   */
  requireDone(action: string): void {
    if (this.#done === 0) throw new TypeError(`Cannot ${action} as no scale has been accepted`);
  }

  /** Tokens of the scale that comes next. */
  get length(): number {
    return this.#options.lengths[this.scale]!;
  }

  /**
   * Runs the graph of a transformer for the next scale, and keeps the keys and values that it returns beside
   * its logits: it is fed `past_key.0`, `past_value.0` and so on, and returns `new_key.0` and so on.
   *
   * @param session The graph.
   * @param feeds What else it is fed.
   * @param fed Rows in which it is fed, the first of which are those of the batch: more than these only where
   * each is one token.
   * @returns The logits, which belong to the caller.
   * @throws {RangeError} If all scales are done.
   */
  async run(
    session: GraphSession,
    feeds: Readonly<Record<string, GraphTensor>>,
    fed: number = this.rows,
  ): Promise<DeviceArray> {
    const { device, depth, heads, headWidth, lengths, dtype = "f32" } = this.#options;
    const { length, rows } = this;
    // Nothing follows the last scale, so its keys and values need not leave the graph.
    const isLast = this.scale === lengths.length - 1;
    using empty = device.allocate(0, "empty cache");
    const shape = [this.#past, fed, heads, headWidth];
    const type = dtype === "f16" ? { type: "float16" as const } : {};
    if (!isLast) this.#reserve(this.#past + length);
    const past: Record<string, GraphTensor> = {};
    for (let i = 0; i < depth; i++) {
      for (const name of pastNames(i)) past[name] = { array: this.#caches[name] ?? empty, shape, ...type };
    }
    const { logits, ...given } = await session.run({ ...feeds, ...past }, isLast ? ["logits"] : undefined);
    using unreturned = new DisposableStack();
    unreturned.use(logits!);
    try {
      if (isLast) this.#free();
      else this.#keep(given, length);
    } finally {
      disposeAll(given);
    }
    if (fed !== rows) return withRows(device, logits!, { from: fed, to: rows });
    unreturned.move();
    return logits!;
  }

  /**
   * Makes room for as many tokens. On the host there is room for all of them from the first scale on: pages
   * that nobody has written to take none, and what is outgrown would wait for the garbage collector. On a GPU
   * there is as much as the scale needs, which is less where lanes are dropped later.
   */
  #reserve(tokens: number): void {
    const { device, depth, lengths } = this.#options;
    const token = this.rows * this.#words;
    const all = lengths.slice(0, -1).reduce((sum, length) => sum + length, 0);
    const room = device.kind === "cpu" ? all : tokens;
    for (const name of Array.from({ length: depth }, (_, i) => pastNames(i)).flat()) {
      const old = this.#caches[name];
      if (old !== undefined && old.length >= tokens * token) continue;
      this.#caches[name] = device.allocate(room * token, name);
      if (old === undefined) continue;
      device.copy(old, this.#caches[name], { length: this.#past * token });
      old[Symbol.dispose]();
      // The GPU frees it once it has copied, before the next blocks have their room.
      device.flush();
    }
  }

  /** Writes what a scale gives behind what there is. */
  #keep(given: NamedArrays, length: number): void {
    const { device, depth } = this.#options;
    const token = this.rows * this.#words;
    for (let i = 0; i < depth; i++) {
      for (const [part, name] of pastNames(i).entries()) {
        const range = { targetOffset: this.#past * token, length: length * token };
        device.copy(given[newNames(i)[part]!]!, this.#caches[name]!, range);
      }
    }
    this.#past += length;
  }

  /**
   * Ends a scale.
   *
   * @throws {RangeError} If all scales are done.
   */
  advance(): void {
    this.#done = this.scale + 1;
  }

  /**
   * Rearranges the batch: the new lane i continues the old lane `lanes[i]`.
   *
   * @returns What rearranges everything else that is kept of the batch.
   * @throws {RangeError} If no lane would be left, or one of them is none.
   */
  gather(lanes: readonly number[]): LaneGather {
    const { device } = this.#options;
    const { images, guided } = this;
    requireInteger(lanes.length, "the number of lanes", "gather lanes", { min: 1 });
    for (const lane of lanes) requireInteger(lane, "a lane", "gather lanes", { min: 0, max: images - 1 });
    using stack = new DisposableStack();
    const gather = stack.use(new LaneGather(device, lanes, { images, guided }));
    gather.replaceTokens(this.#caches, { tokens: this.#past, words: this.#words });
    this.#images = lanes.length;
    stack.move();
    return gather;
  }

  #free(): void {
    disposeAll(this.#caches);
    this.#caches = {};
  }

  /** Frees everything. */
  [Symbol.dispose](): void {
    this.#free();
  }
}

/** As many of an array's first rows, or all of them and zeros. The array stays the caller's. */
export function withRows(
  device: Device,
  array: DeviceArray,
  { from, to }: { readonly from: number; readonly to: number },
): DeviceArray {
  const stride = array.length / from;
  const copy = device.allocate(to * stride, array.label);
  device.copy(array, copy, { length: Math.min(from, to) * stride });
  return copy;
}

/** Each of an array's rows so many times, one copy after the other. The array stays the caller's. */
export function repeatRows(array: DeviceArray, rows: number, times: number): DeviceArray {
  const { device, label } = array;
  const stride = array.length / rows;
  const count = rows * times;
  const output = device.allocate(count * stride, label);
  using from = device.upload(Uint32Array.from({ length: count }, (_, i) => Math.floor(i / times)), "rows");
  device.run(gatherRows, { input: array, output, rows: from, count, stride, inputRows: rows });
  return output;
}

/** Rearranges what is kept of the lanes of a batch. Arrays that are handed over are disposed. */
export class LaneGather implements Disposable {
  readonly #device: Device;
  /** Old row of each new one. */
  readonly #rows: readonly number[];
  /** Old image of each new one, and the images that there were. */
  readonly #byImage: readonly [from: DeviceArray, before: number];
  /** Old row of each new one, and the rows that there were. */
  readonly #byRow: readonly [from: DeviceArray, before: number];

  /** Gathers are made by {@linkcode KeyValueCaches.gather}. */
  constructor(
    device: Device,
    lanes: readonly number[],
    { images, guided }: { readonly images: number; readonly guided: boolean },
  ) {
    this.#device = device;
    this.#rows = guided ? [...lanes, ...lanes.map((lane) => lane + images)] : lanes;
    using stack = new DisposableStack();
    this.#byImage = [stack.use(device.upload(Uint32Array.from(lanes), "lanes")), images];
    this.#byRow = [device.upload(Uint32Array.from(this.#rows), "rows"), guided ? 2 * images : images];
    stack.move();
  }

  /** Words of one image after those of the other. */
  images(array: DeviceArray): DeviceArray {
    return this.#gathered(array, ...this.#byImage);
  }

  /** Words of one row after those of the other. */
  rows(array: DeviceArray): DeviceArray {
    return this.#gathered(array, ...this.#byRow);
  }

  /**
   * Rearranges the rows of several arrays, each taking the place of the old one as soon as it is there: that
   * needs room for one of them, and where it fails half-way every array is still in its place to be freed.
   */
  replaceRows(arrays: Record<string, DeviceArray>): void {
    for (const [name, array] of Object.entries(arrays)) arrays[name] = this.rows(array);
  }

  /** The same for so many tokens of arrays in which each of them has its words of all rows. */
  replaceTokens(
    arrays: Record<string, DeviceArray>,
    { tokens, words }: { readonly tokens: number; readonly words: number },
  ): void {
    const after = this.#rows.length;
    const [, before] = this.#byRow;
    const count = tokens * after;
    using rows = this.#device.upload(
      Uint32Array.from({ length: count }, (_, i) => {
        return Math.floor(i / after) * before + this.#rows[i % after]!;
      }),
      "rows of tokens",
    );
    for (const [name, input] of Object.entries(arrays)) {
      arrays[name] = this.#replaced(input, { rows, stride: words, inputRows: tokens * before });
    }
  }

  #gathered(input: DeviceArray, rows: DeviceArray, inputRows: number): DeviceArray {
    return this.#replaced(input, { rows, stride: input.length / inputRows, inputRows });
  }

  #replaced(
    input: DeviceArray,
    { rows, ...shape }: Pick<GatherRowsArguments, "rows" | "stride" | "inputRows">,
  ): DeviceArray {
    using stack = new DisposableStack();
    const count = rows.length;
    const output = stack.use(this.#device.allocate(count * shape.stride, input.label));
    this.#device.run(gatherRows, { input, output, rows, count, ...shape });
    stack.move();
    input[Symbol.dispose]();
    return output;
  }

  /** Frees what says where each lane comes from. */
  [Symbol.dispose](): void {
    this.#byImage[0][Symbol.dispose]();
    this.#byRow[0][Symbol.dispose]();
  }
}

/** Frees arrays. */
export function disposeAll(arrays: NamedArrays): void {
  for (const array of Object.values(arrays)) array[Symbol.dispose]();
}
