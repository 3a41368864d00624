/**
 * `varscale gallery`: a page of each method on the bundled models, with pictures and what it costs and
 * changes. What is measured, and what stands on the pages, is left to the evaluation's door.
 *
 * @module
 */

import { GALLERY, type GalleryEntry, type GalleryProgress, makeGallery } from "../../evaluation/mod.ts";
import { command } from "../command.ts";
import { type Io, say, UsageError } from "../io.ts";
import { integer, text } from "../options/kinds.ts";
import { DEVICE_OPTIONS } from "../options/model_options.ts";
import { hookPlaces, openHooks } from "../options/own_hooks.ts";
import { type Arguments, refuseOperands, section } from "../options/options.ts";
import { askedFor } from "../options/requests.ts";
import { quietOption } from "../options/output_options.ts";
import { StatusLine } from "../output/status_line.ts";
import { requireFolder } from "../output/whole_file.ts";
import { list, plural } from "../output/words.ts";

const OPTIONS = {
  ...section("Gallery", {
    only: {
      kind: text("NAME,…"),
      help: `Methods that are measured, of ${
        list(GALLERY.map(({ name }) => name), "and")
      }; pages of others stay as they are`,
      defaultText: "all",
    },
    hook: {
      kind: hookPlaces,
      collects: true,
      help:
        "A hook of your own that gets a page like the others: a module that exports one, as for varscale generate; may be given again. Without --only, it alone is measured",
    },
    subjects: {
      kind: integer("N", 1),
      help: "Classes or captions of each model that are painted at most",
      defaultText: "all",
    },
    threads: DEVICE_OPTIONS.threads,
    cpuProvider: DEVICE_OPTIONS.cpuProvider,
  }),
  ...section("Output", {
    output: {
      kind: text("DIR"),
      short: "o",
      help: "Folder of the pages; numbers of an earlier gallery there are kept and replaced one by one",
      default: "out/gallery",
    },
    quiet: quietOption("errors"),
  }),
};

/** The command. */
export const gallery = command({
  usage: ["[OPTIONS]"],
  description: [
    "Every method paints the same subjects as plain sampling does, from the same random numbers, on both bundled models; networks that no method has seen say what differs. " +
    "Pairs of pictures are painted by WebAssembly, so that they are the same everywhere.",
  ],
  options: OPTIONS,
  examples: ["", "--only var-scaling,beam --subjects 16", "--hook './mine.ts?strength=2' --output mine"],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  refuseOperands(operands, 0);
  const { output, only, hook, subjects, threads, cpuProvider, quiet = false } = options;
  const own = await ownEntries(hook ?? []);
  const listed = only?.split(",").map((name) => name.trim());
  const names = own.length === 0 ? listed : [...listed ?? [], ...own.map(({ name }) => name)];
  const unknown = listed?.find((name) => !GALLERY.some((entry) => entry.name === name));
  if (unknown !== undefined) {
    throw new UsageError(
      `Option --only must be of ${
        list(GALLERY.map(({ name }) => name), "and")
      }: current value is "${unknown}"`,
    );
  }
  await requireFolder(output);
  const line = new StatusLine(io);
  let told = "";
  const onProgress = ({ method, model, pictures }: GalleryProgress): void => {
    const text = `${method} on ${model}`;
    if (io.terminal) line.draw(`${text}: ${plural(pictures, "picture")}`);
    else if (told !== text) say(io, text);
    told = text;
  };
  try {
    const { files, results } = await askedFor(() =>
      makeGallery({
        ...{ folder: output, cpuProvider, signal: io.signal },
        ...(names && { only: names }),
        more: own,
        ...(subjects !== undefined && { subjects }),
        ...(threads !== undefined && { threads }),
        ...(quiet ? {} : { onProgress }),
      })
    );
    line.clear();
    if (!quiet) io.out(`${files[0]}: ${plural(results.entries.length, "method")}\n`);
  } finally {
    line.clear();
  }
}

/** Entries of hooks of the reader's own, which say little of themselves. */
async function ownEntries(places: Parameters<typeof openHooks>[0]): Promise<readonly GalleryEntry[]> {
  return (await openHooks(places)).map(({ hook, record: { path, options } }) => {
    const query = new URLSearchParams(Object.entries(options).map(([name, value]) => [name, String(value)]));
    const place = query.size === 0 ? path : `'${path}?${query}'`;
    return {
      name: hook.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "") || "mine",
      title: hook.name,
      what: `A hook of your own, from ${path}.`,
      command: `--hook ${place}`,
      hooks: () => [hook],
    };
  });
}
