/**
 * Name and shape of a tensor that a model of given sizes has, whether or not a file is there.
 *
 * @module
 */

/** A tensor of a checkpoint. */
export interface ModelTensor {
  /** Name in the published checkpoints. */
  readonly name: string;
  /** Shape there. */
  readonly shape: readonly number[];
}

/** A linear layer, convolution or norm: `weight` and `bias` of as many rows. */
export function layerTensors(name: string, weight: readonly number[]): ModelTensor[] {
  return [{ name: `${name}.weight`, shape: weight }, { name: `${name}.bias`, shape: weight.slice(0, 1) }];
}

/** Number of elements. */
export function elementsOf(tensors: readonly ModelTensor[]): number {
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
}
