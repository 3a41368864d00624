/**
 * The work of a long run, wherever its images go: the model is opened once, and then parts of the images are
 * made in the places that are given. What is printed of the whole, and who asks for which part, is left to
 * the commands.
 *
 * @module
 */

import {
  FAMILIES,
  type GenerateRequest,
  type Model,
  type ModelOutline,
  type ResolvedRequest,
  type ScaleHook,
  type TextFeatures,
} from "../../mod.ts";
import { Recipes } from "../generation/recipe.ts";
import { type Io, say, UsageError } from "../io.ts";
import { load, type ModelPlace, modelPlace, providerAgain } from "../options/model_options.ts";
import { OpenedSearch, requirePlaces } from "../options/open_search.ts";
import { optionName } from "../options/options.ts";
import { type GivenPrompt, readPrompts } from "../options/prompts.ts";
import { asked, checkOutline, checkRequest } from "../options/requests.ts";
import { samplingRequest } from "../options/sampling_options.ts";
import type { SeriesValues, Shard } from "../options/series_options.ts";
import { featuresFor, readFeatures, textsOf } from "../options/text_features.ts";
import { printableLine } from "../output/printable.ts";
import { Progress } from "../output/progress.ts";
import { sha256 } from "../output/sha256.ts";
import { duration } from "../output/units.ts";
import { list, plural } from "../output/words.ts";
import { fillFolder } from "./fill_folder.ts";
import { isBucket } from "./open_place.ts";
import { OpenedModel } from "./opened_model.ts";
import {
  extentDifferences,
  FailureList,
  missingIn,
  recordIn,
  refuseDifferences,
  takeUp,
} from "./series_folder.ts";
import type { SeriesPlace } from "./series_place.ts";
import { extentIn, knownDifferences, type SeriesRecord, type SeriesSettings } from "./series_record.ts";
import {
  eachOf,
  isCoupled,
  knownSettings,
  recordOfSeries,
  requestOf,
  searchFor,
  searchOfSeries,
  settingsOf,
  subjectsOf,
} from "./series_settings.ts";
import { shareOf, wholeSubjects } from "./share.ts";
import type { Cell, Subjects } from "./subjects.ts";

/**
 * Refuses what no model can do.
 *
 * @returns The place for the images.
 * @throws {UsageError} If options are missing or exclude each other.
 */
export function requireConsistent(options: SeriesValues): string {
  const { output, shard, npz, batch, classes, prompts, metadata } = options;
  if (output === undefined) throw new UsageError("Option --output is needed: the folder for the images");
  if (npz && shard !== undefined) {
    throw new UsageError(
      "Options --npz and --shard exclude each other: pack the folder when all parts are done",
    );
  }
  if (npz && isBucket(output)) {
    throw new UsageError(
      "Options --npz and --output s3://… exclude each other: pack a folder that has all images",
    );
  }
  const { noun, each } = eachOf(options);
  if (isCoupled(options) && batch !== undefined && batch !== each) {
    throw new UsageError(
      `Option --batch must be left out, as --bandwidth batch couples all images of a ${noun}: current value is ${batch}`,
    );
  }
  const named = Object.entries({ classes, prompts, metadata }).filter(([, value]) => value !== undefined)
    .map(([name]) => optionName(name));
  if (named.length > 1) throw new UsageError(`Options ${list(named, "and")} exclude each other`);
  if (npz && (prompts ?? metadata) !== undefined) {
    throw new UsageError(
      `Options --npz and ${named[0]} exclude each other: an archive has the images of classes`,
    );
  }
  return output;
}

/**
 * The prompts that the options name, if they name any.
 *
 * @throws {UsageError} If the file is none of prompts, or of nothing else where more is wanted.
 */
export async function givenPrompts(
  { prompts, metadata }: SeriesValues,
  io: Pick<Io, "input" | "signal">,
): Promise<readonly GivenPrompt[] | undefined> {
  const file = prompts ?? metadata;
  if (file === undefined) return undefined;
  const given = await readPrompts(file, io);
  // Of a text, a scorer would know nothing but the prompts.
  const bare = metadata !== undefined && given.some(({ line }) => Object.keys(JSON.parse(line)).length === 1);
  if (!bare) return given;
  throw new UsageError(
    `Option --metadata must name a file that tells more than prompts; use --prompts: current value is "${file}"`,
  );
}

/** A part of the images, made. */
export interface MadeShare {
  /** Images of the part. */
  readonly images: number;
  /** Those of them that were made now. */
  readonly made: number;
  /** What has failed. */
  readonly failures: FailureList;
}

/** Everything about a run that all of its parts have in common. */
interface OpenedSeries {
  readonly options: SeriesValues;
  readonly io: Io;
  readonly place: ModelPlace;
  readonly opened: OpenedModel;
  readonly search: OpenedSearch;
  readonly request: GenerateRequest;
  /** What the first image is asked for, with nothing left open. */
  readonly resolved: ResolvedRequest;
  /** What pictures carry. */
  readonly recipes: Recipes | undefined;
  readonly subjects: Subjects;
}

/** A run whose model is loaded. */
export class SeriesWork implements AsyncDisposable {
  readonly #series: OpenedSeries;
  readonly #resources: AsyncDisposableStack;
  /** What has been told of the place and of the request already. */
  readonly #told = new Set<string>();

  private constructor(series: OpenedSeries, resources: AsyncDisposableStack) {
    this.#series = series;
    this.#resources = resources;
  }

  /**
   * Loads what the options name. Loading a large model takes minutes, so what the place can tell of a run
   * that is another one comes before.
   *
   * @param options Those of the run, which {@linkcode requireConsistent} has seen; the part is left to
   * {@linkcode make}.
   * @param place Opens the place of the first part, when the rest of the command line is known to be right.
   * @throws {UsageError} If the command line is wrong, or the place is that of another run.
   */
  static async open(
    options: SeriesValues,
    place: () => Promise<SeriesPlace>,
    io: Io,
  ): Promise<{ readonly work: SeriesWork; readonly place: SeriesPlace }> {
    await using resources = new AsyncDisposableStack();
    await using locked = new AsyncDisposableStack();
    const model = modelPlace(options) ?? { folder: "demo" };
    const prompts = await givenPrompts(options, io);
    const features = options.textFeatures === undefined
      ? undefined
      : await readFeatures(options.textFeatures);
    await requirePlaces(searchOfSeries(options));
    const first = locked.use(await place());
    const before = await recordBefore(first, options);
    const check = (outline: ModelOutline): void => {
      checkOutline(outline, samplingRequest(options));
      const { extent: now } = subjectsOf(outline, options, prompts);
      if (before === undefined) return;
      refuseDifferences(first, extentDifferences({ before: extentIn(before), now }, isCoupled(options)));
    };
    const loading = { ...options, cpuProvider: providerAgain(options.cpuProvider, before?.device) };
    const opened = resources.use(await OpenedModel.open(() => load(model, loading, io, check)));
    const subjects = subjectsOf(opened.model, options, prompts);
    const plain = plainRequest({ model: opened.model, options, subjects, features });
    const labels = subjects.labelOf(subjects.cells[0]!);
    const search = resources.use(
      await OpenedSearch.open(searchFor(opened.model, options), opened.model, {
        ...{ request: { ...plain, labels }, options, io },
      }),
    );
    const request = { ...plain, hooks: search.hooks };
    const resolved = checkRequest(opened.model, { ...request, labels });
    const recipes = options.recipe === false
      ? undefined
      : await recipesOf(opened.model, { resolved, search, place: model });
    const work = new SeriesWork(
      { options, io, place: model, opened, search, request, resolved, recipes, subjects },
      resources.move(),
    );
    locked.move();
    return { work, place: first };
  }

  /**
   * Makes what a place lacks of a part of the images, or of all of them.
   *
   * @throws {UsageError} If the images that are there were made otherwise.
   */
  async make(place: SeriesPlace, shard: Shard | undefined): Promise<MadeShare> {
    const { options, subjects } = this.#series;
    const record = await this.#record(place);
    const share = shareOf(subjects, shard, isCoupled(options));
    await subjects.begin(place, share);
    const missing = await missingIn(place, subjects, share);
    const failures = await FailureList.begin(place, shard);
    await this.#fill(place, { share, missing, failures, record });
    return { images: share.length, made: missing.length - failures.length, failures };
  }

  /** Unloads the model. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources[Symbol.asyncDispose]();
  }

  /** The record of this go, which from now on is that of the place. */
  async #record(place: SeriesPlace): Promise<SeriesRecord> {
    const { options, io, opened: { model }, search, resolved, subjects } = this.#series;
    // Another process may have begun the run while the model was loaded.
    const before = await recordBefore(place, options);
    const settings = {
      ...settingsOf(options, model, { request: resolved, judges: search.records, own: search.own }),
      ...await featuresRecord(model, resolved),
    };
    const now = recordOfSeries(model, { place: this.#series.place, settings, subjects });
    const tell = (sentence: string): void => {
      if (!this.#told.has(sentence)) say(io, sentence);
      this.#told.add(sentence);
    };
    for (const warning of await takeUp(place, { before, now }, isCoupled(options))) {
      tell(`warning: ${warning}`);
    }
    if (!options.quiet) { for (const note of resolved.schedule.notes ?? []) tell(note); }
    return now;
  }

  async #fill(
    place: SeriesPlace,
    facts: {
      readonly share: readonly Cell[];
      readonly missing: readonly Cell[];
      readonly failures: FailureList;
      readonly record: SeriesRecord;
    },
  ): Promise<void> {
    const { share, missing, failures, record } = facts;
    const { options, io, opened, search, request, recipes, subjects } = this.#series;
    const { quiet = false } = options;
    const cells = isCoupled(options) ? wholeSubjects(share, missing) : missing;
    const textFeatures = await featuresFor(
      opened.model,
      request,
      cells.map((cell) => subjects.labelOf(cell)),
      { quiet, io },
    );
    const progress = new Progress(io, { total: share.length, done: share.length - missing.length, quiet });
    const notice = (line: string): void => {
      progress.clear();
      if (!quiet) say(io, line);
    };
    const begun = performance.now();
    try {
      await fillFolder(cells, {
        model: opened.model,
        reopen: async (lost) => {
          notice(lost.message);
          const model = await opened.reopen();
          await search.reopen(model);
          return model;
        },
        request: { ...request, textFeatures },
        subjects,
        sharedNoise: record.settings.sharedNoise,
        recipes: recipes && { recipes, variant: nameOf(search.hooks) },
        place,
        only: new Set(missing.map((cell) => subjects.fileOf(cell))),
        failures,
        progress,
        io,
      });
    } catch (error) {
      const images = plural(share.length, "image");
      notice(`${progress.done} of ${images} are in ${place.name}; the same command makes the others`);
      throw error;
    }
    progress.clear();
    if (quiet) return;
    const milliseconds = performance.now() - begun;
    io.out(summary({ output: place.name, share, missing, failures, milliseconds }));
  }
}

/** What every image is asked for, with the features that were given. */
function plainRequest(
  { model, options, subjects, features }: {
    readonly model: Model;
    readonly options: SeriesValues;
    readonly subjects: Subjects;
    readonly features: TextFeatures | undefined;
  },
): GenerateRequest {
  return { ...requestOf(model, options, subjects), ...(features && { textFeatures: features }) };
}

/**
 * The record in the place, of a run that this may go on with.
 *
 * @throws {UsageError} If the place is not that of such a run.
 */
async function recordBefore(place: SeriesPlace, options: SeriesValues): Promise<SeriesRecord | undefined> {
  const before = await recordIn(place);
  if (before === undefined) return undefined;
  const family = FAMILIES.find(({ name }) => name === before.model.family);
  refuseDifferences(place, knownDifferences(before.settings, knownSettings(options, family?.search)));
  return before;
}

/** What pictures carry. */
async function recipesOf(
  model: Model,
  facts: {
    readonly resolved: ResolvedRequest;
    readonly search: OpenedSearch;
    readonly place: ModelPlace;
  },
): Promise<Recipes> {
  const { resolved: request, search: { hooks, own, records: judges }, place } = facts;
  return await Recipes.of(model, {
    ...{ place, request, variants: [{ name: nameOf(hooks), hooks, own, judges }] },
  });
}

/** What pictures are made by, as the record of a generation calls it. */
function nameOf(hooks: readonly ScaleHook[]): string {
  return hooks.map(({ name }) => name).join("+") || "plain";
}

/** What a record says of features that were given: of the first prompt, which stays when a run grows. */
async function featuresRecord(
  model: Model,
  resolved: ResolvedRequest,
): Promise<Pick<SeriesSettings, "textFeatures">> {
  const { textFeatures } = resolved;
  const [first] = textsOf(model, resolved);
  if (textFeatures === undefined || first === undefined) return {};
  const { values } = asked(() => textFeatures.require(first));
  return { textFeatures: await sha256(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)) };
}

function summary(facts: {
  readonly output: string;
  readonly share: readonly Cell[];
  readonly missing: readonly Cell[];
  readonly failures: FailureList;
  readonly milliseconds: number;
}): string {
  const { output, share, missing, failures, milliseconds } = facts;
  const made = missing.length - failures.length;
  const parts = [
    `${share.length - failures.length} of ${plural(share.length, "image")} are in ${output}`,
    missing.length === 0 ? "all of them were" : `${made} made in ${duration(milliseconds)}`,
  ];
  return `${printableLine(parts.join(": "))}\n`;
}
