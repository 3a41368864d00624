/**
 * Logits beside those of the map before: the last two maps of a 256-pixel VAR, and of Infinity at 1 Mpx.
 *
 * @module
 */

import {
  coarseContrast,
  type CoarseContrastArguments,
  createPriorTable,
  type DeviceArray,
  type PositionMap,
  priorWeights,
} from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/coarse_contrast.wgsl" with { type: "text" };

interface NaiveArguments extends CoarseContrastArguments {
  /** The whole operator, f32 [positions, coarse positions]. */
  readonly matrix: DeviceArray;
}

const naiveContrast = naive("coarse_contrast", naiveWgsl, (args: NaiveArguments) => {
  const { coarse, matrix, logits, table: { from, to }, lanes, vocabulary, weight } = args;
  const total = lanes * to.width * to.height * vocabulary;
  return {
    arrays: [coarse, matrix, logits],
    parameters: [
      ["u32", total],
      ["u32", vocabulary],
      ["u32", from.width * from.height],
      ["u32", to.width * to.height],
      ["f32", weight],
    ],
    threads: total,
  };
});

/** The operator as one matrix, from its weights for mirror images. */
function wholeMatrix(from: PositionMap, to: PositionMap): Float32Array {
  const weights = priorWeights(from, to);
  const [rows, columns] = [Math.ceil(from.height / 2), Math.ceil(from.width / 2)];
  const quadColumns = Math.ceil(to.width / 2);
  const matrix = new Float32Array(to.width * to.height * from.width * from.height);
  /** Place in its half, and -1 beyond it. */
  const half = (place: number, length: number): [number, number] => {
    const mirrored = length - 1 - place;
    return place <= mirrored ? [place, 1] : [mirrored, -1];
  };
  let at = 0;
  for (let y = 0; y < to.height; y++) {
    for (let x = 0; x < to.width; x++) {
      const [[quadY, down], [quadX, across]] = [half(y, to.height), half(x, to.width)];
      for (let i = 0; i < from.height; i++) {
        for (let j = 0; j < from.width; j++) {
          const [[row, ownDown], [column, ownAcross]] = [half(i, from.height), half(j, from.width)];
          const group = ((quadY * quadColumns + quadX) * rows * columns + row * columns + column) * 4;
          // What lies in the middle comes twice when it is folded.
          const twice = (2 * i + 1 === from.height ? 2 : 1) * (2 * j + 1 === from.width ? 2 : 1);
          const [vertical, horizontal] = [down * ownDown, across * ownAcross];
          matrix[at++] = twice * (weights[group]! + horizontal * weights[group + 1]! +
            vertical * weights[group + 2]! + vertical * horizontal * weights[group + 3]!);
        }
      }
    }
  }
  return matrix;
}

function contrastCase(side: number, fine: number, vocabulary: number, calls: number): BenchCase {
  const [from, to] = [{ width: side, height: side }, { width: fine, height: fine }];
  const products = Math.ceil(side / 2) ** 2 * Math.ceil(fine / 2) ** 2 * 4 * vocabulary;
  return {
    kernel: "coarse contrast",
    size: `${side}x${side} to ${fine}x${fine}, ${vocabulary} logits`,
    calls,
    cost: { bytes: 4 * vocabulary * (side ** 2 + 2 * fine ** 2), operations: 2 * products },
    shape: { side, fine, vocabulary },
    allowed: { webgpu: 0, naive: 1e-4 },
    setUp: (bench) => {
      const coarse = bench.normal(side ** 2 * vocabulary, 2.5);
      const logits = bench.normal(fine ** 2 * vocabulary, 2.5);
      const table = bench.use(createPriorTable(bench.device, from, to));
      const matrix = bench.upload(wholeMatrix(from, to));
      // So weak that any number of calls in place stays finite.
      const args = { coarse, logits, table, lanes: 1, vocabulary, weight: 1e-6 };
      return {
        kernel: () => bench.device.run(coarseContrast, args),
        naive: () => bench.device.run(naiveContrast, { ...args, matrix }),
        inputs: { coarse },
        outputs: [{ array: logits, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [contrastCase(13, 16, 4096, 4), contrastCase(48, 64, 64, 1)];

benchCases(cases);
