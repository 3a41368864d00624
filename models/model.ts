/**
 * What every model family offers to the sampler: a schedule of scales, and a generation that turns features into logits and accepts
 * tokens, scale by scale. Nothing here knows a particular family.
 *
 * @module
 */

import type { Device, DeviceArray } from "../kernels/device.ts";
import type { Dtype } from "./dtype.ts";
import type { ModelTuning } from "./folder.ts";

/** The vectors behind a model's tokens. */
export interface CodeVectors {
  /** Code vectors, f32 [vocabulary, channels]. */
  readonly array: DeviceArray;
  /** Number of codes V. */
  readonly vocabulary: number;
  /** Length of a code vector. */
  readonly channels: number;
}

/** What a generation starts from. */
export interface StartOptions {
  /** One label per image: a class, or the number of classes for the null class. */
  readonly labels: readonly number[];
  /** Whether unconditional logits are wanted beside the conditional ones. */
  readonly guided: boolean;
}

/** Images on their way through the scales, with everything a model keeps between two of them. Disposing it frees all of that. */
export interface Generation extends Disposable {
  /** Images (lanes) in the batch. */
  readonly images: number;
  /** Whether {@linkcode Generation.logits} holds unconditional rows too. */
  readonly guided: boolean;
  /** What the scales have added up to, f32 [images, channels, side, side] at full resolution. */
  readonly accumulated: DeviceArray;
  /** Input of the next scale, f32 [images, positions, channels]; guided, twice as many rows. */
  readonly features: DeviceArray;
  /**
   * Logits of the next scale, f32 [images, positions, vocabulary]; guided, twice as many rows: all conditional ones first. They belong to
   * the caller.
   */
  logits(): Promise<DeviceArray>;
  /** Ends the scale with these tokens, u32 [images, positions]. */
  accept(tokens: DeviceArray): void;
  /** Ends the scale with feature vectors instead of tokens, f32 [images, channels, positions]. */
  acceptFeatures(features: DeviceArray): void;
  /**
   * Rearranges the batch between two scales: the new lane i continues the old lane `lanes[i]`.
   *
   * @throws {RangeError} If no lane would be left, or one of them is none.
   */
  gather(lanes: readonly number[]): void;
  /** Decodes what has been accumulated so far to pixels, f32 [images, 3, height, width] from -1 to 1 (not clamped). */
  decode(): Promise<DeviceArray>;
}

/** Token maps of encoded images. */
export interface Encoding extends Disposable {
  /** Tokens per scale, u32 [images, positions]. */
  readonly tokens: readonly DeviceArray[];
  /** The encoder's features, f32 [images, channels, side, side]. */
  readonly features: DeviceArray;
  /** What the tokens of all scales add up to, f32 [images, channels, side, side]. */
  readonly accumulated: DeviceArray;
  /** The same after each scale but the last, if they were asked for. */
  readonly snapshots: readonly DeviceArray[];
}

/** Options of {@linkcode Model.encode}. */
export interface EncodeOptions {
  /** Whether to keep what the scales have added up to after each of them. */
  readonly snapshots?: boolean;
}

/** Bytes that a model takes where it runs. */
export interface ModelMemory {
  /** Bytes of what stays as long as the model is loaded. */
  readonly weights: number;
  /** Bytes that each image of a guided batch takes at the peak. */
  readonly image: number;
}

/**
 * A model that is loaded on a device. Disposing it unloads it, when what has begun is done, and the device too if the model opened it.
 */
export interface Model extends AsyncDisposable {
  /** Family, for example `"var"`. */
  readonly family: string;
  /** Name for people. */
  readonly name: string;
  /** Where it was loaded from. */
  readonly location: string;
  /** SHA-256 of its weight files, by name. */
  readonly fingerprints: Readonly<Record<string, string>>;
  /** Where it runs. */
  readonly device: Device;
  /** Type of its large weights there. */
  readonly dtype: Dtype;
  /** An estimate of the memory it takes there. */
  readonly memory: ModelMemory;
  /** Transformer depth, which presets depend on. */
  readonly depth: number;
  /** Number of classes, the null class not counted. */
  readonly classes: number;
  /** Names of the classes in order; empty where they have none. */
  readonly classNames: readonly string[];
  /** Sides of the token maps, coarse to fine. */
  readonly patchNumbers: readonly number[];
  /** Width and height of the pictures in pixels; 0 for a model that can neither decode nor encode any. */
  readonly imageSize: number;
  /** The vectors behind the tokens. */
  readonly codebook: CodeVectors;
  /** Search settings that suit this model, where they are known. */
  readonly tuning: ModelTuning;
  /**
   * Starts a batch.
   *
   * @throws {RangeError} If there is no label, or one of them is no class.
   */
  start(options: StartOptions): Promise<Generation>;
  /**
   * Encodes pictures, f32 [images, 3, size, size] from -1 to 1, to token maps.
   *
   * @throws {TypeError} If the model has no encoder.
   */
  encode(pictures: DeviceArray, images: number, options?: EncodeOptions): Promise<Encoding>;
  /** Decodes accumulated features, f32 [images, channels, side, side], to pixels. */
  decode(features: DeviceArray, images: number): Promise<DeviceArray>;
}
