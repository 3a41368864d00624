/**
 * `varscale run`: the published script's command line. All images of all classes, in a folder that can be
 * filled in several goes, by several processes, and in any order.
 *
 * @module
 */

import { FAMILIES, type GenerateRequest, type Model, type ModelOutline } from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, say, UsageError } from "../io.ts";
import { load, type ModelPlace, modelPlace } from "../options/model_options.ts";
import { type Arguments, refuseOperands } from "../options/options.ts";
import { checkOutline, checkRequest } from "../options/requests.ts";
import { samplingRequest } from "../options/sampling_options.ts";
import { SERIES_OPTIONS, type SeriesValues } from "../options/series_options.ts";
import { printableLine } from "../output/printable.ts";
import { Progress } from "../output/progress.ts";
import { requireFolder } from "../output/whole_file.ts";
import { duration } from "../output/units.ts";
import { plural } from "../output/words.ts";
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
  type Cell,
  imageFile,
  knownDifferences,
  readSeriesRecord,
  type SeriesRecord,
} from "../series/series_record.ts";
import {
  extentOf,
  isCoupled,
  knownSettings,
  recordOfSeries,
  requestOf,
  settingsOf,
} from "../series/series_settings.ts";
import { shareOf, wholeClasses } from "../series/share.ts";

/** The command. */
export const run = command({
  usage: ["--vae-ckpt FILE --var-ckpt FILE --output DIR [OPTIONS]", "--model PLACE --output DIR [OPTIONS]"],
  description: [
    "The command line of the published script works as it stands, with underscores or dashes. Without --preset the settings are its own, " +
    "or for a model that it does not know those of its authors' experiments, but candidates are independent and the bandwidth is each image's own, so that no image depends on another. With --preset " +
    "published, the search does what the released code does; as its bandwidth couples the images of a class, a class is then always one batch.",
    "A run that was interrupted goes on when it is started again with the same settings; more classes or more images per class can be " +
    "added that way. An image that fails is tried once more and then listed in failed.json; the run goes on, and ends with code 1.",
  ],
  options: SERIES_OPTIONS,
  examples: [
    "--vae_ckpt vae_ch160v4096z32.pth --var_ckpt var_d30.pth --output_dir out --enable_scaling",
    "--model var-d16 -o out --memory 20GB --shard 1/4",
    "--model hf:jiaosiyu1999/FlexVAR --depth 24 -o out -n 50 --batch auto --memory 20GB",
    "--model demo -o out -n 10 --npz",
  ],
  run: execute,
});

async function execute(args: Arguments<typeof SERIES_OPTIONS>, io: Io): Promise<number> {
  const { options } = args;
  const output = requireConsistent(args);
  const place = modelPlace(options) ?? { folder: "demo" };
  const { npz = false, quiet = false } = options;
  await requireFolder(output);
  if (npz) await refuseArchive(archiveOf(output), false);
  await using _folder = await openSeriesFolder(output, options.shard);
  const before = await recordBefore(output, options);
  const check = (outline: ModelOutline): void => {
    checkOutline(outline, samplingRequest(options));
    const now = extentOf(outline, options);
    if (before === undefined) return;
    refuseDifferences(output, extentDifferences({ before, now }, isCoupled(options)));
  };
  await using opened = await OpenedModel.open(() => load(place, options, io, check));
  const request = requestOf(opened.model, options);
  const record = await recordNow(output, { before, model: opened.model, request, place, options, io });
  const failures = await makeMissing(output, { opened, request, record, options, io });
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
  const { output, shard, npz, batch, numImagesPerClass } = options;
  refuseOperands(operands, 0);
  if (output === undefined) throw new UsageError("Option --output is needed: the folder for the images");
  if (npz && shard !== undefined) {
    throw new UsageError(
      "Options --npz and --shard exclude each other: pack the folder when all parts are done",
    );
  }
  if (isCoupled(options) && batch !== undefined && batch !== numImagesPerClass) {
    throw new UsageError(
      `Option --batch must be left out, as --bandwidth batch couples all images of a class: current value is ${batch}`,
    );
  }
  return output;
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
    readonly place: ModelPlace;
    readonly options: SeriesValues;
    readonly io: Io;
  },
): Promise<SeriesRecord> {
  const { before, model, request, place, options, io } = facts;
  const settings = settingsOf(options, model, checkRequest(model, request));
  const now = recordOfSeries(model, { place, settings, options });
  for (const warning of await takeUp(output, { before, now }, isCoupled(options))) {
    say(io, `warning: ${warning}`);
  }
  return now;
}

/** Makes what the folder lacks of this process's share. */
async function makeMissing(
  output: string,
  facts: {
    readonly opened: OpenedModel;
    readonly request: GenerateRequest;
    readonly record: SeriesRecord;
    readonly options: SeriesValues;
    readonly io: Io;
  },
): Promise<FailureList> {
  const { opened, request, record, options, io } = facts;
  const { shard, quiet = false } = options;
  const coupled = isCoupled(options);
  const share = shareOf(record, shard, coupled);
  const missing = await missingIn(output, share);
  const failures = await FailureList.begin(output, shard);
  const progress = new Progress(io, { total: share.length, done: share.length - missing.length, quiet });
  const notice = (line: string): void => {
    progress.clear();
    if (!quiet) say(io, line);
  };
  const begun = performance.now();
  try {
    await fillFolder(coupled ? wholeClasses(share, missing) : missing, {
      model: opened.model,
      reopen: async (lost) => {
        notice(lost.message);
        return await opened.reopen();
      },
      request,
      sharedNoise: record.settings.sharedNoise,
      output,
      only: new Set(missing.map(imageFile)),
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
