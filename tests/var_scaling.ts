/**
 * What the tests of VAR-Scaling's kernels share: pools of candidates, calls of the kernels that bring
 * everything back, and the densities written out in float64 as the paper has them.
 *
 * @module
 */

import {
  type BandwidthArguments,
  silvermanBandwidth,
  silvermanFactor,
} from "../kernels/candidates/bandwidth.ts";
import { type DensityArguments, gaussianDensity } from "../kernels/candidates/density.ts";
import type { Device } from "../kernels/device/device.ts";
import {
  type Decision,
  decisionLength,
  readDecision,
  type SelectArguments,
  selectCandidates,
} from "../kernels/candidates/select.ts";
import { unitRows } from "../kernels/codebook/unit_rows.ts";

/** The sizes of a pool. */
export interface PoolShape {
  images: number;
  draws: number;
  positions: number;
  vocabulary: number;
  channels: number;
}

/** Candidates and the codebook they index. */
export interface Pool extends PoolShape {
  tokens: Uint32Array;
  codebook: Float32Array;
}

/** The sizes of a pool alone. */
export function shapeOf({ images, draws, positions, vocabulary, channels }: PoolShape): PoolShape {
  return { images, draws, positions, vocabulary, channels };
}

/**
 * A pool of uniformly drawn tokens of a codebook of uniform values; few `used` codes make many duplicates.
 */
export function randomPool(random: () => number, shape: PoolShape, used: number = shape.vocabulary): Pool {
  const codebook = Float32Array.from({ length: shape.vocabulary * shape.channels }, () => random() * 2 - 1);
  const count = shape.images * shape.draws * shape.positions;
  const tokens = Uint32Array.from({ length: count }, () => Math.floor(random() * used));
  return { ...shapeOf(shape), tokens, codebook };
}

/** A pool whose candidates are given as code vectors, [images][draws][positions] of them. */
export function vectorPool(vectors: readonly (readonly (readonly (readonly number[])[])[])[]): Pool {
  const draws = vectors[0]!.length;
  const positions = vectors[0]![0]!.length;
  const rows = vectors.flat(2);
  return {
    images: vectors.length,
    draws,
    positions,
    vocabulary: rows.length,
    channels: rows[0]!.length,
    tokens: Uint32Array.from(rows.keys()),
    codebook: Float32Array.from(rows.flat()),
  };
}

/** Bandwidths and scores of a pool, computed on `device`. */
export async function densities(
  device: Device,
  pool: Pool,
  options:
    & Pick<BandwidthArguments, "deviation" | "features">
    & Pick<DensityArguments, "epsilon" | "batchBandwidth" | "leaveOneOut">
    & {
      cosine?: boolean;
    } = {},
): Promise<{ bandwidth: Float32Array; scores: Float32Array }> {
  const { cosine = false, deviation, features, epsilon, batchBandwidth, leaveOneOut } = options;
  const { images, draws, positions } = pool;
  using tokens = device.upload(pool.tokens, "tokens");
  using raw = device.upload(pool.codebook, "codebook");
  using unit = device.allocate(pool.codebook.length, "unit codebook");
  using bandwidth = device.allocate(features === "joint" ? images : images * positions, "bandwidth");
  using scores = device.allocate(images * draws, "scores");
  if (cosine) {
    device.run(unitRows, { input: raw, output: unit, count: pool.vocabulary, channels: pool.channels });
  }
  const codebook = cosine ? unit : raw;
  const shared = { tokens, codebook, ...shapeOf(pool), ...(features && { features }) };
  device.run(silvermanBandwidth, { ...shared, output: bandwidth, ...(deviation && { deviation }) });
  device.run(gaussianDensity, {
    ...shared,
    bandwidth,
    scores,
    ...(epsilon !== undefined && { epsilon }),
    ...(batchBandwidth !== undefined && { batchBandwidth }),
    ...(leaveOneOut !== undefined && { leaveOneOut }),
  });
  const [h, s] = await device.read([bandwidth, scores]);
  return { bandwidth: new Float32Array(h!.buffer), scores: new Float32Array(s!.buffer) };
}

/** Options of a selection; the rest of its arguments comes from the pool. */
export type SelectionOptions =
  & Pick<SelectArguments, "representatives" | "alpha" | "conflictThreshold">
  & Partial<Pick<SelectArguments, "strategy" | "rule" | "pick" | "seed" | "scale">>
  & { lanes?: readonly number[]; order?: readonly number[] };

/** What a selection wrote. */
export interface Selection {
  order: Uint32Array;
  tokens: Uint32Array;
  record: Uint32Array;
  decisions: Decision[];
}

/** Runs the selection on `device`; `order`, if there is one, is the search order to be used. */
export async function selection(
  device: Device,
  pool: Pool,
  scores: Float32Array,
  options: SelectionOptions,
): Promise<Selection> {
  const { images, draws, positions } = pool;
  const { lanes = Array.from({ length: images }, (_, i) => i), order: given, ...rest } = options;
  const length = decisionLength(options.representatives);
  using densities = device.upload(scores, "scores");
  using candidates = device.upload(pool.tokens, "candidates");
  using codebook = device.upload(pool.codebook, "codebook");
  using indices = device.upload(Uint32Array.from(lanes), "lanes");
  using order = device.allocate(images * draws, "order");
  using givenOrder = device.upload(Uint32Array.from(given ?? []), "given order");
  using tokens = device.allocate(images * positions, "tokens");
  using decision = device.allocate(images * length, "decision");
  device.run(selectCandidates, {
    scores: densities,
    candidates,
    codebook,
    lanes: indices,
    order,
    tokens,
    decision,
    ...shapeOf(pool),
    seed: [7, 0],
    scale: 1,
    ...rest,
    ...(given && { givenOrder }),
  });
  const [places, map, record] = await device.read([order, tokens, decision]);
  return {
    order: places!,
    tokens: map!,
    record: record!,
    decisions: Array.from({ length: images }, (_, i) => readDecision(record!, i * length)),
  };
}

/** The code vector of a token, or of all tokens of a map, in float64. */
export function vectorOf(pool: Pool, image: number, draw: number, position?: number): number[] {
  const start = (image * pool.draws + draw) * pool.positions;
  const ids = position === undefined
    ? pool.tokens.subarray(start, start + pool.positions)
    : [pool.tokens[start + position]!];
  return [...ids].flatMap((id) => [...pool.codebook.subarray(id * pool.channels, (id + 1) * pool.channels)]);
}

/** The standard deviations of each dimension, in float64. */
export function deviations(vectors: readonly number[][], divisor: number = vectors.length): number[] {
  return vectors[0]!.map((_, c) => {
    const column = vectors.map((vector) => vector[c]!);
    const mean = column.reduce((a, b) => a + b) / column.length;
    return Math.sqrt(column.reduce((sum, x) => sum + (x - mean) ** 2, 0) / divisor);
  });
}

/** Eq. 3 in float64. */
export function silverman(vectors: readonly number[][], divisor?: number): number {
  const sigma = deviations(vectors, divisor);
  return sigma.reduce((a, b) => a + b) / sigma.length * silvermanFactor(vectors.length, sigma.length);
}

/**
 * The sum of eq. 2 without its constant for each vector, in float64, with a bound for the error of the
 * kernel.
 */
export function gaussianSums(vectors: readonly number[][], h: number): { value: number; bound: number }[] {
  const d = vectors[0]!.length;
  return vectors.map((a) => {
    let value = 0;
    let bound = 0;
    for (const b of vectors) {
      const t = a.reduce((sum, x, c) => sum + (x - b[c]!) ** 2, 0) / (2 * h * h);
      value += Math.exp(-t);
      bound += 2 ** -30 + Math.exp(-t) * ((3 * d + 20) * 2 ** -24 * t + 5e-7);
    }
    return { value, bound };
  });
}
