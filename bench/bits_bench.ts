/**
 * Bits and codes: the last scale of a bitwise model at 1024 pixels, and at 256.
 *
 * @module
 */

import {
  bitCodes,
  type BitCodesArguments,
  signBits,
  type SignBitsArguments,
} from "../kernels/codebook/bits.ts";
import type { FeatureLayout } from "../kernels/mod.ts";
import { type BenchCase, naive } from "./case.ts";
import { benchCases } from "./groups.ts";
import bitCodesWgsl from "./naive/bit_codes.wgsl" with { type: "text" };
import signBitsWgsl from "./naive/sign_bits.wgsl" with { type: "text" };

const naiveBitCodes = naive("bit_codes", bitCodesWgsl, (args: BitCodesArguments) => ({
  arrays: [args.bits, args.output],
  parameters: [
    ["u32", args.images * args.tokens],
    ["u32", args.tokens],
    ["u32", args.channels],
    ["u32", args.layout === "planes" ? 1 : 0],
  ],
  threads: args.images * args.tokens,
}));

const naiveSignBits = naive("sign_bits", signBitsWgsl, (args: SignBitsArguments) => ({
  arrays: [args.features, args.bits],
  parameters: [
    ["u32", args.images * args.tokens],
    ["u32", args.tokens],
    ["u32", args.channels],
    ["u32", args.layout === "planes" ? 1 : 0],
  ],
  threads: args.images * args.tokens,
}));

function bitCodesCase(images: number, tokens: number, channels: number, layout: FeatureLayout): BenchCase {
  return {
    kernel: "bits to codes",
    size: `${images}×${tokens} tokens, ${channels} bits, ${layout}`,
    calls: 16,
    cost: { bytes: images * tokens * (4 * Math.ceil(channels / 32) + 4 * channels) },
    shape: { positions: images * tokens, bits: channels },
    allowed: { webgpu: 0, naive: 1e-6 },
    setUp: (bench) => {
      const bits = bench.integers(images * tokens * Math.ceil(channels / 32), 2 ** 32);
      const output = bench.allocate(images * tokens * channels);
      const args = { bits, output, images, tokens, channels, layout };
      return {
        kernel: () => bench.device.run(bitCodes, args),
        naive: () => bench.device.run(naiveBitCodes, args),
        inputs: { tokens: bits },
        outputs: [{ array: output, type: "f32" }],
      };
    },
  };
}

function signBitsCase(images: number, tokens: number, channels: number, layout: FeatureLayout): BenchCase {
  return {
    kernel: "codes to bits",
    size: `${images}×${tokens} tokens, ${channels} bits, ${layout}`,
    calls: 16,
    cost: { bytes: images * tokens * (4 * Math.ceil(channels / 32) + 4 * channels) },
    shape: { positions: images * tokens, bits: channels },
    allowed: { webgpu: 0, naive: 0 },
    setUp: (bench) => {
      const features = bench.normal(images * tokens * channels);
      const bits = bench.allocate(images * tokens * Math.ceil(channels / 32));
      const args = { features, bits, images, tokens, channels, layout };
      return {
        kernel: () => bench.device.run(signBits, args),
        naive: () => bench.device.run(naiveSignBits, args),
        inputs: { features },
        outputs: [{ array: bits, type: "u32" }],
      };
    },
  };
}

/** The cases of this file. */
export const cases: readonly BenchCase[] = [
  bitCodesCase(8, 256, 32, "planes"),
  bitCodesCase(8, 4096, 32, "planes"),
  bitCodesCase(8, 4096, 32, "rows"),
  signBitsCase(8, 4096, 32, "planes"),
  signBitsCase(8, 4096, 32, "rows"),
];

benchCases(cases);
