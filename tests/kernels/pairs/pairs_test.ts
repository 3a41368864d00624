import { assert, assertEquals } from "@std/assert";
import {
  addKernels,
  addWideProducts,
  centeredRows,
  centerRows,
  KERNEL_COLUMNS,
  mixingRoom,
  mixRows,
  type PairEngine,
  pairEngine,
  type PairSets,
  plainEngine,
  takeRoots,
  vectorEngine,
  visitPairs,
} from "../../../kernels/pairs/pairs.ts";
import { PAIRS_MODULE } from "../../../kernels/pairs/pairs_module.ts";
import { moduleSource } from "../../../tools/pairs/write_module.ts";
import { testRandom } from "../../devices.ts";

const ENGINES: Readonly<Record<string, () => PairEngine>> = {
  WebAssembly: () => vectorEngine()!,
  TypeScript: plainEngine,
};

/** The whole matrix, and how often each of its values was visited. */
function matrix(sets: PairSets, engine: PairEngine, roots = false): Float32Array {
  const { rows, columns } = sets;
  const found = new Float32Array(rows * columns);
  const visits = new Uint8Array(rows * columns);
  visitPairs(sets, (block) => {
    if (roots) takeRoots(block, engine);
    for (let i = 0; i < block.rows; i++) {
      for (let j = 0; j < block.columns; j++) {
        const at = (block.row + i) * columns + block.column + j;
        found[at] = block.values[i * block.pitch + j]!;
        visits[at]!++;
      }
    }
  }, engine);
  assertEquals(visits, new Uint8Array(rows * columns).fill(1));
  return found;
}

const SIZES = [
  [1, 1, 1],
  [2, 3, 4],
  [7, 5, 3],
  [9, 8, 31],
  [3, 300, 6],
  [261, 2, 33],
  [258, 257, 2],
  [5, 6, 255],
  [4, 3, 256],
  [3, 5, 257],
  [2, 2, 1030],
  [0, 3, 4],
  [3, 0, 4],
] as const;

for (const [name, open] of Object.entries(ENGINES)) {
  Deno.test(`visitPairs: sums are the formula's in float64, in ${name}`, () => {
    const random = testRandom(1);
    const engine = open();
    for (const [rows, columns, dimensions] of SIZES) {
      const draw = (count: number): Float32Array =>
        Float32Array.from(
          { length: count * dimensions },
          () => (random() * 2 - 1) * 10 ** (random() * 4 - 2),
        );
      const [left, right] = [draw(rows), draw(columns)];
      const sets = { left, right, rows, columns, dimensions };
      const squares = matrix({ ...sets, sum: "squares" }, engine);
      const roots = matrix({ ...sets, sum: "squares" }, engine, true);
      const products = matrix({ ...sets, sum: "products" }, engine);
      for (let i = 0; i < rows * columns; i++) {
        const x = left.subarray(Math.floor(i / columns) * dimensions).subarray(0, dimensions);
        const y = right.subarray(i % columns * dimensions).subarray(0, dimensions);
        const square = x.reduce((sum, value, d) => sum + (value - y[d]!) ** 2, 0);
        const product = x.reduce((sum, value, d) => sum + value * y[d]!, 0);
        const size = x.reduce((sum, value, d) => sum + Math.abs(value * y[d]!), 0);
        const what = `${rows}x${columns}x${dimensions}, ${i}`;
        // A rounding for each addition of the longest chain, two for the difference and one for the square.
        const limit = 1.01 * (dimensions / 4 + 5) * 2 ** -24;
        assert(Math.abs(squares[i]! - square) <= limit * square, `${what}: ${squares[i]}, ${square}`);
        assert(Math.abs(products[i]! - product) <= limit * size, `${what}: ${products[i]}, ${product}`);
        assertEquals(roots[i], Math.fround(Math.sqrt(squares[i]!)));
      }
    }
  });

  Deno.test(`addKernels: sums are the formula's in float64, in ${name}`, () => {
    const random = testRandom(2);
    const engine = open();
    for (const [rows, columns, dimensions] of [[1, 1, 4], [5, 3, 4], [130, 64, 8], [9, 63, 2], [3, 61, 1]]) {
      const draw = (count: number): Float32Array =>
        Float32Array.from({ length: count * dimensions! }, () => random() * 2 - 1);
      const sets = { left: draw(rows!), right: draw(columns!), rows: rows!, columns: columns! };
      const exponents = Float32Array.from(
        sets.right.subarray(0, columns),
        () => Math.floor(random() * 9) - 4,
      );
      const mantissas = Float32Array.from(exponents, () => random() < 0.1 ? 0 : 1 + random());
      const factor = Math.fround(10 ** (random() * 3 - 1));
      // As if a term of 1.5 * 2^-3 had been there.
      const pairs = Float32Array.from({ length: 2 * rows! }, (_, i) => [-3, 1.5][i % 2]!);
      visitPairs({ ...sets, dimensions: dimensions!, sum: "squares" }, (block) => {
        addKernels(block, { column: 0, columns: columns!, exponents, mantissas, factor, pairs }, engine);
        for (let row = 0; row < rows!; row++) {
          let wanted = 1.5 * 2 ** -3;
          let average = 0;
          for (let i = 0; i < columns!; i++) {
            const power = exponents[i]! - block.values[row * block.pitch + i]! * factor;
            const term = mantissas[i]! * 2 ** power;
            wanted += term;
            average += term * Math.abs(power);
          }
          const [top, sum] = pairs.subarray(2 * row);
          assertEquals(top, Math.ceil(top!));
          // Roundings of the exponent, of 2^x and its product, and of a chain of 19 additions.
          const limit = (3 * average / wanted + 2 + 1 + 19) * 2 ** -24;
          const found = sum! * 2 ** top!;
          assert(Math.abs(found / wanted - 1) <= limit, `${columns}, ${row}: ${found}, ${wanted}`);
        }
      }, engine);
    }
  });

  Deno.test(`addKernels: columns and rows without a term, and NaN, in ${name}`, () => {
    const engine = open();
    const right = new Float32Array(5);
    const sets = { right, columns: 5, dimensions: 1, sum: "squares" } as const;
    const run = (left: number[], exponent: number, mantissa: number): number[] => {
      const pairs = Float32Array.from(left.flatMap(() => [-(2 - 2 ** -23) * 2 ** 127, 0]));
      const exponents = new Float32Array(5).fill(exponent);
      const mantissas = new Float32Array(5).fill(mantissa);
      visitPairs({ ...sets, left: new Float32Array(left), rows: left.length }, (block) => {
        addKernels(block, { column: 0, columns: 5, exponents, mantissas, factor: 0.5, pairs }, engine);
      }, engine);
      return [...pairs];
    };
    const none = -(2 - 2 ** -23) * 2 ** 127;
    assertEquals(run([0, Infinity, NaN], 3, 1), [3, 5, none, 0, none, NaN]);
    assertEquals(run([0, 2e19, NaN], -Infinity, 0), [none, 0, none, 0, none, NaN]);
    // What is left out beside large terms, down to the least float32.
    assertEquals(run([2], -140, 1.5), [-142, 7.5]);
  });
}

Deno.test("vectorEngine: has the bits of plain TypeScript, for all sizes and values", () => {
  const random = testRandom(3);
  const [vector, plain] = [vectorEngine()!, plainEngine()];
  const special = [NaN, Infinity, -Infinity, -0, 1e-30, 3e38, 1e-44];
  for (let round = 0; round < 60; round++) {
    const upTo = (most: number): number => 1 + Math.floor(random() * most);
    const [rows, columns, dimensions] = [upTo(random() < 0.1 ? 300 : 20), upTo(KERNEL_COLUMNS), upTo(40)];
    const draw = (length: number): Float32Array =>
      Float32Array.from({ length }, () => {
        if (random() < round / 3000) return special[upTo(special.length) - 1]!;
        return (random() * 2 - 1) * 10 ** (random() * round / 4);
      });
    const sets = {
      left: draw(rows * dimensions),
      right: draw(columns * dimensions),
      rows,
      columns,
      dimensions,
    };
    for (const sum of ["squares", "products"] as const) {
      assertEquals(matrix({ ...sets, sum }, vector), matrix({ ...sets, sum }, plain), `${round}`);
    }
    const exponents = Float32Array.from({ length: columns }, () => upTo(40) - 20);
    const mantissas = Float32Array.from({ length: columns }, () => 1 + random());
    const factor = 10 ** (random() * 4 - 3 - round / 2);
    const sums = [vector, plain].map((engine) => {
      const pairs = Float32Array.from({ length: 2 * rows }, (_, i) => i % 2 === 0 ? -100 : 1);
      visitPairs({ ...sets, sum: "squares" }, (block) => {
        const part = { column: 0, columns, exponents, mantissas, factor };
        const own = pairs.subarray(2 * block.row, 2 * (block.row + block.rows));
        addKernels(block, { ...part, pairs: own }, engine);
      }, engine);
      return pairs;
    });
    assertEquals(sums[0], sums[1], `${round}`);
  }
});

Deno.test("addWideProducts: products are the formula's, in WebAssembly and in TypeScript with the same bits", () => {
  const random = testRandom(5);
  const [vector, plain] = [vectorEngine()!, plainEngine()];
  const sizes = [[1, 1, 1], [3, 5, 2], [128, 4, 3], [129, 130, 7], [2, 3, 128], [5, 6, 129], [3, 2, 300], [
    0,
    2,
    2,
  ]];
  for (
    const [rows, columns, dimensions] of [...sizes, [4, 131, 131], [3, 40, 40]] as [number, number, number][]
  ) {
    const draw = (length: number): Float64Array => Float64Array.from({ length }, () => random() * 2 - 1);
    const [left, right] = [draw(rows * dimensions), draw(columns * dimensions)];
    for (const lower of columns === dimensions ? [false, true] : [false]) {
      const [found, same] = [vector, plain].map((engine) => {
        const output = new Float64Array(rows * columns).fill(0.5);
        addWideProducts({ left, right, rows, columns, dimensions, lower, output }, engine);
        return output;
      });
      assertEquals(found, same);
      for (const [i, value] of found!.entries()) {
        const [row, column] = [Math.floor(i / columns), i % columns];
        let [wanted, size] = [0.5, 0.5];
        for (let d = 0; d < (lower ? column + 1 : dimensions); d++) {
          const product = left[row * dimensions + d]! * right[column * dimensions + d]!;
          wanted += product;
          size += Math.abs(product);
        }
        const what = `${rows}x${columns}x${dimensions}, lower: ${lower}, ${i}: ${value}, ${wanted}`;
        assert(Math.abs(value - wanted) <= (dimensions + 4) * 2 ** -53 * size, what);
      }
    }
  }
});

Deno.test("addWideProducts: of a half, what lies on and below the diagonal is that of the whole", () => {
  const random = testRandom(7);
  for (const [rows, columns] of [[1, 1], [128, 128], [130, 257], [257, 130]] as const) {
    const dimensions = 9;
    const [left, right] = [rows, columns].map((count) => {
      return Float64Array.from({ length: count * dimensions }, () => random() - 0.5);
    }) as [Float64Array, Float64Array];
    const [half, whole] = [true, false].map((half) => {
      const output = new Float64Array(rows * columns).fill(0.5);
      addWideProducts({ left, right, rows, columns, dimensions, half, output });
      return output;
    });
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const at = row * columns + column;
        // Blocks have 128 rows: what lies beyond the diagonal's is not touched.
        const block = 128 * Math.floor(row / 128) + 128;
        if (column <= row) assertEquals(half![at], whole![at]);
        else if (column >= block) assertEquals(half![at], 0.5);
      }
    }
  }
});

Deno.test("centerRows: rows are moved and scaled in f64, straight or turned, in both engines", () => {
  const random = testRandom(6);
  for (
    const [rows, dimensions] of [[1, 1], [3, 5], [128, 7], [1, 32768], [centeredRows(300), 300]] as const
  ) {
    const values = Float32Array.from({ length: rows * dimensions }, () => random() * 2 - 1);
    const mean = Float64Array.from({ length: dimensions }, () => random() * 1e6);
    const shares = Float64Array.from({ length: rows }, () => random());
    for (const engine of [vectorEngine()!, plainEngine()]) {
      for (const transposed of [false, true]) {
        const output = new Float64Array(values.length);
        centerRows({ values, mean, shares, transposed, output }, engine);
        const wanted = new Float64Array(values.length);
        for (const [i, value] of values.entries()) {
          const [row, d] = [Math.floor(i / dimensions), i % dimensions];
          wanted[transposed ? d * rows + row : i] = (value - mean[d]!) * shares[row]!;
        }
        assertEquals(output, wanted);
      }
    }
  }
});

Deno.test("visitPairs: what a pair gets depends on its two vectors alone", () => {
  const random = testRandom(4);
  const [rows, columns, dimensions] = [300, 270, 18];
  const left = Float32Array.from({ length: rows * dimensions }, () => random());
  const right = Float32Array.from({ length: columns * dimensions }, () => random());
  const engine = pairEngine();
  const whole = matrix({ left, right, rows, columns, dimensions, sum: "squares" }, engine);
  const turned = matrix({
    left: right,
    right: left,
    rows: columns,
    columns: rows,
    dimensions,
    sum: "squares",
  }, engine);
  for (const [row, column] of [[0, 0], [7, 256], [256, 3], [299, 269]] as const) {
    const one = { left: left.subarray(row * dimensions), right: right.subarray(column * dimensions) };
    const [alone] = matrix({ ...one, rows: 1, columns: 1, dimensions, sum: "squares" }, engine);
    assertEquals(whole[row * columns + column], alone);
    assertEquals(turned[column * rows + row], alone);
  }
});

Deno.test("mixRows: sums with weights of their own for each of four, in order, the same bits", () => {
  const random = testRandom(9);
  for (const [rows, columns] of [[1, 8], [5, 16], [37, 64], [4096, 8]] as const) {
    const values = Float32Array.from({ length: rows * 4 * columns }, () => random() * 4 - 2);
    const weights = Float32Array.from({ length: rows * 4 }, () => random() - 0.3);
    const found = Object.values(ENGINES).map((open) => {
      const engine = open();
      const room = mixingRoom(engine);
      room.values.set(values);
      room.weights.set(weights);
      mixRows(rows, columns, engine);
      return room.sums.slice(0, 4 * columns);
    });
    const wanted = Float32Array.from({ length: 4 * columns }, (_, i) => {
      const part = Math.floor(i / columns);
      let sum = 0;
      for (let row = 0; row < rows; row++) {
        const term = Math.fround(weights[4 * row + part]! * values[row * 4 * columns + i]!);
        sum = Math.fround(sum + term);
      }
      return sum;
    });
    for (const sums of found) assertEquals(sums, wanted);
  }
});

Deno.test("vectorEngine: none where WebAssembly is refused", () => {
  const { Module } = WebAssembly;
  WebAssembly.Module = class {
    constructor() {
      throw new WebAssembly.CompileError("refused by the policy of the page");
    }
  } as unknown as typeof Module;
  try {
    assertEquals(vectorEngine(), undefined);
  } finally {
    WebAssembly.Module = Module;
  }
});

Deno.test("vectorEngine: its module is what the text is put together to", async () => {
  const written = new URL("../../../kernels/pairs/pairs_module.ts", import.meta.url);
  assertEquals(await Deno.readTextFile(written), moduleSource());
  // Some browsers compile no more than 4 KB at once where a page's own thread waits for it.
  assert(atob(PAIRS_MODULE).length <= 4096);
});
