/**
 * `varscale run`: the published scripts' command lines. All images of all classes or prompts, in a folder
 * that can be filled in several goes, by several processes, and in any order.
 *
 * @module
 */

import { command } from "../command.ts";
import { type Io, say } from "../io.ts";
import { type Arguments, refuseOperands } from "../options/options.ts";
import { SERIES_OPTIONS } from "../options/series_options.ts";
import { plural } from "../output/words.ts";
import { archiveOf, describeArchive, packImages, refuseArchive } from "../series/archive.ts";
import { openPlace } from "../series/open_place.ts";
import { requireConsistent, SeriesWork } from "../series/series_work.ts";

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

async function execute(
  { options, operands }: Arguments<typeof SERIES_OPTIONS>,
  io: Io,
): Promise<number> {
  refuseOperands(operands, 0);
  const output = requireConsistent(options);
  const { npz = false, quiet = false, shard } = options;
  if (npz) await refuseArchive(archiveOf(output), false);
  const opened = await SeriesWork.open(options, () => openPlace(output, shard, io.signal), io);
  // The lock outlasts the model.
  await using place = opened.place;
  await using work = opened.work;
  const { failures } = await work.make(place, shard);
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
