/**
 * The evidence of tokens, under both logits of one image: VAR's last map of indices, and Infinity's of bits.
 *
 * @module
 */

import {
  bitEvidence,
  type DeviceArray,
  runBitEvidence,
  runTokenEvidence,
  type SumEvidenceArguments,
  tokenEvidence,
} from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import sumWgsl from "./naive/sum_rows.wgsl" with { type: "text" };
import naiveWgsl from "./naive/token_evidence.wgsl" with { type: "text" };

interface NaiveArguments {
  readonly logits: DeviceArray;
  readonly tokens: DeviceArray;
  /** f32 [2, positions, bits]. */
  readonly logarithms: DeviceArray;
  readonly positions: number;
  readonly bits: number;
  /** 0 for bits. */
  readonly vocabulary: number;
}

const naiveEvidence = naive("token_evidence", naiveWgsl, (args: NaiveArguments) => {
  const { logits, tokens, logarithms, positions, bits, vocabulary } = args;
  const rows = 2 * positions * bits;
  return {
    arrays: [logits, tokens, logarithms],
    parameters: [
      ["u32", rows],
      ["u32", 1],
      ["u32", 2],
      ["u32", positions],
      ["u32", Math.ceil(bits / 32)],
      ["u32", bits],
      ["u32", vocabulary || 2],
      ["u32", 0],
    ],
    constants: { is_index: Number(vocabulary > 0) },
    threads: rows,
  };
});

const naiveSum = naive("sum_rows", sumWgsl, ({ sums, evidence, rows, items }: SumEvidenceArguments) => ({
  arrays: [sums, evidence],
  parameters: [["u32", rows], ["u32", items]],
  workgroups: rows,
}));

/** Of bits if there is no vocabulary. */
function evidenceCase(positions: number, { vocabulary = 0, bits = 1, calls = 8 }): BenchCase {
  const isIndex = vocabulary > 0;
  const logitCount = 2 * positions * bits * (isIndex ? vocabulary : 2);
  return {
    kernel: (isIndex ? tokenEvidence : bitEvidence).name.replace("_", " "),
    size: isIndex ? `${positions} tokens of ${vocabulary}` : `${positions} x ${bits} bits`,
    calls,
    cost: { bytes: 4 * logitCount + 8 },
    shape: { positions, vocabulary, bits },
    allowed: { webgpu: 0, naive: 1e-4 },
    setUp: (bench) => {
      const logits = bench.normal(logitCount, 2.5);
      const words = positions * Math.ceil(bits / 32);
      const tokens = bench.integers(words, isIndex ? vocabulary : 2 ** 32);
      const evidence = bench.allocate(2);
      const logarithms = bench.allocate(2 * positions * bits);
      const args = { logits, tokens, evidence, images: 1, positions, guided: true };
      return {
        kernel: () => {
          if (isIndex) runTokenEvidence(bench.device, { ...args, vocabulary });
          else runBitEvidence(bench.device, { ...args, bits });
        },
        naive: () => {
          bench.device.run(naiveEvidence, { logits, tokens, logarithms, positions, bits, vocabulary });
          bench.device.run(naiveSum, { sums: logarithms, evidence, rows: 2, items: positions * bits });
        },
        inputs: { logits },
        outputs: [{ array: evidence, type: "f32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  evidenceCase(256, { vocabulary: 4096 }),
  evidenceCase(4096, { bits: 32 }),
];

benchCases(cases);
