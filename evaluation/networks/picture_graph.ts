/**
 * An ONNX network that is shown pictures which lie on the host: they are prepared, fed a few at a time, and
 * what it says is read back. What that means is left to whoever asks.
 *
 * @module
 */

import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import { type Device, readFloats } from "../../kernels/device/device.ts";
import { createGraphSession } from "../../models/graphs/create_session.ts";
import type { CpuProvider, GraphSession } from "../../models/graphs/graph_session.ts";
import type { DescribedImage } from "../../models/vision/network_description.ts";
import { preprocess } from "../../models/vision/preprocessing.ts";

/** Pixels of a picture on the host, as an `RgbaImage` holds them. */
export interface Pixels {
  /** Width. */
  readonly width: number;
  /** Height. */
  readonly height: number;
  /** Red, green, blue and alpha of each pixel, row by row; alpha is left out. */
  readonly data: ArrayLike<number>;
}

/** Where a network runs and what ends its loading. */
export interface PictureGraphOptions {
  /** Where it runs; it stays the caller's. By default a CPU of its own. */
  readonly device?: Device;
  /** Who computes on the CPU; `"wasm"` by default. */
  readonly cpuProvider?: CpuProvider;
  /** Threads on the CPU; all cores by default. */
  readonly threads?: number;
  /** Ends the loading. */
  readonly signal?: AbortSignal | undefined;
}

/** What a {@linkcode PictureGraph} is made from. */
export interface PictureGraphParts {
  /** The model. */
  readonly model: Uint8Array;
  /** Its path or URL, for messages. */
  readonly file: string;
  /** How pictures are fed. */
  readonly image: DescribedImage;
  /** Pictures that run together at most. */
  readonly batch: number;
}

/** What a network says of some pictures that ran together. */
export interface Said<Output extends string> {
  /** How many they are. */
  readonly count: number;
  /** Numbers by the name of the output, those of the first picture first. */
  readonly outputs: Readonly<Record<Output, Float32Array>>;
}

/**
 * The red, green and blue of pictures of one size, a word for each pixel as a device has them.
 *
 * @example
 * ```ts
 * import { packPixels } from "./picture_graph.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([...packPixels([{ width: 1, height: 1, data: [1, 2, 3, 0] }])], [0xff030201]);
 * ```
 */
export function packPixels(pictures: readonly Pixels[]): Uint32Array<ArrayBuffer> {
  const area = pictures.length === 0 ? 0 : pictures[0]!.width * pictures[0]!.height;
  const words = new Uint32Array(pictures.length * area);
  const bytes = new Uint8Array(words.buffer).fill(255);
  for (const [i, { data }] of pictures.entries()) {
    for (let p = 0; p < area; p++) {
      for (let channel = 0; channel < 3; channel++) {
        bytes[4 * (i * area + p) + channel] = data[4 * p + channel]!;
      }
    }
  }
  return words;
}

/** A network that is loaded. Disposing it unloads it. */
export class PictureGraph implements AsyncDisposable {
  readonly #device: Device;
  readonly #session: GraphSession;
  readonly #image: DescribedImage;
  readonly #batch: number;
  readonly #owned: AsyncDisposable;

  private constructor(
    device: Device,
    session: GraphSession,
    { image, batch }: PictureGraphParts,
    owned: AsyncDisposable,
  ) {
    this.#device = device;
    this.#session = session;
    this.#image = image;
    this.#batch = batch;
    this.#owned = owned;
  }

  /**
   * Loads a network.
   *
   * @throws {ModelFileError} If the runtime refuses it.
   */
  static async open(parts: PictureGraphParts, options: PictureGraphOptions = {}): Promise<PictureGraph> {
    const { device: given, cpuProvider, threads, signal } = options;
    signal?.throwIfAborted();
    await using owned = new AsyncDisposableStack();
    const device = given ?? owned.use(new CpuDevice());
    const session = owned.use(
      await createGraphSession(device, parts.model, {
        ...{ file: parts.file, mixed: true },
        ...(cpuProvider === undefined ? {} : { cpuProvider }),
        ...(threads === undefined ? {} : { threads }),
      }),
    );
    signal?.throwIfAborted();
    return new PictureGraph(device, session, parts, owned.move());
  }

  /**
   * Shows it pictures, of any sizes; those that follow one another and have one size run together.
   *
   * @param wanted Names of the outputs to read.
   * @throws {RangeError} If the network resizes none and a picture has another size.
   */
  async *look<Output extends string>(
    pictures: readonly Pixels[],
    wanted: readonly Output[],
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<Said<Output>, void, void> {
    const device = this.#device;
    const { input: name, size } = this.#image;
    for (let first = 0; first < pictures.length;) {
      signal?.throwIfAborted();
      const { width, height } = pictures[first]!;
      const some = pictures.slice(first, first + this.#batch);
      const other = some.findIndex((picture) => picture.width !== width || picture.height !== height);
      const count = other === -1 ? some.length : other;
      using array = device.upload(packPixels(some.slice(0, count)), "pictures");
      using input = preprocess(device, { array, count, width, height }, this.#image);
      const shape = [count, 3, size.height, size.width];
      const said = await this.#session.run({ [name]: { array: input, shape } }, wanted);
      using results = new DisposableStack();
      for (const output of Object.values(said)) results.use(output);
      const outputs = {} as Record<Output, Float32Array>;
      for (const output of wanted) outputs[output] = await readFloats(said[output]!);
      yield { count, outputs };
      first += count;
    }
  }

  /** Unloads it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned[Symbol.asyncDispose]();
  }
}
