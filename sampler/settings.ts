/**
 * What is settled about a request before it runs: classes, seed, and how tokens are drawn. A hook may read it on every scale; how a
 * person's request becomes this is left to `request.ts`.
 *
 * @module
 */

import type { Seed } from "../kernels/threefry.ts";

/** A class with its name, if it has one. */
export interface ResolvedLabel {
  /** Class number, or `null` for the null class. */
  readonly id: number | null;
  /** Name of the class, or its number as text. */
  readonly name: string;
}

/** The settings of a request, each with its value. */
export interface SamplingSettings {
  /** One label per image. */
  readonly labels: readonly ResolvedLabel[];
  /** One number per image, by which the random numbers know it. */
  readonly indices: readonly number[];
  /** The seed as given. */
  readonly seed: number | bigint;
  /** The seed as the kernels take it. */
  readonly seedWords: Seed;
  /** Strength of guidance. */
  readonly cfg: number;
  /** 0 is off. */
  readonly topK: number;
  /** 0 is off. */
  readonly topP: number;
  /** 0 is off. */
  readonly minP: number;
  /** 0 takes the likeliest token. */
  readonly temperature: number;
  /** Whether code vectors are mixed. */
  readonly moreSmooth: boolean;
  /** Images that run together. */
  readonly batch: number;
  /** Lanes that each image starts with. */
  readonly lanes: number;
  /** Ends the generation. */
  readonly signal: AbortSignal | undefined;
}
