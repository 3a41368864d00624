/**
 * The choice among candidates. The naive version ranks every candidate against all others, writes the N×N
 * matrix of conflicts, and then walks it with one thread.
 *
 * @module
 */

import {
  decisionLength,
  type DeviceArray,
  seedWords,
  type SelectArguments,
  selectCandidates,
  THREEFRY_WGSL,
} from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import chooseWgsl from "./naive/choose.wgsl" with { type: "text" };
import conflictsWgsl from "./naive/conflicts.wgsl" with { type: "text" };
import rankWgsl from "./naive/rank.wgsl" with { type: "text" };

interface NaiveArguments extends SelectArguments {
  copies: DeviceArray;
  conflicts: DeviceArray;
}

const naiveRank = naive("rank", THREEFRY_WGSL + rankWgsl, (args: NaiveArguments) => ({
  arrays: [args.scores, args.candidates, args.lanes, args.order, args.copies],
  parameters: [
    ["u32", args.images],
    ["u32", args.draws],
    ["u32", args.positions],
    ["u32", args.scale],
    ["u32", args.seed[0]],
    ["u32", args.seed[1]],
    ["f32", args.alpha],
  ],
  threads: args.images * args.draws,
}));

const naiveConflicts = naive("conflicts", conflictsWgsl, (args: NaiveArguments) => ({
  arrays: [args.candidates, args.codebook!, args.conflicts],
  parameters: [
    ["u32", args.images],
    ["u32", args.draws],
    ["u32", args.positions],
    ["u32", args.channels!],
    ["f32", args.conflictThreshold],
  ],
  threads: args.images * args.draws ** 2,
}));

const naiveChoose = naive("choose", THREEFRY_WGSL + chooseWgsl, (args: NaiveArguments) => ({
  arrays: [
    ...[args.scores, args.candidates, args.lanes, args.order],
    ...[args.copies, args.conflicts, args.tokens, args.decision],
  ],
  parameters: [
    ["u32", args.images],
    ["u32", args.draws],
    ["u32", args.positions],
    ["u32", args.representatives],
    ["u32", args.scale],
    ["u32", args.seed[0]],
    ["u32", args.seed[1]],
  ],
  threads: args.images,
}));

function selectCase(draws: number, images: number, calls: number): BenchCase {
  const positions = 4;
  const vocabulary = 4096;
  const channels = 32;
  const representatives = 10;
  return {
    kernel: "select",
    size: `${images} image${images === 1 ? "" : "s"}, N=${draws}, ${positions} positions`,
    calls,
    cost: {},
    allowed: { webgpu: 0, naive: 0 },
    setUp: (bench) => {
      const { device } = bench;
      const args = {
        scores: bench.upload(densities(images * draws)),
        candidates: bench.integers(images * draws * positions, 900),
        codebook: bench.codes(vocabulary, channels),
        lanes: bench.upload(Uint32Array.from({ length: images }, (_, image) => image)),
        order: bench.allocate(images * draws),
        tokens: bench.allocate(images * positions),
        decision: bench.allocate(images * decisionLength(representatives)),
        ...{ images, draws, positions, vocabulary, channels, representatives },
        // Wide enough for conflicts between maps of these codes, which are about 16 apart.
        ...{ alpha: 2.4, conflictThreshold: 10, seed: seedWords(7), scale: 1 },
      };
      let scratch: { copies: DeviceArray; conflicts: DeviceArray } | undefined;
      return {
        kernel: () => device.run(selectCandidates, args),
        naive: () => {
          scratch ??= {
            copies: bench.allocate(images * draws),
            conflicts: bench.allocate(images * draws ** 2),
          };
          for (const step of [naiveRank, naiveConflicts, naiveChoose]) {
            device.run(step, { ...args, ...scratch });
          }
        },
        outputs: [{ array: args.tokens, type: "u32" }, { array: args.order, type: "u32" }],
      };
    },
  };
}

/** Scores as densities have them: at least 1, most of them close together. */
function densities(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => 4 + (i * 7919 % 1009) / 500);
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  selectCase(50, 1, 32),
  selectCase(50, 8, 32),
  selectCase(1000, 1, 8),
];

benchCases(cases);
