/**
 * The two networks of a tokenizer as they run: the decoder, and the encoder, which is loaded when it is first
 * needed, as generation never does.
 *
 * @module
 */

import type { DeviceArray } from "../../kernels/device/device.ts";
import type { GraphSession } from "../graphs/graph_session.ts";
import type { DecodedPictures, PictureArray } from "../model.ts";
import { type AutoencoderConfig, pixelsPerToken } from "./config.ts";
import type { TiledDecoder } from "./tiled_decoder.ts";

/** What {@linkcode AutoencoderNetworks} are made of. */
export interface AutoencoderParts {
  /** Name of the model, for messages. */
  readonly model: string;
  /** Sizes of the networks. */
  readonly config: AutoencoderConfig;
  /** The graph `decoder`, if there is one. */
  readonly decoder: GraphSession | undefined;
  /**
   * Decodes maps strip by strip that are too large for the graph `decoder`, or all of them where there is
   * none.
   */
  readonly tiled?: TiledDecoder | undefined;
  /** Loads the graph `encoder`. */
  readonly loadEncoder: () => Promise<GraphSession>;
}

/** Features of a batch of images on the device. */
export interface FeatureMaps {
  /** f32 [images, channels, height, width]. */
  readonly array: DeviceArray;
  /** Features in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** Number of images. */
  readonly images: number;
}

/** Decoder and encoder on a device. Unloading them waits for nothing: no run may be under way. */
export class AutoencoderNetworks implements AsyncDisposable {
  readonly #parts: AutoencoderParts;
  readonly #encoders = new AsyncDisposableStack();
  #encoder: Promise<GraphSession> | undefined;

  /** Takes over the decoders. */
  constructor(parts: AutoencoderParts) {
    this.#parts = parts;
  }

  /** Whether there is a decoder. */
  get decodes(): boolean {
    return this.#parts.decoder !== undefined || this.#parts.tiled !== undefined;
  }

  /** Whether there is an encoder. */
  get encodes(): boolean {
    return this.#parts.config.encoder !== null;
  }

  /**
   * Checks that there is a decoder.
   *
   * @throws {TypeError} If there is none.
   */
  requireDecoder(): void {
    if (this.decodes) return;
    throw new TypeError(`Cannot decode as the model "${this.#parts.model}" has no decoder`);
  }

  /**
   * Checks that there is an encoder.
   *
   * @throws {TypeError} If there is none.
   */
  requireEncoder(): void {
    if (this.encodes) return;
    throw new TypeError(`Cannot encode as the model "${this.#parts.model}" has no encoder`);
  }

  /**
   * Decodes features to pictures.
   *
   * @throws {TypeError} If there is no decoder.
   */
  async decode(features: FeatureMaps): Promise<DecodedPictures> {
    this.requireDecoder();
    const { config, decoder, tiled } = this.#parts;
    const array = tiled !== undefined && (decoder === undefined || tiled.takes(features))
      ? await tiled.decode(features.array, features)
      : await this.#decodeWhole(decoder!, features);
    const factor = pixelsPerToken(config);
    return {
      array,
      width: features.width * factor,
      height: features.height * factor,
      [Symbol.dispose]: () => array[Symbol.dispose](),
    };
  }

  async #decodeWhole(
    decoder: GraphSession,
    { array, images, width, height }: FeatureMaps,
  ): Promise<DeviceArray> {
    const { image } = await decoder.run({
      features: { array, shape: [images, this.#parts.config.channels, height, width] },
      map_shape: { array: [0, -1, height, width], shape: [4] },
    });
    return image!;
  }

  /**
   * Encodes pictures to features. The sides of the pictures are multiples of the pixels of a token.
   *
   * @throws {TypeError} If there is no encoder.
   */
  async encode({ array: pictures, width, height }: PictureArray, images: number): Promise<FeatureMaps> {
    this.requireEncoder();
    const encoder = await (this.#encoder ??= this.#load());
    const factor = pixelsPerToken(this.#parts.config);
    const map = { width: width / factor, height: height / factor };
    const { features } = await encoder.run({
      image: { array: pictures, shape: [images, 3, height, width] },
      map_shape: { array: [0, -1, map.height, map.width], shape: [4] },
    });
    return { array: features!, images, ...map };
  }

  async #load(): Promise<GraphSession> {
    try {
      return this.#encoders.use(await this.#parts.loadEncoder());
    } catch (error) {
      // Somebody may mend the cause, a file that is missing say, and try again.
      this.#encoder = undefined;
      throw error;
    }
  }

  /** Unloads all of them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#encoders.disposeAsync();
    await this.#parts.tiled?.[Symbol.asyncDispose]();
    await this.#parts.decoder?.[Symbol.asyncDispose]();
  }
}
