/**
 * Cases of distances and densities of points, and of the two kernels that measure a device's roof.
 *
 * @module
 */

import { distanceMatrix, type DistanceMetric } from "../points/distance.ts";
import { hammingMatrix } from "../points/hamming.ts";
import { inverseLengths } from "../points/inverse_lengths.ts";
import { Kde } from "../operations/kde.ts";
import { copyWords, multiplyAdd } from "../profile/roof.ts";
import type { KernelCase } from "./kernel_case.ts";

const SHAPE = { rows: 70, columns: 41, dimensions: 13 };

function distances(metric: DistanceMetric): KernelCase {
  return {
    name: `distances: ${metric}`,
    // (d / 4 + 8) · 2⁻²⁴ of a distance, and for the cosine what the lengths lose.
    promise: 1e-6,
    setUp: (bench) => {
      const { rows, columns, dimensions } = SHAPE;
      const a = bench.normal(rows * dimensions);
      const b = bench.normal(columns * dimensions);
      const output = bench.allocate(rows * columns);
      const inverseA = bench.allocate(rows);
      const inverseB = bench.allocate(columns);
      const lengths = metric === "cosine" ? { inverseA, inverseB } : {};
      return {
        run: () => {
          bench.device.run(inverseLengths, { input: a, output: inverseA, count: rows, dimensions });
          bench.device.run(inverseLengths, { input: b, output: inverseB, count: columns, dimensions });
          bench.device.run(distanceMatrix, { a, b, output, ...SHAPE, metric, ...lengths });
        },
        outputs: [output, inverseA, inverseB],
      };
    },
  };
}

/** The cases. */
export const POINT_CASES: readonly KernelCase[] = [
  distances("squared-euclidean"),
  distances("euclidean"),
  distances("cosine"),
  {
    name: "Hamming distances",
    promise: "bits",
    setUp: (bench) => {
      const [rows, columns, words] = [70, 41, 3];
      const a = bench.integers(rows * words, 2 ** 32);
      const b = bench.integers(columns * words, 2 ** 32);
      const output = bench.allocate(rows * columns);
      const args = { a, b, output, rows, columns, words };
      return { run: () => bench.device.run(hammingMatrix, args), outputs: [output] };
    },
  },
  {
    name: "Gaussian KDE: whitened points, stretches and their sums",
    // Exponents lose (d + 12) · 2⁻²⁴ of themselves, and those that matter are near 10.
    promise: 3e-5,
    setUp: (bench) => {
      const [points, queries, dimensions] = [700, 70, 5];
      const density = bench.use(
        new Kde(bench.device, bench.normalValues(points * dimensions), { dimensions }),
      );
      const at = bench.normal(queries * dimensions);
      const output = bench.allocate(queries);
      return { run: () => density.run(at, { output })[Symbol.dispose](), outputs: [output] };
    },
  },
  {
    name: "copy words",
    promise: "bits",
    setUp: (bench) => {
      const input = bench.integers(1024, 2 ** 32);
      const output = bench.allocate(1024);
      return { run: () => bench.device.run(copyWords, { input, output, count: 1024 }), outputs: [output] };
    },
  },
  {
    name: "multiply and add",
    // Values settle, and each of eight is within a rounding or two; larger ones are sums of these.
    promise: 1e-5,
    setUp: (bench) => {
      const output = bench.allocate(128);
      return {
        run: () => bench.device.run(multiplyAdd, { output, threads: 128, turns: 2 }),
        outputs: [output],
      };
    },
  },
];
