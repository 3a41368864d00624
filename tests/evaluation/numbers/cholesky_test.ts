import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { factor } from "../../../evaluation/numbers/cholesky.ts";
import { madeRows } from "../made_rows.ts";

/** Fᵀ F. */
function squared(values: Float64Array, size: number): Float64Array {
  const rows = values.length / size;
  return Float64Array.from({ length: size * size }, (_, at) => {
    const [i, j] = [Math.floor(at / size), at % size];
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += values[row * size + i]! * values[row * size + j]!;
    return sum;
  });
}

for (
  const [rank, size] of [[1, 1], [4, 4], [3, 9], [30, 30], [7, 40], [64, 64], [64, 90], [130, 130], [
    129,
    150,
  ]] as const
) {
  Deno.test(`factor: finds rank ${rank} of a matrix of ${size} and makes the matrix of it`, () => {
    const matrix = squared(Float64Array.from(madeRows([7, rank, size]).values), size);
    const found = factor(matrix, size);
    assertEquals([found.rank, found.values.length], [rank, rank * size]);
    // Each sum of up to 150 products has a rounding for each.
    const back = squared(found.values, size);
    for (const [at, value] of back.entries()) assertAlmostEquals(value, matrix[at]!, 1e-11);
  });
}

Deno.test("factor: noise of a matrix that was stored in f32 is no direction", () => {
  const matrix = squared(Float64Array.from(madeRows([7, 7, 40]).values), 40).map(Math.fround);
  assertEquals(factor(matrix, 40).rank, 7);
});

Deno.test("factor: zeros have rank 0, columns of zeros are left out", () => {
  assertEquals(factor(new Float64Array(9), 3).rank, 0);
  const { rank, values } = factor(Float64Array.of(0, 0, 0, 0, 4, 0, 0, 0, 1e-20), 3);
  assertEquals([rank, ...values], [1, 0, 2, 0]);
  assert(factor(Float64Array.of(1e-300, 0, 0, 1e-300), 2).rank === 2);
});

Deno.test("factor: says what is no covariance", () => {
  const refuse = (values: number[], words: string) => {
    assertThrows(() => factor(Float64Array.from(values), 2), RangeError, words);
  };
  refuse([1, 2, 2, 1], "clearly negative eigenvalues");
  refuse([1, 0, 0, -1], "the variance of column 1 must be at least 0: current value is -1");
  refuse([1, 0.5, 0.4, 1], "must be symmetric: current values of columns 0 and 1 are 0.4 and 0.5");
  refuse([1, 0, 0], "2 × 2");
  refuse([1, 0, NaN, 1], "NaN in row 1, column 0");
});
