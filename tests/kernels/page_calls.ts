/**
 * The calls that a page and this process make alike, to see that they get the same; `page.ts` makes them in
 * a browser, `page_test.ts` here.
 *
 * @module
 */

import { type Device, distances, kde, nearest, sample, threefry } from "../../kernels/mod.ts";

/** What the calls returned on one device. */
export interface Answers {
  /** The device's name. */
  readonly name: string;
  /** Tokens of 50 vectors of 8 channels among 300 codes. */
  readonly nearest: readonly number[];
  /** Eight draws from each of 20 rows of 500 logits, with top-k and top-p. */
  readonly sample: readonly number[];
  /** Densities of 200 points of 3 dimensions. */
  readonly kde: readonly number[];
  /** Distances among 40 rows of 5 dimensions. */
  readonly distances: readonly number[];
}

/** Numbers from -1 to 1 that every platform makes alike. */
function numbers(length: number, seed: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => threefry([seed, 0], [i, 0])[0] * 2 ** -31 - 1);
}

/** Makes the calls on a device. */
export async function answersOn(device: Device): Promise<Answers> {
  const codes = nearest(numbers(50 * 8, 1), numbers(300 * 8, 2), { channels: 8, device });
  const logits = numbers(20 * 500, 3).map((value) => 5 * value);
  const tokens = sample(logits, { vocabulary: 500, topK: 200, topP: 0.9, seed: 7, draws: 8, device });
  const densities = kde(numbers(200 * 3, 4), { dimensions: 3, device });
  const matrix = distances(numbers(40 * 5, 5), { dimensions: 5, device });
  return {
    name: device.name,
    nearest: [...await codes],
    sample: [...await tokens],
    kde: [...await densities],
    distances: [...await matrix],
  };
}
