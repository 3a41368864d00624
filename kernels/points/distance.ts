/**
 * The matrix of distances or inner products between two sets of vectors, for clustering, for nearest
 * neighbours and for looking at candidates. Densities do not need it: they sum over distances without storing
 * them (`density.ts`). Uploading, tiling and reading back are up to `operations/distances.ts`.
 *
 * @module
 */

import { requireChoice, requireInteger } from "../arguments.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { type PairBlock, takeRoots, visitPairs } from "../pairs/pairs.ts";
import { type FloatStorage, MAX_DIMENSIONS, storedFloats, wordsOf } from "./inverse_lengths.ts";
import wgsl from "./distance.wgsl" with { type: "text" };

/**
 * How two vectors are compared: `|a - b|^2`, `|a - b|`, `1 - cos(a, b)`, or the inner product `a . b` itself,
 * which is no distance but a similarity: larger is nearer.
 */
export type DistanceMetric = "squared-euclidean" | "euclidean" | "cosine" | "inner-product";

/** The metrics of {@linkcode distanceMatrix}. */
export const DISTANCE_METRICS: readonly DistanceMetric[] = [
  "squared-euclidean",
  "euclidean",
  "cosine",
  "inner-product",
];

/** Arguments of {@linkcode distanceMatrix}. */
export interface DistanceMatrixArguments {
  /** One set, [batch, rows, dimensions]. */
  a: DeviceArray;
  /** The other set, [batch, columns, dimensions]; may be the same array. */
  b: DeviceArray;
  /**
   * The results, [batch, rows, columns]. In f16 each row starts at a whole word: with an odd number of
   * columns, the half behind its last value is 0.
   */
  output: DeviceArray;
  /** Vectors in `a`, in each matrix of the batch. */
  rows: number;
  /** Vectors in `b`, in each matrix of the batch. */
  columns: number;
  /** Values of one vector, from 1 to 262140. */
  dimensions: number;
  /** Pairs of sets, 1 by default. */
  batch?: number;
  /** Which distance. */
  metric: DistanceMetric;
  /** For the cosine metric, and only for it: the {@linkcode inverseLengths} of `a`, f32 [batch, rows]. */
  inverseA?: DeviceArray;
  /** For the cosine metric, and only for it: the {@linkcode inverseLengths} of `b`, f32 [batch, columns]. */
  inverseB?: DeviceArray;
  /**
   * How `a` and `b` lie in memory, their values one after the other without gaps, as in a `Float16Array`;
   * "f32" by default.
   */
  inputStorage?: FloatStorage;
  /** How `output` lies in memory; "f32" by default. */
  outputStorage?: FloatStorage;
}

const ACTION = "measure distances";
/** Threads of a workgroup; each holds four vectors. */
const LANES = 64;

/**
 * Writes the distance of every row of `a` to every row of `b`, as a sum over exact differences in f32,
 * whatever the storage. Identical rows are at exactly 0 in all but the inner product. No optional adapter
 * feature is needed.
 *
 * With u = 2^-24, n dimensions and the true value D, results in f32 are within
 *
 * - squared-euclidean: `1.01 (n / 4 + 8) u D + n 2^-125`; it is Infinity from 2^128 on,
 * - euclidean: `1.01 (n / 8 + 14) u D + sqrt(n) 2^-61`; it is Infinity where its square is 2^128 or more,
 * - cosine: `1.01 (n / 2 + 30) u D + 2^-22 sqrt(D) + (n / 8 + 12)^2 2^-47`, from 0 to 2 within that bound,
 * - inner-product: `1.01 (n / 4 + 5) u S + n 2^-125` with S, the sum of all `|a_i b_i|`, below 2^127.
 *
 * Results in f16 are those in f32 rounded to the nearest f16, ties to even: within 2^-11 of the value and
 * 2^-25 besides, and infinite from 65520 on. NaN and infinity are treated as in float64: a row with NaN is at
 * NaN from all others; one with infinity is at Infinity from finite rows and at NaN from one with the same
 * infinity in the same place; its inner product is infinite, or NaN where it meets a 0 or the opposite
 * infinity; its cosine distances are NaN. So are those of rows longer than 2^126. (WGSL lets an adapter
 * assume that there is neither.)
 *
 * A vector shorter than 2^-50 has no direction: as in scikit-learn, its cosine distance to any other vector
 * is 1 (SciPy says NaN); two of them are at 0, since identical rows always are.
 *
 * @throws {RangeError} From `plan`, if a count is no integer in range or an array is too short.
 * @throws {TypeError} From `plan`, if metric or storage is unknown, or inverse lengths are missing or given
 * without need.
 *
 * @example
 * ```ts
 * import { distanceMatrix } from "./distance.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using a = device.upload(new Float32Array([0, 0, 3, 4]));
 * using output = device.allocate(4);
 * const shape = { rows: 2, columns: 2, dimensions: 2 };
 * device.run(distanceMatrix, { a, b: a, output, ...shape, metric: "euclidean" });
 * assertEquals([...await readFloats(output)], [0, 5, 5, 0]);
 * ```
 */
export const distanceMatrix: Kernel<DistanceMatrixArguments> = {
  name: "distance",
  wgsl,
  overrides: { METRIC: [...DISTANCE_METRICS.keys()], STEPS: [...Array(9).keys()] },
  plan(args) {
    const { a, b, output, rows, columns, dimensions, batch = 1, metric, inverseA, inverseB } = args;
    const { inputStorage = "f32", outputStorage = "f32" } = args;
    requireInteger(rows, "rows", ACTION, { min: 0 });
    requireInteger(columns, "columns", ACTION, { min: 0 });
    requireInteger(dimensions, "dimensions", ACTION, { min: 1, max: MAX_DIMENSIONS });
    requireInteger(batch, "batch", ACTION, { min: 0 });
    requireChoice(metric, DISTANCE_METRICS, "metric", ACTION);
    requireChoice(inputStorage, ["f32", "f16"], "inputStorage", ACTION);
    requireChoice(outputStorage, ["f32", "f16"], "outputStorage", ACTION);
    requireLength(a, wordsOf(batch * rows * dimensions, inputStorage), ACTION);
    requireLength(b, wordsOf(batch * columns * dimensions, inputStorage), ACTION);
    const pitch = wordsOf(columns, outputStorage);
    requireLength(output, batch * rows * pitch, ACTION);
    requireInverses(args);

    // Threads hold the larger set, unless that is `a` by little: stores are fastest along the columns.
    const swapped = rows > columns && columns < 4 * LANES && outputStorage === "f32";
    const [own, others] = swapped ? [rows, columns] : [columns, rows];
    const steps = dimensions <= 32 ? Math.ceil(dimensions / 4) : 0;
    const across = Math.ceil(own / (4 * LANES));
    const down = Math.ceil(others / (steps > 0 ? 32 : 8));
    const arrays = swapped
      ? [a, b, inverseA ?? a, inverseB ?? b, output]
      : [b, a, inverseB ?? b, inverseA ?? a, output];
    return {
      arrays,
      parameters: [
        ["u32", own],
        ["u32", others],
        ["u32", dimensions],
        ["u32", batch],
        ["u32", across],
        ["u32", down],
        ["u32", Math.ceil(own / (4 * Math.max(1, across)))],
        ["u32", swapped ? pitch : 1],
        ["u32", swapped ? 1 : pitch],
        ["u32", rows * pitch],
        ["u32", 0xffffffff],
      ],
      constants: {
        METRIC: DISTANCE_METRICS.indexOf(metric),
        STEPS: steps,
        ALIGNED: Number(dimensions % 4 === 0),
        HALF_INPUTS: Number(inputStorage === "f16"),
        HALF_OUTPUT: Number(outputStorage === "f16"),
      },
      workgroups: spread(across * down * batch),
    };
  },
  twin(args) {
    const { a, b, output, rows, columns, dimensions, batch = 1, metric, inverseA, inverseB } = args;
    const { inputStorage = "f32", outputStorage = "f32" } = args;
    let left = storedFloats(a, batch * rows * dimensions, inputStorage);
    let right = storedFloats(b, batch * columns * dimensions, inputStorage);
    let scales: { a: Float32Array; b: Float32Array } | undefined;
    if (metric === "cosine") {
      scales = { a: floats(inverseA!), b: floats(inverseB!) };
      left = scaled(left, scales.a, batch * rows, dimensions);
      right = scaled(right, scales.b, batch * columns, dimensions);
    }
    const sum = metric === "inner-product" ? "products" : "squares";
    const pitch = wordsOf(columns, outputStorage);
    for (let element = 0; element < batch; element++) {
      const sets = {
        left: left.subarray(element * rows * dimensions, (element + 1) * rows * dimensions),
        right: right.subarray(element * columns * dimensions, (element + 1) * columns * dimensions),
      };
      visitPairs({ ...sets, rows, columns, dimensions, sum }, (block) => {
        if (metric === "euclidean") takeRoots(block);
        else if (scales !== undefined) {
          halve(block, scales.a.subarray(element * rows), scales.b.subarray(element * columns));
        }
        const to = (element * rows + block.row) * pitch;
        if (outputStorage === "f32") store(block, floats(output).subarray(to + block.column), pitch);
        else {
          const { buffer, byteOffset } = words(output);
          const halves = new Float16Array(buffer, byteOffset + to * 4, block.rows * pitch * 2);
          store(block, halves.subarray(block.column), pitch * 2);
          if (columns % 2 === 1) { for (let i = columns; i < halves.length; i += pitch * 2) halves[i] = 0; }
        }
      });
    }
  },
};

/** Cosine distances need inverse lengths, one a vector; nothing else does. */
function requireInverses(args: DistanceMatrixArguments): void {
  const { rows, columns, batch = 1, metric, inverseA, inverseB } = args;
  for (
    const [name, array, count] of [["inverseA", inverseA, rows], ["inverseB", inverseB, columns]] as const
  ) {
    if ((array !== undefined) !== (metric === "cosine")) {
      throw new TypeError(
        `Cannot ${ACTION} as ${name} must be given for the metric "cosine" and for no other: ` +
          `it is ${array === undefined ? "missing" : "given"} and the metric is "${metric}"`,
      );
    }
    if (array !== undefined) requireLength(array, batch * count, ACTION);
  }
}

/** Each row times its scale. */
function scaled(rows: Float32Array, scales: Float32Array, count: number, dimensions: number): Float32Array {
  const result = new Float32Array(count * dimensions);
  for (let row = 0; row < count; row++) {
    const scale = scales[row]!;
    const end = (row + 1) * dimensions;
    for (let i = row * dimensions; i < end; i++) result[i] = rows[i]! * scale;
  }
  return result;
}

/** Squared distances of unit vectors to cosine distances: 1 where only one of the two has a direction. */
function halve(block: PairBlock, scalesA: Float32Array, scalesB: Float32Array): void {
  const { row, rows, column, columns, pitch, values } = block;
  for (let i = 0; i < rows; i++) {
    const flat = scalesA[row + i] === 0;
    for (let j = 0, at = i * pitch; j < columns; j++, at++) {
      const apart = flat !== (scalesB[column + j] === 0) && !Number.isNaN(values[at]);
      values[at] = apart ? 1 : values[at]! / 2;
    }
  }
}

/** Copies a block to where its first value belongs, in rows of `pitch` values. */
function store(block: PairBlock, target: Float32Array | Float16Array, pitch: number): void {
  for (let i = 0; i < block.rows; i++) {
    const from = i * block.pitch;
    target.set(block.values.subarray(from, from + block.columns), i * pitch);
  }
}
