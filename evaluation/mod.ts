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
export { type DensityPlotOptions, plotDensities, type PlottedDensities } from "./analyses/density_plot.ts";
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
export { type Compared, compareEvaluations } from "./compare.ts";
export {
  evaluatePictures,
  type EvaluateRequest,
  type Evaluation,
  type EvaluationProgress,
} from "./evaluate.ts";
export type { GalleryEntry, GalleryPaper } from "./gallery/entry.ts";
export { GALLERY } from "./gallery/entries.ts";
export { type Gallery, type GalleryOptions, type GalleryProgress, makeGallery } from "./gallery/gallery.ts";
export type { PairedEffect, PairedNumber } from "./gallery/paired_effect.ts";
export type { GalleryResults, MeasuredEntry, MeasuredModel } from "./gallery/results.ts";
export {
  type NpyFacts,
  type NpyType,
  type NpyValues,
  type Npz,
  type NpzArray,
  type NpzRows,
  openNpz,
  writeNpz,
} from "./files/npz.ts";
export {
  type NetworkIdentity,
  readReference,
  type ReferenceFile,
  type ReferenceStatistics,
  writeReference,
} from "./files/reference.ts";
export { type KeptRows, readRows, type ReadRowsOptions, writeRows } from "./files/rows_file.ts";
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
export {
  detailsOf,
  formatGenEvalResult,
  type GenEvalResult,
  parseGenEvalResults,
} from "./geneval/results_file.ts";
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
export { type MetricName, METRICS } from "./measure.ts";
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
export { type Rows, rowsAt } from "./metrics/rows.ts";
export type { InceptionResize } from "./networks/inception_fid.ts";
export { loadMetricNetwork, type LoadMetricNetworkOptions, METRIC_NETWORKS } from "./networks/load.ts";
export { type HostImage, lookAtImages, type LookOptions } from "./networks/look_at_images.ts";
export type { MetricNetwork, MetricOutput } from "./networks/metric_network.ts";
export { metricNetworkOf, type OwnNetwork } from "./networks/own_network.ts";
export type { PictureGraphOptions, Pixels } from "./networks/picture_graph.ts";
export { describesTexts, type TextNetwork } from "./networks/text_network.ts";
export { Moments, type MomentStatistics } from "./numbers/moments.ts";
export type {
  NamedPicture,
  OpenPicturesOptions,
  PictureRun,
  PictureSource,
} from "./pictures/picture_source.ts";
export { runVariants } from "./pictures/run_record.ts";
export { openPictures } from "./pictures/source.ts";
export { judgeOfModel, openBundledReference, openReference, type Reference } from "./reference.ts";
export { type Figure, sweepFigures } from "./report/figures.ts";
export { reportMarkdown, type ReportOptions, reportPage } from "./report/report.ts";
export { parseSweepResults } from "./report/results_file.ts";
export { type PlotBundle, SvgPlot } from "./report/svg_plot.ts";
export {
  type Cell,
  type Column,
  htmlTable,
  markdownTable,
  modelTables,
  type Table,
} from "./report/tables.ts";
export { kendall, pearson, spearman } from "./statistics/correlation.ts";
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
export { type Settings, SWEEP_METHODS } from "./sweep/methods.ts";
export type { SweepEstimate, SweepOptions, SweepProgress } from "./sweep/model_sweep.ts";
export {
  parsePlan,
  type PlannedRow,
  planRows,
  type PublishedValues,
  type SweepMethod,
  type SweepModel,
  type SweepPlan,
  type SweepSubjects,
} from "./sweep/plan.ts";
export { type PresetOptions, presetPlan, SWEEP_PRESETS } from "./sweep/presets.ts";
export type { SweepShard } from "./sweep/records.ts";
export type {
  Difference,
  Measured,
  MeasuredCost,
  MetricFacts,
  SweepResults,
  SweepRow,
} from "./sweep/results.ts";
export { formatCsv } from "./sweep/results_csv.ts";
export { runSweep } from "./sweep/sweep.ts";
