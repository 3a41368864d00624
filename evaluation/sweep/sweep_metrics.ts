/**
 * The columns of a sweep: what each is called, and of which records it is made. How numbers of networks
 * become distances is left to `metrics/`, intervals to `statistics/`.
 *
 * @module
 */

import { GENEVAL_TAGS } from "../geneval/metadata.ts";
import type { PictureRecord, PicturesRecord } from "./records.ts";
import type { MetricFacts } from "./results.ts";

/** A column that is a mean of what is said of each picture, or of the pictures of a subject together. */
export interface ScoreMetric extends MetricFacts {
  /** Kind of subjects that it is about; all by default. */
  readonly group?: string;
  /** Whether each kind of subject has the same weight, as GenEval has it. */
  readonly byTag?: boolean;
  /** Whether it is a share of right pictures. */
  readonly share?: boolean;
  /** Who says it: the network of metrics, the detector, or the model's own network. */
  readonly by?: "network" | "detector" | "own";
  /** What is averaged: a number for each picture, or one for all of them; none where nothing is said. */
  of(record: PicturesRecord): readonly number[];
}

/** Takes a number of every picture; what is no finite one stands as `null` in records, and is NaN here. */
function ofEach(value: (picture: PictureRecord) => number | null | undefined): ScoreMetric["of"] {
  return ({ pictures }) => {
    const values = pictures.map(value);
    return values.every((it) => it !== undefined) ? values.map((it) => it ?? NaN) : [];
  };
}

const right = ofEach(({ right }) => right === undefined ? undefined : Number(right));

/** What GenEval's tags are called. */
const TAG_TITLES: Readonly<Record<string, string>> = {
  single_object: "single object",
  two_object: "two objects",
  counting: "counting",
  colors: "colours",
  position: "position",
  color_attr: "colour attribution",
};

/** Columns of models that paint classes. */
const CLASS_SCORES: readonly ScoreMetric[] = [
  { key: "accuracy", title: "accuracy", better: "higher", share: true, by: "network", of: right },
  {
    key: "log-probability",
    title: "log-probability",
    better: "higher",
    by: "network",
    of: ofEach(({ logProbability }) => logProbability),
  },
];

/** Columns of models that paint captions. */
const CAPTION_SCORES: readonly ScoreMetric[] = [
  { key: "geneval", title: "GenEval", better: "higher", byTag: true, share: true, by: "detector", of: right },
  ...GENEVAL_TAGS.map((tag): ScoreMetric => ({
    key: tag.replaceAll("_", "-"),
    title: TAG_TITLES[tag]!,
    better: "higher",
    group: tag,
    share: true,
    by: "detector",
    of: right,
  })),
];

/** Columns of all models. */
const SCORES: readonly ScoreMetric[] = [
  { key: "reward", title: "reward", better: "higher", by: "own", of: ofEach(({ reward }) => reward) },
  {
    key: "diversity",
    title: "diversity",
    better: "neither",
    note: "mean distance between pictures of a subject by the model's own network",
    of: ({ diversity }) => diversity === undefined ? [] : [diversity ?? NaN],
  },
];

/**
 * The columns that are means.
 *
 * @param captions Whether subjects are captions with tags.
 */
export function scoreMetrics(captions: boolean): readonly ScoreMetric[] {
  return [...captions ? CAPTION_SCORES : CLASS_SCORES, ...SCORES];
}

const FEW = "biased for few pictures: compare rows of as many; none of fewer than 100";

/** Columns that are made of what a network says of all pictures together. */
export const ROW_METRICS: readonly MetricFacts[] = [
  { key: "fid", title: "FID", better: "lower", note: FEW },
  { key: "is", title: "Inception Score", better: "higher", note: FEW },
  { key: "kid", title: "KID", better: "lower" },
  { key: "precision", title: "precision", better: "higher" },
  { key: "recall", title: "recall", better: "higher" },
  { key: "density", title: "density", better: "higher" },
  { key: "coverage", title: "coverage", better: "higher" },
];

/** All columns. */
export const METRICS: readonly (MetricFacts & Pick<ScoreMetric, "by">)[] = [
  ...CLASS_SCORES,
  ...CAPTION_SCORES,
  ...SCORES,
  ...ROW_METRICS.map((facts) => ({ ...facts, by: "network" as const })),
];

/** Keys of all columns. */
export const METRIC_KEYS: readonly string[] = METRICS.map(({ key }) => key);
