/**
 * Codebook lookup: a copy with an index.
 *
 * @module
 */

import { codebookLookup, type CodebookLookupArguments, type FeatureLayout } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/lookup.wgsl" with { type: "text" };

const naiveLookup = naive("lookup", naiveWgsl, (args: CodebookLookupArguments) => ({
  arrays: [args.tokens, args.codebook, args.output],
  parameters: [
    ["u32", args.images * args.positions * args.channels],
    ["u32", args.positions],
    ["u32", args.vocabulary],
    ["u32", args.channels],
    ["u32", args.layout === "planes" ? 1 : 0],
  ],
  threads: args.images * args.positions,
}));

function lookupCase(images: number, positions: number, layout: FeatureLayout): BenchCase {
  const vocabulary = 4096;
  const channels = 32;
  return {
    kernel: "lookup",
    size: `${images}×${positions} tokens, ${channels} channels, ${layout}`,
    calls: images < 64 ? 16 : 4,
    cost: { bytes: images * positions * (4 + 8 * channels) },
    shape: { positions: images * positions, vocabulary, channels },
    allowed: { webgpu: 0, naive: 0 },
    setUp: (bench) => {
      const tokens = bench.integers(images * positions, vocabulary);
      const codebook = bench.normal(vocabulary * channels);
      const output = bench.allocate(images * positions * channels);
      const args = { tokens, codebook, output, images, positions, vocabulary, channels, layout };
      return {
        kernel: () => bench.device.run(codebookLookup, args),
        naive: () => bench.device.run(naiveLookup, args),
        // Other libraries give rows.
        ...(layout === "rows" ? { inputs: { tokens, codebook } } : {}),
        outputs: [{ array: output, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  lookupCase(16, 256, "rows"),
  lookupCase(16, 256, "planes"),
  lookupCase(256, 256, "rows"),
  lookupCase(256, 256, "planes"),
];

benchCases(cases);
