/**
 * What the generation of any class-conditional transformer keeps between two scales beside its key and value
 * caches: the condition with the modulations of its adaptive norms, and the features that the next scale
 * begins with. Which positions a scale has, and what comes of its tokens, is left to the families.
 *
 * @module
 */

import type { Device, DeviceArray } from "../../../kernels/device/device.ts";
import type { CacheDtype } from "../../graphs/cache_values.ts";
import { requireBatch } from "../../graphs/fit.ts";
import type { GraphSession, GraphTensor } from "../../graphs/graph_session.ts";
import {
  disposeAll,
  FEWEST_ROWS,
  KeyValueCaches,
  type NamedArrays,
  withRows,
} from "../../graphs/key_value_caches.ts";
import { MovedPositions } from "../../graphs/moved_positions.ts";
import type { Work } from "../../graphs/work.ts";
import type { LogitsOptions } from "../../model.ts";
import type { BatchLimit } from "../../schedule.ts";
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
  readonly condition: NamedArrays;
  /** Images in the batch. */
  readonly images: number;
  /** Whether there are unconditional rows, too. */
  readonly guided: boolean;
  /** Type in which keys and values are kept. */
  readonly cacheDtype: CacheDtype;
  /** Tokens of each scale, of the first one a single one. */
  readonly lengths: readonly number[];
  /** What the device admits in one batch. */
  readonly batchLimit: BatchLimit | undefined;
}

/** A batch of images between two scales. Disposing it frees all that it keeps. */
export class TransformerState implements Disposable {
  readonly #parts: TransformerStateParts;
  readonly #caches: KeyValueCaches;
  readonly #condition: Record<string, DeviceArray>;
  #features: DeviceArray;

  /** Begins with features of zeros. */
  constructor(parts: TransformerStateParts) {
    const { device, sizes: { depth, heads, width, channels }, condition, images, guided } = parts;
    this.#parts = parts;
    this.#caches = new KeyValueCaches({
      device,
      depth,
      heads,
      headWidth: width / heads,
      images,
      guided,
      lengths: parts.lengths,
      dtype: parts.cacheDtype,
    });
    this.#condition = { ...condition };
    this.#features = device.allocate(this.#caches.rows * channels, "features");
  }

  /** Images in the batch. */
  get images(): number {
    return this.#caches.images;
  }

  /** Whether there are unconditional rows, too. */
  get guided(): boolean {
    return this.#caches.guided;
  }

  /**
   * Index of the scale that comes next.
   *
   * @throws {RangeError} If none does.
   */
  get scale(): number {
    return this.#caches.scale;
  }

  /**
   * Checks that a scale has been ended.
   *
   * @param action What cannot be done otherwise, for the message.
   * @throws {TypeError} If none has.
   */
  requireDone(action: string): void {
    this.#caches.requireDone(action);
  }

  /** Input of the next scale, f32 [rows, positions, channels]. */
  get features(): DeviceArray {
    return this.#features;
  }

  /**
   * Logits of the next scale, f32 [rows, positions, vocabulary], for which the caches grow. They belong to
   * the caller.
   *
   * @param positions What is added to its embedded features, f32 [positions, C]; of the first scale that is
   * part of the condition.
   * @param options Where each position takes its embedding from.
   * @throws {RangeError} If all scales are done.
   * @throws {TypeError} If the model has been disposed.
   */
  async logits(positions: DeviceArray, options: LogitsOptions = {}): Promise<DeviceArray> {
    return await this.#parts.work.run("go on with a generation", () => this.#logits(positions, options));
  }

  async #logits(positions: DeviceArray, { sources }: LogitsOptions): Promise<DeviceArray> {
    const { device, sizes: { depth, width, channels }, session } = this.#parts;
    const { scale, rows, length } = this.#caches;
    const fed = scale === 0 ? Math.max(rows, FEWEST_ROWS) : rows;
    using stack = new DisposableStack();
    const fill = (array: DeviceArray): DeviceArray => {
      return fed === rows ? array : stack.use(withRows(device, array, { from: rows, to: fed }));
    };
    // The only position of the first scale can take no other's embedding.
    const moved = scale === 0 || sources === undefined
      ? undefined
      : stack.use(new MovedPositions(device, sources, { rows, images: this.images, length }));
    const features = moved === undefined ? this.#features : stack.use(moved.ofRows(this.#features));
    const feeds: Record<string, GraphTensor> = {
      features: { array: fill(features), shape: [fed, length, channels] },
      positions: scale === 0
        ? { array: fill(this.#condition.first!), shape: [fed, 1, width] }
        : moved === undefined
        ? { array: positions, shape: [1, length, width] }
        : { array: stack.use(moved.ofAll(positions)), shape: [fed, length, width] },
      map_shape: { array: [fed, length, width], shape: [3] },
      "modulation.head": { array: fill(this.#condition["modulation.head"]!), shape: [fed, 2, width] },
    };
    for (let i = 0; i < depth; i++) {
      feeds[`modulation.${i}`] = { array: fill(this.#condition[`modulation.${i}`]!), shape: [fed, 6, width] };
    }
    return await this.#caches.run(session, feeds, fed);
  }

  /**
   * Ends a scale.
   *
   * @param features What the next one begins with, f32 [images, positions, channels], which stays the
   * caller's; nothing after the last.
   * @throws {RangeError} If all scales are done.
   */
  advance(features: DeviceArray | undefined): void {
    this.#caches.advance();
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
   * @throws {RangeError} If no lane would be left, one of them is none, or the device admits fewer.
   */
  gather<const Own extends readonly DeviceArray[]>(
    lanes: readonly number[],
    own: Own,
  ): { [Index in keyof Own]: DeviceArray } {
    requireBatch(lanes.length, this.#parts.batchLimit, "gather lanes");
    using gather = this.#caches.gather(lanes);
    gather.replaceRows(this.#condition);
    this.#features = gather.rows(this.#features);
    using stack = new DisposableStack();
    const gathered = own.map((array) => stack.use(gather.images(array)));
    stack.move();
    return gathered as { [Index in keyof Own]: DeviceArray };
  }

  /** Frees everything. */
  [Symbol.dispose](): void {
    disposeAll(this.#condition);
    this.#caches[Symbol.dispose]();
    this.#features[Symbol.dispose]();
  }
}
