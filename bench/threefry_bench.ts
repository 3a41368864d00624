/**
 * Random words: all arithmetic.
 *
 * @module
 */

import { PURPOSE, randomWords, type RandomWordsArguments, seedWords, THREEFRY_WGSL } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import naiveWgsl from "./naive/random_words.wgsl" with { type: "text" };

const naiveRandomWords = naive("random_words", THREEFRY_WGSL + naiveWgsl, (args: RandomWordsArguments) => ({
  arrays: [args.output],
  parameters: randomWords.plan(args).parameters,
  threads: 2 * args.count,
}));

/** 20 rounds of an addition, a rotation (3) and a xor, and six injections of 2 to 3 additions. */
const OPERATIONS_PER_PAIR = 20 * 5 + 15;

function randomWordsCase(count: number, size: string): BenchCase {
  return {
    kernel: "random_words",
    size,
    calls: 8,
    cost: { bytes: 8 * count, operations: count * OPERATIONS_PER_PAIR },
    allowed: { webgpu: 0, naive: 0 },
    setUp: (bench) => {
      const output = bench.allocate(2 * count);
      const args = { output, count, seed: seedWords(7), image: 0, scale: 1, purpose: PURPOSE.token };
      return {
        kernel: () => bench.device.run(randomWords, args),
        naive: () => bench.device.run(naiveRandomWords, args),
        outputs: [{ array: output, type: "u32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [randomWordsCase(2 ** 20, "2^20 draws")];

benchCases(cases);
