/**
 * Weights that are made up, stored one after the other as graphs refer to them.
 *
 * @module
 */

import type { Autoencoder } from "../../../models/autoencoder/config.ts";
import { autoencoderTensors } from "../../../models/autoencoder/tensors.ts";
import { openSource } from "../../../models/checkpoint/source.ts";
import { openWeightFiles, type WeightFiles } from "../../../models/weights/weight_files.ts";
import type { WeightPlaces } from "../../../models/weights/weight_places.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { testRandom } from "../../devices.ts";
import { safetensors } from "../flexvar/checkpoints.ts";

/** Weights behind graphs. */
export interface MadeUpWeights {
  /** Where they lie in the file `weights`. */
  readonly places: WeightPlaces;
  /** Their shapes. */
  readonly set: WeightSet;
  /** The file. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/** A tensor with its values. */
export interface MadeUpTensor {
  /** Shape. */
  readonly shape: readonly number[];
  /** Values in row-major order. */
  readonly values: Float32Array;
}

/** Stores tensors one after the other. */
export function storeTensors(tensors: ReadonlyMap<string, MadeUpTensor>): MadeUpWeights {
  const words = [...tensors.values()].reduce((sum, { values }) => sum + values.length, 0);
  const data = new Float32Array(words);
  const places = new Map<string, ReturnType<WeightPlaces>>();
  let begin = 0;
  for (const [name, { shape, values }] of tensors) {
    data.set(values, begin);
    const place = { file: "weights", type: "float32", shape } as const;
    places.set(name, { ...place, offset: 4 * begin, length: 4 * values.length });
    begin += values.length;
  }
  const infos = new Map([...tensors].map(([name, { shape }]) => [name, { shape, dtype: "F32" }]));
  return {
    places: (name) => places.get(name)!,
    set: new WeightSet("made up", infos),
    data: new Uint8Array(data.buffer),
  };
}

/** Random weights of networks, of a size that keeps activations around 1. */
export function randomTensors(autoencoder: Autoencoder, seed: number): Map<string, MadeUpTensor> {
  const random = testRandom(seed);
  return new Map(
    autoencoderTensors(autoencoder).map(({ name, shape }) => {
      const size = shape.reduce((product, side) => product * side, 1);
      const inputs = shape.length === 4 ? size / shape[0]! : 4;
      const center = shape.length === 1 && name.endsWith(".weight") ? 1 : 0;
      const values = Float32Array.from(
        { length: size },
        () => center + (2 * random() - 1) / Math.sqrt(inputs),
      );
      return [name, { shape, values }];
    }),
  );
}

/** The same weights as a safetensors file in memory, read as those of a model folder are. */
export async function weightFilesOf(tensors: ReadonlyMap<string, MadeUpTensor>): Promise<WeightFiles> {
  const filled = Array.from(tensors, ([name, { shape, values }]) => {
    return { name, shape, values: values as Float32Array<ArrayBuffer> };
  });
  const source = await openSource(await safetensors(filled));
  return await openWeightFiles("made up", [{ path: "tokenizer.safetensors", source }]);
}
