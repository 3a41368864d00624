/**
 * Prompts to features by the text encoder of a model folder: tokens are found and embedded on the host, the
 * graph runs where the encoder is loaded. What features are kept in, and what a model makes of them, is left
 * to others.
 *
 * @module
 */

import type { Device } from "../../kernels/device/device.ts";
import { readFloats } from "../../kernels/device/device.ts";
import type { ModelFolder } from "../folder/model_folder.ts";
import { createGraphSession } from "../graphs/create_session.ts";
import { keepHalves } from "../graphs/graph_file.ts";
import {
  type CpuProvider,
  type GraphSession,
  type GraphSessionOptions,
  refuseGraph,
} from "../graphs/graph_session.ts";
import { Work } from "../graphs/work.ts";
import { ModelFileError } from "../model_file_error.ts";
import type { WeightFiles } from "../weights/weight_files.ts";
import { WeightSet } from "../weights/weight_set.ts";
import {
  distanceBuckets,
  embeddingName,
  inferT5,
  type T5Config,
  TEXT_ENCODER,
  TEXT_ENCODER_GRAPH,
} from "./t5_graph.ts";
import { TextTokenizer } from "./tokenizer.ts";

/** Name of the tokenizer in a model folder. */
export const TEXT_TOKENIZER = "text_tokenizer.json";

/** Options of {@linkcode PromptEncoder.load}. */
export interface LoadPromptEncoderOptions {
  /** Threads on the CPU; all cores by default. */
  readonly threads?: number;
  /** Who computes on the CPU; `"wasm"` by default. */
  readonly cpuProvider?: CpuProvider;
  /** Whether half-precision weights stay halves where the encoder runs; by default they are widened. */
  readonly halves?: boolean;
}

/** A text encoder that is loaded on a device. */
export class PromptEncoder implements AsyncDisposable {
  /** Its sizes. */
  readonly config: T5Config;
  readonly #device: Device;
  readonly #folder: ModelFolder;
  readonly #tokenizer: TextTokenizer;
  readonly #weights: WeightFiles;
  readonly #session: GraphSession;
  readonly #work = new Work("the text encoder");

  private constructor(
    device: Device,
    tokenizer: TextTokenizer,
    weights: WeightFiles,
    session: GraphSession,
    { folder, config }: { readonly folder: ModelFolder; readonly config: T5Config },
  ) {
    this.#device = device;
    this.#tokenizer = tokenizer;
    this.#weights = weights;
    this.#session = session;
    this.#folder = folder;
    this.config = config;
  }

  /**
   * Loads the encoder of a model.
   *
   * @param folder The model's folder, which stays the caller's and open for as long as the encoder.
   * @param device Where it runs, which stays the caller's.
   * @throws {ModelFileError} If the folder has none, or a file is not what it should be.
   */
  static async load(
    folder: ModelFolder,
    device: Device,
    options: LoadPromptEncoderOptions = {},
  ): Promise<PromptEncoder> {
    const { halves = false, ...sessionOptions } = options;
    const file = (name: string): string => `${folder.location}/${name}`;
    await using stack = new AsyncDisposableStack();
    // The small files first, so that what is wrong with them is found out before gigabytes are read.
    const tokenizerBytes = await folder.read(TEXT_TOKENIZER);
    const graph = await folder.read(TEXT_ENCODER_GRAPH);
    const weights = stack.use(await folder.weights(TEXT_ENCODER));
    const config = inferT5(new WeightSet(weights.file, weights.tensors));
    const tokenizer = await TextTokenizer.parse(tokenizerBytes, file(TEXT_TOKENIZER), {
      rows: config.vocabulary,
    });
    const session = await loadSession(device, graph, halves, {
      ...sessionOptions,
      file: file(TEXT_ENCODER_GRAPH),
      externalFiles: weights.files,
    });
    stack.move();
    return new PromptEncoder(device, tokenizer, weights, session, { folder, config });
  }

  /**
   * What tells its weights and its tokenizer from others: SHA-256s, as
   * {@linkcode ModelFolder.fingerprints} has them. Empty if they are not known.
   */
  get fingerprints(): Readonly<Record<string, string>> {
    const own = Object.entries(this.#folder.fingerprints).filter(([name]) => {
      return name.startsWith(TEXT_ENCODER) || name === TEXT_TOKENIZER;
    });
    return Object.fromEntries(own);
  }

  /** Width of the features. */
  get channels(): number {
    return this.config.width;
  }

  /**
   * Features of a prompt, [tokens, channels], its end among them. Each prompt is evaluated alone and without
   * padding, so they do not depend on any other.
   *
   * @throws {TypeError} If the prompt is no text, or the encoder has been disposed.
   * @throws {RangeError} If it is longer than a tokenizer takes.
   * @throws {ModelFileError} If the features are not finite, or files have changed meanwhile.
   */
  async encode(prompt: string): Promise<Float32Array<ArrayBuffer>> {
    return await this.#work.run("encode a prompt", async () => {
      const { width, buckets } = this.config;
      const ids = this.#tokenizer.encode(prompt);
      const { length } = ids;
      const embedding = embeddingName(this.#weights.tensors);
      using embedded = this.#device.upload(await this.#weights.readRows(embedding, ids), "embedded");
      const { features } = await this.#session.run({
        embedded: { array: embedded, shape: [1, length, width] },
        buckets: { array: distanceBuckets(length, buckets), shape: [length, length] },
      });
      using array = features!;
      const values = (await readFloats(array)).slice(0, length * width);
      const place = values.findIndex((value) => !Number.isFinite(value));
      if (place < 0) return values;
      throw new ModelFileError("Cannot use the features of a prompt, as the text encoder may be damaged", {
        file: this.#weights.file,
        expected: "finite numbers",
        found: `${values[place]} for token ${Math.floor(place / width)} of ${length}`,
      });
    });
  }

  /** Unloads the encoder, when it is done with what it is at. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work.end();
    await this.#session[Symbol.asyncDispose]();
    this.#weights[Symbol.dispose]();
  }
}

async function loadSession(
  device: Device,
  graph: Uint8Array,
  halves: boolean,
  options: GraphSessionOptions,
): Promise<GraphSession> {
  let bytes = graph;
  try {
    if (halves) bytes = keepHalves(graph);
  } catch (error) {
    return refuseGraph(error, "load", options.file);
  }
  return await createGraphSession(device, bytes, options);
}
