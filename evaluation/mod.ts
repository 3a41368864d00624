/**
 * How good pictures are, and how good a method is: metrics that agree with the tools that papers use, the
 * networks that they are taken by, sweeps over methods and settings, and reports. This is the door of
 * everything here; `mod.ts` of the project knows nothing of it, so that who only paints loads none of it.
 *
 * @module
 */

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
  type Groups,
  type Interval,
  type IntervalOptions,
} from "./statistics/intervals.ts";
export type {
  Difference,
  Measured,
  MeasuredCost,
  MetricFacts,
  SweepResults,
  SweepRow,
} from "./sweep/results.ts";
