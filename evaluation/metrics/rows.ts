/**
 * Rows of numbers, one for each picture: what networks say of pictures and what metrics are made of. Which
 * network said them is left to `networks/`, what they are worth to the metrics.
 *
 * @module
 */

/** A row of numbers for each picture, as a network gives them: features, logits, probabilities. */
export interface Rows {
  /** f32 [count, dimensions], row after row. */
  readonly values: Float32Array;
  /** Rows: pictures. */
  readonly count: number;
  /** Numbers of a row. */
  readonly dimensions: number;
}
