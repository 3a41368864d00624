/**
 * How much memory an Infinity model takes where it runs, and what its operations depend on, from its sizes
 * alone. What is the same for all transformers and decoders is in `costs.ts`.
 *
 * @module
 */

import { GUIDED_ROWS, positionsOf, scalesBytes } from "../costs.ts";
import { tiledMemory } from "../autoencoder/decoder_stages.ts";
import { keptShare, largestMapWords, liveDecoderBytes } from "../autoencoder/memory.ts";
import type { LoadFamilyOptions } from "../family.ts";
import { peakBytes, pooledBytes } from "../graphs/peak.ts";
import type { ModelWork } from "../loaded_model.ts";
import type { ModelCosts } from "../loading.ts";
import type { MapSize } from "../schedule.ts";
import { t5Tensors } from "../text/t5_graph.ts";
import type { KeptDtype } from "../weights/dtype.ts";
import { bytesAs, type ModelTensor } from "../weights/model_tensor.ts";
import {
  blockName,
  featureMap,
  type InfinityConfig,
  tokenizerTensors,
  transformerTensors,
} from "./config.ts";
import { INFINITY_LAYOUT } from "./layout.ts";
import { storedDtype } from "./precision.ts";
import { PIXELS, usualMaps } from "./schedule.ts";

/** Tokens of a prompt with which an image is reckoned; longer ones take more. */
const PROMPT_TOKENS = 64;
/** Tensors of the tokenizer that only encoding needs; they are loaded when something is encoded. */
const ENCODER = /^encoder\./;
/** Bytes of a small transformer in f32. */
const SMALL_BYTES = 256 * 2 ** 20;

/**
 * What a model of given sizes takes.
 *
 * @param keeping Whether blocks are read when their turn comes, and how keys and values are kept.
 */
export function infinityCosts(
  config: InfinityConfig,
  keeping: Pick<LoadFamilyOptions, "offload" | "cacheDtype"> = {},
): ModelCosts {
  const { offload = "none", cacheDtype = "f32" } = keeping;
  const { depth, width, hidden, bits, scales, patchify, tokenizer, text } = config;
  const transformer = transformerTensors(config);
  const networks = tokenizerTensors(tokenizer).filter(({ name }) => !ENCODER.test(name));
  const networkBytes = networks.reduce((sum, { name, shape }) => {
    return sum + bytesAs(shape, "f32") * keptShare(name);
  }, 0);
  const prompts = text === undefined ? [] : t5Tensors(text);
  // Pictures have many sizes, so a model fits if it can paint the smallest published one. Whether it can
  // paint what is asked for, the schedule tells.
  const usual = usualMaps(Math.min(scales, PIXELS["0.06M"]!));
  /** Of the decoder in one piece, or by strips where that takes less. */
  const decoderBytes = (map: MapSize): { readonly live: number; readonly largest: number } => {
    if (tokenizer.decoder === null) return { live: 0, largest: 0 };
    const strips = tiledMemory({ ...tokenizer, layout: INFINITY_LAYOUT }, map);
    return {
      live: Math.min(liveDecoderBytes(tokenizer.decoder, map), strips.bytes),
      largest: Math.min(4 * largestMapWords(tokenizer.decoder, map), strips.largestArray),
    };
  };
  const image: ModelCosts["image"] = (_dtype, provider, maps = usual) => {
    // First token, modulations, and keys and values of all blocks.
    const conditions = GUIDED_ROWS * 4 * width * (1 + 6 + 2 + 2 * depth * PROMPT_TOKENS);
    const running = scalesBytes(
      { ...config, logits: 2 * bits },
      maps,
      provider,
      cacheDtype,
    );
    const decoder = decoderBytes(featureMap(maps.at(-1)!, patchify)).live;
    return conditions + peakBytes({ scales: running, decoder }, provider);
  };
  const largestActivationOf = (maps: readonly MapSize[] = usual): number => {
    const last = positionsOf(maps.at(-1)!);
    const total = maps.reduce((sum, map) => sum + positionsOf(map), 0);
    return Math.max(
      decoderBytes(featureMap(maps.at(-1)!, patchify)).largest,
      4 * GUIDED_ROWS * last * Math.max(hidden, 3 * width, 2 * bits),
      4 * GUIDED_ROWS * total * width,
    );
  };
  // Of a model in parts the largest part has to fit: a block, or what texts are projected with.
  const block = blockName(config, 0);
  const resident = offload === "none"
    ? transformer
    : transformer.filter(({ name }) => name.startsWith(`${block}.`));
  return {
    small: offload === "none" && bytesOf(transformer, "f32") <= SMALL_BYTES,
    transformer: bytesOf(transformer, "f32"),
    weights: (dtype, provider) => {
      return bytesOf(resident, dtype) + largestCast(transformer, dtype) + networkBytes +
        pooledBytes(image(dtype, provider), provider);
    },
    image,
    transient: (dtype) => bytesOf(prompts, dtype) + largestCast(prompts, dtype),
    largestArray: (dtype, maps) => {
      const weights = [...transformer, ...prompts].map(({ name, shape }) => {
        const stored = storedDtype(name, shape, dtype);
        return bytesAs(shape, stored === "f16" ? "f32" : stored);
      });
      return Math.max(largestActivationOf(maps), ...weights);
    },
    largestActivation: largestActivationOf,
  };
}

/**
 * What the operations of a model depend on. Prompts are reckoned with 64 tokens, whatever they have:
 * attention to 512 would take 2 % of the transformer of 2B, that to 64 takes 3 % of the bundled one.
 */
export function infinityWork(config: InfinityConfig): Omit<ModelWork, "decoded"> {
  const { width, bits } = config;
  return {
    transformer: { ...config, logits: 2 * bits, features: bits, text: PROMPT_TOKENS },
    // Those of all blocks, which share them, and of the head.
    modulations: 2 * (6 + 2) * width ** 2,
  };
}

/** Bytes of the largest array of attention scores of a guided image, where all of them are held at once. */
export function largestScores(maps: readonly MapSize[], heads: number): number {
  let total = 0;
  return Math.max(...maps.map((map) => {
    const length = positionsOf(map);
    total += length;
    return GUIDED_ROWS * heads * length * total * 4;
  }));
}

/** Bytes of tensors as they are stored. */
function bytesOf(tensors: readonly ModelTensor[], dtype: KeptDtype): number {
  return tensors.reduce((sum, { name, shape }) => sum + bytesAs(shape, storedDtype(name, shape, dtype)), 0);
}

/** Halves are cast right before they are used, one tensor at a time. */
function largestCast(tensors: readonly ModelTensor[], dtype: KeptDtype): number {
  const casts = tensors.filter(({ name, shape }) => storedDtype(name, shape, dtype) === "f16");
  return Math.max(0, ...casts.map(({ shape }) => bytesAs(shape, "f32")));
}
