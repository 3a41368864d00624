/**
 * Runs a graph on pictures: prepared as the network wants them, and no more of them at a time than the
 * runtime computes rightly. What the graph computes is left to others.
 *
 * @module
 */

import { requireInteger } from "../../kernels/arguments.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { createGraphSession } from "../graphs/create_session.ts";
import type { GraphSession, GraphTensor } from "../graphs/graph_session.ts";
import { Work } from "../graphs/work.ts";
import type { WeightFiles } from "../weights/weight_files.ts";
import type { OpenNetworkOptions } from "./network_kind.ts";
import { sparing } from "./network_weights.ts";
import {
  type FloatPreprocessing,
  preprocess,
  preprocessInFloats,
  type Preprocessing,
} from "./preprocessing.ts";
import type { JudgeOptions, Pictures } from "./verifier.ts";

/**
 * Bytes of the largest activation at most: of larger arrays, norms of the web runtime compute the first 128
 * MiB only on many adapters, and do not say so.
 */
const ACTIVATION_BYTES = 2 ** 27;

/** What a {@linkcode PictureSession} is made from. */
export interface PictureGraph {
  /** Name of the network, for messages. */
  readonly name: string;
  /** The graph: `pictures` [count, 3, height, width] to `result` [count, ...]. */
  readonly graph: Uint8Array;
  /** Its weights; they are read while the session is made, and not later. */
  readonly weights: WeightFiles;
  /** How it wants its pictures. */
  readonly preprocessing: Preprocessing | FloatPreprocessing;
  /** Numbers of the result for one picture. */
  readonly results: number;
  /** Numbers of the largest activation of one picture. */
  readonly widest: number;
}

/** What a session takes of a network's options. */
export function sessionOptions(
  { threads, cpuProvider }: OpenNetworkOptions,
): Pick<OpenNetworkOptions, "threads" | "cpuProvider"> {
  return {
    ...threads === undefined ? {} : { threads },
    ...cpuProvider === undefined ? {} : { cpuProvider },
  };
}

/** A graph of pictures that is loaded on a device. */
export class PictureSession implements AsyncDisposable {
  readonly #device: Device;
  readonly #session: GraphSession;
  readonly #network: Omit<PictureGraph, "graph" | "weights">;
  readonly #work: Work;

  private constructor(
    device: Device,
    session: GraphSession,
    network: Omit<PictureGraph, "graph" | "weights">,
  ) {
    this.#device = device;
    this.#session = session;
    this.#network = network;
    this.#work = new Work(network.name);
  }

  /**
   * Loads a graph.
   *
   * @param device Where it runs, which stays the caller's.
   */
  static async create(
    device: Device,
    { graph, weights, ...network }: PictureGraph,
    options: OpenNetworkOptions = {},
  ): Promise<PictureSession> {
    options.signal?.throwIfAborted();
    const session = await createGraphSession(device, sparing(graph, weights), {
      ...sessionOptions(options),
      externalFiles: weights.files,
    });
    return new PictureSession(device, session, network);
  }

  /**
   * Runs the graph on any number of pictures.
   *
   * @param beside What else the graph takes, [count, width] by name.
   * @returns f32 [count, results], the caller's.
   * @throws {TypeError} If the session has been disposed.
   * @throws {RangeError} If there are no pictures.
   */
  async run(
    pictures: Pictures,
    { signal }: JudgeOptions = {},
    beside: Readonly<Record<string, { readonly values: Float32Array<ArrayBuffer>; readonly width: number }>> =
      {},
  ): Promise<DeviceArray> {
    const { preprocessing, results, widest } = this.#network;
    const { width, height } = preprocessing.size;
    const area = pictures.width * pictures.height;
    const device = this.#device;
    return await this.#work.run("look at pictures", async () => {
      signal?.throwIfAborted();
      requireInteger(pictures.count, "the number of pictures", "look at pictures", { min: 1 });
      using stack = new DisposableStack();
      const all = stack.use(device.allocate(pictures.count * results, "seen in pictures"));
      const batch = Math.max(1, Math.floor(ACTIVATION_BYTES / (4 * widest)));
      for (let first = 0; first < pictures.count; first += batch) {
        signal?.throwIfAborted();
        const count = Math.min(batch, pictures.count - first);
        using inputs = new DisposableStack();
        const array = device.view(pictures.array, first * area, count * area);
        const some = { ...pictures, array, count };
        const input = inputs.use(
          "level" in preprocessing
            ? preprocessInFloats(device, some, preprocessing)
            : preprocess(device, some, preprocessing),
        );
        const others = Object.entries(beside).map(([name, { values, width }]): [string, GraphTensor] => {
          const rows = values.subarray(first * width, (first + count) * width);
          return [name, { array: inputs.use(device.upload(rows, name)), shape: [count, width] }];
        });
        const { result } = await this.#session.run({
          pictures: { array: input, shape: [count, 3, height, width] },
          ...Object.fromEntries(others),
        });
        using seen = result!;
        device.copy(seen, all, { targetOffset: first * results, length: count * results });
      }
      stack.move();
      return all;
    });
  }

  /** Unloads the graph, when it is done with what it is at. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work.end();
    await this.#session[Symbol.asyncDispose]();
  }
}
