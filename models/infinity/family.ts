/**
 * Infinity (arXiv 2412.04431) as a family of models: text to image, with tokens of bits whose codes add up.
 *
 * @module
 */

import { networkFacts } from "../autoencoder/facts.ts";
import type { CheckpointPart, Fact, Family, PublishedFiles } from "../family.ts";
import { requireT5Description, t5Part, TEXT_ENCODER } from "../text/t5_graph.ts";
import { TEXT_TOKENIZER } from "../text/text_encoder.ts";
import { TextTokenizer } from "../text/tokenizer.ts";
import {
  inferInfinityConfig,
  type InfinityConfig,
  PUBLISHED_SIZES,
  requireInfinityConfig,
  sizeName,
  TOKENIZER,
  tokenPixels,
  TRANSFORMER,
} from "./config.ts";
import { infinityGraphs } from "./graphs.ts";
import { tokenizerName } from "./layout.ts";
import { storedDtype } from "./precision.ts";
import { DEFAULTS, infinitySchedule, OPTIONS, usualMaps } from "./schedule.ts";
import { SEARCH } from "./search.ts";

/** Buffers that are zeros or derivable. */
const UNUSED = /(^|\.)(zero_k_bias|lfq\.mask)$/;

const TRANSFORMER_PART: CheckpointPart = {
  name: "infinity",
  weights: TRANSFORMER,
  title: "the transformer",
  landmark: "text_proj_for_sos.ca.mat_q",
  unused: UNUSED,
  isIn: (tensors) => tensors.has("text_proj_for_sos.ca.mat_q"),
};

const TOKENIZER_PART: CheckpointPart = {
  name: "vae",
  weights: TOKENIZER,
  title: "the tokenizer",
  landmark: ["decoder.conv_in.weight", "encoder.conv_in.weight"],
  nameOf: tokenizerName,
  unused: UNUSED,
  // Others of this line have a codebook, or convolutions beside it.
  isIn: (tensors) =>
    (tensors.has("decoder.conv_in.weight") || tensors.has("encoder.conv_in.weight")) &&
    !tensors.has("quantize.embedding.weight") && !tensors.has("post_quant_conv.weight"),
};

const TEXT_PART: CheckpointPart = {
  ...t5Part,
  optional: true,
  companions: [
    { name: "tokenizer.json", as: TEXT_TOKENIZER, required: true },
    { name: "config.json", required: false },
  ],
};

/** Files of the text encoder that all published models share. */
const TEXT_ENCODER_FILES = ["model.safetensors.index.json", "pytorch_model.bin.index.json"]
  .map((name) => ({ repository: "google/flan-t5-xl", name }));

/** Files of the transformers, by size; those for 512 px are of the same size as their sisters. */
const TRANSFORMERS: Readonly<Record<string, readonly string[]>> = {
  "125M": ["infinity_125M_256x256.pth"],
  "2B": ["infinity_2b_reg.pth"],
  "8B": [
    "infinity_8b_weights/model.safetensors.index.json",
    "infinity_8b_weights/pytorch_model.bin.index.json",
    "infinity_8b_512x512_weights/model.safetensors.index.json",
    "infinity_8b_512x512_weights/pytorch_model.bin.index.json",
  ],
};

const FILES: PublishedFiles = {
  repository: "FoundationVision/Infinity",
  example: "infinity_2b_reg.pth",
  sizeOf: (file) => Object.keys(TRANSFORMERS).find((size) => TRANSFORMERS[size]!.includes(file)),
  transformer: (size) => TRANSFORMERS[size],
  others: (size) => {
    const tokenizer = PUBLISHED_SIZES.find(({ name }) => name === size)?.tokenizer;
    return { vae: tokenizer === undefined ? [] : [tokenizer], t5: TEXT_ENCODER_FILES };
  },
  models: async () => (await import("./published.ts")).publishedInfinityModels(),
};

/** The family. */
export const INFINITY: Family<InfinityConfig> = {
  name: "infinity",
  title: "Infinity",
  parts: [TRANSFORMER_PART, TOKENIZER_PART, TEXT_PART],
  published: FILES,
  defaults: DEFAULTS,
  search: SEARCH,
  flexible: ["size"],
  publishedHelp: "what lies between two of 256 levels becomes the lower one instead of the nearer one",
  loading: ["compute", "offload", "cacheDtype", "keepTextEncoder"],
  options: OPTIONS,
  infer: (weights) => Promise.resolve(inferInfinityConfig(weights)),
  inferAgain: (weights, { scales }) =>
    Promise.resolve(inferInfinityConfig(weights, scales) as InfinityConfig),
  requireConfig: requireInfinityConfig,
  requireCompanions: async ({ text }, { "tokenizer.json": tokenizer, "config.json": description }) => {
    if (text === undefined) return;
    if (tokenizer !== undefined) {
      await TextTokenizer.parse(tokenizer.bytes, tokenizer.file, { rows: text.vocabulary });
    }
    if (description !== undefined) requireT5Description(description.bytes, description.file, text);
  },
  size: sizeName,
  modelName: (config) => `Infinity-${sizeName(config)}`,
  labels: () => ({ kind: "texts" }),
  schedule: ({ name, config }, request) => {
    const { scales, levels, depth } = config;
    return infinitySchedule({ name, scales, levels, depth, pixels: tokenPixels(config) }, request);
  },
  needs: async ({ name, config: { text, ...config } }, hasWeights) => {
    const encoder = text && hasWeights(TEXT_ENCODER) ? { text } : {};
    return (await import("./published.ts")).infinityNeeds(name, { ...config, ...encoder });
  },
  describe,
  graphs: infinityGraphs,
  storedDtype,
  load: async (folder, device, options) => {
    return await (await import("./model.ts")).loadInfinity(INFINITY, folder, device, options);
  },
};

function describe(config: Partial<InfinityConfig>): Fact[] {
  const { tokenizer, text } = config;
  const facts: Fact[] = [];
  const isWhole = config.depth !== undefined;
  if (isWhole) {
    const { depth, width, heads, bits, textChannels, scales } = config as InfinityConfig;
    facts.push(
      ["transformer", `depth ${depth}, width ${width}, ${heads} heads, ${bits} bits a token`],
      ["texts", `features of ${textChannels} channels`],
      ["token maps", usualMaps(scales).map(({ width, height }) => `${height}×${width}`).join(", ")],
    );
  }
  if (tokenizer !== undefined) {
    facts.push(["tokenizer", `codes of ${tokenizer.channels} bits`], ...networkFacts(tokenizer));
  }
  if (text !== undefined) {
    const { layers, width, heads, vocabulary } = text;
    facts.push(["text encoder", `${layers} layers, width ${width}, ${heads} heads, ${vocabulary} tokens`]);
  }
  if (isWhole && tokenizer !== undefined) {
    const pixels = tokenPixels(config as InfinityConfig);
    const { width, height } = usualMaps(config.scales!).at(-1)!;
    if (pixels > 0) facts.push(["pictures", `usually ${width * pixels}×${height * pixels}`]);
  }
  return facts;
}
