/**
 * Cases of vectors and their codes.
 *
 * @module
 */

import { bitCodes, signBits } from "../codebook/bits.ts";
import { codeDistances } from "../codebook/code_distance.ts";
import { codebookLookup } from "../codebook/lookup.ts";
import { nearestCodes } from "../codebook/nearest.ts";
import { unitRows } from "../codebook/unit_rows.ts";
import type { KernelCase } from "./kernel_case.ts";
import type { Workbench } from "./workbench.ts";

const SIZES = { count: 70, vocabulary: 300, channels: 13 };
const BITS = { images: 2, tokens: 35, channels: 37, layout: "planes" } as const;

/** Vectors, of which some are codes themselves. */
function vectors(bench: Workbench) {
  const { count, vocabulary, channels } = SIZES;
  const codes = bench.normalValues(vocabulary * channels);
  // The same code twice: the lower index is taken.
  codes.copyWithin(100 * channels, 5 * channels, 6 * channels);
  const features = bench.normalValues(count * channels);
  features.set(codes.subarray(5 * channels, 6 * channels), 0);
  features.fill(0, 4 * channels, 5 * channels);
  return { features: bench.upload(features), codebook: bench.upload(codes) };
}

/** The cases. */
export const CODEBOOK_CASES: readonly KernelCase[] = [
  {
    name: "lookup",
    promise: "bits",
    setUp: (bench) => {
      const { vocabulary, channels } = SIZES;
      const [images, positions] = [2, 35];
      const tokens = bench.integers(images * positions, vocabulary);
      const codebook = bench.normal(vocabulary * channels);
      const output = bench.allocate(images * positions * channels);
      const sizes = { images, positions, vocabulary, channels, layout: "planes" as const };
      return {
        run: () => bench.device.run(codebookLookup, { tokens, codebook, output, ...sizes }),
        outputs: [output],
      };
    },
  },
  {
    name: "nearest and distances to codes",
    promise: "bits",
    setUp: (bench) => {
      const args = { ...vectors(bench), ...SIZES };
      const tokens = bench.allocate(SIZES.count);
      const distances = bench.allocate(SIZES.count);
      return {
        run: () => {
          bench.device.run(nearestCodes, { ...args, tokens });
          bench.device.run(codeDistances, { ...args, tokens, distances });
        },
        outputs: [tokens, distances],
      };
    },
  },
  {
    name: "rows of length 1",
    promise: "bits",
    setUp: (bench) => {
      const { count, channels } = SIZES;
      const { features } = vectors(bench);
      const output = bench.allocate(count * channels);
      return {
        run: () => bench.device.run(unitRows, { input: features, output, count, channels }),
        outputs: [output],
      };
    },
  },
  {
    name: "bits to codes and back",
    promise: "bits",
    setUp: (bench) => {
      const bits = bench.integers(BITS.images * BITS.tokens * 2, 2 ** 32);
      const output = bench.allocate(BITS.images * BITS.tokens * BITS.channels);
      const again = bench.allocate(BITS.images * BITS.tokens * 2);
      return {
        run: () => {
          bench.device.run(bitCodes, { bits, output, ...BITS });
          bench.device.run(signBits, { features: output, bits: again, ...BITS });
        },
        outputs: [output, again],
      };
    },
  },
];
