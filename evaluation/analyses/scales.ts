/**
 * Which scales are worth judging (TTS-VAR, arXiv 2507.18537): how well a verifier's scores of unfinished
 * pictures rank attempts as its scores of the finished ones do, and what a look costs.
 *
 * @module
 */

import { mustBe, requireInteger } from "../../kernels/arguments.ts";
import type { Model } from "../../models/model.ts";
import type { PictureSize } from "../../models/schedule.ts";
import { guides } from "../../sampler/cost.ts";
import { flopsOfLook } from "../../sampler/planned_cost.ts";
import { type Judge, lookOf, requireJudge } from "../../sampler/methods/population.ts";
import { shrinkTo } from "../../sampler/pictures/current.ts";
import { kendall, spearman } from "../statistics/correlation.ts";
import type { Measured } from "../sweep/results.ts";
import {
  type Analysis,
  type AnalysisOptions,
  type Asked,
  askedOf,
  measuredOver,
  paint,
  shownInNotebooks,
  shownMeasured,
  shownShare,
  statedOf,
  svgPicture,
} from "./analysis.ts";
import { drawCurves } from "./curves.ts";
import { noteScores } from "./looks.ts";

/** Options of {@linkcode analyzeScales}. */
export interface ScalesOptions extends AnalysisOptions {
  /** Who judges; the model's own verifier by default. */
  readonly verifier?: Judge;
  /** Whose scores of finished pictures count; those of the same verifier by default. */
  readonly against?: Judge;
  /** Pictures M of each label, at least 2; 8 by default. */
  readonly pictures?: number;
}

/** What a look after a scale costs, as shares of the operations of a plain picture. */
export interface LookCost {
  /** The look itself: the decoder's work, which the last scale does anyway, and the verifier's. */
  readonly look: number;
  /** What has been spent on a picture by then. */
  readonly spent: number;
}

/** What scores after a scale are worth. */
export interface JudgedScale {
  /** Index of the scale. */
  readonly scale: number;
  /** Width and height of its token map. */
  readonly map: readonly [number, number];
  /** Spearman's rank correlation with the scores in the end, within labels: mean over labels. */
  readonly spearman: Measured;
  /** Kendall's τ-b, likewise. */
  readonly kendall: Measured;
  /**
   * How much of what the best of M gains over their mean the picture gains that is best after this scale: 1
   * if it is the best in the end, 0 if it is as good as any. Mean over labels.
   */
  readonly gain: Measured;
  /** What the look costs, where the model and the verifier tell their operations. */
  readonly cost?: LookCost;
}

/** Numbers of {@linkcode analyzeScales}. */
export interface ScalesData {
  /** Name of the verifier. */
  readonly verifier: string;
  /** What tells its files from others, if it has any. */
  readonly fingerprint?: string;
  /** Name of the other verifier, where the scores in the end are another's. */
  readonly against?: string;
  /** By scale. */
  readonly scales: readonly JudgedScale[];
  /** Scores by label. */
  readonly labels: readonly {
    /** Its name. */
    readonly label: string;
    /** Picture by picture, by scale within. */
    readonly scores: readonly (readonly number[])[];
    /** Scores in the end, picture by picture, where they are another verifier's. */
    readonly against?: readonly number[];
    /** Whether all its finished pictures are equally good, so that there is nothing to rank. */
    readonly undecided: boolean;
  }[];
}

const ACTION = "judge scales";

/**
 * Judges pictures after every scale, and compares what is said of unfinished ones with what is said in the
 * end. Pictures are those of `generate` with the same labels and `count`.
 *
 * @param model A loaded model.
 * @param options Labels, seed, verifier and how many pictures.
 * @returns Correlations by scale, also as a curve (`scales.svg`).
 * @throws {TypeError} If an option is unknown or of the wrong type, or nobody judges.
 * @throws {RangeError} If a value is out of range, or there are no labels, or all pictures of each label are
 * equally good.
 *
 * @example
 * ```ts
 * import { analyzeScales } from "./scales.ts";
 * import { loadModel } from "../../models/load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { data: { scales } } = await analyzeScales(model, { labels: ["red torus"], pictures: 4 });
 * assertEquals(scales.at(-1)!.spearman.value, 1);
 * ```
 */
export async function analyzeScales(
  model: Model,
  options: ScalesOptions = {},
): Promise<Analysis<ScalesData>> {
  requireJudge(options.verifier, ACTION);
  requireJudge(options.against, ACTION);
  const known = ["verifier", "against", "pictures"];
  const asked = await askedOf(model, options, { action: ACTION, known });
  const { labels, subjects, seed, painting, signal, progress, schedule: { scales } } = asked;
  const pictures = requireInteger(options.pictures ?? 8, "pictures", ACTION, { min: 2, max: 10_000 });
  const judge = options.verifier ?? await model.verifier?.();
  if (judge === undefined) {
    throw new TypeError(
      `Cannot ${ACTION} without a verifier as the model "${model.name}" brings none: give one, such as loadVerifier() loads, or ownEvidence(), which needs no network`,
    );
  }
  const { against } = options;
  const look = noteScores(judge, [...scales.keys()]);
  // Hooks are told apart by their names, and both may be the same judge.
  const end = against && { ...noteScores(against, [scales.length - 1]), name: "scores in the end" };
  const total = labels.length * pictures;
  let done = 0;
  progress(0, total);
  const painted = await paint(model, {
    ...{
      ...painting,
      labels,
      count: pictures,
      seed,
      signal,
      hooks: end === undefined ? [look] : [look, end],
    },
  }, () => progress(++done, total));
  const scoresOf = (hook: typeof look, { name }: Judge): number[][] => {
    return painted.map((image) =>
      image.decisionsOf(hook).map(({ value }) => {
        if (Number.isFinite(value)) return value;
        throw new RangeError(mustBe("finite numbers", value, `scores of "${name}"`, ACTION));
      })
    );
  };
  const scores = scoresOf(look, judge);
  const ends = end === undefined ? scores : scoresOf(end, against!);
  const judged = labels.map((_, i) => {
    const part = <Item>(all: readonly Item[]): Item[] => all.slice(i * pictures, (i + 1) * pictures);
    const last = part(ends).map((all) => all.at(-1)!);
    const undecided = last.every((score) => score === last[0]);
    return { label: subjects[i]!.name, scores: part(scores), last, undecided };
  });
  const decided = judged.filter(({ undecided }) => !undecided);
  if (decided.length === 0) {
    const { name } = against ?? judge;
    throw new RangeError(`Cannot ${ACTION} as "${name}" finds all pictures of each label equally good`);
  }
  const costs = costsOf(model, judge, asked);
  const data: ScalesData = {
    verifier: judge.name,
    ...("fingerprint" in judge && judge.fingerprint !== undefined && { fingerprint: judge.fingerprint }),
    ...(against && { against: against.name }),
    scales: scales.map(({ width, height }, scale): JudgedScale => {
      const over = (measure: (then: readonly number[], last: readonly number[]) => number): Measured => {
        return measuredOver(decided.map(({ scores, last }) => {
          return measure(scores.map((all) => all[scale]!), last);
        }));
      };
      return {
        scale,
        map: [width, height],
        spearman: over((then, last) => ranked(then, last, spearman)),
        kendall: over((then, last) => ranked(then, last, kendall)),
        gain: over(gainOf),
        ...(costs && { cost: costs[scale]! }),
      };
    }),
    labels: judged.map(({ last, ...label }) => ({ ...label, ...(against && { against: last }) })),
  };
  return shownInNotebooks({
    kind: "scales",
    title: `What scores of "${judge.name}" after a scale say of those${
      against === undefined ? "" : ` of "${against.name}"`
    } in the end, ${pictures} pictures a label`,
    settings: {
      ...{ ...statedOf(asked), verifier: judge.name },
      ...(against && { against: against.name }),
      pictures,
    },
    data,
    table: {
      columns: [
        ...["scale", "map", "Spearman", "Kendall", "gain of the best"],
        ...(costs ? ["a look", "spent by then"] : []),
      ],
      rows: data.scales.map(({ scale, map, spearman, kendall, gain, cost }) => [
        String(scale),
        map.join("×"),
        ...[spearman, kendall, gain].map((measured) => shownMeasured(measured, 2)),
        ...(cost ? [shownShare(cost.look), shownShare(cost.spent)] : []),
      ]),
    },
    pictures: async () => {
      const place = ({ scale, map }: JudgedScale): string => `${scale}: ${map.join("×")}`;
      const points = [
        ...data.scales.map((row) => ({ series: "rank correlation", place: place(row), ...row.spearman })),
        ...data.scales.flatMap((row) => {
          const { cost } = row;
          const series = "spent on a picture by then";
          return cost === undefined ? [] : [{ series, place: place(row), value: cost.spent }];
        }),
      ];
      const svg = await drawCurves(points, {
        below: "scale after which pictures are judged: its map",
        left: `how ranks by ${judge.name} within a label agree with ${
          against === undefined ? "its own" : `those by ${against.name}`
        } in the end`,
        marks: [0],
      });
      return [svgPicture("scales.svg", svg)];
    },
  });
}

/** A rank correlation; scores that are all equal rank nothing, and those of the end rank as they do. */
function ranked(
  then: readonly number[],
  last: readonly number[],
  measure: (first: readonly number[], second: readonly number[]) => number,
): number {
  if (then.every((score) => score === then[0])) return 0;
  // A quotient of roots would be 1 but for its last digit.
  return then.every((score, i) => score === last[i]) ? 1 : measure(then, last);
}

/** What the best by then gains over the mean, of what the best in the end gains. */
function gainOf(then: readonly number[], last: readonly number[]): number {
  const mean = last.reduce((sum, score) => sum + score, 0) / last.length;
  return (last[then.indexOf(Math.max(...then))]! - mean) / (Math.max(...last) - mean);
}

/** What looks cost after each scale. */
function costsOf(model: Model, judge: Judge, { subjects, schedule }: Asked): LookCost[] | undefined {
  const flops = model.flops?.(schedule, guides(model, subjects, schedule));
  const look = lookOf(judge);
  const { pictures: sees = true, smallestEdge } = look;
  const judged = schedule.scales.map((_, scale) => flopsOfLook(look, schedule, scale));
  if (flops === undefined || judged.includes(undefined)) return undefined;
  const { scales, condition, decode, shrinks } = flops;
  const last = scales.length - 1;
  const sum = (from: number, to: number): number => scales.slice(from, to).reduce((sum, it) => sum + it, 0);
  const plain = condition + sum(0, scales.length) + decode(last);
  return scales.map((_, scale) => {
    const picture: PictureSize = schedule.scales[scale]!.picture;
    const decoding = sees && scale < last
      ? decode(scale, shrinkTo(smallestEdge, picture, shrinks(scale)))
      : 0;
    const delivered = scale < last ? 0 : decode(last);
    const spent = (condition + sum(0, scale + 1) + delivered) / plain;
    return { look: (decoding + judged[scale]!) / plain, spent };
  });
}
