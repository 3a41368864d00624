/**
 * From pixels as they are saved to what a network takes: resized to the byte as Pillow does it, cut, and laid
 * out as planes around a mean.
 *
 * @module
 */

import type { PictureSize } from "../schedule.ts";

/** How a network wants its pictures. */
export interface Preprocessing {
  /** Size of its input. */
  readonly size: PictureSize;
  /** Pillow's filter; with `"none"` pictures must have the size. */
  readonly resize: "bilinear" | "bicubic" | "lanczos" | "none";
  /**
   * `"squash"`: both edges become the input's, whatever the shape; `"crop"`: the shorter edge does, and the
   * middle is cut out.
   */
  readonly fit: "squash" | "crop";
  /** Taken from red, green and blue, which go from 0 to 1. */
  readonly mean: readonly [red: number, green: number, blue: number];
  /** What is left is divided by it. */
  readonly std: readonly [red: number, green: number, blue: number];
}
