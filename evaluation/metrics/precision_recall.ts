/**
 * Precision and recall, density and coverage of generated pictures: how many are where real ones are, and the
 * other way round. Which network gives the rows is left to `networks/`.
 *
 * @module
 */

import { requireChoice, requireInteger, requireOptions } from "../../kernels/arguments.ts";
import { type PairBlock, visitPairs } from "../../kernels/pairs/pairs.ts";
import { requireRows, type Rows } from "./rows.ts";

/** Options of {@linkcode precisionRecall}. */
export interface PrecisionRecallOptions {
  /** The neighbour whose distance is the radius of a row, 3 by default: that of all published numbers. */
  readonly neighbours?: number;
  /**
   * How distances are taken: `"f32"`, the default, from squared differences; `"f16"` as guided-diffusion's
   * evaluator does, from lengths and products rounded to float16 wherever a part of 10 000 × 10 000 rows
   * stays finite in it.
   */
  readonly distances?: "f32" | "f16";
}

/** Shares of rows. */
export interface PrecisionRecall {
  /** Share of the generated rows that lie within the radius of a real one. */
  readonly precision: number;
  /** Share of the real rows that lie within the radius of a generated one. */
  readonly recall: number;
  /** Real rows within whose radius a generated one lies, on average, divided by the neighbours. */
  readonly density: number;
  /** Share of the real rows with a generated one within their radius. */
  readonly coverage: number;
}

const ACTION = "take precision and recall";
/** Rows whose distances to others are taken in one go, and of a part of the evaluator's. */
const STRIP = 256;
const EVALUATOR_ROWS = 10_000;

/**
 * Precision and recall (Kynkäänniemi et al., "Improved precision and recall metric", 2019), density and
 * coverage (Naeem et al., "Reliable fidelity and diversity metrics", 2020), with Euclidean distances. A row
 * at exactly the radius is within for the first two, as in guided-diffusion's evaluator, and without for the
 * others, as in their authors' package, which matters for rows that are there several times.
 *
 * The two kinds of distances give shares that differ by up to 0.003: compare only with what was taken in the
 * same way. Memory beyond the rows is 1 MiB, and a copy of them for `"f16"`. Time grows with the products of
 * the counts: 10 000 with 10 000 rows of 2048 numbers take 40 s, 10 000 with 50 000 nine times that, and
 * `"f16"` twice as long.
 *
 * @param real Rows of real pictures: 10 000 in published numbers.
 * @param generated Rows of generated ones.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If dimensions differ, a value is not finite, or a set has too few rows for neighbours.
 *
 * @example
 * ```ts
 * import { precisionRecall } from "./precision_recall.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const real = { values: Float32Array.of(0, 1, 2, 30), count: 4, dimensions: 1 };
 * const generated = { values: Float32Array.of(0.5, 1.5, 100, 101), count: 4, dimensions: 1 };
 * const { precision, recall } = precisionRecall(real, generated, { neighbours: 1 });
 * assertEquals([precision, recall], [0.5, 0.75]);
 * ```
 */
export function precisionRecall(
  real: Rows,
  generated: Rows,
  options: PrecisionRecallOptions = {},
): PrecisionRecall {
  requireOptions(options, ["neighbours", "distances"], ACTION);
  const { neighbours = 3, distances = "f32" } = options;
  requireInteger(neighbours, "neighbours", ACTION, { min: 1, max: 1000 });
  requireChoice(distances, ["f32", "f16"], "distances", ACTION);
  requireRows(real, "real", ACTION, { min: neighbours + 1 });
  requireRows(generated, "generated", ACTION, { min: neighbours + 1, dimensions: real.dimensions });
  const visit = distances === "f32" ? visitSquares : visitHalves;
  const realRadii = radii(real, neighbours, distances);
  const generatedRadii = radii(generated, neighbours, distances);
  const precise = new Uint8Array(generated.count);
  const recalled = new Uint8Array(real.count);
  const covered = new Uint8Array(real.count);
  let dense = 0;
  visit(real, generated, ({ row, rows, column, columns, pitch, values }) => {
    for (let i = 0; i < rows; i++) {
      const radius = realRadii[row + i]!;
      for (let j = 0; j < columns; j++) {
        const square = values[i * pitch + j]!;
        if (square <= radius) precise[column + j] = 1;
        if (square <= generatedRadii[column + j]!) recalled[row + i] = 1;
        if (square >= radius) continue;
        dense++;
        covered[row + i] = 1;
      }
    }
  });
  return {
    precision: share(precise),
    recall: share(recalled),
    density: dense / (neighbours * generated.count),
    coverage: share(covered),
  };
}

/** The squared distance of each row to its k-th neighbour. Its nearest one is itself. */
function radii(rows: Rows, neighbours: number, distances: "f32" | "f16"): Float32Array {
  const { count, dimensions, values } = rows;
  const size = neighbours + 1;
  const nearest = new Float32Array(count * size).fill(Infinity);
  if (distances === "f16") {
    visitHalves(rows, rows, (block) => gather(nearest, size, block, 0, false));
  } else {
    // Half of the pairs tell of both rows.
    for (let first = 0; first < count; first += STRIP) {
      const left = values.subarray(first * dimensions, (first + STRIP) * dimensions);
      const right = values.subarray(first * dimensions);
      const [height, columns] = [left.length / dimensions, count - first];
      visitPairs({ left, right, rows: height, columns, dimensions, sum: "squares" }, (block) => {
        gather(nearest, size, block, first, block.column > 0);
      });
    }
  }
  return Float32Array.from({ length: count }, (_, i) => nearest[i * size + neighbours]!);
}

/** Puts the distances of a block among the nearest of its rows, and of its columns. */
function gather(
  nearest: Float32Array,
  size: number,
  { row, rows, column, columns, pitch, values }: PairBlock,
  first: number,
  both: boolean,
): void {
  for (let i = 0; i < rows; i++) {
    const own = (first + row + i) * size;
    for (let j = 0; j < columns; j++) {
      const square = values[i * pitch + j]!;
      if (square < nearest[own + size - 1]!) insert(nearest, own, size, square);
      const other = (first + column + j) * size;
      if (both && square < nearest[other + size - 1]!) insert(nearest, other, size, square);
    }
  }
}

/** Puts a value among sorted ones, of which the largest is lost. */
function insert(sorted: Float32Array, at: number, size: number, value: number): void {
  let place = at + size - 1;
  for (; place > at && sorted[place - 1]! > value; place--) sorted[place] = sorted[place - 1]!;
  sorted[place] = value;
}

function visitSquares(left: Rows, right: Rows, visit: (block: PairBlock) => void): void {
  visitPairs({
    ...{ left: left.values, right: right.values, rows: left.count, columns: right.count },
    ...{ dimensions: left.dimensions, sum: "squares" },
  }, visit);
}

/** Some rows, as they are and in float16, with the squares of their lengths. */
interface Part {
  readonly values: Float32Array;
  readonly squares: Float32Array;
  readonly halves: Float32Array;
  readonly halfSquares: Float32Array;
}

/** As the evaluator takes distances: part by part in float16, or in f32 where one is not finite in it. */
function visitHalves(left: Rows, right: Rows, visit: (block: PairBlock) => void): void {
  const { dimensions } = left;
  const [rows, columns] = [parts(left), parts(right)];
  for (const [r, own] of rows.entries()) {
    for (const [c, other] of columns.entries()) {
      const sets = { rows: own.squares.length, columns: other.squares.length, dimensions };
      const halves = (then: (block: PairBlock) => void) =>
        visitPairs({ ...sets, left: own.halves, right: other.halves, sum: "products" }, (block) => {
          halfDistances(block, own.halfSquares, other.halfSquares);
          then(block);
        });
      const move = (block: PairBlock) => {
        visit({ ...block, row: block.row + r * EVALUATOR_ROWS, column: block.column + c * EVALUATOR_ROWS });
      };
      if (fitsHalves(own, other, halves)) {
        halves(move);
        continue;
      }
      visitPairs({ ...sets, left: own.values, right: other.values, sum: "products" }, (block) => {
        plainDistances(block, own.squares, other.squares);
        move(block);
      });
    }
  }
}

function parts({ values, count, dimensions }: Rows): Part[] {
  return Array.from({ length: Math.ceil(count / EVALUATOR_ROWS) }, (_, i) => {
    const own = values.subarray(i * EVALUATOR_ROWS * dimensions, (i + 1) * EVALUATOR_ROWS * dimensions);
    const halves = own.map(Math.f16round);
    const halfSquares = squaresOf(halves, dimensions).map(Math.f16round);
    return { values: own, squares: squaresOf(own, dimensions), halves, halfSquares };
  });
}

/** Whether all distances are finite in float16: by their bound, or else by looking at each. */
function fitsHalves(left: Part, right: Part, halves: (then: (block: PairBlock) => void) => void): boolean {
  const [most, other] = [left, right].map((part) => part.halfSquares.reduce((a, b) => Math.max(a, b), 0));
  // The sum of two lengths, squared, and room for the roundings on the way to 65504.
  if ((Math.sqrt(most!) + Math.sqrt(other!)) ** 2 < 65000) return true;
  if (most === Infinity || other === Infinity) return false;
  let finite = true;
  halves(({ rows, columns, pitch, values }) => {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) if (!Number.isFinite(values[i * pitch + j]!)) finite = false;
    }
  });
  return finite;
}

/** |u|² - 2uv + |v|² of products, each step rounded to float16. */
function halfDistances(
  { row, rows, column, columns, pitch, values }: PairBlock,
  left: Float32Array,
  right: Float32Array,
): void {
  for (let i = 0; i < rows; i++) {
    const own = left[row + i]!;
    for (let j = 0; j < columns; j++) {
      const twice = Math.f16round(2 * Math.f16round(values[i * pitch + j]!));
      values[i * pitch + j] = Math.max(0, Math.f16round(Math.f16round(own - twice) + right[column + j]!));
    }
  }
}

/** The same in f32. */
function plainDistances(
  { row, rows, column, columns, pitch, values }: PairBlock,
  left: Float32Array,
  right: Float32Array,
): void {
  for (let i = 0; i < rows; i++) {
    const own = left[row + i]!;
    for (let j = 0; j < columns; j++) {
      const difference = Math.fround(own - 2 * values[i * pitch + j]!);
      values[i * pitch + j] = Math.max(0, difference + right[column + j]!);
    }
  }
}

/** Squared lengths of rows, in f32. */
function squaresOf(values: Float32Array, dimensions: number): Float32Array {
  return Float32Array.from({ length: values.length / dimensions }, (_, row) => {
    let sum = 0;
    for (let i = row * dimensions; i < (row + 1) * dimensions; i++) sum += values[i]! * values[i]!;
    return sum;
  });
}

function share(marks: Uint8Array): number {
  return marks.reduce((sum, mark) => sum + mark, 0) / marks.length;
}
