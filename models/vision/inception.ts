/**
 * Inception-v3 from torchvision's file: pictures to one vector each, as TTS-VAR compares them by. What the
 * network is made of is in `inception_graph.ts`.
 *
 * @module
 */

import type { Device } from "../../kernels/device/device.ts";
import { openCheckpoint } from "../checkpoint/mod.ts";
import { WeightSet } from "../weights/weight_set.ts";
import { fingerprintOf } from "./fingerprint.ts";
import {
  foldedConvolutions,
  inceptionConvolutions,
  type InceptionCost,
  inceptionCost,
  inceptionGraph,
  UNUSED_INCEPTION,
} from "./inception_graph.ts";
import type { OpenNetworkOptions } from "./network_kind.ts";
import { findNetwork, openWeightEntries, type TensorLayout } from "./network_weights.ts";
import { PictureSession } from "./picture_session.ts";
import type { Preprocessing } from "./preprocessing.ts";
import {
  type FeatureExtractor,
  type Features,
  featuresOf,
  type JudgeOptions,
  type Pictures,
} from "./verifier.ts";

/** Edge of a picture. */
const EDGE = 299;
/** Channels of a picture's largest activation, which has half its edge. */
const WIDEST = 64;

const LAYOUT: TensorLayout = {
  title: "torchvision's file",
  landmark: "Conv2d_1a_3x3.conv.weight",
  names: [],
  unused: UNUSED_INCEPTION,
};

/**
 * TTS-VAR's released code prepares pictures around ImageNet's mean. The network, loaded as it loads it, then
 * takes that back (torchvision's `transform_input`, which is on with the published weights), and what remains
 * is this.
 */
const PREPROCESSING: Preprocessing = {
  size: { width: EDGE, height: EDGE },
  resize: "bilinear",
  fit: "squash",
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
};

/** An Inception-v3 that is loaded on a device. */
export class Inception implements FeatureExtractor, AsyncDisposable {
  /** As for a {@linkcode FeatureExtractor}. */
  readonly name = "inception";
  /** As for a {@linkcode FeatureExtractor}. */
  readonly smallestEdge: number = EDGE;
  /** As for a {@linkcode FeatureExtractor}. */
  readonly flops: number;
  /** As for a {@linkcode FeatureExtractor}. */
  readonly fingerprint?: string;
  readonly #channels: number;
  readonly #session: PictureSession;

  private constructor(
    { flops, channels }: InceptionCost,
    session: PictureSession,
    fingerprint: string | undefined,
  ) {
    if (fingerprint !== undefined) this.fingerprint = fingerprint;
    this.flops = flops;
    this.#channels = channels;
    this.#session = session;
  }

  /**
   * Loads the network.
   *
   * @param device Where it runs, which stays the caller's.
   * @param file Path, URL or content of `inception_v3_google-0cc3c7bd.pth`.
   * @throws {ModelFileError} If it is no Inception-v3.
   */
  static async open(
    device: Device,
    file: string | URL | Uint8Array,
    options: OpenNetworkOptions = {},
  ): Promise<Inception> {
    using checkpoint = await openCheckpoint(file, { signal: options.signal });
    const { set, tensors } = findNetwork("an Inception-v3", checkpoint, [LAYOUT]);
    const convolutions = inceptionConvolutions(set);
    set.requireAllTaken(UNUSED_INCEPTION);
    const folded = foldedConvolutions(convolutions, {
      file: checkpoint.file,
      readFloat32: async (name) => await checkpoint.readFloat32(tensors.get(name)!.name),
    });
    using weights = await openWeightEntries(checkpoint.file, folded);
    const fingerprint = await fingerprintOf([file], options);
    const cost = inceptionCost(convolutions, EDGE);
    const session = await PictureSession.create(device, {
      name: "inception",
      graph: inceptionGraph(new WeightSet(weights.file, weights.tensors), weights.places),
      weights,
      preprocessing: PREPROCESSING,
      results: cost.channels,
      widest: WIDEST * (EDGE >> 1) ** 2,
    }, options);
    return new Inception(cost, session, fingerprint);
  }

  /** Describes pictures by one vector each: [count, 1, 2048]. */
  async features(pictures: Pictures, options: JudgeOptions = {}): Promise<Features> {
    const array = await this.#session.run(pictures, options);
    return featuresOf(array, { tokens: 1, channels: this.#channels });
  }

  /** Unloads the network. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}
