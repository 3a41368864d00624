/**
 * A model with the jobs that it is given, one after the other: options become a plan as on the command line,
 * and the events of a generation become plain data. It computes on the thread that it is called on; the
 * thread of its own is `model_thread.ts`.
 *
 * @module
 */

import {
  decodeImage,
  DeviceLostError,
  FAMILIES,
  generate,
  type GeneratedImage,
  type GenerateRequest,
  type HookDecision,
  type Model,
  type ResolvedLabel,
  type ResolvedRequest,
  type ScaleHook,
  type SearchTree,
  searchTree,
  type SearchTreeNote,
  type Trace,
} from "../../mod.ts";
import { drawRegion, type PlannedEdit, REGION_FILE, SOURCE_FILE } from "../generation/edit_record.ts";
import { recordOfRun } from "../generation/finished_run.ts";
import { lanesAfter, Layout } from "../generation/layout.ts";
import { type GenerationPlan, planOfOptions } from "../generation/plan.ts";
import { pictureFile, Recipes } from "../generation/recipe.ts";
import { type ImageRecord, imageRecord, type Variant } from "../generation/run_record.ts";
import { type Io, UsageError } from "../io.ts";
import { COUNT_OPTIONS, GENERATE_OPTIONS, type GenerateValues } from "../options/generate_options.ts";
import { METHOD_OPTIONS } from "../options/method_options.ts";
import { deviceRecord, load, memoryRecord } from "../options/model_options.ts";
import { optionName } from "../options/options.ts";
import { type JudgeRecords, OpenedSearch, requirePlaces } from "../options/open_search.ts";
import { parse } from "../options/parse.ts";
import { askedFor, checkRequest, labelOf } from "../options/requests.ts";
import { BATCH_OPTIONS, SAMPLING_OPTIONS } from "../options/sampling_options.ts";
import { SCALING_OPTIONS } from "../options/scaling_options.ts";
import type { Search } from "../options/search.ts";
import { readFeatures } from "../options/text_features.ts";
import { OpenedModel } from "../series/opened_model.ts";
import { CandidateWatch } from "./candidate_watch.ts";
import type {
  HostedBranch,
  HostedEdit,
  HostedEvent,
  HostedFacts,
  HostedImageEvent,
  HostedJob,
  HostedOptions,
} from "./hosted_job.ts";

/** All options of `varscale generate` as they are where none is given. */
const DEFAULTS = parse({ ...COUNT_OPTIONS, ...GENERATE_OPTIONS }, []).options;

/** Those that say something about a job. */
const JOB_OPTIONS: ReadonlySet<string> = new Set([
  ...Object.keys({
    ...COUNT_OPTIONS,
    ...SAMPLING_OPTIONS,
    ...BATCH_OPTIONS,
    ...METHOD_OPTIONS,
    ...SCALING_OPTIONS,
  }),
  "textFeatures",
  "preview",
]);

/** A job that can be done. */
interface ReadyJob {
  readonly plan: GenerationPlan;
  readonly variant: Variant;
  readonly asked: GenerateRequest;
  readonly hooks: readonly ScaleHook[];
  readonly judges: JudgeRecords;
  readonly request: ResolvedRequest;
}

/** A search that is open, and what it was opened for. */
interface KeptSearch {
  readonly key: string;
  readonly opened: OpenedSearch;
}

/** A model that does jobs. */
export class JobRunner implements AsyncDisposable {
  /** What is known of the model. */
  readonly facts: HostedFacts;
  readonly #options: HostedOptions;
  readonly #io: Io;
  readonly #model: OpenedModel;
  #search: KeptSearch | undefined;

  private constructor(options: HostedOptions, io: Io, model: OpenedModel, loading: number) {
    this.#options = options;
    this.#io = io;
    this.#model = model;
    this.facts = factsOf(model.model, options, loading);
  }

  /**
   * Loads a model.
   *
   * @throws {UsageError} If it is not there, or does not fit.
   */
  static async open(options: HostedOptions, io: Io): Promise<JobRunner> {
    const begun = performance.now();
    const model = await OpenedModel.open(() => load(options.place, options.loading, io, () => {}));
    return new JobRunner(options, io, model, performance.now() - begun);
  }

  /** The model as it is now. */
  get model(): Model {
    return this.#model.model;
  }

  /**
   * Does a job. Where the device is lost before there is a picture, the model is loaded anew and the job
   * begins again; afterwards the job fails, and the next one finds the model loaded.
   *
   * @throws {UsageError} If the model cannot do it.
   */
  async *run(job: HostedJob, signal: AbortSignal): AsyncGenerator<HostedEvent, void, void> {
    let delivered = false;
    for (let attempt = 0;; attempt++) {
      try {
        for await (const event of this.#attempt(job, signal)) {
          delivered ||= event.type === "image";
          yield event;
        }
        return;
      } catch (error) {
        if (!(error instanceof DeviceLostError)) throw error;
        this.#io.err(`${error.message}\n`);
        await this.#reopen();
        if (delivered || attempt > 0 || signal.aborted) throw error;
      }
    }
  }

  /** Unloads it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#forgetSearch();
    await this.#model[Symbol.asyncDispose]();
  }

  async #reopen(): Promise<void> {
    const model = await this.#model.reopen();
    await this.#search?.opened.reopen(model);
  }

  async #forgetSearch(): Promise<void> {
    const search = this.#search;
    this.#search = undefined;
    await search?.opened[Symbol.asyncDispose]();
  }

  async *#attempt(job: HostedJob, signal: AbortSignal): AsyncGenerator<HostedEvent, void, void> {
    const ready = await this.#prepare(job, signal);
    const { request, hooks, asked, plan, variant } = ready;
    const tree = job.tree ? searchTree() : undefined;
    const watch = new CandidateWatch();
    const watched = job.candidates ? hooks.map((hook) => watch.watching(hook)) : hooks;
    const layout = new Layout(
      request,
      { variants: [variant], grid: false },
      (_, scale) => lanesAfter(request, this.model, scale),
    );
    const { schedule: { picture, scales, notes = [] } } = request;
    yield { type: "begun", images: request.labels.length, picture, scales: scales.length, notes };
    const records: ImageRecord[] = [];
    const pictures = new Map<number, number>();
    const recipes = job.recipes ? await this.#recipes(ready) : undefined;
    let together: readonly { readonly index: number; readonly label: ResolvedLabel }[] = [];
    let made = 0;
    let trace: Trace | undefined;
    const events = generate.stream(this.model, {
      ...asked,
      hooks: tree === undefined ? watched : [tree, ...watched],
      signal,
    });
    for await (const event of events) {
      yield* watch.take();
      switch (event.type) {
        case "batch":
          together = event.images.map((index, i) => ({ index, label: request.labels[made + i]! }));
          made += event.images.length;
          yield event;
          break;
        case "scale":
          yield event;
          break;
        case "preview": {
          const { type, batch, scale } = event;
          const images = event.images.map(({ place, index, lane, label, image }) => ({
            ...{ place, index, lane, width: image.width, height: image.height, png: image.png() },
            caption: `${label.name} #${index}${lane === 0 ? "" : `, lane ${lane}`}`,
          }));
          yield { type, batch, scale, images };
          break;
        }
        case "image": {
          const { image } = event;
          const picture = pictures.get(image.place) ?? 0;
          pictures.set(image.place, picture + 1);
          const file = layout.file(variant.name, image.place, { picture });
          if (tree !== undefined && picture === 0) yield treeOf(image, tree);
          const several = layout.pictures(variant.name) > 1;
          const subject = { variant: variant.name, batch: together, ...(several && { picture }) };
          const { png, outcome: _, recipe: __, ...hashes } = await pictureFile(image, {
            recipes,
            ...subject,
          });
          const record = imageRecord(image, {
            ...{
              file,
              variant: variant.name,
              previews: layout.previews(variant.name, image.place),
              ...hashes,
            },
          });
          records.push(record);
          yield finished(image, { png, record });
          break;
        }
        case "done":
          trace = event.trace;
          break;
        case "aborted":
          yield { type: "aborted" };
      }
    }
    const record = await recordOfRun(this.model, plan, {
      variants: [{ name: variant.name, hooks }],
      judges: ready.judges,
      // A job names no hooks of one's own.
      own: [],
      painter: { record: undefined },
      request,
      results: [{ name: variant.name, records, trace: trace! }],
      loading: this.facts.loading,
      grid: false,
      device: this.facts.device,
      threads: this.#options.loading.threads ?? navigator.hardwareConcurrency,
    });
    yield { type: "done", trace: trace!, record, files: filesOf(request) };
  }

  /** Writes the recipes of a job. */
  #recipes({ plan, variant: { name }, hooks, judges, request }: ReadyJob): Promise<Recipes> {
    const { place, edit } = plan;
    return Recipes.of(this.model, { place, request, variants: [{ name, hooks, own: [], judges }], edit });
  }

  /** Finds out what a job asks for, and opens what it needs. */
  async #prepare(job: HostedJob, signal: AbortSignal): Promise<ReadyJob> {
    const values = completeValues(job);
    const edit = job.edit === undefined ? undefined : await plannedEdit(job.edit);
    const plan = { ...planOfOptions(values, edit === undefined ? {} : { edit }), place: this.#options.place };
    const [variant] = plan.variants as [Variant];
    const { textFeatures } = plan;
    const features = textFeatures === undefined ? {} : { textFeatures: await readFeatures(textFeatures) };
    await requirePlaces(variant.search);
    const { model } = this;
    const labels = job.labels.map((label) => label === null ? null : labelOf(model, label));
    const asked: GenerateRequest = {
      ...plan.request(model),
      ...(labels.length === 0 ? {} : { labels }),
      ...(job.indices === undefined ? {} : { indices: job.indices }),
      ...features,
    };
    if (variant.search.methods.length === 0) {
      const request = checkRequest(model, asked);
      return { plan, variant, asked, hooks: [], judges: {}, request };
    }
    const opened = await this.#open(variant.search, { values, asked, signal });
    const request = checkRequest(model, { ...asked, hooks: opened.hooks });
    return { plan, variant, asked, hooks: opened.hooks, judges: opened.records, request };
  }

  /** Opens a search, unless it is the one that is open: judges may take long to load. */
  async #open(
    search: Search,
    { values, asked, signal }: {
      readonly values: GenerateValues;
      readonly asked: GenerateRequest;
      readonly signal: AbortSignal;
    },
  ): Promise<OpenedSearch> {
    // Which settings a budget allows, the size of the pictures and the rest decide, too.
    const { seed: _seed, count: _count, indices: _indices, ...settings } = values;
    const key = JSON.stringify(search.budget === undefined ? search : { search, settings });
    if (this.#search?.key === key) return this.#search.opened;
    await this.#forgetSearch();
    const opened = await askedFor(() =>
      OpenedSearch.open(search, this.model, {
        request: asked,
        options: this.#options.loading,
        io: { ...this.#io, signal },
      })
    );
    this.#search = { key, opened };
    return opened;
  }
}

function factsOf(model: Model, { place }: HostedOptions, loading: number): HostedFacts {
  const { name, family, location, size, labels, patchNumbers, defaults, search } = model;
  const { encodes, decodes, weightBytes } = model;
  const schedule = model.schedule();
  const { scale, samples, representatives, strategy, pick, conflictThreshold } = search;
  const { flexible = [], options = {} } = FAMILIES.find((known) => known.name === family) ?? {};
  return {
    ...{ name, family, location, place, size, ...memoryRecord(model), device: deviceRecord(model) },
    ...{ labels, patchNumbers, pictureSize: schedule.picture, defaults, flexible },
    familyOptions: Object.keys(options),
    scales: schedule.scales.map(({ width, height, picture }) => ({ width, height, picture })),
    search: {
      ...{ scale, samples, representatives, strategy, pick, conflictThreshold },
      alpha: search.alpha({ scale, samples }),
    },
    ...{ encodes, decodes, weightBytes },
    verifier: model.verifier !== undefined,
    extractor: model.extractor !== undefined,
    ...(schedule.batchLimit && { batchLimit: schedule.batchLimit }),
    loading,
  };
}

/**
 * The options of a job with the command's defaults.
 *
 * @throws {UsageError} If there is one that says nothing about a job, as what names a model.
 */
function completeValues({ options, indices }: HostedJob): GenerateValues {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || JOB_OPTIONS.has(name)) continue;
    if (!Object.hasOwn(DEFAULTS, name)) throw new UsageError(`Unknown option "${name}" of a job`);
    // Whoever has parsed a command line has all of them, as they are where none is given.
    if (value === Reflect.get(DEFAULTS, name)) continue;
    throw new UsageError(
      `Option ${optionName(name)} is none of a job for a model that is loaded: current value is ${
        JSON.stringify(value)
      }`,
    );
  }
  if (indices !== undefined && options.indices !== undefined) {
    throw new UsageError("Numbers of images are given twice, by the job and by its options");
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return { ...DEFAULTS, ...given };
}

/**
 * An edit as the library and records have it.
 *
 * @throws {UsageError} If a file is no picture.
 */
async function plannedEdit(edit: HostedEdit): Promise<PlannedEdit> {
  const { image, name = "picture.png", box, mask, ...how } = edit;
  const read = (what: string, bytes: Uint8Array<ArrayBuffer>) =>
    decodeImage(bytes).catch((error: Error) => {
      throw new UsageError(`Cannot read the ${what}: ${error.message}`, { cause: error });
    });
  const region = box === undefined && mask === undefined ? {} : { mode: how.mode ?? "inpaint" as const };
  return {
    given: { image: name, box: box ?? null, mask: mask === undefined ? null : "mask.png", ...how, ...region },
    request: {
      image: await read("picture", image),
      ...(box === undefined ? {} : { box }),
      ...(mask === undefined ? {} : { mask: await read("mask", mask) }),
      ...how,
      ...region,
    },
  };
}

/** A finished picture as plain data. */
function finished(
  { place, index, lane, label, caption, seed, tokens, attempt, width, height }: GeneratedImage,
  { png, record }: { readonly png: Uint8Array<ArrayBuffer>; readonly record: ImageRecord },
): HostedImageEvent {
  const { file, sha256, decisions, attempts = [{ attempt, lane, decisions }] } = record;
  return {
    ...{ type: "image", place, index, lane, label, caption, seed, file, sha256 },
    ...{ png, width, height, tokens, decisions, attempt, attempts },
  };
}

/** The lanes of an image with their pictures. */
function treeOf({ place, index, attempts }: GeneratedImage, { name }: SearchTree): HostedEvent {
  const branches = attempts.map(({ attempt, lane, from, dropped, decisions }): HostedBranch => {
    const first = (from?.scale ?? -1) + 1;
    const notes = decisions.filter(({ hook, scale }) => hook === name && scale >= first);
    return {
      ...{ attempt, lane, ...(from && { from }), ...(dropped && { dropped }) },
      pictures: (notes as readonly HookDecision<SearchTreeNote>[]).map(({ scale, value: { picture } }) => {
        return { scale, width: picture.width, height: picture.height, png: picture.png() };
      }),
      decisions: decisions.filter(({ hook }) => hook !== name),
    };
  });
  return { type: "tree", place, index, branches };
}

/** Files that stand beside the record of an edit. */
function filesOf({ edit, schedule }: ResolvedRequest): Record<string, Uint8Array<ArrayBuffer>> {
  if (edit === undefined) return {};
  return { [SOURCE_FILE]: edit.sources[0]!.png(), [REGION_FILE]: drawRegion(edit, schedule).png() };
}
