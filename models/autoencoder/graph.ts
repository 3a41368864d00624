/**
 * The graphs of a tokenizer's two networks as ONNX: `decoder` turns a feature map into pixels, `encoder` does
 * the reverse.
 *
 * @module
 */

import { GraphWeights } from "../graphs/graph_weights.ts";
import type { GraphBuilder } from "../graphs/graph_builder.ts";
import type { WeightPlaces } from "../weights/weight_places.ts";
import type { WeightSet } from "../weights/weight_set.ts";
import {
  type Autoencoder,
  type AutoencoderLayout,
  levelName,
  type Network,
  type TokenizerLevel,
} from "./config.ts";
import { type Convolutions, winogradPays } from "./convolutions.ts";
import { enlargingConvolution } from "./enlarging.ts";
import { groupNorm } from "./group_norm.ts";
import { winogradConvolution, type WinogradOptions } from "./winograd.ts";

/** Strips of rows in which Winograd's algorithm computes a large map: more are faster, but slower to load. */
const MOST_STRIPS = 16;

/** Groups of a norm. */
export const GROUPS: number = 32;

/**
 * The convolutional parts that the two networks share. Attention happens at the coarsest resolution only,
 * that of the features, which is fed as `map_shape` [0, -1, height, width].
 */
class ConvolutionalNetwork {
  readonly weights: GraphWeights;
  readonly graph: GraphBuilder;
  readonly #network: Network;
  readonly #layout: AutoencoderLayout;
  readonly #mapShape: string;
  readonly #convolutions: Convolutions;
  /** Whether the graph tells how large its maps are. */
  readonly #tells: boolean;
  /** By how much the sides of maps are longer than those of the map of tokens, in a decoder. */
  #factor = 1;

  constructor(
    network: Network,
    layout: AutoencoderLayout,
    { set, places, convolutions = "plain", sizes = false }: {
      readonly set: WeightSet;
      readonly places: WeightPlaces;
      readonly convolutions?: Convolutions;
      readonly sizes?: boolean;
    },
  ) {
    this.#convolutions = convolutions;
    this.#tells = sizes;
    this.weights = new GraphWeights(network, set, places);
    this.graph = this.weights.graph;
    this.#network = network;
    this.#layout = layout;
    this.#mapShape = this.graph.input({ name: "map_shape", type: "int64", shape: [4] });
  }

  /**
   * Names of a token map's dimensions. The runtime takes dimensions of one name for equal when it plans its
   * memory.
   */
  get mapSides(): [string, string] {
    return this.#layout.square ? ["side", "side"] : ["rows", "columns"];
  }

  /** Names of the dimensions of maps at the present, where the graph tells them. */
  get #sides(): [string, string] | undefined {
    if (!this.#tells) return undefined;
    return this.mapSides.map((side) => this.#factor === 1 ? side : `${this.#factor} × ${side}`) as [
      string,
      string,
    ];
  }

  /** A map, of which the graph tells how large it is if it is to. */
  #sized(map: string, channels: number): string {
    const sides = this.#sides;
    return this.graph.sized(map, sides && ["images", channels, ...sides]);
  }

  /** A convolution that keeps the size, or with `downsample` halves it, padding right and bottom only. */
  convolution(
    x: string,
    name: string,
    inputs: number,
    outputs: number,
    options: { side?: 1 | 3; downsample?: boolean } = {},
  ): string {
    return this.#sized(this.#convolution(x, name, inputs, outputs, options), outputs);
  }

  #convolution(
    x: string,
    name: string,
    inputs: number,
    outputs: number,
    { side = 3, downsample = false }: { side?: 1 | 3; downsample?: boolean } = {},
  ): string {
    if (side === 3 && this.#byWinograd(inputs, outputs)) return this.#winograd(x, { name, inputs, outputs });
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

  /** The convolution between the network and the codes, where the layout has one. */
  quantConvolution(x: string, name: string, inputs: number, outputs: number): string {
    const { quantSide } = this.#layout;
    return quantSide === null ? x : this.convolution(x, name, inputs, outputs, { side: quantSide });
  }

  /** Twice as many rows and columns, and a convolution. */
  enlarging(x: string, name: string, channels: number): string {
    const sizes = { name, inputs: channels, outputs: channels };
    const sides = this.#sides;
    this.#factor *= 2;
    if (this.#byWinograd(channels, channels)) {
      return this.#sized(this.#winograd(x, { ...sizes, doubles: true }), channels);
    }
    if (this.#convolutions !== "plain") {
      return this.#sized(enlargingConvolution(this.weights, x, { ...sizes, sides }), channels);
    }
    const larger = this.graph.add("Resize", [x, "", this.graph.constant("float32", [1, 1, 2, 2])], {
      mode: "nearest",
      coordinate_transformation_mode: "asymmetric",
      nearest_mode: "floor",
    });
    return this.convolution(larger, name, channels, channels);
  }

  #byWinograd(inputs: number, outputs: number): boolean {
    return winogradPays({ inputs, outputs, factor: this.#factor }, this.#convolutions);
  }

  #winograd(x: string, options: Omit<WinogradOptions, "strips" | "size">): string {
    // So many that, with maps of 16 by 16 tokens, a strip has 256 tiles: fewer make products slower.
    const strips = Math.max(1, Math.min(MOST_STRIPS, (this.#factor / 4) ** 2));
    return winogradConvolution(this.weights, x, { ...options, strips, size: this.#sides?.join() });
  }

  groupNorm(x: string, name: string, channels: number): string {
    return groupNorm(this.weights, x, { name, channels, groups: GROUPS, sides: this.#sides });
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
    const [q, k, v] = this.#queriesKeysValues(normal, name, channels);
    const rows = (part: string): string => graph.add("Transpose", [part], { perm: [0, 2, 1] });
    const scaled = graph.add("Mul", [rows(q), graph.constant("float32", [channels ** -0.5])]);
    const attention = graph.add("Softmax", [graph.add("MatMul", [scaled, k])], { axis: -1 });
    const mixed = rows(graph.add("MatMul", [attention, rows(v)]));
    const map = this.#sized(graph.add("Reshape", [mixed, this.#mapShape]), channels);
    return graph.add("Add", [
      x,
      this.convolution(map, `${name}.proj_out`, channels, channels, { side: 1 }),
    ]);
  }

  #queriesKeysValues(x: string, name: string, channels: number): [string, string, string] {
    const { graph } = this;
    const project = (part: string, parts: number): string => {
      const projected = this.convolution(x, `${name}.${part}`, channels, parts * channels, { side: 1 });
      const rows = graph.reshape(projected, [0, parts * channels, -1]);
      return this.#tells ? graph.sized(rows, ["images", parts * channels, "positions"]) : rows;
    };
    if (!this.#layout.fused) return [project("q", 1), project("k", 1), project("v", 1)];
    return graph.split(project("qkv", 3), 3, 1) as [string, string, string];
  }

  /** The residual blocks of one resolution, each with its attention block where the level has them. */
  level(x: string, name: string, inputs: number, { channels, blocks, attention }: TokenizerLevel): string {
    for (let i = 0; i < blocks; i++) {
      x = this.residualBlock(
        x,
        `${name}.${this.#layout.residual}.${i}`,
        i === 0 ? inputs : channels,
        channels,
      );
      if (attention) x = this.attentionBlock(x, `${name}.attn.${i}`, channels);
    }
    return x;
  }

  middle(x: string, channels: number): string {
    const [first, attention, second] = this.#layout.middle;
    const name = this.#network;
    let h = this.residualBlock(x, `${name}.${first}`, channels, channels);
    if (this.weights.hasAny(`${name}.${attention}.`)) {
      h = this.attentionBlock(h, `${name}.${attention}`, channels);
    }
    return this.residualBlock(h, `${name}.${second}`, channels, channels);
  }

  /** Final norm, activation and convolution. */
  end(x: string, inputs: number, outputs: number): string {
    const name = this.#network;
    const activated = this.weights.silu(this.groupNorm(x, `${name}.norm_out`, inputs));
    // The output has names of its own.
    return this.#convolution(activated, `${name}.conv_out`, inputs, outputs);
  }
}

/**
 * Features [images, Cvae, h, w] to pixels [images, 3, H, W] in [-1, 1] before clamping.
 *
 * @param convolutions How they are computed; `"phases"` by default, which suits everybody.
 * @param sizes Whether the graph tells how large its maps are, which makes it quicker to load; those that are
 * stored never did.
 */
export function decoderGraph(
  autoencoder: Autoencoder,
  set: WeightSet,
  places: WeightPlaces,
  { convolutions = "phases", sizes = false }: {
    readonly convolutions?: Convolutions;
    readonly sizes?: boolean;
  } = {},
): Uint8Array<ArrayBuffer> {
  const { layout, channels, latentChannels = channels } = autoencoder;
  const levels = autoencoder.decoder ?? [];
  const network = new ConvolutionalNetwork("decoder", layout, { set, places, convolutions, sizes });
  const { graph } = network;
  const input = graph.input({
    name: "features",
    type: "float32",
    shape: ["images", channels, ...network.mapSides],
  });
  let width = levels.at(-1)?.channels ?? 0;
  let x = network.quantConvolution(input, "post_quant_conv", channels, latentChannels);
  x = network.middle(network.convolution(x, "decoder.conv_in", latentChannels, width), width);
  for (const [level, shape] of [...levels.entries()].reverse()) {
    const name = levelName(layout, "decoder", { level, levels: levels.length });
    x = network.level(x, name, width, shape);
    width = shape.channels;
    if (level > 0) {
      x = network.enlarging(x, `${name}.upsample.conv`, width);
    }
  }
  graph.output(
    { name: "image", type: "float32", shape: ["images", 3, "height", "width"] },
    network.end(x, width, 3),
  );
  return graph.bytes();
}

/** Pixels [images, 3, H, W] in [-1, 1] to features [images, Cvae, h, w], before quantization. */
export function encoderGraph(
  autoencoder: Autoencoder,
  set: WeightSet,
  places: WeightPlaces,
): Uint8Array<ArrayBuffer> {
  const { layout, channels, latentChannels = channels } = autoencoder;
  const levels = autoencoder.encoder ?? [];
  const network = new ConvolutionalNetwork("encoder", layout, { set, places });
  const { graph } = network;
  const image = graph.input({ name: "image", type: "float32", shape: ["images", 3, "height", "width"] });
  let [width] = network.weights.shape("encoder.conv_in.weight", [-1, 3, 3, 3]) as [number];
  let x = network.convolution(image, "encoder.conv_in", 3, width);
  for (const [level, shape] of levels.entries()) {
    const name = levelName(layout, "encoder", { level, levels: levels.length });
    x = network.level(x, name, width, shape);
    width = shape.channels;
    if (level < levels.length - 1) {
      x = network.convolution(x, `${name}.downsample.conv`, width, width, { downsample: true });
    }
  }
  x = network.end(network.middle(x, width), width, latentChannels);
  x = network.quantConvolution(x, "quant_conv", latentChannels, channels);
  graph.output({ name: "features", type: "float32", shape: ["images", channels, ...network.mapSides] }, x);
  return graph.bytes();
}
