/**
 * Tokens that are bits, as Infinity has them: what the sampler wants of tokens, by the kernels for bits. Bit
 * b of a token is bit b % 32 of its word b / 32.
 *
 * @module
 */

import { mustBe, requireChoice, requireInteger } from "../../kernels/arguments.ts";
import { runExpectedDensity } from "../../kernels/candidates/expected_density.ts";
import { hammingBandwidth } from "../../kernels/candidates/hamming_bandwidth.ts";
import { runHammingDensity } from "../../kernels/candidates/hamming_density.ts";
import { selectCandidates } from "../../kernels/candidates/select.ts";
import { bitCodes } from "../../kernels/codebook/bits.ts";
import type { Device } from "../../kernels/device/device.ts";
import { missingBits, NONE_MISSING } from "../../kernels/sampling/missing_bits.ts";
import { sampleBits } from "../../kernels/sampling/sample_bits.ts";
import { runBitEvidence } from "../../kernels/sampling/token_evidence.ts";
import type {
  DrawArguments,
  EvidenceArguments,
  ExpectedTokenDensityArguments,
  MissingArguments,
  TokenDensityArguments,
  TokenSelectArguments,
  TokenSpace,
  VectorArguments,
} from "./token_space.ts";

/** What {@linkcode BitTokens} are like. */
export interface BitTokensOptions {
  /**
   * Whether a token is a patch of 2×2 positions with a quarter of the bits each (Infinity-8B), which makes
   * the magnitude of its values the one of a position; off by default. `bitCodes` with a `patchWidth`, or
   * `shufflePixels`, lays them out as a map of positions.
   */
  readonly patchify?: boolean;
}

/**
 * Tokens of a number of bits, each drawn on its own from two logits. A token stands for a vector of as many
 * values: `1 / sqrt(bits)` for a 1 and minus that for a 0, and with patches twice that, as each of the four
 * positions has a vector of length 1.
 *
 * Truncation leaves two values as they are or one for certain: top-k matters if it is 1; top-p takes the
 * likelier value where the other's probability is at most `1 - topP`; min-p where it has less than that share
 * of the likelier one's. Applied once more, neither changes anything, so `compounding` draws the same bits as
 * independent candidates.
 */
export class BitTokens implements TokenSpace {
  /** Bits of a token. */
  readonly bits: number;
  readonly words: number;
  readonly logits: number;
  readonly channels: number;
  readonly codebook: undefined = undefined;
  /** What a bit stands for: plus or minus this. */
  readonly magnitude: number;

  /**
   * Makes tokens of bits.
   *
   * @param bits Bits of a token, 1 to 32768; densities are measured of up to 512.
   * @throws {RangeError} If there are no or too many bits, or with patches no multiple of 4.
   *
   * @example
   * ```ts
   * import { BitTokens } from "./bit_tokens.ts";
   * import { CpuDevice } from "../../kernels/device/cpu_device.ts";
   * import { readFloats } from "../../kernels/device/device.ts";
   * import { assertEquals } from "@std/assert";
   *
   * using device = new CpuDevice();
   * const space = new BitTokens(4);
   * using tokens = device.upload(new Uint32Array([0b0110, 0b1111]));
   * using output = device.allocate(8);
   * space.vectors(device, { tokens, output, maps: 1, positions: 2, layout: "rows" });
   * assertEquals([...await readFloats(output)], [-0.5, 0.5, 0.5, -0.5, 0.5, 0.5, 0.5, 0.5]);
   * ```
   */
  constructor(bits: number, { patchify = false }: BitTokensOptions = {}) {
    const action = "make tokens of bits";
    // Guidance takes the logits of a position as one row, of 65536 at most.
    this.bits = requireInteger(bits, "bits", action, { min: 1, max: 32768 });
    if (patchify && bits % 4 !== 0) {
      throw new RangeError(mustBe("a multiple of 4 for patches of 2×2 positions", bits, "bits", action));
    }
    this.words = Math.ceil(bits / 32);
    this.logits = 2 * bits;
    this.channels = bits;
    this.magnitude = 1 / Math.sqrt(patchify ? bits / 4 : bits);
  }

  draw(device: Device, { compounding: _changesNothing, ...args }: DrawArguments): void {
    device.run(sampleBits, { ...args, bits: this.bits });
  }

  /**
   * The densities of bits as numbers 0 and 1, those of the vectors but for what is added to bandwidths. All
   * vectors have one length, so `"cosine"` compares the same distances as `"euclidean"`.
   */
  density(device: Device, args: TokenDensityArguments): void {
    const { scores, distance, features, bandwidth, deviation, ...maps } = args;
    requireChoice(distance, ["euclidean", "cosine"], "distance", ACTION);
    requireChoice(bandwidth, ["image", "batch"], "bandwidth", ACTION);
    if (features !== "position") {
      throw new RangeError(mustBe('"position" for tokens of bits', features, "features", ACTION));
    }
    const sizes = { ...maps, bits: this.bits };
    using widths = device.allocate(maps.images * maps.positions, "bandwidths");
    device.run(hammingBandwidth, { ...sizes, output: widths, deviation });
    runHammingDensity(device, {
      ...sizes,
      bandwidth: widths,
      scores,
      batchBandwidth: bandwidth === "batch",
    });
  }

  expectedDensity(device: Device, args: ExpectedTokenDensityArguments): void {
    runExpectedDensity(device, { ...args, bits: this.bits });
  }

  /** Conflicts go by the distance of the vectors: n different bits are `2 · magnitude · sqrt(n)` apart. */
  select(device: Device, { positions, conflictThreshold, ...args }: TokenSelectArguments): void {
    device.run(selectCandidates, {
      ...args,
      positions: positions * this.words,
      conflictThreshold: conflictThreshold / (2 * this.magnitude),
    });
  }

  vectors(device: Device, { tokens, output, maps, positions, layout = "planes" }: VectorArguments): void {
    const { bits: channels, magnitude } = this;
    device.run(bitCodes, {
      bits: tokens,
      output,
      images: maps,
      tokens: positions,
      channels,
      magnitude,
      layout,
    });
  }

  evidence(device: Device, args: EvidenceArguments): void {
    runBitEvidence(device, { ...args, bits: this.bits });
  }

  findMissing(device: Device, args: MissingArguments): void {
    device.run(missingBits, { ...args, bits: this.bits });
  }

  firstMissing(_map: Uint32Array, found: number = NONE_MISSING): number {
    return found === NONE_MISSING ? -1 : found;
  }
}

const ACTION = "estimate densities";
