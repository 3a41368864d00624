/**
 * Distance matrices: squared distances from 4 to 512 dimensions, where memory counts at first and arithmetic
 * later; cosine distances, with the inverse lengths they need; halves as inputs and output.
 *
 * @module
 */

import { distanceMatrix, type DistanceMatrixArguments } from "../kernels/points/distance.ts";
import { inverseLengths } from "../kernels/points/inverse_lengths.ts";
import type { DeviceArray, Kernel } from "../kernels/mod.ts";
import type { Workbench } from "../kernels/check/workbench.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/distance.wgsl" with { type: "text" };

const naiveSquared = naiveDistance({}, 1);
const naiveCosine = naiveDistance({ COSINE: 1 }, 1);
const naiveHalves = naiveDistance({ HALVES: 1 }, 2);

function naiveDistance(
  constants: Readonly<Record<string, number>>,
  valuesPerWord: number,
): Kernel<DistanceMatrixArguments> {
  return naive("distance", naiveWgsl, ({ a, b, output, rows, columns, dimensions }) => ({
    arrays: [a, b, output],
    parameters: [["u32", rows], ["u32", columns], ["u32", dimensions]],
    constants,
    threads: rows * columns / valuesPerWord,
  }));
}

type Shape = readonly [rows: number, columns: number, dimensions: number];

function distanceCase(shape: Shape, calls: number): BenchCase {
  return {
    ...common(shape, 4),
    kernel: "distance",
    calls,
    // The kernel's bound, and that of one running sum.
    allowed: { webgpu: (shape[2] / 4 + 8) * 2 ** -24, naive: (shape[2] + 4) * 2 ** -24 },
    setUp: (bench) => {
      const args = { ...arrays(bench, shape), metric: "squared-euclidean" } as const;
      return {
        kernel: () => bench.device.run(distanceMatrix, args),
        naive: () => bench.device.run(naiveSquared, args),
        inputs: { a: args.a, b: args.b },
        outputs: [{ array: args.output, type: "f32" }],
      };
    },
  };
}

function cosineCase(shape: Shape, calls: number): BenchCase {
  return {
    ...common(shape, 4),
    kernel: "cosine distance",
    calls,
    allowed: { webgpu: 1e-6, naive: 1e-6 },
    setUp: (bench) => {
      const inverseA = bench.allocate(shape[0]);
      const inverseB = bench.allocate(shape[1]);
      const args = { ...arrays(bench, shape), metric: "cosine", inverseA, inverseB } as const;
      const { a, b, rows, columns, dimensions } = args;
      return {
        kernel: () => {
          bench.device.run(inverseLengths, { input: a, output: inverseA, count: rows, dimensions });
          bench.device.run(inverseLengths, { input: b, output: inverseB, count: columns, dimensions });
          bench.device.run(distanceMatrix, args);
        },
        naive: () => bench.device.run(naiveCosine, args),
        inputs: { a, b },
        outputs: [{ array: args.output, type: "f32" }],
      };
    },
  };
}

function halfCase(shape: Shape, calls: number): BenchCase {
  return {
    ...common(shape, 2),
    kernel: "distance in f16",
    calls,
    // Words hold two halves, of which one may be rounded the other way.
    allowed: { webgpu: 0.01, naive: 0.05 },
    setUp: (bench) => {
      const [rows, columns, dimensions] = shape;
      const args = {
        a: halves(bench, rows * dimensions, 1),
        b: halves(bench, columns * dimensions, 2),
        output: bench.allocate(rows * columns / 2),
        rows,
        columns,
        dimensions,
        metric: "squared-euclidean",
        inputStorage: "f16",
        outputStorage: "f16",
      } as const;
      return {
        kernel: () => bench.device.run(distanceMatrix, args),
        naive: () => bench.device.run(naiveHalves, args),
        inputs: { a: args.a, b: args.b },
        outputs: [{ array: args.output, type: "u32" }],
      };
    },
  };
}

function common(
  [rows, columns, dimensions]: Shape,
  bytes: number,
): Pick<BenchCase, "size" | "cost" | "shape"> {
  const pairs = rows * columns;
  return {
    size: `${rows}×${columns}×${dimensions}`,
    cost: { bytes: bytes * (pairs + (rows + columns) * dimensions), operations: 3 * pairs * dimensions },
    shape: { rows, columns, dimensions },
  };
}

function arrays(
  bench: Workbench,
  [rows, columns, dimensions]: Shape,
): Pick<DistanceMatrixArguments, "a" | "b" | "output" | "rows" | "columns" | "dimensions"> {
  const a = bench.normal(rows * dimensions);
  const b = bench.normal(columns * dimensions);
  return { a, b, output: bench.allocate(rows * columns), rows, columns, dimensions };
}

/** Values from -1 to 1, spread by the golden ratio. */
function halves(bench: Workbench, length: number, stream: number): DeviceArray {
  const values = Float16Array.from({ length }, (_, i) => ((i * stream * 2654435769) % 2 ** 32) / 2 ** 31 - 1);
  return bench.upload(new Uint32Array(values.buffer));
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  distanceCase([1000, 1000, 4], 4),
  distanceCase([1000, 1000, 32], 4),
  distanceCase([4096, 4096, 4], 1),
  distanceCase([4096, 4096, 32], 1),
  distanceCase([1024, 1024, 128], 2),
  distanceCase([1024, 1024, 512], 1),
  cosineCase([4096, 4096, 32], 1),
  halfCase([4096, 4096, 32], 1),
];

benchCases(cases);
