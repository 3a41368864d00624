/**
 * The options of VAR-Scaling on the command line, with the published script's names as aliases.
 *
 * @module
 */

import {
  type Model,
  PICKS,
  RULES,
  type ScaleHook,
  STRATEGIES,
  varScaling,
  type VarScalingOptions,
} from "../../mod.ts";
import { choice, integer, number, scales, toggle } from "./kinds.ts";
import { section, type Values } from "./options.ts";
import { perFamily } from "./sampling_options.ts";

/** What the library does where an option is not given, so that the help tells the truth. */
const defaults = varScaling().settings as Required<Omit<VarScalingOptions, "preset">>;

/** Table of the options that go to the hook, by the hook's own names but for what it calls features. */
const HOOK_OPTIONS = {
  preset: {
    kind: choice(["default", "published", "paper"]),
    help:
      "Where the other settings start from: published does what the released code does, paper follows the paper to the letter, default is what this list says",
  },
  scale: {
    kind: scales,
    help: "Scales on which to search, from 0 on, or from -1 back from the last",
    aliases: ["scaling-scale"],
    defaultText: perFamily(({ search }) => search.scale),
  },
  samples: {
    kind: integer("N", 1, 8192),
    help: "Candidates per image",
    aliases: ["scaling-samples"],
    defaultText: perFamily(({ search }) => search.samples),
  },
  alpha: {
    kind: number("X", 0, 2 ** 20),
    help: "Threshold factor on the mean density",
    aliases: ["scaling-alpha"],
    defaultText: "what is known to suit the model, the scale and the samples",
  },
  representatives: {
    kind: integer("N", 1, 8192),
    help: "Candidates that are kept at most",
    aliases: ["scaling-rep-num"],
    defaultText: perFamily(({ search }) => search.representatives),
  },
  conflictThreshold: {
    kind: number("X", 0, 2 ** 40),
    help:
      "Of two candidates whose code vectors are closer than this (Euclidean, whatever the distance) only the first is kept; 0 is off",
    aliases: ["conflict-thresh"],
    defaultText: "what is known to suit the model's codes",
  },
  strategy: {
    kind: choice(STRATEGIES),
    help:
      "Which candidates are kept: the densest or random ones by the density, or always the densest, least dense or random ones",
    defaultText: perFamily(({ search }) => search.strategy),
  },
  density: {
    kind: choice(["sampled", "analytic"]),
    help:
      "The density among the candidates, or for tokens of bits what it is on average among --nominal of them, in closed form",
    defaultText: "sampled",
  },
  nominal: {
    kind: integer("N", 1, 8192),
    help: "Number of candidates that the analytic density stands for",
    defaultText: perFamily(({ search }) => search.samples),
  },
  distance: {
    kind: choice(["euclidean", "cosine"]),
    help: "How code vectors are compared for the density",
    defaultText: defaults.distance,
  },
  rule: {
    kind: choice(RULES),
    help:
      "When a density is low: max < alpha*mean as in the released code, or alpha*mean < max as in the paper",
    defaultText: defaults.rule,
  },
  filter: {
    kind: choice(["independent", "compounding"]),
    help: "Candidates are independent, or top-p is applied once more for each as in the released code",
    defaultText: defaults.filter,
  },
  bandwidth: {
    kind: choice(["image", "batch"]),
    help: "Bandwidth from each image alone, or averaged over the batch as in the released code",
    defaultText: defaults.bandwidth,
  },
  deviation: {
    kind: choice(["population", "sample"]),
    help: "Divisor of the standard deviation, N or N - 1",
    defaultText: defaults.deviation,
  },
  densityFeatures: {
    kind: choice(["position", "joint"]),
    help: "One density per position, summed, or one of the whole token map",
    defaultText: defaults.features,
  },
  pick: {
    kind: choice(PICKS),
    help: "How one of the kept is taken: drawn by density, the densest, at random, or drawn by rank",
    defaultText: perFamily(({ search }) => search.pick),
  },
};

/** VAR-Scaling. */
export const SCALING_OPTIONS = section("VAR-Scaling", {
  scaling: {
    kind: toggle,
    help:
      "Search representative tokens at an early scale; any option of this section turns it on, --no-scaling turns it off in any case",
    aliases: ["enable-scaling"],
    defaultText: "off",
  },
  ...HOOK_OPTIONS,
});

/** The settings that the options give, by the hook's own names. */
export function scalingSettings(values: Values<typeof SCALING_OPTIONS>): VarScalingOptions {
  const { scaling: _scaling, ...options } = SCALING_OPTIONS;
  const given = Object.keys(options)
    .map((name) => [name === "densityFeatures" ? "features" : name, values[name as keyof typeof options]])
    .filter(([, value]) => value !== undefined);
  return Object.fromEntries(given);
}

/** Makes the hook that the options describe, or `undefined` if they do not ask for it. */
export function scalingHook(values: Values<typeof SCALING_OPTIONS>, wanted: boolean): ScaleHook | undefined {
  const settings = scalingSettings(values);
  if (!(values.scaling ?? (wanted || Object.keys(settings).length > 0))) return undefined;
  return varScaling(settings);
}

/**
 * The settings of VAR-Scaling's hook with what the model decided in their places. Only an alpha that differs
 * from scale to scale stays the model's matter; each decision tells it.
 *
 * @param scales Scales of the schedule, from whose end negative ones count.
 */
export function usedScaling(
  { settings = {} }: ScaleHook,
  { search }: Model,
  { scales }: { readonly scales: number },
): Record<string, unknown> {
  const given = settings as Record<string, unknown>;
  const { scale: at, samples: drawn } = given;
  const { published, paper, ...own } = search;
  const stated = given.preset === "published" ? published : given.preset === "paper" ? paper : {};
  const suited = { ...own, ...stated };
  const scale = Array.isArray(at) ? at as number[] : [suited.scale];
  const samples = typeof drawn === "number" ? drawn : suited.samples;
  const alphas = scale.map((at) => {
    if (typeof suited.alpha === "number") return suited.alpha;
    return suited.alpha({ scale: at < 0 ? at + scales : at, samples });
  });
  const alpha = new Set(alphas).size === 1 ? alphas[0] : "preset";
  const used: Record<string, unknown> = { ...suited, scale, samples, alpha, nominal: suited.samples };
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, value === "preset" ? used[name] ?? value : value]),
  );
}
