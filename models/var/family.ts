/**
 * VAR (arXiv 2404.02905) as a family of models: class-conditional, with ten scales whose residuals add up.
 *
 * @module
 */

import { loadClassConditional, TOKENIZER, TRANSFORMER } from "../class_conditional/model.ts";
import type { CheckpointPart, Fact, Family, PublishedFiles, TunedRepository } from "../family.ts";
import { networkFacts } from "../autoencoder/facts.ts";
import { transformerFact } from "../class_conditional/facts.ts";
import { classLabels } from "../class_conditional/imagenet.ts";
import { storedDtype } from "../class_conditional/precision.ts";
import { SEARCH } from "./alpha.ts";
import {
  inferVarConfig,
  pictureSide,
  requireVarConfig,
  VAR_LAYOUT,
  type VarConfig,
  varSizes,
} from "./config.ts";
import { varGraphs } from "./graph.ts";
import { makeVarModel } from "./model.ts";
import { PUBLISHED_PATCH_NUMBERS } from "./patch_numbers.ts";
import { DEFAULTS, varSchedule } from "./schedule.ts";

/** Tensors by which the two parts are recognised. */
const LANDMARKS = { transformer: "pos_start", tokenizer: "quantize.embedding.weight" } as const;
/** Tensors that a tokenizer of this layout has and no other. */
const TOKENIZER_LAYOUT = /^(quantize\.quant_resi\.|decoder\.up\.|encoder\.down\.)/;
/** Buffers that are derivable or serve training only. */
const UNUSED = /(^|\.)(lvl_1L|attn_bias_for_masking|zero_k_bias|ema_vocab_hit_SV)$/;

const TRANSFORMER_PART: CheckpointPart = {
  name: "var",
  weights: TRANSFORMER,
  title: "the transformer",
  landmark: LANDMARKS.transformer,
  unused: UNUSED,
  // Positions of a map are another family's, but levels are ours whatever the positions are; what stands for
  // no text is of a family that takes texts.
  isIn: (tensors) =>
    tensors.has(LANDMARKS.transformer) && !tensors.has("cfg_uncond") &&
    (tensors.has("lvl_embed.weight") || tensors.get("pos_1LC")?.shape.length !== 4),
};

const TOKENIZER_PART: CheckpointPart = {
  name: "vae",
  weights: TOKENIZER,
  title: "the tokenizer",
  landmark: LANDMARKS.tokenizer,
  unused: UNUSED,
  isIn: (tensors) =>
    tensors.has(LANDMARKS.tokenizer) && tensors.keys().some((name) => TOKENIZER_LAYOUT.test(name)),
};

const REPOSITORY = "FoundationVision/var";
/** All published transformers share it, tuned ones too. */
const TOKENIZER_FILE = "vae_ch160v4096z32.pth";

/** Transformers that others have tuned and published without a tokenizer. */
const TUNED: Readonly<Record<string, TunedRepository>> = {
  "nvidia/DirectDiscriminativeOptimization": {
    title: "VAR tuned by DDO (arXiv 2503.01103)",
    licence: "CC BY-NC-SA 4.0",
    commercial: false,
    use: "tuned to paint without guidance, which cfg 0 does for half the work",
  },
  "Zigeng/VAR_CoDe": {
    title: "VAR tuned for two models together (CoDe, arXiv 2411.17787)",
    licence: "MIT",
    commercial: true,
    use: "drafter_K draws the scales before K only and refiner_K those from K on, as model and refiner",
  },
};

/** Depths of the models of CoDe. */
const TOGETHER: Readonly<Record<string, number>> = { drafter: 30, refiner: 16 };

/** The checkpoints that the authors have published, and what others have made of them. */
const FILES: PublishedFiles = {
  repository: REPOSITORY,
  example: "var_d16.pth",
  sizeOf: (file) => {
    const [, depth] = /^var_d([1-9]\d*)(?:-ddo)?\.pth$/.exec(file) ?? [];
    const [, role] = /^(drafter|refiner)_[1-9]\.pth$/.exec(file) ?? [];
    return depth !== undefined ? Number(depth) : role === undefined ? undefined : TOGETHER[role];
  },
  transformer: (size) => typeof size === "number" ? `var_d${size}.pth` : undefined,
  others: (_size, repository) => ({
    vae: Object.hasOwn(TUNED, repository)
      ? [{ repository: REPOSITORY, name: TOKENIZER_FILE }]
      : [TOKENIZER_FILE],
  }),
  tuned: TUNED,
  models: async () => (await import("./published.ts")).publishedVarModels(),
};

/** The family. */
export const VAR: Family<VarConfig> = {
  name: "var",
  title: "VAR",
  parts: [TRANSFORMER_PART, TOKENIZER_PART],
  published: FILES,
  defaults: DEFAULTS,
  search: SEARCH,
  flexible: [],
  publishedHelp: undefined,
  loading: ["compute", "cacheDtype"],
  options: {},
  infer: (weights) => inferVarConfig(weights),
  inferAgain: async (weights, { patchNumbers }) => {
    return await inferVarConfig(weights, patchNumbers) as VarConfig;
  },
  requireConfig: requireVarConfig,
  size: ({ depth }) => depth,
  modelName: ({ depth }) => `VAR-d${depth}`,
  labels: ({ classes, patchNumbers }, names) => {
    const published = Object.values(PUBLISHED_PATCH_NUMBERS).some((sides) => {
      return `${sides}` === `${patchNumbers}`;
    });
    return classes === undefined ? undefined : classLabels(classes, { published, names });
  },
  schedule: ({ name, config }, request) => {
    return varSchedule(
      { name, patchNumbers: config.patchNumbers, pictureSide: pictureSide(config) },
      request,
    );
  },
  needs: async ({ name, config }) => (await import("./published.ts")).varNeeds(name, config),
  describe: (config) => {
    const { patchNumbers, tokenizer } = config;
    const facts: Fact[] = [];
    if (isTransformer(config)) {
      facts.push(transformerFact(config), ["patch numbers", config.patchNumbers.join(", ")]);
    }
    if (tokenizer === undefined) return facts;
    const { vocabulary, channels, residuals, decoder } = tokenizer;
    facts.push(
      ["tokenizer", `${vocabulary} codes of ${channels} channels, ${residuals} φ convolutions`],
      ...networkFacts(tokenizer),
    );
    if (patchNumbers === undefined || decoder === null) return facts;
    const side = pictureSide({ patchNumbers, tokenizer });
    return [...facts, ["pictures", `${side}×${side}`]];
  },
  graphs: varGraphs,
  storedDtype,
  load: async (folder, device, options) => {
    const own = { family: VAR, layout: VAR_LAYOUT, sizesOf: varSizes, make: makeVarModel };
    return await loadClassConditional(folder, device, { ...options, ...own });
  },
};

/** Whether the sizes of the transformer are there: they come together. */
function isTransformer(config: Partial<VarConfig>): config is Omit<VarConfig, "tokenizer"> {
  return config.depth !== undefined;
}
