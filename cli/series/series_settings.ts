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
import { samplingRecord } from "../generation/sampling_record.ts";
import { UsageError } from "../io.ts";
import { deviceRecord, memoryRecord, type ModelPlace, sizeRecord } from "../options/model_options.ts";
import type { GivenPrompt } from "../options/prompts.ts";
import { checkRequest, classOf, type Labelled, labelOf, requireClasses } from "../options/requests.ts";
import { samplingRequest } from "../options/sampling_options.ts";
import { scalingHook } from "../options/scaling_options.ts";
import type { SeriesValues } from "../options/series_options.ts";
import { size } from "../output/units.ts";
import { VERSION } from "../version.ts";
import { type SeriesRecord, seriesRecord, type SeriesSettings } from "./series_record.ts";
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

/** Whether the options make an image depend on the others of its class or prompt. */
export function isCoupled(options: SeriesValues): boolean {
  return scalingHook(options, true)?.coupled ?? false;
}

/**
 * What every image is asked for, labels and numbers apart.
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
  const hook = hookOf(options, model);
  const sampling = samplingRequest(options);
  const request: GenerateRequest = {
    seed,
    ...sampling,
    cfg: sampling.cfg ?? model.search.published.cfg,
    hooks: hook === undefined ? [] : [hook],
  };
  if (!hook?.coupled) {
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
 * The search: what is left open without a preset is as in the experiments of the method's authors with the
 * model.
 */
function hookOf(options: SeriesValues, { search: { published } }: Model): ScaleHook | undefined {
  if (options.preset !== undefined) return scalingHook(options, true);
  return scalingHook({
    ...options,
    alpha: options.alpha ?? published.alpha,
    conflictThreshold: options.conflictThreshold ?? published.conflictThreshold,
  }, true);
}

/** The settings that do not depend on the model, but at most on its family. */
export function knownSettings(
  options: SeriesValues,
  search: SearchSettings | undefined,
): Partial<SeriesSettings> {
  const { seed, sharedNoise = false, cfg, guidance, topK, topP, minP, temperature, moreSmooth = false } =
    options;
  const { preset, ...scaling } = scalingHook(options, true)?.settings ?? {};
  // What the paper states for a family only its models tell.
  const known = preset === "paper" ? undefined : search;
  const facts = {
    ...{ seed, sharedNoise, cfg, guidance, topK, topP, minP, temperature, moreSmooth },
    published: options.published ?? false,
    scaling: options.scaling === false ? null : Object.fromEntries(
      Object.entries({ ...scaling, ...familyValues(scaling, known) }).filter(([, value]) =>
        value !== "preset"
      ),
    ),
  };
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}

/** All settings. What the search has from the model stands there by value, but for what suits it best. */
export function settingsOf(options: SeriesValues, model: Model, request: ResolvedRequest): SeriesSettings {
  const { seed, sharedNoise = false } = options;
  return { seed, sharedNoise, ...samplingRecord(request), scaling: searchOf(request.hooks[0], model) };
}

function searchOf(hook: ScaleHook | undefined, { search }: Model): SeriesSettings["scaling"] {
  if (hook?.settings === undefined) return null;
  const { preset, ...settings } = hook.settings;
  return {
    ...settings,
    ...familyValues(settings, preset === "paper" ? { ...search, ...search.paper } : search),
    ...(preset === "published" ? leftOpen(settings, search.published) : {}),
    ...(preset === "paper" ? leftOpen(settings, search.paper ?? {}) : {}),
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
    readonly options: SeriesValues;
  },
): SeriesRecord {
  const { place, settings, subjects, options } = facts;
  const { name, family, fingerprints, tuning } = model;
  return seriesRecord({
    versions: { varscale: VERSION, deno: Deno.version.deno, "onnxruntime-web": RUNTIME_VERSION },
    model: { name, family, ...sizeRecord(model.size), ...memoryRecord(model), place, fingerprints, tuning },
    device: deviceRecord(model, options),
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
