/**
 * Cases of densities of candidates and of the choice among them.
 *
 * @module
 */

import { seedWords } from "../exact/threefry.ts";
import { silvermanBandwidth } from "../candidates/bandwidth.ts";
import { gaussianDensity } from "../candidates/density.ts";
import { runExpectedDensity } from "../candidates/expected_density.ts";
import { groupDensity } from "../candidates/group_density.ts";
import { groupSizes, groupTokens } from "../candidates/group_tokens.ts";
import { hammingBandwidth } from "../candidates/hamming_bandwidth.ts";
import { runHammingDensity } from "../candidates/hamming_density.ts";
import { decisionLength, selectCandidates } from "../candidates/select.ts";
import { sumDensities } from "../candidates/sum_densities.ts";
import type { DeviceArray } from "../device/device.ts";
import { hardLogits, type KernelCase } from "./kernel_case.ts";
import type { Workbench } from "./workbench.ts";

const SHAPE = { images: 2, draws: 70, positions: 5, vocabulary: 200, channels: 10 };
const BITS = { images: 2, draws: 70, positions: 5, bits: 37 };

/** Candidates with the bandwidth of each position. */
function candidates(
  bench: Workbench,
): { tokens: DeviceArray; codebook: DeviceArray; bandwidth: DeviceArray } {
  const { images, draws, positions, vocabulary, channels } = SHAPE;
  return {
    // Few different tokens, so that many candidates agree somewhere.
    tokens: bench.integers(images * draws * positions, vocabulary / 10),
    codebook: bench.codes(vocabulary, channels),
    bandwidth: bench.allocate(images * positions),
  };
}

/** The cases. */
export const CANDIDATE_CASES: readonly KernelCase[] = [
  {
    name: "bandwidth and density",
    promise: "bits",
    setUp: (bench) => {
      const args = { ...candidates(bench), ...SHAPE };
      const scores = bench.allocate(SHAPE.images * SHAPE.draws);
      return {
        run: () => {
          bench.device.run(silvermanBandwidth, { ...args, output: args.bandwidth });
          bench.device.run(gaussianDensity, { ...args, scores });
        },
        outputs: [args.bandwidth, scores],
      };
    },
  },
  {
    name: "bandwidth and density of groups",
    promise: "bits",
    setUp: (bench) => {
      const args = { ...candidates(bench), ...SHAPE };
      const scores = bench.allocate(SHAPE.images * SHAPE.draws);
      const { rows, ...lengths } = groupSizes(SHAPE);
      const part = {
        ...args,
        rows,
        scores,
        table: bench.allocate(lengths.table),
        members: bench.allocate(lengths.members),
        groups: bench.allocate(lengths.groups),
        vectors: bench.allocate(lengths.vectors),
        sums: bench.allocate(lengths.sums),
      };
      return {
        run: () => {
          bench.device.run(silvermanBandwidth, { ...args, output: args.bandwidth });
          bench.device.run(groupTokens, part);
          bench.device.run(groupDensity, part);
          bench.device.run(sumDensities, part);
        },
        outputs: [scores],
      };
    },
  },
  {
    name: "bandwidth and density of bits",
    promise: "bits",
    setUp: (bench) => {
      const { images, draws, positions } = BITS;
      const tokens = bench.integers(images * draws * positions * 2, 8);
      const bandwidth = bench.allocate(images * positions);
      const scores = bench.allocate(images * draws);
      return {
        run: () => {
          bench.device.run(hammingBandwidth, { tokens, output: bandwidth, ...BITS });
          runHammingDensity(bench.device, { tokens, bandwidth, scores, ...BITS });
        },
        outputs: [bandwidth, scores],
      };
    },
  },
  {
    name: "expected density of bits",
    promise: "bits",
    setUp: (bench) => {
      const { images, draws, positions, bits } = BITS;
      const logits = bench.upload(hardLogits(bench, images * positions, 2 * bits));
      const tokens = bench.integers(images * draws * positions * 2, 2 ** 32);
      const scores = bench.allocate(images * draws);
      const args = { logits, tokens, scores, ...BITS, nominal: 1000, topP: 0.97 };
      return { run: () => runExpectedDensity(bench.device, args), outputs: [scores] };
    },
  },
  {
    name: "select",
    promise: "bits",
    setUp: (bench) => {
      const { images, draws, positions } = SHAPE;
      const scores = bench.normalValues(images * draws).map((value) => 10 + Math.round(4 * value) / 4);
      const representatives = 6;
      const { tokens, codebook } = candidates(bench);
      const args = {
        scores: bench.upload(scores),
        candidates: tokens,
        codebook,
        lanes: bench.upload(new Uint32Array([0, 1])),
        order: bench.allocate(images * draws),
        tokens: bench.allocate(images * positions),
        decision: bench.allocate(images * decisionLength(representatives)),
        ...{ ...SHAPE, representatives, alpha: 2.4, conflictThreshold: 4, seed: seedWords(7), scale: 1 },
      };
      return {
        run: () => bench.device.run(selectCandidates, args),
        outputs: [args.order, args.tokens, args.decision],
      };
    },
  },
];
