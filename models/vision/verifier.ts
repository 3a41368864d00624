/**
 * What judges pictures and what describes them: a verifier gives each picture a score, a feature extractor
 * gives it rows of numbers. Search methods ask nothing else of a network, so anything can be one: a reward
 * model, a classifier, a function of one's own.
 *
 * @module
 */

import type { DeviceArray } from "../../kernels/device/device.ts";
import type { ResolvedLabel } from "../label.ts";
import type { PictureSize } from "../schedule.ts";

/** Finished pixels on a device, as they would be saved: 8 bits a channel. They stay the caller's. */
export interface Pictures extends PictureSize {
  /** u32 [count, height, width]: red in the lowest byte, then green, blue, and alpha, which is 255. */
  readonly array: DeviceArray;
  /** Number of pictures. */
  readonly count: number;
}

/** Options of a judgement. */
export interface JudgeOptions {
  /** Ends it; what the signal gives as the reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * One score for each picture: f32 [count] on the device, which then belongs to the caller, or on the host.
 */
export type Scores = DeviceArray | ArrayLike<number>;

/** What judges pictures: the higher a score, the better the picture. */
export interface Verifier {
  /** Name in records and errors. */
  readonly name: string;
  /** Whether it judges how well a picture fits a text, so that a label must have one. */
  readonly needsPrompt: boolean;
  /**
   * The shorter edge, in pixels, from which on a larger picture tells it nothing more. Without it, pictures
   * are shown to it in their full size.
   */
  readonly smallestEdge?: number;
  /** Floating-point operations for one picture, two for each product that is added, where they are known. */
  readonly flops?: number;
  /** What tells its files from others, for records: a SHA-256 of theirs, where it was loaded from some. */
  readonly fingerprint?: string;
  /**
   * Judges pictures.
   *
   * @param pictures The pictures.
   * @param labels One label for each of them.
   */
  score(
    pictures: Pictures,
    labels: readonly ResolvedLabel[],
    options?: JudgeOptions,
  ): Scores | Promise<Scores>;
}

/** What a {@linkcode FeatureExtractor} sees in pictures. Disposing it frees the array. */
export interface Features extends Disposable {
  /** f32 [count, tokens, channels]. */
  readonly array: DeviceArray;
  /** Rows of a picture: patches, say, or 1. */
  readonly tokens: number;
  /** Numbers of a row. */
  readonly channels: number;
}

/** Features in an array, which is theirs from then on. */
export function featuresOf(
  array: DeviceArray,
  { tokens, channels }: Pick<Features, "tokens" | "channels">,
): Features {
  return { array, tokens, channels, [Symbol.dispose]: () => array[Symbol.dispose]() };
}

/** What describes pictures by rows of numbers that can be compared. */
export interface FeatureExtractor {
  /** Name in records and errors. */
  readonly name: string;
  /** As for a {@linkcode Verifier}. */
  readonly smallestEdge?: number;
  /** As for a {@linkcode Verifier}. */
  readonly flops?: number;
  /** As for a {@linkcode Verifier}. */
  readonly fingerprint?: string;
  /** Describes pictures. */
  features(pictures: Pictures, options?: JudgeOptions): Features | Promise<Features>;
}
