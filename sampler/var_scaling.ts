/**
 * VAR-Scaling (arXiv 2601.07293): draw many candidates of one early token map, measure by a Gaussian kernel density in codebook space
 * which of them are representative, and continue from one of those. Costs no transformer pass.
 *
 * @module
 */

import { requireInteger, requireNumber, requireOptions } from "../kernels/arguments.ts";
import type { FeatureGrouping } from "../kernels/bandwidth.ts";
import {
  type Decision,
  decisionLength,
  type DensityRule,
  type Pick,
  readDecision,
  type Strategy,
} from "../kernels/select.ts";
import type { ScaleHook } from "./hook.ts";
import type { Distance, ScaleStep } from "./step.ts";

/** Options of {@linkcode varScaling}. Each preset sets all of them; what is given beside it wins. */
export interface VarScalingOptions {
  /**
   * Where the other options start from: `"default"`; `"published"`, which does what the released code does; or `"paper"`, which
   * follows the paper's text to the letter.
   */
  preset?: VarScalingPreset;
  /** Scale or scales on which to search, 0-based; 1 (the 2×2 map) by default. */
  scale?: number | readonly number[];
  /** Candidates N per image; 50 by default. */
  samples?: number;
  /**
   * Threshold factor α on the mean density; by default {@linkcode alphaPreset}, shifted if the model is known to want another. It must be
   * retuned when the number of samples, the scale or the model changes.
   */
  alpha?: number;
  /** Candidates k that are kept at most; 10 by default. */
  representatives?: number;
  /**
   * Of two maps closer than this (Euclidean, over all code vectors) only the first is kept; by default what is known to suit the model's
   * codebook, else 1.8 as published. 0 is off.
   */
  conflictThreshold?: number;
  /**
   * `"var-scaling"` (default) keeps the densest where the density is high and random ones where it is low; `"top-k"` always keeps the
   * densest, `"small-k"` the least dense, `"random-k"` random ones.
   */
  strategy?: Strategy;
  /** How code vectors are compared for the density; `"euclidean"` by default. */
  distance?: Distance;
  /** `"published"` (default): low density if max < α·mean; `"paper"`: if α·mean < max, as the paper prints it. */
  rule?: DensityRule;
  /** `"independent"` (default) candidates, or `"compounding"`: top-p applied once more for each, as the released code does. */
  filter?: "independent" | "compounding";
  /** Bandwidth from each `"image"` alone (default), or averaged over the `"batch"`, as the released code does. */
  bandwidth?: "image" | "batch";
  /** Divisor of the standard deviation: N (`"population"`, default) or N - 1 (`"sample"`). */
  deviation?: "population" | "sample";
  /** One density per `"position"`, summed (default), or one of the whole map (`"joint"`). */
  features?: FeatureGrouping;
  /** One of the kept is drawn by `"density"` (default), the densest is taken (`"argmax"`), or one at random (`"uniform"`). */
  pick?: Pick;
}

/** Name of a preset of {@linkcode varScaling}. */
export type VarScalingPreset = "default" | "published" | "paper";

/** What {@linkcode varScaling} reports of each image, under `decisions`. */
export interface VarScalingDecision extends Decision {
  /** Candidates N. */
  readonly samples: number;
  /** The α that was compared with `ratio`. */
  readonly alpha: number;
}

/** Everything settled but what depends on the model. */
type Settings =
  & Required<Omit<VarScalingOptions, "preset" | ModelDependent>>
  & {
    readonly [Name in ModelDependent]: number | undefined;
  };
type ModelDependent = "alpha" | "conflictThreshold";

/** The published threshold, in units of the official codebook. */
const PUBLISHED_CONFLICT_THRESHOLD = 1.8;

const DEFAULTS: Settings = {
  scale: 1,
  samples: 50,
  alpha: undefined,
  representatives: 10,
  conflictThreshold: undefined,
  strategy: "var-scaling",
  distance: "euclidean",
  rule: "published",
  filter: "independent",
  bandwidth: "image",
  deviation: "population",
  features: "position",
  pick: "density",
};

const PRESETS: Readonly<Record<VarScalingPreset, Settings>> = {
  default: DEFAULTS,
  published: {
    ...DEFAULTS,
    alpha: 2.3,
    conflictThreshold: PUBLISHED_CONFLICT_THRESHOLD,
    filter: "compounding",
    bandwidth: "batch",
  },
  paper: { ...DEFAULTS, rule: "paper", conflictThreshold: 0 },
};

/** Values that an option of text kind may have. */
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  strategy: ["var-scaling", "top-k", "small-k", "random-k"],
  distance: ["euclidean", "cosine"],
  rule: ["published", "paper"],
  filter: ["independent", "compounding"],
  bandwidth: ["image", "batch"],
  deviation: ["population", "sample"],
  features: ["position", "joint"],
  pick: ["density", "argmax", "uniform"],
};

/** α for the columns N = 20, 50, 100: by depth at scale 1 (paper, table 3a), and by scale at depth 30 (table 2). */
const ALPHA_COLUMNS = [20, 50, 100] as const;
const ALPHA_BY_DEPTH: Readonly<Record<number, readonly number[]>> = {
  16: [2.4, 2.4, 2.6],
  20: [2.3, 2.4, 2.5],
  24: [2.7, 2.7, 2.8],
  30: [2.3, 2.4, 2.4],
};
const ALPHA_BY_SCALE: readonly (readonly number[])[] = [
  [2.3, 2.4, 2.5],
  [2.3, 2.4, 2.4],
  [1.7, 1.7, 1.8],
  [1.9, 1.9, 1.8],
  [1.9, 1.9, 2.0],
  [1.8, 1.8, 2.0],
  [1.7, 1.7, 1.9],
  [1.4, 1.4, 1.5],
  [1.2, 1.2, 1.3],
  [1.1, 1.1, 1.3],
];

/**
 * The paper's α (tables 2 and 3a) for the nearest depth and number of samples. Scales other than 1 were tuned at depth 30 only; for
 * other depths their α is shifted by as much as the depth's differs at scale 1.
 *
 * @throws {RangeError} If a number is no integer or below the first possible one.
 *
 * @example
 * ```ts
 * import { alphaPreset } from "./var_scaling.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(alphaPreset({ depth: 30, scale: 1, samples: 50 }), 2.4);
 * assertEquals(alphaPreset({ depth: 30, scale: 7, samples: 100 }), 1.5);
 * ```
 */
export function alphaPreset(setting: { depth: number; scale: number; samples: number }): number {
  const { depth, scale, samples } = setting;
  requireInteger(depth, "depth", "find alpha", { min: 1 });
  requireInteger(scale, "scale", "find alpha", { min: 0 });
  requireInteger(samples, "samples", "find alpha", { min: 1 });
  const nearest = (values: readonly number[], wanted: number): number => {
    return values.reduce((best, value) => Math.abs(value - wanted) < Math.abs(best - wanted) ? value : best);
  };
  const column = ALPHA_COLUMNS.findIndex((value) => value === nearest(ALPHA_COLUMNS, samples));
  const byDepth = ALPHA_BY_DEPTH[nearest(Object.keys(ALPHA_BY_DEPTH).map(Number), depth)]![column]!;
  const byScale = ALPHA_BY_SCALE[Math.min(scale, ALPHA_BY_SCALE.length - 1)]![column]!;
  const shift = byDepth - ALPHA_BY_DEPTH[30]![column]!;
  return Math.round((byScale + shift) * 100) / 100;
}

/**
 * Makes the VAR-Scaling hook. In an edit it compares what candidates generate, not what is kept, and has nothing to say on scales of which
 * everything is.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range.
 *
 * @example
 * ```ts
 * import { generate, loadModel, varScaling, type VarScalingDecision } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { images: [image] } = await generate(model, { labels: "blue cone", hooks: [varScaling({ samples: 20 })] });
 * const decision = image!.decisions[0]!.value as VarScalingDecision;
 * assertEquals(decision.samples, 20);
 * assertEquals(decision.low, decision.max < decision.alpha * decision.mean);
 * ```
 */
export function varScaling(options: VarScalingOptions = {}): ScaleHook {
  const settings = resolve(options);
  const scales = typeof settings.scale === "number" ? [settings.scale] : settings.scale;
  return {
    name: "var-scaling",
    scales,
    coupled: settings.bandwidth === "batch",
    settings: {
      ...settings,
      scale: scales,
      alpha: settings.alpha ?? "preset",
      conflictThreshold: settings.conflictThreshold ?? "preset",
    },
    choose: (step) => search(step, settings),
  };
}

function search(step: ScaleStep, settings: Settings): void {
  // All candidates of a scale that an edit keeps as a whole are the same.
  if (step.kept?.every((kept) => kept === 1)) return;
  const { samples, representatives, filter, distance, features, bandwidth, deviation } = settings;
  const { model: { depth, tuning }, scale } = step;
  const tuned = tuning.alpha === undefined ? 0 : tuning.alpha - alphaPreset({ depth, scale: 1, samples: 50 });
  const alpha = settings.alpha ?? alphaPreset({ depth, scale, samples }) + tuned;
  const candidates = step.draw(samples, { compounding: filter === "compounding" });
  const scores = step.density(candidates, samples, { distance, features, bandwidth, deviation });
  const { strategy, rule, pick } = settings;
  const conflictThreshold = settings.conflictThreshold ?? tuning.conflictThreshold ??
    PUBLISHED_CONFLICT_THRESHOLD;
  const { tokens, decision } = step.select(candidates, scores, samples, {
    alpha,
    representatives,
    conflictThreshold,
    strategy,
    rule,
    pick,
  });
  step.choose(tokens);
  step.report(decision, decisionLength(Math.min(representatives, samples)), (words): VarScalingDecision => {
    return { ...readDecision(words), samples, alpha };
  });
}

const ACTION = "make the VAR-Scaling hook";

function resolve(options: VarScalingOptions): Settings {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot ${ACTION} as the options must be an object: current value is ${Deno.inspect(options)}`,
    );
  }
  const { preset = "default", ...given } = options;
  const base = Object.hasOwn(PRESETS, preset) ? PRESETS[preset] : undefined;
  if (base === undefined) {
    throw new TypeError(
      `Cannot ${ACTION} as preset must be ${Object.keys(PRESETS).join(", ")}: current value is ${preset}`,
    );
  }
  requireOptions(options, ["preset", ...Object.keys(DEFAULTS)], ACTION);
  const settings = { ...base, ...given } as Settings;
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = settings[name as keyof Settings];
    if (!choices.includes(value as string)) {
      throw new TypeError(
        `Cannot ${ACTION} as ${name} must be ${choices.join(", ")}: current value is ${String(value)}`,
      );
    }
  }
  const { scale, samples, alpha, representatives, conflictThreshold } = settings;
  const scales = typeof scale === "number" ? [scale] : scale;
  if (!Array.isArray(scales) || scales.length === 0) {
    throw new TypeError(
      `Cannot ${ACTION} as scale must be a number or a list of numbers: current value is ${
        Deno.inspect(scale)
      }`,
    );
  }
  for (const item of scales) requireInteger(item, "scale", ACTION, { min: 0, max: 1000 });
  requireInteger(samples, "samples", ACTION, { min: 1, max: 8192 });
  requireInteger(representatives, "representatives", ACTION, { min: 1, max: 8192 });
  if (conflictThreshold !== undefined) {
    requireNumber(conflictThreshold, "conflictThreshold", ACTION, { min: 0, max: 2 ** 40 });
  }
  if (alpha !== undefined) requireNumber(alpha, "alpha", ACTION, { min: 0, max: 2 ** 20 });
  return settings;
}
