/**
 * `varscale geneval`: pictures in GenEval's folders, held against their prompts, and results in the form of
 * its own script. The rules and the networks are left to `evaluation/`.
 *
 * @module
 */

import { dirname, join, resolve } from "node:path";
import {
  asksForColors,
  DEMO_DETECTOR,
  GENEVAL_COLORS,
  type GenEvalJudge,
  type GenEvalPicture,
  type GenEvalResult,
  type GenEvalScore,
  type GenEvalTable,
  genEvalTable,
  judgeName,
  loadColors,
  loadDetector,
  openGenEvalFolder,
  parseGenEvalResults,
  parseMetadata,
  requireKnown,
  ResultsLog,
  scorePictures,
} from "../../evaluation/mod.ts";
import { openDevice } from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, say, untilEnded, UsageError } from "../io.ts";
import { readPlaces, readText } from "../options/given_files.ts";
import { flag, text } from "../options/kinds.ts";
import { chooseDevice, chooseProvider, DEVICE_OPTIONS } from "../options/model_options.ts";
import { type Arguments, optionName, refuseOperands, section } from "../options/options.ts";
import { JSON_OPTION, quietOption } from "../options/output_options.ts";
import { asked, askedFor } from "../options/requests.ts";
import { formatJson } from "../output/format_json.ts";
import { Progress } from "../output/progress.ts";
import { Transfer } from "../output/transfer.ts";
import { exists, requireFolder } from "../output/whole_file.ts";
import { plural } from "../output/words.ts";
import { lockForReading } from "../series/folder_lock.ts";

const OPTIONS = {
  ...section("What to score", {
    metadata: {
      kind: text("FILE"),
      help:
        "GenEval's evaluation_metadata.jsonl, line by line for the folders from 00000 on: for folders that do not tell of their prompts, and a check of those that do",
    },
    allowMissing: {
      kind: flag,
      help: "Score what is there, where prompts have no pictures or fewer than others",
    },
    read: {
      kind: text("FILE"),
      help: "Show a results.jsonl instead, of GenEval's own script or of this command",
    },
  }),
  ...section("Who judges", {
    detector: {
      kind: text("PLACE"),
      help:
        `Who finds objects: the description of an ONNX detector, by path or URL, or ${DEMO_DETECTOR}, which is bundled and knows the solids of demo-t2i`,
    },
    colors: {
      kind: text("clip[:PLACE]|none"),
      help:
        "Who tells their colours: CLIP, of OpenAI or from a place, or nobody, so that prompts with colours are left out",
      defaultText: "the detector, if it can; otherwise clip",
    },
  }),
  ...DEVICE_OPTIONS,
  ...section("Output", {
    results: { kind: text("FILE"), help: "The results", defaultText: "results.jsonl in the folder" },
    overwrite: { kind: flag, help: "Begin anew, whatever results are there" },
    json: JSON_OPTION,
    quiet: quietOption("the table and errors"),
  }),
};

/** The command. */
export const geneval = command({
  usage: ["FOLDER --detector PLACE [OPTIONS]", "--read FILE [--json]"],
  description: [
    "FOLDER is as GenEval's scorer reads it, and as varscale run --metadata or any other program writes it: 00007/metadata.jsonl " +
    "with the prompt, 00007/samples/00000.png and so on. The results are in the form that GenEval's summary_scores.py reads; " +
    "what was interrupted goes on.",
    "GenEval's own detector runs in mmdet only. With any other one the results are GenEval-like: they compare methods that were " +
    "scored by the same detector, and are not to be compared with GenEval.",
    "Scores are the shares of pictures that are right, the overall one the mean of the kinds of prompts. " +
    "Intervals hold 95 % of what other prompts of the same kinds would give.",
  ],
  options: OPTIONS,
  examples: [
    `images --detector ${DEMO_DETECTOR}`,
    "images --detector rf-detr/detector.json --colors clip:clip-folder",
    "--read results.jsonl",
  ],
  run,
});

type Values = Arguments<typeof OPTIONS>["options"];

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { read, json = false } = options;
  if (read !== undefined) {
    refuseOperands(operands, 0);
    const others = ["metadata", "allowMissing", "detector", "colors", "results", "overwrite"] as const;
    const odd = others.find((name) => options[name] !== undefined && options[name] !== false);
    if (odd !== undefined) {
      throw new UsageError(`Option ${optionName(odd)} says how to score, and --read only shows results`);
    }
    const content = await readText(read);
    show(asked(() => genEvalTable(parseGenEvalResults(content, read))), json, io);
    return;
  }
  const [folder] = operands;
  if (folder === undefined) throw new UsageError("FOLDER is needed: GenEval's pictures; or --read FILE");
  refuseOperands(operands, 1);
  show(genEvalTable(await score(folder, options, io)), json, io);
}

/** Scores a folder as far as that has not been done. */
async function score(folder: string, options: Values, io: Io): Promise<readonly GenEvalResult[]> {
  const { metadata, allowMissing = false, detector: place, colors, overwrite = false } = options;
  const { results = join(folder, "results.jsonl"), quiet = false } = options;
  if (place === undefined) {
    throw new UsageError(
      `Option --detector is needed: the description of an ONNX detector, or ${DEMO_DETECTOR}`,
    );
  }
  if (colors !== undefined && !/^(none|clip(:.+)?)$/.test(colors)) {
    throw new UsageError(`Option --colors must be clip, clip:PLACE or none: current value is "${colors}"`);
  }
  const content = metadata === undefined ? undefined : await readText(metadata);
  const prompts = content === undefined ? {} : { prompts: asked(() => parseMetadata(content, metadata)) };
  if (!await exists(folder)) throw new UsageError(`Cannot read ${folder}: no such file`);
  using locks = await lockForReading(folder);
  if (locks === undefined) throw new Error(`Cannot score ${folder}: another process is at work there`);
  const all = await askedFor(() => openGenEvalFolder(folder, { allowMissing, ...prompts }));
  const pictures = colors === "none" ? all.filter(({ prompt }) => !asksForColors(prompt)) : all;
  if (pictures.length === 0) {
    throw new UsageError("Option --colors must not be none: all prompts name colours");
  }
  await requireFolder(dirname(resolve(results)), "--results");
  await using judge = await openJudge(place, pictures, options, io);
  await Deno.mkdir(dirname(resolve(results)), { recursive: true });
  using log = await askedFor(() =>
    ResultsLog.open(results, { judge: judgeName(judge), pictures, overwrite })
  );
  const done = log.results.length;
  const progress = new Progress(io, { total: pictures.length, done, quiet, noun: "picture" });
  try {
    for await (const result of scorePictures(log.missing, judge, { signal: io.signal })) {
      await log.append(result);
      progress.image();
      progress.batch();
      progress.draw("scoring");
    }
  } finally {
    progress.clear();
  }
  await log.finish();
  if (quiet) return log.results;
  const left = all.length - pictures.length;
  if (left > 0) say(io, `left out, as nobody tells colours: ${plural(left, "picture")}`);
  const before = done === 0 ? "" : `, ${done} of them from before`;
  say(io, `${plural(pictures.length, "result")} are in ${results}${before}`);
  return log.results;
}

/**
 * Loads who judges; the detector first, so that prompts with what nobody knows are refused before more is
 * loaded.
 */
async function openJudge(
  place: string,
  pictures: readonly GenEvalPicture[],
  { colors, device: choice, threads, cpuProvider, quiet = false }: Values,
  io: Io,
): Promise<GenEvalJudge & AsyncDisposable> {
  const notice = (text: string): void => {
    if (!quiet) say(io, text);
  };
  await using owned = new AsyncDisposableStack();
  const kind = choice === "auto" ? await chooseDevice(notice) : choice;
  const provider = kind === "cpu" ? await chooseProvider(cpuProvider, notice) : undefined;
  const common = {
    ...{ device: owned.use(await openDevice(kind)), signal: io.signal },
    ...(provider === undefined ? {} : { cpuProvider: provider }),
    ...(threads === undefined ? {} : { threads }),
  };
  notice(`loading ${place}`);
  const loading = readPlaces([place], () => askedFor(() => loadDetector(place, common)));
  const detector = owned.use(await untilEnded(io.signal, loading));
  const prompts = pictures.map(({ prompt }) => prompt);
  const needed = detector.colors === undefined && prompts.some(asksForColors) ? "clip" : "none";
  const painter = colors ?? needed;
  const known = painter === "none" ? {} : { colors: { colors: GENEVAL_COLORS } };
  asked(() => requireKnown(prompts, { detector, ...known }));
  if (painter === "none") return judgeOf({ detector }, owned.move());
  using transfer = new Transfer(io);
  const progress = quiet ? {} : { onProgress: transfer.report };
  notice(`loading ${painter}`);
  const painting = askedFor(() => loadColors(painter, { ...common, ...progress }));
  const classifier = owned.use(await untilEnded(io.signal, painting));
  return judgeOf({ detector, colors: classifier }, owned.move());
}

/** A judge that takes along what it needs. */
function judgeOf(judge: GenEvalJudge, owned: AsyncDisposableStack): GenEvalJudge & AsyncDisposable {
  return { ...judge, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Prints what results come to. */
function show(table: GenEvalTable, json: boolean, io: Io): void {
  if (json) {
    io.out(`${formatJson(table)}\n`);
    return;
  }
  const { title, judges, tags, overall, images, prompts, correctImages, correctPrompts } = table;
  const rows = [
    ...tags.map(({ tag, correct, images, ...score }) => [tag, ...cellsOf(score), `${correct} of ${images}`]),
    ["overall", ...cellsOf(overall), ""],
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd());
  const by = judges.length === 0 ? "" : `, judged by ${judges.join("; ")}`;
  io.out([
    `${title}${by}`,
    "",
    ...lines,
    "",
    `${percent(correctImages)} of ${plural(images, "picture")} are right; of ${percent(correctPrompts)} of ${
      plural(prompts, "prompt")
    } one is`,
    "",
  ].join("\n"));
}

/** A share with its interval. */
function cellsOf({ value, low, high }: GenEvalScore): [string, string] {
  return [value.toFixed(3), `${low.toFixed(3)} to ${high.toFixed(3)}`];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}
