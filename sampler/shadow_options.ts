/**
 * What a hook asks of a generation beside that of its batch: which positions take the embeddings of others.
 * Running it is left to `shadows.ts`.
 *
 * @module
 */

import type { MapSize } from "../models/schedule.ts";

/** Options of a shadow. */
export interface ShadowOptions {
  /**
   * For a scale that the shadow goes through, the position whose embedding each position takes, with the
   * place that the other has: [lanes, positions]. `undefined` moves nothing, as without the option.
   */
  readonly sources?: (scale: ShadowScale) => Uint32Array | undefined;
  /**
   * Goes through all scales before once more, with other sources of each if it is given other ones; without
   * it, the shadow goes on from where it was, and a scale keeps the sources that it was gone through with.
   */
  readonly fresh?: boolean;
}

/** A scale that a shadow goes through. */
export interface ShadowScale extends MapSize {
  /** Index of the scale, 0-based. */
  readonly scale: number;
  /** Number of lanes. */
  readonly lanes: number;
}
