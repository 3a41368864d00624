/**
 * VAR-Scaling (arXiv 2601.07293): draw many candidates of one early token map, measure by a Gaussian kernel
 * density in codebook space which of them are representative, and continue from one of those. Costs no
 * transformer pass.
 *
 * @module
 */

import {
  mustBe,
  requireChoice,
  requireInteger,
  requireNumber,
  requireObject,
  requireOptions,
} from "../../kernels/arguments.ts";
import type { FeatureGrouping } from "../../kernels/candidates/bandwidth.ts";
import {
  type Decision,
  decisionLength,
  type DensityRule,
  type PickRule,
  PICKS,
  readDecision,
  RULES,
  STRATEGIES,
  type Strategy,
} from "../../kernels/candidates/select.ts";
import type { SearchSettings } from "../../models/model.ts";
import type { Distance } from "../../models/tokens/token_space.ts";
import type { ScaleHook } from "../hook.ts";
import { SCALE_NUMBERS } from "../scale_index.ts";
import type { ScaleStep } from "../step.ts";

/** Options of {@linkcode varScaling}. Each preset sets all of them; what is given beside it wins. */
export interface VarScalingOptions {
  /**
   * Where the other options start from: `"default"`; `"published"`, which does what the released code does;
   * or `"paper"`, which follows the paper's text to the letter, with its numbers for the model's family
   * (`search.paper`).
   */
  preset?: VarScalingPreset;
  /**
   * Scale or scales on which to search, 0-based, negative ones from the end; by default that of the model's
   * `search`, 1 (the 2×2 map) for VAR.
   */
  scale?: number | readonly number[];
  /** Candidates N per image; by default those of the model's `search`, 50 for VAR. */
  samples?: number;
  /**
   * Threshold factor α on the mean density; by default what suits the model, the scale and the number of
   * samples by the model's `search`. It must be retuned when one of them changes.
   */
  alpha?: number;
  /** Candidates k that are kept at most; by default those of the model's `search`, 10 for VAR. */
  representatives?: number;
  /**
   * Of two maps closer than this only the first is kept; by default what suits the model by its `search`. 0
   * is off. It is the Euclidean distance over the code vectors of all tokens as the codebook has them, as in
   * the released code, whatever `distance` the density goes by.
   */
  conflictThreshold?: number;
  /**
   * `"var-scaling"` keeps the densest where the density is high and random ones where it is low; `"top-k"`
   * always keeps the densest, `"small-k"` the least dense, `"random-k"` random ones. By default that of the
   * model's `search`, the first for VAR.
   */
  strategy?: Strategy;
  /**
   * `"sampled"` (default): the density among the candidates that were drawn, as published; `"analytic"`, for
   * tokens of bits: the density that a candidate has on average among `nominal` of them, in closed form from
   * the chances of the bits, without comparing any. It wants the defaults of what it has no choice of:
   * `bandwidth` `"image"`, `deviation` `"population"`, `features` `"position"`.
   */
  density?: "sampled" | "analytic";
  /**
   * For the analytic density, the number of candidates that it stands for; by default as many as the model's
   * `search` draws, however few `samples` there are.
   */
  nominal?: number;
  /** How code vectors are compared for the density; `"euclidean"` by default. */
  distance?: Distance;
  /**
   * `"published"` (default): low density if max < α·mean; `"paper"`: if α·mean < max, as the paper prints it.
   */
  rule?: DensityRule;
  /**
   * `"independent"` (default) candidates, or `"compounding"`: top-p applied once more for each, as the
   * released code does.
   */
  filter?: "independent" | "compounding";
  /**
   * Bandwidth from each `"image"` alone (default), or averaged over the `"batch"`, as the released code does.
   */
  bandwidth?: "image" | "batch";
  /** Divisor of the standard deviation: N (`"population"`, default) or N - 1 (`"sample"`). */
  deviation?: "population" | "sample";
  /** One density per `"position"`, summed (default), or one of the whole map (`"joint"`). */
  features?: FeatureGrouping;
  /**
   * One of the kept is drawn by `"density"`, the densest is taken (`"argmax"`), one at random (`"uniform"`),
   * or one is drawn by `"rank"`: of k kept ones the first with weight k, the last with weight 1. By default
   * that of the model's `search`, the first for VAR.
   */
  pick?: PickRule;
}

/** Name of a preset of {@linkcode varScaling}. */
export type VarScalingPreset = "default" | "published" | "paper";

/** What {@linkcode varScaling} reports of each image, under `decisions`. */
export interface VarScalingDecision extends Decision {
  /** Candidates that were drawn. */
  readonly samples: number;
  /** The α that was compared with `ratio`. */
  readonly alpha: number;
}

/** Everything settled but what depends on the model. */
type Settings =
  & Required<Omit<VarScalingOptions, "preset" | ModelDependent>>
  & { readonly [Name in ModelDependent]: VarScalingOptions[Name] | undefined };
type ModelDependent = keyof SearchSettings | "alpha" | "conflictThreshold" | "nominal";

const DEFAULTS: Settings = {
  scale: undefined,
  samples: undefined,
  alpha: undefined,
  representatives: undefined,
  conflictThreshold: undefined,
  strategy: undefined,
  density: "sampled",
  nominal: undefined,
  distance: "euclidean",
  rule: "published",
  filter: "independent",
  bandwidth: "image",
  deviation: "population",
  features: "position",
  pick: undefined,
};

const PRESETS: Readonly<Record<VarScalingPreset, Settings>> = {
  default: DEFAULTS,
  published: { ...DEFAULTS, filter: "compounding", bandwidth: "batch" },
  paper: { ...DEFAULTS, rule: "paper", conflictThreshold: 0 },
};

/** Values that an option of text kind may have. */
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  strategy: STRATEGIES,
  density: ["sampled", "analytic"],
  distance: ["euclidean", "cosine"],
  rule: RULES,
  filter: ["independent", "compounding"],
  bandwidth: ["image", "batch"],
  deviation: ["population", "sample"],
  features: ["position", "joint"],
  pick: PICKS,
};

/**
 * Makes the VAR-Scaling hook. In an edit it compares what candidates generate, not what is kept, and has
 * nothing to say on scales of which everything is.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range.
 *
 * @example
 * ```ts
 * import { generate, loadModel, varScaling } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const search = varScaling({ samples: 20 });
 * const { images: [image] } = await generate(model, { labels: "blue cone", hooks: [search] });
 * const decision = image!.decisionsOf(search)[0]!.value;
 * assertEquals(decision.samples, 20);
 * assertEquals(decision.low, decision.max < decision.alpha * decision.mean);
 * ```
 */
export function varScaling(options: VarScalingOptions = {}): ScaleHook<VarScalingDecision> {
  const settings = resolve(options);
  const { preset = "default" } = options;
  const { scale, density, nominal, ...rest } = settings;
  // Sampled densities are what there was before there was a choice, and records say nothing of it.
  const told = density === "sampled" ? { scale, ...rest } : { scale, ...rest, density, nominal };
  const scales = typeof scale === "number" ? [scale] : scale;
  return {
    name: "var-scaling",
    scales: scales ??
      (({ search }) => [(preset === "default" ? undefined : search[preset]?.scale) ?? search.scale]),
    coupled: settings.bandwidth === "batch",
    settings: {
      // What it leaves to the model is not what other presets do.
      ...(preset === "default" ? {} : { preset }),
      ...Object.fromEntries(Object.entries(told).map(([name, value]) => [name, value ?? "preset"])),
      ...(scales === undefined ? {} : { scale: scales }),
    },
    choose: (step) => search(step, settings, preset),
  };
}

function search(step: ScaleStep<VarScalingDecision>, settings: Settings, preset: VarScalingPreset): void {
  // All candidates of a scale that an edit keeps as a whole are the same.
  if (step.kept?.every((kept) => kept === 1)) return;
  const { filter, distance, features, bandwidth, deviation, rule } = settings;
  const { model, scale } = step;
  const suited = preset === "default" ? model.search : { ...model.search, ...model.search[preset] };
  const { samples = suited.samples, representatives = suited.representatives } = settings;
  const { strategy = suited.strategy, pick = suited.pick } = settings;
  const { conflictThreshold = suited.conflictThreshold } = settings;
  const known = typeof suited.alpha === "number" ? suited.alpha : suited.alpha({ scale, samples });
  const { alpha = known } = settings;
  const candidates = step.draw(samples, { compounding: filter === "compounding" });
  const { density, nominal = suited.samples } = settings;
  const scores = density === "analytic"
    ? step.expectedDensity(candidates, samples, { nominal })
    : step.density(candidates, samples, { distance, features, bandwidth, deviation });
  const { tokens, decision } = step.select(candidates, scores, samples, {
    alpha,
    representatives,
    conflictThreshold,
    strategy,
    rule,
    pick,
  });
  step.choose(tokens);
  step.report(decision, decisionLength(Math.min(representatives, samples)), (words) => {
    return { ...readDecision(words), samples, alpha };
  });
}

const ACTION = "make the VAR-Scaling hook";

function resolve(options: VarScalingOptions): Settings {
  requireObject(options, "the options", ACTION);
  const { preset = "default", ...given } = options;
  requireChoice(preset, Object.keys(PRESETS) as VarScalingPreset[], "preset", ACTION);
  requireOptions(options, ["preset", ...Object.keys(DEFAULTS)], ACTION);
  const settings = { ...PRESETS[preset], ...given } as Settings;
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = settings[name as keyof Settings];
    if (value !== undefined) requireChoice(value as string, choices, name, ACTION);
  }
  const { scale, samples, alpha, representatives, conflictThreshold, density, nominal } = settings;
  const scales = typeof scale === "number" ? [scale] : scale;
  if (scales !== undefined && (!Array.isArray(scales) || scales.length === 0)) {
    throw new TypeError(mustBe("a number or a list of numbers", scale, "scale", ACTION));
  }
  for (const item of scales ?? []) requireInteger(item, "scale", ACTION, SCALE_NUMBERS);
  for (const [name, value] of Object.entries({ samples, representatives, nominal })) {
    if (value !== undefined) requireInteger(value, name, ACTION, { min: 1, max: 8192 });
  }
  if (conflictThreshold !== undefined) {
    requireNumber(conflictThreshold, "conflictThreshold", ACTION, { min: 0, max: 2 ** 40 });
  }
  if (density === "sampled" && nominal !== undefined) {
    throw new RangeError(mustBe('"analytic" where nominal is given', density, "density", ACTION));
  }
  for (const name of density === "analytic" ? ["bandwidth", "deviation", "features"] as const : []) {
    if (settings[name] === DEFAULTS[name]) continue;
    throw new RangeError(
      mustBe(`"${DEFAULTS[name]}" where density is "analytic"`, settings[name], name, ACTION),
    );
  }
  if (alpha !== undefined) requireNumber(alpha, "alpha", ACTION, { min: 0, max: 2 ** 20 });
  return settings;
}
