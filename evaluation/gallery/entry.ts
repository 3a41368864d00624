/**
 * What a page of the gallery is about: a method, what it does, how it is called, what its paper says of it,
 * and how it paints. Measuring it, and writing the page, is left to others.
 *
 * @module
 */

import type { Model } from "../../models/mod.ts";
import type { ScaleHook } from "../../sampler/mod.ts";

/** A method as the gallery shows it. */
export interface GalleryEntry {
  /** Name on the command line, and of its files. */
  readonly name: string;
  /** What people call it. */
  readonly title: string;
  /** What it does, in two lines or so. */
  readonly what: string;
  /** The command that paints with it, after `varscale generate`. */
  readonly command: string;
  /** Where it is from, and what is printed there. */
  readonly paper?: GalleryPaper;
  /** Where more is said, from the folder of the pages. */
  readonly more?: string;
  /**
   * Its hooks for a model, of its default settings.
   *
   * @throws {RangeError} If the model cannot be painted with so; the message is shown instead of numbers.
   */
  hooks(model: Model): readonly ScaleHook[];
}

/** What a paper says of a method. */
export interface GalleryPaper {
  /** Title or authors, and where it is. */
  readonly source: string;
  /** What it prints, with the model that it is about. */
  readonly figure: string;
}
