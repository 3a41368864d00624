/**
 * Sums over all pairs of two sets of vectors, block by block: squared distances, inner products, and Gaussian
 * kernels of such distances. What the twins of `points/` and `nearest.ts` spend their time with, in f32 and
 * four values at a time: in WebAssembly (`pairs_module.ts`), or, where that is refused, as by the policy of a
 * page, with the same bits in plain TypeScript (`plain_pairs.ts`). What becomes of a block is up to the
 * twins.
 *
 * @module
 */

import { PAIRS_MODULE, PAIRS_PAGES } from "./pairs_module.ts";
import { type PairLoops, plainLoops } from "./plain_pairs.ts";

/** The loops and the memory that they read and write. */
export interface PairEngine {
  readonly loops: PairLoops;
  readonly memory: Float32Array;
}

/** Two sets of vectors. */
export interface PairSets {
  /** f32 [rows, dimensions]. */
  readonly left: Float32Array;
  /** f32 [columns, dimensions]. */
  readonly right: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly dimensions: number;
  /** What is summed over the dimensions: squared differences, or products. */
  readonly sum: "squares" | "products";
}

/** The sums of some rows with some columns; the memory is that of the next block, too. */
export interface PairBlock {
  /** First row. */
  readonly row: number;
  readonly rows: number;
  /** First column. */
  readonly column: number;
  readonly columns: number;
  /** Words from one row to the next. */
  readonly pitch: number;
  /** [rows, pitch]; may be changed. */
  readonly values: Float32Array;
}

/** Rows and columns of a block, and dimensions that are summed in one go: three squares of 256 KiB. */
const SIDE = 256;
/** Rows of one call into the loops. A short call lets the engine change to faster code soon. */
const ROWS_OF_CALL = 8;
/** The same for f64. */
const WIDE_SIDE = 128;
const LEFT = 0;
const RIGHT = SIDE * SIDE;
const VALUES = 2 * SIDE * SIDE;
const EXPONENTS = 3 * SIDE * SIDE;
const MANTISSAS = EXPONENTS + SIDE;
const PAIRS = MANTISSAS + SIDE;

/** Columns that {@linkcode addKernels} takes: 16 to a lane, so that chains of additions are short. */
export const KERNEL_COLUMNS = 64;

let shared: PairEngine | undefined;

/** The engine of this thread, made at the first call. */
export function pairEngine(): PairEngine {
  return shared ??= vectorEngine() ?? plainEngine();
}

/** The loops in WebAssembly, if it may be compiled here. */
export function vectorEngine(): PairEngine | undefined {
  try {
    const bytes = Uint8Array.from(atob(PAIRS_MODULE), (character) => character.charCodeAt(0));
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
    const memory = new Float32Array((exports.memory as WebAssembly.Memory).buffer);
    return { loops: exports as unknown as PairLoops, memory };
  } catch {
    return undefined;
  }
}

/** The same without WebAssembly. */
export function plainEngine(): PairEngine {
  const memory = new Float32Array(PAIRS_PAGES * 2 ** 14);
  return { loops: plainLoops(memory), memory };
}

/**
 * Calls `visit` with the sums of all pairs, rows of blocks from left to right. A sum is made of four in f32,
 * of every fourth value each, so its longest chain of additions has `dimensions / 4 + 2` of them. What a pair
 * gets depends on nothing but its two vectors.
 */
export function visitPairs(
  { left, right, rows, columns, dimensions, sum }: PairSets,
  visit: (block: PairBlock) => void,
  { memory, loops }: PairEngine = pairEngine(),
): void {
  const values = memory.subarray(VALUES, EXPONENTS);
  for (let row = 0; row < rows; row += SIDE) {
    const height = Math.min(SIDE, rows - row);
    for (let column = 0; column < columns; column += SIDE) {
      const width = Math.min(SIDE, columns - column);
      const pitch = Math.ceil(width / 4) * 4;
      values.fill(0, 0, height * pitch);
      for (let from = 0; from < dimensions; from += SIDE) {
        const part = { dimensions, from, length: Math.min(SIDE, dimensions - from) };
        const steps = Math.ceil(part.length / 4);
        load(left, { ...part, first: row, rows: height }, memory.subarray(LEFT, RIGHT));
        load(right, { ...part, first: column, rows: width }, memory.subarray(RIGHT, VALUES));
        memory.fill(0, RIGHT + width * steps * 4, RIGHT + pitch * steps * 4);
        for (let first = 0; first < height; first += ROWS_OF_CALL) {
          // An odd last row has a neighbour of whatever was there.
          const some = Math.min(ROWS_OF_CALL, height - first + height % 2);
          const at = 4 * (LEFT + first * steps * 4);
          loops[sum](at, 4 * RIGHT, 4 * (VALUES + first * pitch), some, pitch, steps);
        }
      }
      visit({ row, rows: height, column, columns: width, pitch, values });
    }
  }
}

/** Square roots of a block's sums, in place. */
export function takeRoots(
  { rows, pitch }: PairBlock,
  { loops }: PairEngine = pairEngine(),
): void {
  loops.roots(4 * VALUES, 4 * (VALUES + rows * pitch));
}

/** Which kernels are added, and to what. */
export interface KernelSums {
  /** The columns of the block: at most {@linkcode KERNEL_COLUMNS}, from a multiple of 4 on. */
  readonly column: number;
  readonly columns: number;
  /** Integers e of the columns' weights, m * 2^e, or -Infinity, … */
  readonly exponents: Float32Array;
  /** … and m, from 1 to 2, or 0. */
  readonly mantissas: Float32Array;
  /** From squared distance to exponent. */
  readonly factor: number;
  /** The sum of each row so far, [rows, 2]: an integer top and s for s * 2^top. */
  readonly pairs: Float32Array;
}

/** Adds `m * 2^(e - square * factor)` of some columns of a block of squared distances to the rows' sums. */
export function addKernels(
  { rows, pitch }: PairBlock,
  { column, columns, exponents, mantissas, factor, pairs }: KernelSums,
  { memory, loops }: PairEngine = pairEngine(),
): void {
  const wide = Math.ceil(columns / 4) * 4;
  memory.set(exponents, EXPONENTS);
  memory.set(mantissas, MANTISSAS);
  memory.fill(-Infinity, EXPONENTS + columns, EXPONENTS + wide);
  memory.fill(0, MANTISSAS + columns, MANTISSAS + wide);
  memory.set(pairs, PAIRS);
  const squares = 4 * (VALUES + column);
  loops.sums(squares, 4 * pitch, 4 * EXPONENTS, 4 * MANTISSAS, wide, 4 * PAIRS, rows, factor);
  pairs.set(memory.subarray(PAIRS, PAIRS + 2 * rows));
}

/** Rows of f32 that are moved, and where they go in f64. */
export interface CenteredRows {
  /** [rows, dimensions]: at most {@linkcode centeredRows} rows. */
  readonly values: Float32Array;
  /** What is subtracted, [dimensions]. */
  readonly mean: Float64Array;
  /** What each row is multiplied by then, [rows]. */
  readonly shares: Float64Array;
  /** Columns become rows; off by default. */
  readonly transposed?: boolean;
  /** [rows, dimensions], or [dimensions, rows]. */
  readonly output: Float64Array;
}

/** How many rows {@linkcode centerRows} takes at most. */
export function centeredRows(dimensions: number): number {
  return Math.min(WIDE_SIDE, Math.floor(SIDE * SIDE / 2 / dimensions));
}

/** Writes `(values - mean) * share` in f64. */
export function centerRows(
  { values, mean, shares, transposed = false, output }: CenteredRows,
  { memory, loops }: PairEngine = pairEngine(),
): void {
  const wide = new Float64Array(memory.buffer);
  const [rows, dimensions] = [shares.length, mean.length];
  memory.set(values, VALUES);
  wide.set(mean, RIGHT / 2);
  wide.set(shares, EXPONENTS / 2);
  const [means, factors] = [4 * RIGHT, 4 * EXPONENTS];
  const [rowStride, valueStride] = transposed ? [8, 8 * rows] : [8 * dimensions, 8];
  const [meanEnd, end] = [means + 8 * dimensions, factors + 8 * rows];
  loops.center(4 * VALUES, means, meanEnd, factors, end, 4 * LEFT, rowStride!, valueStride!);
  output.set(wide.subarray(LEFT / 2, LEFT / 2 + rows * dimensions));
}

/** Two sets of vectors of f64, and where their products go. */
export interface WideSets {
  /** [rows, dimensions]. */
  readonly left: Float64Array;
  /** [columns, dimensions]. */
  readonly right: Float32Array | Float64Array;
  readonly rows: number;
  readonly columns: number;
  readonly dimensions: number;
  /** Of `right`, each row counts up to its own place only: a lower triangle; off by default. */
  readonly lower?: boolean;
  /**
   * Of the products, only those on and below the diagonal are wanted; beside it some more come. Off by
   * default.
   */
  readonly half?: boolean;
  /** What the products are added to, [rows, columns]. */
  readonly output: Float64Array;
}

/** Adds the inner products of all pairs, in f64. */
export function addWideProducts(
  { left, right, rows, columns, dimensions, lower = false, half = false, output }: WideSets,
  { memory, loops }: PairEngine = pairEngine(),
): void {
  const wide = new Float64Array(memory.buffer);
  const own = wide.subarray(LEFT / 2, RIGHT / 2);
  const other = wide.subarray(RIGHT / 2, VALUES / 2);
  const values = wide.subarray(VALUES / 2, EXPONENTS / 2);
  for (let row = 0; row < rows; row += WIDE_SIDE) {
    const height = Math.min(WIDE_SIDE, rows - row);
    const last = half ? Math.min(columns, row + height) : columns;
    for (let column = 0; column < last; column += WIDE_SIDE) {
      const width = Math.min(WIDE_SIDE, last - column);
      const pitch = Math.ceil(width / 4) * 4;
      const place = { at: row * columns + column, step: columns, length: width, rows: height };
      copyRows(output, place, values, pitch);
      const end = lower ? Math.min(dimensions, column + width) : dimensions;
      for (let from = 0; from < end; from += WIDE_SIDE) {
        const length = Math.min(WIDE_SIDE, end - from);
        const stride = Math.ceil(length / 2) * 2;
        const part = { step: dimensions, length };
        copyRows(left, { ...part, at: row * dimensions + from, rows: height }, own, stride);
        copyRows(right, { ...part, at: column * dimensions + from, rows: width }, other, stride);
        // An odd length has a place left in its last vector.
        for (let i = length; stride > length && i < stride * WIDE_SIDE; i += stride) own[i] = other[i] = 0;
        for (let i = 0; lower && i < width; i++) {
          other.fill(0, i * stride + Math.max(0, column + i + 1 - from), (i + 1) * stride);
        }
        const even = height + height % 2;
        loops.wideProducts(4 * LEFT, 4 * RIGHT, 4 * VALUES, even, pitch, stride / 2);
      }
      copyRows(
        values,
        { at: 0, step: pitch, length: width, rows: height },
        output.subarray(place.at),
        columns,
      );
    }
  }
}

/** Copies `length` values of each row. */
function copyRows(
  source: Float32Array | Float64Array,
  { at, step, length, rows }: { at: number; step: number; length: number; rows: number },
  target: Float64Array,
  stride: number,
): void {
  if (step === length && stride === length) {
    target.set(source.subarray(at, at + rows * length));
    return;
  }
  for (let row = 0; row < rows; row++) {
    target.set(source.subarray(at + row * step, at + row * step + length), row * stride);
  }
}

/** Copies `length` values of each row, filled up with zeros to whole quads. */
function load(
  source: Float32Array,
  { dimensions, from, length, first, rows }: {
    dimensions: number;
    from: number;
    length: number;
    first: number;
    rows: number;
  },
  target: Float32Array,
): void {
  const stride = Math.ceil(length / 4) * 4;
  if (stride === dimensions) {
    target.set(source.subarray(first * dimensions, (first + rows) * dimensions));
    return;
  }
  for (let row = 0; row < rows; row++) {
    const at = (first + row) * dimensions + from;
    const to = row * stride;
    for (let i = 0; i < length; i++) target[to + i] = source[at + i]!;
    target.fill(0, to + length, to + stride);
  }
}

/** Rows that are mixed, in the engine's memory. */
export interface MixingRoom {
  /** Where rows of values go, all of the same length; {@linkcode MIXED_VALUES} in all. */
  readonly values: Float32Array;
  /** Where weights go, four mixtures side by side: [rows, 4], at most {@linkcode MIXED_ROWS} rows. */
  readonly weights: Float32Array;
  /** What is made of them, [4, columns]. */
  readonly sums: Float32Array;
}

/** Values that are mixed, at most. */
export const MIXED_VALUES = VALUES;
/** Rows that are mixed, at most. */
export const MIXED_ROWS = SIDE * SIDE / 8;

/** The room for rows that are mixed, until something else is computed with the same engine. */
export function mixingRoom({ memory }: PairEngine = pairEngine()): MixingRoom {
  const middle = VALUES + 4 * MIXED_ROWS;
  return {
    values: memory.subarray(LEFT, VALUES),
    weights: memory.subarray(VALUES, middle),
    sums: memory.subarray(middle, EXPONENTS),
  };
}

/**
 * Mixes rows of a {@linkcode mixingRoom}: the values of a row, [4, columns], are added up with weights of
 * their own for each of the four, `sum + weight · value` in f32 from the first row to the last.
 *
 * @param rows Number of rows, at least 1.
 * @param columns Values of a row for each of the four: a multiple of 8.
 */
export function mixRows(rows: number, columns: number, { loops }: PairEngine = pairEngine()): void {
  const sums = 4 * (VALUES + 4 * MIXED_ROWS);
  for (let part = 0; part < 4; part++) {
    const weights = 4 * (VALUES + part);
    const own = 4 * columns * part;
    loops.mix(
      weights,
      weights + 16 * rows,
      4 * LEFT + own,
      16 * columns,
      sums + own,
      sums + own + 4 * columns,
    );
  }
}
