/**
 * `varscale sweep`: methods, settings and seeds compared on a model, by a plan in a file, by a paper's plan
 * or by options; in a folder that can be filled in several goes and by several processes.
 *
 * @module
 */

import { join, resolve } from "node:path";
import {
  GENEVAL_TAGS,
  parsePlan,
  presetPlan,
  reportPage,
  runSweep,
  SWEEP_METHODS,
  SWEEP_PRESETS,
  type SweepEstimate,
  type SweepPlan,
  type SweepProgress,
  type SweepResults,
  type SweepRow,
  type SweepSubjects,
} from "../../evaluation/mod.ts";
import { BUNDLED_MODELS, systemReason } from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, say, UsageError } from "../io.ts";
import { choice, flag, integer, type Kind, text, texts, toggle } from "../options/kinds.ts";
import { DEVICE_OPTIONS } from "../options/model_options.ts";
import { type Arguments, optionName, refuseOperands, section } from "../options/options.ts";
import { JSON_OPTION, quietOption } from "../options/output_options.ts";
import { absolute, hubPlace } from "../options/place.ts";
import { SERIES_OPTIONS } from "../options/series_options.ts";
import { printableLine } from "../output/printable.ts";
import { StatusLine } from "../output/status_line.ts";
import { duration } from "../output/units.ts";
import { requireFolder, writeWhole } from "../output/whole_file.ts";
import { list, plural } from "../output/words.ts";

/** Values of a setting, separated by commas: numbers, or words. */
const values: Kind<readonly (number | string)[]> = {
  placeholder: "A,B,…",
  parse: (value) => texts.parse(value).map((item) => Number.isNaN(Number(item)) ? item : Number(item)),
};

/** Integers, separated by commas. */
const integers: Kind<readonly number[]> = {
  placeholder: "N,…",
  parse: (value) => texts.parse(value).map((item) => integer("N", 0).parse(item)),
};

/** Places by names. */
const places: Kind<Readonly<Record<string, string>>> = {
  placeholder: "NAME=PLACE,…",
  parse: (value) =>
    Object.fromEntries(
      texts.parse(value).map((item) => {
        const [, name, place] = /^([^=]+)=(.+)$/s.exec(item) ?? [];
        if (place === undefined) {
          throw new RangeError('must be names with places, like "d30=var-d30,d16=var-d16"');
        }
        return [name!, place];
      }),
    ),
};

/** Settings that options vary, by the names of the options. */
const VARIED = {
  samples: { kind: values, help: "Numbers N: candidates of VAR-Scaling, attempts and lanes of searches" },
  alphas: { kind: values, help: "Threshold factors of VAR-Scaling" },
  scales: { kind: values, help: "Scales on which VAR-Scaling searches" },
  strategies: { kind: values, help: "Strategies of VAR-Scaling" },
  representatives: { kind: values, help: "Numbers of candidates that VAR-Scaling keeps" },
  distances: { kind: values, help: "Distances of VAR-Scaling" },
  cfgs: { kind: values, help: "Strengths of guidance, for all methods" },
};

/** What the setting of a varied option is called. */
const SETTING: Readonly<Record<keyof typeof VARIED, string>> = {
  samples: "samples",
  alphas: "alpha",
  scales: "scale",
  strategies: "strategy",
  representatives: "representatives",
  distances: "distance",
  cfgs: "cfg",
};

/** Options that make a plan where there is neither a file nor a name of one. */
const OWN_PLAN = {
  methods: { kind: texts, help: `Methods: ${list(SWEEP_METHODS, "and")}`, defaultText: "plain,var-scaling" },
  ...VARIED,
  labels: { kind: texts, help: "Classes by number or name", defaultText: "all" },
  count: { kind: integer("N", 1), help: "Pictures of each subject and seed", defaultText: "1" },
  limit: {
    kind: integer("N", 1),
    help: "So many subjects, evenly spread; also of a preset",
    defaultText: "all",
  },
  seeds: { kind: integers, help: "Seeds; also of a preset", defaultText: "0" },
  equal: {
    kind: choice(["n", "compute"]),
    help:
      "What N of a search means: n, its lanes; compute, that it gets the largest setting that costs no more than Best-of-N with N attempts",
    defaultText: "n",
  },
};

const OPTIONS = {
  ...section("Plan", {
    preset: {
      kind: choice(SWEEP_PRESETS),
      help:
        "A plan by name: a table or figure of a paper with its published values, or bundled, all methods on the bundled models",
    },
    model: {
      kind: text("PLACE"),
      short: "m",
      help: "The model; with a preset, the same rows on this model instead of the paper's",
      defaultText: "demo",
    },
    prompts: {
      kind: text("FILE"),
      help:
        "Prompts, for a model that takes texts: a line each, or GenEval's metadata; demo-t2i means the captions that come with that model",
    },
    ...OWN_PLAN,
  }),
  ...section("Judging", {
    network: {
      kind: text("PLACE"),
      help: "Network that features and logits are taken by, like inception-fid:FILE",
      defaultText: "that of a bundled model",
    },
    reference: { kind: text("FILE"), help: "Reference statistics of that network" },
    detector: {
      kind: text("PLACE"),
      help: "Detector that holds pictures against GenEval's metadata, as for varscale geneval",
      defaultText: "that of demo-t2i",
    },
    colors: {
      kind: text("clip[:PLACE]"),
      help: "Who tells the colours of what it finds, if it does not",
      defaultText: "clip",
    },
  }),
  ...section("What runs", {
    weights: { kind: places, help: "Where models of a plan are, by their names in it" },
    shard: {
      ...SERIES_OPTIONS.shard,
      help: "Only part I of N of the pictures; whoever finds all parts joins them",
    },
    resultsOnly: { kind: flag, help: "Paint nothing: results of what is there" },
    device: {
      ...DEVICE_OPTIONS.device,
      kind: choice(["cpu", "webgpu"]),
      help: "Where to run",
      default: "cpu" as const,
    },
    threads: DEVICE_OPTIONS.threads,
    cpuProvider: DEVICE_OPTIONS.cpuProvider,
  }),
  ...section("Output", {
    output: {
      kind: text("DIR"),
      short: "o",
      help:
        "Folder of the sweep: records, results.json, results.csv, report.html, examples. One that is there is gone on with",
    },
    report: { kind: toggle, help: "Make report.html; --no-report leaves it out", defaultText: "on" },
    json: JSON_OPTION,
    quiet: quietOption("errors and the results"),
  }),
};

type Options = Arguments<typeof OPTIONS>["options"];

/** The command. */
export const sweep = command({
  usage: [
    "PLAN.json --output DIR [OPTIONS]",
    "--preset NAME --output DIR [OPTIONS]",
    "--model PLACE --methods NAME,… --output DIR [OPTIONS]",
  ],
  description: [
    "All rows paint the same subjects from the same random numbers. A sweep that was interrupted goes on when it is started " +
    "again; a folder of another plan is refused. Rows of models without weights stand in the results with the reason, and are painted " +
    "when a later run says where the weights are.",
    "Expected seconds are told before a model paints, from counted operations and the speed of some plain pictures.",
  ],
  options: OPTIONS,
  examples: [
    "--preset bundled -o out/bundled",
    "--preset table2 --weights d30=var-d30 --network inception-fid:inception.pth --reference imagenet.npz -o out/table2",
    "--preset table2 --model demo -o out/table2-demo",
    "--model demo --methods plain,var-scaling,best-of-n --samples 10,20 --seeds 1,2 --limit 16 -o out/look",
    "plan.json -o out/mine --shard 1/2",
  ],
  run,
});

async function run(args: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { options } = args;
  const { output, weights, shard, threads, device, cpuProvider, json = false, quiet = false } = options;
  if (output === undefined) throw new UsageError("Option --output is needed: the folder of the sweep");
  if (options.resultsOnly === true) {
    const idle = (["weights", "shard", "device", "threads", "cpuProvider"] as const).find((name) => {
      return args.given.has(name);
    });
    if (idle !== undefined) {
      throw new UsageError(`Option ${optionName(idle)} and --results-only exclude each other: nothing runs`);
    }
  }
  const plan = await planOf(args);
  requireNames(plan, weights ?? {});
  await requireFolder(output);
  using watch = new Watch(io);
  const results = await runSweep(plan, {
    ...{ folder: output, device, cpuProvider, signal: io.signal, paint: options.resultsOnly !== true },
    ...(weights === undefined ? {} : { weights: mapValues(weights, placeOf) }),
    ...(shard === undefined ? {} : { shard }),
    ...(threads === undefined ? {} : { threads }),
    ...(quiet ? {} : { onEstimate: watch.estimate, onProgress: watch.progress }),
  });
  if (options.report !== false) {
    const page = await reportPage(results, { readExample: (path) => Deno.readFile(join(output, path)) });
    await writeWhole(join(output, "report.html"), page);
  }
  watch.clear();
  io.out(json ? `${JSON.stringify(results)}\n` : summaryOf(results, output));
}

/** The plan that the command line names, whole or by options. */
async function planOf({ options, operands, given }: Arguments<typeof OPTIONS>): Promise<SweepPlan> {
  const [file] = operands;
  refuseOperands(operands, 1);
  const { preset, model, prompts, network, reference, detector, colors } = options;
  if (file !== undefined && preset !== undefined) {
    throw new UsageError("Option --preset and a file of a plan exclude each other");
  }
  const free = preset === undefined ? [] : ["limit", "seeds"];
  const own = Object.keys(OWN_PLAN).find((name) => {
    return given.has(name as keyof typeof OPTIONS) && !free.includes(name);
  });
  const whole = file !== undefined ? "a file of a plan" : preset !== undefined ? "--preset" : undefined;
  if (whole !== undefined && own !== undefined) {
    throw new UsageError(`Option ${optionName(own)} and ${whole} exclude each other, as the plan says it`);
  }
  if (file !== undefined && (model ?? prompts) !== undefined) {
    throw new UsageError(
      `Option --${model === undefined ? "prompts" : "model"} and a file of a plan exclude each other`,
    );
  }
  const plan = refused(() => {
    if (preset === undefined) return file === undefined ? ownPlan(options) : undefined;
    return presetPlan(preset, model === undefined ? {} : { model: placeOf(model) });
  }) ?? await readPlan(file!);
  const asked = {
    ...(network === undefined ? {} : { network }),
    ...(reference === undefined ? {} : { reference: absolute(reference) }),
    ...(detector === undefined ? {} : { detector }),
    ...(colors === undefined ? {} : { colors }),
  };
  if (preset === undefined) return refused(() => parsePlan({ ...plan, ...asked }));
  const { limit, seeds = plan.seeds } = options;
  const change = (subjects: SweepSubjects = {}): SweepSubjects => ({
    ...subjects,
    ...(limit === undefined ? {} : { limit }),
    ...(prompts === undefined ? {} : { file: promptsPlace(prompts) }),
  });
  const models = plan.models.map((model) => ({
    ...model,
    ...(model.subjects === undefined ? {} : { subjects: change(model.subjects) }),
  }));
  return refused(() => parsePlan({ ...plan, ...asked, models, seeds, subjects: change(plan.subjects) }));
}

async function readPlan(path: string): Promise<SweepPlan> {
  let content: string;
  try {
    content = await Deno.readTextFile(path);
  } catch (error) {
    throw new UsageError(`Cannot read ${path}: ${systemReason(error)}`);
  }
  try {
    return parsePlan(JSON.parse(content));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError)) {
      throw error;
    }
    throw new UsageError(`${path}: ${error.message}`, { cause: error });
  }
}

/** The plan that options spell out. */
function ownPlan(options: Options): SweepPlan {
  const { model = "demo", prompts, methods = ["plain", "var-scaling"], labels, count, limit } = options;
  const given = Object.entries(SETTING).flatMap(([option, setting]) => {
    const values = options[option as keyof typeof VARIED];
    return values === undefined ? [] : [{ option, setting, values }];
  });
  for (const { option, setting } of given) {
    if (methods.some((method) => has(method, setting))) continue;
    throw new UsageError(`Option ${optionName(option)} is of none of the methods ${list(methods, "and")}`);
  }
  const place = placeOf(model);
  const subjects = {
    ...(prompts === undefined ? {} : { file: promptsPlace(prompts) }),
    ...(labels === undefined ? {} : { labels: labels.flatMap(classesIn) }),
    ...(prompts === undefined && place === "demo-t2i" ? { file: place } : {}),
    ...(count === undefined ? {} : { count }),
    ...(limit === undefined ? {} : { limit }),
  };
  return parsePlan({
    title: `${list(methods, "and")} on ${model}`,
    models: [{ name: model.split("/").filter((part) => part !== "").at(-1) ?? model, place }],
    subjects,
    ...(options.seeds === undefined ? {} : { seeds: options.seeds }),
    ...(options.equal === undefined ? {} : { equal: options.equal }),
    methods: methods.map((method) => ({
      method,
      vary: Object.fromEntries(
        given.filter(({ setting }) => has(method, setting)).map(({ setting, values }) => [setting, values]),
      ),
    })),
  });
}

/** Whether a method has a setting that options vary. */
function has(method: string, setting: string): boolean {
  if (setting === "cfg") return true;
  if (setting === "samples") return method !== "plain";
  return method.startsWith("var-scaling");
}

/** Classes by number, ranges of them, or a name. */
function classesIn(item: string): (number | string)[] {
  const [, first, last = first] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(item) ?? [];
  if (first === undefined) return [item];
  if (Number(last) < Number(first)) {
    throw new UsageError(`Option --labels: the range ${item} ends before it begins`);
  }
  return Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i);
}

/** What is wrong with a plan is wrong with the command line. */
function refused<Result>(make: () => Result): Result {
  try {
    return make();
  } catch (error) {
    if (error instanceof UsageError || !(error instanceof TypeError || error instanceof RangeError)) {
      throw error;
    }
    throw new UsageError(error.message, { cause: error });
  }
}

function requireNames({ models }: SweepPlan, weights: Readonly<Record<string, string>>): void {
  const names = models.map(({ name }) => name);
  const unknown = Object.keys(weights).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new UsageError(
    `Option --weights names "${unknown}", and the plan's models are ${list(names, "and")}`,
  );
}

/** A place of a model that means the same from everywhere. */
function placeOf(place: string): string {
  return Object.hasOwn(BUNDLED_MODELS, place) || hubPlace(place) !== undefined ? place : absolute(place);
}

function promptsPlace(file: string): string {
  return file === "demo-t2i" ? file : resolve(file);
}

function mapValues(
  record: Readonly<Record<string, string>>,
  change: (value: string) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}

/** Milliseconds between two lines where there is no terminal. */
const INTERVAL = 10_000;

/** Tells a person how far a sweep has come. */
class Watch implements Disposable {
  readonly #io: Io;
  readonly #line: StatusLine;
  #told = -Infinity;

  constructor(io: Io) {
    this.#io = io;
    this.#line = new StatusLine(io);
  }

  readonly estimate = ({ model, pictures, seconds, missing }: SweepEstimate): void => {
    this.clear();
    for (const [reason, rows] of Map.groupBy(missing, ({ reason }) => reason)) {
      const [first] = rows;
      const what = rows.length === 1 ? first!.row : plural(rows.length, "row");
      say(this.#io, `${model}: ${what} left open: ${reason}`);
    }
    if (pictures === 0) return;
    say(this.#io, `${model}: ${plural(pictures, "picture")} to paint, about ${duration(1000 * seconds)}`);
  };

  readonly progress = ({ total, done, row, secondsLeft }: SweepProgress): void => {
    const facts = [`pictures ${done}/${total}`, `${duration(1000 * secondsLeft)} left`, row];
    if (this.#io.terminal) return this.#line.draw(facts.join("  "));
    if (performance.now() < this.#told + INTERVAL) return;
    this.#told = performance.now();
    say(this.#io, facts.join(", "));
  };

  clear(): void {
    this.#line.clear();
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}

/** Columns that only the page has room for. */
const TAGS: readonly string[] = GENEVAL_TAGS.map((tag) => tag.replaceAll("_", "-"));

function hasInterval({ metrics }: SweepRow): boolean {
  return Object.values(metrics).some(({ low }) => low !== undefined);
}

/** The results as a table, and where the rest is. */
function summaryOf(
  { title, complete, rows, models, metrics, intervals }: SweepResults,
  folder: string,
): string {
  const parts = models.map(({ name }) => {
    const own = rows.filter(({ model }) => model === name);
    const shown = metrics.filter(({ key }) => !TAGS.includes(key) && own.some((row) => key in row.metrics));
    const head = ["", "pictures", "cost", "s", ...shown.map(({ title }) => title)];
    const lines = own.map((row) => [
      printableLine(row.title),
      ...(row.missing === undefined
        ? [
          row.planned > 0 && row.pictures === row.planned
            ? `${row.pictures}`
            : `${row.pictures}/${row.planned || "?"}`,
          row.cost === undefined ? "" : `${row.cost.ratio.toFixed(2)}×`,
          row.cost === undefined ? "" : row.cost.seconds.toFixed(3),
          ...shown.map(({ key }) => {
            const measured = row.metrics[key];
            if (measured === undefined) return "";
            const { value, low, high } = measured;
            return low === undefined
              ? value.toFixed(3)
              : `${value.toFixed(3)} [${low.toFixed(3)}, ${high!.toFixed(3)}]`;
          }),
        ]
        : ["–"]),
    ]);
    return [`${printableLine(name)}\n`, aligned([head, ...lines])].join("");
  });
  const brackets = intervals === undefined || !rows.some(hasInterval)
    ? ""
    : `Brackets: intervals of ${100 * intervals.confidence} %.\n`;
  const state = complete ? "" : "Some pictures are not there yet: start it again, or its other parts.\n";
  return `${[printableLine(title) + "\n", ...parts].join("\n")}\n${brackets}${state}${
    join(folder, "results.json")
  }\n`;
}

/** Cells in columns, the first to the left, the others to the right. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => (row[i] ?? "").length)));
  return rows.map((row) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ").trimEnd() +
    "\n"
  ).join("");
}
