/**
 * The part of TensorFlow.js that is used here. Its own declarations bring @webgpu/types along, which change
 * the types of WebGPU for the whole program.
 */

export interface Tensor {
  readonly shape: number[];
  readonly size: number;
  data(): Promise<Float32Array | Int32Array | Uint8Array>;
  dispose(): void;
}

/** A matrix product with an addition. */
export interface FusedProduct {
  readonly a: Tensor;
  readonly b: Tensor;
  readonly transposeB: boolean;
  readonly bias: Tensor;
}

export declare const fused: { matMul(options: FusedProduct): Tensor };

export declare function setBackend(name: string): Promise<boolean>;
export declare function getBackend(): string;
/** The backend that is chosen; the one for WebGPU shows its device. */
export declare function backend(): { readonly device: GPUDevice };
export declare function tidy<Result extends Tensor>(formula: () => Result): Result;

export declare function tensor1d(values: Int32Array, dtype: "int32"): Tensor;
export declare function tensor2d(values: Float32Array, shape: [number, number]): Tensor;
export declare function tensor3d(values: Float32Array, shape: [number, number, number]): Tensor;
export declare function range(start: number, stop: number, step: number, dtype: "int32"): Tensor;
export declare function fill(shape: number[], value: number): Tensor;

export declare function add(a: Tensor, b: Tensor | number): Tensor;
export declare function sub(a: Tensor, b: Tensor): Tensor;
export declare function mul(a: Tensor, b: Tensor | number): Tensor;
export declare function less(a: Tensor, b: number): Tensor;
export declare function where(condition: Tensor, a: Tensor, b: Tensor): Tensor;
export declare function exp(x: Tensor): Tensor;
export declare function neg(x: Tensor): Tensor;
export declare function relu(x: Tensor): Tensor;
export declare function reciprocal(x: Tensor): Tensor;
export declare function sqrt(x: Tensor): Tensor;
export declare function square(x: Tensor): Tensor;
export declare function matMul(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor;
export declare function sum(x: Tensor, axis: number | number[], keepDims?: boolean): Tensor;
export declare function mean(x: Tensor, axis: number): Tensor;
export declare function argMin(x: Tensor, axis: number): Tensor;
export declare function softmax(x: Tensor): Tensor;
export declare function cumsum(x: Tensor, axis: number, exclusive: boolean): Tensor;
export declare function topk(x: Tensor, k: number): { values: Tensor; indices: Tensor };
export declare function multinomial(logits: Tensor, samples: number, seed: number): Tensor;
export declare function gather(x: Tensor, indices: Tensor): Tensor;
export declare function reshape(x: Tensor, shape: number[]): Tensor;
export declare function slice(x: Tensor, begin: number, size: number): Tensor;
