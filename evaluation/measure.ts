/**
 * The metrics by name: what each needs of pictures and of a reference, and how what a network has said
 * becomes values with intervals and notes. The arithmetic is left to `metrics/`, who looks to `evaluate.ts`.
 *
 * @module
 */

import { mustBe } from "../kernels/arguments.ts";
import { accuracy } from "./metrics/accuracy.ts";
import { clipScore } from "./metrics/clip_score.ts";
import { meanDistance } from "./metrics/diversity.ts";
import { frechetDistance } from "./metrics/frechet.ts";
import { inceptionScore, type InceptionScoreOptions } from "./metrics/inception_score.ts";
import { kernelDistance } from "./metrics/kernel_distance.ts";
import { precisionRecall, type PrecisionRecallOptions } from "./metrics/precision_recall.ts";
import { type Rows, rowsAt } from "./metrics/rows.ts";
import type { MetricOutput } from "./networks/metric_network.ts";
import type { MomentStatistics } from "./numbers/moments.ts";
import { average, bootstrapInterval, type Interval } from "./statistics/intervals.ts";
import { jackknifeInterval } from "./statistics/jackknife.ts";
import type { Measured, MetricFacts } from "./sweep/results.ts";

/**
 * Metrics that pictures are evaluated by: `"fid"`, the Fréchet distance of the features; `"is"`, the
 * Inception Score; `"sfid"`, the Fréchet distance of the spatial features; `"kid"`, the kernel distance;
 * `"pr"`, precision, recall, density and coverage; `"accuracy"`, the share of pictures that show their class;
 * `"clip"`, how well they fit their prompts; `"diversity"`, the mean distance between pictures of one
 * subject.
 */
export const METRICS = ["fid", "is", "sfid", "kid", "pr", "accuracy", "clip", "diversity"] as const;

/** One of {@linkcode METRICS}. */
export type MetricName = typeof METRICS[number];

/** What a network has said of a set of pictures, as far as it was kept. */
export interface Said {
  /** Rows by output. */
  readonly rows: Readonly<Partial<Record<MetricOutput, Rows>>>;
  /** Mean and covariance by output. */
  readonly moments: Readonly<Partial<Record<MetricOutput, MomentStatistics>>>;
}

/** What a metric is made of. */
export interface Seen extends Said {
  /** Number of pictures. */
  readonly count: number;
  /** Name of the network. */
  readonly network: string;
  /** What it said of real pictures. */
  readonly real?: Said;
  /** Class of each picture. */
  readonly labels?: readonly number[];
  /** Prompt of each picture. */
  readonly prompts?: readonly string[];
  /** A row for the prompt of each picture. */
  readonly texts?: Rows;
  /** How parts of the Inception Score are made. */
  readonly inceptionScore: InceptionScoreOptions;
  /** Distances of precision and recall; f32 by default. */
  readonly distances?: PrecisionRecallOptions["distances"];
  /** Whether intervals are taken that cost many times the metric; by default where that is little. */
  readonly intervals?: boolean;
}

/** A value with what is known of it. */
export interface MeasuredColumn {
  /** What it is. */
  readonly facts: MetricFacts;
  /** The value. */
  readonly measured: Measured;
  /** The value of each picture, where it is the mean of these. */
  readonly each?: readonly number[];
  /** The value without each of the groups of pictures that its interval is made of; the same of as many. */
  readonly parts?: readonly number[];
}

/** An interval by leaving out groups, with the values without them. */
interface PartsInterval extends Interval {
  readonly parts: readonly number[];
}

/** A metric. */
export interface Metric {
  /** What it takes of the pictures. */
  readonly output: MetricOutput;
  /** Whether moments of it are enough, or it takes rows. */
  readonly takes: "moments" | "rows";
  /** Whether it compares with real pictures. */
  readonly compares: boolean;
  /** Fewest pictures, and fewest real ones where it compares with the rows of these. */
  readonly least: number;
  /** What the pictures should show must be known as this. */
  readonly needs?: "labels" | "prompts";
  /** Takes it. */
  measure(seen: Seen): MeasuredColumn[];
}

/** Pictures below which a distance of distributions is known to be biased by more than its decimals. */
const MANY = 50_000;
/** Parts that are left out in turn. */
const GROUPS = 20;
/** Products that an interval may cost where nobody asked for it: seconds. */
const CHEAP = 1e10;
/** Draws of a bootstrap: a second or two. */
const DRAWS = 2e7;
/** Rows of a part of the kernel distance, as all tools have it. */
const SUBSET = 1000;
/** Neighbours that precision and recall look at, as all tools do. */
const NEIGHBOURS = 3;

/** All of them. */
export const METRIC_TABLE: Readonly<Record<MetricName, Metric>> = {
  fid: {
    output: "features",
    takes: "moments",
    compares: true,
    least: 2,
    measure: (seen) => frechet(seen, "features", "fid", ["FID", "Fréchet distance"]),
  },
  is: { output: "logits", takes: "rows", compares: false, least: 1, measure: scoreOfInception },
  sfid: {
    output: "spatial",
    takes: "moments",
    compares: true,
    least: 2,
    measure: (seen) => frechet(seen, "spatial", "sfid", ["sFID", "spatial Fréchet distance"]),
  },
  kid: { output: "features", takes: "rows", compares: true, least: 2, measure: kernel },
  pr: { output: "features", takes: "rows", compares: true, least: NEIGHBOURS + 1, measure: manifolds },
  accuracy: {
    output: "logits",
    takes: "rows",
    compares: false,
    least: 1,
    needs: "labels",
    measure: rightOnes,
  },
  clip: {
    output: "features",
    takes: "rows",
    compares: false,
    least: 1,
    needs: "prompts",
    measure: fitOfTexts,
  },
  diversity: { output: "features", takes: "rows", compares: false, least: 2, measure: spread },
};

function frechet(
  seen: Seen,
  output: "features" | "spatial",
  key: string,
  [short, long]: readonly [string, string],
): MeasuredColumn[] {
  const { count, network, real, rows } = seen;
  requireSameDimensions(seen, output);
  const there = briefest(real!, output);
  const here = briefest(seen, output);
  const value = frechetDistance(here, there);
  const own = rows[output];
  const interval = own === undefined
    ? undefined
    : jackknife(seen, GROUPS * (costOf(own) + costOf(there)), (kept) => {
      return frechetDistance(rowsAt(own, kept), there);
    });
  const title = network === "inception-fid" ? short : long;
  const note = count < MANY
    ? `of ${count} pictures, so biased upwards: compare only with as many`
    : undefined;
  const facts = { key, title, better: "lower", note } as const;
  // No distance is below 0, which a symmetric interval does not know.
  return [column(seen, facts, value, interval && { ...interval, low: Math.max(0, interval.low) })];
}

/** Fewer rows than dimensions are faster than their covariance, if that is of no other pictures. */
function briefest({ rows, moments }: Said, output: "features" | "spatial"): Rows | MomentStatistics {
  const [kept, sums] = [rows[output], moments[output]];
  if (kept === undefined || sums === undefined) return kept ?? sums!;
  return kept.count <= kept.dimensions && kept.count === sums.count ? kept : sums;
}

/** Products that a side of a distance takes. */
function costOf(side: Rows | MomentStatistics): number {
  const { count, dimensions } = side;
  return "covariance" in side ? dimensions ** 3 : count * dimensions * Math.min(count, dimensions);
}

function scoreOfInception(seen: Seen): MeasuredColumn[] {
  const logits = seen.rows.logits!;
  const { mean, deviation, scores } = inceptionScore(logits, seen.inceptionScore);
  const { seed } = seen.inceptionScore;
  const options = { splits: scores.length, ...(seed !== undefined && { seed }) };
  const cost = 10 * GROUPS * logits.values.length;
  const interval = Math.floor(seen.count * (1 - 1 / GROUPS)) < scores.length
    ? undefined
    : jackknife(seen, cost, (kept) => inceptionScore(rowsAt(logits, kept), options).mean);
  const parts = scores.length === 1
    ? "in one part"
    : `mean of ${scores.length} parts ± ${deviation.toFixed(2)}`;
  const order = seen.inceptionScore.seed === undefined && scores.length > 1 && isSorted(seen)
    ? "; THE ORDER IS BY CLASS, so each part lacks classes and the score is too low: shuffle the pictures"
    : "";
  const few = seen.count < MANY ? `; of ${seen.count} pictures, so biased downwards` : "";
  const note = `${parts}${few}${order}`;
  const facts = { key: "is", title: "Inception Score", better: "higher", note } as const;
  // No score is below 1, which a symmetric interval does not know.
  return [column(seen, facts, mean, interval && { ...interval, low: Math.max(1, interval.low) })];
}

function kernel(seen: Seen): MeasuredColumn[] {
  requireSameDimensions(seen, "features");
  const [own, real] = [seen.rows.features!, seen.real!.rows.features!];
  const most = Math.min(own.count, real.count);
  // A part of all pictures is the same part each time, so all are compared once.
  const whole = most <= SUBSET;
  const { mean, deviation } = kernelDistance(own, real, whole ? { subsets: 0 } : {});
  const cost = GROUPS * (own.count + real.count) ** 2 * own.dimensions;
  const interval = whole
    ? jackknife(seen, cost, (kept) => kernelDistance(rowsAt(own, kept), real, { subsets: 0 }).mean)
    : undefined;
  const note = whole
    ? `of ${own.count} and ${real.count} pictures at once`
    : `mean of 100 parts of ${SUBSET} pictures ± ${deviation.toPrecision(2)}`;
  return [column(seen, { key: "kid", title: "KID", better: "lower", note }, mean, interval)];
}

function manifolds(seen: Seen): MeasuredColumn[] {
  requireSameDimensions(seen, "features");
  const [own, real] = [seen.rows.features!, seen.real!.rows.features!];
  const { distances = "f32" } = seen;
  const shares = precisionRecall(real, own, { neighbours: NEIGHBOURS, distances });
  const rounded = distances === "f16" ? ", distances in float16" : "";
  const note = `${NEIGHBOURS} neighbours among ${real.count} real and ${own.count} pictures${rounded}`;
  return (["precision", "recall", "density", "coverage"] as const).map((key) => {
    return column(seen, { key, title: key, better: "higher", note }, shares[key]);
  });
}

function rightOnes(seen: Seen): MeasuredColumn[] {
  const { right } = accuracy(seen.rows.logits!, seen.labels!);
  const facts = { key: "accuracy", title: "class accuracy", better: "higher" } as const;
  return [meanColumn(seen, facts, right.map(Number))];
}

function fitOfTexts(seen: Seen): MeasuredColumn[] {
  const { mean, scores } = clipScore(seen.rows.features!, seen.texts!);
  const each = [...scores];
  const facts = { key: "clip", title: "CLIP score", better: "higher" } as const;
  return [column(seen, facts, mean, bootstrap(each), each)];
}

/**
 * Between pictures of one class or prompt where these are known: pictures of two differ without any skill.
 */
function spread(seen: Seen): MeasuredColumn[] {
  const features = seen.rows.features!;
  const subjects: readonly (number | string)[] | undefined = seen.labels ?? seen.prompts;
  const places = Uint32Array.from({ length: seen.count }, (_, i) => i);
  const groups = subjects === undefined
    ? [places]
    : [...Map.groupBy(places, (place) => subjects[place]!).values()].map((group) => Uint32Array.from(group));
  const compared = groups.filter(({ length }) => length > 1);
  if (compared.length === 0) {
    throw new RangeError(
      mustBe("at least two of one subject", "one of each", "pictures", "take the diversity"),
    );
  }
  const distances = compared.map((group) => meanDistance(rowsAt(features, group)));
  const mean = average(distances);
  const [one, more] = seen.labels === undefined ? ["prompt", "prompts"] : ["class", "classes"];
  const note = subjects === undefined
    ? "between any two pictures"
    : `between pictures of one subject, mean of ${compared.length} ${compared.length === 1 ? one : more}`;
  const facts = { key: "diversity", title: "mean distance", better: "neither", note } as const;
  return [column(seen, facts, mean, bootstrap(distances))];
}

/** A column of a mean over pictures. */
export function meanColumn(
  seen: Pick<Seen, "network">,
  facts: Omit<MetricFacts, "network">,
  each: readonly number[],
): MeasuredColumn {
  return column(seen, facts, average(each), bootstrap(each), each);
}

/** A column, without what is not there. */
function column(
  { network }: Pick<Seen, "network">,
  { note, ...facts }: Omit<MetricFacts, "network" | "note"> & { readonly note?: string | undefined },
  value: number,
  interval?: Interval | PartsInterval,
  each?: readonly number[],
): MeasuredColumn {
  return {
    facts: { ...facts, network, ...(note !== undefined && { note }) },
    measured: { value, ...(interval && { low: interval.low, high: interval.high }) },
    ...(each && { each }),
    ...(interval !== undefined && "parts" in interval && { parts: interval.parts }),
  };
}

/**
 * The interval of a mean over pictures, with fewer draws where these are many: ends need no more. One alone
 * tells nothing of others.
 */
function bootstrap(each: readonly number[]): Interval | undefined {
  if (each.length < 2) return undefined;
  const resamples = Math.min(10_000, Math.max(1000, Math.floor(DRAWS / each.length)));
  return bootstrapInterval([each], { resamples });
}

/** An interval from what the metric is without each part of the pictures in turn. */
function jackknife(
  { count, intervals }: Seen,
  cost: number,
  statistic: (kept: Uint32Array) => number,
): PartsInterval | undefined {
  // Two pictures must be left for a covariance.
  if (count < 4 || !(intervals ?? cost <= CHEAP)) return undefined;
  const parts: number[] = [];
  const noted = (kept: Uint32Array): number => {
    const value = statistic(kept);
    if (kept.length < count) parts.push(value);
    return value;
  };
  return { ...jackknifeInterval(count, noted, { groups: Math.min(GROUPS, count) }), parts };
}

/**
 * Refuses what is of another network by its dimensions.
 *
 * @param said What the network says of pictures, or of the first of them.
 * @throws {RangeError} If that and what it said of real pictures differ in them.
 */
export function requireSameDimensions(
  { network, real, ...said }: Pick<Seen, "network" | "rows" | "moments" | "real">,
  output: MetricOutput,
): void {
  const [here, there] = [dimensionsOf(said, output), dimensionsOf(real, output)];
  if (here === undefined || there === undefined || here === there) return;
  throw new RangeError(
    `Cannot evaluate as the reference has ${there} ${output} a picture, and ${network} has ${here}: it is of another network`,
  );
}

function dimensionsOf(said: Said | undefined, output: MetricOutput): number | undefined {
  return (said?.moments[output] ?? said?.rows[output])?.dimensions;
}

/** How much more often than by chance two neighbours are of one class where the order is by class. */
const TELLING = 0.3;

/**
 * Whether pictures are in the order of their classes, as the names of files are. Where nobody says the
 * classes, the network's guesses do.
 */
function isSorted({ labels, rows, count }: Seen): boolean {
  const classes = labels ?? guesses(rows.logits!);
  const shares = new Map<number, number>();
  for (const label of classes) shares.set(label, (shares.get(label) ?? 0) + 1 / count);
  const chance = [...shares.values()].reduce((sum, share) => sum + share ** 2, 0);
  let equal = 0;
  for (let i = 1; i < count; i++) if (classes[i] === classes[i - 1]) equal++;
  return shares.size > 1 && equal / (count - 1) - chance > TELLING * (1 - chance);
}

function guesses({ values, count, dimensions }: Rows): number[] {
  return Array.from({ length: count }, (_, i) => {
    let best = i * dimensions;
    for (let k = best; k < (i + 1) * dimensions; k++) if (values[k]! > values[best]!) best = k;
    return best - i * dimensions;
  });
}
