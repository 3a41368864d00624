/**
 * Curves with their intervals, one for each series, as the figures of analyses show them.
 *
 * @module
 */

import { drawPlot, SERIES_COLOURS } from "../report/plots.ts";
import type { Measured } from "../sweep/results.ts";

/** A point of a curve. */
export interface CurvePoint extends Measured {
  /** The curve that it belongs to. */
  readonly series: string;
  /** Where it stands: a number, or a word on an axis of words. */
  readonly place: number | string;
}

/** How curves are drawn. */
export interface CurveOptions {
  /** What stands below: what the places are. */
  readonly below: string;
  /** What stands at the left: what the values are. */
  readonly left: string;
  /** Range of the values; that of the points by default. */
  readonly range?: readonly [number, number];
  /** Whether places are drawn by their logarithms. */
  readonly logarithmic?: boolean;
  /** Values that are marked by a line across. */
  readonly marks?: readonly number[];
}

/** Height of a line of the key. */
const KEY_LINE = 16;
/** Height of all else. */
const HEIGHT = 308;

/**
 * Draws curves with a key.
 *
 * @returns One SVG text that stands alone.
 *
 * @example
 * ```ts
 * import { drawCurves } from "./curves.ts";
 * import { assertStringIncludes } from "@std/assert";
 *
 * const points = [10, 20].map((place) => ({ series: "densest", place, value: 1 / place }));
 * assertStringIncludes(await drawCurves(points, { below: "candidates", left: "share" }), ">densest<");
 * ```
 */
export async function drawCurves(points: readonly CurvePoint[], options: CurveOptions): Promise<string> {
  const { below, left, range, logarithmic = false, marks = [] } = options;
  const series = [...new Set(points.map((point) => point.series))];
  const colours = SERIES_COLOURS.length;
  // Where colours are used up they begin again, each time with other dashes.
  const dashes = (round: number): string => round === 0 ? "none" : `${6 / round} ${2 + round}`;
  const rounds = Array.from({ length: Math.ceil(series.length / colours) }, (_, round) => {
    const names = series.slice(round * colours, (round + 1) * colours);
    return { round, points: points.filter((point) => names.includes(point.series)) };
  });
  const words = points.some(({ place }) => typeof place === "string");
  const places = [...new Set(points.map(({ place }) => place))];
  const bands = points.filter(({ low, high }) => low !== undefined && high !== undefined);
  return await drawPlot((plot) => ({
    width: 680,
    height: HEIGHT + KEY_LINE * series.length,
    marginTop: 28 + KEY_LINE * series.length,
    marginBottom: 44,
    marginLeft: 56,
    marginRight: 24,
    x: words
      ? { type: "point", label: below, domain: places }
      : { label: below, ...(logarithmic && { type: "log" as const, ticks: places, tickFormat: "d" }) },
    y: { grid: true, label: left, ...(range && { domain: [...range] }) },
    color: { domain: series, range: series.map((_, i) => SERIES_COLOURS[i % colours]!) },
    marks: [
      plot.areaY(bands, {
        x: "place",
        y1: "low",
        y2: "high",
        z: "series",
        fill: "series",
        fillOpacity: 0.15,
      }),
      plot.ruleY([...marks], { strokeOpacity: 0.5 }),
      ...rounds.map(({ round, points }) =>
        plot.lineY(points, {
          ...{ x: "place", y: "value", z: "series", stroke: "series", marker: "circle" as const },
          strokeDasharray: dashes(round),
        })
      ),
      ...series.map((name, i) =>
        plot.text([name], {
          frameAnchor: "top-right",
          textAnchor: "end",
          dy: -KEY_LINE * (series.length - i),
          fill: SERIES_COLOURS[i % colours]!,
          text: () => `${name}${i < colours ? "" : i < 2 * colours ? " (dashed)" : " (dotted)"}`,
        })
      ),
    ],
  }));
}
