/**
 * Sampling: rows of three lengths, plain and truncated; and with guidance inside the last scale of a
 * 256-pixel VAR and VAR-Scaling's 50 candidates of the 2×2 map.
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

function sampleCase(
  name: string,
  calls: number,
  options: {
    positions: number;
    vocabulary?: number;
    draws?: number;
    topK?: number;
    topP?: number;
    guided?: boolean;
  },
): BenchCase {
  const { positions, vocabulary = 4096, draws = 1, topK = 0, topP = 0, guided = false } = options;
  const count = positions * vocabulary;
  return {
    kernel: guided ? "guided sample" : "sample",
    size: `${positions} rows of ${vocabulary}, ${name}`,
    calls,
    cost: { bytes: (guided ? 8 : 4) * count },
    shape: { rows: positions, vocabulary, topK, topP },
    // The naive version adds probabilities in f32, so a draw close to a step may fall on its other side.
    allowed: { webgpu: 0, naive: 0.05 },
    setUp: (bench) => {
      const logits = bench.normal((guided ? 2 : 1) * count, 2.5);
      const lanes = bench.upload(new Uint32Array([0]));
      const tokens = bench.allocate(positions * draws);
      const values = bench.allocate(count);
      const order = bench.allocate(count);
      const shape = { images: 1, positions, vocabulary, draws, topK, topP, guided, weight: guided ? 1.5 : 0 };
      const args = { logits, lanes, tokens, ...shape, seed: seedWords(7), scale: 1 };
      return {
        kernel: () => bench.device.run(sampleTokens, args),
        naive: () => bench.device.run(naiveSample, { ...args, values, order }),
        inputs: { logits },
        outputs: [{ array: tokens, type: "u32" }],
      };
    },
  };
}

const truncated = { topK: 900, topP: 0.96 };

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  sampleCase("plain", 2, { positions: 256 }),
  sampleCase("top-k 900, top-p 0.96", 2, { positions: 256, ...truncated }),
  sampleCase("top-k 900, top-p 0.96", 2, { positions: 1024, vocabulary: 1024, ...truncated }),
  sampleCase("top-k 900, top-p 0.96", 2, { positions: 32, vocabulary: 16384, ...truncated }),
  sampleCase("top-k 900, top-p 0.96", 2, { positions: 8, vocabulary: 65536, ...truncated }),
  sampleCase("plain", 2, { positions: 256, guided: true }),
  sampleCase("top-k 900, top-p 0.96", 2, { positions: 256, guided: true, ...truncated }),
  sampleCase("50 draws, top-k 900, top-p 0.96", 8, { positions: 4, draws: 50, guided: true, ...truncated }),
];

benchCases(cases);
