/**
 * Pictures, a network and a reference in, metrics with their intervals out. Each picture is looked at once,
 * and only what the metrics need is kept of it. How values are made is left to `measure.ts`, where pictures
 * and references come from to `pictures/` and `files/`.
 *
 * @module
 */

import { mustBe, requireChoice, requireList, requireOptions } from "../kernels/arguments.ts";
import { CpuDevice } from "../kernels/device/cpu_device.ts";
import type { ResolvedLabel, Verifier } from "../models/mod.ts";
import type { NetworkIdentity, ReferenceStatistics } from "./files/reference.ts";
import { type KeptRows, requireNetwork } from "./files/rows_file.ts";
import {
  meanColumn,
  type MeasuredColumn,
  METRIC_TABLE,
  type MetricName,
  METRICS,
  requireSameDimensions,
  type Said,
  type Seen,
} from "./measure.ts";
import { inceptionParts, type InceptionScoreOptions } from "./metrics/inception_score.ts";
import type { Rows } from "./metrics/rows.ts";
import type { MetricNetwork, MetricOutput } from "./networks/metric_network.ts";
import { describesTexts, type TextNetwork } from "./networks/text_network.ts";
import { Moments, type MomentStatistics } from "./numbers/moments.ts";
import { lookAtPictures, type LookRequest } from "./pictures/look.ts";
import type { PictureSource } from "./pictures/picture_source.ts";
import { verifierScores } from "./pictures/verifier_scores.ts";
import type { Reference } from "./reference.ts";
import type { Measured, MetricFacts } from "./sweep/results.ts";

/** How far an evaluation is. */
export interface EvaluationProgress {
  /** Whether pictures are looked at, those of the reference, or pictures are judged by the verifier. */
  readonly of: "pictures" | "reference" | "verifier";
  /** How many were. */
  readonly done: number;
  /** How many there are. */
  readonly total: number;
}

/** What is evaluated, and by what. */
export interface EvaluateRequest {
  /** The pictures, as `openPictures` gives them. */
  readonly pictures: PictureSource;
  /** Who looks at them. */
  readonly network: MetricNetwork;
  /**
   * Who judges them besides, on the device of the network: its mean score is the value `"verifier"`. It knows
   * a picture by its prompt, or by its class and the name that the network has for it.
   */
  readonly verifier?: Verifier;
  /**
   * Which metrics; by default those that cost nothing beyond looking: `"fid"` and `"sfid"` where there is a
   * reference for them, `"is"`, `"accuracy"` and `"clip"` where the network and the pictures allow it.
   */
  readonly metrics?: readonly MetricName[];
  /** Real pictures, or what the network says of them, as `openReference` gives it. */
  readonly reference?: Reference;
  /** Class of each picture, in the order of the source; by default what the source says. */
  readonly labels?: readonly number[];
  /** Prompt of each picture, in the order of the source; by default what the source says. */
  readonly prompts?: readonly string[];
  /** What the network has said before, as `readRows` gives it; the pictures are not looked at then. */
  readonly kept?: KeptRows;
  /**
   * How parts of the Inception Score are made; by default ten parts, in a random order if the pictures are
   * those of a folder, and as they are if they are those of an archive.
   */
  readonly inceptionScore?: InceptionScoreOptions;
  /**
   * How precision and recall take distances: in f32 by default, or `"f16"` as the evaluator of
   * guided-diffusion does, which changes them by up to 0.003.
   */
  readonly distances?: "f32" | "f16";
  /**
   * Whether intervals are taken even where each costs twenty times the metric; without it where that is a
   * matter of seconds.
   */
  readonly intervals?: boolean;
  /** Outputs whose rows are kept for {@linkcode Evaluation.kept} even if no metric needs them. */
  readonly keep?: readonly MetricOutput[];
  /** Outputs whose moments are taken for {@linkcode Evaluation.statistics} even if no metric needs them. */
  readonly moments?: readonly MetricOutput[];
  /**
   * File in which what the network says of the pictures is written down while it looks. An evaluation that
   * was interrupted goes on from it if it is asked for again. It stays for whoever asked: to be removed when
   * what was wanted of the evaluation is kept.
   */
  readonly journal?: string;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
  /** Told before the first and after every batch. */
  readonly onProgress?: ((progress: EvaluationProgress) => void) | undefined;
}

/** What an evaluation comes to. */
export interface Evaluation {
  /** Where the pictures are. */
  readonly place: string;
  /** Number of pictures. */
  readonly count: number;
  /** Who looked. */
  readonly network: NetworkIdentity;
  /** What they were compared with, and of how many pictures it is, where that is known. */
  readonly reference?: { readonly place: string; readonly count?: number };
  /** The metrics, in the order of tables. */
  readonly metrics: readonly MetricFacts[];
  /** Values by {@linkcode MetricFacts.key}. */
  readonly values: Readonly<Record<string, Measured>>;
  /** Values of each picture, in the order of the source, of metrics that are the mean of these. */
  readonly each: Readonly<Record<string, readonly number[]>>;
  /** Values without each group of pictures that an interval is made of, for `compareEvaluations`. */
  readonly parts: Readonly<Record<string, readonly number[]>>;
  /** Names of the pictures. */
  readonly names: readonly string[];
  /** What a person should know. */
  readonly notes: readonly string[];
  /** What was kept of what the network said, for `writeRows`. */
  readonly kept: KeptRows;
  /** Statistics of the pictures, as far as they were taken, for `writeReference`. */
  readonly statistics: ReferenceStatistics;
}

const ACTION = "evaluate";

/** Pictures up to which rows are kept, even where moments would do: metrics of few rows are faster. */
const FEW = 4096;

/**
 * Evaluates pictures.
 *
 * @throws {RangeError} If a metric needs what is not there (a reference, classes, prompts, an output of the
 * network), there are too few pictures, or the reference is of another network or other dimensions.
 * @throws {TypeError} If an option is unknown.
 * @throws {Error} If a picture cannot be read; it says which.
 *
 * @example
 * ```ts
 * import { evaluatePictures } from "./evaluate.ts";
 * import { metricNetworkOf } from "./networks/own_network.ts";
 * import { openPictures } from "./pictures/source.ts";
 * import { CpuDevice, readWords } from "../kernels/mod.ts";
 * import { RgbaImage } from "../sampler/mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * for (const [i, red] of [0, 30, 255].entries()) {
 *   const image = new RgbaImage(1, 1);
 *   image.data[0] = red;
 *   await Deno.writeFile(`${folder}/${i}.png`, image.png());
 * }
 * using device = new CpuDevice();
 * await using network = metricNetworkOf({
 *   name: "red",
 *   fingerprint: "red 1",
 *   outputs: ["features"],
 *   device,
 *   async look({ array, count }) {
 *     const levels = (await readWords(array)).map((pixel) => pixel & 255);
 *     return { features: { values: Float32Array.from(levels), count, dimensions: 1 } };
 *   },
 * });
 * const pictures = await openPictures(folder);
 * const { values } = await evaluatePictures({ pictures, network, metrics: ["diversity"] });
 * assertEquals(values.diversity?.value, (30 + 255 + 225) / 3);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function evaluatePictures(request: EvaluateRequest): Promise<Evaluation> {
  requireOptions(request, OPTIONS, ACTION);
  const { pictures, network, verifier, reference, kept, intervals, journal, signal, onProgress } = request;
  const labels = request.labels ?? pictures.labels ?? classesOf(pictures, network);
  const prompts = request.prompts ?? pictures.prompts;
  for (const [name, list] of Object.entries({ labels, prompts })) {
    if (list !== undefined && list.length !== pictures.count) {
      throw new RangeError(mustBe(`one for each of ${pictures.count} pictures`, list.length, name, ACTION));
    }
  }
  const inceptionScore = request.inceptionScore ?? inFolder(pictures);
  const has: Has = { network, reference, labels, prompts };
  const chosen = request.metrics === undefined
    ? METRICS.filter((name) => {
      return name === "is" && isParted(inceptionScore) ||
        DEFAULTS.includes(name) && whyNot(name, has) === undefined && pictures.count >= leastFor(name);
    })
    : [...new Set(requireList(request.metrics, "metrics", ACTION))];
  for (const name of chosen) {
    requireChoice(name, METRICS, "each metric", ACTION);
    const reason = whyNot(name, has);
    if (reason !== undefined) throw new RangeError(`Cannot ${ACTION} by ${name} as ${reason}`);
    requireEnough(name, has, pictures.count);
    if (name === "is") inceptionParts(pictures.count, inceptionScore);
  }
  const wanted = {
    keep: [...request.keep ?? []],
    moments: [...request.moments ?? []],
    few: pictures.count <= FEW,
  };
  if (wanted.moments.length > 0 && pictures.count < 2) {
    throw new RangeError(
      mustBe("at least 2", pictures.count, "the number of pictures", "take mean and covariance"),
    );
  }
  if (reference?.statistics?.network !== undefined) {
    requireNetwork(
      reference.place,
      network,
      reference.statistics.network,
      "Cannot use the reference as another network made it",
    );
  }
  const looks = chosen.length + wanted.keep.length + wanted.moments.length > 0;
  if (!looks && verifier === undefined) {
    throw new RangeError(
      `Cannot ${ACTION} as there is no metric that needs neither reference, classes nor prompts and that ${network.name} allows`,
    );
  }
  const told = (of: EvaluationProgress["of"], total: number) => (done: number): void => {
    onProgress?.({ of, done, total });
  };
  const shown = verifier && labelsFor(verifier, has, pictures);
  const real = await sayOfReference(chosen, has, {
    signal,
    onProgress: told("reference", reference?.pictures?.count ?? 0),
  });
  const said = !looks
    ? { rows: {}, moments: {} }
    : kept === undefined
    ? await lookAtPictures(pictures, network, {
      ...needsOf(chosen, wanted),
      journal,
      check: (rows) => {
        for (const { compares, output } of chosen.map((name) => METRIC_TABLE[name])) {
          const said = { network: network.name, rows, moments: {}, ...(real && { real }) };
          if (compares) requireSameDimensions(said, output);
        }
      },
      signal,
      onProgress: told("pictures", pictures.count),
    })
    : fromKept(kept, needsOf(chosen, { ...wanted, few: true }), network);
  const texts = chosen.includes("clip") && describesTexts(network)
    ? await textRows(network, prompts!, signal)
    : undefined;
  const seen: Seen = {
    ...said,
    count: pictures.count,
    network: network.name,
    inceptionScore,
    ...(real && { real }),
    ...(labels && { labels }),
    ...(prompts && { prompts }),
    ...(texts && { texts }),
    ...(intervals !== undefined && { intervals }),
    ...(request.distances !== undefined && { distances: request.distances }),
  };
  const columns = chosen.flatMap((name) => METRIC_TABLE[name].measure(seen));
  if (verifier !== undefined) {
    using host = network.device === undefined ? new CpuDevice() : undefined;
    const scores = await verifierScores(pictures, verifier, {
      device: network.device ?? host!,
      labels: shown!,
      signal,
      onProgress: told("verifier", pictures.count),
    });
    const facts = { key: "verifier", title: verifier.name, better: "higher" } as const;
    columns.push(meanColumn({ network: verifier.name }, facts, scores));
  }
  return evaluationOf(request, { columns, said, labels });
}

const OPTIONS = [
  "pictures",
  "network",
  "verifier",
  "metrics",
  "reference",
  "labels",
  "prompts",
  "kept",
  "inceptionScore",
  "distances",
  "intervals",
  "keep",
  "moments",
  "journal",
  "signal",
  "onProgress",
];

/** What is taken without being asked for. */
const DEFAULTS: readonly MetricName[] = ["fid", "is", "sfid", "accuracy", "clip"];

/** What there is. */
interface Has {
  readonly network: MetricNetwork;
  readonly reference: Reference | undefined;
  readonly labels: readonly number[] | undefined;
  readonly prompts: readonly string[] | undefined;
}

/** What each picture should show, as a verifier is told it. */
function labelsFor(
  { name: verifier, needsPrompt }: Verifier,
  { network, labels, prompts }: Has,
  { count }: PictureSource,
): ResolvedLabel[] {
  if (needsPrompt && (prompts ?? labels) === undefined) {
    throw new RangeError(
      `Cannot ${ACTION} as ${verifier} compares pictures with texts, and nothing says which prompt or class each picture should show`,
    );
  }
  return Array.from({ length: count }, (_, i) => {
    const prompt = prompts?.[i];
    if (prompt !== undefined) return { id: null, name: prompt, prompt };
    const id = labels?.[i] ?? null;
    return { id, name: id === null ? "a picture" : network.classes?.[id] ?? `${id}` };
  });
}

/** Why a metric cannot be taken, if so. */
function whyNot(name: MetricName, { network, reference, labels, prompts }: Has): string | undefined {
  const { output, takes, compares, needs } = METRIC_TABLE[name];
  if (!network.outputs.includes(output)) {
    return `${network.name} says no ${output}, but ${network.outputs.join(", ")}`;
  }
  if (name === "clip" && !describesTexts(network)) return `${network.name} does not read texts`;
  if (needs === "labels" && labels === undefined) {
    return "nothing says which class each picture should show: neither a run.json, nor names of files or folders, nor arr_1";
  }
  if (needs === "labels" && network.classes === undefined) {
    return `${network.name} does not say which classes its logits are about`;
  }
  if (needs === "prompts" && prompts === undefined) {
    return "nothing says which prompt each picture should show: neither a run.json nor metadata.jsonl";
  }
  if (!compares) return undefined;
  if (reference === undefined) return "it compares with real pictures: a reference is needed";
  const { statistics, pictures, place } = reference;
  const there = output === "features" && statistics?.rows !== undefined ||
    takes === "moments" && output !== "logits" && statistics?.[output] !== undefined;
  if (there || pictures !== undefined) return undefined;
  const found = takes === "rows" ? "no features of single pictures" : `no statistics of ${output}`;
  return `the reference ${place} has ${found}, and no pictures to take them of`;
}

/** Parts of the Inception Score that nobody asked for otherwise. */
const SPLITS = 10;

/** Whoever says how pictures are parted asks for the Inception Score. */
function isParted({ chunk, splits }: InceptionScoreOptions): boolean {
  return (chunk ?? splits) !== undefined;
}

/** Pictures below which a metric is not taken unasked. */
function leastFor(name: MetricName): number {
  return name === "is" ? SPLITS : METRIC_TABLE[name].least;
}

/** Refuses numbers of pictures and of classes with which a metric fails when all has been looked at. */
function requireEnough(name: MetricName, { network, reference, labels, prompts }: Has, count: number): void {
  const { compares, takes, least, output } = METRIC_TABLE[name];
  const action = `${ACTION} by ${name}`;
  if (count < least) {
    throw new RangeError(mustBe(`at least ${least}`, count, "the number of pictures", action));
  }
  const { statistics, pictures } = reference ?? {};
  const real = takes === "moments" && output !== "logits" && statistics?.[output] !== undefined
    ? undefined
    : statistics?.rows?.count ?? pictures?.count;
  if (compares && real !== undefined && real < least) {
    throw new RangeError(mustBe(`at least ${least}`, real, "the number of real pictures", action));
  }
  const classes = network.classes?.length;
  const odd = name === "accuracy" && labels?.find((label) => !(label < classes!));
  if (typeof odd === "number") {
    throw new RangeError(mustBe(`below the ${classes} of ${network.name}`, odd, "each class", action));
  }
  const subjects = labels ?? prompts;
  if (name === "diversity" && subjects !== undefined && new Set<unknown>(subjects).size === count) {
    throw new RangeError(mustBe("at least two of one subject", "one of each", "pictures", action));
  }
}

/** What is kept of what is said. */
function needsOf(
  metrics: readonly MetricName[],
  { keep, moments, few }: {
    readonly keep: readonly MetricOutput[];
    readonly moments: readonly MetricOutput[];
    readonly few: boolean;
  },
): Pick<LookRequest, "rows" | "moments"> {
  const rows = new Set(keep);
  for (const name of metrics) {
    const { output, takes } = METRIC_TABLE[name];
    if (few || takes === "rows") rows.add(output);
  }
  const sums = new Set(moments);
  for (const name of metrics) {
    const { output, takes } = METRIC_TABLE[name];
    if (takes === "moments" && !rows.has(output)) sums.add(output);
  }
  return { rows: [...rows], moments: [...sums] };
}

/** What the network says of real pictures, as far as it is compared with. */
async function sayOfReference(
  metrics: readonly MetricName[],
  { network, reference }: Has,
  options: Pick<LookRequest, "signal" | "onProgress">,
): Promise<Said | undefined> {
  const compared = metrics.filter((name) => METRIC_TABLE[name].compares);
  if (reference === undefined || compared.length === 0) return undefined;
  const { statistics, pictures } = reference;
  const rows: Partial<Record<MetricOutput, Rows>> = statistics?.rows ? { features: statistics.rows } : {};
  const moments = {
    ...(statistics?.features && { features: statistics.features }),
    ...(statistics?.spatial && { spatial: statistics.spatial }),
  };
  const needs = needsOf(compared, { keep: [], moments: [], few: (pictures?.count ?? Infinity) <= FEW });
  const lacking = {
    rows: needs.rows.filter((output) => {
      const enough = compared.every((name) => {
        return METRIC_TABLE[name].output !== output || METRIC_TABLE[name].takes === "moments";
      });
      return rows[output] === undefined && !(enough && output !== "logits" && moments[output] !== undefined);
    }),
    moments: needs.moments.filter((output) => {
      return output !== "logits" && rows[output] === undefined && moments[output] === undefined;
    }),
  };
  if (pictures === undefined || lacking.rows.length + lacking.moments.length === 0) return { rows, moments };
  const looked = await lookAtPictures(pictures, network, { ...lacking, ...options });
  return { rows: { ...rows, ...looked.rows }, moments: { ...looked.moments, ...moments } };
}

/** What was said before. */
function fromKept(
  kept: KeptRows,
  needs: Pick<LookRequest, "rows" | "moments">,
  network: MetricNetwork,
): Said {
  requireNetwork("rows", network, kept.network, "Cannot use what was kept as another network made it");
  const lacking = [...needs.rows, ...needs.moments].find((output) => kept.rows[output] === undefined);
  if (lacking !== undefined) {
    throw new RangeError(
      `Cannot ${ACTION} as the kept rows have no ${lacking}: the pictures have to be looked at for them`,
    );
  }
  const moments = Object.fromEntries(needs.moments.map((output): [MetricOutput, MomentStatistics] => {
    const sum = new Moments(kept.rows[output]!.dimensions);
    sum.update(kept.rows[output]!);
    return [output, sum.compute()];
  }));
  return { rows: kept.rows, moments };
}

/** Classes of pictures of which only the names are known, those of the folders. */
function classesOf({ groups }: PictureSource, { classes }: MetricNetwork): number[] | undefined {
  if (groups === undefined || classes === undefined) return undefined;
  const byName = groups.map((group) => classes.indexOf(group));
  if (!byName.includes(-1)) return byName;
  // A folder for each class, in the order of the names: ImageNet's numbers of synsets, as torchvision has it.
  const names = [...new Set(groups)].sort();
  return names.length === classes.length ? groups.map((group) => names.indexOf(group)) : undefined;
}

/** Names of files tell nothing of an order that anybody chose. */
function inFolder({ place }: PictureSource): InceptionScoreOptions {
  return /\.npz$/i.test(place) ? {} : { seed: 0 };
}

async function textRows(
  network: TextNetwork,
  prompts: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Rows> {
  const different = [...new Set(prompts)];
  const { values, dimensions } = await network.describeTexts(different, { signal });
  const places = new Map(different.map((prompt, i) => [prompt, i]));
  const all = new Float32Array(prompts.length * dimensions);
  for (const [i, prompt] of prompts.entries()) {
    const from = places.get(prompt)! * dimensions;
    all.set(values.subarray(from, from + dimensions), i * dimensions);
  }
  return { values: all, count: prompts.length, dimensions };
}

function evaluationOf(
  { pictures, network, reference, kept }: EvaluateRequest,
  { columns, said, labels }: {
    readonly columns: readonly MeasuredColumn[];
    readonly said: Said;
    readonly labels: readonly number[] | undefined;
  },
): Evaluation {
  const identity = { name: network.name, fingerprint: network.fingerprint };
  const { statistics } = reference ?? {};
  const count = statistics?.count ?? reference?.pictures?.count;
  const compares = columns.some(({ facts }) => ["fid", "sfid", "kid", "precision"].includes(facts.key));
  const unnamed = compares && statistics !== undefined && statistics.network === undefined;
  return {
    place: pictures.place,
    count: pictures.count,
    network: identity,
    ...(reference && compares && {
      reference: { place: reference.place, ...(count !== undefined && { count }) },
    }),
    metrics: columns.map(({ facts }) => facts),
    values: Object.fromEntries(columns.map(({ facts, measured }) => [facts.key, measured])),
    each: listsOf(columns, ({ each }) => each),
    parts: listsOf(columns, ({ parts }) => parts),
    names: pictures.names,
    notes: [
      ...pictures.notes,
      ...(unnamed
        ? [
          `${
            reference!.place
          } does not say which network it is of; that it is ${network.name} is taken on trust`,
        ]
        : []),
    ],
    kept: kept ?? {
      network: identity,
      pictures: pictures.fingerprint,
      rows: said.rows,
      ...(labels && { labels }),
    },
    statistics: {
      network: identity,
      count: pictures.count,
      ...(said.moments.features && { features: said.moments.features }),
      ...(said.moments.spatial && { spatial: said.moments.spatial }),
      ...(said.rows.features && { rows: said.rows.features }),
    },
  };
}

function listsOf(
  columns: readonly MeasuredColumn[],
  list: (column: MeasuredColumn) => readonly number[] | undefined,
): Record<string, readonly number[]> {
  return Object.fromEntries(columns.flatMap((column) => {
    const found = list(column);
    return found === undefined ? [] : [[column.facts.key, found]];
  }));
}
