/**
 * How good pictures are, and how good a method is: metrics that agree with the tools that papers use, the
 * networks that they are taken by, sweeps over methods and settings, and reports. This is the door of
 * everything here; `mod.ts` of the project knows nothing of it, so that who only paints loads none of it.
 *
 * @module
 */

export type { Rows } from "./metrics/rows.ts";
export type { MetricNetwork, MetricOutput } from "./networks/metric_network.ts";
export { type Figure, sweepFigures } from "./report/figures.ts";
export { reportMarkdown, type ReportOptions, reportPage } from "./report/report.ts";
export { parseResults } from "./report/results_file.ts";
export {
  type Cell,
  type Column,
  htmlTable,
  markdownTable,
  modelTables,
  type Table,
} from "./report/tables.ts";
export {
  bootstrapDifference,
  bootstrapInterval,
  type Groups,
  type Interval,
  type IntervalOptions,
} from "./statistics/intervals.ts";
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
export { type Settings, SWEEP_METHODS } from "./sweep/methods.ts";
export type { SweepEstimate, SweepOptions, SweepProgress } from "./sweep/model_sweep.ts";
export type { SweepShard } from "./sweep/records.ts";
export { type PresetOptions, presetPlan, SWEEP_PRESETS } from "./sweep/presets.ts";
export { formatCsv } from "./sweep/results_csv.ts";
export { runSweep } from "./sweep/sweep.ts";
export type {
  Difference,
  Measured,
  MeasuredCost,
  MetricFacts,
  SweepResults,
  SweepRow,
} from "./sweep/results.ts";
