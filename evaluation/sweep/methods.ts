/**
 * The methods that a sweep compares, with the settings that each of them has: from plain data to hooks. Which
 * settings a plan asks for is left to `plan.ts`, what they cost to `equal.ts`.
 *
 * @module
 */

import { mustBe, requireInteger } from "../../kernels/arguments.ts";
import {
  adaptiveGuidance,
  beamSearch,
  bestOfN,
  type GenerateRequest,
  type Judge,
  prefixGuidance,
  type ScaleHook,
  spatialGuidance,
  ttsVar,
  type TtsVarOptions,
  varScaling,
} from "../../sampler/mod.ts";
import { scaledTtsSchedules } from "../../sampler/methods/tts_schedule.ts";

/** Methods that think of several pictures and keep one. */
export const SEARCHES = ["best-of-n", "beam", "tts-var"] as const;
/** One of {@linkcode SEARCHES}. */
export type SearchName = typeof SEARCHES[number];

/** Methods that change logits. */
const GUIDING = ["adaptive-guidance", "prefix-guidance", "spatial-guidance"] as const;
type GuidingName = typeof GUIDING[number];

/**
 * Names of all methods: nothing, one that changes logits, VAR-Scaling, a search, or VAR-Scaling before a
 * search.
 */
export const SWEEP_METHODS: readonly string[] = [
  "plain",
  ...GUIDING,
  "var-scaling",
  ...SEARCHES,
  ...SEARCHES.map((name) => `var-scaling+${name}`),
];

const TITLES: Readonly<Record<string, string>> = {
  "plain": "plain",
  "adaptive-guidance": "adaptive guidance",
  "prefix-guidance": "prefix guidance",
  "spatial-guidance": "spatial guidance",
  "var-scaling": "VAR-Scaling",
  "best-of-n": "Best-of-N",
  "beam": "beam search",
  "tts-var": "TTS-VAR",
};

/** Settings as plain data, by name. */
export type Settings = Readonly<Record<string, unknown>>;

/** Settings that every method has: how tokens are drawn. */
const SAMPLING = ["cfg", "guidance", "topK", "topP", "minP", "temperature"];

const VAR_SCALING = [
  "preset",
  "scale",
  "samples",
  "alpha",
  "representatives",
  "conflictThreshold",
  "strategy",
  "density",
  "nominal",
  "distance",
  "rule",
  "filter",
  "bandwidth",
  "deviation",
  "features",
  "pick",
];

const GUIDING_SETTINGS: Readonly<Record<GuidingName, readonly string[]>> = {
  "adaptive-guidance": ["eta", "normThreshold", "over"],
  "prefix-guidance": ["weight", "share", "corruption"],
  "spatial-guidance": ["strength", "scales"],
};

const OWN: Readonly<Record<SearchName, readonly string[]>> = {
  "best-of-n": ["samples", "verifier"],
  "beam": ["samples", "width", "scales", "verifier"],
  "tts-var": [
    "samples",
    "preset",
    "multiple",
    "sizes",
    "clusterScales",
    "resampleScales",
    "features",
    "point",
    "potential",
    "lambda",
    "standardize",
    "draw",
    "verifier",
  ],
};

/** What a method consists of. */
export interface MethodParts {
  /** What changes logits, if there is such a thing. */
  readonly guiding?: GuidingName;
  /** Whether VAR-Scaling is one of its parts. */
  readonly scaled: boolean;
  /** The search, if there is one. */
  readonly search?: SearchName;
}

/** The parts of a method of {@linkcode SWEEP_METHODS}. */
export function partsOf(method: string): MethodParts {
  const search = SEARCHES.find((name) => method.endsWith(name));
  const guiding = GUIDING.find((name) => name === method);
  return {
    ...(guiding && { guiding }),
    scaled: method.startsWith("var-scaling"),
    ...(search && { search }),
  };
}

/**
 * What VAR-Scaling's settings are called in a method. Where a search follows, N is the search's, the
 * `features` are of lanes, and a preset is ambiguous.
 */
const RENAMED: Readonly<Record<string, string>> = {
  samples: "candidates",
  features: "densityFeatures",
  preset: "scalingPreset",
};

function scalingName(name: string, { search }: MethodParts): string {
  return search === undefined ? name : RENAMED[name] ?? name;
}

/** Settings that a method has. */
export function settingsOf(method: string): readonly string[] {
  const parts = partsOf(method);
  return [
    ...SAMPLING,
    ...(parts.guiding === undefined ? [] : GUIDING_SETTINGS[parts.guiding]),
    ...(parts.scaled ? VAR_SCALING.map((name) => scalingName(name, parts)) : []),
    ...(parts.search === undefined ? [] : OWN[parts.search]),
  ];
}

/** Settings of a search that stay free where its budget decides the others. */
export const FREE_SETTINGS: readonly string[] = ["samples", "verifier"];

/** Whether a setting belongs to the search alone, so that a budget decides it. */
export function isDecidedByBudget(method: string, name: string): boolean {
  const { search } = partsOf(method);
  return search !== undefined && OWN[search].includes(name) && !FREE_SETTINGS.includes(name);
}

/** What a request gets of the settings. */
export function requestSettings(settings: Settings): GenerateRequest {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => SAMPLING.includes(name)));
}

/** Who judges and describes lanes, opened. */
export interface SearchJudges {
  /** The verifier; the model's own without it. */
  readonly verifier?: Judge;
  /** What TTS-VAR compares lanes by; latent features without it. */
  readonly features?: NonNullable<TtsVarOptions["features"]>;
}

/** VAR-Scaling's hook of some settings, where a method has it. */
export function scalingHooks(method: string, settings: Settings): ScaleHook[] {
  const parts = partsOf(method);
  if (!parts.scaled) return [];
  const own = VAR_SCALING.flatMap((name) => {
    const value = settings[scalingName(name, parts)];
    return value === undefined ? [] : [[name, value] as const];
  });
  return [varScaling(Object.fromEntries(own)) as ScaleHook];
}

/**
 * The hooks of a method.
 *
 * @param scales Scales of the model's schedule, which TTS-VAR's sizes depend on.
 * @throws {TypeError} If a setting is of the wrong type.
 * @throws {RangeError} If a value is out of range.
 *
 * @example
 * ```ts
 * import { hooksOf } from "./methods.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const hooks = hooksOf("var-scaling+beam", { candidates: 20, samples: 6 }, { scales: 6 });
 * assertEquals(hooks.map(({ name, lanes }) => [name, lanes]), [["var-scaling", undefined], ["beam", 6]]);
 * ```
 */
export function hooksOf(
  method: string,
  settings: Settings,
  { scales, verifier, features }: SearchJudges & { readonly scales?: number },
): ScaleHook[] {
  const { guiding, search } = partsOf(method);
  if (guiding !== undefined) return [guidingHook(guiding, pick(settings, GUIDING_SETTINGS[guiding]))];
  const scaling = scalingHooks(method, settings);
  if (search === undefined) return scaling;
  const judge = verifier === undefined ? {} : { verifier };
  const { samples, verifier: _judge, features: _described, ...others } = pick(settings, OWN[search]);
  switch (search) {
    case "best-of-n":
      return [
        ...scaling,
        bestOfN({ ...(samples === undefined ? {} : { samples: samples as number }), ...judge }),
      ];
    case "beam":
      return [...scaling, beamSearch({ ...beamsOf(samples, others.width), ...others, ...judge })];
    case "tts-var": {
      const described = features === undefined ? {} : { features };
      return [...scaling, ttsVar({ ...lanesOf(samples, scales), ...others, ...judge, ...described })];
    }
  }
}

function guidingHook(name: GuidingName, settings: Settings): ScaleHook {
  switch (name) {
    case "adaptive-guidance":
      return adaptiveGuidance(settings);
    case "prefix-guidance":
      return prefixGuidance(settings) as ScaleHook;
    case "spatial-guidance":
      return spatialGuidance(settings);
  }
}

/** Beams for so many lanes. */
function beamsOf(samples: unknown, width: unknown = 2): { beams?: number } {
  if (samples === undefined) return {};
  const lanes = requireInteger(samples as number, "samples", "make the beam search", { min: 1 });
  const copies = requireInteger(width as number, "width", "make the beam search", { min: 1 });
  if (lanes % copies !== 0) {
    throw new RangeError(
      mustBe(`a multiple of the width, ${copies}`, lanes, "samples", "make the beam search"),
    );
  }
  return { beams: lanes / copies };
}

/** TTS-VAR's sizes for so many lanes: those of its preset in proportion, rounded up where they may be. */
function lanesOf(samples: unknown, scales: number | undefined): TtsVarOptions {
  if (samples === undefined) return {};
  const lanes = requireInteger(samples as number, "samples", "make TTS-VAR", { min: 2, max: 256 });
  if (scales === undefined) return {};
  const total = ({ sizes }: { readonly sizes: readonly number[] }): number => {
    return sizes.reduce((sum, size) => sum + size, 0);
  };
  return scaledTtsSchedules(scales, lanes).reduce((most, it) => total(it) > total(most) ? it : most);
}

function pick(settings: Settings, names: readonly string[]): Settings {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => names.includes(name)));
}

/** What people call settings. */
const SYMBOLS: Readonly<Record<string, string>> = {
  samples: "N",
  candidates: "candidates",
  alpha: "α",
  weight: "λ",
  representatives: "k",
};

/**
 * The name of a method with its settings, for people.
 *
 * @example
 * ```ts
 * import { titleOf } from "./methods.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(titleOf("var-scaling", { samples: 50, alpha: 2.3 }), "VAR-Scaling, N = 50, α = 2.3");
 * ```
 */
export function titleOf(method: string, settings: Settings): string {
  const name = method.split("+").map((part) => TITLES[part]!).join(" + ");
  const said = Object.entries(settings).map(([name, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return `${SYMBOLS[name] ?? name} = ${text}`;
  });
  return [name, ...said].join(", ");
}
