/**
 * Positions of a scale that take the embedding of others, with the place that those have. Embeddings are sums
 * of what becomes of a feature vector and of a place, so moving both before they are added is moving the
 * embedding, and graphs stay as they are. Which position takes which is left to those who ask.
 *
 * @module
 */

import { requireInteger, shown } from "../../kernels/arguments.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { gatherRows } from "../../kernels/maps/gather.ts";

/** What {@linkcode MovedPositions} are moved in. */
export interface MovedPositionsShape {
  /** Rows of the batch: its images or, guided, all of them twice. */
  readonly rows: number;
  /** Images of the batch. */
  readonly images: number;
  /** Positions of the scale. */
  readonly length: number;
}

/** Where the positions of a scale take their embeddings from. Disposing it frees what it keeps. */
export class MovedPositions implements Disposable {
  readonly #device: Device;
  readonly #shape: MovedPositionsShape;
  /** Position within its row that each position of all rows takes, u32 [rows, length]. */
  readonly #within: DeviceArray;
  /** The same among all positions of all rows. */
  readonly #among: DeviceArray;

  /**
   * @param device Where arrays are.
   * @param sources The position that each one takes, [images, length].
   * @param shape Sizes of the batch.
   * @throws {RangeError} If there is not one for each position, or one is none.
   */
  constructor(device: Device, sources: Uint32Array, shape: MovedPositionsShape) {
    const { rows, images, length } = shape;
    const action = "move positions";
    if (sources.length !== images * length) {
      throw new RangeError(
        `Cannot ${action} as sources must hold one for each of ${images} × ${length} positions: current number is ${
          shown(sources.length)
        }`,
      );
    }
    for (const source of sources) requireInteger(source, "a source", action, { min: 0, max: length - 1 });
    this.#device = device;
    this.#shape = shape;
    const within = Uint32Array.from({ length: rows * length }, (_, i) => sources[i % sources.length]!);
    using stack = new DisposableStack();
    this.#within = stack.use(device.upload(within, "positions taken"));
    this.#among = device.upload(within.map((source, i) => i - i % length + source), "positions taken");
    stack.move();
  }

  /** Of what each row has of its own, f32 [rows, length, …], the moved positions. They are the caller's. */
  ofRows(array: DeviceArray): DeviceArray {
    const { rows, length } = this.#shape;
    return this.#gather(array, this.#among, rows * length);
  }

  /** Of what all rows share, f32 [length, …], the moved positions of each row. They are the caller's. */
  ofAll(array: DeviceArray): DeviceArray {
    return this.#gather(array, this.#within, this.#shape.length);
  }

  /** Frees what it keeps. */
  [Symbol.dispose](): void {
    this.#within[Symbol.dispose]();
    this.#among[Symbol.dispose]();
  }

  #gather(input: DeviceArray, rows: DeviceArray, inputRows: number): DeviceArray {
    const { rows: images, length } = this.#shape;
    const count = images * length;
    const stride = input.length / inputRows;
    const output = this.#device.allocate(count * stride, input.label);
    this.#device.run(gatherRows, { input, output, rows, count, stride, inputRows });
    return output;
  }
}
