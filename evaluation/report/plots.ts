/**
 * Plots as SVG texts: the door of Observable Plot and of the document that it draws into. What is plotted is
 * left to whoever asks; both packages are loaded at the first plot, so that who only computes has none of it.
 *
 * @module
 */

import type * as Plot from "npm:@observablehq/plot@0.6.17";
import type { PlotOptions } from "npm:@observablehq/plot@0.6.17";
import { mustBe } from "../../kernels/arguments.ts";
import { withoutHiddenMarks } from "./html.ts";

export type { Markish, PlotOptions } from "npm:@observablehq/plot@0.6.17";

/** What Observable Plot exports: marks, scales, transforms. */
export type PlotModule = typeof Plot;

/** Colours of series, each at least 3 : 1 against white and against near black. */
export const SERIES_COLOURS: readonly string[] = [
  "#3b7dd8",
  "#d9730d",
  "#2e9e5b",
  "#9b6cd6",
  "#e0474c",
  "#1a979d",
  "#d4569a",
  "#a5744a",
  "#868b1f",
  "#7d8590",
];

/** Class of every plot; rules of a page for it win over the plot's own. */
const CLASS = "varscale-plot";

const NAMESPACE = "http://www.w3.org/2000/svg";

/** Text and ground by themselves; `:where` weighs nothing, so that a page's own rules win. */
const STYLE = `:where(.${CLASS}) {
  --plot-background: #ffffff;
  color: #1f2328;
  color-scheme: light dark;
  display: block;
  height: auto;
  max-width: 100%;
}
@media (prefers-color-scheme: dark) {
  :where(.${CLASS}) {
    --plot-background: #14171c;
    color: #e6e8eb;
  }
}
:where(.${CLASS} text, .${CLASS} tspan) { white-space: pre; }`;

/** Attributes that hold places, which are kept to hundredths of a pixel. */
const PLACES = [
  "x",
  "y",
  "x1",
  "y1",
  "x2",
  "y2",
  "cx",
  "cy",
  "dx",
  "dy",
  "width",
  "height",
  "d",
  "transform",
];

/**
 * Draws a plot as one SVG text that stands alone: without scripts and references, with the generic fonts of
 * whoever shows it, and readable on light and on dark ground. The same plot gives the same bytes.
 *
 * @param build Makes the options of Observable Plot from its exports.
 * @returns `<svg xmlns="http://www.w3.org/2000/svg" …>…</svg>`.
 * @throws {TypeError} If the options ask for more than the plot itself: a title, a caption or a legend, which
 * are HTML.
 *
 * @example
 * ```ts
 * import { drawPlot } from "./plots.ts";
 * import { assertStringIncludes } from "@std/assert";
 *
 * const svg = await drawPlot((plot) => ({ marks: [plot.line([[1, 9.5], [2, 7.1], [4, 6.4]])] }));
 * assertStringIncludes(svg, 'xmlns="http://www.w3.org/2000/svg"');
 * ```
 */
export async function drawPlot(build: (plot: PlotModule) => PlotOptions): Promise<string> {
  const [plot, { DOMParser }] = await Promise.all([
    import("npm:@observablehq/plot@0.6.17"),
    import("npm:linkedom@0.18.15"),
  ]);
  // A document of HTML would write attributes as HTML does, which is no XML.
  const document = new DOMParser().parseFromString(`<svg xmlns="${NAMESPACE}"/>`, "image/svg+xml");
  const options = { ...build(plot), className: CLASS, document } as unknown as PlotOptions;
  const svg = plot.plot(options) as unknown as DrawnElement;
  if (svg.tagName !== "svg") {
    throw new TypeError(
      mustBe("an SVG alone, without title, caption and legend", "figure", "the plot", "draw"),
    );
  }
  // Plot leaves the namespace to the document, and the writer of the document leaves it out.
  svg.setAttribute("xmlns", NAMESPACE);
  // With a name it is one picture to whoever hears the page, and not a heap of texts.
  if (svg.getAttribute("aria-label") !== null) svg.setAttribute("role", "img");
  const style = svg.querySelector("style");
  if (style !== null) style.textContent = STYLE;
  for (const element of svg.querySelectorAll("*")) roundPlaces(element);
  return withOwnIds(withoutHiddenMarks(svg.outerHTML));
}

/** What is used of the elements that Plot makes; Deno knows no types of a document. */
interface DrawnElement {
  readonly tagName: string;
  readonly outerHTML: string;
  textContent: string;
  getAttribute(name: string): string | null;
  setAttribute(name: string, value: string): void;
  querySelector(selector: string): DrawnElement | null;
  querySelectorAll(selector: string): Iterable<DrawnElement>;
}

/** The last digits of a place differ between processors, as logarithms do, and nobody sees them. */
function roundPlaces(element: DrawnElement): void {
  for (const name of PLACES) {
    const value = element.getAttribute(name);
    if (value === null) continue;
    element.setAttribute(
      name,
      value.replace(/-?\d+\.\d{3,}(?:e-?\d+)?/g, (digits) => `${hundredths(digits)}`),
    );
  }
}

function hundredths(digits: string): number {
  return Math.round(Number(digits) * 100) / 100 + 0;
}

/** Plot counts its clip paths through the process; named by content, those of two plots stay apart. */
function withOwnIds(svg: string): string {
  const numbers = new Map<string, number>();
  const ids = /plot-clip-(\d+)/g;
  const plain = svg.replace(ids, (_, id: string) => {
    if (!numbers.has(id)) numbers.set(id, numbers.size + 1);
    return `plot-clip-@${numbers.get(id)}`;
  });
  if (numbers.size === 0) return svg;
  let hash = 0x811c9dc5;
  for (let i = 0; i < plain.length; i++) hash = Math.imul(hash ^ plain.charCodeAt(i), 0x01000193);
  return plain.replaceAll("plot-clip-@", `clip-${(hash >>> 0).toString(16)}-`);
}
