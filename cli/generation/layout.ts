/**
 * The names of the files that a generation writes, known before the first of them is made, so that none of
 * another run is replaced by surprise.
 *
 * @module
 */

import type { ResolvedRequest } from "../../mod.ts";
import { UsageError } from "../io.ts";
import { GRID_IMAGES, MAX_GRID_IMAGES } from "../options/generate_options.ts";
import { numberedName, slug } from "../output/file_name.ts";
import { REGION_FILE, SOURCE_FILE } from "./edit_record.ts";
import type { GenerationPlan } from "./plan.ts";
import type { Variant } from "./run_record.ts";

/** The record of the run. */
export const RECORD_FILE = "run.json";
/** The sheet with all images. */
export const GRID_FILE = "grid.png";

/** File names of a run. */
export class Layout {
  /** Whether there is a sheet with all images. */
  readonly grid: boolean;
  readonly #request: ResolvedRequest;
  readonly #variants: readonly Variant[];

  /**
   * @param request What the model is asked for.
   * @param plan The variants, and whether a grid is wanted.
   * @throws {UsageError} If there are too many images for the grid that is wanted.
   */
  constructor(request: ResolvedRequest, { variants, grid }: Pick<GenerationPlan, "variants" | "grid">) {
    this.#request = request;
    this.#variants = variants;
    this.grid = grid ?? (this.cells > 1 && this.cells <= GRID_IMAGES);
    if (!this.grid || this.cells <= MAX_GRID_IMAGES) return;
    throw new UsageError(
      `Option --grid must be for at most ${MAX_GRID_IMAGES} images: current number is ${this.cells}`,
    );
  }

  /** Images of all variants. */
  get cells(): number {
    return this.#request.labels.length * this.#variants.length;
  }

  /**
   * `000_red-torus.png`, with the variant's name where there are several, and the scale's number for a
   * preview.
   */
  file(variant: string, index: number, scale?: number): string {
    const { labels } = this.#request;
    const parts = [numberedName(index, labels.length, labels[index]!.name)];
    if (this.#variants.length > 1) parts.push(slug(variant));
    if (scale !== undefined) parts.push(`scale-${scale}`);
    return `${parts.join("_")}.png`;
  }

  /** The previews of an image. */
  previews(variant: string, index: number): string[] {
    return [...this.#request.previews].map((scale) => this.file(variant, index, scale));
  }

  /** All files but the record. */
  files(): string[] {
    const images = this.#variants.flatMap(({ name }) => {
      return this.#request.labels.flatMap((_, index) => [
        this.file(name, index),
        ...this.previews(name, index),
      ]);
    });
    return [
      ...images,
      ...(this.#request.edit === undefined ? [] : [SOURCE_FILE, REGION_FILE]),
      ...(this.grid ? [GRID_FILE] : []),
    ];
  }
}
