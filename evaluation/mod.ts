/**
 * How good pictures are, and how good a method is: metrics that agree with the tools that papers use, the
 * networks that they are taken by, sweeps over methods and settings, and reports. This is the door of
 * everything here; `mod.ts` of the project knows nothing of it, so that who only paints loads none of it.
 *
 * @module
 */

export type { Rows } from "./metrics/rows.ts";
export type { InceptionResize } from "./networks/inception_fid.ts";
export { loadMetricNetwork, type LoadMetricNetworkOptions, METRIC_NETWORKS } from "./networks/load.ts";
export { type HostImage, lookAtImages, type LookOptions } from "./networks/look_at_images.ts";
export type { MetricNetwork, MetricOutput } from "./networks/metric_network.ts";
export { metricNetworkOf, type OwnNetwork } from "./networks/own_network.ts";
export { describesTexts, type TextNetwork } from "./networks/text_network.ts";
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
