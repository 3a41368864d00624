/** The part of jax-js that is used here, so that type checks need not fetch the package. */

export type Backend = "webgpu" | "wasm";

export interface Array {
  /** The same array once more, for a function that consumes it. */
  readonly ref: Array;
  readonly size: number;
  add(other: Array | number): Array;
  sub(other: Array | number): Array;
  mul(other: Array | number): Array;
  less(other: Array | number): Array;
  blockUntilReady(): Promise<unknown>;
  data(): Promise<Float32Array | Int32Array>;
  dispose(): void;
}

/** A compiled function, which holds memory. */
export interface OwnedFunction<Formula> {
  (...inputs: Array[]): Array;
  dispose(): void;
  readonly formula?: Formula;
}

export declare function jit<Inputs extends Array[]>(
  formula: (...inputs: Inputs) => Array,
): OwnedFunction<(...inputs: Inputs) => Array>;
export declare function init(backend: Backend): Promise<Backend[]>;
export declare function defaultDevice(backend: Backend): unknown;
export declare function getWebGPUDevice(): GPUDevice;

export declare const numpy: {
  array(data: Float32Array | Int32Array, options: { device: Backend; shape: number[] }): Array;
  zeros(shape: number[]): Array;
  sum(x: Array, axis: number, options?: { keepdims: boolean }): Array;
  mean(x: Array, axis: number): Array;
  square(x: Array): Array;
  sqrt(x: Array): Array;
  exp(x: Array): Array;
  reciprocal(x: Array): Array;
  maximum(x: Array, y: Array | number): Array;
  matmul(x: Array, y: Array): Array;
  transpose(x: Array): Array;
  matrixTranspose(x: Array): Array;
  expandDims(x: Array, axis: number | number[]): Array;
  squeeze(x: Array, axis: number): Array;
  argmin(x: Array, axis: number): Array;
  take(x: Array, indices: Array, axis: number): Array;
  takeAlongAxis(x: Array, indices: Array, axis: number): Array;
  cumsum(x: Array, axis: number): Array;
  where(condition: Array, x: Array | number, y: Array | number): Array;
};
export declare const random: {
  key(seed: number): Array;
  categorical(key: Array, logits: Array): Array;
};
export declare const lax: { topK(x: Array, k: number): [Array, Array] };
export declare const nn: { softmax(x: Array): Array };
