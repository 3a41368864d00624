/**
 * How dense candidates are: histograms of their densities on the scale of the search, and the branch of
 * VAR-Scaling (arXiv 2601.07293, section 3.3) that follows from them.
 *
 * @module
 */

import { requireInteger, requireNumber } from "../../kernels/arguments.ts";
import type { Model } from "../../models/model.ts";
import {
  alwaysTaken,
  type Analysis,
  type AnalysisOptions,
  askedOf,
  searchScale,
  shownInNotebooks,
  statedOf,
  svgPicture,
} from "./analysis.ts";
import { candidatesOf } from "./candidate_densities.ts";
import { drawDensities } from "./density_plot.ts";

/** Options of {@linkcode analyzeDensities}. */
export interface DensitiesOptions extends AnalysisOptions {
  /** Scale, negative ones from the end; that of the model's search by default. */
  readonly scale?: number;
  /** Candidates N, 2 to 8192; those of the model's search by default. */
  readonly samples?: number;
  /** Threshold factor α; what suits the model, the scale and N by default. */
  readonly alpha?: number;
  /** Conflict threshold; that of the model's search by default. */
  readonly conflictThreshold?: number;
}

/** Candidates of a label. */
export interface LabelDensities {
  /** Its name. */
  readonly label: string;
  /** Density of each candidate. */
  readonly densities: readonly number[];
  /** The greatest. */
  readonly max: number;
  /** Their mean. */
  readonly mean: number;
  /** `max / mean`, which α is compared with. */
  readonly ratio: number;
  /** Whether VAR-Scaling takes the branch of low density, where representatives are random. */
  readonly low: boolean;
  /** Number of different candidates. */
  readonly unique: number;
  /** Candidates that were kept as representatives. */
  readonly kept: readonly number[];
  /**
   * Candidates that were denser than the last one kept and passed over because they are too close to a denser
   * one; of random representatives there is no such number.
   */
  readonly conflicts?: number;
  /** The candidate that was taken. */
  readonly chosen: number;
}

/** Numbers of {@linkcode analyzeDensities}. */
export interface DensitiesData {
  /** Index of the scale. */
  readonly scale: number;
  /** Width and height of its token map. */
  readonly map: readonly [number, number];
  /** Candidates of each label. */
  readonly samples: number;
  /** Threshold factor. */
  readonly alpha: number;
  /** Conflict threshold. */
  readonly conflictThreshold: number;
  /** By label. */
  readonly labels: readonly LabelDensities[];
}

const ACTION = "look at densities";

/**
 * Looks at the densities of candidates, of one picture a label.
 *
 * @param model A loaded model.
 * @param options Labels, seed, scale and candidates.
 * @returns Histograms (`densities.svg`), and what VAR-Scaling decides.
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range, or there are no labels.
 *
 * @example
 * ```ts
 * import { analyzeDensities } from "./densities.ts";
 * import { loadModel } from "../../models/load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { data: { alpha, labels: [torus] } } = await analyzeDensities(model, { labels: ["red torus"] });
 * assertEquals(torus!.low, torus!.ratio < alpha);
 * ```
 */
export async function analyzeDensities(
  model: Model,
  options: DensitiesOptions = {},
): Promise<Analysis<DensitiesData>> {
  const known = ["scale", "samples", "alpha", "conflictThreshold"];
  const asked = await askedOf(model, options, { action: ACTION, known });
  const { labels, seed, painting, signal, progress, schedule } = asked;
  const { search } = model;
  const scale = searchScale(model, options.scale, asked);
  const samples = requireInteger(options.samples ?? search.samples, "samples", ACTION, { min: 2, max: 8192 });
  const { alpha = search.alpha({ scale, samples }) } = options;
  const { conflictThreshold = search.conflictThreshold } = options;
  requireNumber(alpha, "alpha", ACTION, { min: 0, max: 2 ** 20 });
  requireNumber(conflictThreshold, "conflictThreshold", ACTION, { min: 0, max: 2 ** 40 });
  let done = 0;
  progress(0, labels.length);
  const found = await candidatesOf(
    model,
    { labels, seed, scale, samples: [samples], alpha, conflictThreshold, painting, signal },
    (count) => progress(done += count, labels.length),
  );
  const { width, height } = schedule.scales[scale]!;
  const data: DensitiesData = {
    ...{ scale, map: [width, height], samples, alpha, conflictThreshold },
    labels: found.map(([pool]): LabelDensities => {
      const { label, densities, decision } = pool!;
      const { max, mean, ratio, low, unique, chosen } = decision;
      const kept = decision.kept.map(({ candidate }) => candidate);
      const ordered = !low && search.strategy === "var-scaling" || search.strategy === "top-k";
      const walked = ordered ? placeOf(densities, kept.at(-1)!) + 1 : undefined;
      return {
        ...{ label: label.name, densities: [...densities], max, mean, ratio, low, unique, kept },
        ...(walked !== undefined && { conflicts: walked - kept.length }),
        chosen,
      };
    }),
  };
  const caption = `density, where 1 is the mean of a label; scale ${scale}, ${width}×${height}`;
  return shownInNotebooks({
    kind: "densities",
    title: `Densities of ${samples} candidates on scale ${scale}, ${width}×${height}${alwaysTaken(model)}`,
    settings: { ...statedOf(asked), scale, samples, alpha, conflictThreshold },
    data,
    table: {
      columns: [
        "label",
        "max / mean",
        "α",
        "branch",
        "different",
        "kept",
        "conflicts",
        "taken: place by density",
      ],
      rows: data.labels.map(({ label, densities, ratio, low, unique, kept, conflicts, chosen }) => [
        label,
        ratio.toFixed(3),
        alpha.toFixed(2),
        low ? "low" : "high",
        `${unique} of ${samples}`,
        String(kept.length),
        conflicts === undefined ? "–" : String(conflicts),
        String(placeOf(Float32Array.from(densities), chosen) + 1),
      ]),
    },
    pictures: async () => [svgPicture("densities.svg", await drawDensities(data.labels, { alpha, caption }))],
  });
}

/**
 * Place of a candidate when they are sorted by density, the densest first and equal ones by number: 0 for the
 * first.
 *
 * @example
 * ```ts
 * import { placeOf } from "./densities.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([0, 1, 2].map((candidate) => placeOf(new Float32Array([2, 5, 2]), candidate)), [1, 0, 2]);
 * ```
 */
export function placeOf(densities: Float32Array, candidate: number): number {
  const own = densities[candidate]!;
  return densities.reduce((place, density, i) => {
    return place + (density > own || density === own && i < candidate ? 1 : 0);
  }, 0);
}
