/**
 * Codebook lookup: a copy with an index.
 *
 * @module
 */

import { codebookLookup, type CodebookLookupArguments } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/lookup.wgsl" with { type: "text" };

const naiveLookup = naive("lookup", naiveWgsl, (args: CodebookLookupArguments) => ({
  arrays: [args.tokens, args.codebook, args.output],
  parameters: codebookLookup.plan(args).parameters,
  threads: args.images * args.positions,
}));

function lookupCase(images: number, positions: number): BenchCase {
  const vocabulary = 4096;
  const channels = 32;
  return {
    kernel: "lookup",
    size: `${images}×${positions} tokens, ${channels} channels`,
    calls: 16,
    cost: { bytes: images * positions * (4 + 8 * channels) },
    allowed: { webgpu: 0, naive: 0 },
    setUp: (bench) => {
      const tokens = bench.integers(images * positions, vocabulary);
      const codebook = bench.normal(vocabulary * channels);
      const output = bench.allocate(images * positions * channels);
      const shape = { images, positions, vocabulary, channels, layout: "planes" } as const;
      const args = { tokens, codebook, output, ...shape };
      return {
        kernel: () => bench.device.run(codebookLookup, args),
        naive: () => bench.device.run(naiveLookup, args),
        outputs: [{ array: output, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [lookupCase(64, 256)];

benchCases(cases);
