/**
 * What every peer must compute, in float64 and as plainly as the formulas are written, and small tasks to
 * hold peers against it.
 *
 * @module
 */

import type { PeerTask } from "../peer.ts";

/** The size of a task of densities of bits. */
export type BitShape = Readonly<Record<"draws" | "positions" | "bits", number>>;

/** Largest difference of a peer from the reference, in units of the reference's largest value. */
const TOLERANCE = 1e-5;

/** A small task for a kernel, sizes odd where they may be. */
export function checkTask(kernel: string): PeerTask {
  const random = generator(kernel.length);
  const normal = (length: number): Float32Array =>
    Float32Array.from({ length }, () => {
      return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    });
  switch (kernel) {
    case "distance": {
      const shape = { rows: 33, columns: 67, dimensions: 32 };
      return { kernel, shape, inputs: { a: normal(33 * 32), b: normal(67 * 32) } };
    }
    case "kde": {
      // At this bandwidth a neighbour counts about a hundredth of the point itself.
      const shape = { points: 131, queries: 131, dimensions: 32, bandwidth: 2.5 };
      return { kernel, shape, inputs: { points: normal(131 * 32) } };
    }
    case "nearest": {
      const shape = { count: 77, vocabulary: 301, channels: 32 };
      return { kernel, shape, inputs: { features: normal(77 * 32), codebook: normal(301 * 32) } };
    }
    case "lookup": {
      const shape = { positions: 77, vocabulary: 301, channels: 32 };
      const tokens = Uint32Array.from({ length: 77 }, () => Math.floor(random() * 301));
      return { kernel, shape, inputs: { tokens, codebook: normal(301 * 32) } };
    }
    case "sample": {
      // The same row again and again, so that the draws show its distribution.
      const rows = 2048;
      const row = normal(64).map((value) => 2 * value);
      const logits = Float32Array.from({ length: rows * 64 }, (_, i) => row[i % 64]!);
      return { kernel, shape: { rows, vocabulary: 64, topK: 20, topP: 0.9 }, inputs: { logits } };
    }
    case "hamming density": {
      // A few patterns with a bit flipped here and there: some candidates agree and some are neighbours.
      const shape = { draws: 61, positions: 3, bits: 40 };
      const patterns = Uint32Array.from({ length: 12 }, () => Math.floor(random() * 2 ** 32));
      const tokens = Uint32Array.from({ length: 61 * 3 * 2 }, (_, i) => {
        const flip = random() < 0.3 ? 1 << Math.floor(random() * 8) : 0;
        return patterns[Math.floor(random() * 6) * 2 + i % 2]! ^ flip;
      });
      return { kernel, shape, inputs: { tokens } };
    }
    default:
      throw new Error(`Nothing is known about "${kernel}"`);
  }
}

/**
 * Compares what a peer computed with the reference.
 *
 * @throws {Error} If they disagree.
 */
export function checkOutput(task: PeerTask, output: Float32Array | Uint32Array): void {
  if (task.kernel === "sample") checkDraws(task, output);
  else if (task.kernel === "nearest") checkNearest(task, output);
  else checkValues(task, output);
}

/**
 * Values of the reference: squared distances, unnormalised densities, of points or of bits, or looked-up
 * vectors.
 */
export function referenceValues({ kernel, shape, inputs }: PeerTask): Float64Array {
  if (kernel === "distance") {
    const { rows, columns, dimensions } = shape as Record<"rows" | "columns" | "dimensions", number>;
    return Float64Array.from({ length: rows * columns }, (_, i) => {
      return squaredDistance(inputs.a!, Math.floor(i / columns), inputs.b!, i % columns, dimensions);
    });
  }
  if (kernel === "kde") {
    const { points, queries, dimensions, bandwidth } = shape as Record<
      "points" | "queries" | "dimensions" | "bandwidth",
      number
    >;
    return Float64Array.from({ length: queries }, (_, i) => {
      let sum = 0;
      for (let j = 0; j < points; j++) {
        const distance = squaredDistance(inputs.queries ?? inputs.points!, i, inputs.points!, j, dimensions);
        sum += Math.exp(-distance / (2 * bandwidth ** 2));
      }
      return sum;
    });
  }
  if (kernel === "hamming density") return bitDensities(shape as BitShape, inputs.tokens!);
  const { positions, channels } = shape as Record<"positions" | "channels", number>;
  return Float64Array.from({ length: positions * channels }, (_, i) => {
    return inputs.codebook![inputs.tokens![Math.floor(i / channels)]! * channels + i % channels]!;
  });
}

/** The bandwidth is Silverman's, from the mean standard deviation of the bits, and 1e-6. */
function bitDensities(shape: BitShape, tokens: Float32Array | Uint32Array): Float64Array {
  const { draws, positions, bits } = shape;
  const values = unpackBits(shape, tokens);
  const scores = new Float64Array(draws);
  for (let position = 0; position < positions; position++) {
    const at = position * draws * bits;
    let deviations = 0;
    for (let bit = 0; bit < bits; bit++) {
      let ones = 0;
      for (let draw = 0; draw < draws; draw++) ones += values[at + draw * bits + bit]!;
      deviations += Math.sqrt(ones / draws * (1 - ones / draws));
    }
    const bandwidth = deviations / bits * bitBandwidthFactor(shape) + 1e-6;
    const rows = values.subarray(at, at + draws * bits);
    for (let a = 0; a < draws; a++) {
      for (let b = 0; b < draws; b++) {
        scores[a]! += Math.exp(-squaredDistance(rows, a, rows, b, bits) / (2 * bandwidth ** 2));
      }
    }
  }
  return scores;
}

/** Silverman's factor, (n (d + 2) / 4)^(-1 / (d + 4)). */
export function bitBandwidthFactor({ draws, bits }: BitShape): number {
  return (draws * (bits + 2) / 4) ** (-1 / (bits + 4));
}

/** Bits as numbers 0 and 1, [positions, draws, bits], which is how libraries of arrays work with them. */
export function unpackBits(
  { draws, positions, bits }: BitShape,
  tokens: Float32Array | Uint32Array,
): Float32Array<ArrayBuffer> {
  const size = Math.ceil(bits / 32);
  return Float32Array.from({ length: positions * draws * bits }, (_, i) => {
    const bit = i % bits;
    const draw = Math.floor(i / bits) % draws;
    const position = Math.floor(i / (bits * draws));
    return tokens[(draw * positions + position) * size + (bit >> 5)]! >>> (bit & 31) & 1;
  });
}

function checkValues(task: PeerTask, output: Float32Array | Uint32Array): void {
  const wanted = referenceValues(task);
  requireLength(wanted.length, output);
  const allowed = TOLERANCE * wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const [i, value] of wanted.entries()) {
    if (!(Math.abs(output[i]! - value) <= allowed)) {
      throw new Error(
        `Computes something else: value ${i} is ${output[i]}, wanted is ${value} within ${allowed}`,
      );
    }
  }
}

/** A code that is a rounding error farther than the nearest is right, too. */
function checkNearest({ shape, inputs }: PeerTask, output: Float32Array | Uint32Array): void {
  const { count, vocabulary, channels } = shape as Record<"count" | "vocabulary" | "channels", number>;
  requireLength(count, output);
  for (let i = 0; i < count; i++) {
    const distanceTo = (code: number): number =>
      squaredDistance(inputs.features!, i, inputs.codebook!, code, channels);
    let least = Infinity;
    for (let code = 0; code < vocabulary; code++) least = Math.min(least, distanceTo(code));
    if (!(distanceTo(output[i]!) <= least * (1 + TOLERANCE))) {
      throw new Error(
        `Computes something else: vector ${i} gets code ${output[i]}, which is not the nearest`,
      );
    }
  }
}

/**
 * Makes sure that no draw is outside of what truncation leaves of its row.
 *
 * @throws {Error} If one is.
 */
export function checkSupport({ shape, inputs }: PeerTask, output: Float32Array | Uint32Array): void {
  const { rows, vocabulary, topK, topP } = shape as Record<"rows" | "vocabulary" | "topK" | "topP", number>;
  requireLength(rows, output);
  for (let row = 0; row < rows; row++) {
    const logits = inputs.logits!.subarray(row * vocabulary, (row + 1) * vocabulary);
    // A sum that is rounded the other way may keep one more.
    const probabilities = truncated(logits, topK, topP && topP + TOLERANCE);
    if (!(probabilities[output[row]!]! > 0)) {
      throw new Error(
        `Computes something else: row ${row} gets token ${output[row]}, which truncation excludes`,
      );
    }
  }
}

/**
 * Draws from the task's first row, which all rows repeat: frequencies must be within five standard
 * deviations.
 */
function checkDraws(task: PeerTask, output: Float32Array | Uint32Array): void {
  checkSupport(task, output);
  const { shape, inputs } = task;
  const { rows, vocabulary, topK, topP } = shape as Record<"rows" | "vocabulary" | "topK" | "topP", number>;
  const probabilities = truncated(inputs.logits!.subarray(0, vocabulary), topK, topP);
  const counts = new Uint32Array(vocabulary);
  for (const token of output) counts[token]!++;
  for (const [token, probability] of probabilities.entries()) {
    const expected = rows * probability;
    const allowed = 5 * Math.sqrt(expected * (1 - probability));
    if (!(Math.abs(counts[token]! - expected) <= allowed)) {
      throw new Error(
        `Computes something else: token ${token} comes ${
          counts[token]
        } times, expected is ${expected} within ${allowed}`,
      );
    }
  }
}

/** Probabilities of a row after top-k, then top-p over what is left. */
function truncated(logits: ArrayLike<number>, topK: number, topP: number): Float64Array {
  const order = Array.from(logits, (_, i) => i).sort((a, b) => logits[b]! - logits[a]!).slice(
    0,
    topK || undefined,
  );
  const greatest = logits[order[0]!]!;
  const weights = order.map((token) => Math.exp(logits[token]! - greatest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let before = 0;
  const kept = weights.map((weight) => {
    const keep = before < (topP || 1) * total;
    before += weight;
    return keep ? weight : 0;
  });
  const mass = kept.reduce((sum, weight) => sum + weight, 0);
  const probabilities = new Float64Array(logits.length);
  for (const [rank, token] of order.entries()) probabilities[token] = kept[rank]! / mass;
  return probabilities;
}

function squaredDistance(
  a: ArrayLike<number>,
  row: number,
  b: ArrayLike<number>,
  column: number,
  dimensions: number,
): number {
  let sum = 0;
  for (let d = 0; d < dimensions; d++) sum += (a[row * dimensions + d]! - b[column * dimensions + d]!) ** 2;
  return sum;
}

function requireLength(length: number, output: Float32Array | Uint32Array): void {
  if (output.length !== length) {
    throw new Error(`Computes something else: ${output.length} values, wanted are ${length}`);
  }
}

/** Uniform numbers from a linear congruential generator; their quality does not matter here. */
function generator(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}
