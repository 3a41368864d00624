/**
 * Cases of random numbers and of what becomes of logits.
 *
 * @module
 */

import { PURPOSE, randomWords, seedWords } from "../exact/threefry.ts";
import { coarseContrast, createPriorTable } from "../sampling/coarse_contrast.ts";
import { guidance } from "../sampling/guidance.ts";
import { missingBits } from "../sampling/missing_bits.ts";
import { runProjectedGuidance } from "../sampling/projected_guidance.ts";
import { sampleAndTruncate, type SampleArguments, sampleTokens } from "../sampling/sample.ts";
import { sampleBits } from "../sampling/sample_bits.ts";
import { smoothCodes } from "../sampling/smooth.ts";
import { runBitEvidence, runTokenEvidence } from "../sampling/token_evidence.ts";
import { hardLogits, type KernelCase } from "./kernel_case.ts";

const SEED = seedWords(7);
const POSITIONS = 9;
const VOCABULARY = 1000;

function sampling(name: string, options: Partial<SampleArguments>): KernelCase {
  return {
    name: `sample: ${name}`,
    promise: "bits",
    setUp: (bench) => {
      const { draws = 1, guided = false } = options;
      const logits = bench.upload(hardLogits(bench, (guided ? 2 : 1) * POSITIONS, VOCABULARY));
      const tokens = bench.allocate(POSITIONS * draws);
      const lanes = bench.upload(new Uint32Array([3]));
      const sizes = { images: 1, positions: POSITIONS, vocabulary: VOCABULARY };
      const args = { logits, tokens, lanes, ...sizes, seed: SEED, scale: 1, ...options };
      return { run: () => bench.device.run(sampleTokens, args), outputs: [tokens] };
    },
  };
}

/** The cases. */
export const SAMPLING_CASES: readonly KernelCase[] = [
  {
    name: "random words",
    promise: "bits",
    setUp: (bench) => {
      const output = bench.allocate(2 * 333);
      const args = { output, count: 333, seed: SEED, image: 2, scale: 1, purpose: PURPOSE.token };
      return { run: () => bench.device.run(randomWords, args), outputs: [output] };
    },
  },
  {
    name: "guidance",
    promise: "bits",
    setUp: (bench) => {
      const count = POSITIONS * VOCABULARY;
      const logits = bench.upload(hardLogits(bench, 2 * POSITIONS, VOCABULARY));
      const guided = bench.allocate(count);
      const args = { logits, guided, images: 1, positions: POSITIONS, vocabulary: VOCABULARY, weight: 1.5 };
      return { run: () => bench.device.run(guidance, args), outputs: [guided] };
    },
  },
  {
    name: "projected guidance",
    promise: "bits",
    setUp: (bench) => {
      const length = POSITIONS * VOCABULARY;
      const conditional = bench.upload(hardLogits(bench, POSITIONS, VOCABULARY));
      const unconditional = bench.upload(hardLogits(bench, POSITIONS, VOCABULARY));
      const guided = bench.allocate(length);
      const rule = { rows: 1, length, weight: 1.5, eta: 0.2, normThreshold: 2 };
      return {
        run: () => runProjectedGuidance(bench.device, { conditional, unconditional, guided, ...rule }),
        outputs: [guided],
      };
    },
  },
  {
    name: "coarse contrast",
    promise: "bits",
    setUp: (bench) => {
      const table = bench.use(
        createPriorTable(bench.device, { width: 3, height: 5 }, { width: 5, height: 6 }),
      );
      const coarse = bench.normal(15 * VOCABULARY, 2.5);
      const logits = bench.upload(hardLogits(bench, 30, VOCABULARY));
      const args = { coarse, logits, table, lanes: 1, vocabulary: VOCABULARY, weight: 0.3 };
      return { run: () => bench.device.run(coarseContrast, args), outputs: [logits] };
    },
  },
  sampling("plain, 20 draws", { draws: 20 }),
  sampling("top-k, top-p, guidance, 20 draws", {
    draws: 20,
    topK: 300,
    topP: 0.9,
    guided: true,
    weight: 1.5,
    temperature: 0.8,
  }),
  sampling("min-p, each draw from what the last one left", { draws: 5, minP: 0.05, compounding: true }),
  {
    name: "sample and truncate, smooth",
    // The header of smooth.wgsl: probabilities are floats there, and sharp ones near a tie are far apart.
    promise: 1e-3,
    setUp: (bench) => {
      const channels = 16;
      const logits = bench.normal(POSITIONS * VOCABULARY, 2.5);
      const codebook = bench.normal(VOCABULARY * channels);
      const lanes = bench.upload(new Uint32Array([0]));
      const truncation = bench.allocate(2 * POSITIONS);
      const tokens = bench.allocate(POSITIONS);
      const output = bench.allocate(POSITIONS * channels);
      const row = { logits, lanes, images: 1, positions: POSITIONS, vocabulary: VOCABULARY, seed: SEED };
      const args = { ...row, truncation, scale: 5 };
      return {
        run: () => {
          bench.device.run(sampleAndTruncate, { ...args, tokens, topK: 300 });
          bench.device.run(smoothCodes, { ...args, codebook, output, channels, sharpness: 1.5, tau: 0.14 });
        },
        outputs: [output],
      };
    },
  },
  {
    name: "sample bits",
    promise: "bits",
    setUp: (bench) => {
      const [bits, draws] = [37, 20];
      const logits = bench.upload(hardLogits(bench, 2 * POSITIONS, 2 * bits));
      const lanes = bench.upload(new Uint32Array([0]));
      const tokens = bench.allocate(draws * POSITIONS * 2);
      const sizes = { images: 1, positions: POSITIONS, bits, draws, guided: true, weight: 2, topP: 0.97 };
      const args = { logits, lanes, tokens, ...sizes, seed: SEED, scale: 3 };
      return { run: () => bench.device.run(sampleBits, args), outputs: [tokens] };
    },
  },
  {
    name: "missing bits",
    promise: "bits",
    setUp: (bench) => {
      const bits = 37;
      const logits = hardLogits(bench, POSITIONS, 2 * bits);
      // Neither value of some bits can be drawn.
      logits.fill(-Infinity, 10, 12);
      const missing = bench.allocate(1);
      const args = { logits: bench.upload(logits), missing, images: 1, positions: POSITIONS, bits };
      return { run: () => bench.device.run(missingBits, args), outputs: [missing] };
    },
  },
  {
    name: "evidence of tokens",
    promise: "bits",
    setUp: (bench) => {
      const logits = bench.upload(hardLogits(bench, 2 * POSITIONS, VOCABULARY));
      const tokens = bench.integers(POSITIONS, VOCABULARY);
      const evidence = bench.allocate(2);
      const args = { logits, tokens, evidence, images: 1, positions: POSITIONS, vocabulary: VOCABULARY };
      return {
        run: () => runTokenEvidence(bench.device, { ...args, guided: true }),
        outputs: [evidence],
      };
    },
  },
  {
    name: "evidence of bits",
    promise: "bits",
    setUp: (bench) => {
      const bits = 37;
      const logits = bench.upload(hardLogits(bench, 2 * POSITIONS, 2 * bits));
      const tokens = bench.integers(2 * POSITIONS, 2 ** 32);
      const evidence = bench.allocate(2);
      const args = { logits, tokens, evidence, images: 1, positions: POSITIONS, bits, guided: true };
      return { run: () => runBitEvidence(bench.device, args), outputs: [evidence] };
    },
  },
];
