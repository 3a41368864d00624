/**
 * What an Infinity model looks like: its sizes, read from the names and shapes of its tensors. Tensors do not
 * tell how many scales a model was trained on; the published sizes do, and else a folder's description.
 *
 * @module
 */

import { type AutoencoderConfig, isLevels, pixelsPerToken, readLevels } from "../autoencoder/config.ts";
import { autoencoderTensors } from "../autoencoder/tensors.ts";
import type { ModelWeights, PartWeights } from "../family.ts";
import { isFlag, isSize, requireSizes, type SizeCheck } from "../folder/sizes.ts";
import { ModelFileError } from "../model_file_error.ts";
import { inferT5, requireT5Config, type T5Config } from "../text/t5_graph.ts";
import type { MapSize } from "../schedule.ts";
import { layerTensors, type ModelTensor } from "../weights/model_tensor.ts";
import type { WeightSet } from "../weights/weight_set.ts";
import { INFINITY_LAYOUT } from "./layout.ts";
import { SCALES } from "./schedule.ts";

/** Name of the transformer's weights in a model folder. */
export const TRANSFORMER = "transformer";
/** Name of the tokenizer's weights: the networks between pictures and codes. */
export const TOKENIZER = "tokenizer";

/** The transformer. */
export interface InfinityTransformerConfig {
  /** Transformer blocks. */
  readonly depth: number;
  /** Groups that the names of the blocks are divided into; 0 for names without groups. */
  readonly chunks: number;
  /** Width C. */
  readonly width: number;
  /** Attention heads. */
  readonly heads: number;
  /** Width of the hidden layer of a block's feed-forward part. */
  readonly hidden: number;
  /** Bits of a token D. */
  readonly bits: number;
  /** Channels of the text features. */
  readonly textChannels: number;
  /** Heads of the attention that pools a text to one vector. */
  readonly poolHeads: number;
  /** Rows of the learnt features that stand for no text. */
  readonly unconditionalRows: number;
  /** Scales that the transformer has an embedding for. */
  readonly levels: number;
}

/** An Infinity model: transformer, tokenizer and, if it is there, text encoder. */
export interface InfinityConfig extends InfinityTransformerConfig {
  /** Scales of the published table that pictures usually have. */
  readonly scales: number;
  /** Whether a token holds the bits of a patch of 2×2 positions (8B). */
  readonly patchify: boolean;
  /** The networks between pictures and codes of d channels. */
  readonly tokenizer: AutoencoderConfig;
  /** The text encoder; left out where texts come as features. */
  readonly text?: T5Config;
}

const TRANSFORMER_CHECKS: Readonly<Record<keyof InfinityTransformerConfig, SizeCheck>> = {
  depth: isSize,
  chunks: (value) => value === 0 || isSize(value),
  width: isSize,
  heads: isSize,
  hidden: isSize,
  bits: isSize,
  textChannels: isSize,
  poolHeads: isSize,
  unconditionalRows: isSize,
  levels: isSize,
};
const isObject: SizeCheck = (value) => typeof value === "object" && value !== null;
const CONFIG_CHECKS: Readonly<Record<Exclude<keyof InfinityConfig, "text">, SizeCheck>> = {
  ...TRANSFORMER_CHECKS,
  scales: (value) => isSize(value) && (value as number) <= SCALES,
  patchify: isFlag,
  tokenizer: isObject,
};
const TOKENIZER_CHECKS: Readonly<Record<"channels" | "decoder" | "encoder", SizeCheck>> = {
  channels: isSize,
  decoder: isLevels,
  encoder: isLevels,
};

/**
 * Checks the sizes that a model folder's description gives.
 *
 * @param config What stands under `config`.
 * @param file The description's path or URL, for messages.
 * @throws {ModelFileError} Naming the first size that is missing or none.
 */
export function requireInfinityConfig(config: unknown, file: string): InfinityConfig {
  const place = { file, model: "an Infinity model" };
  const sizes = requireSizes<InfinityConfig>(
    config,
    CONFIG_CHECKS as Record<keyof InfinityConfig, SizeCheck>,
    { ...place, path: "config" },
  );
  if (sizes.scales > sizes.levels) {
    throw new ModelFileError("Cannot use the number of scales", {
      file,
      expected: `at most ${sizes.levels} as "config.scales", which the transformer has embeddings for`,
      found: String(sizes.scales),
    });
  }
  requireSizes<AutoencoderConfig>(
    sizes.tokenizer,
    TOKENIZER_CHECKS as Record<keyof AutoencoderConfig, SizeCheck>,
    {
      ...place,
      path: "config.tokenizer",
    },
  );
  if (sizes.text !== undefined) requireT5Config(sizes.text, file);
  return sizes;
}

/** Name in front of a block's tensors. */
export function blockName({ depth, chunks }: InfinityTransformerConfig, block: number): string {
  if (chunks === 0) return `blocks.${block}`;
  const length = depth / chunks;
  return `block_chunks.${Math.floor(block / length)}.module.${block % length}`;
}

/** A published transformer. */
interface PublishedSize {
  /** What it is called. */
  readonly name: string;
  /** Its depth. */
  readonly depth: number;
  /** Its width. */
  readonly width: number;
  /** Scales that it was trained on. */
  readonly scales: number;
  /** File of the tokenizer that belongs to it. */
  readonly tokenizer: string;
}

/** The published transformers, by depth and width. */
export const PUBLISHED_SIZES: readonly PublishedSize[] = [
  { name: "125M", depth: 12, width: 768, scales: 7, tokenizer: "infinity_vae_d16.pth" },
  { name: "2B", depth: 32, width: 2048, scales: 13, tokenizer: "infinity_vae_d32reg.pth" },
  { name: "8B", depth: 40, width: 3584, scales: 13, tokenizer: "infinity_vae_d56_f8_14_patchify.pth" },
];

/** The published size that a transformer has, if it has one. */
export function publishedSize(
  { depth, width }: Pick<InfinityTransformerConfig, "depth" | "width">,
): PublishedSize | undefined {
  return PUBLISHED_SIZES.find((size) => size.depth === depth && size.width === width);
}

/** Name of a model's size: a published one's, or its depth and width. */
export function sizeName(config: Pick<InfinityTransformerConfig, "depth" | "width">): string {
  return publishedSize(config)?.name ?? `${config.depth}x${config.width}`;
}

/**
 * Reads the sizes of an Infinity model from the parts that are there.
 *
 * @param weights Tensors of the parts.
 * @param scales Scales that pictures usually have, where they are known; else those of the published size, or
 * all that the table has.
 * @throws {ModelFileError} If a tensor is missing or has an unexpected shape, or the parts do not fit.
 */
export function inferInfinityConfig(
  { transformer, tokenizer, text_encoder: text }: ModelWeights,
  scales?: number,
): Partial<InfinityConfig> {
  const own = transformer && inferTransformer(transformer.set);
  const codes = tokenizer && inferTokenizer(tokenizer);
  const prompts = text && inferT5(text.set);
  if (own !== undefined && prompts !== undefined && own.textChannels !== prompts.width) {
    throw new ModelFileError(
      "Cannot make a model of these parts as the transformer reads text features of another width",
      {
        file: text!.set.file,
        expected: `a text encoder of width ${own.textChannels}, as the transformer in ${
          transformer!.set.file
        } reads`,
        found: `width ${prompts.width}`,
      },
    );
  }
  return {
    ...(own && { ...own, scales: scales ?? publishedSize(own)?.scales ?? Math.min(SCALES, own.levels) }),
    ...(own && codes &&
      { patchify: requireSameBits(own, codes, { transformer: transformer!, tokenizer: tokenizer! }) }),
    ...(codes && { tokenizer: codes }),
    ...(prompts && { text: prompts }),
  };
}

function inferTransformer(set: WeightSet): InfinityTransformerConfig {
  const [, , width] = set.take("pos_start", [1, 1, -1]) as [number, number, number];
  const [, poolHeads] = set.take("text_proj_for_sos.ca.mat_q", [1, -1, -1]) as [number, number, number];
  const [unconditionalRows, textChannels] = set.take("cfg_uncond", [-1, -1]) as [number, number];
  const [levels] = set.take("lvl_embed.weight", [-1, width]) as [number, number];
  const [, bits] = set.take("word_embed.weight", [width, -1]) as [number, number];
  const chunks = set.count((i) => `block_chunks.${i}.`);
  const lengths = Array.from(
    { length: chunks },
    (_, i) => set.count((j) => `block_chunks.${i}.module.${j}.`),
  );
  const uneven = lengths.find((length) => length !== lengths[0]);
  if (uneven !== undefined || lengths.includes(0)) {
    throw new ModelFileError("Cannot tell the blocks of the transformer", {
      file: set.file,
      expected: "as many blocks in each of block_chunks",
      found: lengths.join(", "),
    });
  }
  const depth = chunks === 0 ? set.count((i) => `blocks.${i}.`) : chunks * lengths[0]!;
  const first = blockName({ depth, chunks } as InfinityTransformerConfig, 0);
  const [, heads] = set.take(`${first}.sa.scale_mul_1H11`, [1, -1, 1, 1]) as [number, number];
  // Of integers in blocks, the weight itself has another shape.
  const [hidden] = set.take(`${first}.ffn.fc1.bias`, [-1]) as [number];
  // Rotations turn pairs of channels, half of them by the row and half by the column.
  for (
    const [what, parts] of [["attention heads", heads * 4], ["heads of the pooled text", poolHeads]] as const
  ) {
    if (width % parts === 0) continue;
    throw new ModelFileError(`Cannot use the number of ${what}`, {
      file: set.file,
      expected: `a width that ${parts} divides`,
      found: String(width),
    });
  }
  return { depth, chunks, width, heads, hidden, bits, textChannels, poolHeads, unconditionalRows, levels };
}

function inferTokenizer({ set }: PartWeights): AutoencoderConfig {
  const decoder = readLevels("decoder", set, INFINITY_LAYOUT);
  const encoder = readLevels("encoder", set, INFINITY_LAYOUT);
  const [channels] = decoder === null
    ? set.take("encoder.conv_out.weight", [-1, -1, 3, 3])
    : set.take("decoder.conv_in.weight", [-1, -1, 3, 3]).slice(1);
  return { channels: channels!, decoder, encoder };
}

/**
 * Checks that a transformer tells bits of the tokenizer's codes.
 *
 * @returns Whether a token holds a patch of four positions.
 * @throws {ModelFileError} Naming the file that belongs to the transformer. Another tokenizer than that of
 * the training is what most often spoils pictures, and where it has as many bits nothing tells.
 */
function requireSameBits(
  own: InfinityTransformerConfig,
  { channels, decoder, encoder }: AutoencoderConfig,
  files: { readonly transformer: PartWeights; readonly tokenizer: PartWeights },
): boolean {
  const pixels = pixelsPerToken({ decoder, encoder });
  const patchify = own.bits === 4 * channels;
  const published = publishedSize(own);
  const fits = own.bits === channels || patchify;
  if (fits) return patchify;
  const partner = published === undefined ? "" : `, which is ${published.tokenizer}`;
  throw new ModelFileError(
    "Cannot make a model of these parts as the tokenizer is not the one that the transformer was trained with",
    {
      file: files.tokenizer.set.file,
      expected: `codes of ${own.bits} channels${
        own.bits % 4 === 0 ? `, or ${own.bits / 4} in patches` : ""
      }, as the transformer in ${files.transformer.set.file} tells${partner}`,
      found: `${channels} channels at ${pixels} pixels a position`,
    },
  );
}

/** Pixels along a token. */
export function tokenPixels({ tokenizer, patchify }: Pick<InfinityConfig, "tokenizer" | "patchify">): number {
  return pixelsPerToken(tokenizer) * (patchify ? 2 : 1);
}

/** Map of the features behind a map of tokens. */
export function featureMap({ width, height }: MapSize, patchify: boolean): MapSize {
  return patchify ? { width: 2 * width, height: 2 * height } : { width, height };
}

/** The tensors of the transformer, the buffers that are zeros left out. */
export function transformerTensors(config: InfinityTransformerConfig): ModelTensor[] {
  const { depth, width, heads, hidden, bits, textChannels, poolHeads, unconditionalRows, levels } = config;
  const block = (i: number): ModelTensor[] => {
    const name = blockName(config, i);
    return [
      { name: `${name}.ada_gss`, shape: [1, 1, 6, width] },
      { name: `${name}.sa.mat_qkv.weight`, shape: [3 * width, width] },
      { name: `${name}.sa.q_bias`, shape: [width] },
      { name: `${name}.sa.v_bias`, shape: [width] },
      { name: `${name}.sa.scale_mul_1H11`, shape: [1, heads, 1, 1] },
      ...layerTensors(`${name}.sa.proj`, [width, width]),
      ...layerTensors(`${name}.ca_norm`, [width]),
      ...layerTensors(`${name}.ca.mat_q`, [width, width]),
      { name: `${name}.ca.mat_kv.weight`, shape: [2 * width, width] },
      { name: `${name}.ca.v_bias`, shape: [width] },
      ...layerTensors(`${name}.ca.proj`, [width, width]),
      ...layerTensors(`${name}.ffn.fc1`, [hidden, width]),
      ...layerTensors(`${name}.ffn.fc2`, [width, hidden]),
    ];
  };
  return [
    { name: "cfg_uncond", shape: [unconditionalRows, textChannels] },
    { name: "pos_start", shape: [1, 1, width] },
    { name: "text_norm.weight", shape: [textChannels] },
    { name: "text_proj_for_sos.ca.mat_q", shape: [1, poolHeads, width / poolHeads] },
    { name: "text_proj_for_sos.ca.mat_kv.weight", shape: [2 * width, textChannels] },
    { name: "text_proj_for_sos.ca.v_bias", shape: [width] },
    ...layerTensors("text_proj_for_sos.ca.proj", [width, width]),
    ...layerTensors("text_proj_for_ca.0", [width, textChannels]),
    ...layerTensors("text_proj_for_ca.2", [width, width]),
    { name: "lvl_embed.weight", shape: [levels, width] },
    ...layerTensors("word_embed", [width, bits]),
    ...layerTensors("shared_ada_lin.1", [6 * width, width]),
    ...layerTensors("head_nm.ada_lin.1", [2 * width, width]),
    ...layerTensors("head", [2 * bits, width]),
    ...Array.from({ length: depth }, (_, i) => block(i)).flat(),
  ];
}

/** The tensors of the tokenizer's networks. */
export function tokenizerTensors(tokenizer: AutoencoderConfig): ModelTensor[] {
  return autoencoderTensors({ ...tokenizer, layout: INFINITY_LAYOUT });
}
