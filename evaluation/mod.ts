/**
 * How good pictures are, and how good a method is: metrics that agree with the tools that papers use, the
 * networks that they are taken by, sweeps over methods and settings, and reports. This is the door of
 * everything here; `mod.ts` of the project knows nothing of it, so that who only paints loads none of it.
 *
 * @module
 */

export type {
  Analysis,
  AnalysisOptions,
  AnalysisPicture,
  AnalysisTable,
  Painting,
} from "./analyses/analysis.ts";
export {
  analyzeBranches,
  type BranchesData,
  type BranchesOptions,
  type BranchShares,
} from "./analyses/branches.ts";
export {
  analyzeDensities,
  type DensitiesData,
  type DensitiesOptions,
  type LabelDensities,
} from "./analyses/densities.ts";
export { oracleVerifier } from "./analyses/oracle_verifier.ts";
export {
  analyzePerturbation,
  type PerturbationData,
  type PerturbationOptions,
  type PerturbedScale,
} from "./analyses/perturbation.ts";
export {
  analyzeRepresentatives,
  type Branch,
  type LabelRepresentatives,
  type Representative,
  type RepresentativesData,
  type RepresentativesOptions,
} from "./analyses/representatives.ts";
export {
  analyzeScales,
  type JudgedScale,
  type LookCost,
  type ScalesData,
  type ScalesOptions,
} from "./analyses/scales.ts";
export { writeTuning, type WriteTuningOptions } from "./analyses/tuned_folder.ts";
export {
  type HeldOut,
  type TriedSetting,
  tune,
  type TunedSetting,
  type TuneOptions,
  type TuningData,
} from "./analyses/tuning.ts";
export { type Accuracy, accuracy, type AccuracyOptions } from "./metrics/accuracy.ts";
export { type ClipScore, clipScore } from "./metrics/clip_score.ts";
export { meanDistance } from "./metrics/diversity.ts";
export {
  type ExtrapolatedDistance,
  extrapolatedFrechetDistance,
  type ExtrapolationOptions,
  frechetDistance,
} from "./metrics/frechet.ts";
export {
  type InceptionScore,
  inceptionScore,
  type InceptionScoreOptions,
} from "./metrics/inception_score.ts";
export {
  type KernelDistance,
  kernelDistance,
  type KernelDistanceOptions,
} from "./metrics/kernel_distance.ts";
export {
  type PrecisionRecall,
  precisionRecall,
  type PrecisionRecallOptions,
} from "./metrics/precision_recall.ts";
export { Moments, type MomentStatistics } from "./numbers/moments.ts";
export { kendall, pearson, spearman } from "./statistics/correlation.ts";
export {
  type ColorClassifier,
  GENEVAL_COLORS,
  loadColors,
  type LoadColorsOptions,
} from "./geneval/colors.ts";
export { DEMO_DETECTOR, type Detector, loadDetector } from "./geneval/detector.ts";
export { type GenEvalFolderOptions, openGenEvalFolder } from "./geneval/folder.ts";
export {
  asksForColors,
  type GenEvalJudge,
  type GenEvalPicture,
  type JudgedPicture,
  type JudgeGenEvalOptions,
  judgeName,
  judgePictures,
  requireKnown,
  scorePictures,
} from "./geneval/harness.ts";
export {
  GENEVAL_TAGS,
  type GenEvalPrompt,
  parseMetadata,
  type Relation,
  RELATIONS,
  type Requirement,
} from "./geneval/metadata.ts";
export { detailsOf, formatResult, type GenEvalResult, parseResults } from "./geneval/results_file.ts";
export { ResultsLog, type ResultsLogOptions } from "./geneval/results_log.ts";
export {
  type Detection,
  fulfills,
  GENEVAL_RULES,
  type GenEvalRules,
  type GenEvalVerdict,
  verdictOf,
} from "./geneval/rules.ts";
export {
  type GenEvalRow,
  type GenEvalScore,
  type GenEvalTable,
  genEvalTable,
  groupByTag,
} from "./geneval/table.ts";
export { CaptionOracle, type CaptionVerdict } from "./judges/caption_oracle.ts";
export { ClassOracle, type ClassVerdict } from "./judges/class_oracle.ts";
export type { Rows } from "./metrics/rows.ts";
export type { MetricNetwork, MetricOutput } from "./networks/metric_network.ts";
export type { PictureGraphOptions, Pixels } from "./networks/picture_graph.ts";
export {
  bootstrapDifference,
  bootstrapInterval,
  bootstrapStatistic,
  type Groups,
  type Interval,
  type IntervalOptions,
  wilsonInterval,
} from "./statistics/intervals.ts";
export { jackknifeInterval, type JackknifeOptions } from "./statistics/jackknife.ts";
export { type PairedTest, pairedTest, type PairedTestOptions } from "./statistics/permutation.ts";
export type {
  Difference,
  Measured,
  MeasuredCost,
  MetricFacts,
  SweepResults,
  SweepRow,
} from "./sweep/results.ts";
