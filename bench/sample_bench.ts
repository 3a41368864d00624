/**
 * Sampling with guidance inside: the last scale of a 256-pixel VAR, with and without truncation, and VAR-Scaling's 50 candidates of the
 * 2×2 map.
 *
 * @module
 */

import {
  type DeviceArray,
  type SampleArguments,
  sampleTokens,
  seedWords,
  THREEFRY_WGSL,
} from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/sample.wgsl" with { type: "text" };

interface NaiveArguments extends SampleArguments {
  values: DeviceArray;
  order: DeviceArray;
}

const naiveSample = naive("sample", THREEFRY_WGSL + naiveWgsl, (args: NaiveArguments) => ({
  arrays: [args.logits, args.lanes, args.tokens, args.values, args.order],
  parameters: sampleTokens.plan(args).parameters,
  workgroups: args.images * args.positions,
}));

const VOCABULARY = 4096;

function sampleCase(
  name: string,
  calls: number,
  options: { positions: number; draws?: number; topK?: number; topP?: number },
): BenchCase {
  const { positions, draws = 1 } = options;
  const count = positions * VOCABULARY;
  return {
    kernel: "sample",
    size: `${positions} rows of ${VOCABULARY}, ${name}`,
    calls,
    cost: { bytes: 8 * count },
    // The naive version adds probabilities in f32, so a draw close to a step may fall on its other side.
    allowed: { webgpu: 0, naive: 0.05 },
    setUp: (bench) => {
      const logits = bench.normal(2 * count, 2.5);
      const lanes = bench.upload(new Uint32Array([0]));
      const tokens = bench.allocate(positions * draws);
      const values = bench.allocate(count);
      const order = bench.allocate(count);
      const shape = { images: 1, vocabulary: VOCABULARY, guided: true, weight: 1.5 };
      const args = { logits, lanes, tokens, ...shape, ...options, seed: seedWords(7), scale: 1 };
      return {
        kernel: () => bench.device.run(sampleTokens, args),
        naive: () => bench.device.run(naiveSample, { ...args, values, order }),
        outputs: [{ array: tokens, type: "u32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  sampleCase("plain", 2, { positions: 256 }),
  sampleCase("top-k 900, top-p 0.96", 2, { positions: 256, topK: 900, topP: 0.96 }),
  sampleCase("50 draws, top-k 900, top-p 0.96", 8, { positions: 4, draws: 50, topK: 900, topP: 0.96 }),
];

benchCases(cases);
