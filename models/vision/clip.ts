/**
 * CLIP as a judge of how well a picture fits a text, and as what describes pictures. HPS v2.1 is one, too.
 *
 * @module
 */

import { type Device, type DeviceArray, readFloats } from "../../kernels/device/device.ts";
import { type Checkpoint, openCheckpoint } from "../checkpoint/mod.ts";
import { openSource } from "../checkpoint/source.ts";
import { createGraphSession } from "../graphs/create_session.ts";
import { GraphBuilder } from "../graphs/graph_builder.ts";
import type { GraphSession } from "../graphs/graph_session.ts";
import { Work } from "../graphs/work.ts";
import type { ResolvedLabel } from "../label.ts";
import { openTokenizer, type WordTokenizer } from "../text/word_tokenizer.ts";
import type { WeightFiles } from "../weights/weight_files.ts";
import { WeightSet } from "../weights/weight_set.ts";
import {
  causalMask,
  CLIP_LAYOUTS,
  type ClipConfig,
  clipFlops,
  type ClipLayout,
  clipPictureGraph,
  clipPictureTensors,
  clipPreprocessing,
  type ClipSettings,
  clipTextGraph,
  clipTextTensors,
  inferClip,
  PLACES,
  readClipSettings,
  WORDS,
} from "./clip_graph.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { OpenNetworkOptions } from "./network_kind.ts";
import { findNetwork, type NetworkTensors, openNetworkWeights, sparing } from "./network_weights.ts";
import { PictureSession, sessionOptions } from "./picture_session.ts";
import { requireLabels, textOfLabel } from "./prompt.ts";
import {
  type FeatureExtractor,
  type Features,
  featuresOf,
  type JudgeOptions,
  type Pictures,
  type Verifier,
} from "./verifier.ts";
import { widestActivation } from "./vision_transformer.ts";

/** Vectors of texts that are kept, so that a prompt is read once. */
const KEPT_TEXTS = 1024;

/** A place of a file, or its content. */
type File = string | URL | Uint8Array;

/** Files of a CLIP. */
export interface ClipFiles {
  /** Its tensors, in the layout of transformers or in that of OpenCLIP, in which HPS v2.1 is published. */
  readonly weights: File;
  /** Its `tokenizer.json`. */
  readonly tokenizer: File;
  /**
   * Its `config.json` or `open_clip_config.json`. Without it, files of OpenCLIP are taken to have the exact
   * GELU and those of transformers OpenAI's approximation.
   */
  readonly config?: File;
}

/** Options of {@linkcode Clip.open}. */
export interface OpenClipOptions extends OpenNetworkOptions {
  /**
   * What cosines are multiplied by: 1 by default, as HPS v2.1 scores; 100 is what is usually printed as CLIP
   * score.
   */
  readonly scale?: number;
}

/** A CLIP that is found in a file. */
export interface FoundClip {
  /** Its tensors. */
  readonly found: NetworkTensors<ClipLayout>;
  /** Its sizes. */
  readonly config: ClipConfig;
}

/**
 * Finds a CLIP in a file.
 *
 * @param description Its `config.json`, if there is one.
 * @throws {ModelFileError} If there is none, or it is not complete.
 */
export async function findClip(
  checkpoint: Checkpoint,
  description: File | undefined,
  options: OpenNetworkOptions = {},
): Promise<FoundClip> {
  const found = findNetwork("a CLIP", checkpoint, CLIP_LAYOUTS);
  const settings = await settingsOf(description, options);
  const config = inferClip(found.set, { activation: found.layout.activation, ...settings });
  return { found, config };
}

/**
 * What a `config.json` says beyond the tensors.
 *
 * @param description The file, if there is one.
 * @throws {ModelFileError} If it is none of a CLIP or SigLIP.
 */
export async function settingsOf(
  description: File | undefined,
  options: OpenNetworkOptions = {},
): Promise<ClipSettings> {
  return description === undefined ? {} : readClipSettings(...await contentOf(description, options));
}

/**
 * A CLIP that is loaded on a device. It scores pictures by the cosine between their vectors and those of
 * their prompts; features are these vectors, [count, 1, channels], of length 1.
 */
export class Clip implements Verifier, FeatureExtractor, AsyncDisposable {
  readonly name = "clip";
  readonly needsPrompt = true;
  /** As for a {@linkcode Verifier}. */
  readonly smallestEdge: number;
  /** As for a {@linkcode Verifier}; a text is read once and not counted. */
  readonly flops: number;
  /** As for a {@linkcode Verifier}. */
  readonly fingerprint?: string;
  readonly #device: Device;
  readonly #config: ClipConfig;
  readonly #parts: ClipParts;
  readonly #work = new Work("clip");
  readonly #texts = new Map<string, Promise<Float32Array>>();

  private constructor(device: Device, config: ClipConfig, parts: ClipParts) {
    this.#device = device;
    this.#config = config;
    this.#parts = parts;
    this.smallestEdge = config.visual.grid * config.visual.patch;
    this.flops = clipFlops(config);
    if (parts.fingerprint !== undefined) this.fingerprint = parts.fingerprint;
  }

  /**
   * Loads a CLIP.
   *
   * @param device Where it runs, which stays the caller's.
   * @throws {ModelFileError} If a file is not what it should be.
   */
  static async open(device: Device, files: ClipFiles, options: OpenClipOptions = {}): Promise<Clip> {
    const { scale = 1, signal, template } = options;
    await using stack = new AsyncDisposableStack();
    const checkpoint = stack.use(await openCheckpoint(files.weights, signal === undefined ? {} : { signal }));
    const { found, config } = await findClip(checkpoint, files.config, options);
    const { text, channels } = config;
    const tokenizer = await openTokenizer(...await contentOf(files.tokenizer, options), {
      length: text.length,
      rows: text.vocabulary,
    });
    const words = stack.use(
      await openNetworkWeights(found, [{ name: WORDS, shape: [text.vocabulary, text.width] }]),
    );
    found.set.take(PLACES, [text.length, text.width]);
    const places = await checkpoint.readFloat32(found.tensors.get(PLACES)!.name);
    using textWeights = await openNetworkWeights(found, clipTextTensors(config));
    using pictureWeights = await openNetworkWeights(found, clipPictureTensors(config));
    found.set.requireAllTaken(found.layout.unused);
    const fingerprint = await fingerprintOf([files.weights, files.tokenizer, files.config], options);
    const setOf = ({ file, tensors }: WeightFiles): WeightSet => new WeightSet(file, tensors);
    const pictures = stack.use(
      await PictureSession.create(device, {
        name: "clip",
        graph: clipPictureGraph(config, setOf(pictureWeights), pictureWeights.places),
        weights: pictureWeights,
        preprocessing: clipPreprocessing(config.visual.grid * config.visual.patch),
        results: channels,
        widest: widestActivation(config.visual),
      }, options),
    );
    const textGraph = clipTextGraph(config, setOf(textWeights), textWeights.places);
    const texts = stack.use(
      await createGraphSession(device, sparing(textGraph, textWeights), {
        ...sessionOptions(options),
        externalFiles: textWeights.files,
      }),
    );
    const cosines = stack.use(
      await createGraphSession(device, cosineGraph(channels, scale), sessionOptions(options)),
    );
    const owned = stack.move();
    return new Clip(device, config, {
      pictures,
      texts,
      cosines,
      tokenizer,
      words,
      places,
      template,
      fingerprint,
      owned,
    });
  }

  /**
   * Scores pictures by the prompts of their labels, or by what the template makes of their classes.
   *
   * @throws {TypeError} If the network has been disposed.
   * @throws {RangeError} If there are more labels than pictures or fewer, a label has no text, or one that is
   * too long.
   */
  async score(
    pictures: Pictures,
    labels: readonly ResolvedLabel[],
    options: JudgeOptions = {},
  ): Promise<DeviceArray> {
    const { count } = pictures;
    requireLabels(labels, count);
    const { template } = this.#parts;
    const prompts = labels.map((label) => textOfLabel(label, { verifier: this.name, template }));
    return await this.#work.run("judge pictures", async () => {
      const { channels } = this.#config;
      const values = new Float32Array(count * channels);
      for (const [i, prompt] of prompts.entries()) {
        options.signal?.throwIfAborted();
        values.set(await this.#textOf(prompt), i * channels);
      }
      using seen = await this.#parts.pictures.run(pictures, options);
      using texts = this.#device.upload(values, "texts");
      const shape = [count, channels];
      const { scores } = await this.#parts.cosines.run({
        pictures: { array: seen, shape },
        texts: { array: texts, shape },
      });
      return scores!;
    });
  }

  /** Describes pictures by [count, 1, channels]. */
  async features(pictures: Pictures, options: JudgeOptions = {}): Promise<Features> {
    const { channels } = this.#config;
    const array = await this.#work.run(
      "describe pictures",
      () => this.#parts.pictures.run(pictures, options),
    );
    return featuresOf(array, { tokens: 1, channels });
  }

  /**
   * The vector of a text, [channels], of length 1.
   *
   * @throws {TypeError} If it is no text, or the network has been disposed.
   * @throws {RangeError} If it has more characters than a tokenizer takes.
   */
  async text(prompt: string): Promise<Float32Array> {
    return await this.#work.run("read a text", async () => (await this.#textOf(prompt)).slice());
  }

  #textOf(prompt: string): Promise<Float32Array> {
    const known = this.#texts.get(prompt);
    if (known !== undefined) return known;
    const vector = this.#read(prompt);
    // A failure is for who asked, not for who asks again.
    vector.catch(() => this.#texts.delete(prompt));
    this.#texts.set(prompt, vector);
    if (this.#texts.size > KEPT_TEXTS) this.#texts.delete(this.#texts.keys().next().value!);
    return vector;
  }

  async #read(prompt: string): Promise<Float32Array> {
    const { tokenizer, words, places, texts } = this.#parts;
    const { width } = this.#config.text;
    const { ids: all } = tokenizer.encode(prompt);
    // The first one counts, also of those that a prompt spells out; what follows it is hidden from it.
    const ids = all.slice(0, all.indexOf(all.at(-1)!) + 1);
    const { length } = ids;
    const rows = await words.readRows(WORDS, ids);
    using embedded = this.#device.upload(rows.map((value, i) => value + places[i]!), "embedded");
    using mask = this.#device.upload(causalMask(length), "mask");
    const { result } = await texts.run({
      embedded: { array: embedded, shape: [1, length, width] },
      mask: { array: mask, shape: [1, 1, length, length] },
    });
    using vector = result!;
    return (await readFloats(vector)).slice(0, this.#config.channels);
  }

  /** Unloads the network, when it is done with what it is at. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work.end();
    await this.#parts.owned[Symbol.asyncDispose]();
  }
}

/** What a CLIP consists of. */
interface ClipParts {
  readonly pictures: PictureSession;
  readonly texts: GraphSession;
  readonly cosines: GraphSession;
  readonly tokenizer: WordTokenizer;
  /** The embedding of texts, of which a prompt needs a few rows. */
  readonly words: WeightFiles;
  readonly places: Float32Array;
  /** The text for a class. */
  readonly template: string | undefined;
  readonly fingerprint: string | undefined;
  readonly owned: AsyncDisposable;
}

/** Content of a file, and what to call it. */
async function contentOf(file: File, { signal }: OpenNetworkOptions): Promise<[Uint8Array, string]> {
  using source = await openSource(file, signal === undefined ? {} : { signal });
  return [await source.read(0, source.size), source.file];
}

/** `pictures` and `texts` [count, channels], vectors of length 1, to `scores` [count, 1]. */
function cosineGraph(channels: number, scale: number): Uint8Array {
  const graph = new GraphBuilder("cosines");
  const [pictures, texts] = ["pictures", "texts"].map((name) => {
    return graph.input({ name, type: "float32", shape: ["count", channels] });
  });
  const products = graph.add("Mul", [pictures!, texts!]);
  const cosines = graph.add("ReduceSum", [products, graph.constant("int64", [1])], { keepdims: 1 });
  graph.output(
    { name: "scores", type: "float32", shape: ["count", 1] },
    graph.add("Mul", [cosines, graph.constant("float32", [scale])]),
  );
  return graph.bytes();
}
