/**
 * `varscale run`: the published script's command line. All images of all classes, in a folder that can be
 * filled in several goes, by several processes, and in any order.
 *
 * @module
 */

import {
  FAMILIES,
  type GeneratedImage,
  type GenerateRequest,
  generateSeries,
  type Model,
  type ResolvedRequest,
  RUNTIME_VERSION,
  type ScaleHook,
  type SearchSettings,
  type SeriesOptions,
} from "../../mod.ts";
import { command } from "../command.ts";
import { samplingRecord } from "../generation/sampling_record.ts";
import { type Io, UsageError } from "../io.ts";
import {
  DEVICE_OPTIONS,
  deviceRecord,
  load,
  MODEL_OPTIONS,
  type ModelPlace,
  modelPlace,
} from "../options/model_options.ts";
import {
  type Arguments,
  flag,
  integer,
  type Kind,
  section,
  seed,
  text,
  texts,
  type Values,
} from "../options/options.ts";
import { checkRequest, classOf, requireClasses } from "../options/requests.ts";
import { BATCH_OPTIONS, SAMPLING_OPTIONS, samplingRequest } from "../options/sampling_options.ts";
import { SCALING_OPTIONS, scalingHook } from "../options/scaling_options.ts";
import { duration, plural, size, writeWhole } from "../output/files.ts";
import { Progress } from "../output/progress.ts";
import { lockFolder, type Shard, shardName } from "../series/folder_lock.ts";
import {
  FailureList,
  missingIn,
  refuseDifferences,
  refuseStrangers,
  takeUp,
} from "../series/series_folder.ts";
import {
  type Cell,
  cellsOf,
  imageFile,
  knownDifferences,
  readSeriesRecord,
  type SeriesRecord,
  seriesRecord,
  type SeriesSettings,
} from "../series/series_record.ts";
import { VERSION } from "../version.ts";
import { archiveOf, describeArchive, packImages, refuseArchive } from "./npz.ts";

/** The numbers of images end here. */
const MAX_INDEX = 2 ** 24;
/**
 * What the help says of a setting that the method's authors chose for their experiments with the model,
 * whatever suits it.
 */
const AUTHORS = "that of the published experiments with the model";

const shard: Kind<Shard> = {
  placeholder: "I/N",
  parse: (value) => {
    const [, part, parts] = /^(\d{1,9})\/(\d{1,9})$/.exec(value) ?? [];
    const parsed = { part: Number(part), parts: Number(parts) };
    if (!(parsed.part >= 1 && parsed.part <= parsed.parts)) {
      throw new RangeError('must be a part and the number of parts, from "1/N" to "N/N"');
    }
    return parsed;
  },
};

const OPTIONS = {
  ...section("What to generate", {
    numImagesPerClass: {
      kind: integer("N", 1),
      short: "n",
      help: "Images of each class",
      default: 50,
      aliases: ["count"],
    },
    classes: {
      kind: texts,
      help: "Only these classes: numbers, ranges such as 0-99, or names",
      defaultText: "all",
    },
    shard: { kind: shard, help: "Only part I of N equal parts, for several processes or machines" },
    seed: {
      kind: seed,
      short: "s",
      help: "An image depends on the seed, its class and its number alone",
      default: 0,
    },
    sharedNoise: {
      kind: flag,
      help: "Give image i of every class the same random numbers, as the published script does",
    },
  }),
  ...MODEL_OPTIONS,
  ...SAMPLING_OPTIONS,
  cfg: { ...SAMPLING_OPTIONS.cfg, defaultText: AUTHORS },
  ...BATCH_OPTIONS,
  batch: {
    ...BATCH_OPTIONS.batch,
    defaultText: `${BATCH_OPTIONS.batch.defaultText}; with --bandwidth batch, all images of a class`,
  },
  ...SCALING_OPTIONS,
  ...section("VAR-Scaling", {
    scaling: {
      ...SCALING_OPTIONS.scaling,
      help: "Search representative tokens at an early scale; --no-scaling turns it off",
      defaultText: "on",
    },
    preset: {
      ...SCALING_OPTIONS.preset,
      help:
        "Instead of what this list says: published does what the released code does, paper follows the paper to the letter, default is as in varscale generate",
    },
    alpha: { ...SCALING_OPTIONS.alpha, defaultText: `${AUTHORS}; with --preset, the preset's` },
    conflictThreshold: {
      ...SCALING_OPTIONS.conflictThreshold,
      defaultText: `${AUTHORS}; with --preset, the preset's`,
    },
  }),
  ...DEVICE_OPTIONS,
  ...section("Output", {
    output: {
      kind: text("DIR"),
      short: "o",
      help:
        "Folder for the images, class_C_img_I.png, and the record, run.json. If it has some of the images already, the others are made",
      aliases: ["output-dir"],
    },
    npz: { kind: flag, help: "Pack the images into DIR.npz in the end, like varscale npz" },
    quiet: { kind: flag, short: "q", help: "Print nothing but errors and warnings" },
  }),
};

type RunValues = Values<typeof OPTIONS>;

/** The command. */
export const run = command({
  name: "run",
  summary: "Generate many images of every class, as the published VAR-Scaling script does",
  usage: ["--vae-ckpt FILE --var-ckpt FILE --output DIR [OPTIONS]", "--model PLACE --output DIR [OPTIONS]"],
  description: [
    "The command line of the published script works as it stands, with underscores or dashes. Without --preset the settings are its own, " +
    "or for a model that it does not know those of its authors' experiments, but candidates are independent and the bandwidth is each image's own, so that no image depends on another. With --preset " +
    "published, the search does what the released code does; as its bandwidth couples the images of a class, a class is then always one batch.",
    "A run that was interrupted goes on when it is started again with the same settings; more classes or more images per class can be " +
    "added that way. An image that fails is tried once more and then listed in failed.json; the run goes on, and ends with code 1.",
  ],
  options: OPTIONS,
  examples: [
    "--vae_ckpt vae_ch160v4096z32.pth --var_ckpt var_d30.pth --output_dir out --enable_scaling",
    "--model var-d16 -o out --memory 20GB --shard 1/4",
    "--model hf:jiaosiyu1999/FlexVAR --depth 24 -o out -n 50 --batch auto --memory 20GB",
    "--model demo -o out -n 10 --npz",
  ],
  run: (args, io) => execute(args, io),
});

async function execute({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<number> {
  const { output, shard, quiet = false, npz = false } = options;
  if (operands.length > 0) throw new UsageError(`Unexpected argument "${operands[0]}"`);
  if (output === undefined) throw new UsageError("Option --output is needed: the folder for the images");
  if (npz && shard !== undefined) {
    throw new UsageError(
      "Options --npz and --shard exclude each other: pack the folder when all parts are done",
    );
  }
  const coupled = scalingHook(options, true)?.coupled ?? false;
  if (coupled && options.batch !== undefined && options.batch !== options.numImagesPerClass) {
    throw new UsageError(
      `Option --batch must be left out, as --bandwidth batch couples all images of a class: current value is ${options.batch}`,
    );
  }
  const place = modelPlace(options) ?? { folder: "demo" };
  if (npz) await refuseArchive(archiveOf(output), false);
  const notice = (line: string): void => {
    if (!quiet) io.err(`varscale: ${line}\n`);
  };

  await Deno.mkdir(output, { recursive: true });
  using _lock = await lockFolder(output, shard);
  const before = await readSeriesRecord(output);
  // Loading a large model takes minutes; what can be refused before that should be.
  if (before === undefined) await refuseStrangers(output);
  else {
    const family = FAMILIES.find(({ name }) => name === before.model.family);
    refuseDifferences(output, knownDifferences(before.settings, knownSettings(options, family?.search)));
  }
  const open = (): Promise<Model> => {
    return load(place, options, io);
  };
  await using opened = new OpenedModel(await open());
  const { model } = opened;
  requireClasses(model, "make images of all classes");
  const request = requestOf(model, options);
  const settings = settingsOf(options, model, checkRequest(model, request));
  const now = recordOf(model, { place, settings, options });
  for (const warning of await takeUp(output, { before, now }, coupled)) {
    io.err(`varscale: warning: ${warning}\n`);
  }

  const share = shareOf(now, shard, coupled);
  const missing = await missingIn(output, share);
  const failures = new FailureList(
    `${output}/failed${shard === undefined ? "" : `-${shardName(shard)}`}.json`,
  );
  await failures.clear();
  const progress = new Progress(io, { total: share.length, done: share.length - missing.length, quiet });
  const begun = performance.now();
  try {
    await fillFolder(coupled ? wholeClasses(share, missing) : missing, {
      model,
      reopen: async (lost) => {
        progress.clear();
        notice(lost.message);
        return await opened.replace(open);
      },
      request,
      sharedNoise: settings.sharedNoise,
      output,
      only: new Set(missing.map(imageFile)),
      failures,
      progress,
      io,
    });
  } catch (error) {
    progress.clear();
    notice(
      `${progress.done} of ${
        plural(share.length, "image")
      } are in ${output}; the same command makes the others`,
    );
    throw error;
  }
  progress.clear();
  if (!quiet) io.out(summary({ output, share, missing, failures, milliseconds: performance.now() - begun }));
  if (failures.length > 0) {
    io.err(
      `varscale: ${
        plural(failures.length, "image")
      } failed; ${failures.path} tells why, and the same command tries again\n`,
    );
    return 1;
  }
  if (npz) {
    const archive = archiveOf(output);
    const { images, shape } = await packImages(output, archive, { order: "shuffled", seed: 0, quiet, io });
    if (!quiet) io.out(describeArchive(archive, images, shape));
  }
  return 0;
}

/** The model of a run, which another one can take the place of. */
class OpenedModel implements AsyncDisposable {
  #model: Model;

  constructor(model: Model) {
    this.#model = model;
  }

  get model(): Model {
    return this.#model;
  }

  /** Unloads the model, which may be beyond that, and loads another one. */
  async replace(open: () => Promise<Model>): Promise<Model> {
    await Promise.resolve(this.#model[Symbol.asyncDispose]()).catch(() => {});
    return this.#model = await open();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#model[Symbol.asyncDispose]();
  }
}

/**
 * The search: what is left open without a preset is as in the experiments of the method's authors with the
 * model.
 */
function hookOf(options: RunValues, { search: { published } }: Model): ScaleHook | undefined {
  if (options.preset !== undefined) return scalingHook(options, true);
  return scalingHook({
    ...options,
    alpha: options.alpha ?? published.alpha,
    conflictThreshold: options.conflictThreshold ?? published.conflictThreshold,
  }, true);
}

/** The settings that do not depend on the model, but at most on its family. */
function knownSettings(options: RunValues, search: SearchSettings | undefined): Partial<SeriesSettings> {
  const { seed, sharedNoise = false, cfg, guidance, topK, topP, minP, temperature, moreSmooth = false } =
    options;
  const { preset: _preset, ...scaling } = scalingHook(options, true)?.settings ?? {};
  const facts = {
    ...{ seed, sharedNoise, cfg, guidance, topK, topP, minP, temperature, moreSmooth },
    published: options.published ?? false,
    scaling: options.scaling === false ? null : Object.fromEntries(
      Object.entries({ ...scaling, ...familyValues(scaling, search) }).filter(([, value]) =>
        value !== "preset"
      ),
    ),
  };
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}

/** All settings. What the search has from the model stands there by value, but for what suits it best. */
function settingsOf(options: RunValues, model: Model, request: ResolvedRequest): SeriesSettings {
  const { seed, sharedNoise = false } = options;
  return { seed, sharedNoise, ...samplingRecord(request), scaling: searchOf(request.hooks[0], model) };
}

function searchOf(hook: ScaleHook | undefined, { search }: Model): SeriesSettings["scaling"] {
  if (hook?.settings === undefined) return null;
  const { preset, ...settings } = hook.settings;
  return {
    ...settings,
    ...familyValues(settings, search),
    ...(preset === "published" ? leftOpen(settings, search.published) : {}),
  };
}

/** What a search leaves to the family. */
function familyValues(
  settings: Readonly<Record<string, unknown>>,
  search: SearchSettings | undefined,
): Readonly<Record<string, unknown>> {
  if (search === undefined) return {};
  const { scale, samples, representatives, strategy, pick } = search;
  return leftOpen(settings, { scale: [scale], samples, representatives, strategy, pick });
}

/** The values that take the place of what is left open. */
function leftOpen(
  settings: Readonly<Record<string, unknown>>,
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => settings[name] === "preset"));
}

function requestOf(model: Model, options: RunValues): GenerateRequest {
  const { seed, numImagesPerClass: count, batch, memory } = options;
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
  const { schedule: { imageBytes } } = checkRequest(model, request);
  const needed = model.weightBytes + count * imageBytes;
  if (needed <= (memory ?? Infinity)) return { ...request, batch: count };
  throw new UsageError(
    `Option --memory must be at least ${
      size(needed)
    } for the ${count} images of a class together: current value is ${size(memory!)}`,
  );
}

function recordOf(
  model: Model,
  facts: { readonly place: ModelPlace; readonly settings: SeriesSettings; readonly options: RunValues },
): SeriesRecord {
  const { place, settings, options } = facts;
  const { classes = ["all"], numImagesPerClass: imagesPerClass } = options;
  const { name, family, depth, dtype, fingerprints, tuning } = model;
  const most = Math.floor(MAX_INDEX / model.classes);
  if (imagesPerClass > most) {
    throw new UsageError(
      `Option --num-images-per-class must be at most ${most} for ${model.classes} classes: current value is ${imagesPerClass}`,
    );
  }
  return seriesRecord({
    versions: { varscale: VERSION, deno: Deno.version.deno, "onnxruntime-web": RUNTIME_VERSION },
    model: { name, family, depth, dtype, place, fingerprints, tuning },
    device: deviceRecord(model, options),
    settings,
    classes: [...new Set(classes.flatMap((text) => classesOf(model, text)))].sort((a, b) => a - b),
    imagesPerClass,
  });
}

/** Classes by number, range or name. */
function classesOf(model: Model, text: string): number[] {
  const [, first, last] = text === "all" ? ["", "0", model.classes - 1] : /^(\d+)-(\d+)$/.exec(text) ?? [];
  if (first === undefined || last === undefined) return [classOf(model, text)];
  const [low, high] = [classOf(model, first), classOf(model, String(last))];
  if (low > high) {
    throw new UsageError(`Option --classes must have ranges from low to high: current value is "${text}"`);
  }
  return Array.from({ length: high - low + 1 }, (_, i) => low + i);
}

/** The images of a part: equal stretches of all of them, or of all classes where those must stay whole. */
function shareOf(record: SeriesRecord, shard: Shard | undefined, coupled: boolean): Cell[] {
  const cells = cellsOf(record);
  if (shard === undefined) return cells;
  const unit = coupled ? record.imagesPerClass : 1;
  const units = cells.length / unit;
  const [from, to] = [shard.part - 1, shard.part].map((i) => unit * Math.floor(i * units / shard.parts));
  return cells.slice(from, to);
}

/** All images of the classes in which one is missing. */
function wholeClasses(share: readonly Cell[], missing: readonly Cell[]): Cell[] {
  const classes = new Set(missing.map(({ classId }) => classId));
  return share.filter(({ classId }) => classes.has(classId));
}

/** What {@linkcode fillFolder} needs. */
export interface FillJob {
  /** A loaded model. */
  readonly model: Model;
  /** Loads it again after its device was lost. */
  readonly reopen: NonNullable<SeriesOptions["reopen"]>;
  /** How to generate, labels and numbers of the images apart. */
  readonly request: GenerateRequest;
  /** Whether image i of every class has the same number. */
  readonly sharedNoise: boolean;
  /** Folder. */
  readonly output: string;
  /** Files to be written; other images are made for their company alone. */
  readonly only: ReadonlySet<string>;
  /** Where failures are listed. */
  readonly failures: FailureList;
  /** What is shown. */
  readonly progress: Progress;
  /** Where to write, and what ends it. */
  readonly io: Io;
}

/** Makes images and writes them to a folder. */
export async function fillFolder(cells: readonly Cell[], job: FillJob): Promise<void> {
  const { model: { classes }, request, sharedNoise, output, only, failures, progress, io } = job;
  if (cells.length === 0) return;
  // Numbered image by image and in each by class, so that more images per class change none.
  const numbers = cells.map(({ classId, image }) => sharedNoise ? image : image * classes + classId);
  const fileOf = ({ index, label }: Pick<GeneratedImage, "index" | "label">): string => {
    return imageFile({ classId: label.id!, image: sharedNoise ? index : Math.floor(index / classes) });
  };
  const batches = generateSeries(job.model, {
    ...request,
    labels: cells.map(({ classId }) => classId),
    indices: numbers,
    signal: io.signal,
  }, { reopen: job.reopen });
  progress.draw("");
  for await (const batch of batches) {
    for (const image of batch.images) {
      const file = fileOf(image);
      if (!only.has(file)) continue;
      await writeImage(`${output}/${file}`, image);
      progress.image();
    }
    const failed = batch.failures.map(({ index, label, error }) => {
      return { file: fileOf({ index, label }), label: label.name, reason: error.message };
    }).filter(({ file }) => only.has(file));
    if (failed.length > 0) progress.clear();
    for (const { file, reason } of failed) {
      io.err(`varscale: ${file} failed: ${reason}\n`);
      progress.failure();
    }
    await failures.add(failed);
    progress.batch();
    progress.draw("");
  }
}

async function writeImage(path: string, image: GeneratedImage): Promise<void> {
  try {
    await writeWhole(path, image.png());
  } catch (cause) {
    throw new Error(`Cannot write ${path}: ${(cause as Error).message}`, { cause });
  }
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
  return `${parts.join(": ")}\n`;
}
