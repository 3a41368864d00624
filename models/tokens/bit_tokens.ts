/** Temporary. @module */
import { bitCodes } from "../../kernels/codebook/bits.ts";
import type { Device } from "../../kernels/device/device.ts";
import { hammingBandwidth } from "../../kernels/candidates/hamming_bandwidth.ts";
import { runHammingDensity } from "../../kernels/candidates/hamming_density.ts";
import { sampleBits } from "../../kernels/sampling/sample_bits.ts";
import { selectCandidates } from "../../kernels/candidates/select.ts";
import type {
  DrawArguments,
  TokenDensityArguments,
  TokenSelectArguments,
  TokenSpace,
  VectorArguments,
} from "./token_space.ts";
export class BitTokens implements TokenSpace {
  readonly words: number;
  readonly logits: number;
  readonly channels: number;
  readonly codebook = undefined;
  constructor(readonly bits: number, readonly options: { magnitude?: number } = {}) {
    this.words = Math.ceil(bits / 32);
    this.logits = 2 * bits;
    this.channels = bits;
  }
  draw(device: Device, { minP: _none, compounding: _off, ...args }: DrawArguments): void {
    device.run(sampleBits, { ...args, bits: this.bits });
  }
  density(device: Device, args: TokenDensityArguments): void {
    const { images, positions, deviation } = args;
    using bandwidth = device.allocate(images * positions, "bandwidths");
    device.run(hammingBandwidth, { ...args, output: bandwidth, bits: this.bits, deviation });
    runHammingDensity(device, { ...args, bandwidth, bits: this.bits });
  }
  select(device: Device, args: TokenSelectArguments): void {
    using codebook = device.allocate(1, "no codebook");
    const positions = args.positions * this.words;
    device.run(selectCandidates, { ...args, positions, codebook, vocabulary: 1, channels: 1 });
  }
  vectors(device: Device, { tokens, output, maps, positions, layout = "planes" }: VectorArguments): void {
    device.run(bitCodes, {
      bits: tokens,
      output,
      images: maps,
      tokens: positions,
      channels: this.bits,
      layout,
    });
  }
  firstMissing(): number {
    return -1;
  }
}
