/**
 * A plot that is done: an SVG text that knows how to become a file and how to show itself in a notebook. What
 * is plotted is left to others.
 *
 * @module
 */

import { fits, jupyterDisplay, keepFile, linkTo } from "../../sampler/notebook/output.ts";

/** A plot in the formats in which a notebook shows it, by media type. */
export interface PlotBundle {
  /** The plot. */
  readonly "image/svg+xml"?: string;
  /** Of a plot that is too large for a notebook: a link to its file. */
  readonly "text/html"?: string;
  /** What is shown where plots cannot be. */
  readonly "text/plain": string;
}

/**
 * A plot. In a Jupyter notebook, a cell that ends with it shows it; one of more than 8 MiB is kept in a file
 * in `varscale_outputs/`, and a link is shown.
 *
 * @example
 * ```ts
 * import { plotDensities, SvgPlot } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const plot = await plotDensities([{ label: "red torus", densities: [1, 2, 2, 3] }], { alpha: 1.4 });
 * assertEquals(plot instanceof SvgPlot, true);
 * assertEquals(plot.svg.startsWith("<svg "), true);
 * // await Deno.writeFile("densities.svg", plot.bytes());
 * ```
 */
export class SvgPlot {
  /** The plot as one SVG text that stands alone. */
  readonly svg: string;
  /** What it shows, in a few words. */
  readonly title: string;

  /**
   * Takes a plot that is drawn.
   *
   * @param svg The text.
   * @param title What it shows.
   */
  constructor(svg: string, title: string) {
    this.svg = svg;
    this.title = title;
  }

  /** The plot as the bytes of an SVG file. */
  bytes(): Uint8Array<ArrayBuffer> {
    return new TextEncoder().encode(this.svg);
  }

  /** What a notebook shows. */
  [jupyterDisplay](): PlotBundle {
    const whole = { "image/svg+xml": this.svg, "text/plain": this.title };
    if (fits(whole)) return whole;
    const { html, plain } = linkTo(keepFile(this.bytes(), "svg"), this.title);
    return { "text/html": html, "text/plain": plain };
  }
}
