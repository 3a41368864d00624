/**
 * What is decided when (VAR-Scaling, arXiv 2601.07293, figure 2): a picture is painted again with its tokens
 * up to a scale and fresh randomness from there on. How far the pictures are from it then says how much was
 * still open.
 *
 * @module
 */

import { requireInteger } from "../../kernels/arguments.ts";
import type { Model } from "../../models/model.ts";
import { type GridCell, gridImage, viewScale } from "../../sampler/pictures/grid.ts";
import type { RgbaImage } from "../../sampler/pictures/image.ts";
import type { GeneratedImage } from "../../sampler/result.ts";
import { average } from "../statistics/intervals.ts";
import type { Measured } from "../sweep/results.ts";
import {
  type Analysis,
  type AnalysisOptions,
  type AnalysisPicture,
  askedOf,
  fileStem,
  measuredOver,
  paint,
  pngPicture,
  shownInNotebooks,
  shownMeasured,
  shownShare,
  statedOf,
  svgPicture,
} from "./analysis.ts";
import { type CurvePoint, drawCurves } from "./curves.ts";
import { followTokens } from "./followed_tokens.ts";
import { noteFeatures } from "./looks.ts";

/** Options of {@linkcode analyzePerturbation}. */
export interface PerturbationOptions extends AnalysisOptions {
  /** Pictures with fresh randomness for each label and scale; 4 by default. */
  readonly variants?: number;
  /** Labels of which a sheet is made, the first ones; 4 by default. */
  readonly sheets?: number;
}

/** How far pictures are from the original when tokens are drawn afresh from a scale on. */
export interface PerturbedScale {
  /** The first scale that is drawn afresh: all before it are kept. */
  readonly scale: number;
  /** Width and height of its token map. */
  readonly map: readonly [number, number];
  /** Root of the mean squared difference of red, green and blue, of 1: mean over labels. */
  readonly pixels: Measured;
  /**
   * Euclidean distance of the features of the model's own network: mean over labels. Without one there is
   * none.
   */
  readonly features?: Measured;
  /** Share of the mean squared pixel difference of pictures that have only the label in common. */
  readonly open: number;
}

/** Numbers of {@linkcode analyzePerturbation}. */
export interface PerturbationData {
  /** Name of the network that describes pictures, if there is one. */
  readonly extractor?: string;
  /** By scale. */
  readonly scales: readonly PerturbedScale[];
  /** Means over the variants, by label. */
  readonly labels: readonly {
    /** Its name. */
    readonly label: string;
    /** As {@linkcode PerturbedScale.pixels}, by scale. */
    readonly pixels: readonly number[];
    /** As {@linkcode PerturbedScale.features}, by scale. */
    readonly features?: readonly number[];
  }[];
}

/** A painted row: what is drawn afresh, and what came of it. */
interface Row {
  readonly scale: number;
  readonly images: readonly GeneratedImage[];
}

const ACTION = "perturb pictures";

/**
 * Perturbs pictures scale by scale.
 *
 * Picture i of the labels is the original of label i; variant v of it has the random numbers of picture
 * `labels + i * variants + v` from the scale on, so that from scale 0 on it is that picture.
 *
 * @param model A loaded model.
 * @param options Labels, seed and how many variants.
 * @returns A sheet of each of the first labels (`perturbation-LABEL.png`) and the distances by scale.
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range, or there are no labels.
 *
 * @example
 * ```ts
 * import { analyzePerturbation } from "./perturbation.ts";
 * import { loadModel } from "../../models/load.ts";
 * import { assert } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { data: { scales } } = await analyzePerturbation(model, { labels: ["red torus"], variants: 1 });
 * assert(scales[0]!.pixels.value > scales.at(-1)!.pixels.value);
 * ```
 */
export async function analyzePerturbation(
  model: Model,
  options: PerturbationOptions = {},
): Promise<Analysis<PerturbationData>> {
  const asked = await askedOf(model, options, { action: ACTION, known: ["variants", "sheets"] });
  const { labels, subjects, seed, painting, signal, progress, schedule: { scales } } = asked;
  const variants = requireInteger(options.variants ?? 4, "variants", ACTION, { min: 1, max: 1000 });
  const sheets = requireInteger(options.sheets ?? 4, "sheets", ACTION, { min: 0 });
  const extractor = await model.extractor?.();
  const look = extractor && noteFeatures(extractor);
  const looks = look === undefined ? [] : [look];
  const total = labels.length * (1 + scales.length * variants);
  let done = 0;
  const count = (): void => progress(++done, total);
  progress(0, total);
  const common = { ...painting, seed, signal };
  const originals = await paint(model, { ...common, labels, hooks: looks }, count);

  const sheetRows: { readonly original: RgbaImage; readonly rows: readonly Row[] }[] = [];
  const distances: { pixels: number[]; squares: number[]; features: number[] }[] = [];
  for (const [place, original] of originals.entries()) {
    const first = labels.length + place * variants;
    const images = await paint(model, {
      ...common,
      labels: new Array(scales.length * variants).fill(labels[place]),
      indices: Array.from({ length: scales.length * variants }, (_, i) => first + i % variants),
      hooks: [followTokens(({ image }) => original.tokens.slice(0, Math.floor(image / variants))), ...looks],
    }, count);
    const rows = scales.map((_, scale): Row => {
      return { scale, images: images.slice(scale * variants, (scale + 1) * variants) };
    });
    distances.push({
      pixels: rows.map(({ images }) =>
        average(images.map((image) => Math.sqrt(pixelDistance(image, original))))
      ),
      squares: rows.map(({ images }) => average(images.map((image) => pixelDistance(image, original)))),
      features: look === undefined ? [] : rows.map(({ images }) => {
        const described = (image: GeneratedImage): Float32Array => image.decisionsOf(look)[0]!.value;
        return average(images.map((image) => euclidean(described(image), described(original))));
      }),
    });
    if (place < sheets) sheetRows.push({ original, rows });
  }

  const open = scales.map((_, scale) => average(distances.map(({ squares }) => squares[scale]!)));
  const data: PerturbationData = {
    ...(extractor && { extractor: extractor.name }),
    scales: scales.map(({ width, height }, scale) => ({
      scale,
      map: [width, height],
      pixels: measuredOver(distances.map(({ pixels }) => pixels[scale]!)),
      ...(extractor && { features: measuredOver(distances.map(({ features }) => features[scale]!)) }),
      open: open[0]! === 0 ? 0 : open[scale]! / open[0]!,
    })),
    labels: distances.map(({ pixels, features }, i) => ({
      label: subjects[i]!.name,
      pixels,
      ...(extractor && { features }),
    })),
  };
  return shownInNotebooks({
    kind: "perturbation",
    title: "What is still open when tokens are drawn afresh from a scale on",
    settings: { ...statedOf(asked), variants },
    data,
    table: {
      columns: [
        "fresh from scale",
        "map",
        "pixel distance",
        ...(extractor ? ["feature distance"] : []),
        "open",
      ],
      rows: data.scales.map(({ scale, map, pixels, features, open }) => [
        String(scale),
        map.join("×"),
        shownMeasured(pixels),
        ...(features ? [shownMeasured(features, 2)] : []),
        shownShare(open),
      ]),
    },
    pictures: async () => [
      ...sheetRows.map((sheet, i) => sheetOf(sheet, { data, name: subjects[i]!.name, place: i })),
      await curveOf(data),
    ],
  });
}

function sheetOf(
  { original, rows }: { readonly original: RgbaImage; readonly rows: readonly Row[] },
  { data, name, place }: { readonly data: PerturbationData; readonly name: string; readonly place: number },
): AnalysisPicture {
  const cells = rows.flatMap(({ images }): GridCell[] => [original, ...images].map((image) => ({ image })));
  const sheet = gridImage(cells, {
    columns: 1 + rows[0]!.images.length,
    rowTitles: rows.map(({ scale }) => {
      const distance = data.labels[place]!.pixels[scale]!.toFixed(3);
      return `fresh from ${data.scales[scale]!.map.join("×")} on, pixels ${distance} off`;
    }),
    title: `${name}: the original, and its variants`,
    scale: Math.max(1, Math.floor(viewScale(original) / 2)),
  });
  return pngPicture(`perturbation-${place}-${fileStem(name)}.png`, sheet);
}

async function curveOf({ scales, extractor }: PerturbationData): Promise<AnalysisPicture> {
  const curve = (key: "pixels" | "features", series: string): CurvePoint[] => {
    const most = scales[0]![key]?.value ?? 0;
    return most === 0 ? [] : scales.map(({ scale, map, [key]: measured }) => ({
      series,
      place: `${scale}: ${map.join("×")}`,
      value: measured!.value / most,
      low: measured!.low! / most,
      high: measured!.high! / most,
    }));
  };
  const points = [...curve("pixels", "pixels"), ...curve("features", `features of ${extractor}`)];
  const svg = await drawCurves(points, {
    below: "first scale that is drawn afresh: its map",
    left: "distance to the original, where 1 is that from scale 0",
    range: [0, Math.max(1, ...points.map(({ high }) => high!))],
  });
  return svgPicture("perturbation.svg", svg);
}

/** Mean squared difference of red, green and blue, each from 0 to 1. */
function pixelDistance({ data: first }: RgbaImage, { data: second }: RgbaImage): number {
  let sum = 0;
  for (let i = 0; i < first.length; i++) if (i % 4 !== 3) sum += (first[i]! - second[i]!) ** 2;
  return sum / (first.length / 4 * 3) / 255 ** 2;
}

function euclidean(first: Float32Array, second: Float32Array): number {
  return Math.sqrt(first.reduce((sum, value, i) => sum + (value - second[i]!) ** 2, 0));
}
