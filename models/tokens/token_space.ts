/**
 * What a token is belongs to the family: an index into a codebook, or bits. This is all that the sampler
 * wants of tokens, whatever they are: drawing them, measuring the density of candidates, selecting one of
 * them, and the vectors they stand for.
 *
 * Token maps are u32 [maps, positions, words]: `words` is 1 but for tokens of more than 32 bits.
 *
 * @module
 */

import type { BandwidthArguments } from "../../kernels/candidates/bandwidth.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import type { FeatureLayout } from "../../kernels/codebook/lookup.ts";
import type { EvidenceOutput, EvidenceShape } from "../../kernels/sampling/token_evidence.ts";
import type { SampleArguments } from "../../kernels/sampling/sample.ts";
import type { SelectArguments } from "../../kernels/candidates/select.ts";

/** The vectors behind tokens that are indices. */
export interface CodeVectors {
  /** Code vectors, f32 [vocabulary, channels]. */
  readonly array: DeviceArray;
  /** Number of codes V. */
  readonly vocabulary: number;
  /** Length of a code vector. */
  readonly channels: number;
}

/** How code vectors are compared. */
export type Distance = "euclidean" | "cosine";

/** Arguments of {@linkcode TokenSpace.draw}: those of `sampleTokens` but for the vocabulary. */
export type DrawArguments = Omit<SampleArguments, "vocabulary">;

/** Arguments of {@linkcode TokenSpace.density}. */
export interface TokenDensityArguments
  extends Required<Pick<BandwidthArguments, "tokens" | "images" | "draws" | "positions">> {
  /** Where the densities go, f32 [images, draws]. */
  readonly scores: DeviceArray;
  /** How code vectors are compared. */
  readonly distance: Distance;
  /** One density per position, summed, or one of the whole map. */
  readonly features: NonNullable<BandwidthArguments["features"]>;
  /** Bandwidth from each image alone, or averaged over the batch. */
  readonly bandwidth: "image" | "batch";
  /** Divisor of the standard deviation, N or N - 1. */
  readonly deviation: NonNullable<BandwidthArguments["deviation"]>;
}

/** Arguments of {@linkcode TokenSpace.expectedDensity}: the logits and settings that candidates come from. */
export interface ExpectedTokenDensityArguments
  extends Omit<DrawArguments, "tokens" | "lanes" | "seed" | "scale" | "firstDraw" | "compounding" | "draws"> {
  /** Candidates, u32 [images, draws, positions, words]. */
  readonly tokens: DeviceArray;
  /** Candidates of one image. */
  readonly draws: number;
  /** Number of candidates that a density stands for. */
  readonly nominal: number;
  /** Positions that do not count, 1 or 0 each, u32 [positions]. */
  readonly kept?: DeviceArray;
  /** Where the densities go, f32 [images, draws]. */
  readonly scores: DeviceArray;
}

/**
 * Arguments of {@linkcode TokenSpace.select}: those of `selectCandidates` but for what the tokens stand for.
 */
export type TokenSelectArguments = Omit<SelectArguments, "codebook" | "vocabulary" | "channels">;

/** Arguments of {@linkcode TokenSpace.vectors}. */
export interface VectorArguments {
  /** Tokens, u32 [maps, positions, words]. */
  readonly tokens: DeviceArray;
  /** Their vectors, f32 [maps, channels, positions], or for rows [maps, positions, channels]. */
  readonly output: DeviceArray;
  /** Number of maps. */
  readonly maps: number;
  /** Positions of a map. */
  readonly positions: number;
  /** Layout of `output`; `"planes"` by default. */
  readonly layout?: FeatureLayout;
}

/** Arguments of {@linkcode TokenSpace.mix}. */
export interface MixArguments extends DrawArguments {
  /** Where the vectors go, f32 [images, channels, positions]. */
  readonly output: DeviceArray;
  /** Place of the scale among all, from 0 for the first to 1 for the last, or 0 for an only one. */
  readonly ratio: number;
}

/** Arguments of {@linkcode TokenSpace.evidence}. */
export interface EvidenceArguments extends EvidenceShape, EvidenceOutput {
  /**
   * The logits as the model gave them, f32 [images, positions, logits of a position]; when `guided`, followed
   * by the unconditional ones of the same shape.
   */
  readonly logits: DeviceArray;
  /** The tokens that were taken, u32 [images, positions, words]. */
  readonly tokens: DeviceArray;
}

/** Arguments of {@linkcode TokenSpace.findMissing}. */
export interface MissingArguments extends Pick<SampleArguments, "logits" | "images" | "positions"> {
  /** Where the findings go, u32 [images]. */
  readonly missing: DeviceArray;
}

/** The tokens of a family. */
export interface TokenSpace {
  /** Words of a token. */
  readonly words: number;
  /** Logits of a position. */
  readonly logits: number;
  /** Length of the vector that a token stands for. */
  readonly channels: number;
  /** The vectors of all tokens, if they are indices. */
  readonly codebook: CodeVectors | undefined;
  /** Draws tokens from logits. */
  draw(device: Device, args: DrawArguments): void;
  /**
   * Measures the density of candidates by kernels over their vectors. What it allocates on the way it frees.
   */
  density(device: Device, args: TokenDensityArguments): void;
  /**
   * The density that candidates have on average among a number of them that are drawn in the same way, where
   * there is a closed form; without it there is none.
   */
  expectedDensity?(device: Device, args: ExpectedTokenDensityArguments): void;
  /** Selects one of the candidates of each image. */
  select(device: Device, args: TokenSelectArguments): void;
  /** The vectors that tokens stand for. */
  vectors(device: Device, args: VectorArguments): void;
  /**
   * Draws tokens, and mixes vectors instead of taking those of the tokens, for smoother pictures; a family
   * whose models do not take mixed vectors is without it.
   */
  mix?(device: Device, args: MixArguments): void;
  /**
   * Weighs how likely the tokens of a map are, under the conditional and under the unconditional logits: the
   * sums of the logarithms of their probabilities, whose difference is the model's own evidence that an image
   * fits its label.
   */
  evidence?(device: Device, args: EvidenceArguments): void;
  /**
   * Looks for positions at which nothing can be drawn, where the tokens themselves do not tell; see
   * {@linkcode TokenSpace.firstMissing}.
   */
  findMissing?(device: Device, args: MissingArguments): void;
  /**
   * First position of a map at which nothing could be drawn, or -1.
   *
   * @param map The map, read back.
   * @param found What {@linkcode TokenSpace.findMissing} found in the logits that it was drawn from, if it
   * was drawn.
   */
  firstMissing(map: Uint32Array, found?: number): number;
}
