/**
 * What is settled about a request before it runs: labels, seed, and how tokens are drawn. A hook may read it
 * on every scale; how a person's request becomes this is left to `request.ts`.
 *
 * @module
 */

import type { Seed } from "../kernels/exact/threefry.ts";
import type { ResolvedLabel } from "../models/label.ts";
import type { ScheduleSettings } from "../models/schedule.ts";

/** The settings of a request, each with its value. */
export interface SamplingSettings extends ScheduleSettings {
  /** One label per image. */
  readonly labels: readonly ResolvedLabel[];
  /** One number per image, by which the random numbers know it. */
  readonly indices: readonly number[];
  /** The seed as given. */
  readonly seed: number | bigint;
  /** The seed as the kernels take it. */
  readonly seedWords: Seed;
  /** Whether vectors of tokens are mixed. */
  readonly moreSmooth: boolean;
  /** Images that run together. */
  readonly batch: number;
  /** Lanes that each image starts with. */
  readonly lanes: number;
  /** Ends the generation. */
  readonly signal: AbortSignal | undefined;
}
