/**
 * Figures of a sweep: metrics against what was varied and against what it cost, FID against Inception Score,
 * and which branches methods took. How a plot becomes a text is left to `plots.ts`, which rows make a line to
 * `series.ts`.
 *
 * @module
 */

import type { Measured, MetricFacts, SweepResults, SweepRow } from "../sweep/results.ts";
import { decimalsOf, fixed, percent, withInterval } from "./number_text.ts";
import { drawPlot, type Markish, type PlotModule, type PlotOptions, SERIES_COLOURS } from "./plots.ts";
import { type Along, linesOf, methodTitle, numberOf, type Series } from "./series.ts";

/** A figure. */
export interface Figure {
  /** What is drawn: `"d16: FID against samples"`. */
  readonly title: string;
  /** How to read it. */
  readonly caption: string;
  /** The picture: one `<svg>` that stands alone. */
  readonly svg: string;
}

/** Pixels that a figure is wide; a page scales it down where there is less room. */
const WIDTH = 440;
/** Pixels between the axes of a figure. */
const HEIGHT = 240;
const MARGIN = { left: 54, right: 18, top: 24, bottom: 42 } as const;
const FONT = 12;

/** Names of the metrics, in plans, that make the plane of the field. */
const INCEPTION_SCORE = /^(is|inception[-_ ]?score)$/i;
const FRECHET = /^fid$/i;

/**
 * All figures of a sweep that have something to show, model after model: each metric against each setting
 * that was varied, against operations and against seconds, then FID against Inception Score, then branches.
 *
 * @param results What a sweep came to, finished or not.
 * @returns Figures by the name of the model; a model without any is not in it.
 *
 * @example
 * ```ts
 * import { sweepFigures } from "./figures.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const figures = await sweepFigures({
 *   format: "varscale-sweep-results",
 *   version: 1,
 *   title: "N",
 *   complete: true,
 *   plan: {},
 *   made: {},
 *   models: [{ name: "demo", facts: {} }],
 *   metrics: [{ key: "fid", title: "FID", better: "lower" }],
 *   rows: [[20, 7.5], [50, 7.1]].map(([samples, value]) => ({
 *     id: `${samples}`,
 *     model: "demo",
 *     method: "var-scaling",
 *     title: `VAR-Scaling, N = ${samples}`,
 *     settings: { samples },
 *     seeds: [0],
 *     pictures: 448,
 *     planned: 448,
 *     metrics: { fid: { value: value! } },
 *     examples: [],
 *   })),
 * });
 * assertEquals(figures.get("demo")?.map(({ title }) => title), ["FID against samples"]);
 * ```
 */
export async function sweepFigures(results: SweepResults): Promise<ReadonlyMap<string, readonly Figure[]>> {
  const models = new Map<string, readonly Figure[]>();
  for (const { name } of results.models) {
    const rows = results.rows.filter(({ model }) => model === name);
    const lines = linesOf(rows);
    const ink = new Ink(rows, lines);
    const figures: (Figure | undefined)[] = [];
    for (const metric of results.metrics) {
      for (const along of lines) figures.push(await settingFigure(results, rows, metric, along, ink));
      for (const cost of ["ratio", "seconds"] as const) {
        figures.push(await costFigure(results, rows, metric, cost, ink));
      }
    }
    const first = results.metrics.find(({ key }) => INCEPTION_SCORE.test(key));
    const second = results.metrics.find(({ key }) => FRECHET.test(key));
    if (first !== undefined && second !== undefined) {
      figures.push(await planeFigure(results, rows, first, second, ink));
    }
    figures.push(await branchFigure(rows));
    const drawn = figures.filter((figure) => figure !== undefined);
    if (drawn.length > 0) models.set(name, drawn);
  }
  return models;
}

/** Colour and symbol of each line of a model, the same in all of its figures. */
class Ink {
  /** For figures in which a setting is no axis: the lines along the first setting, and all other methods. */
  readonly series: readonly (Series & { readonly joined: boolean })[];
  readonly #index = new Map<string, number>();

  constructor(rows: readonly SweepRow[], lines: readonly Along[]) {
    const first = (lines[0]?.series ?? []).filter(({ rows }) => !rows.every(isPlain));
    const drawn = new Set(first.flatMap(({ rows }) => rows));
    const rest = Map.groupBy(
      rows.filter((row) => !drawn.has(row) && !isPlain(row)),
      ({ method }) => methodTitle(method),
    );
    this.series = [
      ...first.map((line) => ({ ...line, joined: true })),
      ...[...rest].map(([title, rows]) => ({ title, rows, joined: false })),
    ];
    for (const { title } of [...this.series, ...lines.flatMap(({ series }) => series)]) {
      if (!this.#index.has(title)) this.#index.set(title, this.#index.size);
    }
  }

  /** How a line is drawn. */
  of(title: string): { readonly colour: string; readonly symbol: SymbolName } {
    const index = this.#index.get(title) ?? 0;
    return {
      colour: SERIES_COLOURS[index % SERIES_COLOURS.length] as string,
      symbol: SYMBOLS[index % SYMBOLS.length] as SymbolName,
    };
  }
}

const SYMBOLS = ["circle", "square", "triangle", "cross", "star", "wye"] as const;
/** Plain has a diamond for itself. */
type SymbolName = typeof SYMBOLS[number] | "diamond";

/** A row where a figure puts it. */
interface Point {
  readonly x: Measured;
  readonly y: Measured;
  /** What it says when one points at it. */
  readonly text: string;
  /** What stands beside it. */
  readonly label?: string;
}

/** Points of one colour. */
interface Trace {
  readonly title: string;
  readonly colour: string;
  readonly symbol: SymbolName;
  readonly points: readonly Point[];
  /** Whether a line joins the points. */
  readonly joined: boolean;
}

/** An axis. */
interface Axis {
  readonly label: string;
  readonly log?: boolean;
  readonly ticks?: readonly number[];
}

/** A metric against a setting: a line for each method, with its interval as a band; plain is dashed. */
async function settingFigure(
  results: SweepResults,
  rows: readonly SweepRow[],
  metric: MetricFacts,
  { setting, series }: Along,
  ink: Ink,
): Promise<Figure | undefined> {
  const traces = series.map(({ title, rows }): Trace => ({
    title,
    ...ink.of(title),
    joined: true,
    points: pointsOf(rows, metric, (row) => ({ value: numberOf(row, setting) })),
  })).filter(({ points }) => points.length > 0);
  if (!traces.some(({ points }) => distinct(points.map(({ x }) => x.value)) > 1)) return undefined;
  if (isFlat(rows, metric)) return undefined;
  const shown = new Set(series.flatMap(({ rows }) => rows));
  const plain = rows.filter((row) => isPlain(row) && !shown.has(row) && metric.key in row.metrics);
  const values = traces.flatMap(({ points }) => points.map(({ x }) => x.value));
  const log = spread(values) >= 4;
  const places = [...new Set(values)].toSorted((a, b) => a - b);
  const title = `${metric.title} against ${setting}`;
  const svg = await drawFigure(title, traces, {
    x: { label: setting, log, ...(places.length <= 8 ? { ticks: places } : {}) },
    y: { label: titleOf(metric) },
    levels: plain.map((row) => ({ ...row.metrics[metric.key] as Measured, title: row.title })),
    bands: true,
  });
  const sentences = [
    ...(traces.some(hasInterval) ? [`Bands and bars are ${intervalsOf(results)}, as in the table.`] : []),
    ...(plain.length === 0 ? [] : ["Dashed: without any search."]),
  ];
  return { title, caption: sentences.join(" "), svg };
}

/** A metric against what a picture cost. */
async function costFigure(
  results: SweepResults,
  rows: readonly SweepRow[],
  metric: MetricFacts,
  cost: "ratio" | "seconds",
  ink: Ink,
): Promise<Figure | undefined> {
  if (metric.better === "neither" || isFlat(rows, metric)) return undefined;
  const traces = scatterOf(rows, ink, (rows) =>
    pointsOf(
      rows.filter((row) => row.cost !== undefined && row.cost[cost] > 0),
      metric,
      (row) => ({ value: row.cost?.[cost] as number }),
    ));
  const values = traces.flatMap(({ points }) => points.map(({ x }) => x.value));
  // Methods that cost no operations stand on a vertical line, which says nothing.
  if (spread(values) < 1.05) return undefined;
  const log = spread(values) >= 2;
  const label = cost === "ratio" ? "operations of a picture, plain = 1" : "seconds of a picture";
  const title = `${metric.title} against ${cost === "ratio" ? "operations" : "seconds"}`;
  const svg = await drawFigure(title, traces, {
    x: { label, log, ...(log ? { ticks: roundTicks(values) } : {}) },
    y: { label: titleOf(metric) },
  });
  const bars = traces.some(hasInterval) ? ` Bars are ${intervalsOf(results)}.` : "";
  return { title, caption: `${COSTS[cost]}${bars}`, svg };
}

const COSTS = {
  ratio: "Counted floating-point operations of transformer, decoder and what judges.",
  seconds: "Seconds by the clock of the machine below, whatever else it did.",
} as const;

/** Whether all rows have one value with one interval, of which no line says more than the table. */
function isFlat(rows: readonly SweepRow[], { key }: MetricFacts): boolean {
  const told = rows.flatMap(({ metrics: { [key]: measured } }) =>
    measured === undefined ? [] : [JSON.stringify([measured.value, measured.low, measured.high])]
  );
  return new Set(told).size < 2;
}

/** What bars are, in words. */
function intervalsOf({ intervals }: SweepResults): string {
  return intervals === undefined ? "intervals" : `${percent(intervals.confidence)} intervals`;
}

function hasInterval({ points }: Trace): boolean {
  return points.some(({ x, y }) => y.low !== undefined || x.low !== undefined);
}

/** FID against Inception Score, the plane in which the papers compare. */
async function planeFigure(
  results: SweepResults,
  rows: readonly SweepRow[],
  first: MetricFacts,
  second: MetricFacts,
  ink: Ink,
): Promise<Figure | undefined> {
  if (isFlat(rows, first) || isFlat(rows, second)) return undefined;
  // More numbers would cover one another.
  const few = ink.series.length <= 5;
  const traces = scatterOf(rows, ink, (rows) =>
    pointsOf(
      rows.filter(({ metrics }) => first.key in metrics),
      second,
      (row) => row.metrics[first.key] as Measured,
      ({ settings: { samples } }) => few && typeof samples === "number" ? `${samples}` : undefined,
    ));
  if (traces.flatMap(({ points }) => points).length < 2) return undefined;
  const title = `${second.title} against ${first.title}`;
  const svg = await drawFigure(title, traces, {
    x: { label: titleOf(first) },
    y: { label: titleOf(second) },
  });
  const sentences = [
    "Down and to the right is better.",
    ...(traces.some(hasInterval) ? [`Bars are ${intervalsOf(results)}.`] : []),
    ...(traces.some(({ points }) => points.some(({ label }) => label !== undefined))
      ? ["Numbers at the ends of lines are N."]
      : []),
  ];
  return { title, caption: sentences.join(" "), svg };
}

/** For which share of pictures a method took each of its branches. */
async function branchFigure(rows: readonly SweepRow[]): Promise<Figure | undefined> {
  const shares = rows.flatMap(({ title, branches = {} }) =>
    Object.entries(branches).map(([branch, share]) => ({ title, branch, share }))
  );
  if (shares.length === 0) return undefined;
  const titles = [...new Set(shares.map(({ title }) => title))];
  const branches = [...new Set(shares.map(({ branch }) => branch))];
  const colour = (branch: string) =>
    SERIES_COLOURS[branches.indexOf(branch) % SERIES_COLOURS.length] as string;
  const left = Math.min(230, 14 + Math.max(...titles.map(textWidth)));
  const title = "Branches taken";
  const svg = await drawPlot((plot) => {
    const legend = drawLegend(
      plot,
      branches.map((branch) => ({ title: branch, colour: colour(branch), symbol: "square" as const })),
      WIDTH - left - MARGIN.right,
    );
    return {
      ...frame(title, legend.height, titles.length * 24 + 4),
      marginLeft: left,
      x: {
        label: "share of pictures, %",
        labelAnchor: "center",
        labelArrow: "none",
        percent: true,
        domain: [0, 100],
        grid: true,
      },
      y: {
        label: null,
        domain: titles,
        tickFormat: (text: string) => shortened(text, left - 12),
        tickSize: 0,
      },
      marks: [
        plot.barX(shares, {
          x: "share",
          y: "title",
          fill: ({ branch }: { branch: string }) => colour(branch),
          inset: 1,
          title: ({ title, branch, share }: typeof shares[number]) =>
            `${title}: ${branch} ${fixed(share * 100, 1)} %`,
        }),
        plot.ruleX([0]),
        ...legend.marks,
      ],
    };
  });
  return { title, caption: "Which of its branches the method took, as a share of pictures.", svg };
}

/** Traces of a figure in which no setting is an axis, plain among them. */
function scatterOf(
  rows: readonly SweepRow[],
  ink: Ink,
  points: (rows: readonly SweepRow[]) => Point[],
): Trace[] {
  const plain: Trace = {
    title: "plain",
    colour: "currentColor",
    symbol: "diamond",
    joined: false,
    points: points(rows.filter(isPlain)),
  };
  const traces = ink.series.map(({ title, rows, joined }): Trace => ({
    title,
    ...ink.of(title),
    joined,
    points: points(rows),
  }));
  return [plain, ...traces].filter(({ points }) => points.length > 0);
}

function pointsOf(
  rows: readonly SweepRow[],
  metric: MetricFacts,
  place: (row: SweepRow) => Measured,
  label: (row: SweepRow) => string | undefined = () => undefined,
): Point[] {
  const measured = rows.filter(({ metrics }) => metric.key in metrics);
  const decimals = decimalsOf(measured.map(({ metrics }) => metrics[metric.key]?.value ?? 0));
  return measured.map((row) => {
    const y = row.metrics[metric.key] as Measured;
    const beside = label(row);
    return {
      x: place(row),
      y,
      text: `${row.title}: ${metric.title} ${withInterval(y, decimals)}`,
      ...(beside === undefined ? {} : { label: beside }),
    };
  });
}

/** An axis with its name, written where it has room. */
interface Drawing {
  readonly x: Axis;
  readonly y: Axis;
  /** Values without a place on the x axis, dashed all along it. */
  readonly levels?: readonly (Measured & { readonly title: string })[];
  /** Whether intervals of joined points are a band, and not bars. */
  readonly bands?: boolean;
}

async function drawFigure(title: string, traces: readonly Trace[], drawing: Drawing): Promise<string> {
  const { x, y, levels = [], bands = false } = drawing;
  return await drawPlot((plot) => {
    const legend = drawLegend(
      plot,
      [...levels.map(({ title }) => ({ title, dashed: true as const })), ...traces],
      WIDTH - MARGIN.left - MARGIN.right,
    );
    return {
      ...frame(title, legend.height, HEIGHT),
      x: {
        label: x.label,
        labelAnchor: "center",
        labelArrow: "none",
        type: x.log ? "log" : "linear",
        inset: 10,
        nice: x.log !== true && x.ticks === undefined,
        ...(x.ticks === undefined ? {} : { ticks: x.ticks }),
        ...(x.log || x.ticks !== undefined ? { tickFormat: (value: number) => `${value}` } : {}),
      },
      y: { label: y.label, labelArrow: "none", grid: true, nice: true, inset: 6 },
      marks: [
        ...levels.flatMap((level) => drawLevel(plot, level)),
        ...traces.flatMap((trace) => drawTrace(plot, trace, bands)),
        ...legend.marks,
      ],
    };
  });
}

function drawLevel(plot: PlotModule, { title, ...level }: Measured & { readonly title: string }): Markish[] {
  const { value, low, high } = level;
  const text = `${title}: ${withInterval(level, decimalsOf([value]))}`;
  const ends = low === undefined || high === undefined ? [] : [
    plot.rectY([{ low, high }], { y1: "low", y2: "high", fill: "currentColor", fillOpacity: 0.07 }),
  ];
  return [
    ...ends,
    plot.ruleY([value], { stroke: "currentColor", strokeDasharray: "4,3", title: () => text }),
  ];
}

function drawTrace(plot: PlotModule, trace: Trace, bands: boolean): Markish[] {
  const { points, colour, symbol, joined } = trace;
  const band = bands && joined && distinct(points.map(({ x }) => x.value)) > 1;
  const whole = (axis: "x" | "y") =>
    points.filter((point) => point[axis].low !== undefined && point[axis].high !== undefined);
  const place = { x: ({ x }: Point) => x.value, y: ({ y }: Point) => y.value };
  const bounds = { low: ({ y }: Point) => y.low, high: ({ y }: Point) => y.high };
  // The ends of a line say in which direction it goes.
  const ends = [points.at(0), points.at(-1)].filter((point) => point?.label !== undefined);
  const labels = joined && points.length > 1 ? ends as Point[] : [];
  return [
    band
      ? plot.areaY(whole("y"), {
        x: place.x,
        y1: bounds.low,
        y2: bounds.high,
        fill: colour,
        fillOpacity: 0.12,
      })
      : plot.ruleX(whole("y"), { x: place.x, y1: bounds.low, y2: bounds.high, stroke: colour, opacity: 0.5 }),
    plot.ruleY(whole("x"), {
      y: place.y,
      x1: ({ x }: Point) => x.low,
      x2: ({ x }: Point) => x.high,
      stroke: colour,
      opacity: 0.5,
    }),
    ...(joined ? [plot.line(points, { ...place, stroke: colour, strokeWidth: 1.75 })] : []),
    plot.dot(points, { ...place, fill: colour, symbol, r: 3.5, title: ({ text }: Point) => text }),
    plot.text(labels, {
      ...place,
      text: ({ label }: Point) => label,
      fill: colour,
      stroke: "var(--plot-background)",
      strokeWidth: 3,
      dx: 6,
      dy: -7,
      textAnchor: "start",
    }),
  ];
}

/** An entry of a legend. */
type Entry =
  | { readonly title: string; readonly dashed: true }
  | { readonly title: string; readonly colour: string; readonly symbol: SymbolName; readonly dashed?: never };

/** Pixels from one line of a legend to the next. */
const LEGEND_LINE = 17;
/** Pixels that a sign and the room around it take. */
const SIGN = 30;

/**
 * What the lines are, above the frame, in as many lines as it takes. Plot's own legends are HTML, and would
 * not come along in an SVG.
 */
function drawLegend(
  plot: PlotModule,
  entries: readonly Entry[],
  width: number,
): { readonly marks: Markish[]; readonly height: number } {
  let line = 0;
  let across = 0;
  const placed = entries.map((entry) => {
    const text = shortened(entry.title, width - SIGN);
    const room = SIGN + textWidth(text);
    if (across > 0 && across + room > width) {
      line++;
      across = 0;
    }
    const at = { entry, text, dx: across, line };
    across += room;
    return at;
  });
  const height = entries.length === 0 ? 0 : (line + 1) * LEGEND_LINE;
  const marks = placed.flatMap(({ entry, text, dx, line }): Markish[] => {
    const dy = line * LEGEND_LINE - height + 2;
    const anchor = { frameAnchor: "top-left", dy } as const;
    const sign = entry.dashed
      ? plot.text(["╌╌"], { ...anchor, dx: dx - 2, textAnchor: "start", text: (sign: string) => sign })
      : plot.dot([0], { ...anchor, dx: dx + 6, fill: entry.colour, symbol: entry.symbol, r: 4 });
    return [
      sign,
      plot.text([text], {
        ...anchor,
        dx: dx + (entry.dashed ? 20 : 15),
        textAnchor: "start",
        text: (text: string) => text,
      }),
    ];
  });
  return { marks, height };
}

/** What all figures have in common. */
function frame(title: string, legend: number, height: number): PlotOptions {
  const marginTop = MARGIN.top + legend;
  return {
    ariaLabel: title,
    width: WIDTH,
    height: marginTop + height + MARGIN.bottom,
    marginTop,
    marginLeft: MARGIN.left,
    marginRight: MARGIN.right,
    marginBottom: MARGIN.bottom,
    style: { fontSize: `${FONT}px` },
  };
}

/** Pixels of a text, about: no font is at hand to ask, and letters are about half as wide as high. */
function textWidth(text: string): number {
  return [...text].length * FONT * 0.56;
}

function shortened(text: string, width: number): string {
  const most = Math.max(4, Math.floor(width / (FONT * 0.56)));
  const marks = [...text];
  return marks.length <= most ? text : `${marks.slice(0, most - 1).join("")}…`;
}

/** Numbers with one digit that counts, 1, 2 and 5, within values and one beyond at either end. */
function roundTicks(values: readonly number[]): number[] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const digit of [1, 2, 5]) ticks.push(Number(`${digit}e${power}`));
  }
  return ticks.filter((tick) => tick >= low * 0.98 && tick <= high * 1.02);
}

/** The largest of positive values divided by the smallest; 0 if one is not positive, or there is none. */
function spread(values: readonly number[]): number {
  if (values.length === 0 || !values.every((value) => value > 0)) return 0;
  return Math.max(...values) / Math.min(...values);
}

function distinct(values: readonly number[]): number {
  return new Set(values).size;
}

function titleOf({ title, better }: MetricFacts): string {
  return better === "neither" ? title : `${title}, ${better} is better`;
}

function isPlain({ method }: SweepRow): boolean {
  return method === "plain";
}
