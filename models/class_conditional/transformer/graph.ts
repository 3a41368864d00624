/**
 * The graphs of the class-conditional transformer that VAR and FlexVAR share, as ONNX: `condition` and
 * `modulation` turn class labels into everything that depends on them alone; `transformer` turns the features
 * of one scale into logits, and into keys and values for the scales to come. Formulas: the VAR paper (arXiv
 * 2404.02905), section 3.2 and appendix A, and the published layout of its tensors.
 *
 * Rows of a batch: all conditional rows first, then, with guidance, all unconditional rows.
 *
 * @module
 */

import {
  attentionScale,
  BLOCK_ONES,
  HEAD_ONES,
  modulate,
  NORM_EPSILON,
  unitGain,
  unitHeads,
} from "../../graphs/block_nodes.ts";
import { cachedAttention, type CacheDtype } from "../../graphs/cache_values.ts";
import { GraphWeights } from "../../graphs/graph_weights.ts";
import { GraphBuilder, MICROSOFT } from "../../graphs/graph_builder.ts";
import type { WeightPlaces } from "../../weights/weight_places.ts";
import type { WeightSet } from "../../weights/weight_set.ts";
import type { TransformerConfig, TransformerSizes } from "./config.ts";

/**
 * Adds the position of the first token to a graph, [1, 1, C] or [1, C]: the part of a first token that is
 * neither its class nor `pos_start`.
 */
export type FirstPosition = (weights: GraphWeights) => string;

/** What a condition graph is made of. */
export interface ConditionGraphOptions {
  /** Where the bytes of each tensor lie. */
  readonly places: WeightPlaces;
  /** The family's position of the first token. */
  readonly firstPosition: FirstPosition;
}

/**
 * Labels [rows] to first token [rows, 1, C] and head modulation [rows, 2, C]; and either, where all blocks
 * share one projection, each block's modulation [rows, 6, C], or else what {@linkcode modulationGraph} makes
 * it from, [rows, C].
 */
export function conditionGraph(
  config: TransformerConfig,
  set: WeightSet,
  { places, firstPosition }: ConditionGraphOptions,
): Uint8Array<ArrayBuffer> {
  const { width, depth, classes, sharedAdaptiveNorm } = config;
  const weights = new GraphWeights("condition", set, places);
  const { graph } = weights;
  const labels = graph.input({ name: "labels", type: "int64", shape: ["rows"] });
  const table = weights.tensor("class_emb.weight", [classes + 1, width]);
  const embedding = graph.add("Gather", [table, labels], { axis: 0 });
  const activated = weights.silu(embedding);

  const position = firstPosition(weights);
  const start = graph.add("Add", [weights.tensor("pos_start", [1, 1, width]), position]);
  const first = graph.add("Add", [graph.reshape(embedding, [-1, 1, width]), start]);
  graph.output({ name: "first", type: "float32", shape: ["rows", 1, width] }, first);

  const head = weights.linear(activated, "head_nm.ada_lin.1", width, 2 * width);
  graph.output(
    { name: "modulation.head", type: "float32", shape: ["rows", 2, width] },
    modulate(graph, head, HEAD_ONES, width),
  );
  if (sharedAdaptiveNorm) {
    const projected = weights.linear(activated, "shared_ada_lin.1", width, 6 * width);
    const shared = modulate(graph, projected, BLOCK_ONES, width);
    for (let i = 0; i < depth; i++) {
      const own = graph.reshape(weights.tensor(`blocks.${i}.ada_gss`, [1, 1, 6, width]), [1, 6, width]);
      const modulation = graph.add("Add", [shared, own]);
      graph.output({ name: `modulation.${i}`, type: "float32", shape: ["rows", 6, width] }, modulation);
    }
  } else {
    for (let i = 0; i < depth; i++) {
      weights.shape(`blocks.${i}.ada_lin.1.weight`, [6 * width, width]);
      weights.shape(`blocks.${i}.ada_lin.1.bias`, [6 * width]);
    }
    graph.output({ name: "activated", type: "float32", shape: ["rows", width] }, activated);
  }
  return graph.bytes();
}

/**
 * Activated class embeddings [rows, C] to the modulation [rows, 6, C] of a block whose projection is fed,
 * too: `weight` [6C, C] and `bias` [6C]. So one graph serves all blocks, and their projections, a third of
 * the model, need not stay where it runs.
 */
export function modulationGraph(width: number): Uint8Array<ArrayBuffer> {
  const graph = new GraphBuilder("modulation");
  const activated = graph.input({ name: "activated", type: "float32", shape: ["rows", width] });
  const weight = graph.input({ name: "weight", type: "float32", shape: [6 * width, width] });
  const bias = graph.input({ name: "bias", type: "float32", shape: [6 * width] });
  const projected = graph.add("Gemm", [activated, weight, bias], { transB: 1 });
  graph.output(
    { name: "modulation", type: "float32", shape: ["rows", 6, width] },
    modulate(graph, projected, BLOCK_ONES, width),
  );
  return graph.bytes();
}

/** What a transformer graph is made of. */
export interface TransformerGraphOptions {
  /** Where the bytes of each tensor lie. */
  readonly places: WeightPlaces;
  /** Type in which keys and values are kept; `"f32"` by default. */
  readonly cacheDtype?: CacheDtype;
}

/**
 * Features [rows, length, Cvae] of one scale to logits [rows * length, V]. `positions` [rows or 1, length, C]
 * is added to the embedded features; the first scale has zero features and the condition's first token as
 * positions. `map_shape` is [rows, length, C] once more as a feed, because computing it inside would put
 * nodes on the CPU.
 */
export function transformerGraph(
  sizes: TransformerSizes,
  set: WeightSet,
  { places, cacheDtype = "f32" }: TransformerGraphOptions,
): Uint8Array<ArrayBuffer> {
  const { width, depth, heads, vocabulary, channels, normalizedAttention } = sizes;
  const headWidth = width / heads;
  const weights = new GraphWeights("transformer", set, places);
  const { graph } = weights;
  const features = graph.input({ name: "features", type: "float32", shape: ["rows", "length", channels] });
  const positions = graph.input({
    name: "positions",
    type: "float32",
    shape: ["rows_or_1", "length", width],
  });
  const mapShape = graph.input({ name: "map_shape", type: "int64", shape: [3] });
  const flat = (value: string): string => graph.reshape(value, [-1, width]);
  const unflat = (value: string): string => graph.add("Reshape", [value, mapShape]);

  const ones = graph.constant("float32", new Array(width).fill(1));
  const adaptiveNorm = (value: string, scale: string, shift: string): string => {
    const normal = graph.add("LayerNormalization", [value, ones], {
      axis: -1,
      epsilon: { float: NORM_EPSILON },
    });
    return flat(graph.add("Add", [graph.add("Mul", [normal, scale]), shift]));
  };
  const gain = unitGain(graph, headWidth);
  const unit = (value: string): string => unitHeads(graph, value, gain, [heads, headWidth]);

  const embedded = graph.add("Gemm", [
    graph.reshape(features, [-1, channels]),
    weights.tensor("word_embed.weight", [width, channels]),
  ], { transB: 1 });
  let x = graph.add("Add", [unflat(embedded), positions]);

  for (let i = 0; i < depth; i++) {
    const block = `blocks.${i}`;
    const modulation = graph.input({ name: `modulation.${i}`, type: "float32", shape: ["rows", 6, width] });
    const [gate1, gate2, scale1, scale2, shift1, shift2] = graph.split(modulation, 6, 1);

    const bias = graph.add("Concat", [
      weights.tensor(`${block}.attn.q_bias`, [width]),
      graph.constant("float32", new Array(width).fill(0)),
      weights.tensor(`${block}.attn.v_bias`, [width]),
    ], { axis: 0 });
    const normal = adaptiveNorm(x, scale1!, shift1!);
    const qkv = weights.linear(normal, `${block}.attn.mat_qkv`, width, 3 * width, bias);
    let [query, key, value] = graph.split(qkv, 3, 1) as [string, string, string];
    if (normalizedAttention) {
      const logScale = weights.tensor(`${block}.attn.scale_mul_1H11`, [1, heads, 1, 1]);
      const scale = attentionScale(graph, logScale);
      query = graph.add("Mul", [unit(query), graph.reshape(scale, [1, heads, 1])]);
      key = unit(key);
    }
    const attended = cachedAttention(graph, {
      tokens: [unflat(query), unflat(key), unflat(value)],
      block: i,
      heads,
      headWidth,
      scale: normalizedAttention ? 1 : 0.25 / Math.sqrt(headWidth),
      dtype: cacheDtype,
    });
    const projected = unflat(weights.linear(flat(attended), `${block}.attn.proj`, width, width));
    x = graph.add("Add", [x, graph.add("Mul", [projected, gate1!])]);

    const hidden = weights.linear(adaptiveNorm(x, scale2!, shift2!), `${block}.ffn.fc1`, width, 4 * width);
    const activated = graph.add(`${MICROSOFT}.FastGelu`, [hidden]);
    const mixed = unflat(weights.linear(activated, `${block}.ffn.fc2`, 4 * width, width));
    x = graph.add("Add", [x, graph.add("Mul", [mixed, gate2!])]);
  }

  const modulation = graph.input({ name: "modulation.head", type: "float32", shape: ["rows", 2, width] });
  const [scale, shift] = graph.split(modulation, 2, 1);
  const logits = weights.linear(adaptiveNorm(x, scale!, shift!), "head", width, vocabulary);
  graph.output({ name: "logits", type: "float32", shape: ["rows_times_length", vocabulary] }, logits);
  return graph.bytes();
}
