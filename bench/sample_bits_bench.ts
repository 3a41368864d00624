/**
 * Drawing bits with guidance inside: VAR-Scaling's 3000 candidates of the 6×6 map of Infinity, and one map of
 * its last scale.
 *
 * @module
 */

import { seedWords, THREEFRY_WGSL } from "../kernels/mod.ts";
import { sampleBits, type SampleBitsArguments } from "../kernels/sampling/sample_bits.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/sample_bits.wgsl" with { type: "text" };

const naiveBits = naive("sample_bits", THREEFRY_WGSL + naiveWgsl, (args: SampleBitsArguments) => ({
  arrays: [args.logits, args.lanes, args.tokens],
  parameters: sampleBits.plan(args).parameters,
  threads: args.images * (args.draws ?? 1) * args.positions * Math.ceil(args.bits / 32),
}));

function bitsCase(draws: number, positions: number, bits: number, calls: number): BenchCase {
  const drawn = draws * positions * bits;
  const words = Math.ceil(bits / 32);
  return {
    kernel: "sample bits",
    size: `${draws} draws of ${positions} x ${bits} bits`,
    calls,
    // Two bits take one threefry2x32-20: 20 rounds of an addition, two shifts, an or and an exclusive or, and
    // 17 additions of keys.
    cost: { operations: drawn / 2 * 117, bytes: 16 * positions * bits + 4 * draws * positions * words },
    shape: { draws, positions, bits },
    // The naive version computes probabilities in f32, so a random number close to one may fall on its other
    // side.
    allowed: { webgpu: 0, naive: 1e-3 },
    setUp: (bench) => {
      const logits = bench.normal(4 * positions * bits, 1.5);
      const lanes = bench.upload(new Uint32Array([0]));
      const tokens = bench.allocate(draws * positions * words);
      const sizes = { images: 1, positions, bits, draws, guided: true, weight: 2, topP: 0.97 };
      const args = { logits, lanes, tokens, ...sizes, seed: seedWords(7), scale: 3 };
      return {
        kernel: () => bench.device.run(sampleBits, args),
        naive: () => bench.device.run(naiveBits, args),
        inputs: { logits },
        outputs: [{ array: tokens, type: "u32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  bitsCase(1, 4096, 32, 8),
  bitsCase(1000, 36, 32, 4),
  bitsCase(3000, 36, 32, 2),
];

benchCases(cases);
