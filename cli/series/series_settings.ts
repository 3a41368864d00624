/**
 * What the options of a long run come to: the request and the settings of every image, and the record of the
 * run. What is left open without a preset is as in the published experiments with the model.
 *
 * @module
 */

import {
  type GenerateRequest,
  type Model,
  type ResolvedRequest,
  RUNTIME_VERSION,
  type ScaleHook,
  type SearchSettings,
} from "../../mod.ts";
import { modelRecord } from "../generation/model_record.ts";
import { samplingRecord } from "../generation/sampling_record.ts";
import { UsageError } from "../io.ts";
import { searchOf } from "../options/method_options.ts";
import { hooksOf, isGuiding, isJudged, type Search, standInsFor, usedSettings } from "../options/search.ts";
import { deviceRecord, type ModelPlace } from "../options/model_options.ts";
import type { JudgeRecord, JudgeRecords } from "../options/open_search.ts";
import type { OwnHook } from "../options/own_hooks.ts";
import type { GivenPrompt } from "../options/prompts.ts";
import { checkRequest, classOf, type Labelled, labelOf, requireClasses } from "../options/requests.ts";
import { samplingRequest } from "../options/sampling_options.ts";
import type { SeriesValues } from "../options/series_options.ts";
import { size } from "../output/units.ts";
import { VERSION } from "../version.ts";
import {
  type SearchRecord,
  type SeriesHook,
  type SeriesRecord,
  seriesRecord,
  type SeriesSettings,
} from "./series_record.ts";
import { ClassSubjects, PromptSubjects, type Subjects } from "./subjects.ts";

/** Images of each class, and of each prompt: as many as in the published evaluations. */
const EACH = { class: 50, prompt: 4 } as const;

/** What the images show, and how many there are of each. */
export function eachOf(
  { numImagesPerClass, prompts, metadata }: SeriesValues,
): Pick<Subjects, "each" | "noun"> {
  const noun = (prompts ?? metadata) === undefined ? "class" : "prompt";
  return { noun, each: numImagesPerClass ?? EACH[noun] };
}

/**
 * What a long run makes images of: the prompts, of a model that takes texts, or classes.
 *
 * @throws {UsageError} If that is not what the model takes, there is no such class, or there would be too
 * many images.
 */
export function subjectsOf(
  model: Labelled,
  options: SeriesValues,
  prompts: readonly GivenPrompt[] | undefined,
): Subjects {
  const { classes = ["all"] } = options;
  const { each } = eachOf(options);
  if (prompts === undefined) {
    const action = "make images of all classes";
    if (model.labels.kind === "texts") {
      throw new UsageError(
        `Cannot ${action} as the model "${model.name}" has none: it takes texts; use --prompts or --metadata`,
      );
    }
    const ids = new Set(classes.flatMap((text) => classesOf(model, text)));
    const extent = { classes: [...ids].sort((a, b) => a - b), imagesPerClass: each };
    return new ClassSubjects(extent, model.labels.count);
  }
  if (model.labels.kind === "classes") {
    throw new UsageError(
      `Cannot make images of prompts as the model "${model.name}" takes classes; use --classes`,
    );
  }
  const subjects = new PromptSubjects(prompts, each);
  for (const { prompt } of prompts) labelOf(model, prompt);
  return subjects;
}

/**
 * What the options say is done between the scales: VAR-Scaling, unless they name a method.
 *
 * @throws {UsageError} If it is nothing that could be taken up again.
 */
export function searchOfSeries(options: SeriesValues): Search {
  if ((options.keep ?? 1) > 1) {
    throw new UsageError(
      `Option --keep must be left out, as each image of a run has one file: current value is ${options.keep}`,
    );
  }
  if (options.budget?.endsWith("s")) {
    throw new UsageError(
      `Option --budget must be so many plain images, or floating-point operations, as seconds are others whenever a run is taken up: current value is "${options.budget}"`,
    );
  }
  return searchOf(options, true);
}

/** Hooks of it, with stand-ins for networks that are not loaded. */
function standInHooks(options: SeriesValues): readonly ScaleHook[] {
  const search = searchOfSeries(options);
  return hooksOf(search, standInsFor(search));
}

/** Whether the options make an image depend on the others of its class or prompt. */
export function isCoupled(options: SeriesValues): boolean {
  return standInHooks(options).some(({ coupled }) => coupled);
}

/**
 * What every image is asked for; labels, numbers and hooks apart.
 *
 * @throws {UsageError} If the images that are coupled do not fit into memory together.
 */
export function requestOf(
  model: Model,
  options: SeriesValues,
  subjects: Subjects,
): GenerateRequest {
  const { each, noun } = subjects;
  const { seed, batch, memory } = options;
  const sampling = samplingRequest(options);
  const request: GenerateRequest = { seed, ...sampling, cfg: sampling.cfg ?? model.search.published.cfg };
  if (!isCoupled(options)) {
    return {
      ...request,
      ...(batch === undefined ? {} : { batch }),
      ...(memory === undefined ? {} : { memory }),
    };
  }
  const labels = subjects.labelOf(subjects.cells[0]!);
  const { schedule: { imageBytes } } = checkRequest(model, { ...request, labels });
  const needed = model.weightBytes + each * imageBytes;
  if (needed <= (memory ?? Infinity)) return { ...request, batch: each };
  throw new UsageError(
    `Option --memory must be at least ${
      size(needed)
    } for the ${each} images of a ${noun} together: current value is ${size(memory!)}`,
  );
}

/**
 * The search for a model: what of VAR-Scaling is left open without a preset is as in the experiments of the
 * method's authors with the model.
 */
export function searchFor({ search: { published } }: Model, options: SeriesValues): Search {
  const search = searchOfSeries(options);
  if (options.preset !== undefined) return search;
  const { alpha, conflictThreshold } = published;
  const methods = search.methods.map(({ name, settings }) => {
    return { name, settings: name === "var-scaling" ? { alpha, conflictThreshold, ...settings } : settings };
  });
  return { ...search, methods };
}

/** The settings that do not depend on the model, but at most on its family. */
export function knownSettings(
  options: SeriesValues,
  search: SearchSettings | undefined,
): Partial<SeriesSettings> {
  const { seed, sharedNoise = false, cfg, guidance, topK, topP, minP, temperature, moreSmooth = false } =
    options;
  const hooks = standInHooks(options);
  const varScaling = hooks.find(({ name }) => name === "var-scaling");
  const { preset, ...scaling } = varScaling?.settings ?? {};
  // What the paper states for a family only its models tell.
  const known = preset === "paper" ? undefined : search;
  const facts = {
    ...{ seed, sharedNoise, cfg, guidance, topK, topP, minP, temperature, moreSmooth },
    published: options.published ?? false,
    guiding: knownGuiding(hooks),
    search: knownSearch(options, hooks),
    scaling: varScaling === undefined ? null : Object.fromEntries(
      Object.entries({ ...scaling, ...familyValues(scaling, known) }).filter(([, value]) =>
        value !== "preset"
      ),
    ),
  };
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}

/** What is known of methods that change logits before the model is loaded. */
function knownGuiding(hooks: readonly ScaleHook[]): SeriesSettings["guiding"] {
  const known = hooks.filter(({ name }) => isGuiding(name)).map(({ name, settings = {} }) => {
    return [name, Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== "preset"))];
  });
  return known.length === 0 ? undefined : Object.fromEntries(known);
}

/** What is known of a method that judges before its model is loaded. */
function knownSearch(options: SeriesValues, hooks: readonly ScaleHook[]): Partial<SearchRecord> | undefined {
  const judging = hooks.find(({ name }) => isJudged(name));
  if (judging === undefined) return undefined;
  const { verifier = "own", features, template, budget } = searchOfSeries(options);
  const { verifier: _judge, features: _described, ...settings } = judging.settings!;
  // Of a schedule only the model knows the whole, and a budget is more than that.
  const known = Object.entries(settings).filter(([name, value]) => {
    return budget === undefined && value !== "preset" && name !== "multiple" && !name.endsWith("Scales");
  });
  return {
    method: judging.name,
    settings: Object.fromEntries(known),
    verifier: { place: verifier } as JudgeRecord,
    ...(features !== undefined && { features: { place: features } as JudgeRecord }),
    ...(template !== undefined && { template }),
    ...(budget !== undefined && { budget }),
  };
}

/** All settings. What the search has from the model stands there by value, but for what suits it best. */
export function settingsOf(
  options: SeriesValues,
  model: Model,
  { request, judges, own }: {
    readonly request: ResolvedRequest;
    readonly judges: JudgeRecords;
    readonly own: readonly OwnHook[];
  },
): SeriesSettings {
  const { seed, sharedNoise = false } = options;
  const { schedule: { scales: { length: scales } } } = request;
  const hooks = request.hooks.filter((hook) => own.every((one) => one.hook !== hook));
  const varScaling = hooks.find(({ name }) => name === "var-scaling");
  const judging = hooks.find(({ name }) => isJudged(name));
  const guiding = hooks.filter(({ name }) => isGuiding(name));
  return {
    seed,
    sharedNoise,
    ...samplingRecord(request),
    scaling: scalingOf(varScaling, model),
    ...(guiding.length > 0 && {
      guiding: Object.fromEntries(
        guiding.map((hook) => [hook.name, usedSettings(hook, model, { scales })]),
      ),
    }),
    ...(judging && {
      search: { method: judging.name, settings: usedSettings(judging, model, { scales }), ...judges },
    }),
    ...(own.length > 0 && { hooks: own.map(seriesHook) }),
  };
}

/**
 * What a record says of a hook of the reader's own.
 *
 * @throws {UsageError} If it couples images, which batches of a run could not follow.
 */
function seriesHook({ hook, record: { path, options, sha256 } }: OwnHook): SeriesHook {
  const { name, settings = {}, coupled } = hook;
  if (!coupled) return { name, path, options, sha256, settings };
  throw new UsageError(
    `Option --hook ${path}: the hook "${name}" couples the images of a batch, which those of a run must not be`,
  );
}

function scalingOf(hook: ScaleHook | undefined, { search }: Model): SeriesSettings["scaling"] {
  if (hook?.settings === undefined) return null;
  const { preset, ...settings } = hook.settings;
  const suited = preset === "published" || preset === "paper" ? search[preset] : undefined;
  // A record holds scales as a list.
  const { scale: _, ...others } = suited ?? {};
  return {
    ...settings,
    ...familyValues(settings, { ...search, ...suited }),
    ...leftOpen(settings, others),
  };
}

/** What a search leaves to the family. */
function familyValues(
  settings: Readonly<Record<string, unknown>>,
  search: SearchSettings | undefined,
): Readonly<Record<string, unknown>> {
  if (search === undefined) return {};
  const { scale, samples, representatives, strategy, pick } = search;
  return leftOpen(settings, { scale: [scale], samples, nominal: samples, representatives, strategy, pick });
}

/** The values that take the place of what is left open. */
function leftOpen(
  settings: Readonly<Record<string, unknown>>,
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => settings[name] === "preset"));
}

/** The record of a run as this go would begin it. */
export function recordOfSeries(
  model: Model,
  facts: {
    readonly place: ModelPlace;
    readonly settings: SeriesSettings;
    readonly subjects: Subjects;
  },
): SeriesRecord {
  const { place, settings, subjects } = facts;
  return seriesRecord({
    versions: { varscale: VERSION, deno: Deno.version.deno, "onnxruntime-web": RUNTIME_VERSION },
    model: modelRecord(model, place),
    device: deviceRecord(model),
    settings,
  }, subjects.extent);
}

/** Classes by number, range or name. */
function classesOf(model: Labelled, text: string): number[] {
  const { count } = requireClasses(model, "make images of classes");
  const [, first, last] = text === "all" ? ["", "0", count - 1] : /^(\d+)-(\d+)$/.exec(text) ?? [];
  if (first === undefined || last === undefined) return [classOf(model, text)];
  const [low, high] = [classOf(model, first), classOf(model, String(last))];
  if (low > high) {
    throw new UsageError(`Option --classes must have ranges from low to high: current value is "${text}"`);
  }
  return Array.from({ length: high - low + 1 }, (_, i) => low + i);
}
