/**
 * `varscale report`: the page of a sweep made anew from its `results.json`, or its tables as Markdown. What
 * stands in it is left to the evaluation's door.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { parseSweepResults, reportMarkdown, reportPage } from "../../evaluation/mod.ts";
import { systemReason } from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, UsageError } from "../io.ts";
import { flag, integer, text } from "../options/kinds.ts";
import { type Arguments, refuseOperands, section } from "../options/options.ts";
import { OVERWRITE_OPTION, quietOption } from "../options/output_options.ts";
import { size } from "../output/units.ts";
import { exists, requireFolder, writeWhole } from "../output/whole_file.ts";
import { plural } from "../output/words.ts";

const OPTIONS = {
  ...section("Options", {
    output: {
      kind: text("FILE"),
      short: "o",
      help: "The page",
      defaultText: "report.html beside results.json; Markdown goes to standard output",
    },
    markdown: { kind: flag, help: "Tables as Markdown, without figures and pictures" },
    examples: { kind: integer("N", 0), help: "Pictures of each row in the page at most", default: 6 },
    overwrite: {
      ...OVERWRITE_OPTION,
      help: "Replace a file that is there already; an earlier report is replaced without it",
    },
    quiet: quietOption("errors, and Markdown"),
  }),
};

/** The command. */
export const report = command({
  usage: ["FOLDER|RESULTS.json [OPTIONS]"],
  description: [
    "The page needs no network, no scripts and no folder beside it: pictures and figures are in it. A sweep that " +
    "is not finished is shown as far as it is.",
  ],
  options: OPTIONS,
  examples: ["out/sweep", "out/sweep/results.json --output table.md --markdown"],
  run,
});

async function run({ options, operands, given }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const [place] = operands;
  if (place === undefined) {
    throw new UsageError("FOLDER is needed: the folder of a sweep, or its results.json");
  }
  refuseOperands(operands, 1);
  const { markdown = false, overwrite = false, quiet = false } = options;
  if (markdown && given.has("examples")) {
    throw new UsageError("--examples needs a page: Markdown has no pictures");
  }
  if (markdown && options.output === undefined && overwrite) {
    throw new UsageError("--overwrite needs --output: Markdown goes to standard output without it");
  }
  const path = await resultsIn(place);
  const folder = dirname(path);
  const output = options.output ?? (markdown ? undefined : join(folder, "report.html"));
  if (output !== undefined) {
    await requireFolder(dirname(output));
    await refuseOther(output, { overwrite, markdown });
  }
  const results = parseSweepResults(await readText(path), path);
  const content = markdown ? reportMarkdown(results) : await reportPage(results, {
    readExample: (example) => Deno.readFile(join(folder, example), { signal: io.signal }),
    examples: options.examples,
  });
  if (output === undefined) {
    io.out(content);
    return;
  }
  await Deno.mkdir(dirname(output), { recursive: true });
  io.signal.throwIfAborted();
  await writeWhole(output, content);
  if (quiet) return;
  const bytes = size(new TextEncoder().encode(content).length);
  const state = results.complete ? "" : ", of a sweep that is not finished";
  io.out(`${output}: ${plural(results.rows.length, "row")}, ${bytes}${state}\n`);
}

/** The file itself, or the one in a folder. */
async function resultsIn(place: string): Promise<string> {
  try {
    const { isDirectory } = await Deno.stat(place);
    if (!isDirectory) return place;
  } catch (error) {
    throw new UsageError(`Cannot read ${place}: ${systemReason(error)}`);
  }
  const path = join(place, "results.json");
  if (await exists(path)) return path;
  if (await exists(join(place, "plan.json"))) {
    throw new UsageError(
      `Cannot find results.json in ${place}: the sweep has not ended yet; ` +
        `varscale sweep ${
          join(place, "plan.json")
        } --output ${place} --results-only makes it of what is there`,
    );
  }
  throw new UsageError(`Cannot find results.json in ${place}: it is no folder of a sweep`);
}

async function readText(path: string): Promise<string> {
  const bytes = await Deno.readFile(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new RangeError(`Cannot read ${path} as it is no text in UTF-8`, { cause: error });
  }
}

/** Bytes in which a page says what made it. */
const HEAD = 1024;

/** Refuses to replace anything but an earlier page. */
async function refuseOther(
  path: string,
  { overwrite, markdown }: { readonly overwrite: boolean; readonly markdown: boolean },
): Promise<void> {
  if (overwrite || !await exists(path)) return;
  if (!markdown && await isReport(path)) return;
  throw new UsageError(`Cannot write ${path}: it exists; choose another --output, or --overwrite`);
}

async function isReport(path: string): Promise<boolean> {
  try {
    using file = await Deno.open(path);
    const head = new Uint8Array(HEAD);
    const count = await file.read(head) ?? 0;
    return new TextDecoder().decode(head.subarray(0, count)).includes(
      '<meta name="generator" content="varscale">',
    );
  } catch {
    // A folder, or what may not be read, is no page of ours.
    return false;
  }
}
