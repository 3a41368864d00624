/**
 * What an analysis of a model is: what it was asked, its numbers, its table, its pictures. What each of them
 * looks at is left to the files beside this one, the files and the printing to the command line.
 *
 * @module
 */

import { mustBe, requireInteger, requireList, requireOptions } from "../../kernels/arguments.ts";
import type { Label, ResolvedLabel } from "../../models/label.ts";
import type { Model } from "../../models/model.ts";
import { SCHEDULE_OPTIONS } from "../../models/sampling.ts";
import type { Schedule } from "../../models/schedule.ts";
import { featuresOf, generate } from "../../sampler/generate.ts";
import { scaleIndex } from "../../sampler/scale_index.ts";
import { jupyterDisplay, type MimeBundle } from "../../sampler/notebook/output.ts";
import { RgbaImage } from "../../sampler/pictures/image.ts";
import { type GenerateRequest, resolveRequest } from "../../sampler/request.ts";
import type { GeneratedImage } from "../../sampler/result.ts";
import { type PlotBundle, SvgPlot } from "../report/svg_plot.ts";
import { bootstrapInterval } from "../statistics/intervals.ts";
import type { Measured } from "../sweep/results.ts";

/** How pictures of an analysis are painted: what a request says beyond its subjects and its hooks. */
export type Painting = Omit<
  GenerateRequest,
  "labels" | "count" | "indices" | "seed" | "moreSmooth" | "edit" | "hooks" | "previews" | "signal"
>;

/** Options that all analyses have. */
export interface AnalysisOptions {
  /**
   * Labels; for a model of classes eight of them by default, spread over all. A model that takes texts must
   * be given some.
   */
  readonly labels?: readonly Label[];
  /** Seed; 0 by default. Picture i of a label is that of `generate` with the same labels and `count`. */
  readonly seed?: number | bigint;
  /** How tokens are drawn, and how many pictures run together. */
  readonly painting?: Painting;
  /** Ends the analysis. */
  readonly signal?: AbortSignal | undefined;
  /** Called whenever pictures are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Names of the options that all analyses have. */
export const ANALYSIS_OPTIONS = ["labels", "seed", "painting", "signal", "onProgress"] as const;

/** A table for people. */
export interface AnalysisTable {
  /** Heads. */
  readonly columns: readonly string[];
  /** Cells, row by row. */
  readonly rows: readonly (readonly string[])[];
}

/** A picture of an analysis. */
export interface AnalysisPicture {
  /** Name of its file: `"perturbation.svg"`. */
  readonly name: string;
  /** The file: PNG for what is painted, SVG for what is drawn. */
  readonly bytes: Uint8Array;
}

/**
 * What an analysis comes to. In a notebook it shows its first picture.
 *
 * @typeParam Data Its numbers: plain data, which survives JSON.
 */
export interface Analysis<Data = unknown> {
  /** Which one: `"perturbation"`. */
  readonly kind: string;
  /** What it is about, for people. */
  readonly title: string;
  /** What it was asked, completed by what it chose itself. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Its numbers. */
  readonly data: Data;
  /** The same for people. */
  readonly table: AnalysisTable;
  /** Draws its pictures. */
  pictures(): Promise<AnalysisPicture[]>;
}

/**
 * The same analysis, which also shows itself in a notebook: its first picture, and where there can be none,
 * its title and table.
 *
 * @example
 * ```ts
 * import { shownInNotebooks } from "./analysis.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const pictures = () => Promise.resolve([{ name: "a.svg", bytes: new TextEncoder().encode("<svg/>") }]);
 * const table = { columns: ["label"], rows: [["sea"]] };
 * const analysis = shownInNotebooks({ kind: "own", title: "Own", settings: {}, data: 1, table, pictures });
 * const show = Reflect.get(analysis, Symbol.for("Jupyter.display")) as () => Promise<unknown>;
 * assertEquals(await show(), { "image/svg+xml": "<svg/>", "text/plain": "Own\nlabel\nsea" });
 * ```
 */
export function shownInNotebooks<Data>(analysis: Analysis<Data>): Analysis<Data> {
  const display = async (): Promise<PlotBundle | MimeBundle> => {
    const { title, table: { columns, rows } } = analysis;
    const words = [title, ...[columns, ...rows].map((cells) => cells.join("\t"))].join("\n");
    const [picture] = await analysis.pictures();
    if (picture === undefined) return { "text/plain": words };
    return picture.name.endsWith(".svg")
      ? new SvgPlot(new TextDecoder().decode(picture.bytes), words)[jupyterDisplay]()
      : { ...RgbaImage.decode(picture.bytes)[jupyterDisplay](), "text/plain": words };
  };
  // Not enumerable, so that an analysis stays the plain data that JSON and comparisons see.
  return Object.defineProperty(analysis, jupyterDisplay, { value: display });
}

/** What every analysis is asked, checked and completed. */
export interface Asked {
  /** What is done, for messages. */
  readonly action: string;
  /** Labels as they were given, or chosen. */
  readonly labels: readonly Label[];
  /** The same, understood. */
  readonly subjects: readonly ResolvedLabel[];
  /** Seed. */
  readonly seed: number | bigint;
  /** How tokens are drawn. */
  readonly painting: Painting;
  /** The scales. */
  readonly schedule: Schedule;
  /** Ends it. */
  readonly signal: AbortSignal | undefined;
  /** Counts pictures that are done. */
  readonly progress: (done: number, total: number) => void;
}

/** Labels that are taken where none are given. */
const LABELS = 8;

/**
 * Labels of a model of classes that are far from each other by number, as neighbours are often alike: steps
 * of the golden ratio, which no period of a list meets.
 *
 * @param count How many, at most.
 * @throws {RangeError} If the model takes texts.
 *
 * @example
 * ```ts
 * import { spreadLabels } from "./analysis.ts";
 * import { loadModel } from "../../models/load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * assertEquals(spreadLabels(model, 4), [0, 39, 15, 54]);
 * ```
 */
export function spreadLabels({ name, labels }: Pick<Model, "name" | "labels">, count: number): number[] {
  if (labels.kind === "texts") {
    throw new RangeError(
      `Cannot choose labels as the model "${name}" has no classes to choose from: give some prompts`,
    );
  }
  const ratio = (Math.sqrt(5) - 1) / 2;
  const chosen = new Set<number>();
  for (let i = 0; chosen.size < Math.min(count, labels.count); i++) {
    chosen.add(Math.floor((i * ratio) % 1 * labels.count));
  }
  return [...chosen];
}

/** Checks and completes what all analyses are asked; texts are encoded here, once. */
export async function askedOf(
  model: Model,
  options: AnalysisOptions,
  { action, known = [] }: { readonly action: string; readonly known?: readonly string[] },
): Promise<Asked> {
  if (typeof model?.start !== "function") {
    throw new TypeError(mustBe("what loadModel() resolves to", model, "the model", action));
  }
  requireOptions(options, [...ANALYSIS_OPTIONS, ...known], action);
  const { seed = 0, painting = {}, signal, onProgress } = options;
  requireOptions(painting, [...SCHEDULE_OPTIONS, "batch", "memory", "textFeatures"], action);
  const labels = requireList(options.labels ?? spreadLabels(model, LABELS), "labels", action);
  if (labels.length === 0) throw new RangeError(mustBe("at least one label", labels, "labels", action));
  const resolved = resolveRequest(model, { ...painting, labels, seed, signal });
  const { labels: subjects, schedule } = resolved;
  const textFeatures = await featuresOf(model, resolved);
  return {
    ...{ action, labels, subjects, seed, schedule, signal },
    painting: { ...painting, ...(textFeatures && { textFeatures }) },
    progress: onProgress ?? (() => {}),
  };
}

/** What of the settings is the same in all analyses. */
export function statedOf({ subjects, seed, painting }: Asked): Record<string, unknown> {
  const { textFeatures: _features, ...stated } = painting;
  return { labels: subjects.map(({ name }) => name), seed, ...stated };
}

/** The index of the scale on which candidates are looked at: the given one, or that of the model's search. */
export function searchScale(model: Model, scale: number | undefined, { action, schedule }: Asked): number {
  return scaleIndex(scale ?? model.search.scale, schedule.scales.length, "scale", action);
}

/** What a title adds where a search does not go by the density: that no branch follows from it. */
export function alwaysTaken({ search: { strategy } }: Pick<Model, "search">): string {
  return strategy === "var-scaling"
    ? ""
    : `; the model's own search takes "${strategy}" whatever the density`;
}

/** A list of integers, each once and ascending; at least one. */
export function ascending(
  values: readonly number[],
  name: string,
  action: string,
  bounds: { readonly min: number; readonly max?: number },
): number[] {
  requireList(values, name, action, "a list of numbers");
  for (const value of values) requireInteger(value, name, action, bounds);
  if (values.length === 0) throw new RangeError(mustBe("at least one number", values, name, action));
  return [...new Set(values)].sort((a, b) => a - b);
}

/** Paints, and tells of each picture when it is done. */
export async function paint(
  model: Model,
  request: GenerateRequest,
  onImage: () => void = () => {},
): Promise<GeneratedImage[]> {
  const images: GeneratedImage[] = [];
  for await (const event of generate.stream(model, request)) {
    if (event.type !== "image") continue;
    images.push(event.image);
    onImage();
  }
  return images;
}

/** A mean over labels with its interval, as other labels would give it; one label says nothing of others. */
export function measuredOver(values: readonly number[]): Measured {
  const { mean, low, high } = bootstrapInterval([values]);
  return values.length === 1 ? { value: mean } : { value: mean, low, high };
}

/** A mean with its interval for a table: `0.412 (0.380 to 0.447)`. */
export function shownMeasured({ value, low, high }: Measured, digits: number = 3): string {
  const text = shownNumber(value, digits);
  return low === undefined || high === undefined
    ? text
    : `${text} (${shownNumber(low, digits)} to ${shownNumber(high, digits)})`;
}

/** A number for a table; what is rounded to 0 has no sign. */
export function shownNumber(value: number, digits: number = 3): string {
  return value.toFixed(digits).replace(/^-(?=[0.]*$)/, "");
}

/** A share for a table: `38 %`. */
export function shownShare(share: number): string {
  return `${Math.round(100 * share)} %`;
}

/** A text as the bytes of a picture's file. */
export function svgPicture(name: string, svg: string): AnalysisPicture {
  return { name, bytes: new TextEncoder().encode(svg) };
}

/** A painted sheet as the bytes of a picture's file. */
export function pngPicture(name: string, image: RgbaImage): AnalysisPicture {
  return { name, bytes: image.png() };
}

/** A name as a part of a file's name. */
export function fileStem(name: string): string {
  const stem = name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 40);
  return stem === "" ? "label" : stem;
}
