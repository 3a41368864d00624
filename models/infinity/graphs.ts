/**
 * The graphs of an Infinity transformer as ONNX: `condition` turns the features of one text into all that
 * depends on them alone, the keys and values of every block's cross-attention among it; `transformer` turns
 * the features of one scale into logits, and into keys and values for the scales to come. Formulas: arXiv
 * 2412.04431, section 3, and the published layout of its tensors.
 *
 * Rows of a batch: all conditional rows first, then, with guidance, all unconditional rows.
 *
 * @module
 */

import { decoderGraph, encoderGraph } from "../autoencoder/graph.ts";
import type { ModelWeights } from "../family.ts";
import {
  attentionScale,
  BLOCK_ONES,
  HEAD_ONES,
  modulate,
  NORM_EPSILON,
  unitGain,
  unitHeads,
} from "../graphs/block_nodes.ts";
import { cachedAttention, type CacheDtype } from "../graphs/cache_values.ts";
import { type GraphBuilder, type GraphValue, MICROSOFT } from "../graphs/graph_builder.ts";
import { GraphWeights } from "../graphs/graph_weights.ts";
import { t5Graph, TEXT_ENCODER, TEXT_ENCODER_GRAPH } from "../text/t5_graph.ts";
import type { WeightPlaces } from "../weights/weight_places.ts";
import type { WeightSet } from "../weights/weight_set.ts";
import {
  blockName,
  type InfinityConfig,
  type InfinityTransformerConfig,
  TOKENIZER,
  TRANSFORMER,
} from "./config.ts";
import { INFINITY_LAYOUT } from "./layout.ts";

/** Names of what a text gives each block. */
export const crossKey = (block: number): string => `cross_key.${block}`;
/** See {@linkcode crossKey}. */
export const crossValue = (block: number): string => `cross_value.${block}`;

/** Name of what a transformer is fed the place of each token by. */
export const PLACES = "places";

function ones(graph: GraphBuilder, length: number): string {
  return graph.constant("float32", new Array(length).fill(1));
}

function zeros(graph: GraphBuilder, length: number): string {
  return graph.constant("float32", new Array(length).fill(0));
}

/** How the graphs of a transformer are made. */
export interface TransformerGraphOptions {
  /** Blocks from the end after which both branches of guidance become their mix; none by default. */
  readonly mixedAfter?: readonly number[];
  /** Type in which keys and values are kept; `"f32"` by default. */
  readonly cacheDtype?: CacheDtype;
}

/**
 * Features of one text, [length, textChannels], to the first token [1, C], the modulation that all blocks
 * share [1, 6, C], that of the head [1, 2, C], and keys and values of each block [length, C].
 */
export function conditionGraph(
  config: InfinityTransformerConfig,
  set: WeightSet,
  places: WeightPlaces,
): Uint8Array<ArrayBuffer> {
  const weights = new GraphWeights("condition", set, places);
  const context = addTextConditions(weights, config);
  for (let i = 0; i < config.depth; i++) addCrossValues(weights, config, context, i);
  return weights.graph.bytes();
}

/** The same as graphs to be run one after the other: one of the text, then one of each block. */
export function conditionParts(
  config: InfinityTransformerConfig,
  set: WeightSet,
  places: WeightPlaces,
): Uint8Array<ArrayBuffer>[] {
  const shared = { name: "context", type: "float32", shape: ["length", config.width] } as const;
  const text = new GraphWeights("text", set, places);
  text.graph.output(shared, addTextConditions(text, config));
  const blocks = Array.from({ length: config.depth }, (_, i) => {
    const weights = new GraphWeights(`cross values ${i}`, set, places);
    addCrossValues(weights, config, weights.graph.input(shared), i);
    return weights.graph.bytes();
  });
  return [text.graph.bytes(), ...blocks];
}

/** Adds what all blocks share of a text, and returns its tokens [length, C] as blocks attend to them. */
function addTextConditions(weights: GraphWeights, config: InfinityTransformerConfig): string {
  const { width, textChannels, levels, unconditionalRows } = config;
  const { graph } = weights;
  const text = graph.input({ name: "text", type: "float32", shape: ["length", textChannels] });
  const normal = graph.add("SimplifiedLayerNormalization", [
    text,
    weights.tensor("text_norm.weight", [textChannels]),
  ], { axis: -1, epsilon: { float: NORM_EPSILON } });

  const pooled = pool(weights, normal, config);
  const level = graph.add("Gather", [
    weights.tensor("lvl_embed.weight", [levels, width]),
    graph.constant("int64", [0]),
  ], { axis: 0 });
  const position = graph.reshape(weights.tensor("pos_start", [1, 1, width]), [1, width]);
  const start = graph.add("Add", [pooled, graph.add("Add", [position, level])]);
  graph.output({ name: "first", type: "float32", shape: [1, width] }, start);
  const activated = weights.silu(pooled);
  const shared = weights.linear(activated, "shared_ada_lin.1", width, 6 * width);
  graph.output(
    { name: "modulation", type: "float32", shape: [1, 6, width] },
    modulate(graph, shared, BLOCK_ONES, width),
  );
  const head = weights.linear(activated, "head_nm.ada_lin.1", width, 2 * width);
  graph.output(
    { name: "modulation.head", type: "float32", shape: [1, 2, width] },
    modulate(graph, head, HEAD_ONES, width),
  );
  // Read by the model itself.
  weights.shape("cfg_uncond", [unconditionalRows, textChannels]);
  weights.shape("word_embed.bias", [width]);

  const hidden = weights.linear(normal, "text_proj_for_ca.0", textChannels, width);
  const activatedText = graph.add(`${MICROSOFT}.FastGelu`, [hidden]);
  return weights.linear(activatedText, "text_proj_for_ca.2", width, width);
}

/** Adds the keys and values of one block's cross-attention. */
function addCrossValues(
  weights: GraphWeights,
  config: InfinityTransformerConfig,
  context: string,
  block: number,
): void {
  const { width } = config;
  const { graph } = weights;
  const [key, value] = keysAndValues(weights, context, `${blockName(config, block)}.ca`, {
    inputs: width,
    width,
  });
  graph.output({ name: crossKey(block), type: "float32", shape: ["length", width] }, key);
  graph.output({ name: crossValue(block), type: "float32", shape: ["length", width] }, value);
}

/** Keys and values [length, C] of a text's tokens; only values have a bias. */
function keysAndValues(
  weights: GraphWeights,
  text: string,
  name: string,
  { inputs, width }: { readonly inputs: number; readonly width: number },
): [keys: string, values: string] {
  const { graph } = weights;
  const bias = graph.add("Concat", [zeros(graph, width), weights.tensor(`${name}.v_bias`, [width])], {
    axis: 0,
  });
  const both = weights.linear(text, `${name}.mat_kv`, inputs, 2 * width, bias);
  return graph.split(both, 2, 1) as [string, string];
}

/** Text features to one vector [1, C]: attention of a learnt query, head by head. */
function pool(
  weights: GraphWeights,
  text: string,
  { width, textChannels, poolHeads: heads }: InfinityTransformerConfig,
): string {
  const { graph } = weights;
  const name = "text_proj_for_sos.ca";
  const headWidth = width / heads;
  const [keys, values] = keysAndValues(weights, text, name, { inputs: textChannels, width });
  const byHead = (rows: string, perm: readonly number[]): string => {
    return graph.add("Transpose", [graph.reshape(rows, [-1, heads, headWidth])], { perm });
  };
  const query = graph.add("Mul", [
    graph.reshape(weights.tensor(`${name}.mat_q`, [1, heads, headWidth]), [heads, 1, headWidth]),
    graph.constant("float32", [headWidth ** -0.5]),
  ]);
  const scores = graph.add("MatMul", [query, byHead(keys, [1, 2, 0])]);
  const attended = graph.add("MatMul", [
    graph.add("Softmax", [scores], { axis: -1 }),
    byHead(values, [1, 0, 2]),
  ]);
  return weights.linear(graph.reshape(attended, [1, width]), `${name}.proj`, width, width);
}

/**
 * Features [rows, length, D] of one scale to logits [rows * length, 2 D]: of each bit the logits of 0 and 1.
 * `start` [rows or 1, 1, C] is added to the embedded features: level and bias, or for the first scale, whose
 * features are zeros, its token. Texts are fed as keys and values [rows, text, C] of each block, with a
 * `mask` [rows, 1, length, text] that is added to their scores. `cos` and `sin` [length, half a head] are the
 * rotations of the scale, and `places` [rows, length] tells which of them each token is turned by.
 * `map_shape` is [rows, length, C] once more as a feed, because computing it inside would put nodes on the
 * CPU. Where branches are mixed, `mix` [rows, rows] says what of each row becomes part of each.
 */
export function transformerGraph(
  config: InfinityTransformerConfig,
  set: WeightSet,
  places: WeightPlaces,
  options: TransformerGraphOptions = {},
): Uint8Array<ArrayBuffer> {
  const transformer = new Transformer(config, new GraphWeights("transformer", set, places), options);
  let x = transformer.embed();
  for (let i = 0; i < config.depth; i++) x = transformer.block(x, i);
  return transformer.end(x);
}

/** The same as graphs to be run one after the other: embedding, each block, and head. */
export function transformerParts(
  config: InfinityTransformerConfig,
  set: WeightSet,
  places: WeightPlaces,
  options: TransformerGraphOptions = {},
): Uint8Array<ArrayBuffer>[] {
  const { depth, width } = config;
  const part = (name: string): Transformer => {
    return new Transformer(config, new GraphWeights(name, set, places), options);
  };
  const between = (i: number): GraphValue => {
    return { name: `tokens.${i}`, type: "float32", shape: ["rows", "length", width] };
  };
  const first = part("embedding");
  const blocks = Array.from({ length: depth }, (_, i) => {
    const block = part(`block ${i}`);
    return block.give(between(i + 1), block.block(block.take(between(i)), i));
  });
  const last = part("head");
  return [first.give(between(0), first.embed()), ...blocks, last.end(last.take(between(depth)))];
}

/** The pieces of a transformer graph, which share its inputs. */
class Transformer {
  readonly #config: InfinityTransformerConfig;
  readonly #weights: GraphWeights;
  readonly #graph: GraphBuilder;
  readonly #options: TransformerGraphOptions;
  readonly #inputs = new Set<string>();

  constructor(config: InfinityTransformerConfig, weights: GraphWeights, options: TransformerGraphOptions) {
    this.#config = config;
    this.#weights = weights;
    this.#graph = weights.graph;
    this.#options = options;
  }

  /** An input, declared where it is first needed. */
  #input(name: string, shape: GraphValue["shape"], type: GraphValue["type"] = "float32"): string {
    if (this.#inputs.has(name)) return name;
    this.#inputs.add(name);
    return this.#graph.input({ name, type, shape });
  }

  /** Tokens that another graph has given. */
  take(tokens: GraphValue): string {
    return this.#graph.input(tokens);
  }

  /** The graph, which gives tokens to another one. */
  give(tokens: GraphValue, x: string): Uint8Array<ArrayBuffer> {
    this.#graph.output(tokens, x);
    return this.#graph.bytes();
  }

  /** The graph, which gives logits. */
  end(x: string): Uint8Array<ArrayBuffer> {
    const { bits } = this.#config;
    const logits = { name: "logits", type: "float32", shape: ["rows_times_length", 2 * bits] } as const;
    return this.give(logits, this.#head(x));
  }

  #flat(value: string): string {
    return this.#graph.reshape(value, [-1, this.#config.width]);
  }

  #unflat(value: string): string {
    return this.#graph.add("Reshape", [value, this.#input("map_shape", [3], "int64")]);
  }

  /** Features of a scale to tokens [rows, length, C]. */
  embed(): string {
    const { bits, width } = this.#config;
    const features = this.#input("features", ["rows", "length", bits]);
    const start = this.#input("start", ["rows_or_1", 1, width]);
    const embedded = this.#graph.add("Gemm", [
      this.#graph.reshape(features, [-1, bits]),
      this.#weights.tensor("word_embed.weight", [width, bits]),
    ], { transB: 1 });
    return this.#graph.add("Add", [this.#unflat(embedded), start]);
  }

  /** One block: self-attention over all tokens so far, cross-attention over the text, feed-forward part. */
  block(x: string, i: number): string {
    const { width, hidden } = this.#config;
    const [graph, weights] = [this.#graph, this.#weights];
    const name = blockName(this.#config, i);
    const shared = this.#input("modulation", ["rows", 6, width]);
    const own = graph.reshape(weights.tensor(`${name}.ada_gss`, [1, 1, 6, width]), [1, 6, width]);
    const parts = graph.split(graph.add("Add", [shared, own]), 6, 1);
    const [gate1, gate2, scale1, scale2, shift1, shift2] = parts as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    const gated = (value: string, gate: string): string => {
      return graph.add("Mul", [this.#unflat(value), gate]);
    };
    x = graph.add("Add", [x, gated(this.#selfAttention(this.#adaptiveNorm(x, scale1, shift1), i), gate1)]);
    x = graph.add("Add", [x, this.#unflat(this.#crossAttention(x, i))]);
    const up = weights.linear(this.#adaptiveNorm(x, scale2, shift2), `${name}.ffn.fc1`, width, hidden);
    const activated = graph.add(`${MICROSOFT}.FastGelu`, [up]);
    x = graph.add("Add", [x, gated(weights.linear(activated, `${name}.ffn.fc2`, hidden, width), gate2)]);
    const { mixedAfter = [] } = this.#options;
    return mixedAfter.includes(this.#config.depth - i) ? this.#mix(x) : x;
  }

  /** Each row becomes a mix of all rows of the batch: guidance within the transformer. */
  #mix(x: string): string {
    const graph = this.#graph;
    // A 0 keeps the number of rows.
    const rows = graph.reshape(x, [0, -1]);
    return this.#unflat(graph.add("MatMul", [this.#input("mix", ["rows", "rows"]), rows]));
  }

  /** Tokens to logits. */
  #head(x: string): string {
    const { width, bits } = this.#config;
    const modulation = this.#input("modulation.head", ["rows", 2, width]);
    const [scale, shift] = this.#graph.split(modulation, 2, 1) as [string, string];
    return this.#weights.linear(this.#adaptiveNorm(x, scale, shift), "head", width, 2 * bits);
  }

  #adaptiveNorm(value: string, scale: string, shift: string): string {
    const normal = this.#layerNorm(value, ones(this.#graph, this.#config.width));
    return this.#flat(this.#graph.add("Add", [this.#graph.add("Mul", [normal, scale]), shift]));
  }

  #layerNorm(value: string, ...affine: readonly string[]): string {
    return this.#graph.add("LayerNormalization", [value, ...affine], {
      axis: -1,
      epsilon: { float: NORM_EPSILON },
    });
  }

  #selfAttention(normal: string, i: number): string {
    const { width, heads } = this.#config;
    const { cacheDtype: dtype = "f32" } = this.#options;
    const [graph, weights] = [this.#graph, this.#weights];
    const name = `${blockName(this.#config, i)}.sa`;
    const bias = graph.add("Concat", [
      weights.tensor(`${name}.q_bias`, [width]),
      zeros(graph, width),
      weights.tensor(`${name}.v_bias`, [width]),
    ], { axis: 0 });
    const qkv = weights.linear(normal, `${name}.mat_qkv`, width, 3 * width, bias);
    const [query, key, value] = graph.split(qkv, 3, 1) as [string, string, string];
    const logScale = weights.tensor(`${name}.scale_mul_1H11`, [1, heads, 1, 1]);
    const scale = attentionScale(graph, logScale);
    const scaled = graph.add("Mul", [this.#unit(query), graph.reshape(scale, [1, heads, 1])]);
    const attended = cachedAttention(graph, {
      tokens: [
        this.#rotated(this.#unflat(scaled)),
        this.#rotated(this.#unflat(this.#unit(key))),
        this.#unflat(value),
      ],
      block: i,
      heads,
      headWidth: width / heads,
      scale: 1,
      dtype,
    });
    return weights.linear(this.#flat(attended), `${name}.proj`, width, width);
  }

  /** Each head's vector to length 1. */
  #unit(value: string): string {
    const { width, heads } = this.#config;
    const headWidth = width / heads;
    return unitHeads(this.#graph, value, unitGain(this.#graph, headWidth), [heads, headWidth]);
  }

  /** Turned by the places: pairs of neighbouring channels. */
  #rotated(value: string): string {
    const { width, heads } = this.#config;
    const half = width / heads / 2;
    return this.#graph.add(`${MICROSOFT}.RotaryEmbedding`, [
      value,
      this.#input(PLACES, ["rows", "length"], "int64"),
      this.#input("cos", ["length", half]),
      this.#input("sin", ["length", half]),
    ], { interleaved: 1, num_heads: heads });
  }

  #crossAttention(x: string, i: number): string {
    const { width, heads } = this.#config;
    const [graph, weights] = [this.#graph, this.#weights];
    const name = blockName(this.#config, i);
    const normal = this.#layerNorm(
      x,
      weights.tensor(`${name}.ca_norm.weight`, [width]),
      weights.tensor(`${name}.ca_norm.bias`, [width]),
    );
    const query = weights.linear(this.#flat(normal), `${name}.ca.mat_q`, width, width);
    const attended = graph.add(`${MICROSOFT}.MultiHeadAttention`, [
      this.#unflat(query),
      this.#input(crossKey(i), ["rows", "text", width]),
      this.#input(crossValue(i), ["rows", "text", width]),
      "",
      "",
      this.#input("mask", ["rows", 1, "length", "text"]),
    ], { num_heads: heads, scale: { float: (width / heads) ** -0.5 } });
    return weights.linear(this.#flat(attended), `${name}.ca.proj`, width, width);
  }
}

/**
 * Builds the graphs by file name, and takes all tensors that they and the model use.
 *
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
export function infinityGraphs(
  config: InfinityConfig,
  weights: ModelWeights,
  places: Readonly<Record<string, WeightPlaces>>,
): Map<string, Uint8Array<ArrayBuffer>> {
  const part = (name: string): [WeightSet, WeightPlaces] => [weights[name]!.set, places[name]!];
  const autoencoder = { ...config.tokenizer, layout: INFINITY_LAYOUT };
  const graphs = new Map([
    ["condition.onnx", conditionGraph(config, ...part(TRANSFORMER))],
    ["transformer.onnx", transformerGraph(config, ...part(TRANSFORMER))],
  ]);
  const { decoder, encoder } = config.tokenizer;
  if (decoder !== null) graphs.set("decoder.onnx", decoderGraph(autoencoder, ...part(TOKENIZER)));
  if (encoder !== null) graphs.set("encoder.onnx", encoderGraph(autoencoder, ...part(TOKENIZER)));
  if (config.text !== undefined && weights[TEXT_ENCODER] !== undefined) {
    graphs.set(TEXT_ENCODER_GRAPH, t5Graph(config.text, ...part(TEXT_ENCODER)));
  }
  return graphs;
}
