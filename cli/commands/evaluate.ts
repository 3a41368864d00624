/**
 * `varscale evaluate`: how good pictures are, by the metrics of the field.
 *
 * @module
 */

import { dirname, resolve } from "node:path";
import {
  type Compared,
  compareEvaluations,
  evaluatePictures,
  type EvaluateRequest,
  type Evaluation,
  type InceptionScoreOptions,
  judgeOfModel,
  type KeptRows,
  loadMetricNetwork,
  type Measured,
  type MetricName,
  type MetricNetwork,
  METRICS,
  openBundledReference,
  openPictures,
  openReference,
  type PictureSource,
  readRows,
  type Reference,
  runVariants,
  writeReference,
  writeRows,
} from "../../evaluation/mod.ts";
import {
  type CpuProvider,
  type Device,
  type LoadNetworkOptions,
  loadVerifier,
  openDevice,
  type Verifier,
} from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, say, untilEnded, UsageError } from "../io.ts";
import { choice, inputFile, integer, seed, text, texts, toggle } from "../options/kinds.ts";
import { chooseDevice, chooseProvider, DEVICE_OPTIONS } from "../options/model_options.ts";
import { type Arguments, optionName, section, type Values } from "../options/options.ts";
import { JSON_OPTION, OVERWRITE_OPTION, quietOption } from "../options/output_options.ts";
import { readPrompts } from "../options/prompts.ts";
import { columns } from "../output/columns.ts";
import { formatJson } from "../output/format_json.ts";
import { Progress } from "../output/progress.ts";
import { Transfer } from "../output/transfer.ts";
import { exists, requireFolder, writeWhole } from "../output/whole_file.ts";
import { list, plural } from "../output/words.ts";
import { VERSION } from "../version.ts";

const OPTIONS = {
  ...section("Metrics", {
    metrics: {
      kind: texts,
      help: `Which: ${list(METRICS, "and")}`,
      defaultText: "fid, is, sfid, accuracy and clip, as far as network, reference and pictures allow them",
    },
    network: {
      kind: text("NAME"),
      short: "n",
      help:
        "Who looks at the pictures: inception-fid, clip, dinov2, inception, each also as NAME:PLACE with the place of its files; demo-oracle or demo-t2i-oracle; the description of an ONNX network; or none, where --verifier is all that is asked",
      defaultText: "the oracle of the bundled model that painted them, inception-fid for all other pictures",
    },
    verifier: {
      kind: text("PLACE"),
      help:
        "Who judges the pictures besides, for the mean of its scores: image-reward, clip, aesthetic:PLACE or the description of an ONNX network, as for varscale generate",
    },
    verifierTemplate: {
      kind: text("TEXT"),
      help: 'The text for a class, for a verifier that compares with texts: "a photo of a {label}"',
    },
    resize: {
      kind: choice(["tensorflow", "pytorch", "clean"]),
      help:
        "How inception-fid gets its 299 pixels: as guided-diffusion and torch-fidelity, as pytorch-fid, or as clean-fid",
      defaultText: "tensorflow",
    },
    reference: {
      kind: text("PLACE"),
      short: "r",
      help:
        "Real pictures, as a folder or archive, or what the network says of them: an archive with mu and sigma, or a file of --write-features",
      defaultText: "for the bundled models the one that comes with them",
    },
    prompts: {
      kind: inputFile,
      help:
        "Prompts of the pictures, from a file or, for -, from standard input, in the order of their names, one in each line or as JSON",
      defaultText: "those of the run",
    },
    chunk: {
      kind: integer("N", 1),
      help: "Pictures of each part of the Inception Score; guided-diffusion takes 5000",
    },
    splits: { kind: integer("N", 1), help: "Parts of the Inception Score instead", defaultText: "10" },
    order: {
      kind: choice(["shuffled", "as-is"]),
      help: "Order in which the Inception Score takes the pictures",
      defaultText: "shuffled for folders, as it is for archives",
    },
    seed: {
      kind: seed,
      short: "s",
      help: "Seed of the shuffled order; with it archives are shuffled, too",
      defaultText: "0",
    },
    prDistances: {
      kind: choice(["f32", "f16"]),
      help: "Distances of precision and recall: exact, or rounded as guided-diffusion's evaluator has them",
      defaultText: "f32",
    },
    intervals: {
      kind: toggle,
      help: "Intervals of 95 % for all metrics that have them",
      defaultText: "where they take seconds",
    },
  }),
  ...section("Output", {
    output: { kind: text("FILE"), short: "o", help: "JSON file with all values, beside what is printed" },
    writeFeatures: {
      kind: text("FILE"),
      help:
        "Keep what the network says of the pictures in a .safetensors, for --features and --reference; the same command goes on where it was interrupted",
    },
    features: {
      kind: text("FILE"),
      help: "Take what the network said of the same pictures from this file of --write-features",
    },
    writeReference: {
      kind: text("FILE"),
      help:
        "Write mean, covariance and features of these pictures as an .npz for --reference and other tools",
    },
    overwrite: OVERWRITE_OPTION,
    json: JSON_OPTION,
    quiet: quietOption("the result and errors"),
  }),
  ...DEVICE_OPTIONS,
};

/** The command. */
export const evaluate = command({
  usage: ["PICTURES... [OPTIONS]"],
  description: [
    "PICTURES is a folder of PNG, JPEG and WebP files, a folder with a folder for each class, the folder of a run of varscale, or a NumPy archive with arr_0, " +
    "and classes in arr_1 if they are known. Of a run only its finished pictures count, each variant for itself. " +
    "Several are compared with the first, picture by picture where they have the same names.",
    "Numbers are those of the tools that papers use, of as many pictures: the FID of few pictures is larger than that of many, and the Inception Score smaller. " +
    "Brackets are intervals of 95 %. A reference of another network is refused.",
    "inception-fid comes from its release, 95 MB each time. Download pt_inception-2015-12-05-6726825d.pth once, and give it as --network inception-fid:FILE.",
  ],
  options: OPTIONS,
  examples: [
    "out",
    "samples.npz --reference VIRTUAL_imagenet256_labeled.npz --metrics fid,is,sfid,pr --chunk 5000",
    "out --network inception-fid:pt_inception-2015-12-05-6726825d.pth --reference photos --resize pytorch",
    "photos --network dinov2 --metrics diversity --write-reference photos.npz",
    "plain scaling --metrics accuracy --json",
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { quiet = false, json = false, output } = options;
  if (operands.length === 0) throw new UsageError("PICTURES is needed: a folder, a run or an archive");
  const metrics = options.metrics?.map((name) => metricNamed(name));
  if (options.chunk !== undefined && options.splits !== undefined) {
    throw new UsageError("Options --chunk and --splits exclude each other");
  }
  if (options.verifierTemplate !== undefined && options.verifier === undefined) {
    throw new UsageError("Option --verifier-template needs --verifier");
  }
  if (options.network === NOBODY) {
    const { verifier, features, writeFeatures, writeReference } = options;
    const others = [metrics, features, writeFeatures, writeReference, options.reference];
    if (verifier === undefined || others.some((option) => option !== undefined)) {
      throw new UsageError("Option --network none goes with --verifier and without metrics");
    }
  }
  if (options.features !== undefined && options.writeFeatures !== undefined) {
    throw new UsageError("Options --features and --write-features exclude each other");
  }
  refuseUnused(options, metrics);
  await requireOutputs(options);
  for (
    const place of [
      ...operands,
      ...[options.reference, options.features].filter((path) => path !== undefined),
    ]
  ) {
    if (!await exists(place)) throw new UsageError(`Cannot read ${place}: no such file or folder`);
  }
  const sources = (await Promise.all(operands.map((place) => openAll(place, io.signal)))).flat();
  if (sources.length > 1) refuseForSeveral(options);
  const chosen = networkOf(options.network, sources);
  const notice = (sentence: string): void => {
    if (!quiet) say(io, sentence);
  };
  const kind = options.device === "auto" ? await chooseDevice(notice) : options.device;
  using device = await openDevice(kind);
  const cpuProvider = kind === "cpu" ? await chooseProvider(options.cpuProvider, notice) : undefined;
  const loading = { device, ...(cpuProvider && { cpuProvider }), options, io, notice };
  await using network = await loadNetwork(chosen, loading);
  await using verifier = await verifierOf(loading);
  const reference = await referenceOf(options.reference, network, io.signal);
  const prompts = options.prompts === undefined
    ? undefined
    : (await readPrompts(options.prompts, io)).map(({ prompt }) => prompt);
  const kept = options.features === undefined ? undefined : await readRows(options.features, {
    network,
    pictures: sources[0]!.source.fingerprint,
    signal: io.signal,
  });
  const evaluations: NamedEvaluation[] = [];
  for (const { title, source } of sources) {
    using progress = new EvaluationProgress(io, quiet);
    const evaluation = await evaluatePictures({
      pictures: source,
      network,
      ...(verifier && { verifier }),
      inceptionScore: partsOf(options, source),
      ...(metrics && { metrics }),
      ...(reference && { reference }),
      ...(prompts && { prompts }),
      ...(kept && { kept }),
      ...(options.prDistances !== undefined && { distances: options.prDistances }),
      ...(options.intervals !== undefined && { intervals: options.intervals }),
      ...keptOf(options, network, kept),
      signal: io.signal,
      onProgress: progress.report,
    });
    const [plain] = evaluations;
    const differences = plain === undefined ? {} : compareEvaluations(evaluation, plain.evaluation);
    evaluations.push({ title, evaluation, differences });
  }
  const [first] = evaluations as [NamedEvaluation];
  if (options.writeFeatures !== undefined) await writeRows(options.writeFeatures, first.evaluation.kept);
  if (options.writeReference !== undefined) {
    await writeReference(options.writeReference, first.evaluation.statistics);
  }
  const content = reportOf(evaluations);
  if (output !== undefined) await writeWhole(output, `${formatJson(content)}\n`);
  // Whatever fails before, a full disk say, nothing has to be looked at again.
  if (options.writeFeatures !== undefined) {
    await Deno.remove(journalOf(options.writeFeatures)).catch(() => {});
  }
  io.out(json ? `${formatJson(content)}\n` : showAll(evaluations));
}

/** What is kept for files beyond what metrics need. */
function keptOf(
  { writeFeatures, writeReference }: Values<typeof OPTIONS>,
  { outputs }: MetricNetwork,
  kept: KeptRows | undefined,
): Pick<EvaluateRequest, "keep" | "moments" | "journal"> {
  return {
    // Those of places are not kept: 2023 numbers that only sFID needs, of which the moments are enough.
    keep: outputs.filter((output) => {
      return writeFeatures !== undefined && output !== "spatial" ||
        writeReference !== undefined && output === "features";
    }),
    // A reference of what was kept has what was kept.
    ...(writeReference !== undefined && {
      moments: outputs.filter((output) => output !== "logits" && (kept === undefined || output in kept.rows)),
    }),
    ...(writeFeatures !== undefined && { journal: journalOf(writeFeatures) }),
  };
}

/** Where features are while they are not all there. */
function journalOf(writeFeatures: string): string {
  return `${writeFeatures}.part`;
}

function metricNamed(name: string): MetricName {
  const found = METRICS.find((metric) => metric === name.toLowerCase());
  if (found !== undefined) return found;
  throw new UsageError(
    `Option --metrics must be some of ${list(METRICS, "and")}: current value is "${name}"`,
  );
}

/** Options that say something of some metrics only. */
const ABOUT = {
  chunk: ["is"],
  splits: ["is"],
  order: ["is"],
  seed: ["is"],
  prDistances: ["pr"],
  reference: ["fid", "sfid", "kid", "pr"],
  prompts: ["clip", "diversity"],
} as const satisfies Partial<Record<keyof typeof OPTIONS, readonly MetricName[]>>;

/** Refuses what would say nothing. */
function refuseUnused(options: Values<typeof OPTIONS>, metrics: readonly MetricName[] | undefined): void {
  for (const [name, about] of Object.entries(ABOUT) as [keyof typeof ABOUT, readonly MetricName[]][]) {
    if (options[name] === undefined || metrics === undefined) continue;
    if (about.some((metric) => metrics.includes(metric))) continue;
    // A verifier is told what pictures should show.
    if (name === "prompts" && options.verifier !== undefined) continue;
    throw new UsageError(
      `Option ${optionName(name)} needs one of these in --metrics: ${about.join(", ")}`,
    );
  }
  if (options.seed !== undefined && options.order === "as-is") {
    throw new UsageError("Option --seed is about the shuffled order, and --order as-is is another");
  }
}

/** What is written must be writable before anything is looked at. */
async function requireOutputs(options: Values<typeof OPTIONS>): Promise<void> {
  const { output, writeFeatures, writeReference, overwrite = false } = options;
  for (const [name, path] of Object.entries({ output, writeFeatures, writeReference })) {
    if (path === undefined) continue;
    if (!overwrite && await exists(path)) {
      throw new UsageError(`Cannot write ${path}: it exists; choose another file, or --overwrite`);
    }
    if (name === "writeReference" && !/\.npz$/i.test(path)) {
      throw new UsageError(`Option --write-reference must end in .npz: current value is "${path}"`);
    }
    if (name === "writeFeatures" && !/\.safetensors$/i.test(path)) {
      throw new UsageError(`Option --write-features must end in .safetensors: current value is "${path}"`);
    }
    await requireFolder(dirname(resolve(path)), optionName(name));
    await Deno.mkdir(dirname(resolve(path)), { recursive: true });
  }
}

function refuseForSeveral(options: Values<typeof OPTIONS>): void {
  for (const name of ["features", "writeFeatures", "writeReference", "prompts"] as const) {
    if (options[name] === undefined) continue;
    throw new UsageError(`Option ${optionName(name)} goes with one set of pictures; there are several`);
  }
}

/** Pictures with what they are called. */
interface NamedSource {
  readonly title: string;
  readonly source: PictureSource;
}

/** The pictures of a place, each variant of a run for itself. */
async function openAll(place: string, signal: AbortSignal): Promise<NamedSource[]> {
  const variants = await runVariants(place);
  if (variants.length < 2) return [{ title: place, source: await openPictures(place, { signal }) }];
  return await Promise.all(variants.map(async (variant) => {
    return { title: `${place}, ${variant}`, source: await openPictures(place, { variant, signal }) };
  }));
}

/** The network that is meant: for the pictures of the bundled models their oracle. */
function networkOf(given: string | undefined, sources: readonly NamedSource[]): string {
  if (given !== undefined) return given;
  const judges = new Set(sources.map(({ source: { run } }) => run && judgeOfModel(run.model)));
  const [judge] = judges;
  return judges.size === 1 && judge !== undefined ? judge : "inception-fid";
}

/** The network of those who ask a verifier alone. */
const NOBODY = "none";

/** How networks are loaded here. */
interface Loading {
  readonly device: Device;
  readonly cpuProvider?: CpuProvider;
  readonly options: Values<typeof OPTIONS>;
  readonly io: Io;
  readonly notice: (sentence: string) => void;
}

async function loadNetwork(place: string, loading: Loading): Promise<MetricNetwork> {
  const { device, options: { resize } } = loading;
  if (place === NOBODY) {
    const look = () => Promise.reject(new RangeError("There is no network that looks"));
    return { name: NOBODY, fingerprint: NOBODY, outputs: [], device, look, async [Symbol.asyncDispose]() {} };
  }
  const from = place === "inception-fid"
    ? " from its release; --network inception-fid:FILE takes a file"
    : "";
  return await load(`${place}${from}`, loading, (common) => {
    return loadMetricNetwork(place, { ...common, ...(resize !== undefined && { resize }) });
  });
}

/** Who judges besides, if anybody. */
async function verifierOf(loading: Loading): Promise<(Verifier & AsyncDisposable) | undefined> {
  const { verifier: place, verifierTemplate: template } = loading.options;
  if (place === undefined) return undefined;
  return await load(place, loading, (common) => {
    return loadVerifier(place, { ...common, ...(template !== undefined && { template }) });
  });
}

/** Loads something; what cannot be had as it was asked for is a matter of the command line. */
async function load<Loaded extends AsyncDisposable>(
  title: string,
  { device, cpuProvider, options: { threads, quiet }, io, notice }: Loading,
  begin: (
    common: Pick<LoadNetworkOptions, "cpuProvider" | "threads" | "onProgress" | "signal"> & {
      readonly device: Device;
    },
  ) => Promise<Loaded>,
): Promise<Loaded> {
  notice(`loading ${title}`);
  using transfer = new Transfer(io);
  const begun = begin({
    device,
    ...(cpuProvider && { cpuProvider }),
    ...(threads !== undefined && { threads }),
    ...(quiet !== true && { onProgress: transfer.report }),
    signal: io.signal,
  });
  try {
    return await untilEnded(io.signal, begun);
  } catch (error) {
    // A name that no network has, or a way of resizing that this one has not.
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    throw new UsageError(error.message, { cause: error });
  }
}

async function referenceOf(
  given: string | undefined,
  network: MetricNetwork,
  signal: AbortSignal,
): Promise<Reference | undefined> {
  return given === undefined
    ? await openBundledReference(network, { signal })
    : await openReference(given, { signal });
}

/** How parts of the Inception Score are made. */
function partsOf(options: Values<typeof OPTIONS>, { place }: PictureSource): InceptionScoreOptions {
  const { chunk, splits, seed } = options;
  const { order = seed === undefined && /\.npz$/i.test(place) ? "as-is" : "shuffled" } = options;
  return {
    ...(chunk !== undefined && { chunk }),
    ...(splits !== undefined && { splits }),
    ...(order === "shuffled" && { seed: seed ?? 0 }),
  };
}

/** Tells how far an evaluation is: first what the reference needs, then the pictures. */
class EvaluationProgress implements Disposable {
  readonly #io: Io;
  readonly #quiet: boolean;
  #of: string | undefined;
  #progress: Progress | undefined;

  constructor(io: Io, quiet: boolean) {
    this.#io = io;
    this.#quiet = quiet;
  }

  readonly report = (
    { of, done, total }: { readonly of: string; readonly done: number; readonly total: number },
  ): void => {
    if (of !== this.#of) {
      this.#progress?.clear();
      this.#progress = new Progress(this.#io, { total, done, quiet: this.#quiet, noun: "picture" });
      this.#of = of;
      if (done > 0 && !this.#quiet) say(this.#io, `going on after ${plural(done, "picture")}`);
      return;
    }
    const progress = this.#progress!;
    while (progress.done < done) progress.image();
    progress.batch();
    progress.draw(of);
  };

  [Symbol.dispose](): void {
    this.#progress?.clear();
  }
}

/** An evaluation with the name of its pictures. */
interface NamedEvaluation {
  readonly title: string;
  readonly evaluation: Evaluation;
  /** Differences to the first pictures, where they go in pairs. */
  readonly differences: Readonly<Record<string, Compared>>;
}

/** What is written: all that is known but what each picture has got. */
function reportOf(evaluations: readonly NamedEvaluation[]): unknown {
  const first = evaluations[0]!.evaluation;
  return {
    format: "varscale-evaluation",
    version: 1,
    versions: { varscale: VERSION, deno: Deno.version.deno },
    network: first.network,
    ...(first.reference && { reference: first.reference }),
    metrics: first.metrics.map(({ note: _, ...facts }) => facts),
    pictures: evaluations.map(({ title, evaluation, differences }) => {
      return {
        title,
        place: evaluation.place,
        count: evaluation.count,
        values: evaluation.values,
        ...(Object.keys(differences).length > 0 && { differences }),
        notes: notesOf(evaluation),
      };
    }),
  };
}

function showAll(evaluations: readonly NamedEvaluation[]): string {
  return evaluations.map(({ title, evaluation, differences }) => {
    const { count, network, reference, metrics, values } = evaluation;
    const against = reference === undefined ? [] : [
      `against ${reference.place}${
        reference.count === undefined ? "" : ` (${plural(reference.count, "picture")})`
      }`,
    ];
    const by = network.name === NOBODY ? [] : [`by ${network.name}`];
    const head = [`${title}: ${plural(count, "picture")}`, ...by, ...against].join(", ");
    const rows = metrics.map(({ key, title, better }): [string, string] => {
      const arrow = better === "neither" ? "" : better === "higher" ? " ↑" : " ↓";
      const difference = differences[key];
      const beside = difference === undefined ? "" : `  ${showDifference(difference)} to the first`;
      return [`${title}${arrow}`, `${showMeasured(values[key]!)}${beside}`];
    });
    return `${head}\n${columns(rows, "  ")}${
      notesOf(evaluation).map((note) => `  note: ${note}\n`).join("")
    }`;
  }).join("\n");
}

/** What a person should know, of metrics that share it once. */
function notesOf({ notes, metrics }: Evaluation): string[] {
  const noted = Map.groupBy(metrics.filter(({ note }) => note !== undefined), ({ note }) => note!);
  return [
    ...notes,
    ...[...noted].map(([note, of]) => `${list(of.map(({ title }) => title), "and")}: ${note}`),
  ];
}

function showMeasured({ value, low, high }: Measured): string {
  const interval = low === undefined || high === undefined ? "" : `  [${brief(low)}, ${brief(high)}]`;
  return `${brief(value)}${interval}`;
}

/** Four digits, as tables of papers have at most. */
function brief(value: number): string {
  return Math.abs(value) >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(4)));
}

function showDifference({ value, low, high, p }: Compared): string {
  const sign = value < 0 ? "−" : "+";
  const interval = low === undefined || high === undefined ? "" : ` [${brief(low)}, ${brief(high)}]`;
  return `${sign}${brief(Math.abs(value))}${interval}${p === undefined ? "" : `, p = ${brief(p)}`}`;
}
