/**
 * `varscale npz`: the images of a folder as one NumPy archive, the form in which the usual evaluator of FID
 * and Inception Score reads them.
 *
 * @module
 */

import { dirname } from "node:path";
import { command } from "../command.ts";
import { type Io, UsageError } from "../io.ts";
import { choice, flag, integer, seed, text } from "../options/kinds.ts";
import { type Arguments, refuseOperands, section } from "../options/options.ts";
import { quietOption } from "../options/output_options.ts";
import { requireFolder } from "../output/whole_file.ts";
import { archiveOf, describeArchive, packImages, refuseArchive } from "../series/archive.ts";
import { lockForReading } from "../series/folder_lock.ts";

const OPTIONS = {
  ...section("Options", {
    output: {
      kind: text("FILE"),
      short: "o",
      help: "The archive",
      defaultText: "beside the folder, with its name and .npz",
    },
    expect: { kind: integer("N", 1), help: "Number of images that there must be" },
    order: {
      kind: choice(["shuffled", "name"]),
      help:
        "Order of the images: shuffled, or by name (numbers by value). The evaluator takes the Inception Score of every 5000 images in a row, which means something only if each 5000 hold all classes",
      default: "shuffled",
    },
    seed: { kind: seed, short: "s", help: "Seed of the shuffled order", default: 0 },
    overwrite: { kind: flag, help: "Replace the archive if it is there already" },
    quiet: quietOption("errors"),
  }),
};

/** The command. */
export const npz = command({
  usage: ["DIR [OPTIONS]"],
  description: [
    "The archive holds one array, arr_0, of bytes: images, rows, columns, and red, green, blue. The images that the folder's " +
    "record tells of go into it, without previews, sheets, and the source and region of an edit; all PNG files where there is no record. " +
    "All must have the same size, and it is an error if one is missing or of another run, or if another process is at work there.",
    "The shuffled order is always the same for the same number of images and the same seed.",
  ],
  options: OPTIONS,
  examples: ["out --expect 50000", "out --order name --output images.npz"],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const [folder] = operands;
  if (folder === undefined) throw new UsageError("DIR is needed: the folder with the images");
  refuseOperands(operands, 1);
  const { output = archiveOf(folder), expect, order, overwrite, quiet = false } = options;
  await requireFolder(dirname(output));
  await refuseArchive(output, overwrite ?? false);
  await Deno.mkdir(dirname(output), { recursive: true });
  using locks = await lockForReading(folder);
  if (locks === undefined) throw new Error(`Cannot pack ${folder}: another process is at work there`);
  const { images, shape } = await packImages(folder, output, {
    ...(expect === undefined ? {} : { expect }),
    order,
    seed: options.seed,
    quiet,
    io,
  });
  if (!quiet) io.out(describeArchive(output, images, shape));
}
