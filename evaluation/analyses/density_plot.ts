/**
 * Histograms of candidates' densities, one a label, with the α that decides the branch of VAR-Scaling (arXiv
 * 2601.07293, section 3.3). Where the densities are from is left to others: to `densities.ts`, or to a hook
 * of one's own.
 *
 * @module
 */

import {
  mustBe,
  requireInteger,
  requireList,
  requireNumber,
  requireOptions,
  requireText,
} from "../../kernels/arguments.ts";
import { drawPlot, SERIES_COLOURS } from "../report/plots.ts";
import { SvgPlot } from "../report/svg_plot.ts";

/** Candidates of a label, for {@linkcode plotDensities}. */
export interface PlottedDensities {
  /** Its name. */
  readonly label: string;
  /** Density of each candidate, in any unit. */
  readonly densities: ArrayLike<number>;
  /** The candidate that was taken, which is marked. Default: none is. */
  readonly chosen?: number;
}

/** Options of {@linkcode plotDensities}. */
export interface DensityPlotOptions {
  /** Threshold factor α: the branch is that of low density where no candidate reaches α times the mean. */
  readonly alpha: number;
  /** What stands below the plot. */
  readonly caption?: string;
}

/** What is drawn of a label. */
export interface DensityRow {
  /** Its name. */
  readonly label: string;
  /** Density of each candidate. */
  readonly densities: readonly number[];
  /** Their mean. */
  readonly mean: number;
  /** The greatest over the mean. */
  readonly ratio: number;
  /** Whether the branch is that of low density. */
  readonly low: boolean;
}

const ACTION = "plot densities";
/** What stands below by default. */
const CAPTION = "density, where 1 is the mean of a label";

/**
 * Plots how dense candidates are: a histogram for each label, in units of its mean, beside α.
 *
 * @param labels Candidates of each label.
 * @param options α, and a caption.
 * @returns A plot that shows itself in notebooks.
 * @throws {TypeError} If something is of the wrong type, or an option is unknown.
 * @throws {RangeError} If there is no label, a label has fewer than two candidates, a density is no positive
 * number, or `alpha` or `chosen` is out of range.
 *
 * @example
 * ```ts
 * import { plotDensities } from "../mod.ts";
 * import { assertStringIncludes } from "@std/assert";
 *
 * const densities = [4, 4, 5, 6, 6, 6, 11];
 * const { svg } = await plotDensities([{ label: "red torus", densities, chosen: 6 }], { alpha: 1.4 });
 * assertStringIncludes(svg, "1.83, high"); // 11 is 1.83 times the mean
 * ```
 */
export async function plotDensities(
  labels: readonly PlottedDensities[],
  options: DensityPlotOptions,
): Promise<SvgPlot> {
  requireOptions(options, ["alpha", "caption"], ACTION);
  const { alpha, caption = CAPTION } = options;
  requireNumber(alpha, "alpha", ACTION, { min: 0, max: 2 ** 20 });
  requireText(caption, "caption", ACTION);
  requireList(labels, "labels", ACTION, "a list of labels with densities");
  if (labels.length === 0) throw new RangeError(mustBe("at least one label", labels, "labels", ACTION));
  const rows = labels.map((given) => rowOf(given, alpha));
  const chosen = labels.map(({ chosen }) => chosen);
  return new SvgPlot(
    await drawDensities(rows, { alpha, caption, chosen }),
    `Densities of candidates: ${rows.map(({ label }) => label).join(", ")}`,
  );
}

/** Checks what is plotted of a label, and completes it. */
function rowOf({ label, densities: given, chosen }: PlottedDensities, alpha: number): DensityRow {
  requireText(label, "label", ACTION);
  const densities = Array.from(given);
  if (densities.length < 2) {
    throw new RangeError(mustBe("of at least two candidates", densities.length, "densities", ACTION));
  }
  const wrong = densities.find((density) => !(density > 0 && density < Infinity));
  if (wrong !== undefined) throw new RangeError(mustBe("a positive number", wrong, "each density", ACTION));
  if (chosen !== undefined) {
    requireInteger(chosen, "chosen", ACTION, { min: 0, max: densities.length - 1 });
  }
  const mean = densities.reduce((sum, density) => sum + density, 0) / densities.length;
  const ratio = densities.reduce((most, density) => Math.max(most, density), 0) / mean;
  return { label, densities, mean, ratio, low: ratio < alpha };
}

/** Bars of a histogram. */
const BARS = 24;
/** Letters of a label for which there is room beside one. */
const LETTERS = 28;

/**
 * Draws the histograms.
 *
 * @param rows What is drawn of each label.
 * @param options α, what stands below, and of each label the candidate that is marked.
 * @returns One SVG text that stands alone.
 *
 * @example
 * ```ts
 * import { drawDensities } from "./density_plot.ts";
 * import { assertStringIncludes } from "@std/assert";
 *
 * const row = { label: "red torus", densities: [1, 3], mean: 2, ratio: 1.5, low: true };
 * assertStringIncludes(await drawDensities([row], { alpha: 1.6, caption: "density" }), ">α = 1.60<");
 * ```
 */
export async function drawDensities(
  rows: readonly DensityRow[],
  { alpha, caption, chosen = [] }: {
    readonly alpha: number;
    readonly caption: string;
    readonly chosen?: readonly (number | undefined)[];
  },
): Promise<string> {
  const ratios = rows.map(({ densities, mean, low }, place) => ({
    place,
    branch: low ? "low" : "high",
    values: densities.map((density) => density / mean),
  }));
  const all = ratios.flatMap(({ values }) => values);
  // α is where a bar ends and another begins: whatever stands at its right has the density that it asks for.
  const width = (Math.max(...all, alpha) - Math.min(...all, alpha)) / (BARS - 2) || 1 / BARS;
  const before = Math.ceil((alpha - Math.min(...all, alpha)) / width);
  const [least, most] = [alpha - before * width, alpha + (BARS - before) * width];
  const bars = ratios.flatMap(({ place, branch, values }) =>
    Array.from({ length: BARS }, (_, i) => ({
      place,
      branch,
      from: least + i * width,
      to: least + (i + 1) * width,
      count: values.filter((value) => before + Math.floor((value - alpha) / width) === i).length,
    })).filter(({ count }) => count > 0)
  );
  const marked = ratios.flatMap(({ place, values }) => {
    const at = values[chosen[place] ?? -1];
    return at === undefined ? [] : [{ place, at }];
  });
  return await drawPlot((plot) => ({
    width: 680,
    height: 40 + 76 * rows.length,
    marginLeft: 56,
    marginRight: 190,
    marginTop: 40,
    marginBottom: 40,
    x: { label: caption, domain: [least, most] },
    y: { label: "candidates", grid: true, ticks: 3 },
    fy: {
      label: null,
      padding: 0.25,
      tickFormat: (place: number) => {
        const { label, ratio, low } = rows[place]!;
        return `${shortened(label)}\n${ratio.toFixed(2)}, ${low ? "low" : "high"}`;
      },
    },
    color: { domain: ["high", "low"], range: [SERIES_COLOURS[0]!, SERIES_COLOURS[1]!] },
    marks: [
      plot.rectY(bars, { fy: "place", x1: "from", x2: "to", y: "count", fill: "branch" }),
      plot.ruleX([1], { strokeOpacity: 0.5 }),
      plot.ruleX([alpha], { strokeDasharray: "4 3" }),
      plot.text([`α = ${alpha.toFixed(2)}`], {
        x: [alpha],
        fy: [0],
        frameAnchor: "top",
        dy: -12,
        text: [`α = ${alpha.toFixed(2)}`],
      }),
      plot.ruleY([0]),
      ...(marked.length === 0 ? [] : [
        plot.text(marked, { fy: "place", x: "at", frameAnchor: "top", dy: -5, text: () => "▼" }),
      ]),
    ],
  }));
}

function shortened(label: string): string {
  const letters = [...label.replace(/\s+/g, " ")];
  return letters.length <= LETTERS
    ? letters.join("")
    : `${letters.slice(0, LETTERS - 1).join("").trimEnd()}…`;
}
