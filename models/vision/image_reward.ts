/**
 * ImageReward: how much people would like a picture for a text. A vision transformer sees the picture, a BERT
 * reads the text and looks at what was seen, and of its first token a score is made. Paper: arXiv 2304.05977;
 * the networks are BLIP's, arXiv 2201.12086.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { openCheckpoint } from "../checkpoint/mod.ts";
import { openSource } from "../checkpoint/source.ts";
import { GraphWeights } from "../graphs/graph_weights.ts";
import type { ResolvedLabel } from "../label.ts";
import { bertTokenizerFile } from "../text/bert_vocabulary.ts";
import { openTokenizer, type WordTokenizer } from "../text/word_tokenizer.ts";
import { layerTensors, type ModelTensor } from "../weights/model_tensor.ts";
import type { WeightPlaces } from "../weights/weight_places.ts";
import { WeightSet } from "../weights/weight_set.ts";
import { readHead } from "./aesthetic.ts";
import { type BertConfig, bertEncoder, bertFlops, bertTensors, inferBert } from "./bert_graph.ts";
import { clipPreprocessing } from "./clip_graph.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { OpenNetworkOptions } from "./network_kind.ts";
import {
  findNetwork,
  type NetworkTensors,
  openNetworkWeights,
  type ReplacedTensor,
  type TensorLayout,
} from "./network_weights.ts";
import { PictureSession } from "./picture_session.ts";
import { textOfLabel } from "./prompt.ts";
import type { JudgeOptions, Pictures, Verifier } from "./verifier.ts";
import {
  inferVisionTransformer,
  tokensOf,
  visionTransformer,
  type VisionTransformerConfig,
  visionTransformerFlops,
  visionTransformerTensors,
  widestActivation,
} from "./vision_transformer.ts";

/** Name of the network. */
const NAME = "image-reward";
/** Tokens that every text is cut or filled up to, its first and last one among them. */
const TEXT_TOKENS = 35;
/** Stands for a token beyond the end of a text. */
const BEYOND = -1;
/** Added to the scores of such tokens, of which the softmax then makes 0. */
const HIDDEN = -10_000;

/** Mean and deviation of the head's results over the pictures that the authors measured. */
const RESULTS = { mean: 0.16717362830052426, std: 1.0333394966054072 };

const HEAD_PREFIX = "mlp.layers.";
/** Linear layers of the head; what was between them serves training only. */
const HEAD_LAYERS = [0, 2, 4, 6, 7].map((index) => HEAD_PREFIX + index);
/** Name of the one layer that they amount to. */
const HEAD = "head";

const EYES = "blip.visual_encoder.";
const READER = "blip.text_encoder.";

const LAYOUT: TensorLayout = {
  title: "the authors' ImageReward.pt",
  landmark: `${EYES}pos_embed`,
  names: [],
  // What compared pictures and texts before the head was there, and the numbers 0, 1, 2 …
  unused: /^blip\.(vision|text)_proj\.|\.position_ids$/,
};

/** Sizes of an ImageReward. */
export interface ImageRewardConfig {
  /** Of what sees pictures. */
  readonly vision: VisionTransformerConfig;
  /** Of what reads texts. */
  readonly text: BertConfig;
  /** Widths between the layers of the head, from the text's on to 1. */
  readonly head: readonly number[];
}

/**
 * Reads the sizes of an ImageReward from its tensors.
 *
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
export function inferImageReward(set: WeightSet): ImageRewardConfig {
  const vision = inferVisionTransformer(set, { prefix: EYES });
  const text = inferBert(set, { prefix: READER });
  const head = [text.width];
  for (const layer of HEAD_LAYERS) head.push(set.take(`${layer}.weight`, [-1, head.at(-1)!])[0]!);
  return { vision, text, head };
}

function headTensors(head: readonly number[]): ModelTensor[] {
  return HEAD_LAYERS.flatMap((layer, i) => layerTensors(layer, [head[i + 1]!, head[i]!]));
}

/** Lists the tensors of an ImageReward. */
export function imageRewardTensors({ vision, text, head }: ImageRewardConfig): ModelTensor[] {
  return [
    ...visionTransformerTensors(vision),
    ...bertTensors(text),
    ...headTensors(head),
  ];
}

/** Floating-point operations for one picture, two for each product that is added. */
export function imageRewardFlops({ vision, text }: ImageRewardConfig): number {
  const lengths = { text: TEXT_TOKENS, memory: tokensOf(vision) };
  return visionTransformerFlops(vision) + bertFlops(text, lengths) + 2 * text.width;
}

/**
 * Pictures [count, 3, edge, edge] and `ids` [count, 35], floats that are -1 beyond the end of a text, to
 * `result` [count, 1].
 *
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
function imageRewardGraph(
  { vision, text }: ImageRewardConfig,
  set: WeightSet,
  places: WeightPlaces,
): Uint8Array<ArrayBuffer> {
  const weights = new GraphWeights(NAME, set, places);
  const { graph } = weights;
  const edge = vision.grid * vision.patch;
  const pictures = graph.input({ name: "pictures", type: "float32", shape: ["count", 3, edge, edge] });
  const ids = graph.input({ name: "ids", type: "float32", shape: ["count", TEXT_TOKENS] });
  const zero = graph.constant("float32", [0], []);
  const beyond = graph.add("Mul", [
    graph.add("Min", [ids, zero]),
    graph.constant("float32", [HIDDEN / BEYOND], []),
  ]);
  const rows = graph.add("Unsqueeze", [beyond, graph.constant("int64", [1, 2])]);
  const hidden = bertEncoder(
    weights,
    {
      ids: graph.add("Cast", [graph.add("Max", [ids, zero])], { to: INT32 }),
      bias: graph.add("Expand", [rows, graph.constant("int64", [1, 1, TEXT_TOKENS, 1])]),
      memory: visionTransformer(weights, pictures, vision),
    },
    text,
    { text: TEXT_TOKENS, memory: tokensOf(vision) },
  );
  const first = graph.add("Gather", [hidden, graph.constant("int64", [0], [])], { axis: 1 });
  graph.output(
    { name: "result", type: "float32", shape: ["count", 1] },
    weights.linear(first, HEAD, text.width, 1),
  );
  return graph.bytes();
}

/** The number of int32 among ONNX's element types. */
const INT32 = 6;

/** Files of an ImageReward. */
export interface ImageRewardFiles {
  /** Path, URL or content of `ImageReward.pt`. */
  readonly weights: string | URL | Uint8Array;
  /** Path, URL or content of bert-base-uncased's `tokenizer.json` or `vocab.txt`. */
  readonly tokenizer: string | URL | Uint8Array;
}

/** An ImageReward that is loaded on a device. */
export class ImageReward implements Verifier, AsyncDisposable {
  /** As for a {@linkcode Verifier}. */
  readonly name = NAME;
  /** As for a {@linkcode Verifier}. */
  readonly needsPrompt = true;
  /** As for a {@linkcode Verifier}. */
  readonly smallestEdge: number;
  /** As for a {@linkcode Verifier}. */
  readonly flops: number;
  /** As for a {@linkcode Verifier}. */
  readonly fingerprint?: string;
  readonly #tokenizer: WordTokenizer;
  readonly #session: PictureSession;
  readonly #template: string | undefined;

  private constructor(
    config: ImageRewardConfig,
    session: PictureSession,
    { tokenizer, template, fingerprint }: ImageRewardParts,
  ) {
    if (fingerprint !== undefined) this.fingerprint = fingerprint;
    this.smallestEdge = config.vision.grid * config.vision.patch;
    this.flops = imageRewardFlops(config);
    this.#tokenizer = tokenizer;
    this.#session = session;
    this.#template = template;
  }

  /**
   * Loads the network.
   *
   * @param device Where it runs, which stays the caller's.
   * @throws {ModelFileError} If a file is not what it should be.
   */
  static async open(
    device: Device,
    files: ImageRewardFiles,
    options: OpenNetworkOptions = {},
  ): Promise<ImageReward> {
    const { template, signal } = options;
    using checkpoint = await openCheckpoint(files.weights, { signal });
    const found = findNetwork("an ImageReward", checkpoint, [LAYOUT]);
    const config = inferImageReward(found.set);
    const { vision, text } = config;
    const tokenizer = await readTokenizer(files.tokenizer, text.vocabulary, signal);
    using weights = await openNetworkWeights(
      found,
      [
        ...visionTransformerTensors(vision),
        ...bertTensors(text),
        { name: `${HEAD}.weight`, shape: [1, text.width] },
        { name: `${HEAD}.bias`, shape: [1] },
      ],
      await collapsedHead(found, config),
    );
    found.set.requireAllTaken(LAYOUT.unused);
    const fingerprint = await fingerprintOf([files.weights, files.tokenizer], options);
    const session = await PictureSession.create(device, {
      name: NAME,
      graph: imageRewardGraph(config, new WeightSet(weights.file, weights.tensors), weights.places),
      weights,
      preprocessing: clipPreprocessing(vision.grid * vision.patch),
      results: 1,
      widest: widestActivation(vision),
    }, options);
    return new ImageReward(config, session, { tokenizer, template, fingerprint });
  }

  /**
   * Judges pictures: about 0 for what is neither good nor bad, with a deviation of about 1.
   *
   * @throws {RangeError} If a label has no text, or there are not as many labels as pictures.
   */
  async score(
    pictures: Pictures,
    labels: readonly ResolvedLabel[],
    options: JudgeOptions = {},
  ): Promise<DeviceArray> {
    const { count } = pictures;
    if (labels.length !== count) {
      throw new RangeError(mustBe(`${count}`, labels.length, "the number of labels", "judge pictures"));
    }
    const ids = new Float32Array(count * TEXT_TOKENS).fill(BEYOND);
    for (const [i, label] of labels.entries()) {
      const text = textOfLabel(label, { verifier: NAME, template: this.#template });
      ids.set(this.#tokenizer.encode(text).ids, i * TEXT_TOKENS);
    }
    return await this.#session.run(pictures, options, { ids: { values: ids, width: TEXT_TOKENS } });
  }

  /** Unloads the network. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}

/** What an {@linkcode ImageReward} is made of beside its network. */
interface ImageRewardParts {
  readonly tokenizer: WordTokenizer;
  readonly template: string | undefined;
  readonly fingerprint: string | undefined;
}

async function readTokenizer(
  place: ImageRewardFiles["tokenizer"],
  rows: number,
  signal: AbortSignal | undefined,
): Promise<WordTokenizer> {
  using source = await openSource(place, { signal });
  const { file } = source;
  const bytes = await source.read(0, source.size);
  const isVocabulary = bytes[0] !== "{".charCodeAt(0);
  return await openTokenizer(isVocabulary ? bertTokenizerFile(bytes, file) : bytes, file, {
    length: TEXT_TOKENS,
    rows,
  });
}

/** The layers of the head as one, which gives scores. */
async function collapsedHead(
  { checkpoint, set, tensors }: NetworkTensors,
  { text, head }: ImageRewardConfig,
): Promise<Record<string, ReplacedTensor>> {
  for (const { name, shape } of headTensors(head)) set.take(name, shape);
  const { weights, bias } = await readHead({
    file: checkpoint.file,
    tensors: new Map([...tensors].filter(([name]) => name.startsWith(HEAD_PREFIX))),
    readFloat32: async (name) => await checkpoint.readFloat32(tensors.get(name)!.name),
  });
  const { mean, std } = RESULTS;
  return {
    [`${HEAD}.weight`]: { shape: [1, text.width], values: weights.map((value) => value / std) },
    [`${HEAD}.bias`]: { shape: [1], values: Float32Array.of((bias - mean) / std) },
  };
}
