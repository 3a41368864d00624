/**
 * Pictures of searches, each in a file of its own, beside the images or wherever the option says.
 *
 * @module
 */

import { basename, dirname, extname, resolve } from "node:path";
import { type GeneratedImage, type ResolvedLabel, type SearchTree, searchTree } from "../../mod.ts";
import { UsageError } from "../io.ts";
import { numberedName } from "../output/file_name.ts";
import type { OutputFolder } from "../output/output_folder.ts";
import { exists, requireFolder, writeWhole } from "../output/whole_file.ts";
import { SHEET } from "./layout.ts";
import { withRecipe } from "./recipe.ts";

/** Files with a picture of the search for each image. */
export class TreeFiles {
  /** The hook that watches. */
  readonly hook: SearchTree = searchTree();
  readonly #path: string;
  readonly #folder: OutputFolder;
  readonly #output: string;
  readonly #labels: readonly ResolvedLabel[];
  readonly #written = new Set<number>();

  /** @param path File of the only picture; those of several have numbers and names in theirs. */
  constructor(path: string, facts: {
    readonly folder: OutputFolder;
    readonly output: string;
    readonly labels: readonly ResolvedLabel[];
  }) {
    this.#path = path;
    this.#folder = facts.folder;
    this.#output = facts.output;
    this.#labels = facts.labels;
  }

  /**
   * Refuses what cannot be written, before there is anything to write.
   *
   * @throws {UsageError} If a file is there that may not be replaced, or its folder cannot be made.
   */
  async refuse(overwrite: boolean): Promise<void> {
    if (!/\.png$/i.test(this.#path)) {
      throw new UsageError(`Option --tree must name a .png file: current value is "${this.#path}"`);
    }
    await requireFolder(dirname(this.#path));
    if (overwrite) return;
    for (const place of this.#labels.keys()) {
      const file = this.#file(place);
      if (await exists(file)) {
        throw new UsageError(`Cannot write ${file}: it exists; choose another --tree, or --overwrite`);
      }
    }
  }

  /**
   * Writes the picture of the search for an image, with the recipe of that; of several pictures of it, the
   * first one tells.
   */
  async write(image: GeneratedImage, recipe: string | undefined): Promise<void> {
    if (this.#written.has(image.place)) return;
    this.#written.add(image.place);
    const file = this.#file(image.place);
    const png = withRecipe(this.hook.image(image).png(SHEET), recipe);
    if (resolve(dirname(file)) === resolve(this.#output)) {
      return await this.#folder.write(basename(file), png);
    }
    await Deno.mkdir(dirname(file), { recursive: true });
    await writeWhole(file, png);
  }

  /** What a person is told of the files. */
  describe(): string {
    return this.#labels.length === 1 ? this.#path : `${this.#stem}_*.png`;
  }

  get #stem(): string {
    return this.#path.slice(0, this.#path.length - extname(this.#path).length);
  }

  #file(place: number): string {
    const { length } = this.#labels;
    if (length === 1) return this.#path;
    return `${this.#stem}_${numberedName(place, length, this.#labels[place]!.name)}.png`;
  }
}
