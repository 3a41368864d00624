/**
 * What hooks remember of the lanes of a batch from one scale to the next: arrays on the device and values of
 * the host, a row for each lane, which are rearranged with the lanes. What a hook keeps in itself would not
 * be: it serves several batches, and after a gather a place in the batch is another lane's.
 *
 * @module
 */

import type { Device, DeviceArray } from "../kernels/device/device.ts";
import { gatherRows } from "../kernels/maps/gather.ts";

/** The memories of one batch, by owner and name. Disposing frees those on the device. */
export class LaneMemory implements Disposable {
  readonly #device: Device;
  readonly #arrays = new Map<string, DeviceArray>();
  readonly #values = new Map<string, readonly unknown[]>();

  /** @param device Where arrays are kept. */
  constructor(device: Device) {
    this.#device = device;
  }

  /** Keeps a copy of an array, or a list, in place of what had this name. */
  remember(name: string, rows: DeviceArray | ArrayLike<unknown>): void {
    if (!isOnDevice(rows)) {
      this.#forget(name);
      this.#values.set(name, Array.from(rows));
      return;
    }
    using owned = new DisposableStack();
    const copy = owned.use(this.#device.allocate(rows.length, `memory "${name}"`));
    this.#device.copy(rows, copy);
    owned.move();
    // Only now, as it may be what is kept again.
    this.#forget(name);
    this.#arrays.set(name, copy);
  }

  /** What was remembered under a name, of the lanes as they are now. An array stays the memory's. */
  recall(name: string): DeviceArray | readonly unknown[] | undefined {
    return this.#arrays.get(name) ?? this.#values.get(name);
  }

  /** Goes on with these of so many lanes. */
  gather(order: readonly number[], lanes: number): void {
    for (const [name, values] of this.#values) this.#values.set(name, order.map((lane) => values[lane]));
    for (const [name, array] of this.#arrays) {
      this.#arrays.set(name, gatherLanes(array, order, lanes));
      array[Symbol.dispose]();
    }
  }

  /** Frees the arrays. */
  [Symbol.dispose](): void {
    for (const name of [...this.#arrays.keys()]) this.#forget(name);
  }

  #forget(name: string): void {
    this.#values.delete(name);
    this.#arrays.get(name)?.[Symbol.dispose]();
    this.#arrays.delete(name);
  }
}

/**
 * The rows of these lanes, in this order, as an array that is the caller's.
 *
 * @param array Words, [lanes, length].
 * @param order Which lane each row is of.
 * @param lanes How many lanes there are.
 */
export function gatherLanes(array: DeviceArray, order: readonly number[], lanes: number): DeviceArray {
  const { device, label } = array;
  const stride = array.length / lanes;
  const count = order.length;
  using owned = new DisposableStack();
  const output = owned.use(device.allocate(count * stride, label));
  using rows = device.upload(Uint32Array.from(order), "lanes");
  device.run(gatherRows, { input: array, output, rows, count, stride, inputRows: lanes });
  owned.move();
  return output;
}

/** Whether rows are an array on a device, not a list of values. */
export function isOnDevice(rows: DeviceArray | ArrayLike<unknown>): rows is DeviceArray {
  return "device" in rows;
}
