/**
 * Arrays on a device to try a kernel with: the same numbers on every device, freed together. What is made of
 * them, and which numbers are hard, is left to whoever tries.
 *
 * @module
 */

import type { Device, DeviceArray } from "../device/device.ts";
import { threefry } from "../exact/threefry.ts";

/** Makes arrays, each call from a stream of random numbers of its own, and frees them together. */
export class Workbench implements Disposable {
  readonly #device: Device;
  readonly #arrays = new DisposableStack();
  readonly #integers = new WeakSet<DeviceArray>();
  #streams = 0;

  /** @param device Where the arrays go. */
  constructor(device: Device) {
    this.#device = device;
  }

  /** Where the arrays are. */
  get device(): Device {
    return this.#device;
  }

  /** Zeros. */
  allocate(length: number): DeviceArray {
    return this.#arrays.use(this.#device.allocate(length));
  }

  /** Given words. */
  upload(data: Float32Array | Uint32Array): DeviceArray {
    const array = this.#arrays.use(this.#device.upload(data));
    if (data instanceof Uint32Array) this.#integers.add(array);
    return array;
  }

  /** What an array that was uploaded here holds. */
  typeOf(array: DeviceArray): "f32" | "u32" {
    return this.#integers.has(array) ? "u32" : "f32";
  }

  /** Anything else that goes with the arrays. */
  use<Thing extends Disposable>(thing: Thing): Thing {
    return this.#arrays.use(thing);
  }

  /** Normally distributed values of standard deviation 1, or the given one. */
  normal(length: number, deviation: number = 1): DeviceArray {
    return this.upload(this.normalValues(length, deviation));
  }

  /** The same on the host. */
  normalValues(length: number, deviation: number = 1): Float32Array<ArrayBuffer> {
    const words = this.#random(length);
    const values = new Float32Array(words.length);
    for (let i = 0; i < length; i += 2) {
      // Box-Muller.
      const radius = deviation * Math.sqrt(-2 * Math.log((words[i]! + 1) / 2 ** 32));
      const angle = 2 * Math.PI * (words[i + 1]! / 2 ** 32);
      values[i] = radius * Math.cos(angle);
      values[i + 1] = radius * Math.sin(angle);
    }
    return values.subarray(0, length);
  }

  /**
   * Code vectors, [count, channels], that vary in four directions only: some of them are neighbours, which
   * independent vectors of many channels hardly ever are.
   */
  codes(count: number, channels: number): DeviceArray {
    const places = this.normalValues(4 * count);
    const directions = this.normalValues(4 * channels);
    const codes = Float32Array.from({ length: count * channels }, (_, i) => {
      const place = Math.floor(i / channels) * 4;
      const direction = i % channels * 4;
      let value = 0;
      for (let d = 0; d < 4; d++) value += places[place + d]! * directions[direction + d]!;
      return value / 2;
    });
    return this.upload(codes);
  }

  /** Integers from 0 to `below - 1`. */
  integers(length: number, below: number): DeviceArray {
    return this.upload(this.#random(length).subarray(0, length).map((word) => word % below));
  }

  /** Frees all of them. */
  [Symbol.dispose](): void {
    this.#arrays.dispose();
  }

  /** `length` words or one more, an even number; each call has a stream of its own. */
  #random(length: number): Uint32Array {
    const words = new Uint32Array(length + 1);
    const stream = this.#streams++;
    for (let i = 0; i < length; i += 2) words.set(threefry([stream, 0], [0, i]), i);
    return words.subarray(0, length + length % 2);
  }
}
