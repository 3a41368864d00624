/**
 * The nodes of a pre-norm vision transformer: pictures to tokens, by the names that its tensors have in the
 * authors' files of DINOv2 and BLIP (those of timm). Files of other layouts are read under these names
 * (`network_weights.ts`); what is made of the tokens is left to each network. Formulas: the ViT paper (arXiv
 * 2010.11929), LayerScale (arXiv 2103.17239), registers (arXiv 2309.16588).
 *
 * @module
 */

import { MICROSOFT } from "../graphs/graph_builder.ts";
import type { GraphWeights } from "../graphs/graph_weights.ts";
import { ModelFileError } from "../model_file_error.ts";
import { layerTensors, type ModelTensor } from "../weights/model_tensor.ts";
import type { WeightSet } from "../weights/weight_set.ts";

/**
 * What is between the two layers of a feed-forward part: GELU by the error function, GELU by a hyperbolic
 * tangent, x · sigmoid(1.702 x), or a gate, SiLU(a) · b.
 */
export type Activation = "gelu" | "tanh-gelu" | "quick-gelu" | "swiglu";

/** Sizes of a stack of pre-norm transformer blocks. */
export interface BlocksConfig {
  /** What the names of its tensors begin with, such as `"visual_encoder."`; empty if with nothing. */
  readonly prefix: string;
  /** Blocks. */
  readonly layers: number;
  /** Width of a token. */
  readonly width: number;
  /** Attention heads. */
  readonly heads: number;
  /** Width within the feed-forward parts. */
  readonly hidden: number;
  /** What is within them. */
  readonly activation: Activation;
  /** Norms add this to the variance. */
  readonly epsilon: number;
  /** Whether queries, keys and values come from one matrix, or from one each. */
  readonly joined: boolean;
  /** Whether what a block adds is scaled by a learnt vector. */
  readonly layerScale: boolean;
}

/** Sizes of a vision transformer. */
export interface VisionTransformerConfig extends BlocksConfig {
  /** Edge of a patch in pixels. */
  readonly patch: number;
  /** Patches along an edge of the picture, which is a square. */
  readonly grid: number;
  /** Whether a class token comes first. */
  readonly classToken: boolean;
  /** Tokens that come after it and have no place in the picture. */
  readonly registers: number;
  /** Whether patches are embedded with a bias. */
  readonly patchBias: boolean;
  /** Whether there is a norm before the blocks, too. */
  readonly firstNorm: boolean;
}

/** What tensors do not tell about a vision transformer. */
export interface InferVisionTransformerOptions {
  /** What the names of its tensors begin with; nothing by default. */
  readonly prefix?: string;
  /** Width of an attention head; 64 by default. */
  readonly headWidth?: number;
  /** What norms add to the variance; 1e-6 by default. */
  readonly epsilon?: number;
  /** `"gelu"` by default; a gate is known by its tensors. */
  readonly activation?: Exclude<Activation, "swiglu">;
}

/** Channels of a picture. */
const CHANNELS = 3;
/** Slope of the sigmoid that stands for a normal distribution's integral. */
const QUICK_GELU = 1.702;

/** Tokens of a picture. */
export function tokensOf({ grid, classToken, registers }: VisionTransformerConfig): number {
  return leadOf({ classToken, registers }) + grid * grid;
}

/** Tokens before those of the patches. */
export function leadOf(
  { classToken, registers }: Pick<VisionTransformerConfig, "classToken" | "registers">,
): number {
  return (classToken ? 1 : 0) + registers;
}

/**
 * Reads the sizes of a stack of blocks from its tensors.
 *
 * @param width Width of a token.
 * @throws {ModelFileError} If tensors are missing or of another shape, or heads do not fill the width.
 */
export function inferBlocks(
  set: WeightSet,
  width: number,
  options: InferVisionTransformerOptions = {},
): BlocksConfig {
  const { prefix = "", headWidth = 64, epsilon = 1e-6, activation = "gelu" } = options;
  if (width % headWidth !== 0) {
    throw new ModelFileError("Cannot divide a transformer's tokens among attention heads", {
      file: set.file,
      expected: `a width that is a multiple of ${headWidth}`,
      found: `${width}`,
    });
  }
  const first = `${prefix}blocks.0`;
  const gated = set.has(`${first}.mlp.w12.weight`);
  return {
    prefix,
    layers: set.count((i) => `${prefix}blocks.${i}.`),
    width,
    heads: width / headWidth,
    hidden: set.take(`${first}.mlp.${gated ? "w3" : "fc2"}.weight`, [width, -1])[1]!,
    activation: gated ? "swiglu" : activation,
    epsilon,
    joined: set.has(`${first}.attn.qkv.weight`),
    layerScale: set.has(`${first}.ls1.gamma`),
  };
}

/**
 * Reads the sizes of a vision transformer from its tensors.
 *
 * @throws {ModelFileError} If a tensor is missing or of another shape, or the positions are no square.
 *
 * @example
 * ```ts
 * import { inferVisionTransformer, tokensOf, visionTransformerTensors } from "./vision_transformer.ts";
 * import { WeightSet } from "../weights/weight_set.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const blocks = { prefix: "", layers: 12, width: 384, heads: 6, hidden: 1536, epsilon: 1e-6 };
 * const kinds = { activation: "gelu", joined: true, layerScale: true, patchBias: true } as const;
 * const lead = { classToken: true, registers: 4, firstNorm: false };
 * const small = { ...blocks, ...kinds, ...lead, patch: 14, grid: 37 };
 * const tensors = visionTransformerTensors(small).map(({ name, shape }) => [name, { shape, dtype: "F32" }]);
 * const set = new WeightSet("dinov2_vits14_reg4_pretrain.pth", new Map(tensors as []));
 * assertEquals(inferVisionTransformer(set), small);
 * assertEquals(tokensOf(small), 1 + 4 + 37 * 37);
 * ```
 */
export function inferVisionTransformer(
  set: WeightSet,
  options: InferVisionTransformerOptions = {},
): VisionTransformerConfig {
  const { prefix = "" } = options;
  const embedding = `${prefix}patch_embed.proj`;
  const [width, , patch] = set.take(`${embedding}.weight`, [-1, CHANNELS, -1, -1]) as number[];
  const [, positions] = set.take(`${prefix}pos_embed`, [1, -1, width!]) as number[];
  const classToken = set.has(`${prefix}cls_token`);
  const registers = set.has(`${prefix}register_tokens`)
    ? set.take(`${prefix}register_tokens`, [1, -1, width!])[1]!
    : 0;
  const grid = Math.sqrt(positions! - (classToken ? 1 : 0));
  if (!Number.isInteger(grid) || grid === 0) {
    throw new ModelFileError("Cannot lay out the patches of a vision transformer", {
      file: set.file,
      tensor: set.fullName(`${prefix}pos_embed`),
      expected: `a square number of positions${classToken ? ", and one more" : ""}`,
      found: `${positions}`,
    });
  }
  return {
    ...inferBlocks(set, width!, options),
    patch: patch!,
    grid,
    classToken,
    registers,
    patchBias: set.has(`${embedding}.bias`),
    firstNorm: set.has(`${prefix}norm_pre.weight`),
  };
}

/** Lists the tensors of a stack of blocks. */
export function blocksTensors(config: BlocksConfig): ModelTensor[] {
  const { prefix, layers, width, hidden, activation, joined, layerScale } = config;
  return Array.from({ length: layers }, (_, i) => {
    const at = `${prefix}blocks.${i}`;
    return [
      ...layerTensors(`${at}.norm1`, [width]),
      ...joined
        ? layerTensors(`${at}.attn.qkv`, [3 * width, width])
        : ["q", "k", "v"].flatMap((part) => layerTensors(`${at}.attn.${part}`, [width, width])),
      ...layerTensors(`${at}.attn.proj`, [width, width]),
      ...layerScale ? [{ name: `${at}.ls1.gamma`, shape: [width] }] : [],
      ...layerTensors(`${at}.norm2`, [width]),
      ...activation === "swiglu"
        ? [
          ...layerTensors(`${at}.mlp.w12`, [2 * hidden, width]),
          ...layerTensors(`${at}.mlp.w3`, [width, hidden]),
        ]
        : [
          ...layerTensors(`${at}.mlp.fc1`, [hidden, width]),
          ...layerTensors(`${at}.mlp.fc2`, [width, hidden]),
        ],
      ...layerScale ? [{ name: `${at}.ls2.gamma`, shape: [width] }] : [],
    ];
  }).flat();
}

/** Lists the tensors of a vision transformer. */
export function visionTransformerTensors(config: VisionTransformerConfig): ModelTensor[] {
  const { prefix, width, patch, grid, classToken, registers, patchBias, firstNorm } = config;
  const embedding = layerTensors(`${prefix}patch_embed.proj`, [width, CHANNELS, patch, patch]);
  return [
    ...patchBias ? embedding : embedding.slice(0, 1),
    ...classToken ? [{ name: `${prefix}cls_token`, shape: [1, 1, width] }] : [],
    { name: `${prefix}pos_embed`, shape: [1, (classToken ? 1 : 0) + grid * grid, width] },
    ...registers > 0 ? [{ name: `${prefix}register_tokens`, shape: [1, registers, width] }] : [],
    ...firstNorm ? layerTensors(`${prefix}norm_pre`, [width]) : [],
    ...blocksTensors(config),
    ...layerTensors(`${prefix}norm`, [width]),
  ];
}

/** Floating-point operations of a stack of blocks for one sequence: two for each product that is added. */
export function blocksFlops(
  { layers, width, hidden, activation }: Omit<BlocksConfig, "prefix">,
  tokens: number,
): number {
  const products = 4 * width + (activation === "swiglu" ? 3 : 2) * hidden;
  return 2 * layers * tokens * width * (products + 2 * tokens);
}

/** Floating-point operations of a vision transformer for one picture. */
export function visionTransformerFlops(config: VisionTransformerConfig): number {
  const { width, patch, grid } = config;
  return 2 * (grid * patch) ** 2 * CHANNELS * width + blocksFlops(config, tokensOf(config));
}

/**
 * Numbers of the largest activation of a picture: what enters attention, the inside of a feed-forward part,
 * or the scores of attention, which some runtimes keep.
 */
export function widestActivation(config: VisionTransformerConfig): number {
  const { width, hidden, heads, activation } = config;
  const tokens = tokensOf(config);
  return tokens * Math.max(3 * width, (activation === "swiglu" ? 2 : 1) * hidden, heads * tokens);
}

/** A layer norm of rows of a width. */
export function layerNorm(
  weights: GraphWeights,
  x: string,
  name: string,
  { width, epsilon }: Pick<BlocksConfig, "width" | "epsilon">,
): string {
  const [gain, bias] = [`${name}.weight`, `${name}.bias`].map((part) => weights.tensor(part, [width]));
  return weights.graph.add("LayerNormalization", [x, gain!, bias!], {
    axis: -1,
    epsilon: { float: epsilon },
  });
}

/** Applies an activation; a gate is the half of the values that comes first. */
export function activate({ graph }: GraphWeights, x: string, activation: Activation): string {
  const scalar = (value: number): string => graph.constant("float32", [value], []);
  switch (activation) {
    case "tanh-gelu":
      return graph.add(`${MICROSOFT}.FastGelu`, [x]);
    case "quick-gelu":
      return graph.add(`${MICROSOFT}.QuickGelu`, [x], { alpha: { float: QUICK_GELU } });
    case "swiglu": {
      const [gate, value] = graph.split(x, 2, -1);
      return graph.add("Mul", [
        graph.add(`${MICROSOFT}.QuickGelu`, [gate!], { alpha: { float: 1 } }),
        value!,
      ]);
    }
    case "gelu": {
      // In the order in which the runtime finds a GELU and computes it in one pass.
      const integral = graph.add("Erf", [graph.add("Div", [x, scalar(Math.SQRT2)])]);
      const raised = graph.add("Mul", [x, graph.add("Add", [integral, scalar(1)])]);
      return graph.add("Mul", [raised, scalar(0.5)]);
    }
  }
}

/**
 * The blocks: tokens [sequences · tokens, width] to as many.
 *
 * @param sequences How many there are and how long each is; one of both may be -1, which is whatever follows.
 * @param bias Added to the scores of attention, if any: [1, 1, length, length].
 */
export function transformerBlocks(
  weights: GraphWeights,
  tokens: string,
  config: BlocksConfig,
  { sequences, bias }: {
    readonly sequences: readonly [count: number, length: number];
    readonly bias?: string;
  },
): string {
  const { graph } = weights;
  const { prefix, layers, width, heads, hidden, activation, joined, layerScale } = config;
  const scaled = (x: string, name: string): string => {
    return layerScale ? graph.add("Mul", [x, weights.tensor(`${name}.gamma`, [width])]) : x;
  };
  let x = tokens;
  for (let i = 0; i < layers; i++) {
    const at = `${prefix}blocks.${i}`;
    const normal = layerNorm(weights, x, `${at}.norm1`, config);
    const parts = joined
      ? graph.split(weights.linear(normal, `${at}.attn.qkv`, width, 3 * width), 3, -1)
      : ["q", "k", "v"].map((part) => weights.linear(normal, `${at}.attn.${part}`, width, width));
    const sides = parts.map((part) => graph.reshape(part, [...sequences, width]));
    const attended = graph.add(
      `${MICROSOFT}.MultiHeadAttention`,
      bias === undefined ? sides : [...sides, "", "", bias],
      { num_heads: heads },
    );
    const projected = weights.linear(graph.reshape(attended, [-1, width]), `${at}.attn.proj`, width, width);
    x = graph.add("Add", [x, scaled(projected, `${at}.ls1`)]);

    const second = layerNorm(weights, x, `${at}.norm2`, config);
    const [expand, contract, inner] = activation === "swiglu"
      ? ["w12", "w3", 2 * hidden] as const
      : ["fc1", "fc2", hidden] as const;
    const activated = activate(
      weights,
      weights.linear(second, `${at}.mlp.${expand}`, width, inner),
      activation,
    );
    const contracted = weights.linear(activated, `${at}.mlp.${contract}`, hidden, width);
    x = graph.add("Add", [x, scaled(contracted, `${at}.ls2`)]);
  }
  return x;
}

/**
 * Pictures [count, 3, edge, edge], the edge being `grid · patch`, to tokens [count, tokens, width] before the
 * last norm: the class token, registers, then the patches row by row.
 */
export function visionTokens(
  weights: GraphWeights,
  pictures: string,
  config: VisionTransformerConfig,
): string {
  const { graph } = weights;
  const { prefix, width, patch, grid, classToken, registers, patchBias, firstNorm } = config;
  const embedding = `${prefix}patch_embed.proj`;
  const kernel = weights.tensor(`${embedding}.weight`, [width, CHANNELS, patch, patch]);
  const convolved = graph.add(
    "Conv",
    [pictures, kernel, ...patchBias ? [weights.tensor(`${embedding}.bias`, [width])] : []],
    { kernel_shape: [patch, patch], strides: [patch, patch] },
  );
  const patches = graph.add("Transpose", [graph.reshape(convolved, [0, width, grid * grid])], {
    perm: [0, 2, 1],
  });
  const first = classToken ? 1 : 0;
  const positions = weights.tensor(`${prefix}pos_embed`, [1, first + grid * grid, width]);
  const rows = (begin: number, end: number): string => {
    return graph.add("Slice", [positions, ...[begin, end, 1].map((at) => graph.constant("int64", [at]))]);
  };
  const placed = graph.add("Add", [patches, classToken ? rows(first, first + grid * grid) : positions]);
  const lead = [
    ...classToken
      ? [graph.add("Add", [weights.tensor(`${prefix}cls_token`, [1, 1, width]), rows(0, 1)])]
      : [],
    ...registers > 0 ? [weights.tensor(`${prefix}register_tokens`, [1, registers, width])] : [],
  ];
  let x = placed;
  if (lead.length > 0) {
    // A shape that is computed would have to run on the host, so rows of zeros, one for each picture, repeat
    // them.
    const row = graph.add("Slice", [patches, ...[0, 1, 1].map((at) => graph.constant("int64", [at]))]);
    const zeros = graph.add("Mul", [row, graph.constant("float32", [0])]);
    const same = lead.length === 1 ? lead[0]! : graph.add("Concat", lead, { axis: 1 });
    x = graph.add("Concat", [graph.add("Add", [zeros, same]), placed], { axis: 1 });
  }
  x = graph.reshape(x, [-1, width]);
  if (firstNorm) x = layerNorm(weights, x, `${prefix}norm_pre`, config);
  const sequences = [-1, tokensOf(config)] as const;
  return graph.reshape(transformerBlocks(weights, x, config, { sequences }), [...sequences, width]);
}

/** Pictures to tokens as {@linkcode visionTokens} gives them, after the last norm. */
export function visionTransformer(
  weights: GraphWeights,
  pictures: string,
  config: VisionTransformerConfig,
): string {
  return layerNorm(weights, visionTokens(weights, pictures, config), `${config.prefix}norm`, config);
}
