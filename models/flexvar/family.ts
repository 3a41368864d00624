/**
 * FlexVAR as a family of models: https://huggingface.co/jiaosiyu1999/FlexVAR.
 *
 * @module
 */

import { pixelsPerToken } from "../autoencoder/config.ts";
import { loadClassConditional, TOKENIZER, TRANSFORMER } from "../class_conditional/model.ts";
import { networkFacts } from "../autoencoder/facts.ts";
import { transformerFact } from "../class_conditional/facts.ts";
import type { CheckpointPart, Fact, Family } from "../family.ts";
import { classLabels } from "../class_conditional/imagenet.ts";
import { storedDtype } from "../class_conditional/precision.ts";
import type { ModelSize } from "../folder/sizes.ts";
import { SEARCH } from "./alpha.ts";
import {
  FLEXVAR_LAYOUT,
  type FlexVarConfig,
  flexVarSizes,
  inferFlexVarConfig,
  requireFlexVarConfig,
} from "./config.ts";
import { flexVarGraphs } from "./graph.ts";
import { DEFAULTS, flexVarSchedule, OPTIONS, PATCH_NUMBERS } from "./schedule.ts";

/** Buffers that serve training only, or are zeros. */
const UNUSED = /(^|\.)(attn_bias_for_masking|zero_k_bias|codebook_used)$/;

/** Tensors that a tokenizer of another layout has. */
const FOREIGN_LAYOUT = /^(quantize\.quant_resi\.|decoder\.up\.|encoder\.down\.)/;

/** Files of the published transformers, by depth. */
const TRANSFORMERS: ReadonlyMap<ModelSize, string> = new Map([
  [16, "FlexVARd16-epo179.pth"],
  [20, "FlexVARd20-epo249.pth"],
  [24, "FlexVARd24-epo349.pth"],
]);

const TRANSFORMER_PART: CheckpointPart = {
  name: "var",
  weights: TRANSFORMER,
  title: "the transformer",
  landmark: "pos_1LC",
  unused: UNUSED,
  // VAR's positions are a list, ours are a map.
  isIn: (tensors) => tensors.has("pos_start") && tensors.get("pos_1LC")?.shape.length === 4,
};

const TOKENIZER_PART: CheckpointPart = {
  name: "vae",
  weights: TOKENIZER,
  title: "the tokenizer",
  landmark: "quantize.embedding.weight",
  unused: UNUSED,
  // Unlike VAR's, it may have a codebook and nothing beside.
  isIn: (tensors) =>
    tensors.has("quantize.embedding.weight") && !tensors.keys().some((name) => FOREIGN_LAYOUT.test(name)),
};

function factsOf(config: Partial<FlexVarConfig>): Fact[] {
  const { tokenizer } = config;
  const facts: Fact[] = [];
  if (config.depth !== undefined) {
    const { positionSide, ...transformer } = config as Omit<FlexVarConfig, "tokenizer">;
    facts.push(transformerFact(transformer));
    facts.push(["positions", `a map of ${positionSide}×${positionSide}, resized for each token map`]);
  }
  if (tokenizer !== undefined) {
    const { vocabulary, channels } = tokenizer;
    facts.push(["tokenizer", `${vocabulary} codes of ${channels} channels, of length 1`]);
    facts.push(...networkFacts(tokenizer));
    const pixels = pixelsPerToken(tokenizer);
    const usual = PATCH_NUMBERS.at(-1)! * pixels;
    if (pixels > 0) facts.push(["pictures", `any multiples of ${pixels} pixels, usually ${usual}×${usual}`]);
  }
  return facts;
}

/** FlexVAR (arXiv 2502.20313): each scale is a picture of its own size, so the sizes are free. */
export const FLEXVAR: Family<FlexVarConfig> = {
  name: "flexvar",
  title: "FlexVAR",
  parts: [TRANSFORMER_PART, TOKENIZER_PART],
  published: {
    repository: "jiaosiyu1999/FlexVAR",
    example: "FlexVARd16-epo179.pth",
    sizeOf: (file) => {
      const depth = /^FlexVARd([1-9]\d*)(-epo\d+)?\.pth$/.exec(file)?.[1];
      return depth === undefined ? undefined : Number(depth);
    },
    transformer: (size) => TRANSFORMERS.get(size),
    others: () => ({ vae: ["FlexVAE.pth"] }),
    models: async () => (await import("./published.ts")).publishedFlexVarModels(),
  },
  defaults: DEFAULTS,
  search: SEARCH,
  flexible: ["patchNumbers", "size"],
  publishedHelp:
    "guidance that goes on growing beyond cfg after ten scales and is constant beyond maxpn, the likeliest tokens on sides beyond maxpn or not among 1 to 6, 8, 10, 13, 16, 23, 24 and 32, and squares only",
  loading: ["compute", "cacheDtype"],
  options: OPTIONS,
  infer: (weights) => Promise.try(() => inferFlexVarConfig(weights)),
  // The tensors tell all.
  inferAgain: (weights) => Promise.try(() => inferFlexVarConfig(weights) as FlexVarConfig),
  requireConfig: requireFlexVarConfig,
  size: ({ depth }) => depth,
  modelName: ({ depth }) => `FlexVAR-d${depth}`,
  labels: ({ classes }, names) => {
    return classes === undefined ? undefined : classLabels(classes, { published: true, names });
  },
  schedule: ({ name, config }, request) => {
    return flexVarSchedule({ name, pixelsPerToken: pixelsPerToken(config.tokenizer) }, request);
  },
  needs: async ({ name, config }) => (await import("./published.ts")).flexVarNeeds(name, config),
  describe: factsOf,
  graphs: flexVarGraphs,
  storedDtype,
  load: async (folder, device, options) => {
    const { makeFlexVarModel: make } = await import("./model.ts");
    const own = { family: FLEXVAR, layout: FLEXVAR_LAYOUT, sizesOf: flexVarSizes, make };
    return await loadClassConditional(folder, device, { ...options, ...own });
  },
};
