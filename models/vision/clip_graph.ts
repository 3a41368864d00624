/**
 * CLIP as two ONNX graphs, pictures to vectors and texts to vectors, in the two layouts that it is published
 * in. Paper: arXiv 2103.00020. What is made of the vectors is left to `clip.ts` and `aesthetic.ts`.
 *
 * @module
 */

import { unitGain } from "../graphs/block_nodes.ts";
import { GraphWeights } from "../graphs/graph_weights.ts";
import { asFound, ModelFileError } from "../model_file_error.ts";
import { layerTensors, type ModelTensor } from "../weights/model_tensor.ts";
import type { WeightPlaces } from "../weights/weight_places.ts";
import type { WeightSet } from "../weights/weight_set.ts";
import { type TensorLayout, TRANSFORMERS_BLOCK } from "./network_weights.ts";
import type { Preprocessing } from "./preprocessing.ts";
import {
  type Activation,
  type BlocksConfig,
  blocksTensors,
  inferBlocks,
  inferVisionTransformer,
  layerNorm,
  transformerBlocks,
  visionTokens,
  type VisionTransformerConfig,
  visionTransformerFlops,
  visionTransformerTensors,
} from "./vision_transformer.ts";

/** A layout that CLIP is published in, with the activation of its files if nothing else is said. */
export interface ClipLayout extends TensorLayout {
  /** The activation. */
  readonly activation: Exclude<Activation, "swiglu">;
}

/** Sizes of the half that reads texts. */
export interface ClipTextConfig extends BlocksConfig {
  /** Rows of the embedding. */
  readonly vocabulary: number;
  /** Tokens of a text at most, those of its beginning and end among them. */
  readonly length: number;
}

/** Sizes of a CLIP. */
export interface ClipConfig {
  /** The half that looks at pictures. */
  readonly visual: VisionTransformerConfig;
  /** The half that reads texts. */
  readonly text: ClipTextConfig;
  /** Width of the vectors in which both meet. */
  readonly channels: number;
  /** Whether the matrices to these vectors lie as those of linear layers do, or the other way round. */
  readonly transposed: boolean;
}

/** What is said of a CLIP beside its tensors. */
export interface ClipSettings {
  /** The activation. */
  readonly activation?: Exclude<Activation, "swiglu">;
  /** Heads of the half for pictures. */
  readonly visualHeads?: number;
  /** Heads of the half for texts. */
  readonly textHeads?: number;
}

/** A vector's sum of squares may have this much added; it keeps a vector of zeros. */
const UNIT_EPSILON = 1e-30;
/** Norms of both halves add this to the variance. */
const NORM_EPSILON = 1e-5;
/** Widths of towers whose heads are not 64 wide: ViT-H, g and G of OpenCLIP. */
const HEAD_WIDTHS: Readonly<Record<number, number>> = { 1280: 80, 1408: 88, 1664: 104 };

const VISUAL = "visual.";
const TEXT = "text.";
/** The embedding of texts. */
export const WORDS = "text.words";
/** Positions of texts. */
export const PLACES = "text.places";

const UNUSED =
  /^(logit_scale|logit_bias|attn_mask|input_resolution|context_length|vocab_size|(vision|text)_model\.embeddings\.position_ids)$/;

/** Layouts of published files. */
export const CLIP_LAYOUTS: readonly ClipLayout[] = [
  {
    title: "transformers",
    landmark: "visual.cls_token",
    activation: "quick-gelu",
    names: [
      ["vision_model.embeddings.class_embedding", "visual.cls_token"],
      ["vision_model.embeddings.patch_embedding.", "visual.patch_embed.proj."],
      ["vision_model.embeddings.position_embedding.weight", "visual.pos_embed"],
      // The name in the files, misspelt.
      ["vision_model.pre_layrnorm.", "visual.norm_pre."],
      ["vision_model.post_layernorm.", "visual.norm."],
      ["vision_model.encoder.layers.", "visual.blocks."],
      ["visual_projection.", "visual.projection."],
      ["text_model.embeddings.token_embedding.weight", WORDS],
      ["text_model.embeddings.position_embedding.weight", PLACES],
      ["text_model.final_layer_norm.", "text.norm."],
      ["text_model.encoder.layers.", "text.blocks."],
      ["text_projection.", "text.projection."],
      ...TRANSFORMERS_BLOCK,
    ],
    unused: UNUSED,
  },
  {
    title: "OpenCLIP",
    landmark: "visual.cls_token",
    activation: "gelu",
    names: [
      ["visual.class_embedding", "visual.cls_token"],
      ["visual.conv1.", "visual.patch_embed.proj."],
      ["visual.positional_embedding", "visual.pos_embed"],
      ["visual.ln_pre.", "visual.norm_pre."],
      ["visual.ln_post.", "visual.norm."],
      ["visual.transformer.resblocks.", "visual.blocks."],
      ["visual.proj", "visual.projection"],
      ["token_embedding.weight", WORDS],
      ["positional_embedding", PLACES],
      ["ln_final.", "text.norm."],
      ["transformer.resblocks.", "text.blocks."],
      ["text_projection", "text.projection"],
      [".attn.in_proj_", ".attn.qkv."],
      [".attn.out_proj.", ".attn.proj."],
      [".ln_1.", ".norm1."],
      [".ln_2.", ".norm2."],
      [".mlp.c_fc.", ".mlp.fc1."],
      [".mlp.c_proj.", ".mlp.fc2."],
    ],
    unused: UNUSED,
  },
];

/**
 * Reads what the `config.json` of transformers, or the `open_clip_config.json` of OpenCLIP, says of a CLIP
 * beyond what its tensors tell.
 *
 * @param bytes Its content.
 * @param file Its path or URL, for messages.
 * @throws {ModelFileError} If it is neither, or says what no CLIP here does.
 *
 * @example
 * ```ts
 * import { readClipSettings } from "./clip_graph.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const text = '{"vision_config":{"hidden_act":"gelu","num_attention_heads":16},"text_config":{}}';
 * const settings = readClipSettings(new TextEncoder().encode(text), "config.json");
 * assertEquals(settings, { activation: "gelu", visualHeads: 16 });
 * ```
 */
export function readClipSettings(bytes: Uint8Array, file: string): ClipSettings {
  const refuse = (expected: string, found: unknown): never => {
    throw new ModelFileError("Cannot use the description of CLIP", { file, expected, found: asFound(found) });
  };
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    return refuse("the JSON of a config.json", (error as Error).message);
  }
  const part = (of: unknown, name: string): unknown => {
    return typeof of === "object" && of !== null ? (of as Record<string, unknown>)[name] : undefined;
  };
  const heads = (value: unknown): number | undefined => {
    if (value === undefined || Number.isSafeInteger(value) && (value as number) > 0) {
      return value as number | undefined;
    }
    return refuse("a number of attention heads", value);
  };
  const settings = (activation: unknown, visual: unknown, text: unknown): ClipSettings => {
    const known = { gelu: "gelu", quick_gelu: "quick-gelu", gelu_pytorch_tanh: "tanh-gelu" } as const;
    const name = activation === undefined ? undefined : known[activation as keyof typeof known];
    if (activation !== undefined && name === undefined) {
      return refuse(`"hidden_act" to be ${Object.keys(known).join(" or ")}`, activation);
    }
    const [visualHeads, textHeads] = [heads(visual), heads(text)];
    return {
      ...name === undefined ? {} : { activation: name },
      ...visualHeads === undefined ? {} : { visualHeads },
      ...textHeads === undefined ? {} : { textHeads },
    };
  };
  const [visual, text] = [part(content, "vision_config"), part(content, "text_config")];
  if (visual !== undefined || text !== undefined) {
    const [one, other] = [visual, text].map((half) => part(half, "hidden_act"));
    if (one !== undefined && other !== undefined && one !== other) {
      refuse("one activation for both halves", other);
    }
    return settings(one ?? other, part(visual, "num_attention_heads"), part(text, "num_attention_heads"));
  }
  const model = part(content, "model_cfg");
  if (model === undefined) return refuse('"vision_config" and "text_config", or "model_cfg"', content);
  const vision = part(model, "vision_cfg");
  const [width, headWidth] = [part(vision, "width"), part(vision, "head_width")];
  const visualHeads = headWidth === undefined ? undefined : Number(width) / Number(headWidth);
  const quick = part(model, "quick_gelu");
  return settings(
    quick === true ? "quick_gelu" : "gelu",
    visualHeads,
    part(part(model, "text_cfg"), "heads"),
  );
}

/**
 * Reads the sizes of a CLIP from its tensors.
 *
 * @param settings What is said beside them; heads are as wide as in the published sizes by default.
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
export function inferClip(
  set: WeightSet,
  settings: ClipSettings & Pick<ClipLayout, "activation">,
): ClipConfig {
  const { activation, visualHeads, textHeads } = settings;
  const kind = { activation, epsilon: NORM_EPSILON };
  const [visualWidth] = set.take("visual.norm.weight", [-1]) as [number];
  const [width] = set.take("text.norm.weight", [-1]) as [number];
  const visual = inferVisionTransformer(set, {
    ...kind,
    prefix: VISUAL,
    headWidth: visualHeads === undefined ? HEAD_WIDTHS[visualWidth] ?? 64 : visualWidth / visualHeads,
  });
  const text = inferBlocks(set, width, {
    ...kind,
    prefix: TEXT,
    ...textHeads === undefined ? {} : { headWidth: width / textHeads },
  });
  const transposed = set.has("visual.projection.weight");
  const [channels] = transposed
    ? set.take("visual.projection.weight", [-1, visualWidth])
    : set.take("visual.projection", [visualWidth, -1]).slice(1);
  const [vocabulary] = set.take(WORDS, [-1, width]) as [number];
  const [length] = set.take(PLACES, [-1, width]) as [number];
  return { visual, text: { ...text, vocabulary, length }, channels: channels!, transposed };
}

/** Lists the tensors of the graph for pictures. */
export function clipPictureTensors({ visual, channels, transposed }: ClipConfig): ModelTensor[] {
  return [
    ...visionTransformerTensors(visual),
    projectionTensor(VISUAL, [visual.width, channels], transposed),
  ];
}

/** Lists the tensors of the graph for texts. */
export function clipTextTensors({ text, channels, transposed }: ClipConfig): ModelTensor[] {
  return [
    ...blocksTensors(text),
    ...layerTensors("text.norm", [text.width]),
    projectionTensor(TEXT, [text.width, channels], transposed),
  ];
}

function projectionTensor(
  prefix: string,
  [width, channels]: readonly [number, number],
  transposed: boolean,
): ModelTensor {
  const name = `${prefix}projection`;
  return transposed
    ? { name: `${name}.weight`, shape: [channels, width] }
    : { name, shape: [width, channels] };
}

/** Floating-point operations for one picture. */
export function clipFlops({ visual, channels }: ClipConfig): number {
  return visionTransformerFlops(visual) + 2 * visual.width * channels;
}

/**
 * Pictures as CLIP wants them, and who took over its way: a square from the middle, around the mean of those
 * that it learnt from.
 *
 * @param edge Pixels along an edge of the network's input.
 */
export function clipPreprocessing(edge: number): Preprocessing {
  return {
    size: { width: edge, height: edge },
    resize: "bicubic",
    fit: "crop",
    mean: [0.48145466, 0.4578275, 0.40821073],
    std: [0.26862954, 0.26130258, 0.27577711],
  };
}

/** Pictures to vectors [count, channels] of length 1: nodes of a graph. */
export function clipPictures(weights: GraphWeights, pictures: string, config: ClipConfig): string {
  const { graph } = weights;
  const { visual } = config;
  const first = graph.add("Gather", [
    visionTokens(weights, pictures, visual),
    graph.constant("int64", [0], []),
  ], {
    axis: 1,
  });
  return unitVectors(weights, layerNorm(weights, first, "visual.norm", visual), { ...config, ...visual });
}

/**
 * Pictures [count, 3, edge, edge] to `result` [count, channels], vectors of length 1.
 *
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
export function clipPictureGraph(
  config: ClipConfig,
  set: WeightSet,
  places: WeightPlaces,
): Uint8Array<ArrayBuffer> {
  const weights = new GraphWeights("clip_pictures", set, places);
  const { graph } = weights;
  const edge = config.visual.grid * config.visual.patch;
  const pictures = graph.input({ name: "pictures", type: "float32", shape: ["count", 3, edge, edge] });
  graph.output(
    { name: "result", type: "float32", shape: ["count", config.channels] },
    clipPictures(weights, pictures, config),
  );
  return graph.bytes();
}

/**
 * `embedded` [1, length, width], the embedded tokens of one text with their positions, and `mask`
 * [1, 1, length, length], which is added to the scores of attention, to `result` [1, channels], a vector of
 * length 1: that of the last token, so nothing may follow the end of the text.
 *
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
export function clipTextGraph(
  config: ClipConfig,
  set: WeightSet,
  places: WeightPlaces,
): Uint8Array<ArrayBuffer> {
  const { text, channels } = config;
  const { width } = text;
  const weights = new GraphWeights("clip_texts", set, places);
  const { graph } = weights;
  const embedded = graph.input({ name: "embedded", type: "float32", shape: [1, "length", width] });
  const bias = graph.input({ name: "mask", type: "float32", shape: [1, 1, "length", "length"] });
  const tokens = transformerBlocks(weights, graph.reshape(embedded, [-1, width]), text, {
    sequences: [1, -1],
    bias,
  });
  const last = graph.add("Slice", [
    tokens,
    ...[-1, 2 ** 31 - 1, 0].map((at) => graph.constant("int64", [at])),
  ]);
  graph.output(
    { name: "result", type: "float32", shape: [1, channels] },
    unitVectors(weights, layerNorm(weights, last, "text.norm", text), { ...config, ...text }),
  );
  return graph.bytes();
}

/** What keeps a token from those after it, [length, length]. */
export function causalMask(length: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: length * length }, (_, i) => {
    return i % length > Math.floor(i / length) ? -Infinity : 0;
  });
}

/** Rows [count, width] as vectors [count, channels] of length 1 in the space in which both halves meet. */
function unitVectors(
  weights: GraphWeights,
  rows: string,
  { prefix, width, channels, transposed }: BlocksConfig & Pick<ClipConfig, "channels" | "transposed">,
): string {
  const { graph } = weights;
  const name = `${prefix}projection`;
  const vectors = transposed
    ? weights.linear(rows, name, width, channels, null)
    : graph.add("MatMul", [rows, weights.tensor(name, [width, channels])]);
  return graph.add("SimplifiedLayerNormalization", [vectors, unitGain(graph, channels)], {
    axis: -1,
    epsilon: { float: UNIT_EPSILON },
  });
}
