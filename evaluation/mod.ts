/**
 * How good pictures are, and how good a method is: metrics that agree with the tools that papers use, the
 * networks that they are taken by, sweeps over methods and settings, and reports. This is the door of
 * everything here; `mod.ts` of the project knows nothing of it, so that who only paints loads none of it.
 *
 * @module
 */

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
export type { Rows } from "./metrics/rows.ts";
export type { InceptionResize } from "./networks/inception_fid.ts";
export { loadMetricNetwork, type LoadMetricNetworkOptions, METRIC_NETWORKS } from "./networks/load.ts";
export { type HostImage, lookAtImages, type LookOptions } from "./networks/look_at_images.ts";
export { type Rows, rowsAt } from "./metrics/rows.ts";
export type { MetricNetwork, MetricOutput } from "./networks/metric_network.ts";
export { Moments, type MomentStatistics } from "./numbers/moments.ts";
export { kendall, pearson, spearman } from "./statistics/correlation.ts";
export { metricNetworkOf, type OwnNetwork } from "./networks/own_network.ts";
export { describesTexts, type TextNetwork } from "./networks/text_network.ts";
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
