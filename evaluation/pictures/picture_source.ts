/**
 * What a source of pictures is: it knows how many there are, what they should show, and gives them one after
 * the other, so that memory does not grow with their number. What is made of them is left to networks.
 *
 * @module
 */

import type { RgbaImage } from "../../sampler/pictures/image.ts";

/** A picture of a source. */
export interface NamedPicture {
  /** Path within the folder, or `arr_0[17]`. */
  readonly name: string;
  /** Its pixels. */
  readonly image: RgbaImage;
}

/** The run that pictures are of. */
export interface PictureRun {
  /** Name of the model: `"demo"`. */
  readonly model: string;
  /** Pictures that it shall have. */
  readonly planned: number;
}

/** Pictures that can be gone through, any number of times. */
export interface PictureSource {
  /** Path of the folder or archive. */
  readonly place: string;
  /** Number of pictures; at least 1. */
  readonly count: number;
  /** Names of the pictures in their order: numbers in names go by value. */
  readonly names: readonly string[];
  /** SHA-256 in hexadecimal of names and sizes, or of the checksum of an archive's array. */
  readonly fingerprint: string;
  /** Numbers of the classes that the pictures should show, where they are known. */
  readonly labels?: readonly number[];
  /** Names of the classes, where only these are known: those of the folders. */
  readonly groups?: readonly string[];
  /** Prompts that the pictures should show, where they are known. */
  readonly prompts?: readonly string[];
  /** The run that they are of, where they are of one. */
  readonly run?: PictureRun;
  /** What a person should know: `"12 of 384 pictures of the run are missing"`. */
  readonly notes: readonly string[];
  /**
   * Goes through the pictures, in the order of {@linkcode PictureSource.names}.
   *
   * @param options `from` is the first of them, 0 by default; `signal` ends it.
   * @throws {Error} If one cannot be read; it says which.
   */
  pictures(
    options?: { readonly from?: number; readonly signal?: AbortSignal | undefined },
  ): AsyncGenerator<NamedPicture>;
}

/** Options of {@linkcode openPictures}. */
export interface OpenPicturesOptions {
  /** Only the pictures of this variant of a run that has several. */
  readonly variant?: string;
  /** Ends the opening. */
  readonly signal?: AbortSignal | undefined;
}
