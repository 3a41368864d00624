/**
 * A model folder of which optional parts are left out, as if their weights were not there: to be loaded or
 * converted without them. Which parts may be left out is left to the families.
 *
 * @module
 */

import type { ByteSource } from "../checkpoint/source.ts";
import { ModelFileError } from "../model_file_error.ts";
import { isWeightFile, type WeightFiles } from "../weights/weight_files.ts";
import type { ModelFolder, ModelManifest } from "./model_folder.ts";

/** What is left out of a folder. */
export interface LeftOut {
  /** Parts, by the names of their weights. */
  readonly weights: readonly string[];
  /** Other files that belong to them. */
  readonly files: readonly string[];
}

/**
 * A folder without some of its parts; it owns the folder. The description stays, and with it the sizes of
 * these parts.
 *
 * @example
 * ```ts
 * import { PartialFolder } from "./partial_folder.ts";
 * import { openModelFolder } from "./model_folder.ts";
 * import { DEMO_MODEL } from "../load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const left = { weights: ["tokenizer"], files: [] };
 * using folder = new PartialFolder(await openModelFolder(DEMO_MODEL), left);
 * assertEquals([folder.hasWeights("transformer"), folder.hasWeights("tokenizer")], [true, false]);
 * ```
 */
export class PartialFolder implements ModelFolder {
  readonly #folder: ModelFolder;
  readonly #left: LeftOut;

  /** Leaves parts out of a folder. */
  constructor(folder: ModelFolder, left: LeftOut) {
    this.#folder = folder;
    this.#left = left;
  }

  /** Path or URL. */
  get location(): string {
    return this.#folder.location;
  }

  /** What the whole folder holds. */
  get manifest(): ModelManifest {
    return this.#folder.manifest;
  }

  /** What tells the rest from others. */
  get fingerprints(): Readonly<Record<string, string>> {
    const own = Object.entries(this.#folder.fingerprints).filter(([name]) => !this.#isLeftOut(name));
    return Object.fromEntries(own);
  }

  /** Whether there is a file of this name that is not left out. */
  has(name: string): boolean {
    return !this.#isLeftOut(name) && this.#folder.has(name);
  }

  /** Reads a file. */
  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#folder.read(this.#require(name));
  }

  /** Opens a file. */
  async open(name: string): Promise<ByteSource> {
    return await this.#folder.open(this.#require(name));
  }

  /** Whether there are weights of a part. */
  hasWeights(part: string): boolean {
    return !this.#left.weights.includes(part) && this.#folder.hasWeights(part);
  }

  /** Opens the weights of a part. */
  async weights(part: string): Promise<WeightFiles> {
    return await this.#folder.weights(this.#require(part));
  }

  /** Lists the weights of a part. */
  async tensors(part: string): Promise<WeightFiles["tensors"]> {
    return await this.#folder.tensors(this.#require(part));
  }

  #require(name: string): string {
    if (!this.#isLeftOut(name)) return name;
    throw new ModelFileError("Cannot use a part of the model that was left out", {
      file: `${this.location}/${name}`,
    });
  }

  #isLeftOut(name: string): boolean {
    return isLeftOut(name, this.#left);
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]();
  }
}

/** Whether a file, or what a fingerprint is of, is left out. */
export function isLeftOut(name: string, { weights, files }: LeftOut): boolean {
  // In a fingerprint there may stand which set of weights it is, and the type that they are converted to.
  const file = name.replace(/ as \w+$/, "").replace(/ of ".*"$/, "");
  return files.includes(file) || weights.some((part) => part === file || isWeightFile(file, part));
}
