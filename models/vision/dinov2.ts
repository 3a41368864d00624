/**
 * DINOv2, with registers or without, from the authors' files or those of transformers: pictures to the tokens
 * of their patches, which are alike where pictures show alike things, or to the one token of each, by which
 * sets of pictures are compared. Paper: arXiv 2304.07193; registers: arXiv 2309.16588.
 *
 * @module
 */

import type { Device } from "../../kernels/device/device.ts";
import { openCheckpoint } from "../checkpoint/mod.ts";
import { GraphWeights } from "../graphs/graph_weights.ts";
import type { WeightPlaces } from "../weights/weight_places.ts";
import { WeightSet } from "../weights/weight_set.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { OpenNetworkOptions } from "./network_kind.ts";
import {
  findNetwork,
  type NetworkTensors,
  openNetworkWeights,
  type TensorLayout,
} from "./network_weights.ts";
import { PictureSession } from "./picture_session.ts";
import { resizeGrid } from "./position_grid.ts";
import type { Preprocessing } from "./preprocessing.ts";
import {
  type FeatureExtractor,
  type Features,
  featuresOf,
  type JudgeOptions,
  type Pictures,
} from "./verifier.ts";
import {
  inferVisionTransformer,
  layerNorm,
  leadOf,
  visionTokens,
  type VisionTransformerConfig,
  visionTransformerFlops,
  visionTransformerTensors,
  widestActivation,
} from "./vision_transformer.ts";

/** Patches along an edge of a picture. */
const GRID = 16;
/** Beyond every index of an axis. */
const TO_END = 2 ** 31 - 1;

/** Networks without registers add this to the number of patches before they resize their positions. */
const PLAIN_OFFSET = 0.1;

/** What stood for patches that were hidden while it learnt. */
const UNUSED = /(^|\.)mask_token$/;

/** Layouts of published files. */
const LAYOUTS: readonly TensorLayout[] = [
  { title: "the authors' file", landmark: "patch_embed.proj.weight", names: [], unused: UNUSED },
  {
    title: "transformers",
    landmark: "patch_embed.proj.weight",
    names: [
      ["embeddings.cls_token", "cls_token"],
      ["embeddings.register_tokens", "register_tokens"],
      ["embeddings.position_embeddings", "pos_embed"],
      ["embeddings.patch_embeddings.projection.", "patch_embed.proj."],
      ["encoder.layer.", "blocks."],
      ["layernorm.", "norm."],
      [".attention.attention.query.", ".attn.q."],
      [".attention.attention.key.", ".attn.k."],
      [".attention.attention.value.", ".attn.v."],
      [".attention.output.dense.", ".attn.proj."],
      [".layer_scale1.lambda1", ".ls1.gamma"],
      [".layer_scale2.lambda1", ".ls2.gamma"],
      [".mlp.weights_in.", ".mlp.w12."],
      [".mlp.weights_out.", ".mlp.w3."],
    ],
    unused: UNUSED,
  },
];

/**
 * Reads the sizes of a DINOv2 from its tensors.
 *
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
export function inferDinov2(set: WeightSet): VisionTransformerConfig {
  return inferVisionTransformer(set);
}

/** Which tokens of a picture are told. */
export type Dinov2Tokens = "patches" | "class";

/** Options of {@linkcode Dinov2.open}. */
export interface OpenDinov2Options extends OpenNetworkOptions {
  /** Which tokens of a picture are told: those of its patches, by default, or the one of the whole. */
  readonly tokens?: Dinov2Tokens;
}

/**
 * Pictures [count, 3, edge, edge] to `result` [count, tokens, width], normalised; the edge is the grid's
 * times the patch's.
 *
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
export function dinov2Graph(
  config: VisionTransformerConfig,
  set: WeightSet,
  places: WeightPlaces,
  tokens: Dinov2Tokens = "patches",
): Uint8Array<ArrayBuffer> {
  const { width, grid, patch } = config;
  const weights = new GraphWeights("dinov2", set, places);
  const { graph } = weights;
  const edge = grid * patch;
  const pictures = graph.input({ name: "pictures", type: "float32", shape: ["count", 3, edge, edge] });
  const part = tokens === "patches" ? [leadOf(config), TO_END, 1] : [0, 1, 1];
  const wanted = graph.add("Slice", [
    visionTokens(weights, pictures, config),
    ...part.map((at) => graph.constant("int64", [at])),
  ]);
  graph.output(
    { name: "result", type: "float32", shape: ["count", countOf(tokens, config), width] },
    layerNorm(weights, wanted, "norm", config),
  );
  return graph.bytes();
}

function countOf(tokens: Dinov2Tokens, { grid }: VisionTransformerConfig): number {
  return tokens === "patches" ? grid * grid : 1;
}

/** A DINOv2 that is loaded on a device. */
export class Dinov2 implements FeatureExtractor, AsyncDisposable {
  readonly name = "dinov2";
  /** As for a {@linkcode FeatureExtractor}. */
  readonly smallestEdge: number;
  /** As for a {@linkcode FeatureExtractor}. */
  readonly flops: number;
  /** As for a {@linkcode FeatureExtractor}. */
  readonly fingerprint?: string;
  readonly #config: VisionTransformerConfig;
  readonly #tokens: number;
  readonly #session: PictureSession;

  private constructor(
    config: VisionTransformerConfig,
    { tokens, session, fingerprint }: {
      readonly tokens: number;
      readonly session: PictureSession;
      readonly fingerprint: string | undefined;
    },
  ) {
    if (fingerprint !== undefined) this.fingerprint = fingerprint;
    this.smallestEdge = config.grid * config.patch;
    this.flops = visionTransformerFlops(config);
    this.#config = config;
    this.#tokens = tokens;
    this.#session = session;
  }

  /**
   * Loads the network from a file in the authors' layout, `dinov2_vits14_reg4_pretrain.pth` or another one of
   * the eight, or in that of transformers.
   *
   * @param device Where it runs, which stays the caller's.
   * @param file Path, URL or content.
   * @throws {ModelFileError} If it is no DINOv2.
   */
  static async open(
    device: Device,
    file: string | URL | Uint8Array,
    options: OpenDinov2Options = {},
  ): Promise<Dinov2> {
    const { signal, tokens = "patches" } = options;
    using checkpoint = await openCheckpoint(file, { ...(signal === undefined ? {} : { signal }) });
    const found = findNetwork("a DINOv2", checkpoint, LAYOUTS);
    const published = inferDinov2(found.set);
    const config = { ...published, grid: GRID };
    const positions = await resizedPositions(found, published);
    using weights = await openNetworkWeights(found, visionTransformerTensors(published), {
      pos_embed: positions,
    });
    found.set.requireAllTaken(UNUSED);
    const fingerprint = await fingerprintOf([file], options);
    const { width, grid, patch } = config;
    const session = await PictureSession.create(device, {
      name: "dinov2",
      graph: dinov2Graph(config, new WeightSet(weights.file, weights.tensors), weights.places, tokens),
      weights,
      preprocessing: preprocessingOf(grid * patch, tokens),
      results: countOf(tokens, config) * width,
      widest: widestActivation(config),
    }, options);
    return new Dinov2(config, { tokens: countOf(tokens, config), session, fingerprint });
  }

  /** Describes pictures by [count, 256, width], the patches row by row, or by [count, 1, width]. */
  async features(pictures: Pictures, options: JudgeOptions = {}): Promise<Features> {
    const array = await this.#session.run(pictures, options);
    return featuresOf(array, { tokens: this.#tokens, channels: this.#config.width });
  }

  /** Unloads the network. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}

/**
 * Pictures are squashed, as whole ones are compared, around ImageNet's mean; for their class tokens by the
 * filter of those who measure by them (arXiv 2306.04675, dgm-eval).
 */
function preprocessingOf(edge: number, tokens: Dinov2Tokens): Preprocessing {
  return {
    size: { width: edge, height: edge },
    resize: tokens === "patches" ? "bilinear" : "bicubic",
    fit: "squash",
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  };
}

/**
 * Positions for the grid that pictures have here, instead of the 37 rows of the files. Networks with
 * registers resize them with the kernel widened, those without do not, and take a tenth of a patch more.
 */
async function resizedPositions(
  { checkpoint, tensors, set }: NetworkTensors,
  { grid, width, registers }: VisionTransformerConfig,
): Promise<{ shape: number[]; values: Float32Array<ArrayBuffer> }> {
  set.take("pos_embed", [1, 1 + grid * grid, width]);
  const known = await checkpoint.readFloat32(tensors.get("pos_embed")!.name);
  const values = new Float32Array((1 + GRID * GRID) * width);
  values.set(known.subarray(0, width));
  const resized = grid === GRID ? known.subarray(width) : resizeGrid(known.subarray(width), {
    from: grid,
    to: GRID,
    channels: width,
    antialias: registers > 0,
    offset: registers > 0 ? 0 : PLAIN_OFFSET,
  });
  values.set(resized, width);
  return { shape: [1, 1 + GRID * GRID, width], values };
}
