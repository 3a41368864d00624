/**
 * TTS-VAR (arXiv 2507.18537): many lanes of an image that are thinned out as scales get expensive. Early,
 * when pictures tell little of how good they will be, lanes are clustered and one of each cluster goes on, so
 * that what is left differs; later they are resampled by a reward; at the end the best is taken.
 *
 * @module
 */

import {
  mustBe,
  requireBoolean,
  requireChoice,
  requireFunction,
  requireInteger,
  requireList,
  requireNumber,
  requireObject,
  requireOptions,
} from "../../kernels/arguments.ts";
import type { FeatureExtractor } from "../../models/vision/verifier.ts";
import type { ScaleHook, SearchEvent } from "../hook.ts";
import { describeLanes, type HostFeatures, judgeLanes, type LaneFeatureExtractor } from "../judging.ts";
import { MAX_LANES } from "../request.ts";
import type { ScaleStep } from "../step.ts";
import { survivorsOf } from "./clusters.ts";
import { latentFeatures } from "./latent_features.ts";
import {
  type Judge,
  judgeOf,
  lookOf,
  looksOf,
  observe,
  populations,
  rankLanes,
  requireJudge,
} from "./population.ts";
import {
  bestOf,
  drawMultinomial,
  drawSystematic,
  type Potential,
  potentialOf,
  requirePotential,
  resamplingUniforms,
  weightsOf,
} from "./potentials.ts";
import { reduceFeatures, type Reduction, REDUCTIONS } from "./principal.ts";
import { PRESET_LANES, type TtsSchedule, ttsSchedule } from "./tts_schedule.ts";

/**
 * How rows of features become the point that a lane is clustered by; `"flat"` takes all of them side by side.
 */
export type ClusterPoint = Reduction | "flat";

/** Options of {@linkcode ttsVar}. Each preset sets all of them; what is given beside it wins. */
export interface TtsVarOptions {
  /**
   * Where the other options start from: `"default"`, or `"published"`, which does what the released code
   * does, with its faults: scores as they are, principal components with the sign that they happen to have,
   * weights that repair NaN and infinities the wrong way round, draws with replacement, and a last picture
   * that is judged though there is no choice. Both of its networks must be given.
   */
  preset?: TtsVarPreset;
  /**
   * Lanes after each scale, as the released `bs_sis`; by default those of the preset for the model's scales.
   */
  sizes?: readonly number[];
  /** Multiplies the preset's sizes, the N of the paper; 1 by default, which starts 8 lanes. */
  multiple?: number;
  /** Scales after which lanes are clustered (`extract_sis`), negative ones from the end. */
  clusterScales?: readonly number[];
  /** Scales after which lanes are resampled (`resample_sis`), negative ones from the end. */
  resampleScales?: readonly number[];
  /**
   * What lanes are compared by; by default {@linkcode latentFeatures}, which need no picture. The paper takes
   * DINOv2.
   */
  features?: FeatureExtractor | LaneFeatureExtractor;
  /**
   * How rows of features become a point: the first principal component of each lane's own rows (`"pca"`), of
   * which the entry of largest magnitude is positive, or without that rule (`"pca-raw"`, published); of all
   * lanes' rows together (`"pca-all"`); their mean (`"pool"`); all of them side by side (`"flat"`). By
   * default `"pool"` for features of one row, `"flat"` for those of lanes, otherwise `"pca"`, or `"pca-raw"`
   * published.
   */
  point?: ClusterPoint;
  /** Who judges; the model's own verifier by default. */
  verifier?: Judge;
  /**
   * What of a lane's scores counts: the last one (`"value"`, default), its rise since the one before
   * (`"diff"`), the largest (`"max"`), the sum of all (`"sum"`), or of the k largest (`"topk_2"`).
   */
  potential?: Potential;
  /** Weights, where lanes are drawn by them, are exp(λ · potential); 2 by default, 10 published. */
  lambda?: number;
  /**
   * Whether scores are divided by their standard deviation among the lanes of the image, so that λ means the
   * same for every verifier; true by default, false published.
   */
  standardize?: boolean;
  /**
   * Which lanes go on: the `"best"` by potential (default), each of them once; or drawn by their weights,
   * `"systematic"`, where lanes with n times the mean weight have n copies but for rounding, or
   * `"multinomial"`, independently (published). Copies cost as much as lanes of their own and begin alike: at
   * equal cost, pictures of the demos were better without them.
   */
  draw?: "systematic" | "multinomial" | "best";
  /**
   * Pictures that come back of each image, the best; 1 by default. Where the last scale itself is in a list,
   * nobody is asked again, and it is the last size.
   */
  keep?: number;
}

/** Name of a preset of {@linkcode ttsVar}. */
export type TtsVarPreset = "default" | "published";

/** What {@linkcode ttsVar} notes of each lane at an event, under `decisions`. */
export type TtsVarDecision =
  | {
    readonly event: "cluster";
    /** The cluster that it belongs to. */
    readonly cluster: number;
    /** Whether it goes on for its cluster, or in a place that none filled. */
    readonly kept: boolean;
  }
  | {
    readonly event: "resample";
    /** What the verifier gave. */
    readonly score: number;
    /** Its share of the weights, where lanes are drawn by them. */
    readonly weight?: number;
    /** In how many lanes it goes on. */
    readonly copies: number;
  }
  | {
    readonly event: "final";
    /** What the verifier gave. */
    readonly score: number;
    /** Its place among the lanes of the image, 0 for the best. */
    readonly rank: number;
  };

const ACTION = "make the TTS-VAR hook";

/** Everything settled but what depends on the model. */
type Settings =
  & Required<Omit<TtsVarOptions, "preset" | Given>>
  & { readonly [Name in Given]: TtsVarOptions[Name] | undefined };
type Given = "sizes" | "clusterScales" | "resampleScales" | "features" | "point" | "verifier" | "lambda";

const DEFAULTS: Settings = {
  sizes: undefined,
  multiple: 1,
  clusterScales: undefined,
  resampleScales: undefined,
  features: undefined,
  point: undefined,
  verifier: undefined,
  potential: "value",
  lambda: undefined,
  standardize: true,
  draw: "best",
  keep: 1,
};

const PRESETS: Readonly<Record<TtsVarPreset, Settings>> = {
  default: DEFAULTS,
  published: { ...DEFAULTS, lambda: 10, standardize: false, draw: "multinomial" },
};

/** What a picture's rows become, where nothing else is asked for. */
const POINTS: Readonly<Record<TtsVarPreset, ClusterPoint>> = { default: "pca", published: "pca-raw" };

/**
 * Makes the TTS-VAR hook.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range.
 *
 * @example
 * ```ts
 * import { generate, loadModel, ownEvidence, ttsVar } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const search = ttsVar({ verifier: ownEvidence() });
 * const { images: [image], trace } = await generate(model, { labels: "blue cone", hooks: [search] });
 * // 8 lanes, of which clusters leave 6 and 4, and the verifier 2 and 1.
 * assertEquals(trace.cost.passes, 8 + 8 + 6 + 4 + 2 + 1);
 * assertEquals(image!.attempts.filter(({ dropped }) => dropped === undefined).length, 1);
 * assertEquals(image!.decisionsOf(search).map(({ value }) => value.event), [
 *   "cluster",
 *   "cluster",
 *   "resample",
 *   "resample",
 * ]);
 * ```
 */
export function ttsVar(options: TtsVarOptions = {}): ScaleHook<TtsVarDecision> {
  const settings = resolve(options);
  const { preset = "default" } = options;
  const { verifier, features = latentFeatures(), sizes, multiple, keep } = settings;
  const scheduleOf = (scales: number): TtsSchedule => {
    const schedule = ttsSchedule(scales, settings);
    requireKept(schedule, keep);
    return schedule;
  };
  const judges = (schedule: TtsSchedule, scale: number): Event | undefined =>
    eventOf(schedule, scale, { keep, published: preset === "published" });
  return {
    name: "tts-var",
    lanes: sizes?.[0] ?? multiple * PRESET_LANES,
    settings: {
      preset,
      ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, value ?? "preset"])),
      features: features.name,
      verifier: verifier?.name ?? "own",
    },
    plan({ scales: { length } }, model) {
      const schedule = scheduleOf(length);
      return schedule.sizes.flatMap((lanes, scale): SearchEvent[] => {
        const event = judges(schedule, scale);
        if (event === undefined) return [];
        const atMost = (before: number): number => Math.min(before, event === "final" ? keep : lanes);
        if (event === "cluster") return [{ scale, lanes: atMost, looks: [lookOf(features)] }];
        const looks = looksOf(verifier, model, "TTS-VAR");
        // Draws repeat lanes.
        const repeats = event === "resample" && settings.draw !== "best";
        return [{ scale, lanes: repeats ? lanes : atMost, looks }];
      });
    },
    async gather(step) {
      await observe(verifier, step);
      const schedule = scheduleOf(step.scales);
      const size = schedule.sizes[step.scale]!;
      switch (judges(schedule, step.scale)) {
        case "cluster":
          return await cluster(step, size, features, { point: settings.point, preset });
        case "resample":
          return await resample(step, size, settings, preset);
        case "final":
          return await takeBest(step, settings, preset);
      }
    },
  };
}

type Event = "cluster" | "resample" | "final";

/** What happens after a scale. */
function eventOf(
  { sizes, clusterScales, resampleScales }: TtsSchedule,
  scale: number,
  { keep, published }: { readonly keep: number; readonly published: boolean },
): Event | undefined {
  if (clusterScales.includes(scale)) return "cluster";
  if (resampleScales.includes(scale)) return "resample";
  if (scale < sizes.length - 1) return undefined;
  const lanes = sizes[scale - 1] ?? sizes[scale]!;
  // The released code judges the last picture even where there is no choice.
  return lanes > keep || published ? "final" : undefined;
}

/** Checks that so many pictures can come back. */
function requireKept({ sizes, clusterScales, resampleScales }: TtsSchedule, keep: number): void {
  const last = sizes.length - 1;
  const left = sizes[last]!;
  if (clusterScales.includes(last) || resampleScales.includes(last)) {
    if (keep === left) return;
    const wanted = `${left}, the last size, as the last scale is in a list,`;
    throw new RangeError(mustBe(wanted, keep, "keep", "schedule TTS-VAR"));
  }
  const most = sizes[last - 1] ?? left;
  if (keep > most) {
    const wanted = `at most ${most}, the lanes of the last scale,`;
    throw new RangeError(mustBe(wanted, keep, "keep", "schedule TTS-VAR"));
  }
}

/** Lets one lane of each cluster go on. Asks no verifier. */
async function cluster(
  step: ScaleStep<TtsVarDecision>,
  size: number,
  features: FeatureExtractor | LaneFeatureExtractor,
  { point, preset }: { readonly point: ClusterPoint | undefined; readonly preset: TtsVarPreset },
): Promise<readonly number[]> {
  const described = await describeLanes(step, features);
  const wanted = pointOf(point, { features, preset, tokens: described.tokens });
  return populations(step.lanes).flatMap((rows) => {
    const points = clusterPoints(described, rows, wanted);
    const { labels, survivors } = survivorsOf(points, Math.min(size, rows.length));
    const kept = new Set(survivors);
    for (const [i, row] of rows.entries()) {
      step.note(row, { event: "cluster", cluster: labels[i]!, kept: kept.has(i) });
    }
    return survivors.map((i) => rows[i]!);
  });
}

/** The point of each of these lanes. */
function clusterPoints(
  { values, tokens, channels }: HostFeatures,
  rows: readonly number[],
  point: ClusterPoint,
): readonly ArrayLike<number>[] {
  const length = tokens * channels;
  const own = rows.map((row) => values.subarray(row * length, (row + 1) * length));
  if (point === "flat") return own;
  const data = new Float32Array(rows.length * length);
  for (const [i, features] of own.entries()) data.set(features, i * length);
  return reduceFeatures({ data, pictures: rows.length, tokens, channels }, point);
}

/** How rows become a point, where a lane has so many of them. */
function pointOf(
  point: ClusterPoint | undefined,
  { features, preset, tokens }: {
    readonly features: FeatureExtractor | LaneFeatureExtractor;
    readonly preset: TtsVarPreset;
    readonly tokens: number;
  },
): ClusterPoint {
  if (tokens === 1 && (point === "pca" || point === "pca-raw")) {
    const wanted = '"pool", "flat" or "pca-all", as a single row has no axis of its own,';
    throw new RangeError(mustBe(wanted, point, `point for the features "${features.name}"`, "cluster lanes"));
  }
  if (point !== undefined) return point;
  if (tokens === 1) return "pool";
  return "featuresOfLanes" in features ? "flat" : POINTS[preset];
}

/** Draws the lanes that go on by how good they promise to be. */
async function resample(
  step: ScaleStep<TtsVarDecision>,
  size: number,
  settings: Settings,
  preset: TtsVarPreset,
): Promise<readonly number[]> {
  const { verifier, standardize, potential, lambda = 2, draw } = settings;
  const { lanes, scale, request: { seedWords } } = step;
  const scores = await judgeLanes(step, await judgeOf(verifier, step));
  const before = (step.recall(SCORES) ?? lanes.map(() => [])) as readonly (readonly number[])[];
  const histories: number[][] = [];
  const order = populations(lanes).flatMap((rows) => {
    const own = rows.map((row) => scores[row]!);
    const counted = standardize ? standardized(own) : own;
    for (const [i, row] of rows.entries()) histories[row] = [...before[row]!, counted[i]!];
    const potentials = rows.map((row) => potentialOf(histories[row]!, potential));
    const repair = preset === "published" ? preset : "limits";
    const weights = weightsOf(potentials, { lambda, repair });
    const key = { seed: seedWords, image: lanes[rows[0]!]!.index, scale };
    const chosen = drawn(draw, { potentials, weights, size, uniforms: resamplingUniforms(key, size) });
    for (const [i, row] of rows.entries()) {
      const copies = chosen.filter((survivor) => survivor === i).length;
      const weight = draw === "best" ? {} : { weight: weights[i]! };
      step.note(row, { event: "resample", score: own[i]!, ...weight, copies });
    }
    return chosen.map((i) => rows[i]!);
  });
  step.remember(SCORES, histories);
  return order;
}

/** The lanes that go on, each as often as it was drawn. */
function drawn(
  draw: Settings["draw"],
  { potentials, weights, size, uniforms }: {
    readonly potentials: readonly number[];
    readonly weights: Float64Array;
    readonly size: number;
    readonly uniforms: readonly number[];
  },
): number[] {
  if (draw === "multinomial") return drawMultinomial(weights, uniforms);
  if (draw === "systematic") return drawSystematic(weights, { count: size, uniform: uniforms[0]! });
  return bestOf(potentials, Math.min(size, potentials.length));
}

/** Under which name the scores of a lane are kept. */
const SCORES = "scores";

/** Scores in units of their standard deviation around their mean, of those that are finite. */
function standardized(scores: readonly number[]): readonly number[] {
  const finite = scores.filter(Number.isFinite);
  const largest = Math.max(...finite.map(Math.abs));
  if (!(largest > 0)) return scores;
  // Squares of the scores themselves might be infinite, or 0.
  const mean = finite.reduce((sum, score) => sum + score / largest, 0) / finite.length;
  const variance = finite.reduce((sum, score) => sum + (score / largest - mean) ** 2, 0) / finite.length;
  const deviation = Math.sqrt(variance);
  return scores.map((score) => (score / largest - mean) / (deviation || 1));
}

/** Takes the best of the finished pictures. */
async function takeBest(
  step: ScaleStep<TtsVarDecision>,
  { verifier, keep }: Settings,
  preset: TtsVarPreset,
): Promise<readonly number[]> {
  // Of equal scores the released code takes the last.
  const ties = preset === "published" ? "last" : "first";
  const ranked = await rankLanes(step, verifier, (place) => ({ event: "final" as const, ...place }), ties);
  return ranked.flatMap((order) => order.slice(0, keep));
}

const CHOICES = {
  point: [...REDUCTIONS, "flat"],
  draw: ["systematic", "multinomial", "best"],
} as const;

function resolve(options: TtsVarOptions): Settings {
  requireObject(options, "the options", ACTION);
  const { preset = "default", ...given } = options;
  requireChoice(preset, Object.keys(PRESETS) as TtsVarPreset[], "preset", ACTION);
  requireOptions(options, ["preset", ...Object.keys(DEFAULTS)], ACTION);
  const stated = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const settings: Settings = { ...PRESETS[preset], ...stated };
  const { multiple, potential, lambda, standardize, draw, keep, sizes, features, verifier } = settings;
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = settings[name as keyof typeof CHOICES];
    if (value !== undefined) requireChoice(value, choices, name, ACTION);
  }
  requireInteger(multiple, "multiple", ACTION, { min: 1, max: MAX_LANES / PRESET_LANES });
  if (sizes !== undefined && multiple !== 1) {
    throw new RangeError(mustBe("1 where sizes are given", multiple, "multiple", ACTION));
  }
  requirePotential(potential, ACTION);
  if (lambda !== undefined) requireNumber(lambda, "lambda", ACTION, { min: 0, max: 2 ** 40 });
  if (given.lambda !== undefined && draw === "best") {
    const wanted = '"systematic" or "multinomial" where lambda is given';
    throw new RangeError(mustBe(wanted, draw, "draw", ACTION));
  }
  requireBoolean(standardize, "standardize", ACTION);
  requireInteger(keep, "keep", ACTION, { min: 1, max: MAX_LANES });
  // Lists are checked once it is known how many scales there are, their first number now.
  if (sizes !== undefined) requireList(sizes, "sizes", ACTION, "a list of numbers");
  if (sizes !== undefined) requireInteger(sizes[0]!, "the first size", ACTION, { min: 1, max: MAX_LANES });
  if (features !== undefined) requireExtractor(features);
  requireJudge(verifier, ACTION);
  if (preset === "published") {
    for (
      const [name, value, call] of [["features", features, "loadFeatures"], [
        "verifier",
        verifier,
        "loadVerifier",
      ]] as const
    ) {
      if (value !== undefined) continue;
      throw new TypeError(mustBe(`given to do what is published, by ${call}() say,`, value, name, ACTION));
    }
  }
  // Whoever takes the best has no use for the preset's.
  return draw === "best" ? { ...settings, lambda: undefined } : settings;
}

function requireExtractor(features: FeatureExtractor | LaneFeatureExtractor): void {
  requireObject(features, "features", ACTION);
  if (typeof features.name !== "string") {
    throw new TypeError(mustBe("a feature extractor with a name", features, "features", ACTION));
  }
  const call = "featuresOfLanes" in features ? features.featuresOfLanes : features.features;
  requireFunction(call, `features of "${features.name}"`, ACTION);
}
