/**
 * The names of the files that a generation writes, known before the first of them is made, so that none of
 * another run is replaced by surprise.
 *
 * @module
 */

import type { ResolvedRequest } from "../../mod.ts";
import { slug } from "../output/files.ts";
import type { Variant } from "./run_record.ts";

/** File names of a run. */
export class Layout {
  readonly #request: ResolvedRequest;
  readonly #variants: readonly Variant[];
  readonly #digits: number;

  constructor(request: ResolvedRequest, variants: readonly Variant[]) {
    this.#request = request;
    this.#variants = variants;
    this.#digits = Math.max(3, String(request.labels.length - 1).length);
  }

  /** Images of each variant. */
  get images(): number {
    return this.#request.labels.length;
  }

  /** Scales with a preview. */
  get previews(): ReadonlySet<number> {
    return this.#request.previews;
  }

  /**
   * `000_red-torus.png`, with the variant's name where there are several, and the scale's number for a
   * preview.
   */
  file(variant: string, index: number, scale?: number): string {
    const parts = [String(index).padStart(this.#digits, "0"), slug(this.#request.labels[index]!.name)];
    if (this.#variants.length > 1) parts.push(slug(variant));
    if (scale !== undefined) parts.push(`scale-${scale}`);
    return `${parts.join("_")}.png`;
  }

  /** All of them. */
  files(): string[] {
    return this.#variants.flatMap(({ name }) =>
      Array.from({ length: this.images }, (_, index) => [
        this.file(name, index),
        ...[...this.previews].map((scale) => this.file(name, index, scale)),
      ]).flat()
    );
  }
}
