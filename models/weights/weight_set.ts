/**
 * The tensors a model is built from, by name: every tensor that a graph or a kernel uses is taken here, with
 * its shape asserted, so that in the end nothing is missing and nothing is left over.
 *
 * @module
 */

import { ModelFileError } from "../model_file_error.ts";

/** Name, type and shape of a stored tensor. */
export interface StoredTensor {
  /** Shape. */
  readonly shape: readonly number[];
  /** Element type by safetensors' name. */
  readonly dtype: string;
}

/**
 * A set of named tensors in one file, of which a model takes what it needs.
 *
 * @example
 * ```ts
 * import { WeightSet } from "./weight_set.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const tensors = new Map([["bias", { shape: [8], dtype: "F32" }]]);
 * const weights = new WeightSet("vae.pth", tensors, (name) => `vae.${name}`);
 * assertEquals(weights.take("bias", [-1]), [8]);
 * assertThrows(() => weights.take("bias", [4]), Error, "expected [4], found [8]");
 * ```
 */
export class WeightSet {
  /** Path or URL for messages. */
  readonly file: string;
  readonly #tensors: ReadonlyMap<string, StoredTensor>;
  readonly #nameInFile: (name: string) => string;
  readonly #taken = new Set<string>();

  /**
   * Makes a set of which nothing is taken.
   *
   * @param file Path or URL for messages.
   * @param tensors The tensors, by the names that they have in the model.
   * @param nameInFile The name in the file of each of them, and of one that is missing; the same by default.
   */
  constructor(
    file: string,
    tensors: ReadonlyMap<string, StoredTensor>,
    nameInFile: (name: string) => string = (name) => name,
  ) {
    this.file = file;
    this.#tensors = tensors;
    this.#nameInFile = nameInFile;
  }

  /** Whether there is a tensor of this name. */
  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /**
   * Shape of a tensor, which counts as used from now on.
   *
   * @param expected The shape it must have; -1 admits any size.
   * @throws {ModelFileError} If it is missing or of another shape.
   */
  take(name: string, expected: readonly number[]): readonly number[] {
    const tensor = this.#tensors.get(name);
    const wanted = `[${expected.map((size) => size === -1 ? "any" : size).join(", ")}]`;
    if (tensor === undefined) {
      throw new ModelFileError("Cannot find a tensor of the model", {
        file: this.file,
        tensor: this.fullName(name),
        expected: wanted,
      });
    }
    const { shape } = tensor;
    if (shape.length !== expected.length || expected.some((size, i) => size !== -1 && size !== shape[i])) {
      throw new ModelFileError("Cannot use a tensor of the model", {
        file: this.file,
        tensor: this.fullName(name),
        expected: wanted,
        found: `[${shape.join(", ")}]`,
      });
    }
    this.#taken.add(name);
    return shape;
  }

  /** How many consecutive numbers from 0 on make `name(number)` a prefix of some tensor. */
  count(name: (index: number) => string): number {
    let index = 0;
    while (this.hasAny(name(index))) index++;
    return index;
  }

  /** Whether any tensor's name starts with `prefix`. */
  hasAny(prefix: string): boolean {
    return this.#tensors.keys().some((name) => name.startsWith(prefix));
  }

  /** Names that were taken, in the order of the file. */
  taken(): string[] {
    return [...this.#tensors.keys()].filter((name) => this.#taken.has(name));
  }

  /** Full name of a tensor in the file. */
  fullName(name: string): string {
    return this.#nameInFile(name);
  }

  /**
   * Checks that every tensor was taken, except those whose names match `ignored`.
   *
   * @throws {ModelFileError} Naming the first ones that are left over.
   */
  requireAllTaken(ignored: RegExp): void {
    const rest = [...this.#tensors.keys()].filter((name) => !this.#taken.has(name) && !ignored.test(name));
    if (rest.length === 0) return;
    const shown = rest.slice(0, 3).map((name) => `"${this.fullName(name)}"`).join(", ");
    throw new ModelFileError("Cannot build the model as it has no place for some tensors", {
      file: this.file,
      found: rest.length > 3 ? `${shown} and ${rest.length - 3} more` : shown,
    });
  }
}
