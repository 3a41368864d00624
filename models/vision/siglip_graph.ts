/**
 * The half of SigLIP that looks at pictures, in the layout of transformers: pictures to one vector each, for
 * which a learnt question is put to all their tokens. Paper: arXiv 2303.15343; the head is that of arXiv
 * 2106.04560, section 3.3.
 *
 * @module
 */

import { MICROSOFT } from "../graphs/graph_builder.ts";
import type { GraphWeights } from "../graphs/graph_weights.ts";
import { ModelFileError } from "../model_file_error.ts";
import { layerTensors, type ModelTensor } from "../weights/model_tensor.ts";
import type { WeightSet } from "../weights/weight_set.ts";
import type { ClipSettings } from "./clip_graph.ts";
import { type TensorLayout, TRANSFORMERS_BLOCK } from "./network_weights.ts";
import type { Preprocessing } from "./preprocessing.ts";
import {
  activate,
  inferVisionTransformer,
  layerNorm,
  tokensOf,
  visionTransformer,
  type VisionTransformerConfig,
  visionTransformerFlops,
  visionTransformerTensors,
} from "./vision_transformer.ts";

/** Widths of towers whose heads are not 64 wide: so400m. */
const HEAD_WIDTHS: Readonly<Record<number, number>> = { 1152: 72 };

/**
 * Edges of pictures that are no multiple of a patch's, by the next smaller one that is: of 384 pixels,
 * patches of 14 leave out the last 6.
 */
const EDGES: Readonly<Record<number, number>> = { 378: 384 };

/** The layout of published files; the half that reads texts lies beside it. */
export const SIGLIP_LAYOUT: TensorLayout = {
  title: "transformers",
  landmark: "head.probe",
  names: [
    ["embeddings.patch_embedding.", "patch_embed.proj."],
    ["embeddings.position_embedding.weight", "pos_embed"],
    ["encoder.layers.", "blocks."],
    ["post_layernorm.", "norm."],
    ...TRANSFORMERS_BLOCK,
    // PyTorch's own attention has no dot there.
    ["head.attention.in_proj_", "head.attention.qkv."],
  ],
  unused: /^embeddings\.position_ids$/,
};

/**
 * Reads the sizes of the half that looks at pictures from its tensors.
 *
 * @param settings What is said beside them; by default that of the published sizes.
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
export function inferSiglip(set: WeightSet, settings: ClipSettings = {}): VisionTransformerConfig {
  const { activation = "tanh-gelu", visualHeads } = settings;
  const [width] = set.take("norm.weight", [-1]) as [number];
  const headWidth = visualHeads === undefined ? HEAD_WIDTHS[width] ?? 64 : width / visualHeads;
  const config = inferVisionTransformer(set, { headWidth, activation });
  if (!config.classToken) return config;
  throw new ModelFileError("Cannot use a SigLIP with a class token", {
    file: set.file,
    tensor: set.fullName("cls_token"),
    expected: "tokens of patches only",
    found: "one more",
  });
}

/** Lists the tensors. */
export function siglipTensors(config: VisionTransformerConfig): ModelTensor[] {
  const { width, hidden } = config;
  return [
    ...visionTransformerTensors(config),
    { name: "head.probe", shape: [1, 1, width] },
    ...layerTensors("head.attention.qkv", [3 * width, width]),
    ...layerTensors("head.attention.out_proj", [width, width]),
    ...layerTensors("head.layernorm", [width]),
    ...layerTensors("head.mlp.fc1", [hidden, width]),
    ...layerTensors("head.mlp.fc2", [width, hidden]),
  ];
}

/** Floating-point operations for one picture. */
export function siglipFlops(config: VisionTransformerConfig): number {
  const { width, hidden } = config;
  const tokens = tokensOf(config);
  // Keys and values of all tokens; what is asked and what is made of the answer, once.
  const head = 2 * tokens * 2 * width * width + 4 * tokens * width +
    2 * (2 * width * width + 2 * width * hidden);
  return visionTransformerFlops(config) + head;
}

/** Pictures as SigLIP wants them: squashed, from -1 to 1. */
export function siglipPreprocessing({ grid, patch }: VisionTransformerConfig): Preprocessing {
  const edge = EDGES[grid * patch] ?? grid * patch;
  return {
    size: { width: edge, height: edge },
    resize: "bicubic",
    fit: "squash",
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
  };
}

/** Pictures to vectors [count, width], of any length: nodes of a graph. */
export function siglipPictures(
  weights: GraphWeights,
  pictures: string,
  config: VisionTransformerConfig,
): string {
  const { graph } = weights;
  const { width, heads, hidden, activation } = config;
  const length = tokensOf(config);
  const tokens = visionTransformer(weights, pictures, config);
  const matrices = graph.split(weights.tensor("head.attention.qkv.weight", [3 * width, width]), 3, 0);
  const biases = graph.split(weights.tensor("head.attention.qkv.bias", [3 * width]), 3, 0);
  const part = (x: string, i: number): string =>
    graph.add("Gemm", [x, matrices[i]!, biases[i]!], { transB: 1 });
  const asked = graph.reshape(
    part(graph.reshape(weights.tensor("head.probe", [1, 1, width]), [1, width]), 0),
    [
      1,
      1,
      width,
    ],
  );
  const flat = graph.reshape(tokens, [-1, width]);
  const [key, value] = [1, 2].map((i) => graph.reshape(part(flat, i), [-1, length, width])) as [
    string,
    string,
  ];
  // A shape that is computed would have to run on the host, so rows of zeros repeat what is asked of each.
  const row = graph.add("Slice", [key, ...[0, 1, 1].map((at) => graph.constant("int64", [at]))]);
  const query = graph.add("Add", [graph.add("Mul", [row, graph.constant("float32", [0])]), asked]);
  const answer = graph.add(`${MICROSOFT}.MultiHeadAttention`, [query, key, value], { num_heads: heads });
  const projected = weights.linear(
    graph.reshape(answer, [-1, width]),
    "head.attention.out_proj",
    width,
    width,
  );
  const normal = layerNorm(weights, projected, "head.layernorm", config);
  const inner = activate(weights, weights.linear(normal, "head.mlp.fc1", width, hidden), activation);
  return graph.add("Add", [projected, weights.linear(inner, "head.mlp.fc2", hidden, width)]);
}
