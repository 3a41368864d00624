/**
 * The graphs of a VAR model as ONNX: `condition` and `modulation` turn class labels into everything that depends on them alone;
 * `transformer` turns the features of one scale into logits and grows the key and value caches; `decoder` turns the accumulated
 * feature map into pixels; `encoder` does the reverse. Formulas: the VAR paper (arXiv 2404.02905), section 3.2 and appendix A, and the
 * published layout of its tensors.
 *
 * Rows of a batch: all conditional rows first, then, with guidance, all unconditional rows.
 *
 * @module
 */

import { GraphBuilder, type GraphValue, MICROSOFT, type WeightPlaces } from "../onnx.ts";
import { BLOCK, SCALES } from "../quantize.ts";
import type { WeightSet } from "../weights.ts";
import type { TokenizerConfig, TokenizerLevel, VarConfig } from "./config.ts";

/** Norms of the model, of layers and of groups, add this to the variance. */
const NORM_EPSILON = 1e-6;
/** Added to the mean square of a query or key: keeps a zero vector at zero and is far below the rounding of any other. */
const UNIT_EPSILON = 1e-30;
/** Upper bound of the learnt logarithm of the attention scale. */
const MAX_LOG_SCALE = Math.log(100);
/** Groups of the tokenizer's norms. */
const GROUPS = 32;
/** Parts of a block's modulation in their order: gate, gate, scale, scale, shift, shift. What is added: a scale enters as 1 + s. */
const BLOCK_ONES = [0, 0, 1, 1, 0, 0];
/** Parts of the head's modulation: scale, shift. */
const HEAD_ONES = [1, 0];

/** A graph builder that takes its weights from a set and asserts their shapes. */
class Weights {
  readonly graph: GraphBuilder;
  readonly #set: WeightSet;
  readonly #places: WeightPlaces;

  constructor(name: string, set: WeightSet, places: WeightPlaces) {
    this.graph = new GraphBuilder(name);
    this.#set = set;
    this.#places = places;
  }

  hasAny(prefix: string): boolean {
    return this.#set.hasAny(prefix);
  }

  shape(name: string, expected: readonly number[]): readonly number[] {
    return this.#set.take(name, expected);
  }

  /** A tensor of exactly this shape. */
  tensor(name: string, shape: readonly number[]): string {
    this.#set.take(name, shape);
    return this.graph.weight(name, this.#places(name));
  }

  /**
   * x[rows, inputs] times the transposed weight of a linear layer, plus its bias, with sums in f32 however the weight is stored.
   *
   * Halves are cast before a product of floats. A product of halves needs no cast, but ONNX Runtime's WebGPU provider then sums in halves,
   * too: with 1024 inputs the result is off by 0.0024 of its size instead of the 0.0002 that the rounded weights make. Integers are
   * multiplied by their scales inside the product; `accuracy_level` 4 would round activations to 8 bits where the provider can, which
   * makes an error of 0.0054, as large as that of 8-bit weights.
   */
  linear(
    x: string,
    name: string,
    inputs: number,
    outputs: number,
    bias: string = this.tensor(`${name}.bias`, [outputs]),
  ): string {
    const weight = this.tensor(`${name}.weight`, [outputs, inputs]);
    const { type, shape } = this.#places(`${name}.weight`);
    if (type !== "uint8") return this.graph.add("Gemm", [x, weight, bias], { transB: 1 });
    const scalesName = `${name}.weight${SCALES}`;
    const scales = this.graph.weight(scalesName, this.#places(scalesName));
    return this.graph.add(`${MICROSOFT}.MatMulNBits`, [x, weight, scales, "", "", bias], {
      K: inputs,
      N: outputs,
      bits: shape[2]! * 8 / BLOCK,
      block_size: BLOCK,
    });
  }

  silu(x: string): string {
    return this.graph.add(`${MICROSOFT}.QuickGelu`, [x], { alpha: { float: 1 } });
  }
}

/** Modulation [rows, parts * C] as [rows, parts, C], with ones added to some parts. */
function modulate(graph: GraphBuilder, modulation: string, ones: readonly number[], width: number): string {
  const parts = ones.length;
  return graph.add("Add", [
    graph.reshape(modulation, [-1, parts, width]),
    graph.constant("float32", ones, [1, parts, 1]),
  ]);
}

/**
 * Labels [rows] to first token [rows, 1, C] and head modulation [rows, 2, C]; and either, where all blocks share one projection, each
 * block's modulation [rows, 6, C], or else what {@linkcode modulationGraph} makes it from, [rows, C].
 */
export function conditionGraph(
  config: VarConfig,
  set: WeightSet,
  places: WeightPlaces,
): Uint8Array<ArrayBuffer> {
  const { width, depth, classes, sharedAdaptiveNorm } = config;
  const weights = new Weights("condition", set, places);
  const { graph } = weights;
  const labels = graph.input({ name: "labels", type: "int64", shape: ["rows"] });
  const table = weights.tensor("class_emb.weight", [classes + 1, width]);
  const embedding = graph.add("Gather", [table, labels], { axis: 0 });
  const activated = weights.silu(embedding);

  const position = graph.add("Add", [
    graph.add("Slice", [
      weights.tensor("pos_1LC", [1, config.patchNumbers.reduce((sum, side) => sum + side * side, 0), width]),
      graph.constant("int64", [0]),
      graph.constant("int64", [1]),
      graph.constant("int64", [1]),
    ]),
    graph.add("Slice", [
      weights.tensor("lvl_embed.weight", [config.patchNumbers.length, width]),
      graph.constant("int64", [0]),
      graph.constant("int64", [1]),
      graph.constant("int64", [0]),
    ]),
  ]);
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
 * Activated class embeddings [rows, C] to the modulation [rows, 6, C] of a block whose projection is fed, too: `weight` [6C, C] and `bias`
 * [6C]. So one graph serves all blocks, and their projections, a third of the model, need not stay where it runs.
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

/**
 * Features [rows, length, Cvae] of one scale to logits [rows * length, V]. `positions` [rows or 1, length, C] is added to the embedded
 * features; the first scale has zero features and the condition's first token as positions. `map_shape` is [rows, length, C] once more
 * as a feed, because computing it inside would put nodes on the CPU.
 */
export function transformerGraph(
  config: VarConfig,
  set: WeightSet,
  places: WeightPlaces,
): Uint8Array<ArrayBuffer> {
  const { width, depth, heads, tokenizer: { vocabulary, channels }, normalizedAttention } = config;
  const headWidth = width / heads;
  const weights = new Weights("transformer", set, places);
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
  const unitGain = graph.constant("float32", new Array(headWidth).fill(1 / Math.sqrt(headWidth)));
  const unit = (value: string): string => {
    const perHead = graph.reshape(value, [-1, heads, headWidth]);
    return graph.add("SimplifiedLayerNormalization", [perHead, unitGain], {
      axis: -1,
      epsilon: { float: UNIT_EPSILON },
    });
  };

  const embedded = graph.add("Gemm", [
    graph.reshape(features, [-1, channels]),
    weights.tensor("word_embed.weight", [width, channels]),
  ], { transB: 1 });
  let x = graph.add("Add", [unflat(embedded), positions]);

  for (let i = 0; i < depth; i++) {
    const block = `blocks.${i}`;
    const modulation = graph.input({ name: `modulation.${i}`, type: "float32", shape: ["rows", 6, width] });
    const cache = (name: string, length: string): GraphValue => {
      return { name: `${name}.${i}`, type: "float32", shape: ["rows", heads, length, headWidth] };
    };
    const pastKey = graph.input(cache("past_key", "past"));
    const pastValue = graph.input(cache("past_value", "past"));
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
      const scale = graph.add("Exp", [
        graph.add("Min", [logScale, graph.constant("float32", [MAX_LOG_SCALE])]),
      ]);
      query = graph.add("Mul", [unit(query), graph.reshape(scale, [1, heads, 1])]);
      key = unit(key);
    }
    const [attended, presentKey, presentValue] = graph.addMany(
      `${MICROSOFT}.MultiHeadAttention`,
      [unflat(query), unflat(key), unflat(value), "", "", "", pastKey, pastValue],
      3,
      { num_heads: heads, scale: { float: normalizedAttention ? 1 : 0.25 / Math.sqrt(headWidth) } },
    ) as [string, string, string];
    graph.output(cache("present_key", "total"), presentKey);
    graph.output(cache("present_value", "total"), presentValue);
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

/**
 * The convolutional parts that the tokenizer's two networks share. Attention happens at the coarsest resolution only, that of the
 * features, which is fed as `map_shape` [0, -1, side, side].
 */
class ConvolutionalNetwork {
  readonly weights: Weights;
  readonly graph: GraphBuilder;
  readonly #mapShape: string;

  constructor(name: string, set: WeightSet, places: WeightPlaces) {
    this.weights = new Weights(name, set, places);
    this.graph = this.weights.graph;
    this.#mapShape = this.graph.input({ name: "map_shape", type: "int64", shape: [4] });
  }

  /** A convolution that keeps the size, or with `downsample` halves it, padding right and bottom only. */
  convolution(
    x: string,
    name: string,
    inputs: number,
    outputs: number,
    options: { side?: 1 | 3; downsample?: boolean } = {},
  ): string {
    const { side = 3, downsample = false } = options;
    const weight = this.weights.tensor(`${name}.weight`, [outputs, inputs, side, side]);
    const bias = this.weights.tensor(`${name}.bias`, [outputs]);
    const before = side >> 1;
    const stride = downsample ? 2 : 1;
    return this.graph.add("Conv", [x, weight, bias], {
      kernel_shape: [side, side],
      strides: [stride, stride],
      pads: downsample ? [0, 0, 1, 1] : [before, before, before, before],
    });
  }

  groupNorm(x: string, name: string, channels: number): string {
    const { graph, weights } = this;
    // ONNX Runtime's WebGPU provider has no group norm: an instance norm with groups for channels is the same. A 0 keeps a dimension.
    const normal = graph.add("InstanceNormalization", [
      graph.reshape(x, [0, GROUPS, -1, 0]),
      graph.constant("float32", new Array(GROUPS).fill(1)),
      graph.constant("float32", new Array(GROUPS).fill(0)),
    ], { epsilon: { float: NORM_EPSILON } });
    const map = graph.reshape(normal, [0, channels, -1, 0]);
    const perChannel = (part: string): string => {
      return graph.reshape(weights.tensor(`${name}.${part}`, [channels]), [1, channels, 1, 1]);
    };
    return graph.add("Add", [graph.add("Mul", [map, perChannel("weight")]), perChannel("bias")]);
  }

  residualBlock(x: string, name: string, inputs: number, outputs: number): string {
    const { weights } = this;
    let h = weights.silu(this.groupNorm(x, `${name}.norm1`, inputs));
    h = this.convolution(h, `${name}.conv1`, inputs, outputs);
    h = weights.silu(this.groupNorm(h, `${name}.norm2`, outputs));
    h = this.convolution(h, `${name}.conv2`, outputs, outputs);
    const shortcut = inputs === outputs
      ? x
      : this.convolution(x, `${name}.nin_shortcut`, inputs, outputs, { side: 1 });
    return this.graph.add("Add", [shortcut, h]);
  }

  /** One head over all positions. */
  attentionBlock(x: string, name: string, channels: number): string {
    const { graph } = this;
    const normal = this.groupNorm(x, `${name}.norm`, channels);
    const qkv = this.convolution(normal, `${name}.qkv`, channels, 3 * channels, { side: 1 });
    const [q, k, v] = graph.split(graph.reshape(qkv, [0, 3 * channels, -1]), 3, 1) as [
      string,
      string,
      string,
    ];
    const rows = (part: string): string => graph.add("Transpose", [part], { perm: [0, 2, 1] });
    const scaled = graph.add("Mul", [rows(q), graph.constant("float32", [channels ** -0.5])]);
    const attention = graph.add("Softmax", [graph.add("MatMul", [scaled, k])], { axis: -1 });
    const mixed = rows(graph.add("MatMul", [attention, rows(v)]));
    const map = graph.add("Reshape", [mixed, this.#mapShape]);
    return graph.add("Add", [
      x,
      this.convolution(map, `${name}.proj_out`, channels, channels, { side: 1 }),
    ]);
  }

  /** The residual blocks of one resolution, each with its attention block where the level has them. */
  level(x: string, name: string, inputs: number, { channels, blocks, attention }: TokenizerLevel): string {
    for (let i = 0; i < blocks; i++) {
      x = this.residualBlock(x, `${name}.block.${i}`, i === 0 ? inputs : channels, channels);
      if (attention) x = this.attentionBlock(x, `${name}.attn.${i}`, channels);
    }
    return x;
  }

  middle(x: string, name: string, channels: number): string {
    let h = this.residualBlock(x, `${name}.mid.block_1`, channels, channels);
    if (this.weights.hasAny(`${name}.mid.attn_1.`)) {
      h = this.attentionBlock(h, `${name}.mid.attn_1`, channels);
    }
    return this.residualBlock(h, `${name}.mid.block_2`, channels, channels);
  }

  /** Final norm, activation and convolution. */
  end(x: string, name: string, inputs: number, outputs: number): string {
    const activated = this.weights.silu(this.groupNorm(x, `${name}.norm_out`, inputs));
    return this.convolution(activated, `${name}.conv_out`, inputs, outputs);
  }
}

/** Accumulated features [images, Cvae, P, P] to pixels [images, 3, H, W] in [-1, 1] before clamping. */
export function decoderGraph(
  config: TokenizerConfig,
  set: WeightSet,
  places: WeightPlaces,
): Uint8Array<ArrayBuffer> {
  const network = new ConvolutionalNetwork("decoder", set, places);
  const { graph } = network;
  const { channels } = config;
  const levels = config.decoder ?? [];
  const input = graph.input({
    name: "features",
    type: "float32",
    shape: ["images", channels, "side", "side"],
  });
  let width = levels.at(-1)?.channels ?? 0;
  let x = network.convolution(input, "post_quant_conv", channels, channels);
  x = network.middle(network.convolution(x, "decoder.conv_in", channels, width), "decoder", width);
  for (const [level, shape] of [...levels.entries()].reverse()) {
    const name = `decoder.up.${level}`;
    x = network.level(x, name, width, shape);
    width = shape.channels;
    if (level > 0) {
      const larger = graph.add("Resize", [x, "", graph.constant("float32", [1, 1, 2, 2])], {
        mode: "nearest",
        coordinate_transformation_mode: "asymmetric",
        nearest_mode: "floor",
      });
      x = network.convolution(larger, `${name}.upsample.conv`, width, width);
    }
  }
  graph.output(
    { name: "image", type: "float32", shape: ["images", 3, "height", "width"] },
    network.end(x, "decoder", width, 3),
  );
  return graph.bytes();
}

/** Pixels [images, 3, H, W] in [-1, 1] to features [images, Cvae, P, P], before quantization. */
export function encoderGraph(
  config: TokenizerConfig,
  set: WeightSet,
  places: WeightPlaces,
): Uint8Array<ArrayBuffer> {
  const network = new ConvolutionalNetwork("encoder", set, places);
  const { graph } = network;
  const levels = config.encoder ?? [];
  const image = graph.input({ name: "image", type: "float32", shape: ["images", 3, "height", "width"] });
  let [width] = network.weights.shape("encoder.conv_in.weight", [-1, 3, 3, 3]) as [number];
  let x = network.convolution(image, "encoder.conv_in", 3, width);
  for (const [level, shape] of levels.entries()) {
    const name = `encoder.down.${level}`;
    x = network.level(x, name, width, shape);
    width = shape.channels;
    if (level < levels.length - 1) {
      x = network.convolution(x, `${name}.downsample.conv`, width, width, { downsample: true });
    }
  }
  x = network.end(network.middle(x, "encoder", width), "encoder", width, config.channels);
  x = network.convolution(x, "quant_conv", config.channels, config.channels);
  graph.output(
    { name: "features", type: "float32", shape: ["images", config.channels, "side", "side"] },
    x,
  );
  return graph.bytes();
}
