/**
 * How much memory a model with a class-conditional transformer and a convolutional tokenizer takes where it
 * runs, from its sizes alone. The sums are estimates of the peak, held against what loaded models really
 * took; whether they fit is left to `graphs/fit.ts`.
 *
 * @module
 */

import { keptShare, largestMapWords, liveDecoderBytes } from "../autoencoder/memory.ts";
import { GUIDED_ROWS, positionsOf, scalesBytes } from "../costs.ts";
import type { CacheDtype } from "../graphs/cache_values.ts";
import type { BytesNeeded } from "../graphs/fit.ts";
import { peakBytes, pooledBytes } from "../graphs/peak.ts";
import type { Provider } from "../graphs/room.ts";
import type { ModelCosts } from "../loading.ts";
import type { MapSize } from "../schedule.ts";
import type { KeptDtype } from "../weights/dtype.ts";
import { bytesAs, type ModelTensor } from "../weights/model_tensor.ts";
import { storedDtype } from "./precision.ts";
import { conditionWords, keptConditionBytes } from "./transformer/condition.ts";
import type { TransformerConfig } from "./transformer/config.ts";

/** Sizes of a model, as far as its memory depends on them. */
export interface ModelSizes {
  /** The transformer. */
  readonly transformer: TransformerConfig;
  /** Logits of a position. */
  readonly vocabulary: number;
  /** Token maps of its usual schedule, coarse to fine. */
  readonly maps: readonly MapSize[];
  /** Levels of the tokenizer's decoder from the finest to the coarsest, or `null` where there is none. */
  readonly decoder: readonly { readonly channels: number }[] | null;
  /** The tensors of its two checkpoints, without the buffers that serve training only. */
  readonly tensors: {
    readonly transformer: readonly ModelTensor[];
    readonly tokenizer: readonly ModelTensor[];
  };
}

/** What a model's memory depends on besides its sizes. */
export interface MemoryOptions {
  /** Type of the large weights. */
  readonly dtype: KeptDtype;
  /** Who computes. */
  readonly provider: Provider;
  /** Type in which keys and values are kept; `"f32"` by default. */
  readonly cacheDtype?: CacheDtype;
  /** Token maps of a schedule; those of the usual one by default. */
  readonly maps?: readonly MapSize[];
}

/** Bytes that a model takes. */
export interface MemoryEstimate {
  /** As long as it is loaded. */
  readonly weights: number;
  /** For each image of a guided batch, at the peak. */
  readonly image: number;
}

/**
 * Weights that the graph `transformer` reads, which stay in the type they are stored in. All others become
 * f32 when they are loaded.
 */
const TRANSFORMER_WEIGHT = /^(blocks\.\d+\.(attn|ffn)|head|word_embed)\./;
/** Projections of the blocks, which {@linkcode keptConditionBytes} accounts for. */
const PROJECTION = /^blocks\.\d+\.ada_lin\./;
/** Tensors of the tokenizer that only encoding needs; they are loaded when something is encoded. */
const ENCODER = /^(encoder|quant_conv)\./;

/**
 * What a model of these sizes takes where it runs.
 *
 * @param cacheDtype Type in which keys and values are kept.
 */
export function costsOf(model: ModelSizes, cacheDtype: CacheDtype = "f32"): ModelCosts {
  return {
    small: isSmall(model),
    transformer: storedBytes(model.tensors.transformer, "f32"),
    weights: (dtype, provider) => estimateMemory(model, { dtype, provider, cacheDtype }).weights,
    image: (dtype, provider, maps) => {
      return estimateMemory(model, { dtype, provider, cacheDtype, ...(maps && { maps }) }).image;
    },
    largestArray: (dtype, maps) => largestArrayBytes(model, { dtype, ...(maps && { maps }) }),
    largestActivation: (maps) => largestActivationBytes(model, maps),
  };
}

/** Estimates the memory of a model. */
export function estimateMemory(model: ModelSizes, options: MemoryOptions): MemoryEstimate {
  const { dtype, provider, cacheDtype, maps = model.maps } = options;
  const { transformer, vocabulary, decoder } = model;
  const conditions = 2 * 4 * conditionWords(transformer);
  const scales = scalesBytes({ ...transformer, logits: vocabulary }, maps, provider, cacheDtype);
  const image = conditions +
    peakBytes({ scales, decoder: liveDecoderBytes(decoder, maps.at(-1)!) }, provider);
  return { weights: weightBytes(model, dtype) + pooledBytes(image, provider), image };
}

/** What a model needs for its weights and one guided image, by the type of its large weights. */
export function bytesNeeded(model: ModelSizes, options: Omit<MemoryOptions, "dtype">): BytesNeeded {
  return (dtype) => {
    const { weights, image } = estimateMemory(model, { ...options, dtype });
    return weights + image;
  };
}

function weightBytes({ transformer, tensors }: ModelSizes, dtype: KeptDtype): number {
  let bytes = keptConditionBytes(transformer);
  let largestCast = 0;
  for (const { name, shape } of tensors.transformer) {
    if (PROJECTION.test(name)) continue;
    const stored = TRANSFORMER_WEIGHT.test(name) ? storedDtype(name, shape, dtype) : "f32";
    if (stored === "f16") largestCast = Math.max(largestCast, bytesAs(shape, "f32"));
    bytes += bytesAs(shape, stored);
    // The sums that are added to embedded features, beside what they are made of.
    if (name === "pos_1LC") bytes += bytesAs(shape, "f32");
  }
  for (const { name, shape } of tensors.tokenizer) {
    if (!ENCODER.test(name)) bytes += bytesAs(shape, "f32") * keptShare(name);
  }
  return bytes + largestCast;
}

/** Bytes of the largest array that a guided image needs. */
export function largestArrayBytes(
  model: ModelSizes,
  { dtype, maps = model.maps }: Pick<MemoryOptions, "dtype" | "maps">,
): number {
  // Halves are cast before they are used, and projections are fed as f32.
  const weights = model.tensors.transformer.map(({ name, shape }) => {
    const stored = storedDtype(name, shape, dtype);
    return bytesAs(shape, stored === "f16" ? "f32" : stored);
  });
  return Math.max(largestActivationBytes(model, maps), ...weights);
}

/** Bytes of the largest array of a batch for each of its guided images. */
export function largestActivationBytes(model: ModelSizes, maps: readonly MapSize[] = model.maps): number {
  const { transformer: { width }, vocabulary, decoder } = model;
  const lengths = maps.map(positionsOf);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const words = [
    largestMapWords(decoder, maps.at(-1)!),
    // Scores of the decoder's attention, which outgrow small maps.
    decoder === null ? 0 : lengths.at(-1)! ** 2,
    GUIDED_ROWS * lengths.at(-1)! * Math.max(4 * width, vocabulary),
    GUIDED_ROWS * total * width,
  ];
  return 4 * Math.max(...words);
}

/** Bytes of a small transformer in f32. */
const SMALL_BYTES = 256 * 2 ** 20;

/**
 * Whether a transformer is so small that its halves are widened everywhere: casts in each run would cost more
 * than memory does.
 */
export function isSmall(model: ModelSizes): boolean {
  return storedBytes(model.tensors.transformer, "f32") <= SMALL_BYTES;
}

/** Bytes of the tensors as they are stored in files. */
export function storedBytes(tensors: readonly ModelTensor[], dtype: KeptDtype): number {
  return tensors.reduce((sum, { name, shape }) => {
    return sum + bytesAs(shape, storedDtype(name, shape, dtype));
  }, 0);
}
