/**
 * The recipe of a picture: what `run.json` says of it, without what another machine, day, batch or process
 * would change, as a text in the PNG file itself. It is made and read here; repeating it is left to
 * `repeat.ts`.
 *
 * @module
 */

import { basename } from "node:path";
import {
  type GeneratedImage,
  type Model,
  readPngText,
  type ResolvedLabel,
  type ResolvedRequest,
  type ScaleHook,
  withPngText,
} from "../../mod.ts";
import { type DeviceRecord, deviceRecord, mapPlace, type ModelPlace } from "../options/model_options.ts";
import type { JudgeRecord, JudgeRecords } from "../options/open_search.ts";
import type { OwnHook } from "../options/own_hooks.ts";
import { withoutHome } from "../options/place.ts";
import { sha256 } from "../output/sha256.ts";
import { VERSION } from "../version.ts";
import { type EditRecord, type GivenEdit, recordEdit, REGION_FILE, SOURCE_FILE } from "./edit_record.ts";
import { modelRecord } from "./model_record.ts";
import {
  type Outcome,
  outcomeOf,
  type RunRecord,
  type VariantRecord,
  variantRecord,
  type WantedPicture,
} from "./run_record.ts";
import { type SamplingRecord, samplingRecord } from "./sampling_record.ts";

/** Keyword of the text. */
export const RECIPE_KEYWORD = "varscale";
const FORMAT = "varscale-recipe";
/** Version of the layout. */
const RECIPE_VERSION = 1;
/** Bytes of a recipe at most: Pillow opens no PNG file with a larger text. */
const RECIPE_BYTES = 2 ** 20;

/** What was asked for, with nothing left open. */
export interface RecipeRequest extends SamplingRecord {
  /** A label for each image: of the picture, and of those without which it would be another one. */
  readonly labels: readonly ResolvedLabel[];
  /** The numbers by which the random numbers know them. */
  readonly indices: readonly number[];
  /** Seed; beyond 2^53 as decimal text. */
  readonly seed: number | string;
  /** Lanes that ran together, where the images of a batch depend on each other. */
  readonly batch?: number;
  /** Which picture it is, where the request makes several. */
  readonly only?: WantedPicture;
  /** What was edited, without paths: the source lies beside the picture. */
  readonly edit?: EditRecord;
  /** Whether features of prompts came from a file. */
  readonly featuresGiven?: boolean;
}

/** The recipe of a picture, or of a sheet of pictures. */
export interface Recipe {
  /** Marks the text as ours. */
  readonly format: typeof FORMAT;
  /** Version of the layout. */
  readonly version: number;
  /** What made it. */
  readonly versions: Pick<RunRecord["versions"], "varscale">;
  /** The model and its weights; `~` stands for a home folder in its place. */
  readonly model: RunRecord["model"];
  /** Where it ran, without what the machine is called. */
  readonly device: Omit<DeviceRecord, "name">;
  /** What was asked for. */
  readonly request: RecipeRequest;
  /** How: the picture's variant; of a sheet all of them. */
  readonly variants: readonly VariantRecord[];
  /** How pictures are laid out on it, of a sheet. */
  readonly grid?: { readonly columns: number };
  /** What came out. */
  readonly images: readonly Outcome[];
}

/** What all recipes of a request have in common. */
export interface RecipeFacts {
  readonly place: ModelPlace;
  /** What the model was asked for. */
  readonly request: ResolvedRequest;
  /** The ways in which it makes its images. */
  readonly variants: readonly {
    readonly name: string;
    readonly hooks: readonly ScaleHook[];
    readonly own: readonly OwnHook[];
    readonly judges: JudgeRecords;
  }[];
  /** What the command line said of an edit. */
  readonly edit?: GivenEdit | undefined;
}

/** A picture, and with whom it was made. */
export interface RecipeSubject {
  readonly image: Pick<GeneratedImage, "index" | "label">;
  readonly outcome: Outcome;
  /** Which of the pictures of its image, where it has several. */
  readonly picture?: number | undefined;
  /** The images of its batch, itself among them. */
  readonly batch: readonly Pick<GeneratedImage, "index" | "label">[];
}

/** What stays the same from one picture to the next. */
interface Common {
  readonly facts: Omit<Recipe, "request" | "variants" | "images">;
  readonly request: Omit<RecipeRequest, "labels" | "indices">;
  readonly variants: ReadonlyMap<string, { readonly record: VariantRecord; readonly coupled: boolean }>;
  readonly lanes: number;
}

/** Writes the recipes of what one request makes. */
export class Recipes {
  readonly #common: Common;
  readonly #resolved: ResolvedRequest;

  private constructor(common: Common, resolved: ResolvedRequest) {
    this.#common = common;
    this.#resolved = resolved;
  }

  /** Notes what all of them have in common. */
  static async of(model: Model, facts: RecipeFacts): Promise<Recipes> {
    const { place, request, variants, edit } = facts;
    const { name: _machine, ...device } = deviceRecord(model);
    const scales = request.schedule.scales.length;
    const common: Common = {
      facts: {
        format: FORMAT,
        version: RECIPE_VERSION,
        versions: { varscale: VERSION },
        model: modelRecord(model, mapPlace(place, withoutHome)),
        device,
      },
      request: {
        seed: typeof request.seed === "bigint" ? String(request.seed) : request.seed,
        ...samplingRecord(request),
        ...(request.edit === undefined ? {} : { edit: await recordEdit(request.edit, withoutPaths(edit!)) }),
        ...(request.textFeatures === undefined ? {} : { featuresGiven: true }),
      },
      variants: new Map(variants.map(({ name, hooks, own, judges }) => {
        const facts = { hooks, own: own.map(withoutPath), scales, judges: placesWithoutHome(judges) };
        const record = variantRecord(name, model, facts);
        return [name, { record, coupled: hooks.some(({ coupled }) => coupled) }];
      })),
      lanes: request.lanes,
    };
    return new Recipes(common, request);
  }

  /** The recipe of a picture; `undefined` if it is longer than others can read. */
  picture({ image, outcome, picture, batch }: RecipeSubject): string | undefined {
    const { facts, request, variants, lanes } = this.#common;
    const { record, coupled } = variants.get(outcome.variant)!;
    const together = coupled ? batch : [image];
    const alone = together.length === 1 && picture === undefined;
    return write({
      ...facts,
      request: {
        labels: together.map(({ label }) => label),
        indices: together.map(({ index }) => index),
        ...request,
        ...(coupled ? { batch: together.length * lanes } : {}),
        ...(alone ? {} : { only: { index: outcome.index, picture: picture ?? 0 } }),
      },
      variants: [record],
      images: [outcome],
    });
  }

  /** The recipe of a sheet with all pictures; `undefined` if it is longer than others can read. */
  sheet(images: readonly Outcome[], { columns }: { readonly columns: number }): string | undefined {
    const { facts, request, variants } = this.#common;
    const { labels, indices, batch } = this.#resolved;
    const all = [...variants.values()];
    return write({
      ...facts,
      request: {
        labels,
        indices,
        ...request,
        ...(all.some(({ coupled }) => coupled) ? { batch } : {}),
      },
      variants: all.map(({ record }) => record),
      grid: { columns },
      images,
    });
  }
}

/** A PNG file with a recipe, if there is one. */
export function withRecipe(
  png: Uint8Array<ArrayBuffer>,
  recipe: string | undefined,
): Uint8Array<ArrayBuffer> {
  return recipe === undefined ? png : withPngText(png, RECIPE_KEYWORD, recipe);
}

/** A picture as a file, and what records say of it. */
export interface PictureFile {
  readonly png: Uint8Array<ArrayBuffer>;
  readonly outcome: Outcome;
  /** What is in the file. */
  readonly recipe?: string;
  /** Hash of the file. */
  readonly sha256: string;
  /** Hash of the file without its recipe, where it has one. */
  readonly pixels?: string;
}

/** Makes the file of a picture, with its recipe if somebody writes them and it is not too long. */
export async function pictureFile(
  image: GeneratedImage,
  { recipes, variant, ...subject }: Pick<RecipeSubject, "picture" | "batch"> & {
    readonly recipes: Recipes | undefined;
    readonly variant: string;
  },
): Promise<PictureFile> {
  const bare = image.png();
  const pixels = await sha256(bare);
  const outcome = await outcomeOf(image, { variant, pixels });
  const recipe = recipes?.picture({ image, outcome, ...subject });
  if (recipe === undefined) return { png: bare, outcome, sha256: pixels };
  const png = withRecipe(bare, recipe);
  return { png, outcome, recipe, sha256: await sha256(png), pixels };
}

/**
 * The recipe that a PNG file carries; `undefined` if it has none, whatever else it has.
 *
 * @throws {TypeError} If it is no PNG file, or what it has for a recipe is damaged, too long, of another
 * version or not complete.
 */
export function readRecipe(png: Uint8Array): Recipe | undefined {
  const text = readPngText(png, RECIPE_KEYWORD, { limit: RECIPE_BYTES });
  if (text === undefined) return undefined;
  let recipe: Partial<Recipe> | null;
  try {
    recipe = JSON.parse(text);
  } catch (cause) {
    throw new TypeError(`Cannot read the recipe of a PNG as it is no JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (recipe?.format !== FORMAT) {
    throw new TypeError(
      `Cannot read the recipe of a PNG as its format must be "${FORMAT}": current value is ${
        JSON.stringify(recipe?.format)
      }`,
    );
  }
  if (recipe.version !== RECIPE_VERSION) {
    throw new TypeError(
      `Cannot read the recipe of a PNG as its version must be ${RECIPE_VERSION}: current value is ${
        JSON.stringify(recipe.version)
      }`,
    );
  }
  const missing = missingPart(recipe);
  if (missing !== undefined) {
    throw new TypeError(`Cannot read the recipe of a PNG as ${missing} is missing in it, or of another kind`);
  }
  return recipe as Recipe;
}

/** Names what a recipe lacks. Whether the values make sense is for those to say who get them. */
function missingPart(
  { versions, model, device, request, variants, images }: Partial<Recipe>,
): string | undefined {
  const isObject = (value: unknown): boolean =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  const areObjects = (value: unknown): boolean =>
    Array.isArray(value) && value.length > 0 && value.every(isObject);
  const isText = (value: unknown): boolean => typeof value === "string";
  const checks: readonly (readonly [string, () => boolean])[] = [
    ["versions", () => isText(versions?.varscale)],
    ["model", () => isObject(model?.place) && isObject(model?.fingerprints)],
    ["device", () => device?.kind === "cpu" || device?.kind === "webgpu"],
    ["request.labels", () => areObjects(request?.labels)],
    [
      "request.indices",
      () => Array.isArray(request?.indices) && request.indices.length === request.labels.length,
    ],
    ["request.seed", () => /^\d+$/.test(String(request?.seed))],
    [
      "request.edit",
      () => request?.edit === undefined || Array.isArray(request.edit.kept) && isText(request.edit.sha256),
    ],
    [
      "variants",
      () =>
        areObjects(variants) && variants!.every(({ name, hooks }) => isText(name) && Array.isArray(hooks)),
    ],
    [
      "images",
      () => areObjects(images) && images!.every(({ tokens, pixels }) => isText(tokens) && isText(pixels)),
    ],
  ];
  return checks.find(([, holds]) => !holds())?.[0];
}

/** A recipe as a text: on one line, and the same for the same facts. */
function write(recipe: Recipe): string | undefined {
  const text = JSON.stringify(recipe, (_, value) => typeof value === "bigint" ? String(value) : value);
  return new TextEncoder().encode(text).length > RECIPE_BYTES ? undefined : text;
}

/** A hook of the reader's own, without the folder of its module. */
function withoutPath({ hook, record }: OwnHook): OwnHook {
  const file = basename(record.file);
  return { hook, record: { ...record, path: file, file } };
}

/** Who judges and describes, with `~` for home folders. */
function placesWithoutHome({ verifier, features, ...others }: JudgeRecords): JudgeRecords {
  const shortened = (judge: JudgeRecord): JudgeRecord => ({ ...judge, place: withoutHome(judge.place) });
  return {
    ...(verifier && { verifier: shortened(verifier) }),
    ...(features && { features: shortened(features) }),
    ...others,
  };
}

/** What the command line said of an edit, with files of its own folder in the place of paths. */
function withoutPaths(given: GivenEdit): GivenEdit {
  return { ...given, image: SOURCE_FILE, mask: given.mask === null ? null : REGION_FILE };
}
