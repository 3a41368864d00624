/**
 * `varscale run`: the published scripts' command lines. All images of all classes or prompts, in a folder
 * that can be filled in several goes, by several processes, and in any order.
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
} from "../../mod.ts";
import { command } from "../command.ts";
import { Recipes } from "../generation/recipe.ts";
import { type Io, say, UsageError } from "../io.ts";
import { load, type ModelPlace, modelPlace, providerAgain } from "../options/model_options.ts";
import { type Arguments, optionName, refuseOperands } from "../options/options.ts";
import { type JudgeRecords, OpenedSearch, requirePlaces } from "../options/open_search.ts";
import type { OwnHook } from "../options/own_hooks.ts";
import { type GivenPrompt, readPrompts } from "../options/prompts.ts";
import { asked, checkOutline, checkRequest } from "../options/requests.ts";
import { samplingRequest } from "../options/sampling_options.ts";
import { SERIES_OPTIONS, type SeriesValues } from "../options/series_options.ts";
import { featuresFor, readFeatures, textsOf } from "../options/text_features.ts";
import { printableLine } from "../output/printable.ts";
import { Progress } from "../output/progress.ts";
import { requireFolder } from "../output/whole_file.ts";
import { sha256 } from "../output/sha256.ts";
import { duration } from "../output/units.ts";
import { list, plural } from "../output/words.ts";
import { archiveOf, describeArchive, packImages, refuseArchive } from "../series/archive.ts";
import { fillFolder } from "../series/fill_folder.ts";
import { OpenedModel } from "../series/opened_model.ts";
import {
  extentDifferences,
  FailureList,
  missingIn,
  openSeriesFolder,
  refuseDifferences,
  refuseStrangers,
  takeUp,
} from "../series/series_folder.ts";
import {
  extentIn,
  knownDifferences,
  readSeriesRecord,
  type SeriesRecord,
  type SeriesSettings,
} from "../series/series_record.ts";
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
} from "../series/series_settings.ts";
import { shareOf, wholeSubjects } from "../series/share.ts";
import type { Cell, Subjects } from "../series/subjects.ts";

/** The command. */
export const run = command({
  usage: [
    "--vae-ckpt FILE --var-ckpt FILE --output DIR [OPTIONS]",
    "--model PLACE --output DIR [OPTIONS]",
    "--model PLACE --metadata FILE --output DIR [OPTIONS]",
  ],
  description: [
    "The command line of the published script works as it stands, with underscores or dashes. Without --preset the settings are its own, " +
    "or for a model that it does not know those of its authors' experiments, but candidates are independent and the bandwidth is each image's own, so that no image depends on another. With --preset " +
    "published, the search does what the released code does; as its bandwidth couples the images of a class, a class is then always one batch.",
    "A model that takes texts makes images of the prompts in a file, each in a folder of its own, as GenEval's scorer reads them.",
    "A run that was interrupted goes on when it is started again with the same settings; more classes, more prompts at the end of the " +
    "file or more images of each can be added that way. An image that fails is tried once more and then listed in failed.json; the run goes on, and ends with code 1.",
  ],
  options: SERIES_OPTIONS,
  examples: [
    "--vae_ckpt vae_ch160v4096z32.pth --var_ckpt var_d30.pth --output_dir out --enable_scaling",
    "--model var-d16 -o out --memory 20GB --shard 1/4",
    "--model hf:jiaosiyu1999/FlexVAR --depth 24 -o out -n 50 --batch auto --memory 20GB",
    "--model demo -o out -n 10 --npz",
    "--model demo-t2i --metadata evaluation_metadata.jsonl -o out",
    "--model demo-t2i --prompts prompts.txt --method tts-var --budget 4x -o searched",
  ],
  run: execute,
});

async function execute(args: Arguments<typeof SERIES_OPTIONS>, io: Io): Promise<number> {
  const { options } = args;
  const output = requireConsistent(args);
  const place = modelPlace(options) ?? { folder: "demo" };
  const prompts = await givenPrompts(options, io);
  const features = options.textFeatures === undefined ? undefined : await readFeatures(options.textFeatures);
  const { npz = false, quiet = false } = options;
  await requirePlaces(searchOfSeries(options));
  await requireFolder(output);
  if (npz) await refuseArchive(archiveOf(output), false);
  await using _folder = await openSeriesFolder(output, options.shard);
  const before = await recordBefore(output, options);
  const check = (outline: ModelOutline): void => {
    checkOutline(outline, samplingRequest(options));
    const { extent: now } = subjectsOf(outline, options, prompts);
    if (before === undefined) return;
    refuseDifferences(output, extentDifferences({ before: extentIn(before), now }, isCoupled(options)));
  };
  const loading = { ...options, cpuProvider: providerAgain(options.cpuProvider, before?.device) };
  await using opened = await OpenedModel.open(() => load(place, loading, io, check));
  const subjects = subjectsOf(opened.model, options, prompts);
  const plain = {
    ...requestOf(opened.model, options, subjects),
    ...(features && { textFeatures: features }),
  };
  const first = { ...plain, labels: subjects.labelOf(subjects.cells[0]!) };
  await using search = await OpenedSearch.open(searchFor(opened.model, options), opened.model, {
    ...{ request: first, options, io },
  });
  const request = { ...plain, hooks: search.hooks };
  const record = await recordNow(output, {
    ...{
      before,
      model: opened.model,
      request,
      judges: search.records,
      own: search.own,
      subjects,
      place,
      options,
      io,
    },
  });
  const recipes = options.recipe === false
    ? undefined
    : await recipesOf(opened.model, { request, search, subjects, place });
  const failures = await makeMissing(output, {
    ...{ opened, search, request, subjects, record, recipes, options, io },
  });
  if (failures.length > 0) {
    const failed = plural(failures.length, "image");
    say(io, `${failed} failed; ${failures.path} tells why, and the same command tries again`);
    return 1;
  }
  if (npz) {
    const archive = archiveOf(output);
    const { images, shape } = await packImages(output, archive, { order: "shuffled", seed: 0, quiet, io });
    if (!quiet) io.out(describeArchive(archive, images, shape));
  }
  return 0;
}

/**
 * Refuses what no model can do.
 *
 * @returns The folder for the images.
 * @throws {UsageError} If options are missing or exclude each other.
 */
function requireConsistent({ options, operands }: Arguments<typeof SERIES_OPTIONS>): string {
  const { output, shard, npz, batch, classes, prompts, metadata } = options;
  refuseOperands(operands, 0);
  if (output === undefined) throw new UsageError("Option --output is needed: the folder for the images");
  if (npz && shard !== undefined) {
    throw new UsageError(
      "Options --npz and --shard exclude each other: pack the folder when all parts are done",
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

/** The prompts that the options name, if they name any. */
async function givenPrompts(
  { prompts, metadata }: SeriesValues,
  io: Io,
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

/**
 * The record in the folder. Loading a large model takes minutes, so what can be refused before that is.
 *
 * @throws {UsageError} If the folder is not that of such a run.
 */
async function recordBefore(output: string, options: SeriesValues): Promise<SeriesRecord | undefined> {
  const before = await readSeriesRecord(output);
  if (before === undefined) {
    await refuseStrangers(output);
    return undefined;
  }
  const family = FAMILIES.find(({ name }) => name === before.model.family);
  refuseDifferences(output, knownDifferences(before.settings, knownSettings(options, family?.search)));
  return before;
}

/**
 * The record of this go, which from now on is that of the folder.
 *
 * @throws {UsageError} If the images that are there were made otherwise.
 */
async function recordNow(
  output: string,
  facts: {
    readonly before: SeriesRecord | undefined;
    readonly model: Model;
    readonly request: GenerateRequest;
    readonly judges: JudgeRecords;
    readonly own: readonly OwnHook[];
    readonly subjects: Subjects;
    readonly place: ModelPlace;
    readonly options: SeriesValues;
    readonly io: Io;
  },
): Promise<SeriesRecord> {
  const { before, model, request, judges, own, subjects, place, options, io } = facts;
  const [first] = subjects.cells;
  const resolved = checkRequest(model, { ...request, labels: subjects.labelOf(first!) });
  const settings = {
    ...settingsOf(options, model, { request: resolved, judges, own }),
    ...await featuresRecord(model, resolved),
  };
  const now = recordOfSeries(model, { place, settings, subjects });
  for (const warning of await takeUp(output, { before, now }, isCoupled(options))) {
    say(io, `warning: ${warning}`);
  }
  if (!options.quiet) { for (const note of resolved.schedule.notes ?? []) say(io, note); }
  return now;
}

/** What pictures carry. */
async function recipesOf(
  model: Model,
  facts: {
    readonly request: GenerateRequest;
    readonly search: OpenedSearch;
    readonly subjects: Subjects;
    readonly place: ModelPlace;
  },
): Promise<Recipes> {
  const { request, search: { hooks, own, records: judges }, subjects, place } = facts;
  const labels = subjects.labelOf(subjects.cells[0]!);
  return await Recipes.of(model, {
    place,
    request: checkRequest(model, { ...request, labels }),
    variants: [{ name: nameOf(hooks), hooks, own, judges }],
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

/** Makes what the folder lacks of this process's share. */
async function makeMissing(
  output: string,
  facts: {
    readonly opened: OpenedModel;
    readonly search: OpenedSearch;
    readonly request: GenerateRequest;
    readonly subjects: Subjects;
    readonly record: SeriesRecord;
    readonly recipes: Recipes | undefined;
    readonly options: SeriesValues;
    readonly io: Io;
  },
): Promise<FailureList> {
  const { opened, search, request, subjects, record, recipes, options, io } = facts;
  const { shard, quiet = false } = options;
  const coupled = isCoupled(options);
  const share = shareOf(subjects, shard, coupled);
  await subjects.begin(output, share);
  const missing = await missingIn(output, subjects, share);
  const failures = await FailureList.begin(output, shard);
  const cells = coupled ? wholeSubjects(share, missing) : missing;
  const textFeatures = await featuresFor(opened.model, request, cells.map((cell) => subjects.labelOf(cell)), {
    quiet,
    io,
  });
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
      recipes: recipes && { writer: recipes, variant: nameOf(search.hooks) },
      output,
      only: new Set(missing.map((cell) => subjects.fileOf(cell))),
      failures,
      progress,
      io,
    });
  } catch (error) {
    const images = plural(share.length, "image");
    notice(`${progress.done} of ${images} are in ${output}; the same command makes the others`);
    throw error;
  }
  progress.clear();
  if (!quiet) io.out(summary({ output, share, missing, failures, milliseconds: performance.now() - begun }));
  return failures;
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
