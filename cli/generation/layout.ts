/**
 * The names of the files that a generation writes, known before the first of them is made, so that none of
 * another run is replaced by surprise.
 *
 * @module
 */

import type { Model, PngOptions, ResolvedRequest } from "../../mod.ts";
import { UsageError } from "../io.ts";
import { GRID_IMAGES, MAX_GRID_IMAGES } from "../options/generate_options.ts";
import { numberedName, slug } from "../output/file_name.ts";
import { REGION_FILE, SOURCE_FILE } from "./edit_record.ts";
import type { GenerationPlan } from "./plan.ts";
import type { Variant, WantedPicture } from "./run_record.ts";

/** The record of the run. */
export const RECORD_FILE = "run.json";
/** The sheet with all images. */
export const GRID_FILE = "grid.png";
/** How sheets are written: nothing is compared with their bytes, and whoever looks waits for them. */
export const SHEET: PngOptions = { filters: "paeth" };

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
  readonly #only: WantedPicture | undefined;
  readonly #stepwise: boolean;
  readonly #lanes: Lanes;
  /** Whether no two images have the same number. */
  readonly #distinct: boolean;

  /**
   * @param request What the model is asked for.
   * @param plan The variants, and what is wanted of their pictures.
   * @param lanes How many pictures of an image there are, where not all variants have one.
   * @throws {UsageError} If there are too many images for the grid that is wanted.
   */
  constructor(
    request: ResolvedRequest,
    { variants, grid, only, stepwise = false }:
      & Pick<GenerationPlan, "grid" | "only">
      & Partial<Pick<GenerationPlan, "stepwise">>
      & { readonly variants: readonly Pick<Variant, "name">[] },
    lanes: Lanes = () => 1,
  ) {
    this.#request = request;
    this.#variants = variants;
    this.#only = only;
    this.#stepwise = stepwise;
    this.#lanes = lanes;
    this.#distinct = new Set(request.indices).size === request.indices.length;
    if (only !== undefined) this.#requireThere(only);
    this.grid = grid ?? (this.cells > 1 && this.cells <= GRID_IMAGES);
    if (!this.grid || this.cells <= MAX_GRID_IMAGES) return;
    throw new UsageError(
      `Option --grid must be for at most ${MAX_GRID_IMAGES} images: current number is ${this.cells}`,
    );
  }

  #requireThere({ index, picture }: WantedPicture): void {
    const { indices } = this.#request;
    const there = Math.min(...this.#variants.map(({ name }) => this.pictures(name)));
    if (indices.includes(index) && picture >= 0 && picture < there) return;
    throw new UsageError(
      `Cannot make picture ${picture} of image ${index}: there are ${there} of each of ${indices.length} images`,
    );
  }

  /** Pictures of all variants. */
  get cells(): number {
    if (this.#only !== undefined) return this.#variants.length;
    const kept = this.#variants.reduce((sum, { name }) => sum + this.pictures(name), 0);
    return this.#request.labels.length * kept;
  }

  /** Pictures of an image: one for each lane that is left in the end, or after a scale. */
  pictures(variant: string, scale?: number): number {
    return this.#lanes(variant, scale);
  }

  /** Whether a picture of an image is written. */
  wants(place: number, picture: number): boolean {
    const only = this.#only;
    return only === undefined || (this.#request.indices[place] === only.index && picture === only.picture);
  }

  /**
   * `000_red-torus.png`, with the variant's name where there are several, the scale's number for a preview,
   * and a number where there are several pictures of an image.
   */
  file(variant: string, place: number, { scale, picture = 0 }: {
    readonly scale?: number | undefined;
    /** Which of the pictures of the image. */
    readonly picture?: number;
  } = {}): string {
    const parts = this.#parts(variant, place, { scale, picture });
    return `${parts.join("_")}.png`;
  }

  /** The strip of the scales of a picture, `000_red-torus_stepwise.png`; `undefined` if there is none. */
  strip(variant: string, place: number, picture: number): string | undefined {
    if (!this.#stepwise) return undefined;
    return `${[...this.#parts(variant, place, { picture }), "stepwise"].join("_")}.png`;
  }

  #parts(variant: string, place: number, { scale, picture }: {
    readonly scale?: number | undefined;
    readonly picture: number;
  }): string[] {
    const { labels, indices } = this.#request;
    // The number of an image names it, unless several have the same one.
    const number = this.#distinct ? indices[place]! : place;
    const parts = [numberedName(number, labels.length, labels[place]!.name)];
    if (this.#variants.length > 1) parts.push(slug(variant));
    if (scale !== undefined) parts.push(`scale-${scale}`);
    const several = this.pictures(variant, scale) > 1 && (this.#only === undefined || scale !== undefined);
    if (several) parts.push(String(picture));
    return parts;
  }

  /** The previews of an image. */
  previews(variant: string, place: number): string[] {
    return [...this.#request.previews].flatMap((scale) => this.#files(variant, place, scale));
  }

  /** The previews of an image after a scale. */
  #files(variant: string, place: number, scale: number): string[] {
    return Array.from(
      { length: this.pictures(variant, scale) },
      (_, picture) => this.file(variant, place, { scale, picture }),
    );
  }

  /** The finished pictures of an image with their strips. */
  #pictures(variant: string, place: number): string[] {
    return Array.from({ length: this.pictures(variant) }, (_, picture) => picture)
      .filter((picture) => this.wants(place, picture))
      .flatMap((
        picture,
      ) => [this.file(variant, place, { picture }), this.strip(variant, place, picture) ?? []])
      .flat();
  }

  /** All files but the record. */
  files(): string[] {
    const images = this.#variants.flatMap(({ name }) => {
      return this.#request.labels.flatMap((_, place) => [
        ...this.#pictures(name, place),
        ...this.previews(name, place),
      ]);
    });
    return [
      ...images,
      ...(this.#request.edit === undefined ? [] : [SOURCE_FILE, REGION_FILE]),
      ...(this.grid ? [GRID_FILE] : []),
    ];
  }
}
