/**
 * How often VAR-Scaling (arXiv 2601.07293) takes each of its branches: shares over labels and seeds by α and
 * number of candidates, from which an α is chosen that decides anything at all.
 *
 * @module
 */

import { mustBe, requireList, requireNumber, requireOptions } from "../../kernels/arguments.ts";
import { product } from "../../kernels/exact/exact.ts";
import type { Decision } from "../../kernels/candidates/select.ts";
import type { Model } from "../../models/model.ts";
import type { Measured } from "../sweep/results.ts";
import {
  alwaysTaken,
  type Analysis,
  ANALYSIS_OPTIONS,
  type AnalysisOptions,
  ascending,
  askedOf,
  measuredOver,
  searchScale,
  shownInNotebooks,
  shownShare,
  statedOf,
  svgPicture,
} from "./analysis.ts";
import { type Candidates, candidatesOf } from "./candidate_densities.ts";
import { drawCurves } from "./curves.ts";

/** Options of {@linkcode analyzeBranches}. */
export interface BranchesOptions extends Omit<AnalysisOptions, "seed"> {
  /** Scale, negative ones from the end; that of the model's search by default. */
  readonly scale?: number;
  /** Numbers of candidates N, 2 to 8192; 20, 50 and 100 by default. */
  readonly samples?: readonly number[];
  /** Threshold factors α; by default from 1 to 3 in steps of 0.1, and what suits the model. */
  readonly alphas?: readonly number[];
  /** Seeds; 0 to 3 by default. */
  readonly seeds?: readonly (number | bigint)[];
}

/** Shares for a number of candidates. */
export interface BranchShares {
  /** Candidates. */
  readonly samples: number;
  /** The α that suits the model. */
  readonly suited: number;
  /** `max / mean` of each picture, seed by seed and label by label within. */
  readonly ratios: readonly number[];
  /** Share of pictures that are of low density, by α; its interval is over labels. */
  readonly low: readonly (Measured & { readonly alpha: number })[];
}

/** Numbers of {@linkcode analyzeBranches}. */
export interface BranchesData {
  /** Index of the scale. */
  readonly scale: number;
  /** Width and height of its token map. */
  readonly map: readonly [number, number];
  /** By number of candidates. */
  readonly samples: readonly BranchShares[];
}

const ACTION = "count branches";
const KNOWN = [
  ...ANALYSIS_OPTIONS.filter((name) => name !== "seed"),
  ...["scale", "samples", "alphas", "seeds"],
];

/**
 * Whether VAR-Scaling's published rule calls densities low, in the arithmetic of the kernel: max < α · mean.
 *
 * @example
 * ```ts
 * import { isLow } from "./branches.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([1.9, 2, 2.1].map((alpha) => isLow({ max: 4, mean: 2 }, alpha)), [false, false, true]);
 * ```
 */
export function isLow({ max, mean }: Pick<Decision, "max" | "mean">, alpha: number): boolean {
  return max < product(Math.fround(alpha), mean);
}

/**
 * Counts the branches over labels and seeds.
 *
 * @param model A loaded model.
 * @param options Labels, seeds, scale, candidates and thresholds.
 * @returns Shares by α as a curve for each N (`branches.svg`).
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range, or a list is empty.
 *
 * @example
 * ```ts
 * import { analyzeBranches } from "./branches.ts";
 * import { loadModel } from "../../models/load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const options = { labels: [0, 9], seeds: [1], samples: [20], alphas: [1, 20] };
 * const { data: { samples: [twenty] } } = await analyzeBranches(model, options);
 * // The greatest density is never below the mean, and never 20 times as large where there are 20.
 * assertEquals(twenty!.low.map(({ value }) => value), [0, 1]);
 * ```
 */
export async function analyzeBranches(
  model: Model,
  options: BranchesOptions = {},
): Promise<Analysis<BranchesData>> {
  requireOptions(options, KNOWN, ACTION);
  const { seeds = [0, 1, 2, 3], scale: wanted, samples: counts = [20, 50, 100], alphas, ...rest } = options;
  requireList(seeds, "seeds", ACTION, "a list of seeds");
  if (seeds.length === 0) throw new RangeError(mustBe("at least one seed", seeds, "seeds", ACTION));
  const asked = await askedOf(model, rest, { action: ACTION });
  const { labels, painting, signal, progress, schedule } = asked;
  const scale = searchScale(model, wanted, asked);
  const samples = ascending(counts, "samples", ACTION, { min: 2, max: 8192 });
  const suited = samples.map((count) => model.search.alpha({ scale, samples: count }));
  const thresholds = alphas === undefined
    ? [...Array.from({ length: 21 }, (_, i) => 1 + i / 10), ...suited]
    : requireList(alphas, "alphas", ACTION, "a list of numbers");
  for (const alpha of thresholds) requireNumber(alpha, "alphas", ACTION, { min: 0, max: 2 ** 20 });
  if (thresholds.length === 0) throw new RangeError(mustBe("at least one number", alphas, "alphas", ACTION));
  const ordered = [...new Set(thresholds)].sort((a, b) => a - b);
  let done = 0;
  const total = seeds.length * labels.length;
  progress(0, total);
  const pictures: (readonly (readonly Candidates[])[])[] = [];
  for (const seed of seeds) {
    const request = { labels, seed, scale, samples, painting, signal };
    pictures.push(await candidatesOf(model, request, (count) => progress(done += count, total)));
  }
  const { width, height } = schedule.scales[scale]!;
  const data: BranchesData = {
    scale,
    map: [width, height],
    samples: samples.map((count, i): BranchShares => ({
      samples: count,
      suited: suited[i]!,
      ratios: pictures.flat().map((pools) => pools[i]!.decision.ratio),
      low: ordered.map((alpha) => ({
        alpha,
        ...measuredOver(labels.map((_, label) => {
          const low = pictures.filter((seed) => isLow(seed[label]![i]!.decision, alpha));
          return low.length / seeds.length;
        })),
      })),
    })),
  };
  const { seed: _one, ...stated } = statedOf(asked);
  return shownInNotebooks({
    kind: "branches",
    title: `Branches of VAR-Scaling on scale ${scale}, ${width}×${height}, over ${total} pictures${
      alwaysTaken(model)
    }`,
    settings: { ...stated, seeds, scale, samples, alphas: ordered },
    data,
    table: {
      columns: ["α", ...samples.map((count) => `low at N = ${count}`)],
      rows: [...ordered.entries()].filter(([row]) => isTelling(data, row)).map(([row, alpha]) => [
        alpha.toFixed(2),
        ...data.samples.map(({ low, suited }) => {
          const { value, low: least, high } = low[row]!;
          const range = least === undefined ? "" : ` (${shownShare(least)} to ${shownShare(high!)})`;
          return `${shownShare(value)}${range}${suited === alpha ? ", the model's α" : ""}`;
        }),
      ]),
    },
    pictures: async () => {
      const points = data.samples.flatMap(({ samples, low }) =>
        low.map(({ alpha, ...share }) => ({ series: `N = ${samples}`, place: alpha, ...share }))
      );
      const svg = await drawCurves(points, {
        below: "threshold factor α",
        left: "share of pictures of low density: representatives at random",
        range: [0, 1],
      });
      return [svgPicture("branches.svg", svg)];
    },
  });
}

/** Whether a row of the table says what those above and below it do not: ends of a range of equal ones do. */
function isTelling({ samples }: BranchesData, row: number): boolean {
  return samples.some(({ low, suited }) => {
    const { value, alpha } = low[row]!;
    return alpha === suited || low[row - 1]?.value !== value || low[row + 1]?.value !== value;
  });
}
