/**
 * The encoder half of a T5 1.1 (flan-t5 is one) as an ONNX graph: embedded tokens of one prompt to features.
 * The embedding stays outside, since of its table, 263 MB in f32 for flan-t5-xl, a prompt needs a few rows.
 * Formulas: the T5 paper (arXiv 1910.10683), section 2.1, gated as in arXiv 2002.05202, and the published
 * layout of the tensors. The decoder half is left in the file.
 *
 * @module
 */

import type { CheckpointPart } from "../family.ts";
import { isSize, requireSizes, type SizeCheck } from "../folder/sizes.ts";
import { GraphWeights } from "../graphs/graph_weights.ts";
import { MICROSOFT } from "../graphs/graph_builder.ts";
import { asFound, ModelFileError } from "../model_file_error.ts";
import type { Dtype } from "../weights/dtype.ts";
import type { ModelTensor } from "../weights/model_tensor.ts";
import { SCALES } from "../weights/quantize.ts";
import type { WeightPlaces } from "../weights/weight_places.ts";
import type { WeightSet } from "../weights/weight_set.ts";

/** Name of the encoder's weights in a model folder. */
export const TEXT_ENCODER = "text_encoder";
/** Name of its graph there. */
export const TEXT_ENCODER_GRAPH = "text_encoder.onnx";

/** Sizes of an encoder. */
export interface T5Config {
  /** Layers. */
  readonly layers: number;
  /** Width of the features. */
  readonly width: number;
  /** Attention heads. */
  readonly heads: number;
  /** Width of a head; all heads together may have another width than the features. */
  readonly headWidth: number;
  /** Width within the feed-forward layers. */
  readonly hidden: number;
  /** Rows of the embedding: at least as many as the tokenizer has ids. */
  readonly vocabulary: number;
  /** Kinds of distances between two tokens that attention tells apart. */
  readonly buckets: number;
}

const CHECKS: Readonly<Record<keyof T5Config, SizeCheck>> = {
  layers: isSize,
  width: isSize,
  heads: isSize,
  headWidth: isSize,
  hidden: isSize,
  vocabulary: isSize,
  buckets: isSize,
};

/** Norms add this to the mean square. */
const NORM_EPSILON = 1e-6;
/** From this distance on all tokens are equally far away. */
const MAX_DISTANCE = 128;

/** Names of one embedding: files hold it under one or both. */
const EMBEDDINGS = ["shared.weight", "encoder.embed_tokens.weight"] as const;
const FINAL_NORM = "encoder.final_layer_norm.weight";
/** One table of biases by distance serves all layers. */
const DISTANCE_BIAS = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
const LINEAR = /\.(SelfAttention\.[qkvo]|DenseReluDense\.(wi_0|wi_1|wo))\.weight$/;

const attentionOf = (layer: number): string => `encoder.block.${layer}.layer.0`;
const feedForwardOf = (layer: number): string => `encoder.block.${layer}.layer.1`;

/** The encoder as a part of a model. */
export const t5Part: CheckpointPart = {
  name: "t5",
  weights: TEXT_ENCODER,
  title: "the text encoder",
  landmark: FINAL_NORM,
  // The decoder half, and the embedding under its second name.
  unused: /^(decoder\.|lm_head\.|shared\.weight$|encoder\.embed_tokens\.weight$)/,
  isIn: (tensors) => tensors.has(FINAL_NORM) && tensors.has(DISTANCE_BIAS),
};

/**
 * Name of the embedding among tensors.
 *
 * @param tensors What tells whether there is a tensor of a name.
 */
export function embeddingName(tensors: { has(name: string): boolean }): string {
  return EMBEDDINGS.find((name) => tensors.has(name)) ?? EMBEDDINGS[0];
}

/**
 * Reads the sizes of an encoder from its tensors, of a checkpoint or of a model folder.
 *
 * @throws {ModelFileError} If a tensor is missing or of an unexpected shape, or the feed-forward layers have
 * no gate, as those of the first T5.
 *
 * @example
 * ```ts
 * import { inferT5, t5Tensors } from "./t5_graph.ts";
 * import { WeightSet } from "../weights/weight_set.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const sizes = { layers: 8, width: 512, heads: 6, headWidth: 64, hidden: 1024 };
 * const small = { ...sizes, vocabulary: 32128, buckets: 32 };
 * const tensors = new Map(t5Tensors(small).map(({ name, shape }) => [name, { shape, dtype: "F32" }]));
 * assertEquals(inferT5(new WeightSet("flan-t5-small", tensors)), small);
 * ```
 */
export function inferT5(set: WeightSet): T5Config {
  const dense = `${feedForwardOf(0)}.DenseReluDense`;
  if (set.has(`${dense}.wi.weight`)) {
    throw new ModelFileError("Cannot use the text encoder as its feed-forward layers have no gate", {
      file: set.file,
      tensor: set.fullName(`${dense}.wi.weight`),
      expected: `"${dense}.wi_0.weight" and "${dense}.wi_1.weight", as T5 1.1 and flan-t5 have them`,
      found: "the first T5",
    });
  }
  const [width] = set.take(FINAL_NORM, [-1]) as [number];
  const [vocabulary] = set.take(embeddingName(set), [-1, width]) as [number];
  const [buckets, heads] = set.take(DISTANCE_BIAS, [-1, -1]) as [number, number];
  if (buckets < 4 || buckets % 2 !== 0) {
    throw new ModelFileError("Cannot use the text encoder's biases by distance", {
      file: set.file,
      tensor: set.fullName(DISTANCE_BIAS),
      expected: "an even number of rows from 4 on",
      found: `${buckets}`,
    });
  }
  const query = `${attentionOf(0)}.SelfAttention.q.weight`;
  const inner = rowsOf(set, query, width);
  if (!(inner >= heads && inner % heads === 0)) {
    throw new ModelFileError("Cannot tell the width of an attention head", {
      file: set.file,
      tensor: set.fullName(query),
      expected: `a multiple of ${heads} rows, the heads of "${DISTANCE_BIAS}"`,
      found: `${inner}`,
    });
  }
  return {
    layers: set.count((i) => `encoder.block.${i}.`),
    width,
    heads,
    headWidth: inner / heads,
    hidden: rowsOf(set, `${dense}.wi_0.weight`, width),
    vocabulary,
    buckets,
  };
}

/** Rows of a matrix, which may be stored in blocks of integers. */
function rowsOf(set: WeightSet, name: string, columns: number): number {
  return set.take(name, set.has(name + SCALES) ? [-1, -1, -1] : [-1, columns])[0]!;
}

/**
 * Checks what a folder's description gives as sizes of the encoder.
 *
 * @param value The sizes.
 * @param file Path or URL of the description, for messages.
 * @throws {ModelFileError} Naming the first one that is missing or none.
 */
export function requireT5Config(value: unknown, file: string): T5Config {
  return requireSizes<T5Config>(value, CHECKS, {
    file,
    model: "the text encoder",
    path: "config.textEncoder",
  });
}

/** What `config.json` of a T5 must say, beside the sizes. */
const DESCRIPTION = {
  feed_forward_proj: "gated-gelu",
  relative_attention_max_distance: MAX_DISTANCE,
  layer_norm_epsilon: NORM_EPSILON,
} as const;
/** What transformers takes for what a `config.json` leaves out. */
const DESCRIPTION_DEFAULTS: Readonly<Record<string, unknown>> = {
  feed_forward_proj: "relu",
  relative_attention_max_distance: 128,
  layer_norm_epsilon: 1e-6,
};

/**
 * Checks the `config.json` that is published beside an encoder's tensors, which do not tell everything.
 *
 * @param bytes Its content.
 * @param file Its path or URL, for messages.
 * @param config Sizes of the encoder.
 * @throws {ModelFileError} If it describes another encoder than the one of these sizes, or one with other
 * formulas.
 */
export function requireT5Description(bytes: Uint8Array, file: string, config: T5Config): void {
  const refuse = (expected: string, found: unknown): never => {
    throw new ModelFileError("Cannot use the text encoder as its description is not that of its tensors", {
      file,
      expected,
      found: asFound(found),
    });
  };
  let description: unknown;
  try {
    description = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    return refuse("the JSON of a config.json", (error as Error).message);
  }
  if (typeof description !== "object" || description === null) return refuse("an object", description);
  const given: Readonly<Record<string, unknown>> = { ...DESCRIPTION_DEFAULTS, ...description };
  const wanted = {
    ...DESCRIPTION,
    d_model: config.width,
    num_heads: config.heads,
    d_kv: config.headWidth,
    d_ff: config.hidden,
    num_layers: config.layers,
  };
  for (const [key, value] of Object.entries(wanted)) {
    if (given[key] !== value) refuse(`"${key}": ${JSON.stringify(value)}`, given[key]);
  }
}

/** Lists the tensors of an encoder. */
export function t5Tensors(config: T5Config): ModelTensor[] {
  const { layers, width, heads, headWidth, hidden, vocabulary, buckets } = config;
  const inner = heads * headWidth;
  const layer = (i: number): ModelTensor[] => [
    ...["q", "k", "v"].map((part) => {
      return { name: `${attentionOf(i)}.SelfAttention.${part}.weight`, shape: [inner, width] };
    }),
    { name: `${attentionOf(i)}.SelfAttention.o.weight`, shape: [width, inner] },
    ...(i === 0 ? [{ name: DISTANCE_BIAS, shape: [buckets, heads] }] : []),
    { name: `${attentionOf(i)}.layer_norm.weight`, shape: [width] },
    { name: `${feedForwardOf(i)}.DenseReluDense.wi_0.weight`, shape: [hidden, width] },
    { name: `${feedForwardOf(i)}.DenseReluDense.wi_1.weight`, shape: [hidden, width] },
    { name: `${feedForwardOf(i)}.DenseReluDense.wo.weight`, shape: [width, hidden] },
    { name: `${feedForwardOf(i)}.layer_norm.weight`, shape: [width] },
  ];
  return [
    { name: EMBEDDINGS[0], shape: [vocabulary, width] },
    ...Array.from({ length: layers }, (_, i) => layer(i)).flat(),
    { name: FINAL_NORM, shape: [width] },
  ];
}

/**
 * How a tensor of an encoder is stored when the large weights have a type: linear layers in that type, the
 * embedding in f16 or f32, norms and the biases by distance in f32. Halves hold the weights of `wo`, too;
 * what leaves their range in the published code are its sums, which are f32 here.
 *
 * What a type costs, as the features' error by their size, root mean square: the demo is trained and has 2
 * layers; the other has the 24 layers of flan-t5-xl and random weights, in which errors grow more.
 *
 * | | demo | flan-t5-xl's sizes |
 * |---|---|---|
 * | f16 | 0.0000002 | 0.000004 |
 * | q8 | 0.0025 | 0.048 |
 * | q4 | 0.042 | 0.60 |
 *
 * Both have weights that halves hold exactly; what is left for f16 are f32's own roundings.
 *
 * @param name Name in the published checkpoints.
 * @param _shape Shape there, which does not matter.
 * @param dtype Type of the large weights.
 */
export function storedT5Dtype(name: string, _shape: readonly number[], dtype: Dtype): Dtype {
  if (dtype === "f32") return "f32";
  if (LINEAR.test(name)) return dtype;
  return (EMBEDDINGS as readonly string[]).includes(name) ? "f16" : "f32";
}

/**
 * Kinds of the distances between the tokens of a prompt, [length, length]: row by row for each token that
 * attends, what it attends to. Half of them are for what comes later; the nearest distances are told apart
 * one by one, those beyond by their logarithm.
 *
 * @param length Tokens.
 * @param buckets Kinds that there are.
 *
 * @example
 * ```ts
 * import { distanceBuckets } from "./t5_graph.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(distanceBuckets(3, 32), [0, 17, 18, 1, 0, 17, 2, 1, 0]);
 * ```
 */
export function distanceBuckets(length: number, buckets: number): number[] {
  const kinds = Array.from({ length }, (_, distance) => bucketOf(distance, buckets >> 1));
  return Array.from({ length: length * length }, (_, i) => {
    const distance = i % length - Math.floor(i / length);
    return (distance > 0 ? buckets >> 1 : 0) + kinds[Math.abs(distance)]!;
  });
}

/** Kind of a distance in one direction. */
function bucketOf(distance: number, buckets: number): number {
  const exact = buckets >> 1;
  if (distance < exact) return distance;
  const far = Math.log(distance / exact) / Math.log(MAX_DISTANCE / exact);
  return Math.min(buckets - 1, exact + Math.floor(far * (buckets - exact)));
}

/**
 * Embedded tokens [1, length, width] of one prompt and the kinds of their distances, `buckets`
 * [length, length], to features [length, width].
 *
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
export function t5Graph(config: T5Config, set: WeightSet, places: WeightPlaces): Uint8Array<ArrayBuffer> {
  const { layers, width, heads, headWidth, hidden, vocabulary, buckets } = config;
  const inner = heads * headWidth;
  const weights = new GraphWeights(TEXT_ENCODER, set, places);
  const { graph } = weights;
  // Whoever embeds the tokens reads it.
  weights.shape(embeddingName(set), [vocabulary, width]);
  const embedded = graph.input({ name: "embedded", type: "float32", shape: [1, "length", width] });
  const distances = graph.input({ name: "buckets", type: "int64", shape: ["length", "length"] });
  const norm = (value: string, name: string): string => {
    return graph.add("SimplifiedLayerNormalization", [value, weights.tensor(name, [width])], {
      axis: -1,
      epsilon: { float: NORM_EPSILON },
    });
  };

  const table = weights.tensor(DISTANCE_BIAS, [buckets, heads]);
  const byHead = graph.add("Transpose", [graph.add("Gather", [table, distances], { axis: 0 })], {
    perm: [2, 0, 1],
  });
  const distanceBias = graph.add("Unsqueeze", [byHead, graph.constant("int64", [0])]);

  let x = graph.reshape(embedded, [-1, width]);
  for (let i = 0; i < layers; i++) {
    const attention = `${attentionOf(i)}.SelfAttention`;
    const normal = norm(x, `${attentionOf(i)}.layer_norm.weight`);
    const [query, key, value] = ["q", "k", "v"].map((part) => {
      return graph.reshape(weights.linear(normal, `${attention}.${part}`, width, inner, null), [
        1,
        -1,
        inner,
      ]);
    }) as [string, string, string];
    const attended = graph.add(
      `${MICROSOFT}.MultiHeadAttention`,
      [query, key, value, "", "", distanceBias],
      { num_heads: heads, scale: { float: 1 } },
    );
    const projected = weights.linear(
      graph.reshape(attended, [-1, inner]),
      `${attention}.o`,
      inner,
      width,
      null,
    );
    x = graph.add("Add", [x, projected]);

    const dense = `${feedForwardOf(i)}.DenseReluDense`;
    const second = norm(x, `${feedForwardOf(i)}.layer_norm.weight`);
    const gate = graph.add(`${MICROSOFT}.FastGelu`, [
      weights.linear(second, `${dense}.wi_0`, width, hidden, null),
    ]);
    const gated = graph.add("Mul", [gate, weights.linear(second, `${dense}.wi_1`, width, hidden, null)]);
    x = graph.add("Add", [x, weights.linear(gated, `${dense}.wo`, hidden, width, null)]);
  }
  graph.output({ name: "features", type: "float32", shape: ["length", width] }, norm(x, FINAL_NORM));
  return graph.bytes();
}
