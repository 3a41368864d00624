/**
 * The numbers of a gallery, as `results.json` in its folder holds them.
 *
 * @module
 */

import type { GalleryEntry } from "./entry.ts";
import type { PairedEffect } from "./paired_effect.ts";

/** What a method has come to on one model. */
export interface MeasuredModel {
  /** Why it cannot paint with the model. */
  readonly refused?: string;
  /** What tells the tokens of its pairs from others, one for each picture. */
  readonly tokens?: readonly string[];
  /** What it makes of pictures. */
  readonly effect?: PairedEffect;
}

/** A method with its numbers. */
export interface MeasuredEntry extends Omit<GalleryEntry, "hooks"> {
  /** By the names of models. */
  readonly models: Readonly<Record<string, MeasuredModel>>;
}

/** All numbers of a gallery. */
export interface GalleryResults {
  /** What the file is. */
  readonly format: "varscale-gallery";
  /** Version of its layout. */
  readonly version: 1;
  /** Subjects of each model that were painted. */
  readonly subjects: number | "all";
  /** The methods, in the order in which they are shown. */
  readonly entries: readonly MeasuredEntry[];
}
