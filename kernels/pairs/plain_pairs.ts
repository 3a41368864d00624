/**
 * The loops of `pairs.ts` in plain TypeScript, with the same bits: for places that refuse WebAssembly, and as
 * the oracle of what is assembled.
 *
 * @module
 */

/** The loops, by addresses in bytes; what they do is told in `tools/pairs/pairs_text.ts`. */
export interface PairLoops {
  /** Adds the squared distance of each row to each column to the matrix at `out`. */
  squares(left: number, right: number, out: number, rows: number, columns: number, steps: number): void;
  /** Adds inner products, likewise. */
  products(left: number, right: number, out: number, rows: number, columns: number, steps: number): void;
  /** Adds inner products of f64, likewise. */
  wideProducts(
    left: number,
    right: number,
    out: number,
    rows: number,
    columns: number,
    steps: number,
  ): void;
  /** Writes `(value - mean) * share` in f64, for each row of f32 values and its share. */
  center(
    values: number,
    mean: number,
    meanEnd: number,
    shares: number,
    sharesEnd: number,
    out: number,
    rowStride: number,
    valueStride: number,
  ): void;
  /** Square roots of all words from `at` to `end`. */
  roots(at: number, end: number): void;
  /** Adds `mantissa * 2^(exponent - square * factor)` of some columns to the pair of each row. */
  sums(
    squares: number,
    pitch: number,
    exponents: number,
    mantissas: number,
    columns: number,
    pairs: number,
    rows: number,
    factor: number,
  ): void;
  /** Writes the sums of rows with weights, which are 16 bytes apart, for some columns. */
  mix(
    weights: number,
    weightsEnd: number,
    values: number,
    stride: number,
    out: number,
    outEnd: number,
  ): void;
}

const { ceil, fround, max } = Math;

/** (2^x - 1) / x on [-1/2, 1/2], the highest power first. */
const POWER_SERIES = [
  0.00015353360504377633,
  0.0013398875016719103,
  0.00961843691766262,
  0.055503323674201965,
  0.24022647738456726,
  0.6931471824645996,
].map(fround);
/** 1.5 * 2^23, whose sum with a small number is rounded to an integer. */
const INTEGERS = 12582912;

/** The loops on a memory of floats. */
export function plainLoops(memory: Float32Array): PairLoops {
  const wide = new Float64Array(memory.buffer);
  return {
    squares: (...sizes) => matrix(memory, sizes, squareSum),
    products: (...sizes) => matrix(memory, sizes, productSum),
    wideProducts(left, right, out, rows, columns, steps) {
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const a = left / 8 + row * steps * 2;
          const b = right / 8 + column * steps * 2;
          let [even, odd] = [0, 0];
          for (let i = 0; i < steps * 2; i += 2) {
            even += wide[a + i]! * wide[b + i]!;
            odd += wide[a + i + 1]! * wide[b + i + 1]!;
          }
          wide[out / 8 + row * columns + column]! += even + odd;
        }
      }
    },
    center(values, mean, meanEnd, shares, sharesEnd, out, rowStride, valueStride) {
      let at = values / 4;
      for (let share = shares / 8, row = out; share < sharesEnd / 8; share++, row += rowStride) {
        for (let i = mean / 8, to = row; i < meanEnd / 8; i++, to += valueStride) {
          wide[to / 8] = (memory[at++]! - wide[i]!) * wide[share]!;
        }
      }
    },
    roots(at, end) {
      for (let i = at / 4; i < end / 4; i++) memory[i] = Math.sqrt(memory[i]!);
    },
    mix(weights, weightsEnd, values, stride, out, outEnd) {
      for (let to = out / 4, first = values / 4; to < outEnd / 4; to++, first++) {
        let sum = 0;
        for (let weight = weights / 4, at = first; weight < weightsEnd / 4; weight += 4, at += stride / 4) {
          sum = fround(sum + fround(memory[weight]! * memory[at]!));
        }
        memory[to] = sum;
      }
    },
    sums(squares, pitch, exponents, mantissas, columns, pairs, rows, factor) {
      const scale = fround(factor);
      for (let row = 0; row < rows; row++) {
        const pair = pairs / 4 + 2 * row;
        const line = (squares + row * pitch) / 4;
        const old = memory[pair]!;
        let top = old;
        for (let i = 0; i < columns; i++) {
          const exponent = fround(memory[exponents / 4 + i]! - fround(memory[line + i]! * scale));
          if (exponent > top) top = exponent;
        }
        top = ceil(top);
        const lanes: [number, number, number, number] = [0, 0, 0, 0];
        for (let i = 0; i < columns; i++) {
          const exponent = fround(memory[exponents / 4 + i]! - fround(memory[line + i]! * scale));
          const term = fround(memory[mantissas / 4 + i]! * powerOfTwo(fround(exponent - top)));
          lanes[i % 4]! = fround(lanes[i % 4]! + term);
        }
        memory[pair] = top;
        memory[pair + 1] = addLanes(...lanes) + fround(memory[pair + 1]! * powerOfTwo(fround(old - top)));
      }
    },
  };
}

type PairSum = (memory: Float32Array, a: number, b: number, length: number) => number;

function matrix(
  memory: Float32Array,
  [left, right, out, rows, columns, steps]: Parameters<PairLoops["squares"]>,
  sum: PairSum,
): void {
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const a = left / 4 + row * steps * 4;
      const b = right / 4 + column * steps * 4;
      memory[out / 4 + row * columns + column]! += sum(memory, a, b, steps * 4);
    }
  }
}

function squareSum(memory: Float32Array, a: number, b: number, length: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  for (let i = 0; i < length; i += 4) {
    const d0 = fround(memory[a + i]! - memory[b + i]!);
    const d1 = fround(memory[a + i + 1]! - memory[b + i + 1]!);
    const d2 = fround(memory[a + i + 2]! - memory[b + i + 2]!);
    const d3 = fround(memory[a + i + 3]! - memory[b + i + 3]!);
    s0 = fround(s0 + fround(d0 * d0));
    s1 = fround(s1 + fround(d1 * d1));
    s2 = fround(s2 + fround(d2 * d2));
    s3 = fround(s3 + fround(d3 * d3));
  }
  return addLanes(s0, s1, s2, s3);
}

function productSum(memory: Float32Array, a: number, b: number, length: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  for (let i = 0; i < length; i += 4) {
    s0 = fround(s0 + fround(memory[a + i]! * memory[b + i]!));
    s1 = fround(s1 + fround(memory[a + i + 1]! * memory[b + i + 1]!));
    s2 = fround(s2 + fround(memory[a + i + 2]! * memory[b + i + 2]!));
    s3 = fround(s3 + fround(memory[a + i + 3]! * memory[b + i + 3]!));
  }
  return addLanes(s0, s1, s2, s3);
}

function addLanes(a: number, b: number, c: number, d: number): number {
  return fround(fround(a + c) + fround(b + d));
}

/** 2^x for x <= 0: 0 from -127 on. */
function powerOfTwo(x: number): number {
  const held = max(x, -127);
  const whole = fround(fround(held + INTEGERS) - INTEGERS);
  const rest = fround(held - whole);
  let series = 0;
  for (const factor of POWER_SERIES) series = fround(fround(series * rest) + factor);
  // Below the range of f32's normal numbers there is no such factor.
  const factor = whole === -127 ? 0 : 2 ** whole;
  return fround(fround(fround(series * rest) + 1) * factor);
}
