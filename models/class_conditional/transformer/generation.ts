/**
 * What the generation of any class-conditional transformer keeps between two scales: the condition, the
 * growing key and value caches, and the features that the next scale begins with. Which positions a scale
 * has, and what comes of its tokens, is left to the families.
 *
 * @module
 */

import { requireInteger } from "../../../kernels/arguments.ts";
import type { Device, DeviceArray } from "../../../kernels/device/device.ts";
import { gatherRows } from "../../../kernels/maps/gather.ts";
import type { GraphSession, GraphTensor } from "../../graphs/graph_session.ts";
import type { Work } from "../../graphs/work.ts";
import type { TransformerSizes } from "./config.ts";

/** What a {@linkcode TransformerState} is made of. */
export interface TransformerStateParts {
  /** Where it is kept. */
  readonly device: Device;
  /** Sizes of the transformer. */
  readonly sizes: TransformerSizes;
  /** The graph `transformer`. */
  readonly session: GraphSession;
  /** What the model is busy with. */
  readonly work: Work;
  /** What the condition cache gives for the rows' classes; it is the state's from then on. */
  readonly condition: Readonly<Record<string, DeviceArray>>;
  /** Images in the batch. */
  readonly images: number;
  /** Whether there are unconditional rows, too. */
  readonly guided: boolean;
  /** Number of scales. The first one has a map of one token. */
  readonly scales: number;
}

/** A batch of images between two scales. Disposing it frees all that it keeps. */
export class TransformerState implements Disposable {
  /** Whether there are unconditional rows, too. */
  readonly guided: boolean;
  readonly #parts: TransformerStateParts;
  #images: number;
  #done = 0;
  /** Tokens in the caches. */
  #past = 0;
  #condition: Readonly<Record<string, DeviceArray>>;
  #caches: Readonly<Record<string, DeviceArray>> = {};
  #features: DeviceArray;

  /** Begins with features of zeros. */
  constructor(parts: TransformerStateParts) {
    const { device, sizes: { channels }, condition, images, guided } = parts;
    this.#parts = parts;
    this.#images = images;
    this.guided = guided;
    this.#condition = condition;
    this.#features = device.allocate(this.#rows * channels, "features");
  }

  /** Images in the batch. */
  get images(): number {
    return this.#images;
  }

  /**
   * Index of the scale that comes next.
   *
   * @throws {RangeError} If none does.
   */
  get scale(): number {
    if (this.#done < this.#parts.scales) return this.#done;
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

  /** Input of the next scale, f32 [rows, positions, channels]. */
  get features(): DeviceArray {
    return this.#features;
  }

  get #rows(): number {
    return this.guided ? 2 * this.#images : this.#images;
  }

  /**
   * Logits of the next scale, f32 [rows, positions, vocabulary], for which the caches grow. They belong to
   * the caller.
   *
   * @param positions What is added to its embedded features, f32 [positions, C]; of the first scale that is
   * part of the condition.
   * @throws {RangeError} If all scales are done.
   * @throws {TypeError} If the model has been disposed.
   */
  async logits(positions: DeviceArray): Promise<DeviceArray> {
    return await this.#parts.work.run("go on with a generation", () => this.#logits(positions));
  }

  async #logits(positions: DeviceArray): Promise<DeviceArray> {
    const { device, sizes: { depth, width, heads, channels }, session, scales } = this.#parts;
    const { scale } = this;
    const rows = this.#rows;
    const length = this.#features.length / (rows * channels);
    const headWidth = width / heads;
    const feeds: Record<string, GraphTensor> = {
      features: { array: this.#features, shape: [rows, length, channels] },
      positions: scale === 0
        ? { array: this.#condition.first!, shape: [rows, 1, width] }
        : { array: positions, shape: [1, length, width] },
      map_shape: { array: [rows, length, width], shape: [3] },
      "modulation.head": { array: this.#condition["modulation.head"]!, shape: [rows, 2, width] },
    };
    using empty = device.allocate(0, "empty cache");
    for (let i = 0; i < depth; i++) {
      feeds[`modulation.${i}`] = { array: this.#condition[`modulation.${i}`]!, shape: [rows, 6, width] };
      for (const part of ["key", "value"]) {
        const array = this.#caches[`present_${part}.${i}`] ?? empty;
        feeds[`past_${part}.${i}`] = { array, shape: [rows, heads, this.#past, headWidth] };
      }
    }
    // Nothing follows the last scale, so its caches need not leave the graph.
    const wanted = scale === scales - 1 ? ["logits"] : undefined;
    const { logits, ...caches } = await session.run(feeds, wanted);
    disposeAll(this.#caches);
    this.#caches = caches;
    this.#past += length;
    return logits!;
  }

  /**
   * Ends a scale.
   *
   * @param features What the next one begins with, f32 [images, positions, channels], which stays the
   * caller's; nothing after the last.
   * @throws {RangeError} If all scales are done.
   */
  advance(features: DeviceArray | undefined): void {
    this.#done = this.scale + 1;
    if (features === undefined) return;
    const { device } = this.#parts;
    const { length } = features;
    this.#features[Symbol.dispose]();
    this.#features = device.allocate(this.guided ? 2 * length : length, "features");
    device.copy(features, this.#features);
    if (this.guided) device.copy(features, this.#features, { targetOffset: length });
  }

  /**
   * Rearranges the batch: the new lane i continues the old lane `lanes[i]`.
   *
   * @param own What the family keeps of each image, which is rearranged, too: words of one image after those
   * of the other.
   * @returns New arrays in place of `own`, whose arrays are disposed.
   * @throws {RangeError} If no lane would be left, or one of them is none.
   */
  gather<const Own extends readonly DeviceArray[]>(
    lanes: readonly number[],
    own: Own,
  ): { [Index in keyof Own]: DeviceArray } {
    const { device } = this.#parts;
    const before = this.#images;
    requireInteger(lanes.length, "the number of lanes", "gather lanes", { min: 1 });
    for (const lane of lanes) requireInteger(lane, "a lane", "gather lanes", { min: 0, max: before - 1 });
    using perImage = device.upload(Uint32Array.from(lanes), "lanes");
    const all = this.guided ? [...lanes, ...lanes.map((lane) => lane + before)] : lanes;
    using perRow = device.upload(Uint32Array.from(all), "rows");
    const gathered = (input: DeviceArray, rows: DeviceArray, inputRows: number): DeviceArray => {
      const stride = input.length / inputRows;
      const output = device.allocate(rows.length * stride, input.label);
      device.run(gatherRows, { input, output, rows, count: rows.length, stride, inputRows });
      input[Symbol.dispose]();
      return output;
    };
    const rowsBefore = this.#rows;
    const gatherAll = (arrays: Readonly<Record<string, DeviceArray>>): Record<string, DeviceArray> => {
      return Object.fromEntries(
        Object.entries(arrays).map(([name, array]) => [name, gathered(array, perRow, rowsBefore)]),
      );
    };
    this.#condition = gatherAll(this.#condition);
    this.#caches = gatherAll(this.#caches);
    this.#features = gathered(this.#features, perRow, rowsBefore);
    this.#images = lanes.length;
    return own.map((array) => gathered(array, perImage, before)) as { [Index in keyof Own]: DeviceArray };
  }

  /** Frees everything. */
  [Symbol.dispose](): void {
    disposeAll(this.#condition);
    disposeAll(this.#caches);
    this.#features[Symbol.dispose]();
  }
}

function disposeAll(arrays: Readonly<Record<string, DeviceArray>>): void {
  for (const array of Object.values(arrays)) array[Symbol.dispose]();
}
