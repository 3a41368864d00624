/**
 * Distance matrices: 96 operations for each word written, at 32 dimensions.
 *
 * @module
 */

import { distanceMatrix, type DistanceMatrixArguments } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/distance.wgsl" with { type: "text" };

const naiveDistance = naive("distance", naiveWgsl, (args: DistanceMatrixArguments) => ({
  arrays: [args.a, args.b, args.output],
  parameters: distanceMatrix.plan(args).parameters,
  threads: args.rows * args.columns,
}));

function distanceCase(rows: number, columns: number, dimensions: number, calls: number): BenchCase {
  const pairs = rows * columns;
  return {
    kernel: "distance",
    size: `${rows}×${columns}×${dimensions}`,
    calls,
    cost: { bytes: 4 * (pairs + (rows + columns) * dimensions), operations: 3 * pairs * dimensions },
    allowed: { webgpu: 1e-6, naive: 1e-6 },
    setUp: (bench) => {
      const a = bench.normal(rows * dimensions);
      const b = bench.normal(columns * dimensions);
      const output = bench.allocate(pairs);
      const args = { a, b, output, rows, columns, dimensions, metric: "squared-euclidean" } as const;
      return {
        kernel: () => bench.device.run(distanceMatrix, args),
        naive: () => bench.device.run(naiveDistance, args),
        outputs: [{ array: output, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  distanceCase(1024, 1024, 32, 2),
  distanceCase(4096, 4096, 32, 1),
];

benchCases(cases);
