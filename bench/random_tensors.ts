/**
 * Tensors of random values that are made while they are written, so that memory stays small whatever their
 * size. What a tensor holds depends on the seed and its name alone; its deviation is chosen so that
 * activations stay near 1 through any depth. Which tensors there are is left to `synthetic_checkpoint.ts`.
 *
 * @module
 */

import type { PyTorchTensor } from "./pytorch_file.ts";

/** Bytes that are made and written at a time. */
const PIECE = 1 << 22;

/** Gives the values of a tensor from element `start` on. */
export type Fill = (values: Float32Array<ArrayBuffer>, start: number, noise: Noise) => void;

/** Normal numbers, over a gigabyte a second: 16 random bits choose one of a bank of them. */
class Noise {
  static #bank: Float32Array | undefined;
  #state: number;

  /**
   * The stream of a seed and a tensor's name, so that values depend neither on the other tensors nor on the
   * size of pieces.
   */
  constructor(seed: number, name: string) {
    // FNV-1a
    let hash = 0x811c9dc5 ^ seed;
    for (const character of name) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
    this.#state = hash;
  }

  static get bank(): Float32Array {
    if (this.#bank !== undefined) return this.#bank;
    const bank = new Float32Array(1 << 16);
    const noise = new Noise(0, "bank");
    const uniform = (): number => (noise.#next() + 0.5) / 2 ** 32;
    // Box–Muller
    for (let i = 0; i < bank.length; i++) {
      bank[i] = Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
    }
    return this.#bank = bank;
  }

  /** 32 random bits (mulberry32). */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return (bits ^ (bits >>> 14)) >>> 0;
  }

  /** Fills an array with numbers of a standard deviation around a mean. */
  fill(values: Float32Array, deviation: number, mean: number): void {
    const bank = Noise.bank;
    for (let i = 0; i < values.length; i += 2) {
      const bits = this.#next();
      values[i] = bank[bits & 0xffff]! * deviation + mean;
      values[i + 1] = bank[bits >>> 16]! * deviation + mean;
    }
  }
}

/** Normal numbers of a standard deviation around a mean. */
export function normal(deviation: number, mean = 0): Fill {
  return (values, _start, noise) => noise.fill(values, deviation, mean);
}

/** One number throughout. */
export function constant(value: number): Fill {
  return (values) => values.fill(value);
}

/** How the tensors of a file are filled and stored. */
export interface TensorListOptions {
  /** Selects the values. */
  readonly seed: number;
  /** Type of the numbers, float32 by default. */
  readonly dtype?: "F32" | "F16";
}

/** Lists the tensors of one file. */
export class TensorList {
  /** In the order in which they were added. */
  readonly tensors: PyTorchTensor[] = [];
  readonly #seed: number;
  readonly #dtype: "F32" | "F16";

  /** A list without tensors. */
  constructor({ seed, dtype = "F32" }: TensorListOptions) {
    this.#seed = seed;
    this.#dtype = dtype;
  }

  /** Numbers. */
  add(name: string, shape: readonly number[], fill: Fill): void {
    const count = shape.reduce((product, size) => product * size, 1);
    const noise = (): Noise => new Noise(this.#seed, name);
    const dtype = this.#dtype;
    this.tensors.push({
      ...{ name, dtype, shape },
      *bytes() {
        const values = new Float32Array(Math.min(count, PIECE / 4));
        const stream = noise();
        for (let start = 0; start < count; start += values.length) {
          const piece = values.subarray(0, count - start);
          fill(piece, start, stream);
          const stored = dtype === "F32" ? piece : new Float16Array(piece);
          yield new Uint8Array(stored.buffer, 0, stored.byteLength);
        }
      },
    });
  }

  /** Integers, few enough to be held. */
  addIntegers(name: string, shape: readonly number[], values: readonly number[]): void {
    const array = BigInt64Array.from(values, BigInt);
    this.tensors.push({ name, dtype: "I64", shape, bytes: () => [new Uint8Array(array.buffer)] });
  }

  /** The matrix of a projection that keeps the size of what it is given. */
  matrix(name: string, outputs: number, inputs: number, gain = 1): void {
    this.add(name, [outputs, inputs], normal(gain / Math.sqrt(inputs)));
  }

  /** Such a projection with a bias. */
  linear(
    name: string,
    outputs: number,
    inputs: number,
    options: { gain?: number; bias?: number } = {},
  ): void {
    const { gain = 1, bias = 0.02 } = options;
    this.matrix(`${name}.weight`, outputs, inputs, gain);
    this.add(`${name}.bias`, [outputs], normal(bias));
  }

  /** A square convolution that does, too. */
  convolution(name: string, outputs: number, inputs: number, side: 1 | 3): void {
    const deviation = 1 / Math.sqrt(inputs * side * side);
    this.add(`${name}.weight`, [outputs, inputs, side, side], normal(deviation));
    this.add(`${name}.bias`, [outputs], normal(0.02));
  }

  /** A normalization as it is before any training. */
  norm(name: string, channels: number): void {
    this.add(`${name}.weight`, [channels], constant(1));
    this.add(`${name}.bias`, [channels], constant(0));
  }
}
