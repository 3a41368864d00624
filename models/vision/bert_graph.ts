/**
 * The nodes of a BERT that looks at pictures: token ids to hidden states, each layer attending to the tokens
 * of the text and then to those of a picture. Names of tensors are those of BLIP's text encoder; which tokens
 * a text has is left to its tokenizer, what is made of the hidden states to each network. Formulas: the BERT
 * paper (arXiv 1810.04805), cross-attention as in BLIP (arXiv 2201.12086), section 3.1.
 *
 * @module
 */

import { MICROSOFT } from "../graphs/graph_builder.ts";
import type { GraphWeights } from "../graphs/graph_weights.ts";
import { ModelFileError } from "../model_file_error.ts";
import { layerTensors, type ModelTensor } from "../weights/model_tensor.ts";
import type { WeightSet } from "../weights/weight_set.ts";
import { activate, layerNorm } from "./vision_transformer.ts";

/** Sizes of an encoder. */
export interface BertConfig {
  /** What the names of its tensors begin with, such as `"text_encoder."`; empty if with nothing. */
  readonly prefix: string;
  /** Layers. */
  readonly layers: number;
  /** Width of a token. */
  readonly width: number;
  /** Attention heads. */
  readonly heads: number;
  /** Width within the feed-forward parts. */
  readonly hidden: number;
  /** Rows of the embedding: at least as many as the tokenizer has ids. */
  readonly vocabulary: number;
  /** Tokens of a text at most. */
  readonly positions: number;
  /** Width of a picture's tokens. */
  readonly memoryWidth: number;
}

/** What tensors do not tell about an encoder. */
export interface InferBertOptions {
  /** What the names of its tensors begin with; nothing by default. */
  readonly prefix?: string;
  /** Width of an attention head; 64 by default. */
  readonly headWidth?: number;
}

/** Norms add this to the variance. */
const NORM_EPSILON = 1e-12;

/**
 * Reads the sizes of an encoder from its tensors.
 *
 * @throws {ModelFileError} If a tensor is missing or of another shape, or heads do not fill the width.
 *
 * @example
 * ```ts
 * import { bertTensors, inferBert } from "./bert_graph.ts";
 * import { WeightSet } from "../weights/weight_set.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const sizes = { layers: 12, width: 768, heads: 12, hidden: 3072, vocabulary: 30524, positions: 512 };
 * const base = { prefix: "", ...sizes, memoryWidth: 1024 };
 * const tensors = new Map(bertTensors(base).map(({ name, shape }) => [name, { shape, dtype: "F32" }]));
 * assertEquals(inferBert(new WeightSet("text.pth", tensors)), base);
 * ```
 */
export function inferBert(set: WeightSet, options: InferBertOptions = {}): BertConfig {
  const { prefix = "", headWidth = 64 } = options;
  const [vocabulary, width] = set.take(`${prefix}embeddings.word_embeddings.weight`, [-1, -1]) as [
    number,
    number,
  ];
  if (width % headWidth !== 0) {
    throw new ModelFileError("Cannot divide a text encoder's tokens among attention heads", {
      file: set.file,
      expected: `a width that is a multiple of ${headWidth}`,
      found: `${width}`,
    });
  }
  const first = `${prefix}encoder.layer.0`;
  return {
    prefix,
    layers: set.count((i) => `${prefix}encoder.layer.${i}.`),
    width,
    heads: width / headWidth,
    hidden: set.take(`${first}.intermediate.dense.weight`, [-1, width])[0]!,
    vocabulary,
    positions: set.take(`${prefix}embeddings.position_embeddings.weight`, [-1, width])[0]!,
    memoryWidth: set.take(`${first}.crossattention.self.key.weight`, [width, -1])[1]!,
  };
}

/** Lists the tensors of an encoder. */
export function bertTensors(config: BertConfig): ModelTensor[] {
  const { prefix, layers, width, hidden, vocabulary, positions, memoryWidth } = config;
  const attention = (name: string, memory: number): ModelTensor[] => [
    ...layerTensors(`${name}.self.query`, [width, width]),
    ...layerTensors(`${name}.self.key`, [width, memory]),
    ...layerTensors(`${name}.self.value`, [width, memory]),
    ...layerTensors(`${name}.output.dense`, [width, width]),
    ...layerTensors(`${name}.output.LayerNorm`, [width]),
  ];
  const layer = (at: string): ModelTensor[] => [
    ...attention(`${at}.attention`, width),
    ...attention(`${at}.crossattention`, memoryWidth),
    ...layerTensors(`${at}.intermediate.dense`, [hidden, width]),
    ...layerTensors(`${at}.output.dense`, [width, hidden]),
    ...layerTensors(`${at}.output.LayerNorm`, [width]),
  ];
  return [
    { name: `${prefix}embeddings.word_embeddings.weight`, shape: [vocabulary, width] },
    { name: `${prefix}embeddings.position_embeddings.weight`, shape: [positions, width] },
    ...layerTensors(`${prefix}embeddings.LayerNorm`, [width]),
    ...Array.from({ length: layers }, (_, i) => layer(`${prefix}encoder.layer.${i}`)).flat(),
  ];
}

/** How many tokens there are. */
export interface BertLengths {
  /** Of a text. */
  readonly text: number;
  /** Of a picture. */
  readonly memory: number;
}

/** Floating-point operations for one text and one picture: two for each product that is added. */
export function bertFlops(config: BertConfig, { text, memory }: BertLengths): number {
  const { layers, width, hidden, memoryWidth } = config;
  const byToken = text * width * (6 * width + 2 * hidden);
  const attended = 2 * text * (text + memory) * width;
  return 2 * layers * (byToken + attended + 2 * memory * memoryWidth * width);
}

/** What an encoder is fed with, by the names that values have in the graph. */
export interface BertInputs {
  /** Token ids, int64 [texts, length]. */
  readonly ids: string;
  /** What is added to the scores of a text's tokens: [texts, 1, length, length]. */
  readonly bias: string;
  /** Tokens of one picture for each text: [texts, memory, memoryWidth]. */
  readonly memory: string;
}

/** Tokens that others attend to. */
interface Others {
  /** All sequences one after the other, [sequences · length, width]. */
  readonly rows: string;
  readonly width: number;
  readonly length: number;
  /** Added to their scores, if anything is. */
  readonly bias?: string;
}

/**
 * Texts and pictures to hidden states [texts, length, width].
 *
 * @param lengths Tokens of every text, which is padded to it, and of every picture.
 */
export function bertEncoder(
  weights: GraphWeights,
  inputs: BertInputs,
  config: BertConfig,
  lengths: BertLengths,
): string {
  const { graph } = weights;
  const { prefix, layers, width, heads, hidden, vocabulary, positions, memoryWidth } = config;
  const sum = (x: string, y: string, name: string): string => {
    return layerNorm(weights, graph.add("Add", [x, y]), name, { width, epsilon: NORM_EPSILON });
  };
  const memory = graph.reshape(inputs.memory, [-1, memoryWidth]);
  /** Adds to a text's tokens what they gather from others. */
  const attention = (x: string, name: string, others: Others): string => {
    const part = (from: string, projection: string, inner: number, length: number): string => {
      const projected = weights.linear(from, `${name}.self.${projection}`, inner, width);
      return graph.reshape(projected, [-1, length, width]);
    };
    const attended = graph.add(`${MICROSOFT}.MultiHeadAttention`, [
      part(x, "query", width, lengths.text),
      part(others.rows, "key", others.width, others.length),
      part(others.rows, "value", others.width, others.length),
      ...others.bias === undefined ? [] : ["", "", others.bias],
    ], { num_heads: heads });
    const rows = graph.reshape(attended, [-1, width]);
    return sum(weights.linear(rows, `${name}.output.dense`, width, width), x, `${name}.output.LayerNorm`);
  };

  const words = weights.tensor(`${prefix}embeddings.word_embeddings.weight`, [vocabulary, width]);
  const places = weights.tensor(`${prefix}embeddings.position_embeddings.weight`, [positions, width]);
  const embedded = sum(
    graph.add("Gather", [words, inputs.ids], { axis: 0 }),
    graph.add("Slice", [places, graph.constant("int64", [0]), graph.constant("int64", [lengths.text])]),
    `${prefix}embeddings.LayerNorm`,
  );
  let x = graph.reshape(embedded, [-1, width]);
  for (let i = 0; i < layers; i++) {
    const at = `${prefix}encoder.layer.${i}`;
    x = attention(x, `${at}.attention`, { rows: x, width, length: lengths.text, bias: inputs.bias });
    x = attention(x, `${at}.crossattention`, { rows: memory, width: memoryWidth, length: lengths.memory });
    const raised = activate(weights, weights.linear(x, `${at}.intermediate.dense`, width, hidden), "gelu");
    x = sum(weights.linear(raised, `${at}.output.dense`, hidden, width), x, `${at}.output.LayerNorm`);
  }
  return graph.reshape(x, [-1, lengths.text, width]);
}
