/**
 * `varscale run`: the published script's command line. All images of all classes, in a folder that can be
 * filled in several goes, by several processes, and in any order.
 *
 * @module
 */

import { FAMILIES, type Model } from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, UsageError } from "../io.ts";
import { load, modelPlace } from "../options/model_options.ts";
import type { Arguments } from "../options/options.ts";
import { checkRequest, requireClasses } from "../options/requests.ts";
import { scalingHook } from "../options/scaling_options.ts";
import { SERIES_OPTIONS } from "../options/series_options.ts";
import { duration, plural } from "../output/files.ts";
import { Progress } from "../output/progress.ts";
import { archiveOf, describeArchive, packImages, refuseArchive } from "../series/archive.ts";
import { fillFolder } from "../series/fill_folder.ts";
import { lockFolder } from "../series/folder_lock.ts";
import { OpenedModel } from "../series/opened_model.ts";
import {
  FailureList,
  missingIn,
  refuseDifferences,
  refuseStrangers,
  takeUp,
} from "../series/series_folder.ts";
import { type Cell, imageFile, knownDifferences, readSeriesRecord } from "../series/series_record.ts";
import { knownSettings, recordOfSeries, requestOf, settingsOf } from "../series/series_settings.ts";
import { shardName, shareOf, wholeClasses } from "../series/share.ts";

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
  options: SERIES_OPTIONS,
  examples: [
    "--vae_ckpt vae_ch160v4096z32.pth --var_ckpt var_d30.pth --output_dir out --enable_scaling",
    "--model var-d16 -o out --memory 20GB --shard 1/4",
    "--model hf:jiaosiyu1999/FlexVAR --depth 24 -o out -n 50 --batch auto --memory 20GB",
    "--model demo -o out -n 10 --npz",
  ],
  run: (args, io) => execute(args, io),
});

async function execute({ options, operands }: Arguments<typeof SERIES_OPTIONS>, io: Io): Promise<number> {
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
  const now = recordOfSeries(model, { place, settings, options });
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
