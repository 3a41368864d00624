/**
 * A judge of how pleasing a picture is, whatever it shows: a head that somebody has trained on the vectors of
 * CLIP or SigLIP. Heads have licences of their own, so none is shipped or fetched: LAION's for CLIP ViT-L/14,
 * Aesthetic Predictor V2.5 for SigLIP so400m/14 at 384 pixels (AGPL-3.0), or one of one's own.
 *
 * @module
 */

import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { type Checkpoint, openCheckpoint } from "../checkpoint/mod.ts";
import { unitGain } from "../graphs/block_nodes.ts";
import { GraphWeights } from "../graphs/graph_weights.ts";
import type { ResolvedLabel } from "../label.ts";
import { ModelFileError } from "../model_file_error.ts";
import type { ModelTensor } from "../weights/model_tensor.ts";
import { WeightSet } from "../weights/weight_set.ts";
import { findClip, settingsOf } from "./clip.ts";
import { clipFlops, clipPictures, clipPictureTensors, clipPreprocessing } from "./clip_graph.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { OpenNetworkOptions } from "./network_kind.ts";
import { findNetwork, type NetworkTensors, openNetworkWeights } from "./network_weights.ts";
import { PictureSession } from "./picture_session.ts";
import type { Preprocessing } from "./preprocessing.ts";
import {
  inferSiglip,
  SIGLIP_LAYOUT,
  siglipFlops,
  siglipPictures,
  siglipPreprocessing,
  siglipTensors,
} from "./siglip_graph.ts";
import type { JudgeOptions, Pictures, Verifier } from "./verifier.ts";
import { widestActivation } from "./vision_transformer.ts";

/** A place of a file, or its content. */
type File = string | URL | Uint8Array;

/** Files of an aesthetic predictor. */
export interface AestheticFiles {
  /** CLIP or SigLIP, in a layout that it is published in. */
  readonly weights: File;
  /** The head: a chain of linear layers, of which nothing but their tensors is read. */
  readonly head: File;
  /** The `config.json` beside the weights; without it, heads are as wide as in the published sizes. */
  readonly config?: File;
}

/** What a chain of linear layers comes to: score = weights · vector + bias. */
export interface AffineHead {
  /** A weight for each number of the vector. */
  readonly weights: Float32Array<ArrayBuffer>;
  /** What is added. */
  readonly bias: number;
}

/**
 * Reads a head: linear layers, the last with one output, in the order of the number in their names, between
 * which nothing happens when they judge (dropout is for training). Such a chain is one affine map.
 *
 * @param checkpoint The head's file.
 * @throws {ModelFileError} If its tensors are no such chain.
 *
 * @example
 * ```ts
 * import { readHead } from "./aesthetic.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const values: Record<string, number[]> = {
 *   "layers.0.weight": [1, 2, 3, 4],
 *   "layers.0.bias": [1, 1],
 *   "layers.2.weight": [10, 100],
 *   "layers.2.bias": [5],
 * };
 * const shapes: Record<string, number[]> = { weight0: [2, 2], bias0: [2], weight2: [1, 2], bias2: [1] };
 * const tensors = new Map(Object.keys(values).map((name) => {
 *   const [, number, kind] = name.split(".");
 *   return [name, { name, dtype: "F32", shape: shapes[`${kind}${number}`]! } as const];
 * }));
 * const readFloat32 = (name: string) => Promise.resolve(new Float32Array(values[name]!));
 * const head = await readHead({ file: "head.pth", tensors, readFloat32 });
 * assertEquals(head, { weights: new Float32Array([310, 420]), bias: 115 });
 * ```
 */
export async function readHead(
  checkpoint: Pick<Checkpoint, "file" | "tensors" | "readFloat32">,
): Promise<AffineHead> {
  const { file, tensors } = checkpoint;
  const refuse = (found: string, tensor?: string): never => {
    throw new ModelFileError("Cannot use the head of an aesthetic predictor", {
      file,
      ...tensor === undefined ? {} : { tensor },
      expected: "a chain of linear layers, the last of which has one output",
      found,
    });
  };
  const layers = [...tensors.values()].flatMap(({ name, shape }) => {
    const [, stem = "", number] = /^(.*?)(\d+)\.weight$/.exec(name) ?? [];
    return number === undefined || shape.length !== 2 ? [] : [{ stem, number: Number(number), name, shape }];
  }).sort((a, b) => b.number - a.number);
  if (layers.length === 0) return refuse(`${tensors.size} other tensors`);
  const biases = layers.map(({ name }) => name.replace(/weight$/, "bias"));
  const known = new Set([...layers.map(({ name }) => name), ...biases]);
  const odd = [...tensors.keys()].find((name) => !known.has(name)) ??
    layers.find(({ stem }) => stem !== layers[0]!.stem)?.name;
  if (odd !== undefined) return refuse("a tensor that belongs to no layer of the chain", odd);
  // From the last layer on, whose row of weights is multiplied by the matrix before it. In f64, which a
  // thousand terms do not wear out.
  let row: number[] = [1];
  let bias = 0;
  for (const [i, { name, shape: [outputs = 0, inputs = 0] }] of layers.entries()) {
    if (outputs !== row.length) return refuse(`${outputs} outputs for ${row.length}`, name);
    const biasShape = tensors.get(biases[i]!)?.shape;
    if (biasShape?.length !== 1 || biasShape[0] !== outputs) {
      return refuse(biasShape === undefined ? "nothing" : `[${biasShape.join(", ")}]`, biases[i]!);
    }
    const [matrix, offsets] = [await checkpoint.readFloat32(name), await checkpoint.readFloat32(biases[i]!)];
    bias += row.reduce((sum, weight, output) => sum + weight * offsets[output]!, 0);
    row = Array.from({ length: inputs }, (_, input) => {
      return row.reduce((sum, weight, output) => sum + weight * matrix[output * inputs + input]!, 0);
    });
  }
  return { weights: new Float32Array(row), bias };
}

/** What a head is put on. */
interface Backbone {
  readonly found: NetworkTensors;
  readonly tensors: readonly ModelTensor[];
  readonly width: number;
  readonly flops: number;
  readonly widest: number;
  readonly preprocessing: Preprocessing;
  /** Pictures to vectors: nodes of a graph. */
  vectors(weights: GraphWeights, pictures: string): string;
}

async function findBackbone(
  checkpoint: Checkpoint,
  files: AestheticFiles,
  options: OpenNetworkOptions,
): Promise<Backbone> {
  if ([...checkpoint.tensors.keys()].some((name) => /(^|\.)head\.probe$/.test(name))) {
    const found = findNetwork("a SigLIP", checkpoint, [SIGLIP_LAYOUT]);
    const config = inferSiglip(found.set, await settingsOf(files.config, options));
    return {
      found,
      tensors: siglipTensors(config),
      width: config.width,
      flops: siglipFlops(config),
      widest: widestActivation(config),
      preprocessing: siglipPreprocessing(config),
      vectors: (weights, pictures) => {
        const vectors = siglipPictures(weights, pictures, config);
        return weights.graph.add("SimplifiedLayerNormalization", [
          vectors,
          unitGain(weights.graph, config.width),
        ], {
          axis: -1,
          epsilon: { float: UNIT_EPSILON },
        });
      },
    };
  }
  const { found, config } = await findClip(checkpoint, files.config, options);
  return {
    found,
    tensors: clipPictureTensors(config),
    width: config.channels,
    flops: clipFlops(config),
    widest: widestActivation(config.visual),
    preprocessing: clipPreprocessing(config.visual.grid * config.visual.patch),
    vectors: (weights, pictures) => clipPictures(weights, pictures, config),
  };
}

/** Keeps a vector of zeros, and is far below the rounding of any other. */
const UNIT_EPSILON = 1e-30;

/** An aesthetic predictor that is loaded on a device. Its scores are those that the head was trained for. */
export class Aesthetic implements Verifier, AsyncDisposable {
  readonly name = "aesthetic";
  readonly needsPrompt = false;
  /** As for a {@linkcode Verifier}. */
  readonly smallestEdge: number;
  /** As for a {@linkcode Verifier}. */
  readonly flops: number;
  /** As for a {@linkcode Verifier}. */
  readonly fingerprint?: string;
  readonly #session: PictureSession;

  private constructor(
    { flops, width, preprocessing: { size } }: Backbone,
    session: PictureSession,
    fingerprint: string | undefined,
  ) {
    if (fingerprint !== undefined) this.fingerprint = fingerprint;
    this.smallestEdge = size.width;
    this.flops = flops + 2 * width;
    this.#session = session;
  }

  /**
   * Loads a predictor.
   *
   * @param device Where it runs, which stays the caller's.
   * @throws {ModelFileError} If a file is not what it should be, or the head is for other vectors.
   */
  static async open(
    device: Device,
    files: AestheticFiles,
    options: OpenNetworkOptions = {},
  ): Promise<Aesthetic> {
    const reading = options.signal === undefined ? {} : { signal: options.signal };
    using headFile = await openCheckpoint(files.head, reading);
    const head = await readHead(headFile);
    using checkpoint = await openCheckpoint(files.weights, reading);
    const backbone = await findBackbone(checkpoint, files, options);
    const { found, tensors, width, widest, preprocessing } = backbone;
    if (head.weights.length !== width) {
      throw new ModelFileError("Cannot put the head on the network, as it is for other vectors", {
        file: headFile.file,
        expected: `${width} inputs, as many as the vectors of ${checkpoint.file} have numbers`,
        found: `${head.weights.length}`,
      });
    }
    const fingerprint = await fingerprintOf([files.head, files.weights, files.config], options);
    using weights = await openNetworkWeights(found, tensors);
    const graphWeights = new GraphWeights(
      "aesthetic",
      new WeightSet(weights.file, weights.tensors),
      weights.places,
    );
    const { graph } = graphWeights;
    const { height } = preprocessing.size;
    const pictures = graph.input({ name: "pictures", type: "float32", shape: ["count", 3, height, height] });
    const scores = graph.add("Gemm", [
      backbone.vectors(graphWeights, pictures),
      graph.constant("float32", [...head.weights], [width, 1]),
      graph.constant("float32", [head.bias]),
    ]);
    graph.output({ name: "result", type: "float32", shape: ["count", 1] }, scores);
    const session = await PictureSession.create(device, {
      name: "aesthetic",
      graph: graph.bytes(),
      weights,
      preprocessing,
      results: 1,
      widest,
    }, options);
    return new Aesthetic(backbone, session, fingerprint);
  }

  /** Scores pictures; what their labels say does not matter. */
  async score(
    pictures: Pictures,
    _labels: readonly ResolvedLabel[] = [],
    options: JudgeOptions = {},
  ): Promise<DeviceArray> {
    return await this.#session.run(pictures, options);
  }

  /** Unloads the network, when it is done with what it is at. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}
