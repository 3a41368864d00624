/**
 * Matrices of Hamming distances: a word of output for a few words of input.
 *
 * @module
 */

import { hammingMatrix, type HammingMatrixArguments } from "../kernels/points/hamming.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/hamming.wgsl" with { type: "text" };

const naiveHamming = naive("hamming", naiveWgsl, (args: HammingMatrixArguments) => ({
  arrays: [args.a, args.b, args.output],
  parameters: [["u32", args.rows], ["u32", args.columns], ["u32", args.words]],
  threads: args.rows * args.columns,
}));

function hammingCase(rows: number, columns: number, words: number, calls: number): BenchCase {
  const pairs = rows * columns;
  return {
    kernel: "hamming",
    size: `${rows}×${columns}, ${words * 32} bits`,
    calls,
    // Two inputs differ, their bits are counted, the counts are added up.
    cost: { bytes: 4 * (pairs + (rows + columns) * words), operations: 3 * pairs * words },
    shape: { rows, columns, words },
    allowed: { webgpu: 0, naive: 0 },
    setUp: (bench) => {
      const a = bench.integers(rows * words, 2 ** 32);
      const b = bench.integers(columns * words, 2 ** 32);
      const output = bench.allocate(pairs);
      const args = { a, b, output, rows, columns, words };
      return {
        kernel: () => bench.device.run(hammingMatrix, args),
        naive: () => bench.device.run(naiveHamming, args),
        inputs: { a, b },
        outputs: [{ array: output, type: "u32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  hammingCase(1000, 1000, 1, 4),
  hammingCase(1000, 1000, 8, 4),
  hammingCase(4096, 4096, 4, 1),
  hammingCase(1024, 1024, 32, 2),
];

benchCases(cases);
