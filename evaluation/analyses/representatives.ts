/**
 * What representatives look like (VAR-Scaling, arXiv 2601.07293, figures 4 and 7): the candidate that each
 * branch would take from more and more of them, painted to the end, and where it stands by density.
 *
 * @module
 */

import { requireInteger } from "../../kernels/arguments.ts";
import type { Model } from "../../models/model.ts";
import { gridImage, viewScale } from "../../sampler/pictures/grid.ts";
import type { GeneratedImage } from "../../sampler/result.ts";
import { varScaling } from "../../sampler/methods/var_scaling.ts";
import type { Measured } from "../sweep/results.ts";
import {
  type Analysis,
  type AnalysisOptions,
  type AnalysisPicture,
  ascending,
  askedOf,
  fileStem,
  measuredOver,
  paint,
  pngPicture,
  searchScale,
  shownInNotebooks,
  shownMeasured,
  statedOf,
  svgPicture,
} from "./analysis.ts";
import { candidatesOf } from "./candidate_densities.ts";
import { drawCurves } from "./curves.ts";
import { placeOf } from "./densities.ts";

/** Options of {@linkcode analyzeRepresentatives}. */
export interface RepresentativesOptions extends AnalysisOptions {
  /** Scale, negative ones from the end; that of the model's search by default. */
  readonly scale?: number;
  /** Numbers of candidates N, 2 to 8192; 10, 20, 50, 100 and 200 by default. */
  readonly samples?: readonly number[];
  /** Labels of which a sheet is made, the first ones; 4 by default. */
  readonly sheets?: number;
}

/** A branch of VAR-Scaling, by the density that leads to it: the densest are kept, or random ones. */
export type Branch = "high" | "low";

const BRANCHES: readonly Branch[] = ["high", "low"];

/** What a branch takes of so many candidates. */
export interface Representative {
  /** Number of the candidate. */
  readonly candidate: number;
  /** Its density. */
  readonly density: number;
  /** Its place by density, 0 for the densest. */
  readonly place: number;
  /** Density of the most that it could be: mean share of candidates that share its tokens, or nearly. */
  readonly share: number;
}

/** What is taken of so many candidates of a label. */
export interface LabelRepresentatives extends Readonly<Record<Branch, Representative>> {
  /** Name of the label. */
  readonly label: string;
  /** Number of candidates. */
  readonly samples: number;
  /** `max / mean` of the densities. */
  readonly ratio: number;
  /** Which branch VAR-Scaling takes with the α that suits the model. */
  readonly branch: Branch;
}

/** Numbers of {@linkcode analyzeRepresentatives}. */
export interface RepresentativesData {
  /** Index of the scale. */
  readonly scale: number;
  /** Width and height of its token map. */
  readonly map: readonly [number, number];
  /** Label by label, by number of candidates within. */
  readonly labels: readonly LabelRepresentatives[];
  /** Means over labels, by number of candidates. */
  readonly samples: readonly (
    & { readonly samples: number }
    & Readonly<Record<Branch, { readonly place: Measured; readonly share: Measured }>>
  )[];
}

const ACTION = "paint representatives";
/** What each branch keeps. */
const STRATEGY_OF = { high: "top-k", low: "random-k" } as const;

/**
 * Paints the representatives of both branches for more and more candidates, of one picture a label. Those of
 * the branch that is taken are what `varScaling({ scale, samples })` paints.
 *
 * @param model A loaded model.
 * @param options Labels, seed, scale and numbers of candidates.
 * @returns A sheet of each of the first labels (`representatives-LABEL.png`), and shares by N
 * (`representatives.svg`).
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range, or a list is empty.
 *
 * @example
 * ```ts
 * import { analyzeRepresentatives } from "./representatives.ts";
 * import { loadModel } from "../../models/load.ts";
 * import { assert } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const options = { labels: ["red torus"], samples: [10, 20] };
 * const { data: { labels: [ten] } } = await analyzeRepresentatives(model, options);
 * assert(ten!.high.place < 10 && ten!.low.place < 10);
 * ```
 */
export async function analyzeRepresentatives(
  model: Model,
  options: RepresentativesOptions = {},
): Promise<Analysis<RepresentativesData>> {
  const asked = await askedOf(model, options, { action: ACTION, known: ["scale", "samples", "sheets"] });
  const { labels, subjects, seed, painting, signal, progress, schedule } = asked;
  const scale = searchScale(model, options.scale, asked);
  const samples = ascending(options.samples ?? [10, 20, 50, 100, 200], "samples", ACTION, {
    min: 2,
    max: 8192,
  });
  const sheets = requireInteger(options.sheets ?? 4, "sheets", ACTION, { min: 0 });
  const total = labels.length * (1 + samples.length * BRANCHES.length);
  let done = 0;
  const count = (pictures: number): void => progress(done += pictures, total);
  progress(0, total);
  const pools = await candidatesOf(model, { labels, seed, scale, samples, painting, signal }, count);
  const painted: Record<Branch, { chosen: number; image: GeneratedImage }[][]> = { high: [], low: [] };
  for (const amount of samples) {
    for (const branch of BRANCHES) {
      const hook = varScaling({ scale, samples: amount, strategy: STRATEGY_OF[branch] });
      const images = await paint(model, { ...painting, labels, seed, signal, hooks: [hook] }, () => count(1));
      painted[branch].push(
        images.map((image) => ({ chosen: image.decisionsOf(hook)[0]!.value.chosen, image })),
      );
    }
  }
  const { width, height } = schedule.scales[scale]!;
  const rows = pools.flatMap((own, label) =>
    own.map(({ samples: amount, densities, decision }, i): LabelRepresentatives => {
      const taken = (branch: Branch): Representative => {
        const { chosen: candidate } = painted[branch][i]![label]!;
        const density = densities[candidate]!;
        const share = density / (width * height * amount);
        return { candidate, density, place: placeOf(densities, candidate), share };
      };
      return {
        ...{ label: subjects[label]!.name, samples: amount, ratio: decision.ratio },
        ...{ branch: branchOf(model, decision.low), high: taken("high"), low: taken("low") },
      };
    })
  );
  const over = (amount: number, branch: Branch, key: "place" | "share"): Measured => {
    return measuredOver(rows.filter(({ samples }) => samples === amount).map((row) => row[branch][key]));
  };
  const means = (amount: number, branch: Branch) => {
    return { place: over(amount, branch, "place"), share: over(amount, branch, "share") };
  };
  const data: RepresentativesData = {
    scale,
    map: [width, height],
    labels: rows,
    samples: samples.map((amount) => ({
      samples: amount,
      high: means(amount, "high"),
      low: means(amount, "low"),
    })),
  };
  return shownInNotebooks({
    kind: "representatives",
    title: `Representatives on scale ${scale}, ${width}×${height}`,
    settings: { ...statedOf(asked), scale, samples },
    data,
    table: {
      columns: ["N", "high: place", "high: share", "low: place", "low: share", "branch taken: high"],
      rows: data.samples.map(({ samples: amount, high, low }) => {
        const own = rows.filter((row) => row.samples === amount);
        return [
          String(amount),
          shownMeasured(high.place, 1),
          shownMeasured(high.share),
          shownMeasured(low.place, 1),
          shownMeasured(low.share),
          `${own.filter(({ branch }) => branch === "high").length} of ${own.length}`,
        ];
      }),
    },
    pictures: async () => [
      ...subjects.slice(0, sheets).map(({ name }, label) => sheetOf(name, { data, label, painted })),
      await curveOf(data),
    ],
  });
}

/** The branch that a model's search takes: by the density, or always the same. */
function branchOf({ search: { strategy } }: Model, low: boolean): Branch {
  return (strategy === "var-scaling" ? low : strategy === "random-k") ? "low" : "high";
}

function sheetOf(
  name: string,
  { data: { labels, samples }, label, painted }: {
    readonly data: RepresentativesData;
    readonly label: number;
    readonly painted: Readonly<Record<Branch, readonly (readonly { image: GeneratedImage }[])[]>>;
  },
): AnalysisPicture {
  const cells = BRANCHES.flatMap((branch) =>
    samples.map((_, i) => {
      const row = labels[label * samples.length + i]!;
      const { place, share } = row[branch];
      const taken = row.branch === branch ? "taken, " : "";
      const caption = `N ${row.samples}: ${taken}place ${place + 1}, ${(100 * share).toFixed(0)} %`;
      return { image: painted[branch][i]![label]!.image, caption };
    })
  );
  const sheet = gridImage(cells, {
    columns: samples.length,
    rowTitles: ["of the densest", "of random ones"],
    title: `${name}: what each branch takes of N candidates`,
    scale: Math.max(1, Math.floor(viewScale(cells[0]!.image) / 2)),
  });
  return pngPicture(`representatives-${label}-${fileStem(name)}.png`, sheet);
}

async function curveOf({ samples }: RepresentativesData): Promise<AnalysisPicture> {
  const titles = { high: "one of the densest", low: "one of random ones" };
  const points = BRANCHES.flatMap((branch) =>
    samples.map(({ samples: place, [branch]: { share } }) => ({ series: titles[branch], place, ...share }))
  );
  const svg = await drawCurves(points, {
    below: "candidates N",
    left: "share of candidates that are like the one taken",
    logarithmic: true,
  });
  return svgPicture("representatives.svg", svg);
}
