/**
 * The names of the files that a generation writes, known before the first of them is made, so that none of
 * another run is replaced by surprise.
 *
 * @module
 */

import type { Model, ResolvedRequest } from "../../mod.ts";
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

/** Lanes that an image of a variant has after a scale, or in the end. */
export type Lanes = (variant: string, scale?: number) => number;

/** How many lanes of an image there are after a scale, or in the end, as the hooks have planned it. */
export function lanesAfter(
  { hooks, lanes, schedule }: ResolvedRequest,
  model: Model,
  scale: number = Infinity,
): number {
  return hooks.flatMap((hook) => hook.plan?.(schedule, model) ?? [])
    .filter((event) => event.scale <= scale)
    .sort((a, b) => a.scale - b.scale)
    .reduce((left, { lanes: after }) => typeof after === "number" ? after : after(left), lanes);
}

/** File names of a run. */
export class Layout {
  /** Whether there is a sheet with all images. */
  readonly grid: boolean;
  readonly #request: ResolvedRequest;
  readonly #variants: readonly Pick<Variant, "name">[];
  readonly #lanes: Lanes;

  /**
   * @param request What the model is asked for.
   * @param plan The variants, and whether a grid is wanted.
   * @param lanes How many pictures of an image there are, where not all variants have one.
   * @throws {UsageError} If there are too many images for the grid that is wanted.
   */
  constructor(
    request: ResolvedRequest,
    { variants, grid }: Pick<GenerationPlan, "grid"> & {
      readonly variants: readonly Pick<Variant, "name">[];
    },
    lanes: Lanes = () => 1,
  ) {
    this.#request = request;
    this.#variants = variants;
    this.#lanes = lanes;
    this.grid = grid ?? (this.cells > 1 && this.cells <= GRID_IMAGES);
    if (!this.grid || this.cells <= MAX_GRID_IMAGES) return;
    throw new UsageError(
      `Option --grid must be for at most ${MAX_GRID_IMAGES} images: current number is ${this.cells}`,
    );
  }

  /** Pictures of all variants. */
  get cells(): number {
    const kept = this.#variants.reduce((sum, { name }) => sum + this.pictures(name), 0);
    return this.#request.labels.length * kept;
  }

  /** Pictures of an image: one for each lane that is left in the end, or after a scale. */
  pictures(variant: string, scale?: number): number {
    return this.#lanes(variant, scale);
  }

  /**
   * `000_red-torus.png`, with the variant's name where there are several, the scale's number for a preview,
   * and a number where there are several pictures of an image.
   */
  file(variant: string, index: number, { scale, picture = 0 }: {
    readonly scale?: number | undefined;
    /** Which of the pictures of the image. */
    readonly picture?: number;
  } = {}): string {
    const { labels } = this.#request;
    const parts = [numberedName(index, labels.length, labels[index]!.name)];
    if (this.#variants.length > 1) parts.push(slug(variant));
    if (scale !== undefined) parts.push(`scale-${scale}`);
    if (this.pictures(variant, scale) > 1) parts.push(String(picture));
    return `${parts.join("_")}.png`;
  }

  /** The previews of an image. */
  previews(variant: string, index: number): string[] {
    return [...this.#request.previews].flatMap((scale) => this.#files(variant, index, scale));
  }

  /** All pictures of an image, or its previews after a scale. */
  #files(variant: string, index: number, scale?: number): string[] {
    return Array.from(
      { length: this.pictures(variant, scale) },
      (_, picture) => this.file(variant, index, { scale, picture }),
    );
  }

  /** All files but the record. */
  files(): string[] {
    const images = this.#variants.flatMap(({ name }) => {
      return this.#request.labels.flatMap((_, index) => [
        ...this.#files(name, index),
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
