/**
 * Tokens that are indices into a codebook, as VAR and FlexVAR have them: what the sampler wants of tokens, by
 * the kernels for codebooks.
 *
 * @module
 */

import { requireChoice } from "../../kernels/arguments.ts";
import { silvermanBandwidth } from "../../kernels/candidates/bandwidth.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { runDensity } from "../../kernels/candidates/group_density.ts";
import { codebookLookup } from "../../kernels/codebook/lookup.ts";
import { NO_TOKEN, sampleAndTruncate, sampleTokens } from "../../kernels/sampling/sample.ts";
import { selectCandidates } from "../../kernels/candidates/select.ts";
import { type SmoothArguments, smoothCodes } from "../../kernels/sampling/smooth.ts";
import { runTokenEvidence } from "../../kernels/sampling/token_evidence.ts";
import { unitRows } from "../../kernels/codebook/unit_rows.ts";
import type {
  CodeVectors,
  DrawArguments,
  EvidenceArguments,
  MixArguments,
  TokenDensityArguments,
  TokenSelectArguments,
  TokenSpace,
  VectorArguments,
} from "./token_space.ts";

/** How far vectors of likely tokens are mixed on a scale. */
export type Mixing = Pick<SmoothArguments, "sharpness" | "tau">;

/** What {@linkcode CodebookTokens} may be capable of. */
export interface CodebookTokensOptions {
  /**
   * How far vectors are mixed on a scale, by its place among all from 0 to 1, for a model that takes mixed
   * vectors; without it nothing is mixed.
   */
  readonly mixing?: (ratio: number) => Mixing;
}

/** Tokens that are indices into a codebook, which stays its owner's. */
export class CodebookTokens implements TokenSpace {
  readonly words = 1;
  readonly codebook: CodeVectors;
  readonly mix?: (device: Device, args: MixArguments) => void;

  /**
   * Makes the tokens of a codebook.
   *
   * @param codebook The vectors that tokens stand for.
   * @param options Whether, and how, the model takes mixed vectors, too.
   *
   * @example
   * ```ts
   * import { CodebookTokens } from "./codebook_tokens.ts";
   * import { CpuDevice } from "../../kernels/device/cpu_device.ts";
   * import { readFloats } from "../../kernels/device/device.ts";
   * import { assertEquals } from "@std/assert";
   *
   * using device = new CpuDevice();
   * using array = device.upload(new Float32Array([1, 2, 3, 4]));
   * const space = new CodebookTokens({ array, vocabulary: 2, channels: 2 });
   * using tokens = device.upload(new Uint32Array([1, 0, 1]));
   * using output = device.allocate(6);
   * space.vectors(device, { tokens, output, maps: 1, positions: 3 });
   * assertEquals([...await readFloats(output)], [3, 1, 3, 4, 2, 4]);
   * ```
   */
  constructor(codebook: CodeVectors, { mixing }: CodebookTokensOptions = {}) {
    this.codebook = codebook;
    if (mixing !== undefined) {
      this.mix = (device, { ratio, ...args }) => this.#mix(device, args, mixing(ratio));
    }
  }

  get logits(): number {
    return this.codebook.vocabulary;
  }

  get channels(): number {
    return this.codebook.channels;
  }

  draw(device: Device, args: DrawArguments): void {
    device.run(sampleTokens, { ...args, vocabulary: this.logits });
  }

  density(
    device: Device,
    { scores, distance, features, bandwidth, deviation, ...maps }: TokenDensityArguments,
  ): void {
    requireChoice(distance, ["euclidean", "cosine"], "distance", "estimate densities");
    requireChoice(bandwidth, ["image", "batch"], "bandwidth", "estimate densities");
    const { images, positions } = maps;
    const { array, vocabulary, channels } = this.codebook;
    using unit = distance === "cosine" ? this.#unitVectors(device) : undefined;
    const sizes = { ...maps, codebook: unit ?? array, vocabulary, channels, features };
    using widths = device.allocate(features === "joint" ? images : images * positions, "bandwidths");
    device.run(silvermanBandwidth, { ...sizes, output: widths, deviation });
    runDensity(device, { ...sizes, bandwidth: widths, scores, batchBandwidth: bandwidth === "batch" });
  }

  select(device: Device, args: TokenSelectArguments): void {
    const { array, vocabulary, channels } = this.codebook;
    device.run(selectCandidates, { ...args, codebook: array, vocabulary, channels });
  }

  vectors(device: Device, { tokens, output, maps, positions, layout = "planes" }: VectorArguments): void {
    const { array, vocabulary, channels } = this.codebook;
    device.run(codebookLookup, {
      tokens,
      codebook: array,
      output,
      images: maps,
      positions,
      vocabulary,
      channels,
      layout,
    });
  }

  evidence(device: Device, args: EvidenceArguments): void {
    runTokenEvidence(device, { ...args, vocabulary: this.logits });
  }

  firstMissing(map: Uint32Array): number {
    return map.indexOf(NO_TOKEN);
  }

  #mix(device: Device, { output, ...draw }: Omit<MixArguments, "ratio">, mixing: Mixing): void {
    const { array, vocabulary, channels } = this.codebook;
    const { images, positions } = draw;
    using truncation = device.allocate(2 * images * positions, "truncation");
    device.run(sampleAndTruncate, { ...draw, vocabulary, truncation });
    device.run(smoothCodes, {
      ...draw,
      vocabulary,
      truncation,
      codebook: array,
      output,
      channels,
      ...mixing,
    });
  }

  #unitVectors(device: Device): DeviceArray {
    const { array, vocabulary, channels } = this.codebook;
    const unit = device.allocate(array.length, "unit code vectors");
    device.run(unitRows, { input: array, output: unit, count: vocabulary, channels });
    return unit;
  }
}
