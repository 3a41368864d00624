/**
 * Soft tokens: noise and an exponential per logit, and a weighted mean of code vectors.
 *
 * @module
 */

import {
  sampleAndTruncate,
  seedWords,
  type SmoothArguments,
  smoothCodes,
  THREEFRY_WGSL,
} from "../kernels/mod.ts";
import { LOGIT_WGSL } from "../kernels/sampling/logit.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/smooth.wgsl" with { type: "text" };

const naiveSmooth = naive("smooth", LOGIT_WGSL + THREEFRY_WGSL + naiveWgsl, (args: SmoothArguments) => ({
  arrays: [args.logits, args.truncation, args.codebook, args.lanes, args.output],
  parameters: smoothCodes.plan(args).parameters,
  threads: args.images * args.positions * args.channels,
}));

function smoothCase(positions: number, vocabulary: number, channels: number): BenchCase {
  return {
    kernel: "smooth",
    size: `${positions} rows of ${vocabulary}, ${channels} channels, top-k 900`,
    calls: 2,
    cost: { bytes: 4 * positions * vocabulary },
    shape: { rows: positions, vocabulary, channels },
    allowed: { webgpu: 1e-3, naive: 1e-3 },
    setUp: (bench) => {
      const { device } = bench;
      const logits = bench.normal(positions * vocabulary, 2.5);
      const codebook = bench.normal(vocabulary * channels);
      const lanes = bench.upload(new Uint32Array([0]));
      const truncation = bench.allocate(2 * positions);
      const output = bench.allocate(positions * channels);
      const row = { logits, lanes, images: 1, positions, vocabulary, seed: seedWords(7), scale: 5 };
      device.run(sampleAndTruncate, { ...row, truncation, tokens: bench.allocate(positions), topK: 900 });
      const args = { ...row, truncation, codebook, output, channels, sharpness: 1.5, tau: 0.14 };
      return {
        kernel: () => device.run(smoothCodes, args),
        naive: () => device.run(naiveSmooth, args),
        inputs: { logits, truncation, codebook },
        outputs: [{ array: output, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [smoothCase(64, 4096, 32)];

benchCases(cases);
