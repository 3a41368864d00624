/**
 * Finds settings of VAR-Scaling that suit a model by what a verifier says of its pictures: tried on some
 * seeds, compared with the model's own on others. Writing them down is left to `tuned_folder.ts`.
 *
 * @module
 */

import { mustBe, requireList, requireNumber, requireOptions, requireText } from "../../kernels/arguments.ts";
import type { FolderTuning } from "../../models/folder/model_folder.ts";
import type { Model } from "../../models/model.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import { type Judge, requireJudge } from "../../sampler/methods/population.ts";
import { varScaling } from "../../sampler/methods/var_scaling.ts";
import { scaleIndex } from "../../sampler/scale_index.ts";
import { average, bootstrapDifference, bootstrapInterval } from "../statistics/intervals.ts";
import { pairedTest } from "../statistics/permutation.ts";
import type { Measured } from "../sweep/results.ts";
import {
  type Analysis,
  ANALYSIS_OPTIONS,
  type AnalysisOptions,
  ascending,
  type Asked,
  askedOf,
  paint,
  shownInNotebooks,
  shownMeasured,
  shownNumber,
  shownShare,
  statedOf,
  svgPicture,
} from "./analysis.ts";
import { isLow } from "./branches.ts";
import { candidatesOf } from "./candidate_densities.ts";
import { type CurvePoint, drawCurves } from "./curves.ts";
import { noteScores } from "./looks.ts";

/** Options of {@linkcode tune}. */
export interface TuneOptions extends Omit<AnalysisOptions, "seed"> {
  /** Who judges; the model's own verifier by default. */
  readonly verifier?: Judge;
  /** Who is asked beside it and decides nothing: its scores tell whether only the verifier was pleased. */
  readonly judge?: Judge;
  /** Scales to try, negative ones from the end; that of the model's search by default. */
  readonly scales?: readonly number[];
  /** Numbers of candidates N to try; half, once and twice as many as in the model's search by default. */
  readonly samples?: readonly number[];
  /**
   * Threshold factors α to try; from 1 to 3 in steps of 0.1 by default. Of a model whose search does not go
   * by α there are none. More of them cost nothing: there are two branches.
   */
  readonly alphas?: readonly number[];
  /** Conflict thresholds to try; that of the model's search and 0 by default. */
  readonly conflictThresholds?: readonly number[];
  /** Seeds on which settings are tried; 0 to 3 by default. */
  readonly seeds?: readonly (number | bigint)[];
  /** Other seeds, on which the best is compared with the model's own; 1000 to 1007 by default. */
  readonly heldOutSeeds?: readonly (number | bigint)[];
  /** The day, as it is to be written down. */
  readonly date?: string;
}

/** A setting of VAR-Scaling. */
export interface TunedSetting {
  /** Index of the scale. */
  readonly scale: number;
  /** Candidates N. */
  readonly samples: number;
  /** Threshold factor. */
  readonly alpha: number;
  /** Conflict threshold. */
  readonly conflictThreshold: number;
}

/** What was found of a setting. */
export interface TriedSetting extends TunedSetting {
  /** Mean of the verifier's scores. */
  readonly score: number;
  /** Mean of the judge's, if there is one. */
  readonly judged?: number;
  /** Share of pictures of low density. */
  readonly low: number;
}

/** Scores of held-out seeds by one who judges. */
export interface HeldOut {
  /** Who it is. */
  readonly name: string;
  /** Mean without a search. */
  readonly plain: Measured;
  /** Mean with the model's own settings. */
  readonly own: Measured;
  /** Mean with those that were the best on the other seeds. */
  readonly tuned: Measured;
  /** Mean of the differences of the last two, picture by picture. */
  readonly difference: Measured;
  /** Probability of a difference as large if there were none: a paired permutation test's. */
  readonly p: number;
  /** All scores, seed by seed and label by label within. */
  readonly scores: Readonly<Record<"plain" | "own" | "tuned", readonly number[]>>;
}

/** What {@linkcode tune} comes to. */
export interface TuningData {
  /** The model's own settings. */
  readonly own: TunedSetting;
  /** The best by the verifier on the seeds of the search. */
  readonly tuned: TunedSetting;
  /** All settings that were tried, the best first; of equal ones that nearer to the model's own α. */
  readonly tried: readonly TriedSetting[];
  /** By the verifier and, if there is one, the judge; nothing if the best are the model's own settings. */
  readonly heldOut: readonly HeldOut[];
  /**
   * Whether the verifier finds them better on held-out seeds: the whole interval of the differences says so,
   * and p is below 0.05, which no fewer than six pictures reach.
   */
  readonly better: boolean;
  /**
   * Whether the judge finds them worse while the verifier finds them better: then it was only the verifier
   * that was pleased.
   */
  readonly misled: boolean;
  /** The settings with all of this, as a model folder holds them. */
  readonly tuning: FolderTuning;
}

/** Pictures of both branches under one setting but for α. */
interface Trial extends Omit<TunedSetting, "alpha"> {
  /** By α: scores by judge, picture by picture, and the share of low density. */
  scoresOf(alpha: number): { readonly scores: readonly (readonly number[])[]; readonly low: number };
}

const ACTION = "tune the search";
const KNOWN = [
  ...ANALYSIS_OPTIONS.filter((name) => name !== "seed"),
  ...[
    "verifier",
    "judge",
    "scales",
    "samples",
    "alphas",
    "conflictThresholds",
    "seeds",
    "heldOutSeeds",
    "date",
  ],
];

/**
 * Tunes VAR-Scaling for a model. Of each setting but for α only the pictures of its two branches are painted:
 * which of them an α leads to follows from densities.
 *
 * @param model A loaded model.
 * @param options What to try, on what, and who judges.
 * @returns What was tried and what was found; `scores.svg` shows the scores by α.
 * @throws {TypeError} If an option is unknown or of the wrong type, or nobody judges.
 * @throws {RangeError} If a value is out of range, a list is empty, or a seed is both tried and held out.
 *
 * @example
 * ```ts
 * import { tune } from "./tuning.ts";
 * import { loadModel } from "../../models/load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const options = { labels: ["red torus"], samples: [10], conflictThresholds: [0], seeds: [0] };
 * const { data } = await tune(model, { ...options, alphas: [1], heldOutSeeds: [1] });
 * // α = 1 and what suits ten candidates, and the model's own.
 * assertEquals(data.tried.length, 3);
 * assertEquals([data.own.samples, data.own.alpha], [50, 1.7]);
 * ```
 */
export async function tune(model: Model, options: TuneOptions = {}): Promise<Analysis<TuningData>> {
  requireOptions(options, KNOWN, ACTION);
  const {
    verifier,
    judge,
    scales: wantedScales,
    samples: wantedSamples,
    alphas: wantedAlphas,
    conflictThresholds: wantedConflicts,
    seeds = [0, 1, 2, 3],
    heldOutSeeds = Array.from({ length: 8 }, (_, i) => 1000 + i),
    date,
    ...rest
  } = options;
  requireJudge(verifier, ACTION);
  requireJudge(judge, ACTION);
  if (date !== undefined) requireText(date, "date", ACTION);
  requireSeeds(seeds, heldOutSeeds);
  const asked = await askedOf(model, rest, { action: ACTION });
  const { search } = model;
  const { length: count } = asked.schedule.scales;
  const scales = ascending(
    requireList(wantedScales ?? [search.scale], "scales", ACTION, "a list of numbers")
      .map((scale) => scaleIndex(scale, count, "each of scales", ACTION)),
    ...["scales", ACTION, { min: 0 }] as const,
  );
  const samples = ascending(
    wantedSamples ??
      [1, 2, 4].map((times) => Math.min(8192, Math.max(2, Math.round(search.samples * times / 2)))),
    ...["samples", ACTION, { min: 2, max: 8192 }] as const,
  );
  const conflicts = numbers(wantedConflicts ?? [0, search.conflictThreshold], "conflictThresholds", 2 ** 40);
  const alphas = thresholds(model, wantedAlphas);
  const first = verifier ?? await model.verifier?.();
  if (first === undefined) {
    throw new TypeError(
      `Cannot ${ACTION} without a verifier as the model "${model.name}" brings none: give one, such as loadVerifier() loads, or ownEvidence(), which needs no network`,
    );
  }
  const judges = judge === undefined ? [first] : [first, judge];
  const own: TunedSetting = {
    scale: scaleIndex(search.scale, count, "the scale of the model's search", ACTION),
    samples: search.samples,
    alpha: search.alpha({ scale: search.scale, samples: search.samples }),
    conflictThreshold: search.conflictThreshold,
  };

  const grid = scales.flatMap((scale) =>
    samples.flatMap((amount) =>
      conflicts.map((conflictThreshold) => ({
        ...{ scale, samples: amount, conflictThreshold },
        alphas: [...new Set([...alphas, search.alpha({ scale, samples: amount })])].sort((a, b) => a - b),
      }))
    )
  );
  const isOwn = (setting: Omit<TunedSetting, "alpha">): boolean => {
    return setting.scale === own.scale && setting.samples === own.samples &&
      setting.conflictThreshold === own.conflictThreshold;
  };
  // The model's own are always among those that are tried: it is they that must be beaten.
  if (!grid.some(isOwn)) grid.push({ ...own, alphas: [own.alpha] });
  const work = new Work(model, asked, judges);
  work.plan(grid.length * 2 * seeds.length, heldOutSeeds.length * 3);
  const tried: TriedSetting[] = [];
  for (const { alphas, ...setting } of grid) {
    const trial = await work.trial({ ...setting, alphas, seeds });
    for (const alpha of alphas) {
      const { scores: [score, judged], low } = trial.scoresOf(alpha);
      tried.push({
        ...setting,
        alpha,
        score: average(score!),
        ...(judged && { judged: average(judged) }),
        low,
      });
    }
  }
  const off = ({ alpha, ...setting }: TunedSetting): number => {
    return (isOwn(setting) ? 0 : 1e6) + Math.abs(alpha - own.alpha);
  };
  tried.sort((a, b) => b.score - a.score || off(a) - off(b));
  const { score: _score, judged: _judged, low: _low, ...tuned } = tried[0]!;
  const same = isOwn(tuned) && tuned.alpha === own.alpha;
  const heldOut = same ? [] : await work.heldOut({ own, tuned, seeds: heldOutSeeds });
  const better = heldOut.length > 0 && isSure(heldOut[0]!) && heldOut[0]!.difference.value > 0;
  const misled = better && heldOut.length > 1 && isSure(heldOut[1]!) && heldOut[1]!.difference.value < 0;
  const { seed: _seed, ...stated } = statedOf(asked);
  const settings = {
    ...stated,
    verifier: first.name,
    ...(judge && { judge: judge.name }),
    ...{ scales, samples, alphas, conflictThresholds: conflicts },
    seeds: seeds.map(plain),
    heldOutSeeds: heldOutSeeds.map(plain),
  };
  const data: TuningData = {
    ...{ own, tuned, tried, heldOut, better, misled },
    tuning: {
      ...tuned,
      evidence: {
        ...(date !== undefined && { date }),
        verifier: whoIs(first),
        ...(judge && { judge: whoIs(judge) }),
        tried: { settings: tried.length, ...settings },
        before: own,
        heldOut: heldOut.map(({ scores: _all, ...found }) => found),
        better,
        ...(judge && { misled }),
      },
    },
  };
  return shownInNotebooks({
    kind: "tune",
    title: verdict(data),
    settings,
    data,
    table: tableOf(data, judges),
    pictures: async () => [svgPicture("scores.svg", await curvesOf(data, first.name))],
  });
}

/** Paints and judges, and counts what is done. */
class Work {
  readonly #model: Model;
  readonly #asked: Asked;
  readonly #judges: readonly Judge[];
  readonly #looks: readonly ScaleHook<number>[];
  #done = 0;
  #total = 0;

  constructor(model: Model, asked: Asked, judges: readonly Judge[]) {
    this.#model = model;
    this.#asked = asked;
    this.#judges = judges;
    const last = asked.schedule.scales.length - 1;
    // Hooks are told apart by their names, and both may be the same judge.
    this.#looks = judges.map((judge, i) => ({ ...noteScores(judge, [last]), name: `look ${i}` }));
  }

  /** Takes on so many goes over all labels. */
  plan(...goes: readonly number[]): void {
    this.#total = goes.reduce((sum, it) => sum + it, 0) * this.#asked.labels.length;
    this.#tell(0);
  }

  /** Paints what settings that differ in α only can lead to. */
  async trial({ scale, samples, conflictThreshold, alphas, seeds }: {
    readonly scale: number;
    readonly samples: number;
    readonly conflictThreshold: number;
    readonly alphas: readonly number[];
    readonly seeds: readonly (number | bigint)[];
  }): Promise<Trial> {
    const { labels, painting, signal } = this.#asked;
    const decides = this.#model.search.strategy === "var-scaling";
    const pictures: { readonly low: (alpha: number) => boolean; readonly scores: Map<boolean, number[]> }[] =
      [];
    for (const seed of seeds) {
      const pools = await candidatesOf(this.#model, {
        ...{ labels, seed, scale, samples: [samples], painting, signal },
      });
      const own = pools.map(([pool]) => ({
        low: (alpha: number): boolean => decides && isLow(pool!.decision, alpha),
        scores: new Map<boolean, number[]>(),
      }));
      for (const low of [false, true]) {
        const places = [...own.keys()].filter((place) =>
          alphas.some((alpha) => own[place]!.low(alpha) === low)
        );
        const alpha = low ? 2 ** 20 : 0;
        const hooks = [varScaling({ scale, samples, conflictThreshold, alpha })];
        const scores = await this.scores(places, seed, hooks);
        for (const [i, place] of places.entries()) own[place]!.scores.set(low, scores[i]!);
        this.#tell(labels.length);
      }
      pictures.push(...own);
    }
    return {
      ...{ scale, samples, conflictThreshold },
      scoresOf: (alpha) => {
        const branches = pictures.map(({ low }) => low(alpha));
        return {
          scores: this.#judges.map((_, judge) =>
            pictures.map(({ scores }, i) => scores.get(branches[i]!)![judge]!)
          ),
          low: branches.filter((low) => low).length / branches.length,
        };
      },
    };
  }

  /** Compares settings on other seeds, and with no search at all. */
  async heldOut({ own, tuned, seeds }: {
    readonly own: TunedSetting;
    readonly tuned: TunedSetting;
    readonly seeds: readonly (number | bigint)[];
  }): Promise<HeldOut[]> {
    const places = [...this.#asked.labels.keys()];
    const found: number[][][] = [[], [], []];
    for (const seed of seeds) {
      for (const [i, hooks] of [[], [varScaling(own)], [varScaling(tuned)]].entries()) {
        found[i]!.push(...await this.scores(places, seed, hooks));
        this.#tell(places.length);
      }
    }
    return this.#judges.map(({ name }, judge): HeldOut => {
      const [plain, before, after] = found.map((scores) => scores.map((all) => all[judge]!));
      const { p } = pairedTest(after!, before!);
      const difference = bootstrapDifference([after!], [before!]);
      return {
        name,
        plain: measured(bootstrapInterval([plain!])),
        own: measured(bootstrapInterval([before!])),
        tuned: measured(bootstrapInterval([after!])),
        difference: measured(difference),
        p,
        scores: { plain: plain!, own: before!, tuned: after! },
      };
    });
  }

  /** Scores of pictures, by judge within; a picture is that of all labels painted together. */
  async scores(
    places: readonly number[],
    seed: number | bigint,
    hooks: readonly ScaleHook[],
  ): Promise<number[][]> {
    if (places.length === 0) return [];
    const { labels, painting, signal } = this.#asked;
    const images = await paint(this.#model, {
      ...painting,
      labels: places.map((place) => labels[place]!),
      indices: places,
      ...{ seed, signal, hooks: [...hooks, ...this.#looks] },
    });
    const scores = images.map((image) => this.#looks.map((look) => image.decisionsOf(look)[0]!.value));
    for (const score of scores.flat()) {
      if (!Number.isFinite(score)) throw new RangeError(mustBe("finite", score, "each score", ACTION));
    }
    return scores;
  }

  #tell(pictures: number): void {
    this.#done += pictures;
    this.#asked.progress(this.#done, this.#total);
  }
}

/** Chance of a difference where there is none that is still taken for one. */
const SURE = 0.05;

/**
 * Whether there is a difference. The interval alone does not tell: of two pictures, both of which happen to
 * be better, all bootstrap means are above 0.
 */
function isSure({ difference: { low, high }, p }: HeldOut): boolean {
  return (low! > 0 || high! < 0) && p < SURE;
}

function requireSeeds(seeds: readonly (number | bigint)[], heldOut: readonly (number | bigint)[]): void {
  for (const [name, list] of Object.entries({ seeds, heldOutSeeds: heldOut })) {
    requireList(list, name, ACTION, "a list of seeds");
    if (list.length === 0) throw new RangeError(mustBe("at least one seed", list, name, ACTION));
  }
  const both = heldOut.find((seed) => seeds.some((other) => BigInt(other) === BigInt(seed)));
  if (both !== undefined) {
    throw new RangeError(mustBe("other seeds than those that are tried", both, "heldOutSeeds", ACTION));
  }
}

/** α to try beside the model's own, where its search goes by α. */
function thresholds({ name, search }: Model, wanted: readonly number[] | undefined): number[] {
  if (search.strategy === "var-scaling") {
    return numbers(wanted ?? Array.from({ length: 21 }, (_, i) => 1 + i / 10), "alphas", 2 ** 20);
  }
  if (wanted === undefined) return [];
  throw new RangeError(
    `Cannot ${ACTION} with alphas as the search of the model "${name}" always takes its "${search.strategy}" candidates`,
  );
}

function numbers(values: readonly number[], name: string, max: number): number[] {
  requireList(values, name, ACTION, "a list of numbers");
  for (const value of values) requireNumber(value, name, ACTION, { min: 0, max });
  if (values.length === 0) throw new RangeError(mustBe("at least one number", values, name, ACTION));
  return [...new Set(values)].sort((a, b) => a - b);
}

/** Seeds beyond 2^53 as texts, which JSON has room for. */
function plain(seed: number | bigint): number | string {
  return typeof seed === "bigint" ? String(seed) : seed;
}

function whoIs(judge: Judge): { readonly name: string; readonly fingerprint?: string } {
  const fingerprint = "fingerprint" in judge ? judge.fingerprint : undefined;
  return { name: judge.name, ...(fingerprint !== undefined && { fingerprint }) };
}

function measured({ mean: value, low, high }: { mean: number; low: number; high: number }): Measured {
  return { value, low, high };
}

/** A setting in a few words. */
function described({ alpha, ...setting }: TunedSetting): string {
  return `${withoutAlpha(setting)}, α = ${+alpha.toFixed(4)}`;
}

function withoutAlpha({ scale, samples, conflictThreshold }: Omit<TunedSetting, "alpha">): string {
  const conflicts = conflictThreshold === 0 ? "without conflicts" : `conflicts below ${conflictThreshold}`;
  return `scale ${scale}, N = ${samples}, ${conflicts}`;
}

function verdict({ own, tuned, heldOut: [found], better, misled }: TuningData): string {
  if (found === undefined) return `Nothing that was tried beats the model's own settings: ${described(own)}`;
  const difference = shownMeasured(found.difference);
  if (!better) {
    return `The best that was tried is not surely better on held-out seeds: ${
      described(tuned)
    }; difference ${difference}, p = ${found.p.toFixed(3)}`;
  }
  const warning = misled ? "; but the judge finds it worse, so only the verifier was pleased" : "";
  return `Better than the model's own by ${difference} on held-out seeds: ${described(tuned)}${warning}`;
}

/** Settings that are shown. */
const SHOWN = 10;

function tableOf({ tried, heldOut, own, tuned }: TuningData, judges: readonly Judge[]): Analysis["table"] {
  const [first, second] = judges;
  // Thresholds between which no picture lies paint the same pictures.
  const alike = [
    ...Map.groupBy(tried, (setting) => `${withoutAlpha(setting)} ${setting.low} ${setting.score}`)
      .values(),
  ];
  const isOwn = (setting: TunedSetting): boolean => described(setting) === described(own);
  const shown = alike.filter((settings, i) => i < SHOWN || settings.some(isOwn));
  return {
    columns: ["settings", `by ${first!.name}`, ...(second ? [`by ${second.name}`] : []), "low density", "p"],
    rows: [
      ...shown.map((settings) => {
        const [setting] = settings;
        const alphas = settings.map(({ alpha }) => alpha);
        const [least, most] = [Math.min(...alphas), Math.max(...alphas)].map((alpha) => +alpha.toFixed(4));
        const range = least === most ? "" : ` (all from ${least} to ${most})`;
        return [
          `${described(setting!)}${range}${settings.some(isOwn) ? ", as the model has it" : ""}`,
          shownNumber(setting!.score),
          ...(second ? [shownNumber(setting!.judged!)] : []),
          shownShare(setting!.low),
          "",
        ];
      }),
      ...(heldOut.length === 0 ? [] : (["plain", "own", "tuned", "difference"] as const).map((key) => [
        `held out: ${key === "own" ? described(own) : key === "tuned" ? described(tuned) : HELD_OUT[key]}`,
        ...heldOut.map((found) => shownMeasured(found[key])),
        "",
        key === "difference" ? heldOut.map(({ p }) => p.toFixed(3)).join(", ") : "",
      ])),
    ],
  };
}

const HELD_OUT = { plain: "no search", difference: "the last two" };

async function curvesOf({ tried, own }: TuningData, name: string): Promise<string> {
  const points = tried.toSorted((a, b) =>
    a.scale - b.scale || a.samples - b.samples || a.conflictThreshold - b.conflictThreshold ||
    a.alpha - b.alpha
  ).map(({ alpha, score, ...setting }): CurvePoint => ({
    series: withoutAlpha(setting),
    place: alpha,
    value: score,
  }));
  const { score } = tried.find((setting) => described(setting) === described(own))!;
  return await drawCurves(points, {
    below: "threshold factor α",
    left: `mean score by ${name} on the seeds that were tried; across: the model's own`,
    marks: [score],
  });
}
